package txn

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/storage/mvcc"
)

// lockWaits are the pessimistic lock requests that wait for other transactions' locks on this store, the oldest
// transaction's first on each key.
//
// A request enters while it holds the latch under which it found the lock. Who removes the lock takes that latch later, and
// then wakes: no wake-up is lost. One request is woken at a time. Having tried again, it either holds the lock, and its
// transaction's end wakes the next, or it waits again for this key, and the holder's end does, or it passes the wake-up on.
//
// Who gives leadership away calls lose instead, whose wake-ups are for all. It knows of no latches: a request that began
// before does not wait.
//
// Circles of waiting transactions are the Detector's business: they may lead through other stores.
type lockWaits struct {
	waiting atomic.Int64  // requests in byKey, for commands to see without the mutex that there are none
	losses  atomic.Uint64 // calls of lose; raised under mu

	mu    sync.Mutex
	byKey map[string][]*lockWait
}

// lockWait is one waiting request.
type lockWait struct {
	region uint64
	txn    uint64 // start_ts
	key    []byte // user key
	hash   uint64 // of key
	tag    []byte
	woken  chan struct{} // closed on wake-up
	// moved holds a token while the lock has a new holder that await has not looked at.
	moved chan struct{}
	// circle receives the error that the Detector's finding makes of the wait.
	circle chan *mvcc.DeadlockError

	// Under lockWaits.mu.
	holder uint64            // start_ts of the lock's transaction
	lock   *kvrpcpb.LockInfo // of a holder that took the lock over while this waited; nil: none did
	since  time.Time         // when it did
}

func newLockWaits() *lockWaits { return &lockWaits{byKey: make(map[string][]*lockWait)} }

func newLockWait(region, txn uint64, key []byte, holder uint64, tag []byte) *lockWait {
	return &lockWait{
		region: region, txn: txn, key: key, hash: xxh3.Hash(key), tag: tag, holder: holder,
		woken: make(chan struct{}), moved: make(chan struct{}, 1), circle: make(chan *mvcc.DeadlockError, 1),
	}
}

// add enters w, or wakes it at once if regions have been lost since losses was read, which is to be before the request's
// snapshot.
func (l *lockWaits) add(w *lockWait, losses uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if losses != l.losses.Load() {
		close(w.woken)
		return
	}
	queue := l.byKey[string(w.key)]
	i, _ := slices.BinarySearchFunc(queue, w.txn+1, func(x *lockWait, txn uint64) int { return cmp.Compare(x.txn, txn) })
	l.byKey[string(w.key)] = slices.Insert(queue, i, w)
	l.waiting.Add(1)
}

// remove takes w out. woken tells whether it was woken before.
func (l *lockWaits) remove(w *lockWait) (woken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.byKey[string(w.key)]
	i := slices.Index(queue, w)
	if i < 0 {
		return true
	}
	l.take(w.key, i)
	return false
}

func (l *lockWaits) any(key []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byKey[string(key)]) > 0
}

// take takes out the i-th request that waits for a key.
func (l *lockWaits) take(key []byte, i int) {
	l.waiting.Add(-1)
	queue := slices.Delete(l.byKey[string(key)], i, i+1)
	if len(queue) == 0 {
		delete(l.byKey, string(key))
		return
	}
	l.byKey[string(key)] = queue
}

// wake wakes the first request that waits for each of the keys.
func (l *lockWaits) wake(keys [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if queue := l.byKey[string(k)]; len(queue) > 0 {
			close(queue[0].woken)
			l.take(k, 0)
		}
	}
}

// lose wakes all requests of a region but for those of keys in left, if that is not nil, in the order of their keys.
func (l *lockWaits) lose(region uint64, left *metapb.Region) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses.Add(1)
	for _, key := range slices.Sorted(maps.Keys(l.byKey)) {
		queue := l.byKey[key]
		if left != nil && within(mvcc.EncodeKey([]byte(key)), left.GetStartKey(), left.GetEndKey()) {
			continue
		}
		for i := len(queue) - 1; i >= 0; i-- {
			if w := queue[i]; w.region == region {
				close(w.woken)
				l.take(w.key, i)
			}
		}
	}
}

// hold tells the requests that wait for the lock's key that another transaction holds it now.
func (l *lockWaits) hold(key []byte, lock *mvcc.Lock, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.byKey[string(key)] {
		if w.holder != lock.StartTS && w.txn != lock.StartTS {
			w.holder, w.since, w.lock = lock.StartTS, now, lock.Info(key)
			w.move()
		}
	}
}

func (w *lockWait) move() {
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// entry describes the wait as it is now.
func (l *lockWaits) entry(w *lockWait) *deadlock.WaitForEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return w.entry()
}

func (w *lockWait) entry() *deadlock.WaitForEntry {
	return &deadlock.WaitForEntry{Txn: w.txn, WaitForTxn: w.holder, KeyHash: w.hash, Key: w.key, ResourceGroupTag: w.tag}
}

// takenOver describes the lock that w waits for if it has changed hands since w entered, and else returns nil. The
// duration in it is above 0.
func (l *lockWaits) takenOver(w *lockWait, now time.Time) *kvrpcpb.LockInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.lock != nil {
		w.lock.DurationToLastUpdateMs = uint64(max(now.Sub(w.since).Milliseconds(), 1))
	}
	return w.lock
}

func (l *lockWaits) entries() (out []*deadlock.WaitForEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, queue := range l.byKey {
		for _, w := range queue {
			out = append(out, w.entry())
		}
	}
	return out
}

// LockWaits describes the pessimistic lock requests that wait on this store.
func (m *Manager) LockWaits() []*deadlock.WaitForEntry { return m.waits.entries() }

// wake tells waiting requests that locks on the keys may be gone. To be called after the write.
func (m *Manager) wake(keys [][]byte) {
	if m.waits.waiting.Load() > 0 {
		m.waits.wake(keys)
	}
}

// hold tells waiting requests that a key is locked anew. To be called after the write.
func (m *Manager) hold(key []byte, lock *mvcc.Lock) {
	if m.waits.waiting.Load() > 0 {
		m.waits.hold(key, lock, m.opts.Now())
	}
}

// wakeUpDelay is how long a wake-up stays with a request that ended in a write conflict, before it is passed on: for its
// client to come back with a newer for_update_ts. Otherwise all that wait would meet the same conflict at once.
const wakeUpDelay = 20 * time.Millisecond

// wakeLater is wake after a delay, for those who wait by now.
func (m *Manager) wakeLater(key []byte) {
	if !m.waits.any(key) {
		return
	}
	go func() {
		<-m.opts.After(wakeUpDelay)
		m.wake([][]byte{key})
	}()
}

// Detector finds circles among the transactions of the cluster that wait for each other's locks. Safe for concurrent use.
type Detector interface {
	// Detect reports that a request waits. If that closes a circle, found is called with the waits that lead from the
	// holder back to the waiting transaction: at most once, before Detect returns or later, from any goroutine. It does
	// not block; a report may get lost, and then the wait ends by its time limit.
	Detect(w *deadlock.WaitForEntry, found func(chain []*deadlock.WaitForEntry))
	// Done reports that it does not wait any more.
	Done(w *deadlock.WaitForEntry)
}

// loneDetector is the Detector of a store that is alone.
type loneDetector struct{ graph *WaitGraph }

func (d loneDetector) Detect(w *deadlock.WaitForEntry, found func([]*deadlock.WaitForEntry)) {
	if chain := d.graph.Detect(w); chain != nil {
		found(chain)
	}
}

func (d loneDetector) Done(w *deadlock.WaitForEntry) { d.graph.Done(w) }

// deadlockError describes the circle that wait closes: chain leads from its holder back to it.
func deadlockError(wait *deadlock.WaitForEntry, chain []*deadlock.WaitForEntry) *mvcc.DeadlockError {
	pb := &kvrpcpb.Deadlock{LockTs: wait.WaitForTxn, LockKey: wait.Key, WaitChain: append(slices.Clone(chain), wait)}
	if len(chain) > 0 {
		last := chain[len(chain)-1] // waits for the transaction that is told
		pb.DeadlockKey, pb.DeadlockKeyHash = last.Key, last.KeyHash
	}
	return &mvcc.DeadlockError{Pb: pb}
}
