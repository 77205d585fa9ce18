package session

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// past is a moment that reads go back to, with the schema of that time. There are five ways there, as in TiDB:
//
//	SELECT ... FROM t AS OF TIMESTAMP x              this statement
//	SET TRANSACTION READ ONLY AS OF TIMESTAMP x      the next transaction or query (Session.nextPast)
//	START TRANSACTION READ ONLY AS OF TIMESTAMP x    this transaction
//	SET tidb_read_staleness = -n                     queries outside of transactions: what replicas know, n seconds old at most
//	SET tidb_snapshot = x                            everything until it is set to '' (Session.snapshot)
//
// A transaction of the past (transaction.past) reads from all replicas in turn, and does not write.
type past struct {
	ts     uint64
	schema *catalog.Snapshot
}

// physicalShift makes a timestamp of milliseconds.
const physicalShift = 18

// reading is the moment that the session's statements see, nil for the present.
func (s *Session) reading() *past {
	if s.txn != nil {
		return s.txn.past
	}
	return s.snapshot
}

// inPast reports whether the running transaction is one of the past.
func (s *Session) inPast() bool { return s.txn != nil && s.txn.past != nil }

// schema is the one that the session's statements see.
func (s *Session) schema() *catalog.Snapshot {
	if p := s.reading(); p != nil {
		return p.schema
	}
	return s.srv.catalog.Current()
}

// lookBack finds the schema of a time, unless it is still to come, or its versions may have been collected. Versions at the
// startTS of a session are kept from then on.
func (s *Session) lookBack(ctx context.Context, ts uint64) (*past, error) {
	if err := s.reached(ctx, ts); err != nil {
		return nil, err
	}
	if points := s.srv.cfg.SafePoints; points != nil {
		state, err := points.GCState(ctx)
		if err != nil {
			return nil, err
		}
		if safe := max(state.TxnSafePoint, state.GcSafePoint); ts < safe {
			return nil, sqlError(codeGCTooEarly, "GC life time is shorter than transaction duration, transaction starts at %s, GC safe point is %s",
				s.timeOf(ts), s.timeOf(safe))
		}
	}
	schema, err := s.srv.catalog.At(ctx, ts)
	return &past{ts, schema}, err
}

// timeOf shows a timestamp as the session's time.
func (s *Session) timeOf(ts uint64) string {
	return time.UnixMilli(int64(ts >> physicalShift)).In(s.location).Format("2006-01-02 15:04:05.000 -0700")
}

// goBack begins a transaction at a time of the past.
func (s *Session) goBack(ctx context.Context, ts uint64) error {
	s.startTS.Store(ts) // before looking whether its versions are there: they stay
	p, err := s.lookBack(ctx, ts)
	if err != nil {
		s.startTS.Store(0)
		return err
	}
	s.txn = &transaction{kv: s.srv.client.BeginAt(ts), past: p, rows: make(map[int64]int64)}
	return nil
}

// nextTS is the time that the transaction about to begin goes back to, 0 for the present.
func (s *Session) nextTS() uint64 {
	if ts := s.nextPast; ts != 0 {
		s.nextPast = 0
		return ts
	}
	if s.snapshot != nil {
		return s.snapshot.ts
	}
	return 0
}

// errAsOf is TiDB's error 8135.
func errAsOf(cause string) error {
	return sqlError(codeAsOf, "invalid as of timestamp: %s", cause)
}

// TiDB's errors about changes of the past have no codes of their own.
var (
	errPastTransaction = sqlError(mysql.ErrUnknown, "only support read-only statement during read-only staleness transactions")
	errPastLock        = sqlError(mysql.ErrUnknown, "select lock hasn't been supported in stale read yet")
	errSnapshotWrite   = sqlError(mysql.ErrUnknown, "can not execute write statement when 'tidb_snapshot' is set")
)

// mayWrite refuses what would change the past.
func (s *Session) mayWrite() error {
	switch {
	case s.inPast() || s.nextPast != 0:
		return errPastTransaction
	case s.snapshot != nil:
		return errSnapshotWrite
	default:
		return nil
	}
}

// pastTable finds a table in the schema of the time that is read.
func (r *run) pastTable(p *past, db, name string) (*catalog.Table, error) {
	t, err := p.schema.Table(db, name)
	if err != nil {
		return nil, planError(err)
	}
	if t.Virtual || t.View != nil {
		return t, nil
	}
	if err := r.lock(t); err != nil {
		return nil, planError(err)
	}
	t, err = r.s.srv.catalog.Kept(t)
	return t, planError(err)
}
