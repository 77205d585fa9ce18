package txn

import (
	"context"
	"fmt"
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// LockCollector serves clients that look for the locks of old transactions in each store's own data, whoever leads its
// regions: they have it collect what is written from now on (Register), read what is there (Scan), and ask what was collected
// meanwhile (Check). Nobody's lock can slip through between the two. Safe for concurrent use.
type LockCollector struct {
	conc *Concurrency
	data DataReader

	// applying is held by those who apply writes: a Register waits until what they are at is in the data.
	applying sync.RWMutex
	maxTS    uint64 // collected are locks of transactions that began at or below it; 0: none

	mu    sync.Mutex
	locks []*kvrpcpb.LockInfo
	clean bool // all of them are in locks
}

// DataReader is a store's data without replication.
type DataReader interface {
	NewIterator(o storage.IterOptions) (storage.Iterator, error)
}

// collectedMax bounds the locks that are collected.
const collectedMax = 1024

// NewLockCollector makes a collector of the locks in data, which the transactions of c write.
func NewLockCollector(c *Concurrency, data DataReader) *LockCollector {
	return &LockCollector{conc: c, data: data}
}

// BeginApply, ObservePut, ObserveReplaced and EndApply implement raftstore.WriteObserver.
func (c *LockCollector) BeginApply() (observes bool) {
	c.applying.RLock()
	return c.maxTS > 0
}

// EndApply ends what BeginApply has begun.
func (c *LockCollector) EndApply() { c.applying.RUnlock() }

// ObservePut takes in a write.
func (c *LockCollector) ObservePut(cf storage.CF, key, value []byte) {
	if cf != storage.CFLock {
		return
	}
	lock, err := mvcc.ParseLock(value)
	if err == nil && lock.StartTS > c.maxTS {
		return
	}
	user, keyErr := mvcc.DecodeKey(nil, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.locks) == collectedMax || err != nil || keyErr != nil {
		c.clean = false
		return
	}
	c.locks = append(c.locks, lock.Info(user))
}

// ObserveReplaced says that data has come by another way than writes.
func (c *LockCollector) ObserveReplaced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clean = false
}

// Register serves RegisterLockObserver. No transaction that began at or below maxTS and chooses its own commit timestamp is under
// way when it returns without an error.
func (c *LockCollector) Register(maxTS uint64) error {
	c.conc.UpdateMaxTS(maxTS)
	if err := c.conc.ReadCheck(maxTS, nil, nil, nil); err != nil {
		return err
	}
	c.applying.Lock()
	defer c.applying.Unlock()
	switch {
	case maxTS < c.maxTS:
		return fmt.Errorf("collecting locks with a greater max_ts: %d", c.maxTS)
	case maxTS > c.maxTS:
		c.begin(maxTS)
	}
	return nil
}

// begin sets the bound, 0 for the end.
func (c *LockCollector) begin(maxTS uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxTS, c.locks, c.clean = maxTS, nil, true
}

// Check serves CheckLockObserver: the locks collected, and whether that is all of them.
func (c *LockCollector) Check(maxTS uint64) (locks []*kvrpcpb.LockInfo, clean bool, err error) {
	c.applying.Lock() // what is applied now has been observed, or is not in the data
	defer c.applying.Unlock()
	if maxTS != c.maxTS || maxTS == 0 {
		return nil, false, fmt.Errorf("locks are collected with another max_ts: %d", c.maxTS)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.locks[:len(c.locks):len(c.locks)], c.clean, nil
}

// Remove serves RemoveLockObserver.
func (c *LockCollector) Remove(maxTS uint64) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	if maxTS != c.maxTS || maxTS == 0 {
		return fmt.Errorf("locks are collected with another max_ts: %d", c.maxTS)
	}
	c.begin(0)
	return nil
}

// Scan serves PhysicalScanLock: up to limit locks, 0 for all, on keys from start on, of transactions that began at or below maxTS.
func (c *LockCollector) Scan(ctx context.Context, maxTS uint64, start []byte, limit int) (locks []*kvrpcpb.LockInfo, err error) {
	q := lockQuery{start: start, limit: limit, want: func(l *mvcc.Lock) bool { return l.StartTS <= maxTS }}
	it, err := c.data.NewIterator(q.iterOptions())
	if err != nil {
		return nil, err
	}
	defer func() { err = join(err, it.Close()) }()
	f := lockFinder{query: q}
	for valid, n := it.First(), 0; valid; valid, n = it.Next(), n+1 {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if done, err := f.look(it.Key(), it.Value()); done || err != nil {
			return f.found, err
		}
	}
	return f.found, it.Error()
}
