package planner

import (
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

var decimalZero = value.Decimal{}

// splittable are the functions that stores aggregate in part.
func splittable(tp tipb.ExprType) bool {
	switch tp {
	case tipb.ExprType_Count, tipb.ExprType_Sum, tipb.ExprType_Avg, tipb.ExprType_Min, tipb.ExprType_Max, tipb.ExprType_First,
		tipb.ExprType_Agg_BitAnd, tipb.ExprType_Agg_BitOr, tipb.ExprType_Agg_BitXor, tipb.ExprType_ApproxCountDistinct:
		return true
	}
	return false
}

// aggregation plans a grouping: in part on the stores where the input is a plain reader, else as a whole at the root.
func (b *builder) aggregation(n *aggNode) (physical, error) {
	if x, ok := n.child.(*expandNode); ok {
		if p, err := b.rollupAgg(n, x); p != nil || err != nil {
			return p, err
		}
	}
	child, err := b.under(true, n.child)
	if err != nil {
		return nil, err
	}
	rows := b.estimate(n).rows
	if r := pushTarget(child); r != nil && b.pushable(n.keys) {
		switch distinct, split := n.shape(); {
		case !distinct && split && b.pushableAggs(n.aggs):
			return b.splitAgg(n, r, rows), nil
		case distinct && n.sameDistinct() && b.pushable(n.aggs[0].args):
			return b.dedupAgg(n, r, rows), nil
		}
	}
	return b.wholeAgg(n, child, rows), nil
}

// pushTarget is the reader under which an aggregation can go.
func pushTarget(p physical) *physReader {
	if r, ok := p.(*physReader); ok && passesRows(r.child) {
		return r
	}
	return nil
}

// passesRows reports whether a pushed plan hands on rows as it reads them.
func passesRows(p physical) bool {
	switch p := p.(type) {
	case *physScan:
		return true
	case *physSelect:
		return passesRows(p.child)
	case *physJoin:
		return passesRows(p.left)
	}
	return false
}

func (b *builder) pushableAggs(list []*aggFunc) bool {
	for _, f := range list {
		if !b.pushable(f.args) {
			return false
		}
	}
	return true
}

// shape tells whether a grouping has DISTINCT aggregates, and whether all its functions can be split.
func (n *aggNode) shape() (distinct, split bool) {
	split = true
	for _, f := range n.aggs {
		distinct = distinct || f.distinct
		split = split && splittable(f.tp)
	}
	return distinct, split
}

// sameDistinct reports whether all functions are DISTINCT ones of the same arguments.
func (n *aggNode) sameDistinct() bool {
	for _, f := range n.aggs {
		if !f.distinct || !splittable(f.tp) || len(f.args) != len(n.aggs[0].args) {
			return false
		}
		for i, a := range f.args {
			if !sameExpr(a, n.aggs[0].args[i]) {
				return false
			}
		}
	}
	return true
}

func (b *builder) wholeAgg(n *aggNode, child physical, rows float64) physical {
	a := &physAgg{physBase: b.newBase("HashAgg", n.columns(), rows), child: child, keys: n.keys, mode: tipb.AggFunctionMode_CompleteMode}
	for _, f := range n.aggs {
		a.aggs = append(a.aggs, &physFunc{aggFunc: f, args: f.args, out: f.out})
	}
	return a
}

// splitAgg aggregates in part on the stores; the root merges. AVG is pushed as a count and a sum, which it may share
// with others.
func (b *builder) splitAgg(n *aggNode, r *physReader, rows float64) physical {
	part := &physAgg{child: r.child, keys: n.keys, mode: tipb.AggFunctionMode_Partial1Mode}
	root := &physAgg{physBase: b.newBase("HashAgg", n.columns(), rows), mode: tipb.AggFunctionMode_FinalMode}
	known := map[string]*Column{}
	partial := func(f *aggFunc, tp tipb.ExprType, name string, ft *tipb.FieldType) *Expr {
		c := &aggFunc{tp: tp, name: name, args: f.args}
		if tp == tipb.ExprType_Count && notNull(f.args[0].Type) {
			c.args = []*Expr{withNotNull(intConst(1))}
		}
		k := c.key()
		if known[k] == nil {
			known[k] = b.newColumn(ft, "")
			part.aggs = append(part.aggs, &physFunc{aggFunc: c, args: c.args, out: known[k]})
		}
		return colExpr(known[k])
	}
	for _, f := range n.aggs {
		pf := &physFunc{aggFunc: f, out: f.out}
		if f.tp == tipb.ExprType_Avg {
			pf.args = []*Expr{
				partial(f, tipb.ExprType_Count, "count", withFlag(constIntType(21), column.FlagNotNull, 0)),
				partial(f, tipb.ExprType_Sum, "sum", sumOf(f.args[0].Type)),
			}
		} else {
			pf.args = []*Expr{partial(f, f.tp, f.name, f.out.Type)}
		}
		root.aggs = append(root.aggs, pf)
	}
	cols := make([]*Column, 0, len(part.aggs)+len(n.keys))
	for _, f := range part.aggs {
		cols = append(cols, f.out)
	}
	for _, c := range n.keyCols {
		cols = append(cols, c)
		root.keys = append(root.keys, colExpr(c))
	}
	part.physBase = b.newBase("HashAgg", cols, rows)
	r.child, r.cols, r.rows = part, cols, rows
	root.child = r
	return root
}

func sumOf(ft *tipb.FieldType) *tipb.FieldType {
	if evalOf(ft) == evalReal {
		return realType()
	}
	p, s := decimalShape(ft)
	return decimalType(p+sumDigits, s)
}

// dedupAgg lets the stores drop duplicates of the keys with the distinct arguments; the root does the rest.
func (b *builder) dedupAgg(n *aggNode, r *physReader, rows float64) physical {
	part := &physAgg{child: r.child, mode: tipb.AggFunctionMode_Partial1Mode}
	m := map[string]*Column{}
	add := func(e *Expr, col *Column) *Column {
		k := e.key()
		if m[k] == nil {
			if col == nil {
				col = e.col
			}
			if col == nil {
				col = b.newColumn(e.Type, "")
			}
			m[k] = col
			part.keys = append(part.keys, e)
			part.cols = append(part.cols, col)
		}
		return m[k]
	}
	root := &physAgg{physBase: b.newBase("HashAgg", n.columns(), rows), mode: tipb.AggFunctionMode_CompleteMode}
	for i, k := range n.keys {
		root.keys = append(root.keys, colExpr(add(k, n.keyCols[i])))
	}
	for _, f := range n.aggs {
		pf := &physFunc{aggFunc: f, out: f.out}
		for _, a := range f.args {
			if a.isConst() {
				pf.args = append(pf.args, a)
			} else {
				pf.args = append(pf.args, colExpr(add(a, nil)))
			}
		}
		root.aggs = append(root.aggs, pf)
	}
	if len(part.keys) == 0 {
		return b.wholeAgg(n, r, rows)
	}
	groups := math.Max(r.rows*groupReduction, 1)
	part.physBase = b.newBase("HashAgg", part.cols, groups)
	r.child, r.cols, r.rows = part, part.cols, groups
	root.child = r
	return root
}
