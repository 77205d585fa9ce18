package pd

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	logicalBits = 18
	logicalMax  = 1<<logicalBits - 1
	// tsoWindow is how far ahead of the clock the durable bound runs. After a crash timestamps start at the bound, so a
	// longer window saves writes and costs a longer time during which physical time stands still.
	tsoWindow = 3 * time.Second
)

// Timestamp is physical milliseconds and a counter within them, as one number: physical<<18 | logical.
type Timestamp uint64

// Physical is the milliseconds of t.
func (t Timestamp) Physical() int64 { return int64(t >> logicalBits) }

// Logical is the counter of t.
func (t Timestamp) Logical() int64 { return int64(t & logicalMax) }

// Oracle hands out timestamps that strictly increase over the life of a cluster.
//
// The invariant: no timestamp is handed out at or above bound, and bound is durable before it takes effect. So whoever
// starts from the stored bound starts above everything that was ever handed out. Time that runs backwards only makes
// the physical part stand still while the logical part counts; when that is used up the physical part steps ahead.
type Oracle struct {
	state State
	now   func() time.Time

	saveMu sync.Mutex // held while the bound is written; taken before mu

	mu    sync.Mutex
	last  Timestamp
	count uint64 // given out since the start
	bound int64  // milliseconds; protected by mu, changed under saveMu only
}

// newOracle continues from the stored bound.
func newOracle(ctx context.Context, state State, now func() time.Time) (*Oracle, error) {
	o := &Oracle{state: state, now: now}
	bound, err := loadInt(ctx, state, keyTSO)
	if err != nil {
		return nil, err
	}
	o.bound = int64(bound)
	start := max(o.bound, now().UnixMilli())
	o.last = Timestamp(start) << logicalBits
	return o, o.extend(ctx, start)
}

// Next reserves count timestamps and returns the last: they are [last-count+1, last].
func (o *Oracle) Next(ctx context.Context, count uint32) (Timestamp, error) {
	if count == 0 || count > logicalMax {
		return 0, fmt.Errorf("timestamp count %d is not in [1, %d]", count, logicalMax)
	}
	for {
		last, ok, want := o.take(count)
		if ok {
			return last, nil
		}
		if err := o.extend(ctx, want); err != nil {
			return 0, err
		}
	}
}

// take is Next if the bound allows it; else want is the millisecond that the bound must exceed.
func (o *Oracle) take(count uint32) (last Timestamp, ok bool, want int64) {
	now := o.now().UnixMilli()
	o.mu.Lock()
	defer o.mu.Unlock()
	physical, logical := o.last.Physical(), o.last.Logical()+int64(count)
	if now > physical {
		physical, logical = now, int64(count)
	} else if logical > logicalMax {
		physical, logical = physical+1, int64(count)
	}
	if physical >= o.bound {
		return 0, false, physical
	}
	o.last = Timestamp(physical)<<logicalBits | Timestamp(logical)
	o.count += uint64(count)
	return o.last, true, 0
}

// given is the last timestamp that was handed out, and how many were since the start.
func (o *Oracle) given() (last Timestamp, count uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.count
}

// extend makes the bound durable at a window past the given millisecond.
func (o *Oracle) extend(ctx context.Context, past int64) error {
	o.saveMu.Lock()
	defer o.saveMu.Unlock()
	o.mu.Lock()
	enough := o.bound > past
	o.mu.Unlock()
	if enough {
		return nil // somebody else extended it while this call waited
	}
	return o.saveBound(ctx, past+tsoWindow.Milliseconds())
}

// saveBound writes and then uses a new bound. The caller holds saveMu.
func (o *Oracle) saveBound(ctx context.Context, bound int64) error {
	err := o.state.Save(ctx, Pair{keyTSO, strconv.AppendInt(nil, bound, 10)})
	if err != nil {
		return fmt.Errorf("save the bound of timestamps: %w", err)
	}
	o.mu.Lock()
	o.bound = bound
	o.mu.Unlock()
	return nil
}

// refresh moves the bound ahead in good time, so that Next need not wait for it. While nobody asks for timestamps it
// does nothing.
func (o *Oracle) refresh(ctx context.Context) error {
	now := o.now().UnixMilli()
	half := tsoWindow.Milliseconds() / 2
	o.saveMu.Lock()
	defer o.saveMu.Unlock()
	o.mu.Lock()
	used := o.last.Physical() > o.bound-2*half
	ample := o.bound-now > half
	bound := max(o.bound, now+2*half)
	o.mu.Unlock()
	if !used || ample {
		return nil
	}
	return o.saveBound(ctx, bound)
}

// release gives back the unused part of the window. The next timestamp extends it again.
func (o *Oracle) release(ctx context.Context) error {
	o.saveMu.Lock()
	defer o.saveMu.Unlock()
	o.mu.Lock()
	// Lowered before it is written: whoever asks meanwhile waits for saveMu, and then extends from here.
	o.bound = o.last.Physical() + 1
	bound := o.bound
	o.mu.Unlock()
	return o.saveBound(ctx, bound)
}

// loadInt reads a decimal, 0 if there is none.
func loadInt(ctx context.Context, s State, key string) (uint64, error) {
	pairs, err := s.Load(ctx, key)
	if err != nil {
		return 0, err
	}
	for _, p := range pairs {
		if p.Key != key {
			continue
		}
		v, err := strconv.ParseUint(string(p.Value), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stored %s is not a number: %w", key, err)
		}
		return v, nil
	}
	return 0, nil
}
