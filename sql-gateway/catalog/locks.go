package catalog

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Locks are metadata locks by table id. Transactions share a table from its first use to their end; a change of the
// table has it alone. A waiting change keeps newcomers out, so that it is not starved; who holds the table already may
// take it again.
//
// They live in this gateway's memory; membership extends them over the cluster.
type Locks struct {
	mu     sync.Mutex
	tables map[int64]*tableLock
	// epoch is that of the lease which holders begin under.
	epoch func() int64
}

type tableLock struct {
	shared    map[*LockHolder]struct{}
	exclusive bool
	waiting   int           // changes that wait
	changed   chan struct{} // closed when something was released
}

// LockHolder is a transaction's set of shared locks. One goroutine at a time.
type LockHolder struct {
	held map[int64]struct{}
	// epoch of the lease as of the first table; 0 without one.
	epoch atomic.Int64
}

func newLocks(epoch func() int64) *Locks {
	return &Locks{tables: make(map[int64]*tableLock), epoch: epoch}
}

// NewHolder makes a holder for a session.
func (l *Locks) NewHolder() *LockHolder { return &LockHolder{held: make(map[int64]struct{})} }

func (l *Locks) lock(id int64) *tableLock {
	t := l.tables[id]
	if t == nil {
		t = &tableLock{shared: make(map[*LockHolder]struct{}), changed: make(chan struct{})}
		l.tables[id] = t
	}
	return t
}

// Share takes a table for h. The error is ctx's, as 1205 when its time is over.
func (l *Locks) Share(ctx context.Context, h *LockHolder, id int64) error {
	if _, ok := h.held[id]; ok {
		return nil
	}
	if len(h.held) == 0 {
		h.epoch.Store(l.epoch())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.lock(id)
	for t.exclusive || t.waiting > 0 {
		if err := l.wait(ctx, t); err != nil {
			l.forget(id)
			return err
		}
		t = l.lock(id)
	}
	t.shared[h] = struct{}{}
	h.held[id] = struct{}{}
	return nil
}

// Release gives back all that h holds.
func (l *Locks) Release(h *LockHolder) {
	if len(h.held) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range h.held {
		t := l.tables[id]
		delete(t.shared, h)
		t.wake()
		l.forget(id)
	}
	clear(h.held)
	h.epoch.Store(0)
}

// Exclude takes tables alone, in the order of their ids so that two changes cannot wait for each other, and returns
// what gives them back.
func (l *Locks) Exclude(ctx context.Context, ids ...int64) (release func(), err error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for i, id := range ids {
		if err := l.exclude(ctx, id); err != nil {
			l.releaseExclusive(ids[:i])
			return nil, err
		}
	}
	return func() { l.releaseExclusive(ids) }, nil
}

func (l *Locks) exclude(ctx context.Context, id int64) error { return l.queue(id)(ctx) }

// queue keeps newcomers from a table from now on; what it returns, which must be called, waits until nobody has it.
func (l *Locks) queue(id int64) (taken func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.lock(id)
	t.waiting++
	return func(ctx context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for t.exclusive || len(t.shared) > 0 {
			if err := l.wait(ctx, t); err != nil {
				t.waiting--
				t.wake()
				l.forget(id)
				return err
			}
		}
		t.waiting--
		t.exclusive = true
		return nil
	}
}

func (l *Locks) releaseExclusive(ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		t := l.tables[id]
		t.exclusive = false
		t.wake()
		l.forget(id)
	}
}

// wait releases the mutex until something of t is released.
func (l *Locks) wait(ctx context.Context, t *tableLock) error {
	changed := t.changed
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return waitError(ctx)
	}
}

func (t *tableLock) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// forget drops the entry of a table that nobody uses or waits for.
func (l *Locks) forget(id int64) {
	if t := l.tables[id]; t != nil && !t.exclusive && t.waiting == 0 && len(t.shared) == 0 {
		delete(l.tables, id)
	}
}
