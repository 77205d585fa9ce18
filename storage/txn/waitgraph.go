package txn

import (
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/deadlock"
)

// WaitGraph is who waits for whom: transactions, named by their start_ts, and an edge from each that waits to the holder
// of the lock in its way. It has no circles: the wait that would close one is answered with the circle and not entered.
//
// Stores report waits from afar, and a store may die before it reports their end. So an edge lasts for a time to live from
// its last report on, which is to be as long as the longest wait. Safe for concurrent use.
type WaitGraph struct {
	ttl time.Duration
	now func() time.Time

	mu    sync.Mutex
	waits map[uint64]map[uint64]*waitEdge // waiting transaction -> holder; no empty maps
	swept time.Time                       // when expired edges were last looked for everywhere
}

// waitEdge is the waits of one transaction for another: several requests of a transaction may wait at the same time.
type waitEdge struct {
	keys     []waitKey // distinct hashes, not empty
	tag      []byte    // resource group, for people who look at deadlocks
	reported time.Time
}

type waitKey struct {
	hash uint64
	key  []byte // one of those with the hash
}

// NewWaitGraph returns an empty graph whose edges live for ttl by the clock now.
func NewWaitGraph(ttl time.Duration, now func() time.Time) *WaitGraph {
	return &WaitGraph{ttl: ttl, now: now, waits: make(map[uint64]map[uint64]*waitEdge), swept: now()}
}

// Detect enters a wait, or renews it. If it would close a circle it is not entered, and the circle's other edges are
// returned: from the holder that was to be waited for to the one that waits for the transaction.
func (g *WaitGraph) Detect(w *deadlock.WaitForEntry) (chain []*deadlock.WaitForEntry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.sweep(now)
	key := waitKey{w.KeyHash, w.Key}
	if e := g.waits[w.Txn][w.WaitForTxn]; e != nil {
		e.add(key)
		e.tag, e.reported = w.ResourceGroupTag, now
		return nil
	}
	if chain := g.path(w.WaitForTxn, w.Txn, now); chain != nil {
		return chain
	}
	if g.waits[w.Txn] == nil {
		g.waits[w.Txn] = make(map[uint64]*waitEdge)
	}
	g.waits[w.Txn][w.WaitForTxn] = &waitEdge{keys: []waitKey{key}, tag: w.ResourceGroupTag, reported: now}
	return nil
}

// Done takes out one wait of a transaction for another: that for the key with w's hash.
func (g *WaitGraph) Done(w *deadlock.WaitForEntry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.waits[w.Txn][w.WaitForTxn]; e != nil && e.drop(w.KeyHash) {
		g.dropEdge(w.Txn, w.WaitForTxn)
	}
}

// Forget takes out all waits of a transaction.
func (g *WaitGraph) Forget(txn uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waits, txn)
}

// Clear empties the graph.
func (g *WaitGraph) Clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.waits)
}

// Len returns the number of transactions that wait.
func (g *WaitGraph) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waits)
}

// path returns the edges from one transaction to another, nil if there is no way. Each transaction is visited once, and
// without recursion: the graph is as deep as clients make it.
func (g *WaitGraph) path(from, to uint64, now time.Time) []*deadlock.WaitForEntry {
	cameFrom := map[uint64]uint64{from: 0}
	for todo := []uint64{from}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for holder, e := range g.waits[at] {
			if g.expired(e, now) {
				g.dropEdge(at, holder)
				continue
			}
			if _, seen := cameFrom[holder]; seen {
				continue
			}
			cameFrom[holder] = at
			if holder == to {
				return g.trace(from, to, cameFrom)
			}
			todo = append(todo, holder)
		}
	}
	return nil
}

// trace returns the edges of the way found.
func (g *WaitGraph) trace(from, to uint64, cameFrom map[uint64]uint64) []*deadlock.WaitForEntry {
	n := 0
	for at := to; at != from; at = cameFrom[at] {
		n++
	}
	chain := make([]*deadlock.WaitForEntry, n)
	for at := to; at != from; at = cameFrom[at] {
		n--
		e := g.waits[cameFrom[at]][at]
		chain[n] = &deadlock.WaitForEntry{
			Txn: cameFrom[at], WaitForTxn: at, KeyHash: e.keys[0].hash, Key: e.keys[0].key, ResourceGroupTag: e.tag,
		}
	}
	return chain
}

// sweep drops expired edges of transactions that nobody asks about, now and then.
func (g *WaitGraph) sweep(now time.Time) {
	const every = 16 // lives of an edge
	if now.Sub(g.swept) < every*g.ttl {
		return
	}
	g.swept = now
	for txn, holders := range g.waits {
		for holder, e := range holders {
			if g.expired(e, now) {
				g.dropEdge(txn, holder)
			}
		}
	}
}

func (g *WaitGraph) expired(e *waitEdge, now time.Time) bool { return now.Sub(e.reported) >= g.ttl }

func (g *WaitGraph) dropEdge(txn, holder uint64) {
	delete(g.waits[txn], holder)
	if len(g.waits[txn]) == 0 {
		delete(g.waits, txn)
	}
}

func (e *waitEdge) add(k waitKey) {
	for _, have := range e.keys {
		if have.hash == k.hash {
			return
		}
	}
	e.keys = append(e.keys, k)
}

// drop takes out a key; it returns true if that was the last one.
func (e *waitEdge) drop(hash uint64) (last bool) {
	for i, have := range e.keys {
		if have.hash == hash {
			e.keys = append(e.keys[:i], e.keys[i+1:]...)
			break
		}
	}
	return len(e.keys) == 0
}
