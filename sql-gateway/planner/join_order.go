package planner

import (
	"math"
	"math/bits"
)

// joinGroup is a set of relations that are joined by inner joins alone: any order gives the same rows.
//
// Equalities of plain columns are kept as classes of equal columns, not as conditions: of each class that two sides of a
// join share, one equality is enough, whichever columns it was written with, and a constant that one column equals holds
// for all. The order is found by dynamic programming over connected subsets (up to dpRelations relations) or greedily.
type joinGroup struct {
	b        *builder
	unique   map[[2]uint64]float64 // see uniqueLeaf
	leaves   []logical
	cols     []colSet // of leaves
	est      []*estimate
	conds    []groupCond
	classes  []*eqClass
	floating []*Expr // conditions without columns of the group, or volatile ones: they stay on top
}

const (
	dpRelations = 10
	maxGroup    = 60 // bits of a mask
)

// orderJoins takes the group of inner joins at n apart, pushes what concerns one relation into it and joins them anew.
func (b *builder) orderJoins(n *joinNode, preds []*Expr) (logical, error) {
	g := &joinGroup{b: b, unique: map[[2]uint64]float64{}}
	conds := g.flatten(n, append([]*Expr(nil), preds...))
	if len(g.leaves) > maxGroup {
		return nil, errNotSupported("joins of more than %d tables", maxGroup)
	}
	for _, l := range g.leaves {
		g.cols = append(g.cols, setOf(l.columns()))
	}
	conds = dedup(normalize(conds))
	local, err := g.assign(conds)
	if err != nil {
		return nil, err
	}
	for i, l := range g.leaves {
		if g.leaves[i], err = b.push(l, dedup(local[i])); err != nil {
			return nil, err
		}
		g.est = append(g.est, b.estimate(g.leaves[i]))
	}
	g.domains()
	return newSelect(g.solve(), g.floating), nil
}

// joinSet is a joined subset of the leaves: one leaf, or the join of two sets.
type joinSet struct {
	node        logical // of a leaf
	left, right *joinSet
	conds       []*Expr
	mask        uint64
	rows        float64
	cost        float64
}

func (g *joinGroup) leafSet(i int) *joinSet {
	s := &joinSet{node: g.leaves[i], mask: 1 << i, rows: g.est[i].rows, cost: g.est[i].rows}
	if scan, ok := g.leaves[i].(*scanNode); ok {
		s.cost = g.b.scanCost(scan)
	}
	return s
}

// scanCost is the rows that a scan, its conditions in place, reads.
func (b *builder) scanCost(s *scanNode) float64 {
	if c, ok := b.scanCosts[s]; ok {
		return c
	}
	rows, _ := b.tableRows(s.table)
	c := math.Max(rows*b.choosePath(s, nil).share, 1)
	b.scanCosts[s] = c
	return c
}

// solve joins all leaves: connected parts first, then those with each other.
func (g *joinGroup) solve() logical {
	sets := make([]*joinSet, len(g.leaves))
	for i := range g.leaves {
		sets[i] = g.leafSet(i)
	}
	if len(sets) <= dpRelations {
		return g.tree(g.dynamic(sets))
	}
	return g.tree(g.greedy(sets))
}

// dynamic finds the cheapest tree over all subsets.
func (g *joinGroup) dynamic(leaves []*joinSet) *joinSet {
	full := uint64(1)<<len(leaves) - 1
	best := make([]*joinSet, full+1)
	for i, l := range leaves {
		best[1<<i] = l
	}
	for mask := uint64(1); mask <= full; mask++ {
		if best[mask] != nil {
			continue
		}
		for _, cross := range []bool{false, true} {
			for sub := (mask - 1) & mask; sub > mask&^sub; sub = (sub - 1) & mask {
				g.improve(&best[mask], best[sub], best[mask&^sub], cross)
			}
			if best[mask] != nil {
				break
			}
		}
	}
	return best[full]
}

func (g *joinGroup) improve(best **joinSet, l, r *joinSet, cross bool) {
	if l == nil || r == nil || !cross && !g.connected(l.mask, r.mask) {
		return
	}
	if s := g.cheapest(l, r); *best == nil || s.cost < (*best).cost {
		*best = s
	}
}

// greedy joins the pair with the fewest rows until one set is left.
func (g *joinGroup) greedy(sets []*joinSet) *joinSet {
	for len(sets) > 1 {
		var best *joinSet
		var at [2]int
		for _, cross := range []bool{false, true} {
			for i := range sets {
				for k := range sets[:i] {
					old := best
					if g.improve(&best, sets[i], sets[k], cross); best != old {
						at = [2]int{k, i}
					}
				}
			}
			if best != nil {
				break
			}
		}
		sets[at[0]] = best
		sets = append(sets[:at[1]], sets[at[1]+1:]...)
	}
	return sets[0]
}

func (g *joinGroup) connected(l, r uint64) bool {
	for _, cl := range g.classes {
		if has := cl.mask(); has&l != 0 && has&r != 0 {
			return true
		}
	}
	for _, c := range g.conds {
		if c.mask&^(l|r) == 0 && c.mask&l != 0 && c.mask&r != 0 {
			return true
		}
	}
	return false
}

// cheapest joins two sets: the larger is probed, the smaller built, or one of them is read by the keys of the other.
func (g *joinGroup) cheapest(l, r *joinSet) *joinSet {
	if l.rows < r.rows || l.rows == r.rows && l.mask > r.mask {
		l, r = r, l
	}
	conds := g.conditions(l.mask, r.mask)
	s := &joinSet{mask: l.mask | r.mask}
	s.rows = math.Max(l.rows*r.rows*g.share(l, r, conds), 1)
	s.cost = l.cost + r.cost + l.rows + buildCost*r.rows + s.rows
	for _, side := range [2][2]*joinSet{{l, r}, {r, l}} {
		inner, outer := side[0], side[1]
		scan, ok := inner.node.(*scanNode)
		if !ok {
			continue
		}
		if path := g.b.lookupPath(scan, conds, outer.rows); path != nil && outer.rows <= path.limit {
			if c := outer.cost + outer.rows*lookupCost*path.lookupFactor() + outer.rows*buildCost + 2*s.rows; c < s.cost {
				s.cost = c
			}
		}
	}
	s.left, s.right, s.conds = l, r, conds
	return s
}

// tree makes the join nodes of a set.
func (g *joinGroup) tree(s *joinSet) logical {
	if s.left == nil {
		return s.node
	}
	n := &joinNode{kind: joinInner, left: g.tree(s.left), right: g.tree(s.right), on: s.conds}
	g.b.estimates[n] = &estimate{rows: s.rows, ndv: mergeNDV(g.b.estimate(n.left), g.b.estimate(n.right))}
	return n
}

// share is the part of the pairs that the conditions keep.
func (g *joinGroup) share(l, r *joinSet, conds []*Expr) float64 {
	share := 1.0
	used := map[*Expr]bool{}
	// A composite key says more than the single ones that share its columns.
	for parts := len(conds); parts > 0; parts-- {
		for i := range g.leaves {
			if n := g.uniqueLeaf(i, parts, l.mask, r.mask); n > 0 && g.bothSides(i, conds, used) {
				share /= n
			}
		}
	}
	first := true
	for _, c := range conds {
		if used[c] {
			continue
		}
		info, ok := cmpOpOf(c.sig)
		if c.kind != kindFunc || !ok || info.op != cmpEQ || !c.args[0].isCol() || !c.args[1].isCol() {
			share *= (&estimate{}).share(c)
			continue
		}
		d := g.domainOf(c.args[0].col)
		if d == 0 {
			d = unknownNDV(math.Max(l.rows, r.rows))
		}
		if !first {
			d = math.Sqrt(d)
		}
		first = false
		share /= d
	}
	return share
}

// uniqueLeaf is the unfiltered size of a leaf of which the classes shared by both sides, parts in number, cover a unique
// key; 0 if they do not. Each row of the other side then meets one row of the leaf at most.
func (g *joinGroup) uniqueLeaf(i, parts int, l, r uint64) float64 {
	other := r
	switch bit := uint64(1) << i; {
	case r&bit != 0:
		other = l
	case l&bit == 0:
		return 0
	}
	var shared uint64
	for k, cl := range g.classes[:min(len(g.classes), 64)] {
		if m := cl.mask(); m&(1<<i) != 0 && m&other != 0 {
			shared |= 1 << k
		}
	}
	if bits.OnesCount64(shared) != parts {
		return 0
	}
	key := [2]uint64{uint64(i), shared}
	n, ok := g.unique[key]
	if !ok {
		n = g.b.uniqueRows(g.leaves[i], g.classEqualities(i, shared))
		g.unique[key] = n
	}
	return n
}

// bothSides marks the equalities of the classes that a leaf has part in as accounted for; false if none is left to
// account for.
func (g *joinGroup) bothSides(leaf int, conds []*Expr, used map[*Expr]bool) bool {
	mine := false
	for _, c := range conds {
		if info, ok := cmpOpOf(c.sig); !ok || c.kind != kindFunc || info.op != cmpEQ || used[c] || !g.inClassOf(leaf, c) {
			continue
		}
		used[c], mine = true, true
	}
	return mine
}
