package dml

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// evaluator computes expressions over one row of a target, or over two: the row that is there and, behind it, the
// one that VALUES() names.
type evaluator struct {
	tg     *target
	fields []planner.Field
	types  []*tipb.FieldType
	values map[string]int
	build  []*column.Builder
}

func newEvaluator(tg *target, withValues bool) *evaluator {
	ev := &evaluator{tg: tg}
	copies := 1
	if withValues {
		copies, ev.values = 2, map[string]int{}
	}
	for i := range copies * len(tg.fields) {
		f := tg.fields[i%len(tg.fields)]
		ev.types = append(ev.types, f.ft)
		ev.build = append(ev.build, column.NewBuilder(f.ft, 1))
		name := f.Name
		if i >= len(tg.fields) {
			name = "VALUES(" + name + ")" // not to be found by the column's own name
			ev.values[f.Name] = i
		}
		ev.fields = append(ev.fields, planner.Field{Name: name, OrigName: f.Name, Table: tg.table.Name,
			OrigTable: tg.table.Name, DB: tg.table.DB, Type: f.ft})
	}
	return ev
}

// compile translates an expression.
func (ev *evaluator) compile(node ast.ExprNode) (expr.Expr, error) {
	e, err := planner.BuildScalar(ev.tg.env.Plan, node, ev.fields, ev.values)
	if err != nil {
		return nil, err
	}
	return expr.Compile(e, ev.types, ev.tg.env.Plan.Expr)
}

// batch holds rows, one behind the other, as a batch of one row that is valid until the next call.
func (ev *evaluator) batch(rows ...[]datum.Datum) (column.Batch, error) {
	b := column.Batch{Rows: 1, Cols: make([]arrow.Array, 0, len(ev.build))}
	i := 0
	for _, r := range rows {
		for _, d := range r {
			ev.build[i].Reset()
			if err := d.AppendTo(ev.build[i]); err != nil {
				return b, err
			}
			b.Cols = append(b.Cols, ev.build[i].Array())
			i++
		}
	}
	return b, nil
}

// eval computes one value; its type is e's.
func (ev *evaluator) eval(e expr.Expr, rows ...[]datum.Datum) (datum.Datum, error) {
	b, err := ev.batch(rows...)
	if err != nil {
		return datum.Datum{}, err
	}
	arr, err := e.Eval(b)
	if err != nil {
		return datum.Datum{}, err
	}
	return ownDatum(datum.FromColumn(arr, 0, e.Type())), nil
}

// ownDatum copies the bytes that a datum shares with a batch.
func ownDatum(d datum.Datum) datum.Datum {
	switch d.Kind() {
	case datum.Bytes:
		return datum.NewBytes(append([]byte{}, d.Bytes()...))
	case datum.JSON:
		return datum.NewJSON(append([]byte{}, d.Bytes()...))
	}
	return d
}
