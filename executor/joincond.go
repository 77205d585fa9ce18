package executor

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
)

// verdict is what the conditions say of a candidate.
type verdict uint8

const (
	verdictFalse verdict = iota
	verdictTrue
	verdictUnknown
)

// pairConditions are the conditions of a join over the columns of both sides, left ones first.
type pairConditions struct {
	filter *expr.Filter
	fromIn []expr.Expr // equality conditions of an IN, whose NULLs count; only for the kinds that tell false from NULL
	needed neededColumns
	cols   []arrow.Array
	out    []verdict
}

// newPairConditions returns nil for a join without such conditions.
func newPairConditions(d *tipb.Join, j *hashJoin, env *Env) (*pairConditions, error) {
	others, fromIn := d.OtherConditions, d.OtherEqConditionsFromIn
	if len(others)+len(fromIn) == 0 {
		return nil, nil
	}
	input := slices.Concat(j.left.Fields(), j.right.Fields())
	c := &pairConditions{needed: neededColumns{some: true}.with(others, fromIn), cols: make([]arrow.Array, len(input))}
	if !j.kind.anti && !j.kind.mark {
		others, fromIn = slices.Concat(others, fromIn), nil
	}
	var err error
	if c.filter, err = expr.NewFilter(others, input, env.Expr); err != nil {
		return nil, err
	}
	c.fromIn, err = compileAll(fromIn, input, env)
	return c, err
}

// judge evaluates the conditions on candidates. Only the columns that they read are gathered. The result is valid until
// the next call.
func (c *pairConditions) judge(j *hashJoin, p *pairs) ([]verdict, error) {
	left, right := j.sideRows(p)
	n := len(j.left.Fields())
	for i := range c.cols {
		switch {
		case !c.needed.needs(i):
		case i < n:
			c.cols[i] = column.Gather(j.columnsOf(true)[i], left)
		default:
			c.cols[i] = column.Gather(j.columnsOf(false)[i-n], right)
		}
	}
	b := Batch{Cols: c.cols, Rows: len(left)}
	var err error
	if b.Sel, err = c.filter.Apply(b); err != nil {
		return nil, err
	}
	c.out = append(c.out[:0], make([]verdict, b.Rows)...)
	for i := range b.Len() {
		c.out[b.Row(i)] = verdictTrue
	}
	for _, x := range c.fromIn {
		if b.Len() == 0 {
			break
		}
		a, err := x.Eval(b)
		if err != nil {
			return nil, err
		}
		c.and(b, a)
	}
	return c.out, nil
}

// and combines the verdicts of the selected rows with a boolean column: false wins over unknown over true.
func (c *pairConditions) and(b Batch, a arrow.Array) {
	for i := range b.Len() {
		r := b.Row(i)
		switch {
		case c.out[r] == verdictFalse:
		case a.IsNull(r):
			c.out[r] = verdictUnknown
		case !isTrue(a, r):
			c.out[r] = verdictFalse
		}
	}
}

func isTrue(a arrow.Array, row int) bool {
	switch a := a.(type) {
	case *array.Int64:
		return a.Value(row) != 0
	case *array.Uint64:
		return a.Value(row) != 0
	case *array.Float64:
		return a.Value(row) != 0
	}
	return false
}
