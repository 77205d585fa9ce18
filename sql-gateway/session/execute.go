package session

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// execute runs a statement and answers it. Whatever fails, the session is afterwards as the error code promises: the
// statement's own writes are undone, and outside a transaction so is everything.
func (s *Session) execute(ctx context.Context, stmt ast.StmtNode, text string, args []wire.Param, w *wire.Writer) (err error) {
	t, outer := s.newTrace(), s.trace
	s.trace = t
	ctx, finish := s.started(ctx, stmt, text, t)
	defer func() {
		s.observe(ctx, t, stmt, text, err)
		s.trace = outer
		finish()
	}()
	if keepsWarnings(stmt) {
		return s.finishRead(ctx, s.newRun(ctx, stmt, text, args), w)
	}
	s.warnings = nil
	if isChange(stmt) {
		return s.executeChange(ctx, stmt, text, args, w)
	}
	r := s.newRun(ctx, stmt, text, args)
	r.known = t.record
	return s.finishRead(ctx, r, w)
}

// keepsWarnings: these statements ask about those before them.
func keepsWarnings(stmt ast.StmtNode) bool {
	switch stmt := stmt.(type) {
	case *ast.ShowStmt:
		return stmt.Tp == ast.ShowWarnings || stmt.Tp == ast.ShowErrors
	case *ast.SelectStmt:
		return stmt.From == nil && stmt.Fields != nil && !slices.ContainsFunc(stmt.Fields.Fields, func(f *ast.SelectField) bool {
			v, ok := f.Expr.(*ast.VariableExpr)
			return !ok || !v.IsSystem || v.Name != "warning_count" && v.Name != "error_count"
		})
	}
	return false
}

// finishRead runs any statement that is not a data change: those answer themselves.
func (s *Session) finishRead(ctx context.Context, r *run, w *wire.Writer) error {
	r.w = w
	err := s.readCommitted(ctx)
	if err == nil {
		err = r.chooseTime()
	}
	if err == nil {
		err = r.dispatch(w)
	}
	r.collectWarnings()
	if !s.inTransaction() {
		if err == nil {
			err = s.commit(ctx)
		} else {
			s.rollback()
		}
	}
	return s.report(ctx, err)
}

// report turns an error into what the client sees, and notes it for SHOW WARNINGS.
func (s *Session) report(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	s.rowCount = -1
	e := toSQLError(ctx, err)
	s.warn("Error", e.Code, e.Message)
	s.srv.log.Log(ctx, failureLevel(e), "statement failed", "connection", s.id, "code", e.Code, "err", err)
	// The cause stays in the chain: the protocol tells failures of the stream by it.
	return errors.Join(e, err)
}

// collectWarnings takes over what evaluation warned of.
func (r *run) collectWarnings() {
	for _, e := range r.env.Expr.Warnings.List {
		r.s.warn("Warning", uint16(e.Code), e.Msg)
	}
	r.env.Expr.Warnings.List = nil
}

// query plans and runs a statement with a result set.
func (r *run) query(node ast.ResultSetNode, w *wire.Writer) error {
	if limit := r.s.intVar("sql_select_limit"); limit < maxInt63 {
		node, r.known = limited(node, limit), nil
	}
	if op, err := r.readRecord(); err != nil {
		return err
	} else if op != nil {
		return r.send(r.known.columns, op, w)
	}
	q, err := planner.PlanQuery(r.planContext(), node)
	if err != nil {
		return err
	}
	r.planned(q)
	nameLikeMySQL(q, node)
	if r.known != nil {
		r.known.learn(r.s.db, q)
	}
	return r.stream(q, w)
}

// limited is a query without a LIMIT of its own with one: sql_select_limit.
func limited(node ast.ResultSetNode, limit int64) ast.ResultSetNode {
	count := &ast.Limit{Count: ast.NewValueExpr(limit, "", "")}
	switch n := node.(type) {
	case *ast.SelectStmt:
		if n.Limit == nil {
			c := *n
			c.Limit = count
			return &c
		}
	case *ast.SetOprStmt:
		if n.Limit == nil {
			c := *n
			c.Limit = count
			return &c
		}
	}
	return node
}

// nameLikeMySQL gives columns of information_schema that were selected without an alias the upper-case names that they
// have, however the statement wrote them. Programs that read results by name rely on it.
func nameLikeMySQL(q *planner.Query, node ast.ResultSetNode) {
	stmt, ok := node.(*ast.SelectStmt)
	if !ok || stmt.Fields == nil || len(stmt.Fields.Fields) != len(q.Fields) {
		return
	}
	for i, f := range stmt.Fields.Fields {
		_, isColumn := f.Expr.(*ast.ColumnNameExpr)
		if field := &q.Fields[i]; isColumn && f.AsName.O == "" && strings.EqualFold(field.DB, infoschema.Name) && field.OrigName != "" {
			field.Name = field.OrigName
		}
	}
}

// stream sends the rows of a plan. The first batch is there before the head of the result goes out, so that most
// errors come in its place.
func (r *run) stream(q *planner.Query, w *wire.Writer) error {
	op, err := q.Open(r.ctx, r)
	if err != nil {
		return err
	}
	err = r.send(wireColumns(q.Fields), op, w)
	return errors.Join(err, op.Close())
}

func (r *run) send(columns []wire.Column, op executor.Operator, w *wire.Writer) error {
	b, err := op.Next(r.ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := w.Columns(columns); err != nil {
		return err
	}
	for ; err == nil; b, err = op.Next(r.ctx) {
		if err := w.Rows(b); err != nil {
			return err
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	r.s.foundRows, r.s.rowCount = w.Sent, -1
	r.s.returned(w.Sent)
	r.collectWarnings()
	return w.End(r.s.warningCount())
}

func (s *Session) warningCount() uint16 { return uint16(min(len(s.warnings), 65535)) }

func wireColumns(fields []planner.Field) []wire.Column {
	out := make([]wire.Column, len(fields))
	for i, f := range fields {
		out[i] = wire.Column{DB: f.DB, Table: f.Table, OrigTable: f.OrigTable, Name: f.Name, OrigName: f.OrigName, Type: f.Type}
	}
	return out
}

// backoff before a statement is run again after a write conflict, doubling from one attempt to the next.
const (
	retryAttempts = 10
	retryPause    = 2 * time.Millisecond
)

func pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(retryPause << min(attempt, 6))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
