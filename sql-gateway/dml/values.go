package dml

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// rowMaker makes complete rows of the values that a statement gives for some of the columns.
type rowMaker struct {
	tg       *target
	conv     *converter
	columns  []int         // that the statement names, in its order
	defaults []datum.Datum // of the others
	isNamed  []bool
	eval     *evaluator // made when an expression needs it
}

// newRowMaker checks the column list; names nil stands for all columns.
func newRowMaker(tg *target, conv *converter, columns []int) (*rowMaker, error) {
	m := &rowMaker{tg: tg, conv: conv, columns: columns, isNamed: make([]bool, len(tg.fields)), defaults: make([]datum.Datum, len(tg.fields))}
	for _, c := range columns {
		if m.isNamed[c] {
			return nil, errorf(mysql.ErrFieldSpecifiedTwice, tg.fields[c].Name)
		}
		m.isNamed[c] = true
	}
	for i, f := range tg.fields {
		if m.isNamed[i] {
			continue
		}
		var err error
		if m.defaults[i], err = tg.defaultValue(conv, f); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// namedColumns resolves a column list; an empty one means all columns.
func (tg *target) namedColumns(names []*ast.ColumnName) ([]int, error) {
	if len(names) == 0 {
		all := make([]int, len(tg.fields))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	out := make([]int, len(names))
	for i, n := range names {
		if out[i] = tg.columnByName(n.Name.O); out[i] < 0 {
			return nil, errorf(mysql.ErrBadField, n.Name.O, "field list")
		}
	}
	return out, nil
}

// start is a row of defaults, with NULL in the named columns.
func (m *rowMaker) start(dst []datum.Datum) []datum.Datum { return append(dst, m.defaults...) }

// list fills a row from one parenthesis of VALUES. row counts from 1.
func (m *rowMaker) list(r []datum.Datum, exprs []ast.ExprNode, row int) error {
	if len(exprs) == 0 && len(m.columns) == len(m.tg.fields) { // VALUES ()
		return m.allDefaults(r)
	}
	if len(exprs) != len(m.columns) {
		return errorf(mysql.ErrWrongValueCountOnRow, row)
	}
	m.conv.row = row
	for i, e := range exprs {
		if err := m.set(r, m.columns[i], e); err != nil {
			return err
		}
	}
	return nil
}

func (m *rowMaker) allDefaults(r []datum.Datum) error {
	for i, f := range m.tg.fields {
		var err error
		if r[i], err = m.tg.defaultValue(m.conv, f); err != nil {
			return err
		}
	}
	return nil
}

// set computes one column of a row.
func (m *rowMaker) set(r []datum.Datum, col int, e ast.ExprNode) error {
	f := m.tg.fields[col]
	d, ok := literal(f, e)
	if ok {
		return m.assign(r, col, d, nil)
	}
	switch n := e.(type) {
	case *ast.DefaultExpr:
		return m.setDefault(r, col, n)
	case *driver.ParamMarkerExpr:
		if p := m.tg.env.Plan; n.Order < len(p.Params) {
			d := p.Params[n.Order]
			if n.Order < len(p.ParamTypes) {
				return m.assign(r, col, d, p.ParamTypes[n.Order])
			}
			return m.assign(r, col, d, nil)
		}
	}
	return m.setExpr(r, col, e)
}

func (m *rowMaker) setDefault(r []datum.Datum, col int, n *ast.DefaultExpr) error {
	of := col
	if n.Name != nil {
		if of = m.tg.columnByName(n.Name.Name.O); of < 0 {
			return errorf(mysql.ErrBadField, n.Name.Name.O, "field list")
		}
	}
	d, err := m.tg.defaultValue(m.conv, m.tg.fields[of])
	if err != nil || of == col {
		r[col] = d
		return err
	}
	return m.assign(r, col, d, m.tg.fields[of].ft)
}

// setExpr evaluates; columns in the expression are those of the row so far.
func (m *rowMaker) setExpr(r []datum.Datum, col int, e ast.ExprNode) error {
	if m.eval == nil {
		m.eval = newEvaluator(m.tg, false)
	}
	compiled, err := m.eval.compile(e)
	if err != nil {
		return err
	}
	d, err := m.eval.eval(compiled, r)
	if err != nil {
		return err
	}
	return m.assign(r, col, d, compiled.Type())
}

// assign converts a value and stores it. NULL is let through to AUTO_INCREMENT, which replaces it.
func (m *rowMaker) assign(r []datum.Datum, col int, d datum.Datum, src *fieldType) (err error) {
	f := m.tg.fields[col]
	if d.IsNull() && f.ft.Flag&column.FlagAutoIncr != 0 {
		r[col] = d
		return nil
	}
	r[col], err = m.conv.convert(f, d, src)
	return err
}
