package executor

import (
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/expr"
)

// neededColumns tells which columns of an executor are looked at above it. A join copies no others: it gives blanks in
// their place, zeros that all batches share. The zero value needs all.
type neededColumns struct {
	some bool
	at   []bool // where some is set: the columns, those beyond its end are not needed
}

func (n neededColumns) needs(i int) bool { return !n.some || i < len(n.at) && n.at[i] }

// with adds the columns that expressions read.
func (n neededColumns) with(lists ...[]*tipb.Expr) neededColumns {
	n.at = slices.Clone(n.at)
	for _, list := range lists {
		for _, e := range list {
			n.add(e, expr.MaxDepth)
		}
	}
	return n
}

// add is with for one expression. Too deep a tree is left to the compiler, which refuses it.
func (n *neededColumns) add(e *tipb.Expr, depth int) {
	if e == nil || depth == 0 {
		return
	}
	if e.Tp == tipb.ExprType_ColumnRef {
		n.note(columnOffset(e.Val))
	}
	for _, c := range e.Children {
		n.add(c, depth-1)
	}
	for _, by := range e.OrderBy {
		n.add(by.GetExpr(), depth-1)
	}
}

// noteMax bounds the list of columns.
const noteMax = 1 << 16

// note adds column i; where that is beyond the list's bounds, all.
func (n *neededColumns) note(i int) {
	switch {
	case i < 0 || !n.some:
	case i >= noteMax:
		*n = neededColumns{}
	default:
		n.at = append(n.at, make([]bool, max(0, i+1-len(n.at)))...)
		n.at[i] = true
	}
}

// from are the needs of what stands n columns to the right.
func (n neededColumns) from(first int) neededColumns {
	if n.some {
		n.at = n.at[min(first, len(n.at)):]
	}
	return n
}

// neededOutputs are the columns that a list of offsets names.
func neededOutputs(offsets []uint32) neededColumns {
	n := neededColumns{some: true}
	for _, o := range offsets {
		n.note(int(o))
	}
	return n
}

// below are the needs of the only child of e. Whoever keeps rows whole needs all of them.
func (n neededColumns) below(e *tipb.Executor) neededColumns {
	none := neededColumns{some: true}
	switch {
	case e.Selection != nil && e.Tp == tipb.ExecType_TypeSelection:
		return n.with(e.Selection.Conditions)
	case e.Projection != nil && e.Tp == tipb.ExecType_TypeProjection:
		return none.with(e.Projection.Exprs)
	case e.Aggregation != nil && (e.Tp == tipb.ExecType_TypeAggregation || e.Tp == tipb.ExecType_TypeStreamAgg):
		return none.with(e.Aggregation.GroupBy, e.Aggregation.AggFunc)
	case e.Limit != nil && e.Tp == tipb.ExecType_TypeLimit && len(e.Limit.PartitionBy) == 0:
		return n
	}
	return neededColumns{}
}
