package txn

import (
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func edge(txn, holder, hash uint64) *deadlock.WaitForEntry {
	return &deadlock.WaitForEntry{Txn: txn, WaitForTxn: holder, KeyHash: hash}
}

// A circle is found by whoever closes it, told whole, and not entered.
func TestWaitGraphFindsCircles(t *testing.T) {
	g := NewWaitGraph(time.Second, time.Now)
	require.Nil(t, g.Detect(edge(1, 2, 12)))
	require.Nil(t, g.Detect(edge(2, 3, 23)))
	require.Nil(t, g.Detect(edge(2, 4, 24)))
	require.Nil(t, g.Detect(edge(1, 4, 14)))
	closing := edge(3, 1, 31)
	require.Equal(t, []*deadlock.WaitForEntry{edge(1, 2, 12), edge(2, 3, 23)}, g.Detect(closing))
	require.Len(t, g.waits, 2)
	g.Forget(2)
	require.Nil(t, g.Detect(closing))
	g.Clear()
	require.Empty(t, g.waits)
}

// Two requests of a transaction wait for the same other one: the edge stays until both are done.
func TestWaitGraphCountsKeys(t *testing.T) {
	g := NewWaitGraph(time.Second, time.Now)
	require.Nil(t, g.Detect(edge(1, 2, 100)))
	require.Nil(t, g.Detect(edge(1, 2, 200)))
	g.Done(edge(1, 2, 100))
	require.NotNil(t, g.Detect(edge(2, 1, 300)))
	g.Done(edge(1, 2, 200))
	require.Nil(t, g.Detect(edge(2, 1, 300)))
}

func TestWaitGraphForgets(t *testing.T) {
	now := time.Unix(0, 0)
	g := NewWaitGraph(time.Second, func() time.Time { return now })
	require.Nil(t, g.Detect(edge(1, 2, 0)))
	now = now.Add(999 * time.Millisecond)
	require.NotNil(t, g.Detect(edge(2, 1, 0)))
	require.Nil(t, g.Detect(edge(1, 2, 0)), "reported anew")
	now = now.Add(999 * time.Millisecond)
	require.NotNil(t, g.Detect(edge(2, 1, 0)))
	now = now.Add(time.Millisecond)
	require.Nil(t, g.Detect(edge(2, 1, 0)), "expired")
	now = now.Add(time.Minute)
	require.Nil(t, g.Detect(edge(3, 4, 0)))
	require.Len(t, g.waits, 1, "nobody asked about the others")
}

// Against a list of edges: a wait is refused if and only if the holder waits for it already, and the chain proves it.
func TestWaitGraphAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWaitGraph(time.Hour, time.Now)
		waits := make(map[[3]uint64]bool) // txn, holder, hash
		reaches := func(from, to uint64) bool {
			seen := map[uint64]bool{from: true}
			for grown := true; grown; {
				grown = false
				for w := range waits {
					if seen[w[0]] && !seen[w[1]] {
						seen[w[1]], grown = true, true
					}
				}
			}
			return seen[to]
		}
		number := rapid.Uint64Range(1, 6)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w := [3]uint64{number.Draw(t, "txn"), number.Draw(t, "holder"), rapid.Uint64Range(1, 2).Draw(t, "hash")}
			if w[0] == w[1] {
				continue
			}
			if rapid.IntRange(0, 2).Draw(t, "done") == 0 {
				g.Done(edge(w[0], w[1], w[2]))
				delete(waits, w)
				continue
			}
			chain := g.Detect(edge(w[0], w[1], w[2]))
			require.Equal(t, reaches(w[1], w[0]), chain != nil)
			if chain == nil {
				waits[w] = true
				continue
			}
			at := w[1]
			for _, e := range chain {
				require.Equal(t, at, e.Txn)
				require.True(t, waits[[3]uint64{e.Txn, e.WaitForTxn, e.KeyHash}])
				at = e.WaitForTxn
			}
			require.Equal(t, w[0], at)
		}
	})
}
