package executor

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/expr"
)

// expand puts each row out once a level: the level's expressions over it. GROUP BY ... WITH ROLLUP is a grouping of rows that
// come once with all keys, once with the last key NULL, and so on.
type expand struct {
	in     Operator
	fields []*tipb.FieldType
	levels [][]expr.Expr
	next   int // the level that is next for batch
	batch  Batch
	cols   []arrow.Array
}

var _ Operator = (*expand)(nil)

// levelsMax bounds how often a row is put out.
const levelsMax = 256

func newExpand(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	levels := e.GetExpand2().GetProjExprs()
	if len(levels) == 0 || len(levels) > levelsMax {
		return nil, &UnsupportedError{What: fmt.Sprintf("Expand with %d levels", len(levels))}
	}
	x := &expand{in: inputs[0], next: len(levels)}
	for _, l := range levels {
		exprs, err := compileAll(l.GetExprs(), x.in.Fields(), env)
		if err != nil {
			return nil, err
		}
		if err := x.addLevel(exprs); err != nil {
			return nil, err
		}
	}
	x.cols = make([]arrow.Array, len(x.fields))
	return x, nil
}

// addLevel takes the result's types from the first level; values of the others must have their form.
func (x *expand) addLevel(exprs []expr.Expr) error {
	if x.levels == nil {
		x.fields = nullable(typesOf(exprs), true)
	}
	if len(exprs) != len(x.fields) {
		return &UnsupportedError{What: "Expand of levels with different numbers of columns"}
	}
	for i, ft := range x.fields {
		if !sameForm(ft, exprs[i].Type()) {
			return &UnsupportedError{What: "Expand of levels with different types"}
		}
	}
	x.levels = append(x.levels, exprs)
	return nil
}

func (x *expand) Fields() []*tipb.FieldType { return x.fields }
func (x *expand) Close() error              { return x.in.Close() }

func (x *expand) Next(ctx context.Context) (Batch, error) {
	if x.next == len(x.levels) {
		b, err := x.in.Next(ctx)
		if err != nil {
			return Batch{}, err
		}
		x.batch, x.next = b, 0
	}
	level := x.levels[x.next]
	x.next++
	if err := evalAll(level, x.batch, x.cols); err != nil {
		return Batch{}, err
	}
	return Batch{Cols: x.cols, Sel: x.batch.Sel, Rows: x.batch.Rows}, nil
}
