package kvclient

import (
	"context"
	"fmt"
	"time"
)

// backoffKind is a reason to wait: its first wait and its longest.
type backoffKind struct {
	name        string
	first, most time.Duration
}

var (
	backoffRegion = &backoffKind{"region", 2 * time.Millisecond, 500 * time.Millisecond}
	backoffLeader = &backoffKind{"leader", 2 * time.Millisecond, 200 * time.Millisecond}
	backoffBusy   = &backoffKind{"server busy", 20 * time.Millisecond, time.Second}
	backoffStore  = &backoffKind{"store", 20 * time.Millisecond, time.Second}
	backoffLock   = &backoffKind{"lock", 2 * time.Millisecond, 300 * time.Millisecond}
	backoffPD     = &backoffKind{"placement driver", 50 * time.Millisecond, 2 * time.Second}
)

// Backoff limits the total time that one operation may spend waiting. It belongs to one goroutine; Fork gives another
// goroutine a copy.
type Backoff struct {
	c     *Client
	left  time.Duration
	tries map[*backoffKind]int
	hints int // followed
}

func (c *Client) newBackoff(budget time.Duration) *Backoff { return &Backoff{c: c, left: budget} }

// Fork returns a Backoff with what is left of the budget.
func (b *Backoff) Fork() *Backoff { return b.c.newBackoff(b.left) }

// wait sleeps as the kind's turn demands: doubling, with half of it random. When the budget is spent it returns cause
// wrapped; when ctx ends, its error.
func (b *Backoff) wait(ctx context.Context, k *backoffKind, cause error) error {
	if b.tries == nil {
		b.tries = make(map[*backoffKind]int, 2)
	}
	d := k.most
	if n := b.tries[k]; n < 10 {
		d = min(k.first<<n, k.most)
	}
	b.tries[k]++
	return b.sleep(ctx, k, d/2+time.Duration(b.c.opts.Rand()*float64(d/2)), cause)
}

// hintsMax is how many hints of an operation are followed at once.
const hintsMax = 4

// hint is wait for who was told where to go instead: without a wait the first times, but stores that send a client to each
// other shall not keep it running.
func (b *Backoff) hint(ctx context.Context, k *backoffKind, cause error) error {
	if b.hints++; b.hints <= hintsMax {
		return b.sleep(ctx, k, 0, cause)
	}
	return b.wait(ctx, k, cause)
}

// sleep waits d and takes it from the budget.
func (b *Backoff) sleep(ctx context.Context, k *backoffKind, d time.Duration, cause error) error {
	if b.left <= 0 {
		return &budgetError{kind: k.name, cause: cause}
	}
	b.left -= d
	b.c.metrics.waits[k].Observe(d.Seconds())
	return b.c.opts.Sleep(ctx, d)
}

// budgetError says that the back-off budget is spent, and on what.
type budgetError struct {
	kind  string
	cause error
}

func (e *budgetError) Error() string {
	return fmt.Sprintf("gave up waiting for %s: %v", e.kind, e.cause)
}

func (e *budgetError) Unwrap() error { return e.cause }

// timerSleep is the Options.Sleep of production.
func timerSleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
