package bench

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// worker is a client at work, and what it has measured.
type worker struct {
	conn      *sql.Conn
	client    Client
	rand      *rand.Rand
	done      atomic.Int64 // operations, with those of the warm-up
	conflicts int64
	latency   *hdrhistogram.Histogram
}

func newWorker(ctx context.Context, db *sql.DB, w Workload, r *rand.Rand) (*worker, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	client, err := w.Client(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &worker{conn: conn, client: client, rand: r, latency: newHistogram()}, nil
}

func (w *worker) close() error { return errors.Join(w.client.Close(), w.conn.Close()) }

// run repeats the operation until the time is over; those that begin after from count.
func (w *worker) run(ctx context.Context, from, until time.Time) error {
	for {
		begin := time.Now()
		if begin.After(until) {
			return nil
		}
		err := w.client.Do(ctx, w.rand)
		counts := !begin.Before(from)
		switch {
		case isConflict(err):
			if counts {
				w.conflicts++
			}
			continue
		case err != nil:
			return err
		}
		w.done.Add(1)
		if counts {
			took := min(time.Since(begin), latencyMax)
			if err := w.latency.RecordValue(max(took.Microseconds(), 1)); err != nil {
				return err
			}
		}
	}
}
