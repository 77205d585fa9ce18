package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// expandNode is the input of GROUP BY ... WITH ROLLUP: each row of its child once for each number of keys that are rolled
// up, none to all of them, from the last on. keyCols[i] carries keys[i], or NULL where it is rolled up; level is that number.
// The child's columns pass.
type expandNode struct {
	child   logical
	keys    []*Expr
	keyCols []*Column
	level   *Column
}

func (n *expandNode) inputs() []logical { return []logical{n.child} }

func (n *expandNode) columns() []*Column {
	cols := n.child.columns()
	return append(append(cols[:len(cols):len(cols)], n.keyCols...), n.level)
}

// rollup turns the keys that were added to the grouping into those of an expandNode under it. Above the grouping the keys'
// columns are the expanded ones.
func (g *grouping) rollup(child logical) *expandNode {
	x := &expandNode{child: child, keys: g.agg.keys, level: g.b.newColumn(withFlag(constIntType(3), column.FlagNotNull, 0), "")}
	g.expand = x
	g.agg.keys, g.agg.keyCols, g.byKey = nil, nil, map[string]*Column{}
	for _, k := range x.keys {
		col := g.b.newColumn(nullable(k.Type), "")
		x.keyCols = append(x.keyCols, col)
		g.byKey[k.key()] = col
		if k.isCol() {
			delete(g.above, k.col)
		}
	}
	for _, col := range append(x.keyCols[:len(x.keyCols):len(x.keyCols)], x.level) {
		g.above[col] = true
		g.agg.keys, g.agg.keyCols = append(g.agg.keys, colExpr(col)), append(g.agg.keyCols, col)
	}
	return x
}

// grouping is GROUPING(key, ...): a bit for each key, the first argument's highest, set where the key is rolled up.
func (c *clause) grouping(args []ast.ExprNode) (*Expr, error) {
	if c.group == nil || c.group.expand == nil {
		return nil, errCode(mysql.ErrInvalidGroupFuncUse)
	}
	if len(args) == 0 || len(args) > 63 {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, "grouping")
	}
	var out *Expr
	for i, node := range args {
		bit, err := c.rolledUp(node, i)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = bit
			continue
		}
		if out, err = c.b.arithmetic(opcode.Mul, out, intConst(2)); err != nil {
			return nil, err
		}
		if out, err = c.b.arithmetic(opcode.Plus, out, bit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rolledUp is 1 where a key is rolled up, else 0.
func (c *clause) rolledUp(node ast.ExprNode, arg int) (*Expr, error) {
	e, err := c.build(node)
	if err != nil {
		return nil, err
	}
	x := c.group.expand
	for i, k := range x.keys {
		if sameExpr(e, k) || e.isCol() && e.col == x.keyCols[i] {
			return c.b.compare(cmpGE, colExpr(x.level), intConst(int64(len(x.keys)-i)))
		}
	}
	return nil, &Error{Code: errGroupingArgument, Message: "Argument #" + itoa(arg) + " of GROUPING function is not in GROUP BY"}
}

// errGroupingArgument is MySQL's ER_FIELD_IN_GROUPING_NOT_GROUP_BY.
const errGroupingArgument = 3122

// physExpand puts each row out once for each number of keys rolled up.
type physExpand struct {
	physBase
	child   physical
	keys    []*Expr
	keyCols []*Column
	level   *Column
}

func (p *physExpand) inputs() []physical { return []physical{p.child} }
func (p *physExpand) Children() []Plan   { return plans(p.child) }

// Explain lists the keys.
func (p *physExpand) Explain() Explain {
	info := "rollup:" + joinStrings(p.keys)
	return p.line(info)
}

func (b *builder) expanded(n *expandNode) (physical, error) {
	child, err := b.under(false, n.child)
	if err != nil {
		return nil, err
	}
	return b.newExpand(n, child, n.keys), nil
}

func (b *builder) newExpand(n *expandNode, child physical, keys []*Expr) *physExpand {
	cols := child.base().cols
	cols = append(append(cols[:len(cols):len(cols)], n.keyCols...), n.level)
	rows := child.base().rows * float64(len(keys)+1)
	return &physExpand{b.newBase("Expand", cols, rows), child, keys, n.keyCols, n.level}
}

// rollupAgg groups by all keys first, on the stores, and rolls the few groups up at the root: their partial states are merged
// once for each level. It gives nil where the aggregates cannot be taken apart or the input is not a plain reader.
func (b *builder) rollupAgg(n *aggNode, x *expandNode) (physical, error) {
	if distinct, split := n.shape(); distinct || !split || !b.pushableAggs(n.aggs) || !b.pushable(x.keys) {
		return nil, nil
	}
	child, err := b.under(true, x.child)
	if err != nil {
		return nil, err
	}
	r := pushTarget(child)
	if r == nil {
		return nil, nil
	}
	full := &aggNode{child: x.child, keys: x.keys, aggs: n.aggs}
	keys := make([]*Expr, len(x.keys))
	for i, k := range x.keys {
		col := b.newColumn(k.Type, "")
		full.keyCols = append(full.keyCols, col)
		keys[i] = colExpr(col)
	}
	root := b.splitAgg(full, r, b.estimate(full).rows).(*physAgg)
	expand := b.newExpand(x, root.child, keys)
	expand.id, root.id = root.id, expand.id // numbered from below
	root.child, root.cols, root.rows, root.keys = expand, n.columns(), b.estimate(n).rows, n.keys
	return root, nil
}

// expand describes the levels over child.
func (o *opener) expand(p *physExpand, child *tipb.Executor) (*tipb.Executor, error) {
	input := p.child.base().cols
	x := &tipb.Expand2{Child: child}
	for up := range len(p.keys) + 1 {
		list := make([]*Expr, 0, len(p.cols))
		for _, c := range input {
			list = append(list, colExpr(c))
		}
		for i, k := range p.keys {
			if i >= len(p.keys)-up {
				k = &Expr{kind: kindConst, Type: nullable(k.Type), coercion: 6}
			}
			list = append(list, k)
		}
		level := intConst(int64(up))
		level.Type = p.level.Type
		exprs, err := o.exprs(append(list, level), input)
		if err != nil {
			return nil, err
		}
		x.ProjExprs = append(x.ProjExprs, &tipb.ExprSlice{Exprs: exprs})
	}
	for _, c := range p.cols {
		x.GeneratedOutputNames = append(x.GeneratedOutputNames, c.Name)
	}
	e := o.executor(p, tipb.ExecType_TypeExpand2)
	e.Expand2 = x
	return e, nil
}
