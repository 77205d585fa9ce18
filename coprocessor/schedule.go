package coprocessor

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"golang.org/x/sync/semaphore"

	"github.com/scree-db/scree/storage"
)

// slots bound how many requests compute at a time. Waiting is first come, first served, and a request gives its slot
// away between batches, so a short request waits for a batch of a long one, not for its end.
type slots struct {
	n       int64
	sem     *semaphore.Weighted
	waiting atomic.Int64
	turn    atomic.Int64 // how long a slot is held while others wait, smoothed, in nanoseconds
	now     func() time.Time
}

func newSlots(n int, now func() time.Time) *slots {
	return &slots{n: int64(n), sem: semaphore.NewWeighted(int64(n)), now: now}
}

// queue returns the slot of a request, not held yet. A request that asks for it is refused when it would have to wait
// longer than it is ready to.
func (s *slots) queue(pb *kvrpcpb.Context) (*slot, error) {
	wait := time.Duration(s.waiting.Load() * s.turn.Load() / s.n).Milliseconds()
	if limit := pb.GetBusyThresholdMs(); limit > 0 && wait > int64(limit) {
		return nil, &storage.RegionError{Pb: &errorpb.Error{
			Message: "the server is busy: queries wait for others",
			ServerIsBusy: &errorpb.ServerIsBusy{
				Reason: "estimated wait time exceeds threshold", EstimatedWaitMs: uint32(min(wait, math.MaxUint32)),
			},
		}}
	}
	return &slot{s: s}, nil
}

// held takes in for how long a slot was held.
func (s *slots) held(d time.Duration) {
	const weight = 8
	old := s.turn.Load()
	s.turn.Store(old + (int64(d)-old)/weight) // one that is lost to another's at the same time does not matter
}

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
	s        *slots
	held     bool
	taken    time.Time
	breather *breather // while held
}

// take waits for the slot if it is not held.
func (t *slot) take(ctx context.Context) error {
	if t == nil || t.held {
		return nil
	}
	if err := t.s.acquire(ctx); err != nil {
		return err
	}
	t.held, t.taken = true, t.s.now()
	t.breather = breathers.Get().(*breather)
	return nil
}

// give hands the slot back, for good or while the request waits for something else.
func (t *slot) give() {
	if t != nil && t.held {
		t.s.held(t.s.now().Sub(t.taken))
		t.s.sem.Release(1)
		t.held = false
		breathers.Put(t.breather)
	}
}

// yield lets the next in the queue go first, if there is one, and at times all that needs little.
func (t *slot) yield(ctx context.Context) error {
	if t == nil {
		return nil
	}
	now := t.s.now()
	if t.s.waiting.Load() == 0 {
		t.taken = now // nobody has waited for this one so far
		return t.breather.pause(now)
	}
	t.give()
	return t.take(ctx)
}
