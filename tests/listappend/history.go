// Package listappend judges histories of transactions that append to lists and read them: whether they are possible under
// strong snapshot isolation, in which each transaction reads a snapshot that shows all transactions finished before it
// began, and of two that append to a list at the same time one fails.
//
// Lists make histories easy to judge: a list that was read tells the order of all appends to it, and so what each
// transaction read and did not read yet. From that Check draws the graph of dependencies and looks for circles:
//
//	ww   appended right behind what the other appended
//	wr   read what the other appended last
//	rw   read a list that the other appended to next
//	rt   began after the other had ended
//
// Snapshot isolation allows circles only if two rw edges follow each other (write skew); see Cerone and Gotsman, "Analysing
// Snapshot Isolation" (JACM 2018). The method is that of Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from
// Experimental Observations" (VLDB 2020).
package listappend

import (
	"fmt"
	"slices"
)

// Status is what became of a transaction.
type Status uint8

const (
	Committed Status = iota
	Aborted
	// Unknown: the client died, or was told that the outcome is undetermined. It counts as committed if its appends are seen.
	Unknown
)

// Op is one step of a transaction: it reads a list, or appends to it where Append is not 0. A value is appended to a list by
// one transaction at most.
type Op struct {
	Key    string
	Append int
	Read   []int
}

// String shows the end of what was read: that is where histories differ.
func (o Op) String() string {
	if o.Append != 0 {
		return fmt.Sprintf("%s += %d", o.Key, o.Append)
	}
	const shown = 3
	if n := len(o.Read); n > shown {
		return fmt.Sprintf("%s = %d values, %v", o.Key, n, o.Read[n-shown:])
	}
	return fmt.Sprintf("%s = %v", o.Key, o.Read)
}

// Txn is a transaction as its client saw it. Begin and End are positions in a total order of events; End of one whose
// outcome is unknown does not count.
type Txn struct {
	Ops        []Op
	Status     Status
	Begin, End int
}

// Anomaly is what cannot have happened.
type Anomaly struct {
	// Kind is "aborted read", "intermediate read", "phantom value", "own writes", "incompatible order", or, for circles, "write
	// cycle", "circular information flow", "stale order", "read skew" or "long fork", of which the last two also cover lost
	// updates.
	Kind   string
	Detail string
}

func (a *Anomaly) Error() string { return a.Kind + ": " + a.Detail }

// Check returns an *Anomaly if there is one.
func Check(history []Txn) error {
	c := &checker{history: history, writers: map[version]int{}, finals: map[version]bool{}, order: map[string][]int{}, seen: map[version]bool{}}
	for _, step := range []func() error{c.findWriters, c.checkReads, c.orderLists, c.checkCircles} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// version names a list right after a value was appended.
type version struct {
	key string
	val int
}

type checker struct {
	history []Txn
	writers map[version]int  // transaction by what it appended
	finals  map[version]bool // the last append of a transaction to the list
	order   map[string][]int // the longest read of each list
	seen    map[version]bool // some transaction read it
}

func (c *checker) findWriters() error {
	for i, t := range c.history {
		last := map[string]int{}
		for _, op := range t.Ops {
			if op.Append == 0 {
				continue
			}
			v := version{op.Key, op.Append}
			if _, dup := c.writers[v]; dup {
				return fmt.Errorf("the history is unusable: %d is appended to %s twice", op.Append, op.Key)
			}
			c.writers[v] = i
			last[op.Key] = op.Append
		}
		for key, val := range last {
			c.finals[version{key, val}] = true
		}
	}
	return nil
}

// checkReads looks at each read by itself: what it shows of others, and of the transaction's own appends.
func (c *checker) checkReads() error {
	for i, t := range c.history {
		if t.Status != Committed {
			continue
		}
		own := map[string][]int{}
		for _, op := range t.Ops {
			if op.Append != 0 {
				own[op.Key] = append(own[op.Key], op.Append)
				continue
			}
			others := len(op.Read) - len(own[op.Key])
			if others < 0 || !slices.Equal(op.Read[others:], own[op.Key]) {
				return &Anomaly{"own writes", fmt.Sprintf("T%d appended %v to %s and read %v", i, own[op.Key], op.Key, op.Read)}
			}
			if err := c.checkForeign(i, op.Key, op.Read[:others]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkForeign looks at what a transaction read of others' appends.
func (c *checker) checkForeign(reader int, key string, read []int) error {
	for i, val := range read {
		v := version{key, val}
		w, ok := c.writers[v]
		switch {
		case !ok || w == reader:
			return &Anomaly{"phantom value", fmt.Sprintf("T%d read %v of %s, where nobody appended %d", reader, read, key, val)}
		case c.history[w].Status == Aborted:
			return &Anomaly{"aborted read", fmt.Sprintf("T%d read %d of %s by T%d, which was rolled back", reader, val, key, w)}
		case !c.finals[v] && i == len(read)-1:
			return &Anomaly{"intermediate read", fmt.Sprintf("T%d read %v of %s in the middle of T%d", reader, read, key, w)}
		}
		c.seen[v] = true
	}
	return nil
}

// foreign is what a read shows of others.
func foreign(t *Txn, upTo int) []int {
	read := t.Ops[upTo].Read
	for _, op := range t.Ops[:upTo] {
		if op.Append != 0 && op.Key == t.Ops[upTo].Key {
			read = read[:len(read)-1]
		}
	}
	return read
}

// orderLists finds the order of each list, of which all reads have to be beginnings.
func (c *checker) orderLists() error {
	for pass := range 2 {
		for i := range c.history {
			t := &c.history[i]
			if t.Status != Committed {
				continue
			}
			for k, op := range t.Ops {
				if op.Append != 0 {
					continue
				}
				read, longest := foreign(t, k), c.order[op.Key]
				switch {
				case pass == 0 && len(read) > len(longest):
					c.order[op.Key] = read
				case pass == 1 && !slices.Equal(read, longest[:len(read)]):
					return &Anomaly{"incompatible order", fmt.Sprintf("%s was read as %v and, by T%d, as %v", op.Key, longest, i, read)}
				}
			}
		}
	}
	return nil
}
