package planner

import "github.com/pingcap/tipb/go-tipb"

// decorrelate turns applies into joins where it can, innermost first. A correlated subquery mostly refers to the outer
// row in conditions alone; those are pulled up through the subquery's operators until they stand at its top, where they
// become the conditions of a join:
//
//	EXISTS, IN            semi, anti or mark join on them
//	scalar aggregate      the aggregate is grouped by the inner sides of the equalities, left join on them; an outer row
//	                      without a group gets what the aggregate of no rows is (COUNT 0, else NULL)
//	scalar row            left join, if the equalities cover a unique key (else nothing says that there is one row only)
//
// What remains an applyNode is run row by row.
func (b *builder) decorrelate(n logical) (logical, error) {
	var err error
	mapInputs(n, func(c logical) logical {
		if err == nil {
			c, err = b.decorrelate(c)
		}
		return c
	})
	a, ok := n.(*applyNode)
	if !ok || err != nil {
		return n, err
	}
	outer := setOf(a.left.columns())
	if a.kind == joinLeft {
		return b.unnestScalar(a, outer)
	}
	right := a.right
	if l, ok := right.(*limitNode); ok && len(a.on)+len(a.nullAware) == 0 && l.offset == 0 && l.count > 0 {
		right = l.child
	}
	pulled, conds, ok := b.pull(right, outer)
	if !ok {
		return n, nil
	}
	j := a.joinNode
	j.right = pulled
	j.on = append(j.on[:len(j.on):len(j.on)], conds...)
	return &j, nil
}

// mapInputs replaces the children of a node in place.
func mapInputs(n logical, f func(logical) logical) {
	switch n := n.(type) {
	case *selectNode:
		n.child = f(n.child)
	case *projectNode:
		n.child = f(n.child)
	case *joinNode:
		n.left, n.right = f(n.left), f(n.right)
	case *applyNode:
		n.left, n.right = f(n.left), f(n.right)
	case *aggNode:
		n.child = f(n.child)
	case *sortNode:
		n.child = f(n.child)
	case *limitNode:
		n.child = f(n.child)
	case *windowNode:
		n.child = f(n.child)
	case *expandNode:
		n.child = f(n.child)
	case *singleNode:
		n.child = f(n.child)
	case *unionNode:
		for i := range n.children {
			n.children[i] = f(n.children[i])
		}
	}
}

func correlatedWith(n logical, outer colSet) bool {
	for c := range freeColumns(n) {
		if outer[c] {
			return true
		}
	}
	return false
}

// pull takes the conditions that touch outer out of n. The columns they need of n are in the result's columns.
func (b *builder) pull(n logical, outer colSet) (_ logical, conds []*Expr, ok bool) {
	if !correlatedWith(n, outer) {
		return n, nil, true
	}
	switch n := n.(type) {
	case *selectNode:
		child, conds, ok := b.pull(n.child, outer)
		var keep []*Expr
		for _, c := range n.conds {
			if c.touches(outer) {
				conds = append(conds, c)
			} else {
				keep = append(keep, c)
			}
		}
		return newSelect(child, keep), conds, ok
	case *projectNode:
		return b.pullProject(n, outer)
	case *aggNode:
		if len(n.keys) == 0 {
			return nil, nil, false
		}
		return b.pullAgg(n, outer)
	case *joinNode:
		return b.pullJoin(n, outer)
	case *sortNode:
		return b.pull(n.child, outer)
	}
	return nil, nil, false
}

func (b *builder) pullProject(n *projectNode, outer colSet) (logical, []*Expr, bool) {
	for _, e := range n.exprs {
		if e.touches(outer) {
			return nil, nil, false
		}
	}
	child, conds, ok := b.pull(n.child, outer)
	if !ok {
		return nil, nil, false
	}
	out := &projectNode{child: child, exprs: n.exprs[:len(n.exprs):len(n.exprs)], out: n.out[:len(n.out):len(n.out)]}
	have, needed := setOf(n.out), colSet{}
	needed.addColumns(conds...)
	for _, c := range child.columns() {
		if needed[c] && !have[c] {
			have[c] = true
			out.exprs = append(out.exprs, colExpr(c))
			out.out = append(out.out, c)
		}
	}
	return out, conds, true
}

func (b *builder) pullJoin(n *joinNode, outer colSet) (logical, []*Expr, bool) {
	if n.kind != joinInner {
		if correlatedWith(n.right, outer) {
			return nil, nil, false
		}
		for _, c := range append(n.on[:len(n.on):len(n.on)], n.nullAware...) {
			if c.touches(outer) {
				return nil, nil, false
			}
		}
	}
	left, conds, ok := b.pull(n.left, outer)
	if !ok {
		return nil, nil, false
	}
	right, more, ok := b.pull(n.right, outer)
	if !ok {
		return nil, nil, false
	}
	conds = append(conds, more...)
	out := *n
	out.left, out.right, out.on = left, right, nil
	for _, c := range n.on {
		if c.touches(outer) {
			conds = append(conds, c)
		} else {
			out.on = append(out.on, c)
		}
	}
	return &out, conds, true
}

// pullAgg groups in addition by the inner sides of the pulled conditions, which must be equalities with outer sides.
func (b *builder) pullAgg(n *aggNode, outer colSet) (logical, []*Expr, bool) {
	for _, f := range n.aggs {
		for _, e := range f.args {
			if e.touches(outer) {
				return nil, nil, false
			}
		}
	}
	for _, k := range n.keys {
		if k.touches(outer) {
			return nil, nil, false
		}
	}
	child, conds, ok := b.pull(n.child, outer)
	if !ok {
		return nil, nil, false
	}
	out := &aggNode{child: child, keys: n.keys[:len(n.keys):len(n.keys)], keyCols: n.keyCols[:len(n.keyCols):len(n.keyCols)], aggs: n.aggs}
	inner := setOf(child.columns())
	for i, c := range conds {
		rewritten, ok := b.groupOn(out, c, inner, outer)
		if !ok {
			return nil, nil, false
		}
		conds[i] = rewritten
	}
	return out, conds, true
}

// groupOn adds the inner side of an equality to the keys and rewrites the equality to use it.
func (b *builder) groupOn(a *aggNode, cond *Expr, inner, outer colSet) (*Expr, bool) {
	info, ok := cmpOpOf(cond.sig)
	if cond.kind != kindFunc || !ok || info.op != cmpEQ {
		return nil, false
	}
	for side, e := range cond.args {
		other := cond.args[1-side]
		if e.touches(outer) || !e.touches(inner) || other.touches(inner) {
			continue
		}
		col := a.keyFor(e, b)
		c := *cond
		c.args = append([]*Expr(nil), cond.args...)
		c.args[side] = colExpr(col)
		return &c, true
	}
	return nil, false
}

func (a *aggNode) keyFor(e *Expr, b *builder) *Column {
	for i, k := range a.keys {
		if sameExpr(k, e) {
			return a.keyCols[i]
		}
	}
	col := e.col
	if !e.isCol() {
		col = b.newColumn(e.Type, "")
	}
	a.keys = append(a.keys, e)
	a.keyCols = append(a.keyCols, col)
	return col
}

// unnestScalar makes a left join of the apply of a scalar subquery.
func (b *builder) unnestScalar(a *applyNode, outer colSet) (logical, error) {
	if !correlatedWith(a.right, outer) {
		j := a.joinNode
		if a.single {
			j.right = &singleNode{child: a.right}
		}
		return &j, nil
	}
	top := a.right
	proj, _ := top.(*projectNode)
	if proj != nil {
		top = proj.child
	}
	if agg, ok := top.(*aggNode); ok && len(agg.keys) == 0 {
		return b.unnestAggregate(a, proj, agg, outer)
	}
	return b.unnestRow(a, outer)
}

func (b *builder) unnestAggregate(a *applyNode, proj *projectNode, agg *aggNode, outer colSet) (logical, error) {
	grouped, conds, ok := b.pullAgg(agg, outer)
	if !ok || hasBitAggregate(agg) {
		return a, nil
	}
	g := grouped.(*aggNode)
	// A group that is missing has the value of no rows, which only COUNT tells from NULL.
	empty := map[*Column]*Expr{}
	aggs := make([]*aggFunc, len(g.aggs))
	for i, f := range g.aggs {
		aggs[i] = f
		if f.tp != tipb.ExprType_Count {
			continue
		}
		inner := *f
		inner.out = b.newColumn(nullable(f.out.Type), "")
		aggs[i] = &inner
		e, err := b.ifNull(colExpr(inner.out), withNotNull(intConst(0)))
		if err != nil {
			return nil, err
		}
		empty[f.out] = e
	}
	g.aggs = aggs
	j := &joinNode{kind: joinLeft, left: a.left, right: g, on: append(a.on[:len(a.on):len(a.on)], conds...)}
	out := &projectNode{child: j}
	for _, c := range a.left.columns() {
		out.exprs, out.out = append(out.exprs, colExpr(c)), append(out.out, c)
	}
	if proj == nil {
		for _, f := range agg.aggs {
			out.exprs, out.out = append(out.exprs, colExpr(f.out).substitute(empty)), append(out.out, f.out)
		}
		return out, nil
	}
	for i, e := range proj.exprs {
		out.exprs, out.out = append(out.exprs, e.substitute(empty)), append(out.out, proj.out[i])
	}
	return out, nil
}

func hasBitAggregate(a *aggNode) bool {
	for _, f := range a.aggs {
		switch f.tp {
		case tipb.ExprType_Agg_BitAnd, tipb.ExprType_Agg_BitOr, tipb.ExprType_Agg_BitXor:
			return true
		}
	}
	return false
}

// unnestRow joins a scalar subquery that is no aggregate, if at most one row can match.
func (b *builder) unnestRow(a *applyNode, outer colSet) (logical, error) {
	for _, e := range projected(a.right) {
		if !e.isCol() || outer[e.col] {
			return a, nil // it need not be NULL where no row matches
		}
	}
	right, conds, ok := b.pull(a.right, outer)
	if !ok || a.single && !uniqueOn(right, conds) {
		return a, nil
	}
	j := a.joinNode
	j.right = right
	j.on = append(j.on[:len(j.on):len(j.on)], conds...)
	return &j, nil
}

func projected(n logical) []*Expr {
	if p, ok := n.(*projectNode); ok {
		return p.exprs
	}
	return nil
}

// uniqueOn reports whether at most one row of n satisfies the equalities among conds for any values of their other
// sides: n is one table, filtered and projected, and they cover a unique key.
func uniqueOn(n logical, conds []*Expr) bool {
	for {
		switch x := n.(type) {
		case *projectNode:
			n = x.child
			continue
		case *selectNode:
			conds = append(conds[:len(conds):len(conds)], x.conds...)
			n = x.child
			continue
		case *scanNode:
			conds = append(conds[:len(conds):len(conds)], x.conds...)
			return coversUnique(x.table, equatedOffsets(x, conds))
		}
		return false
	}
}

// equatedOffsets are the table columns that conds equate with something outside of the scan.
func equatedOffsets(s *scanNode, conds []*Expr) map[int]bool {
	own := setOf(s.cols)
	have := map[int]bool{}
	for _, c := range conds {
		info, ok := cmpOpOf(c.sig)
		if c.kind != kindFunc || !ok || info.op != cmpEQ {
			continue
		}
		for side, e := range c.args {
			if !e.isCol() || !own[e.col] || c.args[1-side].touches(own) {
				continue
			}
			for i, col := range s.cols {
				if col == e.col {
					have[s.offsets[i]] = true
				}
			}
		}
	}
	return have
}
