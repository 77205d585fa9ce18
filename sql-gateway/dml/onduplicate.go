package dml

import (
	"context"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
)

// dupUpdater runs ON DUPLICATE KEY UPDATE.
type dupUpdater struct {
	in      *inserter
	eval    *evaluator
	columns []int
	exprs   []expr.Expr // nil: DEFAULT
	touched []bool
}

func newDupUpdater(in *inserter, list []*ast.Assignment) (*dupUpdater, error) {
	u := &dupUpdater{in: in, eval: newEvaluator(in.tg, true), touched: make([]bool, len(in.tg.fields))}
	for _, a := range list {
		col := in.tg.columnByName(a.Column.Name.O)
		if col < 0 {
			return nil, errorf(mysql.ErrBadField, a.Column.Name.O, "field list")
		}
		var e expr.Expr
		if d, ok := a.Expr.(*ast.DefaultExpr); !ok || d.Name != nil {
			var err error
			if e, err = u.eval.compile(a.Expr); err != nil {
				return nil, err
			}
		}
		u.columns, u.exprs, u.touched[col] = append(u.columns, col), append(u.exprs, e), true
	}
	return u, nil
}

// apply changes the row in the way of r. Assignments see the effect of those before them.
func (u *dupUpdater) apply(ctx context.Context, known *lookup, c *conflict, r []datum.Datum) error {
	tg := u.in.tg
	was, old, err := known.row(c)
	if err != nil {
		return err
	}
	now := append([]datum.Datum{}, was...)
	for i, col := range u.columns {
		if now[col], err = u.value(i, now, r); err != nil {
			return err
		}
	}
	if tg.autoInc >= 0 {
		u.in.res.LastInsertID = positive(tg.fields[tg.autoInc], now[tg.autoInc])
	}
	if tg.sameRow(was, now) {
		tg.env.found(old.record.key)
		return nil
	}
	tg.touch(now, u.touched)
	e, err := tg.encode(now, rowIDOf(tg, old.handle))
	if err != nil {
		return err
	}
	if err := checkMove(ctx, known, &old, &e, now); err != nil {
		return err
	}
	known.forget(&old)
	known.write(&e)
	u.in.count(2, 0)
	return tg.replace(&old, &e)
}

func (u *dupUpdater) value(i int, now, r []datum.Datum) (datum.Datum, error) {
	f := u.in.tg.fields[u.columns[i]]
	if u.exprs[i] == nil {
		return u.in.tg.defaultValue(u.in.maker.conv, f)
	}
	d, err := u.eval.eval(u.exprs[i], now, r)
	if err != nil {
		return d, err
	}
	return u.in.maker.conv.convert(f, d, u.exprs[i].Type())
}

// rowIDOf is the hidden or integer id in a handle.
func rowIDOf(tg *target, handle []byte) int64 {
	if tg.table.CommonHandle {
		return 0
	}
	return intHandle(handle)
}

// checkMove reports, as 1062, that the keys a changed row wants belong to another.
func checkMove(ctx context.Context, known *lookup, old, now *encoded, r []datum.Datum) error {
	more, err := newLookup(ctx, known.tg, []encoded{*now})
	if err != nil {
		return err
	}
	for k, v := range more.state {
		if _, ok := known.state[k]; !ok {
			known.state[k] = v
		}
	}
	c, err := known.find(now, old.record.key)
	if err != nil {
		return err
	}
	if c != nil {
		return known.tg.duplicate(c.index, r)
	}
	return nil
}
