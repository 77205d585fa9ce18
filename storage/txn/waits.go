package txn

import (
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/storage/mvcc"
)

// lockWaits are the pessimistic lock requests waiting for other transactions' locks on this store, in order of arrival on
// each key, and, with that, the graph of who waits for whom.
//
// A request enters while it holds the latch under which it found the lock. Who removes the lock takes that latch later, and
// then wakes: no wake-up is lost. One request is woken at a time. Having tried again, it either holds the lock, and its
// transaction's end wakes the next, or it waits again for this key, and the holder's end does, or it passes the wake-up on.
//
// Circles are found among the waits of this store. A circle through several stores ends by the waits' time limit.
type lockWaits struct {
	mu    sync.Mutex
	byKey map[string][]*lockWait
	byTxn map[uint64][]*lockWait
}

// lockWait is one waiting request.
type lockWait struct {
	txn, holder uint64 // start_ts of who waits, and for whom
	key         []byte // user key
	tag         []byte
	woken       chan struct{} // closed on wake-up
}

func newLockWaits() *lockWaits {
	return &lockWaits{byKey: make(map[string][]*lockWait), byTxn: make(map[uint64][]*lockWait)}
}

// add enters w, unless that closes a circle: then it returns the circle's edges, from the holder back to w's transaction.
func (l *lockWaits) add(w *lockWait) (circle []*lockWait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if path := l.path(w.holder, w.txn, map[uint64]bool{}); path != nil {
		return path
	}
	l.byKey[string(w.key)] = append(l.byKey[string(w.key)], w)
	l.byTxn[w.txn] = append(l.byTxn[w.txn], w)
	return nil
}

// path returns a chain of waits that leads from one transaction to another.
func (l *lockWaits) path(from, to uint64, seen map[uint64]bool) []*lockWait {
	seen[from] = true
	for _, w := range l.byTxn[from] {
		if w.holder == to {
			return []*lockWait{w}
		}
		if seen[w.holder] {
			continue
		}
		if rest := l.path(w.holder, to, seen); rest != nil {
			return append([]*lockWait{w}, rest...)
		}
	}
	return nil
}

// remove takes w out. woken tells whether it was woken before.
func (l *lockWaits) remove(w *lockWait) (woken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.byTxn[w.txn], w) {
		return true
	}
	l.drop(w)
	return false
}

func (l *lockWaits) drop(w *lockWait) {
	dropFrom(l.byKey, string(w.key), w)
	dropFrom(l.byTxn, w.txn, w)
}

func dropFrom[K comparable](m map[K][]*lockWait, k K, w *lockWait) {
	rest := slices.DeleteFunc(m[k], func(x *lockWait) bool { return x == w })
	if len(rest) == 0 {
		delete(m, k)
		return
	}
	m[k] = rest
}

// wake wakes the first request that waits for each of the keys.
func (l *lockWaits) wake(keys [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.byKey) == 0 {
		return
	}
	for _, k := range keys {
		if queue := l.byKey[string(k)]; len(queue) > 0 {
			w := queue[0]
			l.drop(w)
			close(w.woken)
		}
	}
}

// wake tells waiting requests that locks on the keys may be gone. To be called after the write.
func (m *Manager) wake(keys [][]byte) { m.waits.wake(keys) }

// deadlockError describes the circle that w would close.
func deadlockError(w *lockWait, circle []*lockWait) error {
	last := circle[len(circle)-1] // waits for w's transaction
	e := &mvcc.DeadlockError{Pb: newDeadlock(w, last)}
	for _, edge := range append(slices.Clone(circle), w) {
		e.Pb.WaitChain = append(e.Pb.WaitChain, &deadlock.WaitForEntry{
			Txn: edge.txn, WaitForTxn: edge.holder, Key: edge.key, KeyHash: xxh3.Hash(edge.key), ResourceGroupTag: edge.tag,
		})
	}
	return e
}
