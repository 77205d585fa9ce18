package planner

import "github.com/scree-db/scree/codec/column"

// prune drops the columns of n and below that nobody above needs.
func prune(n logical, needed colSet) {
	switch n := n.(type) {
	case *scanNode:
		pruneScan(n, needed)
	case *selectNode:
		below := needed.with(n.conds...)
		prune(n.child, below)
	case *projectNode:
		var exprs []*Expr
		var out []*Column
		below := colSet{}
		seen := colSet{}
		for i, c := range n.out {
			if needed[c] && !seen[c] {
				seen[c] = true
				exprs, out = append(exprs, n.exprs[i]), append(out, c)
				below.addColumns(n.exprs[i])
			}
		}
		n.exprs, n.out = exprs, out
		prune(n.child, below)
	case *joinNode:
		n.needed = needed
		below := needed.with(append(n.on[:len(n.on):len(n.on)], n.nullAware...)...)
		prune(n.left, below)
		prune(n.right, below)
	case *applyNode:
		below := needed.with(append(n.on[:len(n.on):len(n.on)], n.nullAware...)...)
		prune(n.right, below)
		for c := range freeColumns(n.right) {
			below[c] = true
		}
		prune(n.left, below)
	case *aggNode:
		pruneAgg(n, needed)
	case *sortNode:
		below := needed.with()
		for _, o := range n.by {
			below.addColumns(o.expr)
		}
		prune(n.child, below)
	case *windowNode:
		pruneWindow(n, needed)
	case *expandNode:
		prune(n.child, needed.with(n.keys...))
	case *unionNode:
		pruneUnion(n, needed)
	case *singleNode:
		prune(n.child, needed)
	case *limitNode:
		prune(n.child, needed)
	}
}

func (s colSet) with(es ...*Expr) colSet {
	out := make(colSet, len(s)+len(es))
	for c := range s {
		out[c] = true
	}
	out.addColumns(es...)
	return out
}

// pruneScan keeps at least one column, the cheapest to decode: rows without columns cannot be counted in every format.
func pruneScan(n *scanNode, needed colSet) {
	need := needed.with(n.conds...)
	var cols []*Column
	var offsets []int
	for i, c := range n.cols {
		if need[c] {
			cols, offsets = append(cols, c), append(offsets, n.offsets[i])
		}
	}
	if len(cols) == 0 {
		i := cheapestColumn(n)
		cols, offsets = n.cols[i:i+1], n.offsets[i:i+1]
	}
	n.cols, n.offsets = cols, offsets
	n.out = []*Column{}
	for _, c := range cols {
		if needed[c] {
			n.out = append(n.out, c)
		}
	}
	if len(n.out) == 0 {
		n.out = cols[:1]
	}
}

func cheapestColumn(n *scanNode) int {
	best := 0
	for i, c := range n.cols {
		switch {
		case n.offsets[i] < 0 || n.offsets[i] == n.table.IntHandle:
			return i
		case column.KindOf(c.Type) != column.Bytes && column.KindOf(n.cols[best].Type) == column.Bytes:
			best = i
		}
	}
	return best
}

func pruneAgg(n *aggNode, needed colSet) {
	var aggs []*aggFunc
	below := colSet{}
	below.addColumns(n.keys...)
	for _, f := range n.aggs {
		if !needed[f.out] {
			continue
		}
		aggs = append(aggs, f)
		below.addColumns(f.args...)
		for _, o := range f.orderBy {
			below.addColumns(o.expr)
		}
	}
	if len(aggs) == 0 && len(n.keys) == 0 && len(n.aggs) > 0 {
		aggs = n.aggs[:1]
		below.addColumns(aggs[0].args...)
	}
	n.aggs = aggs
	prune(n.child, below)
}

func pruneUnion(n *unionNode, needed colSet) {
	var keep []int
	for i, c := range n.out {
		if needed[c] {
			keep = append(keep, i)
		}
	}
	if len(keep) == 0 {
		keep = []int{0}
	}
	out := make([]*Column, len(keep))
	for k, i := range keep {
		out[k] = n.out[i]
	}
	for ci, c := range n.children {
		cols := c.columns()
		p := &projectNode{child: c}
		for _, i := range keep {
			p.exprs, p.out = append(p.exprs, colExpr(cols[i])), append(p.out, cols[i])
		}
		prune(c, setOf(p.out))
		n.children[ci] = p
	}
	n.out = out
}

// hoistProjections moves projections out of the way: below an aggregation they are restated in its expressions, below
// ORDER BY ... LIMIT they are computed for the rows that remain.
func hoistProjections(n logical) logical {
	mapInputs(n, hoistProjections)
	switch n := n.(type) {
	case *aggNode:
		if p, ok := n.child.(*projectNode); ok && !anyVolatile(p.exprs) {
			restateAgg(n, p)
		}
	case *limitNode:
		s, ok := n.child.(*sortNode)
		if !ok {
			return n
		}
		p, ok := s.child.(*projectNode)
		if !ok || anyVolatile(p.exprs) {
			return n
		}
		m := p.mapping()
		by := make([]orderItem, len(s.by))
		for i, o := range s.by {
			by[i] = orderItem{o.expr.substitute(m), o.desc}
		}
		return &projectNode{exprs: p.exprs, out: p.out,
			child: &limitNode{offset: n.offset, count: n.count, child: &sortNode{child: p.child, by: by}}}
	case *projectNode:
		if p, ok := n.child.(*projectNode); ok && !anyVolatile(p.exprs) {
			m := p.mapping()
			for i, e := range n.exprs {
				n.exprs[i] = e.substitute(m)
			}
			n.child = p.child
		}
	}
	return n
}

func (p *projectNode) mapping() map[*Column]*Expr {
	m := make(map[*Column]*Expr, len(p.out))
	for i, c := range p.out {
		if !(p.exprs[i].isCol() && p.exprs[i].col == c) {
			m[c] = p.exprs[i]
		}
	}
	return m
}

func anyVolatile(list []*Expr) bool {
	for _, e := range list {
		if e.isVolatile() {
			return true
		}
	}
	return false
}

func restateAgg(n *aggNode, p *projectNode) {
	m := p.mapping()
	for i, k := range n.keys {
		n.keys[i] = k.substitute(m)
	}
	for i, f := range n.aggs {
		c := *f
		c.args = make([]*Expr, len(f.args))
		for k, a := range f.args {
			c.args[k] = a.substitute(m)
		}
		c.orderBy = nil
		for _, o := range f.orderBy {
			c.orderBy = append(c.orderBy, orderItem{o.expr.substitute(m), o.desc})
		}
		n.aggs[i] = &c
	}
	n.child = p.child
}
