package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// setOperation builds UNION, EXCEPT and INTERSECT. INTERSECT binds tighter; the rest goes from left to right.
func (b *builder) setOperation(s *ast.SetOprStmt, parent *scope, ctes *cteScope) (*rel, error) {
	ctes, err := b.withClause(s.With, ctes)
	if err != nil {
		return nil, err
	}
	r, err := b.setOperands(s.SelectList, parent, ctes)
	if err != nil {
		return nil, err
	}
	return b.orderedBlock(r, s.OrderBy, s.Limit)
}

func (b *builder) setOperands(list *ast.SetOprSelectList, parent *scope, ctes *cteScope) (*rel, error) {
	ctes, err := b.withClause(list.With, ctes)
	if err != nil {
		return nil, err
	}
	var rels []*rel
	var ops []ast.SetOprType
	for i, n := range list.Selects {
		r, op, err := b.setOperand(n, parent, ctes)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			if len(r.cols) != len(rels[0].cols) {
				return nil, errCode(mysql.ErrWrongNumberOfColumnsInSelect)
			}
			ops = append(ops, op)
		}
		rels = append(rels, r)
	}
	return b.combineAll(rels, ops)
}

func (b *builder) setOperand(n ast.Node, parent *scope, ctes *cteScope) (*rel, ast.SetOprType, error) {
	op := ast.Union
	switch n := n.(type) {
	case *ast.SelectStmt:
		if n.AfterSetOperator != nil {
			op = *n.AfterSetOperator
		}
		r, err := b.query(n, parent, ctes)
		return r, op, err
	case *ast.SetOprSelectList:
		if n.AfterSetOperator != nil {
			op = *n.AfterSetOperator
		}
		r, err := b.setOperands(n, parent, ctes)
		if err != nil {
			return nil, op, err
		}
		r, err = b.orderedBlock(r, n.OrderBy, n.Limit)
		return r, op, err
	}
	return nil, op, errNotSupported("%T in a set operation", n)
}

// combineAll applies the INTERSECTs, then the others. A run of UNION [ALL] becomes one node.
func (b *builder) combineAll(rels []*rel, ops []ast.SetOprType) (*rel, error) {
	for i := 0; i < len(ops); {
		if ops[i] != ast.Intersect && ops[i] != ast.IntersectAll {
			i++
			continue
		}
		r, err := b.combine(rels[i], rels[i+1], ops[i])
		if err != nil {
			return nil, err
		}
		rels[i] = r
		rels = append(rels[:i+1], rels[i+2:]...)
		ops = append(ops[:i], ops[i+1:]...)
	}
	out := rels[0]
	for i, op := range ops {
		r, err := b.combine(out, rels[i+1], op)
		if err != nil {
			return nil, err
		}
		out = r
	}
	return out, nil
}

func (b *builder) combine(l, r *rel, op ast.SetOprType) (*rel, error) {
	switch op {
	case ast.Union, ast.UnionAll:
		return b.union(l, r, op == ast.Union)
	case ast.ExceptAll, ast.IntersectAll:
		return nil, errNotSupported("%s", op.String())
	}
	return b.membership(l, r, op == ast.Except)
}

// union appends; a left side that is itself UNION ALL takes the right one in.
func (b *builder) union(l, r *rel, unique bool) (*rel, error) {
	u := &unionNode{children: []logical{l.node, r.node}}
	children := [][]*Column{l.cols, r.cols}
	if lu, ok := l.node.(*unionNode); ok {
		u.children = append(append([]logical(nil), lu.children...), r.node)
		children = nil
		for _, c := range lu.children {
			children = append(children, c.columns())
		}
		children = append(children, r.cols)
	}
	out := &rel{fields: make([]Field, len(l.fields))}
	casts := make([][]*Expr, len(children))
	for i := range l.cols {
		list := make([]*Expr, len(children))
		for k, cols := range children {
			list[k] = colExpr(cols[i])
		}
		places := make([]int, len(list))
		for k := range places {
			places[k] = k
		}
		ft, err := b.unify(list, places)
		if err != nil {
			return nil, err
		}
		for k, e := range list {
			casts[k] = append(casts[k], e)
		}
		col := b.newColumn(ft, "")
		u.out = append(u.out, col)
		out.fields[i] = Field{Name: l.fields[i].Name, Type: ft}
	}
	for k := range u.children {
		u.children[k] = b.newProject(u.children[k], casts[k])
	}
	out.node, out.cols = u, u.out
	if unique {
		out.node = distinct(u)
	}
	return out, nil
}

// membership is EXCEPT or INTERSECT: distinct left rows that are (not) among the right ones; NULLs are equal here.
func (b *builder) membership(l, r *rel, not bool) (*rel, error) {
	out := &rel{fields: make([]Field, len(l.fields))}
	j := &joinNode{kind: semiKind(not)}
	var left, right []*Expr
	for i := range l.cols {
		pair := []*Expr{colExpr(l.cols[i]), colExpr(r.cols[i])}
		ft, err := b.unify(pair, []int{0, 1})
		if err != nil {
			return nil, err
		}
		left, right = append(left, pair[0]), append(right, pair[1])
		out.fields[i] = Field{Name: l.fields[i].Name, Type: ft}
	}
	p := b.newProject(l.node, left)
	j.left = distinct(p)
	rp := b.newProject(r.node, right)
	j.right = rp
	for i := range l.cols {
		eq, err := b.compare(cmpNullEQ, colExpr(p.out[i]), colExpr(rp.out[i]))
		if err != nil {
			return nil, err
		}
		j.on = append(j.on, eq)
	}
	out.node, out.cols = j, p.out
	return out, nil
}
