package session

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/sql-gateway/insight"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// prepared is a prepared statement, of the protocol or of PREPARE. It keeps the parsed form; every execution plans anew
// with the values of that time, but for reads of single records (recordRead).
type prepared struct {
	s      *Session
	stmt   ast.StmtNode
	text   string
	params int
	cols   []wire.Column
	digest *insight.Digest // nil until it was executed
	record recordRead
}

var _ wire.Statement = (*prepared)(nil)

// Prepare implements wire.Session.
func (s *Session) Prepare(ctx context.Context, text string) (wire.Statement, error) {
	p, err := s.prepare(ctx, text)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return p, nil
}

func (s *Session) prepare(ctx context.Context, text string) (*prepared, error) {
	stmts, err := s.parse(text)
	if err != nil {
		return nil, err
	}
	if len(stmts) != 1 {
		return nil, sqlError(mysql.ErrParse, "Can not prepare multiple statements")
	}
	switch stmts[0].(type) {
	case *ast.PrepareStmt, *ast.ExecuteStmt, *ast.DeallocateStmt, *ast.LoadDataStmt:
		return nil, errCode(mysql.ErrUnsupportedPs)
	}
	p := &prepared{s: s, stmt: stmts[0], text: text, params: numberMarkers(stmts[0])}
	if p.params > math.MaxUint16 {
		return nil, errCode(mysql.ErrPsManyParam)
	}
	return p, p.describe(ctx)
}

// numberMarkers gives the ? markers their numbers, in the order of the text.
func numberMarkers(stmt ast.StmtNode) int {
	v := &markers{}
	stmt.Accept(v)
	slices.SortFunc(v.list, func(a, b *driver.ParamMarkerExpr) int { return cmp.Compare(a.Offset, b.Offset) })
	for i, m := range v.list {
		m.SetOrder(i)
	}
	return len(v.list)
}

type markers struct{ list []*driver.ParamMarkerExpr }

func (v *markers) Enter(n ast.Node) (ast.Node, bool) {
	if m, ok := n.(*driver.ParamMarkerExpr); ok {
		v.list = append(v.list, m)
	}
	return n, false
}

func (v *markers) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// describe finds the columns of a query's result, with NULLs for the parameters. What cannot be planned so is
// described at execution; what names unknown tables or columns fails now.
func (p *prepared) describe(ctx context.Context) error {
	node, ok := p.stmt.(ast.ResultSetNode)
	if !ok {
		return nil
	}
	args := make([]wire.Param, p.params)
	for i := range args {
		args[i].Type = &tipb.FieldType{Tp: column.TypeNull}
	}
	c := p.s.newRun(ctx, p.stmt, p.text, args).planContext()
	c.AsOf = true // what time that is shows at execution; until then the present has to do
	q, err := planner.PlanQuery(c, node)
	if !p.s.inTransaction() {
		p.s.rollback()
	}
	if err != nil {
		switch toSQLError(ctx, err).Code {
		case mysql.ErrNoSuchTable, mysql.ErrBadField, mysql.ErrBadDB, mysql.ErrNoDB:
			return err
		}
		return nil
	}
	p.cols = wireColumns(q.Fields)
	return nil
}

// NumParams implements wire.Statement.
func (p *prepared) NumParams() int { return p.params }

// Columns implements wire.Statement.
func (p *prepared) Columns() []wire.Column { return p.cols }

// Execute implements wire.Statement.
func (p *prepared) Execute(ctx context.Context, args []wire.Param, w *wire.Writer) error {
	if p.digest == nil {
		p.digest = p.s.srv.insight.Digest(p.text)
	}
	p.s.coming = arrival{digest: p.digest, prepared: true, record: &p.record}
	return p.s.execute(ctx, p.stmt, p.text, args, w)
}

// Close implements wire.Statement.
func (p *prepared) Close() {}

// preparedText runs PREPARE, EXECUTE and DEALLOCATE.
func (r *run) preparedText(w *wire.Writer) error {
	switch stmt := r.stmt.(type) {
	case *ast.PrepareStmt:
		if err := r.prepareText(stmt); err != nil {
			return err
		}
	case *ast.DeallocateStmt:
		if _, err := r.find(stmt.Name, "DEALLOCATE PREPARE"); err != nil {
			return err
		}
		delete(r.s.prepared, strings.ToLower(stmt.Name))
	case *ast.ExecuteStmt:
		return r.executeText(stmt, w)
	}
	return w.OK(wire.OK{})
}

func (r *run) find(name, command string) (*prepared, error) {
	p := r.s.prepared[strings.ToLower(name)]
	if p == nil {
		return nil, errCode(mysql.ErrUnknownStmtHandler, name, command)
	}
	return p, nil
}

func (r *run) prepareText(stmt *ast.PrepareStmt) error {
	text := stmt.SQLText
	if stmt.SQLVar != nil {
		v := r.s.userVars[strings.ToLower(stmt.SQLVar.Name)]
		if v.val.IsNull() {
			return sqlError(mysql.ErrParse, "the text of a prepared statement is NULL")
		}
		text = string(v.val.AppendText(nil, v.ft))
	}
	delete(r.s.prepared, strings.ToLower(stmt.Name))
	p, err := r.s.prepare(r.ctx, text)
	if err != nil {
		return err
	}
	r.s.prepared[strings.ToLower(stmt.Name)] = p
	return nil
}

func (r *run) executeText(stmt *ast.ExecuteStmt, w *wire.Writer) error {
	p, err := r.find(stmt.Name, "EXECUTE")
	if err != nil {
		return err
	}
	if len(stmt.UsingVars) != p.params {
		return errCode(mysql.ErrWrongArguments, "EXECUTE")
	}
	args := make([]wire.Param, p.params)
	for i, e := range stmt.UsingVars {
		v, err := r.eval(e)
		if err != nil {
			return err
		}
		args[i] = wire.Param{Value: v.val, Type: v.ft}
	}
	r.s.trace.passed = true
	return p.Execute(r.ctx, args, w)
}
