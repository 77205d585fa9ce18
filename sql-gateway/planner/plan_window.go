package planner

import (
	"strings"

	"github.com/pingcap/tipb/go-tipb"
)

// physWindow computes window functions over sorted rows.
type physWindow struct {
	physBase
	child physical
	node  *windowNode
}

func (p *physWindow) inputs() []physical { return []physical{p.child} }
func (p *physWindow) Children() []Plan   { return plans(p.child) }

// Explain lists the functions and their window.
func (p *physWindow) Explain() Explain {
	parts := make([]string, len(p.node.funcs))
	for i, f := range p.node.funcs {
		parts[i] = f.name + "(" + joinStrings(f.args) + ")->" + f.out.Name
	}
	var over []string
	if len(p.node.partition) > 0 {
		over = append(over, "partition by "+joinStrings(p.node.partition))
	}
	if len(p.node.order) > 0 {
		over = append(over, "order by "+orderText(p.node.order))
	}
	if p.node.frame != nil {
		over = append(over, p.node.frame.text)
	}
	return p.line(strings.Join(parts, ", ") + " over(" + strings.Join(over, " ") + ")")
}

func (b *builder) windowed(n *windowNode) (physical, error) {
	child, err := b.under(false, n.child)
	if err != nil || len(n.funcs) == 0 {
		return child, err
	}
	cols := child.base().cols
	cols = cols[:len(cols):len(cols)]
	for _, f := range n.funcs {
		cols = append(cols, f.out)
	}
	return &physWindow{b.newBase("Window", cols, child.base().rows), child, n}, nil
}

// isOrdered reports whether an operator gives its rows in an order because of a sort below it.
func isOrdered(p physical, by []orderItem) bool {
	switch p := p.(type) {
	case *physSort:
		return beginsWith(p.by, by)
	case *physWindow:
		return isOrdered(p.child, by)
	case *physSelect:
		return isOrdered(p.child, by)
	case *physProject:
		return isOrdered(p.child, p.below(by))
	}
	return false
}

// below restates an order by what a projection's columns are computed from.
func (p *physProject) below(by []orderItem) []orderItem {
	m := map[*Column]*Expr{}
	for i, c := range p.cols {
		m[c] = p.exprs[i]
	}
	out := make([]orderItem, len(by))
	for i, o := range by {
		out[i] = orderItem{o.expr.substitute(m), o.desc}
	}
	return out
}

// pushWindow lets conditions on the partition alone through: they drop partitions as a whole. Conditions on row numbers stay,
// but tell the sort below how many rows of each partition are of use.
func (b *builder) pushWindow(n *windowNode, preds []*Expr) (logical, error) {
	keys := colSet{}
	for _, e := range n.partition {
		if e.isCol() {
			keys[e.col] = true
		}
	}
	others := setOf(n.columns())
	for c := range keys {
		delete(others, c)
	}
	var below, above []*Expr
	for _, p := range preds {
		if p.touches(keys) && !p.touches(others) && !p.isVolatile() {
			below = append(below, p)
		} else {
			above = append(above, p)
		}
	}
	if s, ok := n.child.(*sortNode); ok {
		if s.first = n.wanted(above); s.first > 0 {
			s.keys = len(n.partition)
		}
	}
	child, err := b.push(n.child, below)
	n.child = child
	return newSelect(n, dedup(above)), err
}

// wanted is how many rows of a partition conditions on their numbers let through; 0 if that is not bounded, or if a function
// sees more of the partition than the rows before its own.
func (n *windowNode) wanted(conds []*Expr) (first uint64) {
	numbers := colSet{}
	for _, f := range n.funcs {
		switch f.tp {
		case tipb.ExprType_RowNumber:
			numbers[f.out] = true
		case tipb.ExprType_Rank, tipb.ExprType_DenseRank, tipb.ExprType_Lag:
		default:
			return 0
		}
	}
	for _, c := range conds {
		if k := rowBound(c, numbers); k > 0 && (first == 0 || k < first) {
			first = k
		}
	}
	return first
}

// rowBound is the greatest number that a condition such as number <= 3 lets through; 0 if it is no such condition. It is 1 where
// none is let through.
func rowBound(c *Expr, numbers colSet) uint64 {
	info, ok := cmpOpOf(c.sig)
	if !ok || c.kind != kindFunc {
		return 0
	}
	op, col, bound := info.op, c.args[0], c.args[1]
	if bound.isCol() {
		op, col, bound = cmpSwapped[op], bound, col
	}
	if !col.isCol() || !numbers[col.col] || !bound.isConst() || evalOf(bound.Type) != evalInt || bound.isNull() {
		return 0
	}
	k, ok := countConst(bound)
	switch {
	case op != cmpLT && op != cmpLE && op != cmpEQ:
		return 0
	case !ok: // negative
		return 1
	case op == cmpLT:
		return max(k, 2) - 1
	}
	return max(k, 1)
}

func pruneWindow(n *windowNode, needed colSet) {
	below := needed.with()
	var funcs []*windowFunc
	for _, f := range n.funcs {
		if needed[f.out] {
			funcs = append(funcs, f)
		}
		delete(below, f.out)
	}
	n.funcs = funcs
	n.expressions(func(e *Expr) { below.addColumns(e) })
	prune(n.child, below)
}

// window describes a windowNode's functions over child.
func (o *opener) window(p *physWindow, child *tipb.Executor) (*tipb.Executor, error) {
	input := p.child.base().cols
	w := &tipb.Window{Child: child}
	var err error
	if w.OrderBy, err = o.byItems(p.node.order, input); err != nil {
		return nil, err
	}
	partition := make([]orderItem, len(p.node.partition))
	for i, e := range p.node.partition {
		partition[i].expr = e
	}
	if w.PartitionBy, err = o.byItems(partition, input); err != nil {
		return nil, err
	}
	if w.Frame, err = p.node.frame.pb(o, input); err != nil {
		return nil, err
	}
	for _, f := range p.node.funcs {
		args, err := o.exprs(f.args, input)
		if err != nil {
			return nil, err
		}
		w.FuncDesc = append(w.FuncDesc, &tipb.Expr{Tp: f.tp, FieldType: f.out.Type, Children: args})
	}
	e := o.executor(p, tipb.ExecType_TypeWindow)
	e.Window = w
	return e, nil
}
