package txn

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/scree-db/scree/storage/mvcc"
)

// Concurrency keeps transactions that choose their own commit timestamp (async commit and one-phase commit) from
// committing below a read that did not see them. A store has one, shared by everything that reads or writes.
//
//   - A reader raises max_ts to its timestamp, then looks at the in-memory locks, then takes its snapshot.
//   - A writer publishes in-memory locks and, in the same critical section, takes a minimal commit timestamp above max_ts.
//     It removes them once its write is applied.
//
// Either the reader comes first, and the writer commits above it; or the writer's lock is there for the reader to see,
// first in memory, then in the snapshot. The order of the reader's steps matters: with the snapshot taken first, a
// write could be applied and its lock removed in between.
//
// max_ts counts only what was read here. A new leader must raise it above all reads of its predecessor, to a fresh
// timestamp, before it accepts such writes: SetSynced does that. All that its predecessors wrote lies at or below that
// timestamp, too.
//
// It also knows the safe point of garbage collection, below which nothing is read any more, and what clients have told of
// large transactions.
type Concurrency struct {
	txnStates
	maxTS  atomic.Uint64
	safe   atomic.Uint64 // the safe point
	guards atomic.Int64  // len(table), for readers to see without the mutex that there is nothing

	mu     sync.RWMutex
	table  map[*guard]struct{}
	synced map[uint64]synced // by region id
}

// synced says that in a term the region's former leaders have read and written nothing above a timestamp.
type synced struct{ term, ts uint64 }

// guard is the in-memory locks of one command: keys ascending, locks alike but for the key. Immutable once published.
type guard struct {
	keys [][]byte // user keys
	lock mvcc.Lock
}

// NewConcurrency returns an empty table.
func NewConcurrency() *Concurrency {
	return &Concurrency{txnStates: newTxnStates(), table: make(map[*guard]struct{}), synced: make(map[uint64]synced)}
}

// MaxTS returns the highest timestamp read.
func (c *Concurrency) MaxTS() uint64 { return c.maxTS.Load() }

// UpdateMaxTS raises the highest timestamp read. mvcc.TSMax, which means "the latest", is no timestamp and ignored.
func (c *Concurrency) UpdateMaxTS(ts uint64) {
	if ts != mvcc.TSMax {
		raise(&c.maxTS, ts)
	}
}

// raise sets v to ts if that is higher.
func raise(v *atomic.Uint64, ts uint64) {
	for {
		old := v.Load()
		if ts <= old || v.CompareAndSwap(old, ts) {
			return
		}
	}
}

// RaiseSafePoint has reads below ts refused from now on, and new locks of transactions that began there: what tells them that
// others have written may be collected, too. It never goes down. Call it before collecting what lies below.
func (c *Concurrency) RaiseSafePoint(ts uint64) { raise(&c.safe, ts) }

// SafePoint returns the timestamp below which reads and new locks are refused.
func (c *Concurrency) SafePoint() uint64 { return c.safe.Load() }

// CheckSafePoint is the last step of opening a read, or the snapshot of a new lock: *mvcc.CollectedError if the snapshot taken before may lack versions
// that are visible at ts. Whatever was collected before the snapshot was so after the safe point had been raised.
func (c *Concurrency) CheckSafePoint(ts uint64) error {
	if safe := c.safe.Load(); ts < safe {
		return &mvcc.CollectedError{TS: ts, SafePoint: safe}
	}
	return nil
}

// SetSynced raises max_ts to a timestamp that was handed out after this store had become the region's leader in the
// term: above whatever former leaders read at, and not below what they wrote. A commit timestamp is handed out, or the
// successor of one that was, before the commit is in the log. A region that gains keys of another needs it anew, one that
// a split has made gets it with its first leader.
func (c *Concurrency) SetSynced(regionID, term, ts uint64) {
	c.UpdateMaxTS(ts)
	c.mu.Lock()
	defer c.mu.Unlock()
	if term > c.synced[regionID].term {
		c.synced[regionID] = synced{term, c.MaxTS()}
	}
}

// Synced tells whether SetSynced was called for this term of the region.
func (c *Concurrency) Synced(regionID, term uint64) bool {
	_, ok := c.syncedTS(regionID, term)
	return ok
}

// syncedTS returns the timestamp above which the region's former leaders have read and written nothing; false if SetSynced
// was not called for this term.
func (c *Concurrency) syncedTS(regionID, term uint64) (ts uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := c.synced[regionID]
	return s.ts, s.term == term && term != 0
}

// retain drops what is kept of regions that have left the store.
func (c *Concurrency) retain(here func(regionID uint64) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.synced {
		if !here(id) {
			delete(c.synced, id)
		}
	}
}

// ReadCheck announces a read at ts of the user keys in [start, end) and looks at in-memory locks in the way:
// *mvcc.LockedError. An empty end is no bound. Call it before taking the snapshot to read.
func (c *Concurrency) ReadCheck(ts uint64, start, end []byte, bypass []uint64) error {
	return c.check(ts, bypass, func(g *guard) []byte { return g.firstIn(start, end) })
}

// ReadCheckKeys is ReadCheck for single keys.
func (c *Concurrency) ReadCheckKeys(ts uint64, keys [][]byte, bypass []uint64) error {
	return c.check(ts, bypass, func(g *guard) []byte {
		for _, k := range keys {
			if g.has(k) {
				return k
			}
		}
		return nil
	})
}

// CheckSpan is ReadCheck for all of a span; nil only announces the read.
func (c *Concurrency) CheckSpan(ts uint64, span *Span, bypass []uint64) error {
	c.UpdateMaxTS(ts)
	if span == nil {
		return nil
	}
	for _, r := range span.Ranges {
		if err := c.ReadCheck(ts, r.StartKey, r.EndKey, bypass); err != nil {
			return err
		}
	}
	if len(span.Keys) == 0 {
		return nil
	}
	return c.ReadCheckKeys(ts, span.Keys, bypass)
}

// check looks for a guard that blocks reads at ts and has a key that is read.
func (c *Concurrency) check(ts uint64, bypass []uint64, find func(*guard) []byte) error {
	c.UpdateMaxTS(ts)
	if c.guards.Load() == 0 {
		return nil
	}
	o := mvcc.ReadOptions{TS: ts, BypassLocks: bypass}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for g := range c.table {
		// Whether a lock blocks depends on its transaction alone: the exception for primary keys is for locks that are
		// not of the kinds found here.
		if o.Check(&g.lock, nil) == nil {
			continue
		}
		if key := find(g); key != nil {
			return o.Check(&g.lock, key)
		}
	}
	return nil
}

// publish enters the locks of a command and returns them with MinCommitTS set: above max_ts and floor. keys are
// ascending and, like lock, must not change until withdraw.
func (c *Concurrency) publish(keys [][]byte, lock mvcc.Lock, floor uint64) *guard {
	g := &guard{keys: keys, lock: lock}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guards.Add(1) // before max_ts is read: a reader that saw zero has raised it already
	g.lock.MinCommitTS = max(c.MaxTS(), floor) + 1
	c.table[g] = struct{}{}
	return g
}

// withdraw removes the locks of a command whose write is applied or was refused.
func (c *Concurrency) withdraw(g *guard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.table, g)
	c.guards.Add(-1)
}

func (g *guard) firstIn(start, end []byte) []byte {
	i, _ := slices.BinarySearchFunc(g.keys, start, bytes.Compare)
	if i < len(g.keys) && (len(end) == 0 || bytes.Compare(g.keys[i], end) < 0) {
		return g.keys[i]
	}
	return nil
}

func (g *guard) has(key []byte) bool {
	_, ok := slices.BinarySearchFunc(g.keys, key, bytes.Compare)
	return ok
}
