package session

import (
	"context"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/dml"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// isChange reports whether dml runs the statement.
func isChange(stmt ast.StmtNode) bool {
	switch stmt.(type) {
	case *ast.InsertStmt, *dml.BulkInsert, *ast.UpdateStmt, *ast.DeleteStmt, *ast.LoadDataStmt:
		return true
	default:
		return false
	}
}

// executeChange runs a data change to its OK packet. Outside a transaction it is optimistic at first. A write conflict at the
// commit, or a lock in its way, runs it again, pessimistically: then it queues for its rows, and deadlocks come to light; LOAD DATA cannot be, because the client sends its file once.
func (s *Session) executeChange(ctx context.Context, stmt ast.StmtNode, text string, args []wire.Param, w *wire.Writer) error {
	if err := s.mayWrite(); err != nil {
		return s.report(ctx, err)
	}
	attempts := retryAttempts
	if _, once := stmt.(*ast.LoadDataStmt); once || s.inTransaction() {
		attempts = 1
	}
	defer func() { s.contended, s.bulk = false, false }()
	for attempt := 1; ; attempt++ {
		s.bulk = s.wantsBulk(stmt)
		res, err := s.tryChange(ctx, stmt, text, args, w, attempts > 1)
		if err == nil {
			return w.OK(s.okOf(res, w))
		}
		if attempt == attempts || !retryable(err) || pause(ctx, attempt) != nil {
			return s.report(ctx, err)
		}
		s.warnings, s.contended = nil, true
	}
}

// tryChange runs the change once and, outside a transaction, commits it. again says that it can be run once more.
func (s *Session) tryChange(ctx context.Context, stmt ast.StmtNode, text string, args []wire.Param, w *wire.Writer, again bool) (*dml.Result, error) {
	r := s.newRun(ctx, stmt, text, args)
	r.w = w
	fresh := s.txn == nil
	env, err := r.dmlEnv()
	if err != nil {
		s.endStatement(-1)
		return nil, err
	}
	before, started := env.Txn.Savepoint(), s.txn
	var res *dml.Result
	if s.txn.pessimistic {
		res, err = r.changeUnderLocks(env, fresh)
	} else {
		if again {
			env.Txn.Impatient()
		}
		res, err = r.change(env)
	}
	r.collectWarnings()
	if err != nil {
		if s.txn != started {
			before = 0 // LOAD DATA went on in a new transaction
		}
		if env.Txn.Bulk() {
			err = sent(env.Txn, s.commitError(ctx, env.Txn, err)) // a flush fails as a commit does
		}
		s.endStatement(before)
		return nil, err
	}
	if s.inTransaction() {
		for id, n := range res.RowDelta {
			s.txn.rows[id] += n
		}
		return res, nil
	}
	// Part of the rows may have been committed on the way (dml.Env.Flush): they count now, with the rest.
	if err := s.commit(ctx); err != nil {
		return nil, sent(env.Txn, err)
	}
	s.srv.catalog.AddRows(res.RowDelta)
	return res, nil
}

// endStatement undoes a failed statement: down to its savepoint inside a transaction, altogether outside of one.
func (s *Session) endStatement(before int) {
	if !s.inTransaction() || s.txn == nil {
		if !s.begun {
			s.rollback()
		}
		return
	}
	if before >= 0 {
		s.txn.kv.RollbackTo(before)
	}
}

func (r *run) change(env *dml.Env) (*dml.Result, error) {
	switch stmt := r.stmt.(type) {
	case *ast.InsertStmt:
		return dml.Insert(r.ctx, env, stmt)
	case *dml.BulkInsert:
		return dml.InsertBulk(r.ctx, env, stmt)
	case *ast.UpdateStmt:
		return dml.Update(r.ctx, env, stmt)
	case *ast.DeleteStmt:
		return dml.Delete(r.ctx, env, stmt)
	case *ast.LoadDataStmt:
		return r.loadData(env, stmt)
	default:
		return nil, errNotSupported("%T", stmt)
	}
}

// dmlEnv makes what dml works in, with a running transaction.
func (r *run) dmlEnv() (*dml.Env, error) {
	txn, err := r.s.transaction(r.ctx)
	if err != nil {
		return nil, err
	}
	env := &dml.Env{
		Plan: r.planContext(), Runtime: r, Txn: txn.kv, IDs: r.s.srv.catalog, Strict: r.s.mode.HasStrictMode(),
		CheckNow: r.s.inTransaction() && !txn.pessimistic,
	}
	if !r.s.inTransaction() && !r.s.bulk {
		b := &batches{s: r.s, env: env}
		env.Flush, env.Settle = b.flush, b.settle
	}
	return env, nil
}

// loadData reads the file from the client. LOAD DATA without LOCAL would read files of the server, which no client
// may do.
func (r *run) loadData(env *dml.Env, stmt *ast.LoadDataStmt) (*dml.Result, error) {
	if stmt.FileLocRef != ast.FileLocClient {
		return nil, sqlError(mysql.ErrNotAllowedCommand, "LOAD DATA without LOCAL is not allowed: the server reads no files of its own")
	}
	if r.s.vars["local_infile"] != "ON" {
		return nil, errCode(mysql.ErrNotAllowedCommand)
	}
	file, err := r.w.LocalFile(stmt.Path)
	if err != nil {
		return nil, err
	}
	res, err := dml.LoadData(r.ctx, env, stmt, file)
	if cerr := file.Close(); cerr != nil {
		return nil, cerr // the stream is broken: nothing else matters
	}
	return res, err
}

// okOf is the OK packet of a change. Clients with CLIENT_FOUND_ROWS count the rows that matched.
func (s *Session) okOf(res *dml.Result, w *wire.Writer) wire.OK {
	ok := wire.OK{Affected: res.Affected, LastInsertID: res.LastInsertID, Warnings: s.warningCount(), Info: res.Info}
	if w.Conn().Has(mysql.ClientFoundRows) && res.Matched > res.Affected {
		ok.Affected = res.Matched
	}
	if res.LastInsertID != 0 {
		s.lastInsertID = res.LastInsertID
	}
	s.rowCount = int64(ok.Affected)
	if s.trace != nil {
		s.trace.affected = res.Affected
	}
	return ok
}
