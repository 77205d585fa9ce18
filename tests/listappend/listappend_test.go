package listappend

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func read(key string, vals ...int) Op      { return Op{Key: key, Read: vals} }
func add(key string, val int) Op           { return Op{Key: key, Append: val} }
func txn(begin, end int, ops ...Op) Txn    { return Txn{Ops: ops, Begin: begin, End: end} }
func became(s Status, begin int, o Op) Txn { return Txn{Ops: []Op{o}, Status: s, Begin: begin} }

// TestAnomalies gives one small history of each kind. Transactions overlap in time unless said otherwise.
func TestAnomalies(t *testing.T) {
	for _, test := range []struct {
		name    string
		want    string // kind of the anomaly, "" for none
		history []Txn
	}{
		{"nothing", "", nil},
		{"one after the other", "", []Txn{txn(0, 1, add("x", 1)), txn(2, 3, read("x", 1), add("x", 2)), txn(4, 5, read("x", 1, 2))}},
		{"own writes", "", []Txn{txn(0, 9, add("x", 1), read("x", 1), add("x", 2), read("x", 1, 2))}},
		{"write skew", "", []Txn{txn(0, 9, read("x"), add("y", 1)), txn(0, 9, read("y"), add("x", 1)), txn(10, 11, read("x", 1), read("y", 1))}},
		{"an old snapshot", "", []Txn{txn(0, 5, add("x", 1)), txn(1, 6, read("x"))}},
		{"unknown and seen", "", []Txn{became(Unknown, 0, add("x", 1)), txn(1, 2, read("x", 1))}},
		{"unknown and seen late", "", []Txn{became(Unknown, 0, add("x", 1)), txn(1, 2, read("x")), txn(3, 4, read("x", 1))}},
		{"unknown and not seen", "", []Txn{became(Unknown, 0, add("x", 1)), txn(1, 2, read("x"))}},

		{"own write missing", "own writes", []Txn{txn(0, 9, add("x", 1), read("x"))}},
		{"value of nobody", "phantom value", []Txn{txn(0, 9, read("x", 7))}},
		{"dirty read", "aborted read", []Txn{became(Aborted, 0, add("x", 1)), txn(0, 9, read("x", 1))}},
		{"half a transaction", "intermediate read", []Txn{txn(0, 9, add("x", 1), add("x", 2)), txn(0, 9, read("x", 1)), txn(10, 11, read("x", 1, 2))}},
		{"two orders", "incompatible order", []Txn{txn(0, 9, add("x", 1)), txn(0, 9, add("x", 2)), txn(10, 11, read("x", 1, 2)), txn(10, 11, read("x", 2))}},
		{"lost update", "read skew", []Txn{
			txn(0, 9, read("x"), add("x", 1)), txn(0, 9, read("x"), add("x", 2)), txn(10, 11, read("x", 1, 2))}},
		{"lost update that nobody saw", "stale order", []Txn{txn(0, 1, add("x", 1)), txn(2, 3, read("x"))}},
		{"read skew", "read skew", []Txn{txn(0, 9, add("x", 1), add("y", 1)), txn(0, 9, read("x"), read("y", 1)), txn(10, 11, read("x", 1))}},
		{"long fork", "long fork", []Txn{
			txn(0, 9, add("x", 1)), txn(0, 9, add("y", 1)), txn(0, 9, read("x", 1), read("y")), txn(0, 9, read("x"), read("y", 1)),
			txn(10, 11, read("x", 1), read("y", 1))}},
		{"write cycle", "write cycle", []Txn{
			txn(0, 9, add("x", 1), add("y", 1)), txn(0, 9, add("x", 2), add("y", 2)), txn(10, 11, read("x", 1, 2), read("y", 2, 1))}},
		{"circle of reads", "circular information flow", []Txn{txn(0, 9, add("x", 1), read("y", 1)), txn(0, 9, add("y", 1), read("x", 1))}},
		{"gone back in time", "stale order", []Txn{txn(0, 1, add("x", 1)), txn(2, 3, add("x", 2)), txn(4, 5, read("x", 1)), txn(6, 7, read("x", 1, 2))}},
		{"orders against time", "stale order", []Txn{txn(0, 1, add("x", 1)), txn(2, 3, add("x", 2)), txn(4, 5, read("x", 2, 1))}},
		{"unknown, seen, and gone", "stale order", []Txn{became(Unknown, 0, add("x", 1)), txn(1, 2, read("x", 1)), txn(3, 4, read("x"))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Check(test.history)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			var a *Anomaly
			require.ErrorAs(t, err, &a)
			require.Equal(t, test.want, a.Kind, a.Detail)
		})
	}
}

// TestSnapshots makes random histories by the rules: each transaction reads the state at its begin, and is rolled back if a
// list that it appends to has grown. They pass, and fail once a value is taken out of a read that had others behind it.
func TestSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := map[string][]int{}
		snapshot := func() map[string][]int {
			out := map[string][]int{}
			for k, v := range lists {
				out[k] = v
			}
			return out
		}
		type running struct {
			Txn
			snap, own map[string][]int
		}
		var open []*running
		var history []Txn
		finish := func(i, now int) {
			r := open[i]
			open = append(open[:i:i], open[i+1:]...)
			r.End = now
			for k := range r.own {
				if len(lists[k]) != len(r.snap[k]) {
					r.Status = Aborted
				}
			}
			for k, vals := range r.own {
				if r.Status == Committed {
					lists[k] = append(lists[k][:len(lists[k]):len(lists[k])], vals...)
				}
			}
			history = append(history, r.Txn)
		}
		for now := range rapid.IntRange(10, 80).Draw(t, "events") {
			if len(open) > 0 && rapid.Bool().Draw(t, "finish") {
				finish(rapid.IntRange(0, len(open)-1).Draw(t, "which"), now)
				continue
			}
			r := &running{Txn: Txn{Begin: now}, snap: snapshot(), own: map[string][]int{}}
			for i := range rapid.IntRange(1, 3).Draw(t, "ops") {
				key := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "key")
				if rapid.Bool().Draw(t, "append") {
					r.own[key] = append(r.own[key], 1+now*10+i)
					r.Ops = append(r.Ops, add(key, 1+now*10+i))
				} else {
					r.Ops = append(r.Ops, read(key, append(append([]int{}, r.snap[key]...), r.own[key]...)...))
				}
			}
			open = append(open, r)
		}
		for len(open) > 0 {
			finish(0, 1000)
		}
		require.NoError(t, Check(history))

		for i := range history {
			for k, op := range history[i].Ops {
				if n := len(op.Read); op.Append == 0 && history[i].Status == Committed && len(foreign(&history[i], k)) > 1 {
					history[i].Ops[k].Read = append([]int{}, op.Read[1:n]...)
					require.Error(t, Check(history))
					return
				}
			}
		}
	})
}
