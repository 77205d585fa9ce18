package coprocessor

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// slots bound how many requests compute at a time. Waiting is first come, first served, and a request gives its slot
// away between batches, so a short request waits for a batch of a long one, not for its end.
type slots struct {
	sem     *semaphore.Weighted
	waiting atomic.Int32
}

func newSlots(n int) *slots { return &slots{sem: semaphore.NewWeighted(int64(n))} }

func (s *slots) acquire(ctx context.Context) error {
	if s.sem.TryAcquire(1) {
		return nil
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	return s.sem.Acquire(ctx, 1)
}

// slot is one request's share: nil for requests that are too small to queue.
type slot struct {
	s    *slots
	held bool
}

// take waits for the slot if it is not held.
func (t *slot) take(ctx context.Context) error {
	if t == nil || t.held {
		return nil
	}
	if err := t.s.acquire(ctx); err != nil {
		return err
	}
	t.held = true
	return nil
}

// give hands the slot back, for good or while the request waits for something else.
func (t *slot) give() {
	if t != nil && t.held {
		t.s.sem.Release(1)
		t.held = false
	}
}

// yield lets the next in the queue go first, if there is one.
func (t *slot) yield(ctx context.Context) error {
	if t == nil || t.s.waiting.Load() == 0 {
		return nil
	}
	t.give()
	return t.take(ctx)
}
