package session

import (
	"context"
	"errors"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// locksEarly reports whether the transaction about to begin is pessimistic: as BEGIN said, else as tidb_txn_mode says; a
// statement by itself only when it is in others' way.
func (s *Session) locksEarly() bool {
	switch {
	case !s.inTransaction():
		return s.contended
	case s.txnMode != "":
		return s.txnMode == ast.Pessimistic
	default:
		return s.vars["tidb_txn_mode"] == "pessimistic"
	}
}

// readCommitted shows a statement what has been committed by now, if its transaction's level is READ-COMMITTED. Statements that
// change or lock rows read so in any case.
func (s *Session) readCommitted(ctx context.Context) error {
	if s.txn == nil || !s.txn.readCommitted {
		return nil
	}
	return s.txn.kv.ReadNewest(ctx)
}

// conflictsMax bounds how often a statement of a pessimistic transaction is run until it finds its rows as it had read them.
const conflictsMax = 256

// underLocks runs a statement of a pessimistic transaction: try reads the newest rows, does what there is to do to the
// transaction's buffer, and returns the keys to lock. If one of them has changed since try read, it is run again; what it wrote
// before is undone. fresh: the transaction began with this statement, and its snapshot is new enough.
func (r *run) underLocks(fresh bool, wait time.Duration, try func() (keys [][]byte, err error)) error {
	txn := r.s.txn
	before := txn.kv.Savepoint()
	for attempt := 1; ; attempt++ {
		if attempt > 1 || !fresh {
			if err := txn.kv.ReadNewest(r.ctx); err != nil {
				return err
			}
		}
		keys, err := try()
		if err == nil {
			r.s.locking(true)
			err = txn.kv.Lock(r.ctx, keys, wait)
			r.s.locking(false)
		}
		if !isConflict(err) || attempt == conflictsMax {
			return r.lockError(txn, err)
		}
		txn.kv.RollbackTo(before)
	}
}

// lockError gives errors of locking MySQL's meaning. A deadlock ends the transaction, so that the others can go on.
func (r *run) lockError(txn *transaction, err error) error {
	var timeout *kvclient.LockTimeoutError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &timeout):
		return mysql.NewErr(mysql.ErrLockWaitTimeout)
	case isDeadlock(err) && r.s.inTransaction():
		r.s.rollback()
	}
	return r.s.commitError(r.ctx, txn.kv, err)
}

// lockWait is how long a statement waits for a lock.
func (s *Session) lockWait() time.Duration {
	return time.Duration(s.intVar("innodb_lock_wait_timeout")) * time.Second
}

// changeUnderLocks runs a data change that locks the rows it reads to change them. LOAD DATA, whose file comes once, cannot
// be run again: what it writes is checked at COMMIT.
func (r *run) changeUnderLocks(env *dml.Env, fresh bool) (res *dml.Result, err error) {
	if _, once := r.stmt.(*ast.LoadDataStmt); once {
		env.CheckNow = true
		return r.change(env)
	}
	before := env.Txn.Savepoint()
	needsLock := dml.NeedsLock(r.s.srv.catalog.Current().ByID)
	warnings := r.env.Expr.Warnings
	defer env.Txn.ReadSnapshot()
	err = r.underLocks(fresh, r.s.lockWait(), func() (keys [][]byte, err error) {
		warnings.List, warnings.Count = nil, 0
		env.Found = func(key []byte) { keys = append(keys, key) }
		if res, err = r.change(env); err != nil {
			return nil, err
		}
		for _, key := range env.Txn.WrittenSince(before) {
			if needsLock(key) {
				keys = append(keys, key)
			}
		}
		return keys, nil
	})
	return res, err
}

// wantsLocks reports whether a SELECT has a locking clause that matters. Outside of a transaction there is nothing to
// protect: its rows are those of one snapshot. SKIP LOCKED leaves out the rows that others hold all the same.
func (r *run) wantsLocks(stmt *ast.SelectStmt) bool {
	return stmt.LockInfo != nil && stmt.LockInfo.LockType != ast.SelectLockNone &&
		(r.s.inTransaction() || planner.SkipsLocked(stmt.LockInfo))
}

// lockingSelect runs SELECT ... FOR UPDATE and FOR SHARE. All rows are there and locked before the first is sent.
func (r *run) lockingSelect(stmt *ast.SelectStmt, w *wire.Writer) error {
	if r.s.inPast() {
		return errPastLock
	}
	wait, ignored, err := r.lockClause(stmt.LockInfo)
	if err != nil {
		return err
	}
	plain := *stmt
	plain.LockInfo = nil
	if ignored {
		return r.query(&plain, w)
	}
	if !r.s.inTransaction() {
		r.s.contended = true // locks, if only for as long as the statement runs
		defer func() { r.s.contended = false }()
	}
	fresh := r.s.txn == nil
	env, err := r.dmlEnv()
	if err != nil {
		return err
	}
	q, err := planner.PlanLocking(r.planContext(), stmt)
	if err != nil {
		return err
	}
	if txn := r.s.txn; txn.pessimistic {
		defer txn.kv.ReadSnapshot()
	}
	find := dml.FindRows
	if planner.SkipsLocked(stmt.LockInfo) {
		find = dml.FreeRows
	}
	rows, err := r.lockRows(fresh, wait, func() (*dml.LockedRows, error) { return find(r.ctx, env, q) })
	if err != nil {
		return err
	}
	defer rows.Close()
	if q.Separate {
		return r.query(&plain, w)
	}
	nameLikeMySQL(q.Query, stmt)
	return r.send(wireColumns(q.Fields), shown(q.Query, rows), w)
}

// lockRows finds rows and locks them, in a pessimistic transaction as they are by then.
func (r *run) lockRows(fresh bool, wait time.Duration, find func() (*dml.LockedRows, error)) (rows *dml.LockedRows, err error) {
	try := func() (_ [][]byte, err error) {
		if rows != nil {
			rows.Close()
		}
		if rows, err = find(); err != nil {
			return nil, err
		}
		return rows.Keys, nil
	}
	txn := r.s.txn
	if txn.pessimistic {
		err = r.underLocks(fresh, wait, try)
	} else if _, err = try(); err == nil {
		err = txn.kv.Lock(r.ctx, rows.Keys, wait)
	}
	if err != nil && rows != nil {
		rows.Close()
	}
	return rows, err
}

// shown are the rows without the columns that only locking needed.
func shown(q *planner.Query, rows *dml.LockedRows) executor.Operator {
	offsets := make([]uint32, len(q.Fields))
	fields := make([]*tipb.FieldType, len(q.Fields))
	for i, f := range q.Fields {
		offsets[i], fields[i] = uint32(i), f.Type
	}
	return pick(executor.NewValues(q.Root.Types(), rows.Batches()...), offsets, fields)
}

// lockClause says how long a locking clause waits, or that it is to be ignored. Locks are exclusive: FOR SHARE takes them like
// FOR UPDATE, unless tidb_enable_shared_lock_promotion forbids.
func (r *run) lockClause(lock *ast.SelectLockInfo) (wait time.Duration, ignored bool, err error) {
	shared := false
	switch lock.LockType {
	case ast.SelectLockForShare, ast.SelectLockForShareNoWait, ast.SelectLockForShareSkipLocked:
		shared = true
	}
	if shared && r.s.vars["tidb_enable_shared_lock_promotion"] != "ON" {
		if r.s.vars["tidb_enable_noop_functions"] == "ON" {
			return 0, true, nil
		}
		return 0, false, errNotSupported("LOCK IN SHARE MODE without tidb_enable_shared_lock_promotion")
	}
	switch lock.LockType {
	case ast.SelectLockForUpdateNoWait, ast.SelectLockForShareNoWait:
		return kvclient.NoWait, false, nil
	case ast.SelectLockForUpdateWaitN:
		return time.Duration(min(lock.WaitSec, yearSeconds)) * time.Second, false, nil
	default:
		return r.s.lockWait(), false, nil
	}
}
