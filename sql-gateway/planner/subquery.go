package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// subquery builds the query of a subquery expression, which may refer to the clause's names.
func (c *clause) subquery(node ast.ExprNode) (*rel, error) {
	sub, ok := unparen(node).(*ast.SubqueryExpr)
	if !ok {
		return nil, errNotSupported("%T as a subquery", node)
	}
	saved := c.scope.owner
	c.scope.owner = c
	defer func() { c.scope.owner = saved }()
	return c.b.query(sub.Query, c.scope, c.scope.ctes)
}

// isIndependent reports whether a query refers to nothing outside of it but results of other independent subqueries.
func (b *builder) isIndependent(n logical) bool {
	free := freeColumns(n)
	for _, s := range b.scalars {
		for _, c := range s.out {
			delete(free, c)
		}
	}
	return len(free) == 0
}

// scalar makes columns of the single row of a subquery: constants, if it is independent, else by an apply under the
// clause's plan.
func (c *clause) scalar(r *rel) ([]*Column, error) {
	if c.b.isIndependent(r.node) {
		s := &scalarSubquery{node: r.node, cols: r.cols}
		for _, col := range r.cols {
			s.out = append(s.out, c.b.newColumn(nullable(col.Type), "ScalarQueryCol#"+itoa(len(c.b.scalars)+1)))
		}
		c.b.scalars = append(c.b.scalars, s)
		return s.out, nil
	}
	if c.plan == nil {
		return nil, errNotSupported("correlated subquery in %s", c.where)
	}
	a := &applyNode{joinNode: joinNode{kind: joinLeft, left: *c.plan, right: r.node}, single: !atMostOneRow(r.node)}
	*c.plan = a
	for _, col := range r.cols {
		col.Type = nullable(col.Type)
	}
	return r.cols, nil
}

func (c *clause) scalarSubquery(n *ast.SubqueryExpr) (*Expr, error) {
	r, err := c.subquery(n)
	if err != nil {
		return nil, err
	}
	if len(r.cols) != 1 {
		return nil, errCode(mysql.ErrOperandColumns, 1)
	}
	cols, err := c.scalar(r)
	if err != nil {
		return nil, err
	}
	return colExpr(cols[0]), nil
}

// rowSubquery is (a, b) = (SELECT c, d …).
func (c *clause) rowSubquery(op cmpOp, left []ast.ExprNode, sub *ast.SubqueryExpr) (*Expr, error) {
	l, err := c.buildAll(left)
	if err != nil {
		return nil, err
	}
	r, err := c.subquery(sub)
	if err != nil {
		return nil, err
	}
	if len(r.cols) != len(l) {
		return nil, errCode(mysql.ErrOperandColumns, len(l))
	}
	cols, err := c.scalar(r)
	if err != nil {
		return nil, err
	}
	right := make([]*Expr, len(cols))
	for i, col := range cols {
		right[i] = colExpr(col)
	}
	return c.b.compareRows(op, l, right)
}

// conjunct joins a subquery that is a condition of its own: EXISTS, IN and their negations. It reports false for
// anything else.
func (c *clause) conjunct(node ast.ExprNode) (joined bool, err error) {
	not := false
	for {
		node = unparen(node)
		u, ok := node.(*ast.UnaryOperationExpr)
		if !ok || u.Op != opcode.Not && u.Op != opcode.Not2 {
			break
		}
		not, node = !not, u.V
	}
	if c.plan == nil {
		return false, nil
	}
	switch n := node.(type) {
	case *ast.ExistsSubqueryExpr:
		return c.existsJoin(n, not != n.Not)
	case *ast.PatternInExpr:
		if n.Sel == nil {
			return false, nil
		}
		return true, c.inJoin(n.Expr, n.Sel, not != n.Not)
	case *ast.CompareSubqueryExpr:
		switch {
		case n.Op == opcode.EQ && !n.All:
			return true, c.inJoin(n.L, n.R, not)
		case n.Op == opcode.NE && n.All:
			return true, c.inJoin(n.L, n.R, !not)
		}
	}
	return false, nil
}

// attach puts a join of the clause's plan with a subquery in the plan's place.
func (c *clause) attach(j joinNode) {
	j.left = *c.plan
	if isCorrelated(j.right, j.left.columns()) {
		*c.plan = &applyNode{joinNode: j}
		return
	}
	*c.plan = &j
}

func semiKind(not bool) joinKind {
	if not {
		return joinAnti
	}
	return joinSemi
}

// existsJoin joins an EXISTS; an independent one is a condition on all rows at once.
func (c *clause) existsJoin(n *ast.ExistsSubqueryExpr, not bool) (bool, error) {
	r, err := c.subquery(n.Sel)
	if err != nil {
		return false, err
	}
	if !c.b.isIndependent(r.node) {
		c.attach(joinNode{kind: semiKind(not), right: r.node})
		return true, nil
	}
	e := c.b.existsConst(r)
	if not {
		if e, err = c.b.not(e); err != nil {
			return false, err
		}
	}
	*c.plan = newSelect(*c.plan, []*Expr{e})
	return true, nil
}

// existsConst is the outcome of an independent EXISTS, known before the plan opens.
func (b *builder) existsConst(r *rel) *Expr {
	s := &scalarSubquery{node: &limitNode{child: r.node, count: 1}, exists: true}
	s.out = []*Column{b.newColumn(withFlag(boolType(), column.FlagNotNull, 0), "ScalarQueryCol#"+itoa(len(b.scalars)+1))}
	b.scalars = append(b.scalars, s)
	return colExpr(s.out[0])
}

func (c *clause) exists(n *ast.ExistsSubqueryExpr, not bool) (*Expr, error) {
	r, err := c.subquery(n.Sel)
	if err != nil {
		return nil, err
	}
	var e *Expr
	if c.b.isIndependent(r.node) {
		e = c.b.existsConst(r)
	} else if e, err = c.mark(joinNode{right: r.node}); err != nil {
		return nil, err
	}
	if not != n.Not {
		return c.b.not(e)
	}
	return e, nil
}

// mark attaches a join whose outcome is a column.
func (c *clause) mark(j joinNode) (*Expr, error) {
	if c.plan == nil {
		return nil, errNotSupported("correlated subquery in %s", c.where)
	}
	j.kind, j.mark = joinMark, c.b.newColumn(boolType(), "")
	c.attach(j)
	return colExpr(j.mark), nil
}

// inPairs builds the two sides of IN and the equalities between them.
func (c *clause) inPairs(left, sel ast.ExprNode) (*rel, []*Expr, error) {
	nodes := []ast.ExprNode{left}
	if row, ok := unparen(left).(*ast.RowExpr); ok {
		nodes = row.Values
	}
	l, err := c.buildAll(nodes)
	if err != nil {
		return nil, nil, err
	}
	r, err := c.subquery(sel)
	if err != nil {
		return nil, nil, err
	}
	if len(r.cols) != len(l) {
		return nil, nil, errCode(mysql.ErrOperandColumns, len(l))
	}
	pairs := make([]*Expr, len(l))
	for i := range l {
		if l[i], err = c.finish(l[i]); err != nil {
			return nil, nil, err
		}
		if pairs[i], err = c.b.compare(cmpEQ, l[i], colExpr(r.cols[i])); err != nil {
			return nil, nil, err
		}
	}
	return r, pairs, nil
}

func (c *clause) inJoin(left, sel ast.ExprNode, not bool) error {
	r, pairs, err := c.inPairs(left, sel)
	if err != nil {
		return err
	}
	j := joinNode{kind: semiKind(not), right: r.node}
	for _, p := range pairs {
		if not && !notNull(p.Type) {
			j.nullAware = append(j.nullAware, p)
		} else {
			j.on = append(j.on, p)
		}
	}
	c.attach(j)
	return nil
}

func (c *clause) inSubquery(n *ast.PatternInExpr) (*Expr, error) {
	return c.inMark(n.Expr, n.Sel, n.Not)
}

func (c *clause) inMark(left, sel ast.ExprNode, not bool) (*Expr, error) {
	r, pairs, err := c.inPairs(left, sel)
	if err != nil {
		return nil, err
	}
	e, err := c.mark(joinNode{right: r.node, nullAware: pairs})
	if err != nil || !not {
		return e, err
	}
	return c.b.not(e)
}

// compareSubquery is x op ANY/ALL (subquery). Orders compare with the extreme, and mind emptiness and NULLs by counts.
func (c *clause) compareSubquery(n *ast.CompareSubqueryExpr) (*Expr, error) {
	switch {
	case n.Op == opcode.EQ && !n.All:
		return c.inMark(n.L, n.R, false)
	case n.Op == opcode.NE && n.All:
		return c.inMark(n.L, n.R, true)
	case n.Op == opcode.EQ || n.Op == opcode.NE || n.Op == opcode.NullEQ:
		return nil, errNotSupported("%s with ANY or ALL", n.Op)
	}
	op := opcodeCmp[n.Op]
	left, err := c.build(n.L)
	if err != nil {
		return nil, err
	}
	r, err := c.subquery(n.R)
	if err != nil {
		return nil, err
	}
	if len(r.cols) != 1 {
		return nil, errCode(mysql.ErrOperandColumns, 1)
	}
	cols, err := c.extremes(r, (op == cmpLT || op == cmpLE) == n.All)
	if err != nil {
		return nil, err
	}
	cmp, err := c.b.compare(op, left, colExpr(cols[0]))
	if err != nil {
		return nil, err
	}
	return c.b.quantified(cmp, colExpr(cols[1]), colExpr(cols[2]), n.All)
}

// extremes aggregates a one-column subquery to its least (or greatest) value, its rows and its values.
func (c *clause) extremes(r *rel, least bool) ([]*Column, error) {
	g := &grouping{b: c.b, agg: &aggNode{child: r.node}, funcs: map[string]*aggFunc{}}
	ext := &aggFunc{tp: tipb.ExprType_Max, name: "max", args: []*Expr{colExpr(r.cols[0])}}
	if least {
		ext.tp, ext.name = tipb.ExprType_Min, "min"
	}
	var cols []*Column
	for _, f := range []*aggFunc{ext,
		{tp: tipb.ExprType_Count, name: "count", args: []*Expr{withNotNull(intConst(1))}},
		{tp: tipb.ExprType_Count, name: "count", args: []*Expr{colExpr(r.cols[0])}}} {
		e, err := g.add(f)
		if err != nil {
			return nil, err
		}
		cols = append(cols, e.col)
	}
	return c.scalar(&rel{node: g.agg, cols: cols})
}

// quantified decides ANY or ALL by the comparison with the extreme and the counts of rows and of values.
func (b *builder) quantified(cmp, rows, values *Expr, all bool) (*Expr, error) {
	zero, verdict := withNotNull(intConst(0)), intConst(0)
	decided := cmp
	if all {
		verdict = intConst(1)
		var err error
		if decided, err = b.not(cmp); err != nil {
			return nil, err
		}
	}
	empty, err := b.compare(cmpEQ, rows, zero)
	if err != nil {
		return nil, err
	}
	nulls, err := b.compare(cmpNE, rows, values)
	if err != nil {
		return nil, err
	}
	outcome := map[bool]*Expr{true: intConst(0), false: intConst(1)}[all]
	return b.caseOf([]*Expr{empty, verdict, decided, outcome, nulls, nullConst(), cmp})
}
