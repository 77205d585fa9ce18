package gcworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// leaseKey holds a state as JSON.
var leaseKey = []byte("m_gc_lease")

// leaseTime is how long a leader that is not heard of is waited for. It is renewed when half of it is over.
const leaseTime = 2 * time.Minute

// state is who leads, and what was done last.
type state struct {
	Leader    string `json:"leader"`
	Expires   uint64 `json:"expires"`    // timestamp
	LastRun   uint64 `json:"last_run"`   // timestamp
	SafePoint uint64 `json:"safe_point"` // of the last run
}

// errNotLeader ends an update of the state.
var errNotLeader = errors.New("another gateway holds the lease")

// lead takes or renews the lease if it can be had.
func (w *Worker) lead(ctx context.Context, now uint64) (s state, leads bool, err error) {
	s, err = w.update(ctx, func(s *state) (write bool, err error) {
		switch mine := s.Leader == w.o.ID; {
		case !mine && s.Expires > now:
			return false, errNotLeader
		case mine && before(s.Expires, leaseTime/2) > now:
			return false, nil
		}
		s.Leader, s.Expires = w.o.ID, after(now, leaseTime)
		return true, nil
	})
	var conflict *kvclient.WriteConflictError
	if errors.Is(err, errNotLeader) || errors.As(err, &conflict) {
		return s, false, nil
	}
	return s, err == nil, err
}

// ran notes a run.
func (w *Worker) ran(ctx context.Context, now, safePoint uint64) error {
	_, err := w.update(ctx, func(s *state) (bool, error) {
		if s.Leader != w.o.ID {
			return false, errNotLeader
		}
		s.LastRun, s.SafePoint = now, safePoint
		return true, nil
	})
	return err
}

// resign lets another gateway have the lease at once.
func (w *Worker) resign(ctx context.Context) error {
	_, err := w.update(ctx, func(s *state) (bool, error) {
		if s.Leader != w.o.ID {
			return false, nil
		}
		s.Expires = 0
		return true, nil
	})
	return err
}

// update changes the state in a transaction.
func (w *Worker) update(ctx context.Context, change func(*state) (write bool, err error)) (s state, err error) {
	err = inTxn(ctx, w.o.Client, leaseKey, func(old []byte) ([]byte, error) {
		if err := decode(old, &s); err != nil {
			return nil, err
		}
		write, err := change(&s)
		if err != nil || !write {
			return nil, err
		}
		return json.Marshal(s)
	})
	return s, err
}

// inTxn reads a key and writes what change makes of it, unless that is nil.
func inTxn(ctx context.Context, c *kvclient.Client, key []byte, change func(old []byte) ([]byte, error)) error {
	txn, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	old, err := txn.Get(ctx, key)
	if err != nil {
		return err
	}
	val, err := change(old)
	if err != nil || val == nil {
		return err
	}
	if err := txn.Set(key, val); err != nil {
		return err
	}
	return txn.Commit(ctx)
}

// decode reads a record that may not be there yet.
func decode(record []byte, to any) error {
	if record == nil {
		return nil
	}
	if err := json.Unmarshal(record, to); err != nil {
		return fmt.Errorf("record of the garbage collection: %w", err)
	}
	return nil
}

// after is the timestamp that lies d after ts.
func after(ts uint64, d time.Duration) uint64 { return ts + uint64(d.Milliseconds())<<physicalShift }
