package session

import (
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/planner"
	"github.com/scree-db/scree/sql-gateway/wire"
)

// table is a result that is made in memory: SHOW, EXPLAIN and the like.
type table struct {
	fields []planner.Field
	rows   []infoschema.Row
}

// caselessCollation lets WHERE and LIKE of SHOW ignore case: utf8mb4_general_ci.
const caselessCollation = -45

func textType() *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeVarchar, Flen: 512, Decimal: column.UnspecifiedLength, Charset: "utf8mb4", Collate: caselessCollation}
}

func intType() *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeLongLong, Flen: 21, Flag: column.FlagBinary, Charset: "binary", Collate: -63}
}

func timeType() *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeDatetime, Flen: 19, Flag: column.FlagBinary, Charset: "binary", Collate: -63}
}

// newTable makes a result of the named columns: text, or with "#" before the name a number, with "@" a time.
func newTable(names ...string) *table {
	t := &table{fields: make([]planner.Field, len(names))}
	for i, name := range names {
		ft := textType()
		switch name[0] {
		case '#':
			name, ft = name[1:], intType()
		case '@':
			name, ft = name[1:], timeType()
		}
		t.fields[i] = planner.Field{Name: name, OrigName: name, Type: ft}
	}
	return t
}

// add appends a row; values are as in infoschema.Row.
func (t *table) add(vals ...any) { t.rows = append(t.rows, vals) }

func (t *table) types() []*tipb.FieldType {
	types := make([]*tipb.FieldType, len(t.fields))
	for i := range t.fields {
		types[i] = t.fields[i].Type
	}
	return types
}

// reply sends t, as far as the conditions hold. Without a pattern and a condition those are nil.
func (r *run) reply(t *table, w *wire.Writer, conds ...ast.ExprNode) error {
	for _, row := range t.rows {
		if len(row) != len(t.fields) {
			return fmt.Errorf("a row of %s has %d of %d columns", t.fields[0].Name, len(row), len(t.fields))
		}
	}
	b, err := infoschema.Batch(t.types(), t.rows)
	if err != nil {
		return err
	}
	for _, cond := range conds {
		if cond == nil {
			continue
		}
		if b, err = r.filter(t, b, cond); err != nil {
			return err
		}
	}
	if err := w.Columns(wireColumns(t.fields)); err != nil {
		return err
	}
	if b.Len() > 0 {
		if err := w.Rows(b); err != nil {
			return err
		}
	}
	r.s.foundRows, r.s.rowCount = w.Sent, -1
	r.s.returned(w.Sent)
	return w.End(r.s.warningCount())
}

func (r *run) filter(t *table, b column.Batch, cond ast.ExprNode) (column.Batch, error) {
	if b.Len() == 0 {
		return b, nil
	}
	e, err := planner.BuildScalar(r.planContext(), cond, t.fields, nil)
	if err != nil {
		return b, err
	}
	f, err := expr.NewFilter([]*tipb.Expr{e}, t.types(), r.env.Expr)
	if err != nil {
		return b, err
	}
	sel, err := f.Apply(b)
	b.Sel = sel
	return b, err
}

// conditions are the LIKE pattern of a SHOW statement, on the given column, and its WHERE.
func (t *table) conditions(stmt *ast.ShowStmt, likeColumn int) []ast.ExprNode {
	var conds []ast.ExprNode
	if p := stmt.Pattern; p != nil {
		like := *p
		like.Expr = &ast.ColumnNameExpr{Name: &ast.ColumnName{Name: ast.NewCIStr(t.fields[likeColumn].Name)}}
		conds = append(conds, &like)
	}
	if stmt.Where != nil {
		conds = append(conds, stmt.Where)
	}
	return conds
}
