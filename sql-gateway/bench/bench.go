// Package bench loads a gateway with work and measures it, over MySQL's protocol like any client: TPC-H's queries (TPCH), point
// queries (Point), and transfers between accounts (Bank). Each checks the answers that it gets; a wrong one is ErrWrong, not a
// slow one. Times are taken at the client.
//
// Point and Bank are Workloads: Run prepares one, has workers repeat its operation on connections of their own, and
// checks what is left in the end.
package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/go-sql-driver/mysql"
)

// Database is where workloads have their tables, but for TPC-H.
const Database = "scree_bench"

// ErrWrong is in the chain of the error of a run whose answers were not right.
var ErrWrong = errors.New("wrong answer")

// Workload is an operation that many clients repeat.
type Workload interface {
	// Prepare makes the tables and rows, unless they are there.
	Prepare(ctx context.Context, db *sql.DB) error
	// Client readies one of the clients, which has conn to itself until closed.
	Client(ctx context.Context, conn *sql.Conn) (Client, error)
	// Check looks at what the operations have left.
	Check(ctx context.Context, db *sql.DB) error
}

// Client is one of those that work at the same time. One goroutine.
type Client interface {
	// Do performs the operation once, with random choices by r.
	Do(ctx context.Context, r *rand.Rand) error
	Close() error
}

// Load says how much of a workload to run.
type Load struct {
	Clients  int
	Warmup   time.Duration // before times count
	Duration time.Duration
	Seed     uint64
	// Progress, if not nil, is told once a second how many operations were done in it. One call at a time.
	Progress func(elapsed time.Duration, done int64)
}

// Result is what a run has measured.
type Result struct {
	Operations int64
	Conflicts  int64 // operations that another one was in the way of, as the protocol allows: not counted above
	Took       time.Duration
	Latency    *hdrhistogram.Histogram // of the operations, in microseconds
}

// Rate is operations a second.
func (r *Result) Rate() float64 { return float64(r.Operations) / r.Took.Seconds() }

// latencyMax bounds the histogram; longer times count as this.
const latencyMax = 10 * time.Minute

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax.Microseconds(), 3)
}

// Run prepares w, runs l of it, and checks it. The first error of a client but for a conflict ends the run.
func Run(ctx context.Context, db *sql.DB, w Workload, l Load) (*Result, error) {
	if err := w.Prepare(ctx, db); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	db.SetMaxIdleConns(l.Clients)
	workers := make([]*worker, l.Clients)
	for i := range workers {
		var err error
		if workers[i], err = newWorker(ctx, db, w, rand.New(rand.NewPCG(l.Seed, uint64(i)))); err != nil {
			return nil, errors.Join(err, closeAll(workers[:i]))
		}
	}
	result, err := drive(ctx, workers, l)
	if err := errors.Join(err, closeAll(workers)); err != nil {
		return nil, err
	}
	if err := w.Check(ctx, db); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	return result, nil
}

// drive lets the workers run for the time of the load.
func drive(ctx context.Context, workers []*worker, l Load) (*Result, error) {
	begin := time.Now()
	from, until := begin.Add(l.Warmup), begin.Add(l.Warmup+l.Duration)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			if err := w.run(ctx, from, until); err != nil {
				cancel(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() {
		all.Wait()
		close(finished)
	}()
	report(workers, l.Progress, finished)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return sum(workers, l.Duration), nil
}

// report tells progress every second until finished.
func report(workers []*worker, progress func(time.Duration, int64), finished <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	begin, last := time.Now(), int64(0)
	for {
		select {
		case <-finished:
			return
		case now := <-ticker.C:
			var done int64
			for _, w := range workers {
				done += w.done.Load()
			}
			if progress != nil {
				progress(now.Sub(begin), done-last)
			}
			last = done
		}
	}
}

func sum(workers []*worker, took time.Duration) *Result {
	r := &Result{Took: took, Latency: newHistogram()}
	for _, w := range workers {
		r.Conflicts += w.conflicts
		r.Latency.Merge(w.latency)
	}
	r.Operations = r.Latency.TotalCount()
	return r
}

func closeAll(workers []*worker) error {
	var errs []error
	for _, w := range workers {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// isConflict reports whether a transaction has to be run again, as MySQL's and TiDB's clients are told: deadlock, lock wait
// over, write conflict.
func isConflict(err error) bool {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case 1205, 1213, 8002, 8022, 9007:
		return true
	}
	return false
}
