package planner

import (
	"math"
	"math/bits"
	"sort"

	"github.com/scree-db/scree/codec/column"
)

// groupCond is a condition over several leaves.
type groupCond struct {
	expr *Expr
	mask uint64
}

// eqClass is a set of columns that are equal in every row of the result.
type eqClass struct {
	cols   []*Column
	leaf   []int
	conds  map[[2]*Column]*Expr // equalities as they were written
	domain float64              // distinct values the columns draw from; 0 if unknown
}

// flatten collects the leaves and conditions of nested inner joins.
func (g *joinGroup) flatten(n logical, conds []*Expr) []*Expr {
	switch n := n.(type) {
	case *joinNode:
		g.b.simplifyJoin(n, conds)
		if n.kind == joinInner && !n.straight {
			conds = append(conds, n.on...)
			return g.flatten(n.right, g.flatten(n.left, conds))
		}
	case *selectNode:
		return g.flatten(n.child, append(conds, n.conds...))
	}
	g.leaves = append(g.leaves, n)
	return conds
}

func (g *joinGroup) maskOf(e *Expr) uint64 {
	var m uint64
	for i, s := range g.cols {
		if e.touches(s) {
			m |= 1 << i
		}
	}
	return m
}

// assign sorts conditions: equalities of columns to classes, conditions of one leaf to it, the rest to conds.
func (g *joinGroup) assign(conds []*Expr) ([][]*Expr, error) {
	local := make([][]*Expr, len(g.leaves))
	var singles []*Expr
	for _, c := range conds {
		m := g.maskOf(c)
		switch {
		case m == 0 || c.isVolatile():
			g.floating = append(g.floating, c)
		case bits.OnesCount64(m) == 1:
			local[bits.TrailingZeros64(m)] = append(local[bits.TrailingZeros64(m)], c)
			singles = append(singles, c)
		case g.equate(c):
		default:
			g.conds = append(g.conds, groupCond{c, m})
			for i, s := range g.cols {
				if e := impliedBy(c, s, g.othersThan(i)); m&(1<<i) != 0 && e != nil {
					local[i] = append(local[i], e)
				}
			}
		}
	}
	return local, g.spread(singles, local)
}

func (g *joinGroup) othersThan(i int) colSet {
	s := colSet{}
	for k, cols := range g.cols {
		if k != i {
			for c := range cols {
				s[c] = true
			}
		}
	}
	return s
}

// equate enters a = b of plain columns of one type into the classes.
func (g *joinGroup) equate(c *Expr) bool {
	info, ok := cmpOpOf(c.sig)
	if c.kind != kindFunc || !ok || info.op != cmpEQ || !c.args[0].isCol() || !c.args[1].isCol() {
		return false
	}
	x, y := c.args[0].col, c.args[1].col
	if !sameDomain(x, y) {
		return false
	}
	cx, cy := g.classOf(x), g.classOf(y)
	if cx != cy {
		cx.cols, cx.leaf = append(cx.cols, cy.cols...), append(cx.leaf, cy.leaf...)
		for k, e := range cy.conds {
			cx.conds[k] = e
		}
		for i, cl := range g.classes {
			if cl == cy {
				g.classes = append(g.classes[:i], g.classes[i+1:]...)
				break
			}
		}
	}
	cx.conds[[2]*Column{x, y}] = c
	return true
}

// sameDomain reports whether equality of x and y is transitive with others of their type.
func sameDomain(x, y *Column) bool {
	ex, ey := evalOf(x.Type), evalOf(y.Type)
	if ex != ey || isEnumSet(x.Type) || isEnumSet(y.Type) {
		return false
	}
	switch ex {
	case evalInt:
		return isUnsigned(x.Type) == isUnsigned(y.Type)
	case evalString:
		return x.Type.Collate == y.Type.Collate
	case evalDecimal:
		return column.Scale(x.Type) == column.Scale(y.Type)
	}
	return ex == evalTime
}

func (g *joinGroup) classOf(c *Column) *eqClass {
	for _, cl := range g.classes {
		for _, m := range cl.cols {
			if m == c {
				return cl
			}
		}
	}
	cl := &eqClass{cols: []*Column{c}, conds: map[[2]*Column]*Expr{}}
	for i, s := range g.cols {
		if s[c] {
			cl.leaf = []int{i}
		}
	}
	g.classes = append(g.classes, cl)
	return cl
}

// spread carries comparisons of a column with constants to all columns that equal it, and equates columns of one leaf.
func (g *joinGroup) spread(singles []*Expr, local [][]*Expr) error {
	for _, cl := range g.classes {
		for i, c := range cl.cols {
			for k, d := range cl.cols[:i] {
				if cl.leaf[i] == cl.leaf[k] {
					eq, err := g.b.compare(cmpEQ, colExpr(d), colExpr(c))
					if err != nil {
						return err
					}
					local[cl.leaf[i]] = append(local[cl.leaf[i]], eq)
					break
				}
			}
			for _, s := range singles {
				if !comparesConstants(s, c) {
					continue
				}
				for k, d := range cl.cols {
					if d != c {
						local[cl.leaf[k]] = append(local[cl.leaf[k]], s.substitute(map[*Column]*Expr{c: colExpr(d)}))
					}
				}
			}
		}
	}
	return nil
}

// comparesConstants reports whether e compares the column c with constants and does nothing else.
func comparesConstants(e *Expr, c *Column) bool {
	_, ok := cmpOpOf(e.sig)
	if e.kind != kindFunc || !ok && e.name != "in" || !e.args[0].isCol() || e.args[0].col != c {
		return false
	}
	for _, a := range e.args[1:] {
		if !a.isConst() {
			return false
		}
	}
	return true
}

// domains estimates how many values the columns of each class draw from: that of the key among them, if there is one.
func (g *joinGroup) domains() {
	for _, cl := range g.classes {
		for i, c := range cl.cols {
			cl.domain = math.Max(cl.domain, g.est[cl.leaf[i]].ndv[c])
		}
	}
}

// mask is the set of leaves that a class has columns of.
func (cl *eqClass) mask() uint64 {
	var m uint64
	for _, leaf := range cl.leaf {
		m |= 1 << leaf
	}
	return m
}

// classEqualities equate a leaf's columns of some classes with something outside of the leaf.
func (g *joinGroup) classEqualities(leaf int, shared uint64) []*Expr {
	var eqs []*Expr
	for k, cl := range g.classes {
		for m, col := range cl.cols {
			if shared&(1<<k) != 0 && cl.leaf[m] == leaf {
				outside := colExpr(&Column{Type: col.Type})
				eqs = append(eqs, &Expr{kind: kindFunc, sig: cmpSig(cmpEQ, evalOf(col.Type)), args: []*Expr{colExpr(col), outside}})
			}
		}
	}
	return eqs
}

// inClassOf reports whether an equality stands for a class that a leaf has part in.
func (g *joinGroup) inClassOf(leaf int, c *Expr) bool {
	for _, cl := range g.classes {
		has, is := false, false
		for k, m := range cl.cols {
			has = has || cl.leaf[k] == leaf
			is = is || c.args[0].isCol() && c.args[0].col == m
		}
		if has && is {
			return true
		}
	}
	return false
}

func (g *joinGroup) domainOf(c *Column) float64 {
	for _, cl := range g.classes {
		for _, m := range cl.cols {
			if m == c {
				return cl.domain
			}
		}
	}
	return 0
}

// conditions are those that a join of two sets applies: one equality of each class they share, and what touches both.
func (g *joinGroup) conditions(l, r uint64) []*Expr {
	var out []*Expr
	for _, cl := range g.classes {
		if e := g.classCondition(cl, l, r); e != nil {
			out = append(out, e)
		}
	}
	for _, c := range g.conds {
		if c.mask&^(l|r) == 0 && c.mask&l != 0 && c.mask&r != 0 {
			out = append(out, c.expr)
		}
	}
	return out
}

func (g *joinGroup) classCondition(cl *eqClass, l, r uint64) *Expr {
	var x, y *Column
	for i, c := range cl.cols {
		switch {
		case l&(1<<cl.leaf[i]) != 0 && x == nil:
			x = c
		case r&(1<<cl.leaf[i]) != 0 && y == nil:
			y = c
		}
		for k, d := range cl.cols {
			if e := cl.conds[[2]*Column{c, d}]; e != nil && (l&(1<<cl.leaf[i]) != 0 && r&(1<<cl.leaf[k]) != 0 || r&(1<<cl.leaf[i]) != 0 && l&(1<<cl.leaf[k]) != 0) {
				return e
			}
		}
	}
	if x == nil || y == nil {
		return nil
	}
	e, err := g.b.compare(cmpEQ, colExpr(x), colExpr(y))
	if err != nil {
		return nil
	}
	return e
}

// sortedColumns lists a set by column number, for output that does not change from run to run.
func sortedColumns(s colSet) []*Column {
	out := make([]*Column, 0, len(s))
	for c := range s {
		out = append(out, c)
	}
	sort.Slice(out, func(i, k int) bool { return out[i].ID < out[k].ID })
	return out
}
