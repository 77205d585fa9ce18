// Package gcworker moves the safe points of a cluster, so that its stores can drop what nobody reads any more.
//
// Every gateway runs a Worker. Each tells the placement driver of its oldest transaction, as a barrier that safe points
// do not pass; and one of them, which holds a lease in the cluster, does the rest each time that tidb_gc_run_interval
// has passed:
//
//	txn safe point   now - tidb_gc_life_time, or the lowest barrier: what began below is refused from now on
//	locks            of transactions that began below are resolved, wherever they are
//	gc safe point    is raised to the same: the stores follow it
//
// The lease, the last run and the settings are records in the meta key space, under m_gc, written by transactions.
// Timestamps of the cluster are the only clock.
package gcworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// SafePoints are the placement driver's.
type SafePoints interface {
	GCState(ctx context.Context) (*pdpb.GCState, error)
	// AdvanceTxnSafePoint raises the txn safe point as far as barriers allow, tells how far, and what held it.
	AdvanceTxnSafePoint(ctx context.Context, target uint64) (ts uint64, blocker string, err error)
	AdvanceGCSafePoint(ctx context.Context, target uint64) error
	SetGCBarrier(ctx context.Context, id string, ts uint64, ttl time.Duration) error
	DeleteGCBarrier(ctx context.Context, id string) error
}

// Options of a Worker. All but Logger and Tick are needed.
type Options struct {
	// ID tells this gateway from others.
	ID         string
	Client     *kvclient.Client
	SafePoints SafePoints
	// OldestTS is the least start timestamp of the transactions that run here and began at or above a timestamp, 0 if
	// there are none.
	OldestTS func(from uint64) uint64
	// Apply receives the settings of the cluster whenever they are read.
	Apply  func(Settings)
	Logger *slog.Logger
	// Tick is how often the worker looks at everything, 10 s by default.
	Tick time.Duration
}

// Worker is run by one goroutine.
type Worker struct {
	o       Options
	barrier bool // is set
}

// New makes a Worker; Run is its life.
func New(o Options) *Worker {
	if o.Tick <= 0 {
		o.Tick = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{o: o}
}

// Run works until ctx is done. Then barrier and lease are given up.
func (w *Worker) Run(ctx context.Context) {
	tick := time.NewTicker(w.o.Tick)
	defer tick.Stop()
	for {
		if err := w.Step(ctx); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("garbage collection: safe points", "err", err)
		}
		select {
		case <-ctx.Done():
			w.leave(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		}
	}
}

// Step does what there is to do now.
func (w *Worker) Step(ctx context.Context) error {
	now, err := w.o.Client.TS(ctx)
	if err != nil {
		return err
	}
	settings, err := LoadSettings(ctx, w.o.Client)
	if err != nil {
		return err
	}
	w.o.Apply(settings)
	if err := w.hold(ctx, now, settings); err != nil {
		return err
	}
	state, leads, err := w.lead(ctx, now)
	if err != nil || !leads || !settings.Enable {
		return err
	}
	if state.LastRun != 0 && before(now, settings.RunInterval) < state.LastRun {
		return nil
	}
	return w.collect(ctx, now, settings)
}

// before is the timestamp that lies d before ts.
func before(ts uint64, d time.Duration) uint64 {
	ms := uint64(d.Milliseconds()) << physicalShift
	return ts - min(ts, ms)
}

// physicalShift makes a timestamp of milliseconds.
const physicalShift = 18

// A barrier outlives the gateway that set it by barrierTicks, or by barrierMin where ticks are so short that one delay would
// let it expire.
const (
	barrierTicks = 12
	barrierMin   = 10 * time.Second
)

// hold keeps safe points below the transactions of this gateway: of those that are not older than anyone waits for, nor below
// the safe point already. Such a one is given up; its next request will tell the client.
func (w *Worker) hold(ctx context.Context, now uint64, s Settings) error {
	oldest := w.endangered(now, before(now, s.MaxWait))
	if oldest != 0 {
		state, err := w.o.SafePoints.GCState(ctx)
		if err != nil {
			return err
		}
		if oldest < state.TxnSafePoint {
			oldest = w.endangered(now, state.TxnSafePoint)
		}
	}
	if oldest == 0 {
		return w.letGo(ctx)
	}
	if err := w.o.SafePoints.SetGCBarrier(ctx, w.barrierID(), oldest, max(barrierTicks*w.o.Tick, barrierMin)); err != nil {
		return fmt.Errorf("keep the versions that transaction %d reads: %w", oldest, err)
	}
	w.barrier = true
	return nil
}

// endangered is the start timestamp of the oldest transaction at or above from, 0 if it is younger than a few ticks: it is in no
// danger then, as no life time is that short.
func (w *Worker) endangered(now, from uint64) uint64 {
	oldest := w.o.OldestTS(from)
	if oldest > before(now, w.o.Tick) {
		return 0
	}
	return oldest
}

// letGo takes the barrier away.
func (w *Worker) letGo(ctx context.Context) error {
	if !w.barrier {
		return nil
	}
	w.barrier = false
	return w.o.SafePoints.DeleteGCBarrier(ctx, w.barrierID())
}

func (w *Worker) barrierID() string { return "gateway/" + w.o.ID }

// collect moves the safe points. What a run that ended halfway has left is done by the next.
func (w *Worker) collect(ctx context.Context, now uint64, s Settings) error {
	state, err := w.o.SafePoints.GCState(ctx)
	if err != nil {
		return err
	}
	safePoint, blocker := state.TxnSafePoint, ""
	if target := before(now, s.LifeTime); target > safePoint {
		if safePoint, blocker, err = w.o.SafePoints.AdvanceTxnSafePoint(ctx, target); err != nil {
			return err
		}
	}
	if blocker != "" {
		w.o.Logger.Info("the safe point is held back", "at", safePoint, "by", blocker)
	}
	if safePoint > state.GcSafePoint {
		if err := w.release(ctx, safePoint); err != nil {
			return err
		}
	}
	return w.ran(ctx, now, safePoint)
}

// release lets the stores collect up to the txn safe point.
func (w *Worker) release(ctx context.Context, safePoint uint64) error {
	locks, err := w.o.Client.ResolveBelow(ctx, safePoint)
	if err != nil {
		return fmt.Errorf("resolve locks below safe point %d: %w", safePoint, err)
	}
	if err := w.o.SafePoints.AdvanceGCSafePoint(ctx, safePoint); err != nil {
		return err
	}
	w.o.Logger.Info("safe point moved", "safe_point", safePoint, "locks_resolved", locks)
	return nil
}

// leaveMax bounds the time for giving up barrier and lease.
const leaveMax = 2 * time.Second

func (w *Worker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveMax)
	defer cancel()
	if err := errors.Join(w.letGo(ctx), w.resign(ctx)); err != nil {
		w.o.Logger.Debug("garbage collection: the lease runs out by itself", "err", err)
	}
}
