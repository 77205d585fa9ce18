package listappend

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// kind is the kind of an edge.
type kind string

const (
	ww kind = "ww"
	wr kind = "wr"
	rw kind = "rw"
	rt kind = "rt"
)

// edge leads to a transaction, or to a moment: node numbers from len(history) on are the ends of transactions in order. Two
// kinds stand for two edges, the second of which is rw.
type edge struct {
	to    int
	kinds []kind
	via   int // the transaction between two edges, that did the read
}

// graph has an edge for each dependency, and one for each dependency with an anti-dependency (rw) behind it. A circle of it is
// one that snapshot isolation forbids.
type graph struct {
	edges [][]edge
	anti  [][]int // rw edges by the transaction that read
}

func (c *checker) checkCircles() error {
	g := &graph{anti: make([][]int, len(c.history)), edges: make([][]edge, 2*len(c.history))}
	c.eachRead(func(reader int, key string, read []int) {
		for _, w := range c.next(key, read) {
			if w != reader {
				g.anti[reader] = append(g.anti[reader], w)
			}
		}
	})
	c.eachRead(func(reader int, key string, read []int) {
		if len(read) > 0 {
			g.add(c.writers[version{key, read[len(read)-1]}], reader, wr)
		}
	})
	c.addWrites(g)
	c.addTime(g)
	if circle := g.circle(); circle != nil {
		return c.describe(circle)
	}
	return nil
}

// happened reports whether a transaction is known to be committed.
func (c *checker) happened(i int) bool {
	t := &c.history[i]
	if t.Status != Unknown {
		return t.Status == Committed
	}
	return slices.ContainsFunc(t.Ops, func(op Op) bool { return op.Append != 0 && c.seen[version{op.Key, op.Append}] })
}

func (c *checker) eachRead(f func(reader int, key string, read []int)) {
	for i := range c.history {
		t := &c.history[i]
		if t.Status != Committed {
			continue
		}
		for k, op := range t.Ops {
			if op.Append == 0 {
				f(i, op.Key, foreign(t, k))
			}
		}
	}
}

// next are the transactions that appended behind what was read: the one that did so next, or, where the list was never read
// longer, all whose appends nobody has seen.
func (c *checker) next(key string, read []int) (out []int) {
	order := c.order[key]
	if len(read) < len(order) {
		return []int{c.writers[version{key, order[len(read)]}]}
	}
	for v, w := range c.writers {
		if v.key == key && !slices.Contains(order, v.val) && c.history[w].Status == Committed {
			out = append(out, w)
		}
	}
	slices.Sort(out) // so that the same history gives the same answer
	return out
}

// addWrites adds the order of appends: those of each list as it was read, and behind them those that nobody has seen.
func (c *checker) addWrites(g *graph) {
	for key, order := range c.order {
		for i := 1; i < len(order); i++ {
			g.add(c.writers[version{key, order[i-1]}], c.writers[version{key, order[i]}], ww)
		}
		if len(order) > 0 {
			last := c.writers[version{key, order[len(order)-1]}]
			for _, w := range c.next(key, order) {
				g.add(last, w, ww)
			}
		}
	}
}

// addTime links each transaction to those that began after its end, by way of the moments between.
func (c *checker) addTime(g *graph) {
	n := len(c.history)
	ended := make([]int, 0, n)
	for i, t := range c.history {
		if t.Status == Committed {
			ended = append(ended, i)
		}
	}
	slices.SortFunc(ended, func(a, b int) int { return cmp.Compare(c.history[a].End, c.history[b].End) })
	for m, i := range ended {
		g.edges[i] = append(g.edges[i], edge{to: n + m, kinds: []kind{rt}})
		if m > 0 {
			g.edges[n+m-1] = append(g.edges[n+m-1], edge{to: n + m})
		}
	}
	for i, t := range c.history {
		if !c.happened(i) {
			continue
		}
		m, _ := slices.BinarySearchFunc(ended, t.Begin, func(e, begin int) int { return cmp.Compare(c.history[e].End, begin) })
		if m > 0 {
			g.add(n+m-1, i, "")
		}
	}
}

// add adds a dependency, alone and with the anti-dependencies behind it.
func (g *graph) add(from, to int, k kind) {
	if from == to {
		return
	}
	var kinds []kind
	if k != "" {
		kinds = []kind{k}
	}
	g.edges[from] = append(g.edges[from], edge{to: to, kinds: kinds})
	for _, w := range g.anti[to] {
		g.edges[from] = append(g.edges[from], edge{w, append(slices.Clone(kinds), rw), to})
	}
}

// step is an edge of a circle.
type step struct {
	from int
	edge
}

// circle finds one by searching depth first; nil if there is none.
func (g *graph) circle() []step {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(g.edges))
	var path []step
	for root := range g.edges {
		if state[root] != unseen {
			continue
		}
		next := map[int]int{} // edges tried, of open nodes
		at := root
		state[at] = open
		for {
			if next[at] == len(g.edges[at]) {
				state[at] = done
				if len(path) == 0 {
					break
				}
				at, path = path[len(path)-1].from, path[:len(path)-1]
				continue
			}
			e := g.edges[at][next[at]]
			next[at]++
			switch state[e.to] {
			case open:
				path = append(path, step{at, e})
				return path[slices.IndexFunc(path, func(s step) bool { return s.from == e.to }):]
			case unseen:
				path = append(path, step{at, e})
				at = e.to
				state[at] = open
			}
		}
	}
	return nil
}

// describe names a circle by the kinds of its edges.
func (c *checker) describe(circle []step) error {
	count := map[kind]int{}
	var b strings.Builder
	for _, s := range circle {
		if s.from < len(c.history) {
			b.WriteString(c.show(s.from))
		}
		for _, k := range s.kinds {
			count[k]++
			if k == rw {
				b.WriteString(c.show(s.via))
			}
			fmt.Fprintf(&b, "-%s-> ", k)
		}
	}
	fmt.Fprint(&b, "the first")
	name := "long fork"
	switch {
	case count[rt] > 0:
		name = "stale order"
	case count[rw] == 1:
		name = "read skew"
	case count[rw] == 0 && count[wr] > 0:
		name = "circular information flow"
	case count[rw] == 0:
		name = "write cycle"
	}
	return &Anomaly{name, b.String()}
}

func (c *checker) show(i int) string {
	t := &c.history[i]
	return fmt.Sprintf("T%d [%d, %d] %s ", i, t.Begin, t.End, t.Ops)
}
