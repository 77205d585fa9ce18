package planner

import (
	"math"

	"github.com/scree-db/scree/codec/column"
)

// hashJoin plans a join: a hash join, whose inner side is read by key where the outer side is small.
func (b *builder) hashJoin(n *joinNode) (physical, error) {
	j := &physJoin{kind: n.kind}
	if err := b.joinKeys(j, n); err != nil {
		return nil, err
	}
	l, r := b.estimate(n.left), b.estimate(n.right)
	var err error
	lookRight, lookLeft := b.lookupInto(n.right, n.on, l.rows), (*accessPath)(nil)
	if n.kind == joinInner || n.kind == joinSemi {
		if lookLeft = b.lookupInto(n.left, n.on, r.rows); lookLeft != nil && lookRight != nil {
			if l.rows <= r.rows {
				lookLeft = nil
			} else {
				lookRight = nil
			}
		}
	}
	lookLeft, lookRight = b.worthLooking(lookLeft, n, l.rows, r.rows), b.worthLooking(lookRight, n, r.rows, l.rows)
	buildLeft := l.rows < r.rows && !j.nullAware
	if j.left, err = b.joinSide(n.left, lookLeft, r.rows, !buildLeft); err != nil {
		return nil, err
	}
	if j.right, err = b.joinSide(n.right, lookRight, l.rows, buildLeft); err != nil {
		return nil, err
	}
	switch {
	case lookRight != nil:
		j.lookup = &lookupSide{j.right, lookRight}
	case lookLeft != nil:
		j.lookup = &lookupSide{j.left, lookLeft}
	}
	name := "HashJoin"
	if j.lookup != nil {
		name = "IndexHashJoin"
	}
	j.buildLeft = buildLeft
	if j.lookup != nil {
		j.buildLeft = j.lookup.inner == j.right // the outer side is in memory anyway
	}
	j.physBase = b.newBase(name, joinColumns(j, n.mark), b.estimate(n).rows)
	if p := b.broadcast(j, n); p != nil {
		return p, nil
	}
	b.filterKeys(j, n)
	return j, nil
}

// joinColumns are the columns of a join by position.
func joinColumns(j *physJoin, mark *Column) []*Column {
	cols := append([]*Column(nil), j.left.base().cols...)
	switch {
	case j.kind.rightColumns():
		cols = append(cols, j.right.base().cols...)
	case j.kind == joinMark:
		cols = append(cols, mark)
	}
	return cols
}

// worthLooking drops a look-up path of an inner join that is there in the hope of fewer outer rows than are expected, if the stores
// can run the join: they read all of the inner side then, which nobody has to be sent.
func (b *builder) worthLooking(path *accessPath, n *joinNode, inner, outer float64) *accessPath {
	if path != nil && n.kind == joinInner && outer > path.limit && outer <= float64(b.broadcasts.rows) &&
		broadcastPays(inner, outer, b.estimate(n).rows, b.reduced) {
		return nil
	}
	return path
}

// joinSide plans a side of a join; with a look-up path it is what all outer rows together fetch. What stands above the join goes
// on to reduce rows of the probe side alone.
func (b *builder) joinSide(n logical, lookup *accessPath, outerRows float64, probe bool) (physical, error) {
	if lookup == nil {
		return b.under(probe && b.reduced, n)
	}
	fetched := *lookup
	fetched.share = math.Min(1, fetched.share*outerRows)
	return b.readerOn(plainScan(n), &fetched), nil
}

// plainScan is the scan that n is, but for projections that compute nothing.
func plainScan(n logical) *scanNode {
	for {
		switch x := n.(type) {
		case *scanNode:
			return x
		case *projectNode:
			for i, e := range x.exprs {
				if !e.isCol() || e.col != x.out[i] {
					return nil
				}
			}
			n = x.child
		default:
			return nil
		}
	}
}

func (b *builder) lookupInto(n logical, on []*Expr, outerRows float64) *accessPath {
	s := plainScan(n)
	if s == nil || neverHolds(s.conds) {
		return nil
	}
	p := b.lookupPath(s, on, outerRows)
	if p != nil && p.index != nil {
		p.covering = b.covers(s, p.index, setOf(s.cols))
	}
	return p
}

// joinKeys sorts the conditions of a join: equalities between the sides are keys.
func (b *builder) joinKeys(j *physJoin, n *joinNode) error {
	left, right := setOf(n.left.columns()), setOf(n.right.columns())
	for _, c := range n.on {
		l, r, ok := equiPair(c, left, right)
		info, _ := cmpOpOf(c.sig)
		switch {
		case !ok || evalOf(l.Type) == evalJSON:
			j.other = append(j.other, c)
		case info.op == cmpNullEQ:
			if err := b.nullSafeKey(j, l, r); err != nil {
				return err
			}
		default:
			if err := b.addKey(j, l, r); err != nil {
				return err
			}
		}
	}
	return b.nullAwareKeys(j, n, left, right)
}

// nullAwareKeys: the equalities of NOT IN are keys of their own kind if they are all there is, else conditions beside.
func (b *builder) nullAwareKeys(j *physJoin, n *joinNode, left, right colSet) error {
	if len(n.nullAware) == 0 {
		return nil
	}
	if len(n.on) > 0 || len(n.nullAware) > 1 {
		j.inEq = n.nullAware
		return nil
	}
	l, r, ok := equiPair(n.nullAware[0], left, right)
	if !ok {
		j.inEq = n.nullAware
		return nil
	}
	j.nullAware = true
	return b.addKey(j, l, r)
}

// addKey brings both sides to one type: keys are compared by their bytes.
func (b *builder) addKey(j *physJoin, l, r *Expr) error {
	if evalOf(l.Type) == evalDecimal && column.Scale(l.Type) != column.Scale(r.Type) {
		ft := mergeTypes(l.Type, r.Type)
		var err error
		if l, err = b.castTo(l, ft); err != nil {
			return err
		}
		if r, err = b.castTo(r, ft); err != nil {
			return err
		}
	}
	j.leftKeys, j.rightKeys = append(j.leftKeys, l), append(j.rightKeys, r)
	return nil
}

// nullSafeKey makes keys of l <=> r: both or none NULL, and equal with NULL replaced.
func (b *builder) nullSafeKey(j *physJoin, l, r *Expr) error {
	if notNull(l.Type) && notNull(r.Type) {
		return b.addKey(j, l, r)
	}
	var keys [2][2]*Expr
	for i, e := range []*Expr{l, r} {
		var err error
		if keys[i][0], err = b.isNull(e); err != nil {
			return err
		}
		if keys[i][1], err = b.ifNull(e, zeroOf(&Column{Type: e.Type})); err != nil {
			return err
		}
	}
	if err := b.addKey(j, keys[0][0], keys[1][0]); err != nil {
		return err
	}
	return b.addKey(j, keys[0][1], keys[1][1])
}

// apply plans the fallback for correlated subqueries that no join says.
func (b *builder) apply(n *applyNode) (physical, error) {
	left, err := b.under(false, n.left)
	if err != nil {
		return nil, err
	}
	// Conditions of the apply filter the right side for each left row.
	right := newSelect(n.right, n.on)
	p, err := b.under(false, right)
	if err != nil {
		return nil, err
	}
	a := &physApply{node: n, left: left, right: p}
	cols := append([]*Column(nil), left.base().cols...)
	switch {
	case n.kind.rightColumns():
		cols = append(cols, p.base().cols...)
	case n.kind == joinMark:
		cols = append(cols, n.mark)
	}
	a.physBase = b.newBase("Apply", cols, left.base().rows)
	return a, nil
}
