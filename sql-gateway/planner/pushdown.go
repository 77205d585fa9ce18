package planner

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// push moves conditions as far down as they go and orders joins on the way: preds hold above n; the result is n with
// preds applied in it or on top of it. Groups of inner joins are taken apart and put together anew (orderJoins).
func (b *builder) push(n logical, preds []*Expr) (logical, error) {
	switch n := n.(type) {
	case *scanNode:
		n.conds = append(n.conds, dedup(normalize(preds))...)
		return n, nil
	case *selectNode:
		return b.push(n.child, append(preds[:len(preds):len(preds)], n.conds...))
	case *projectNode:
		return b.pushProject(n, preds)
	case *joinNode:
		return b.pushJoin(n, preds)
	case *applyNode:
		return b.pushApply(n, preds)
	case *aggNode:
		return b.pushAggregate(n, preds)
	case *sortNode:
		child, err := b.push(n.child, preds)
		n.child = child
		return n, err
	case *windowNode:
		return b.pushWindow(n, preds)
	case *unionNode:
		return b.pushUnion(n, preds)
	}
	var err error
	mapInputs(n, func(c logical) logical {
		if err == nil {
			c, err = b.push(c, nil)
		}
		return c
	})
	return newSelect(n, dedup(preds)), err
}

func dedup(list []*Expr) []*Expr {
	seen := make(map[string]bool, len(list))
	var out []*Expr
	for _, e := range list {
		if e.isConst() && !e.isNull() && evalOf(e.Type) == evalInt && e.val.Int64() != 0 {
			continue
		}
		if k := e.key(); !seen[k] {
			seen[k] = true
			out = append(out, e)
		}
	}
	return out
}

// pushProject restates conditions by what the columns are computed from.
func (b *builder) pushProject(n *projectNode, preds []*Expr) (logical, error) {
	m := make(map[*Column]*Expr, len(n.out))
	unmovable := colSet{}
	for i, c := range n.out {
		m[c] = n.exprs[i]
		if n.exprs[i].isVolatile() {
			unmovable[c] = true
		}
	}
	var below, above []*Expr
	for _, p := range preds {
		if p.touches(unmovable) || p.isVolatile() {
			above = append(above, p)
			continue
		}
		s, err := b.refold(p.substitute(m))
		if err != nil {
			return nil, err
		}
		below = append(below, s)
	}
	child, err := b.push(n.child, below)
	n.child = child
	return newSelect(n, above), err
}

// refold folds what substitution has made constant.
func (b *builder) refold(e *Expr) (*Expr, error) {
	if e.kind != kindFunc {
		return e, nil
	}
	args := make([]*Expr, len(e.args))
	changed := false
	for i, a := range e.args {
		var err error
		if args[i], err = b.refold(a); err != nil {
			return nil, err
		}
		changed = changed || args[i] != a
	}
	if changed {
		c := *e
		c.args = args
		e = &c
	}
	return b.fold(e)
}

// pushAggregate lets conditions on the keys alone through: they drop groups as a whole.
func (b *builder) pushAggregate(n *aggNode, preds []*Expr) (logical, error) {
	m, keys := map[*Column]*Expr{}, colSet{}
	for i, c := range n.keyCols {
		m[c] = n.keys[i]
		keys[c] = true
	}
	others := colSet{}
	for _, f := range n.aggs {
		if !keys[f.out] {
			others[f.out] = true
		}
	}
	var below, above []*Expr
	for _, p := range preds {
		if len(n.keys) == 0 || p.touches(others) || !p.touches(keys) {
			above = append(above, p)
		} else {
			below = append(below, p.substitute(m))
		}
	}
	child, err := b.push(n.child, below)
	n.child = child
	return newSelect(n, dedup(above)), err
}

func (b *builder) pushUnion(n *unionNode, preds []*Expr) (logical, error) {
	for i, c := range n.children {
		m := map[*Column]*Expr{}
		for k, col := range c.columns() {
			m[n.out[k]] = colExpr(col)
		}
		below := make([]*Expr, len(preds))
		for k, p := range preds {
			below[k] = p.substitute(m)
		}
		child, err := b.push(c, below)
		if err != nil {
			return nil, err
		}
		n.children[i] = child
	}
	return n, nil
}

func (b *builder) pushApply(n *applyNode, preds []*Expr) (logical, error) {
	right := colSet{}
	if n.kind.rightColumns() {
		right.add(n.right.columns())
	} else if n.mark != nil {
		right[n.mark] = true
	}
	var below, above []*Expr
	for _, p := range preds {
		if p.touches(right) || p.isVolatile() {
			above = append(above, p)
		} else {
			below = append(below, p)
		}
	}
	var err error
	if n.left, err = b.push(n.left, below); err != nil {
		return nil, err
	}
	n.right, err = b.push(n.right, nil)
	return newSelect(n, dedup(above)), err
}

// pushJoin treats one join; an inner one belongs to a group.
func (b *builder) pushJoin(n *joinNode, preds []*Expr) (logical, error) {
	b.simplifyJoin(n, preds)
	if n.kind == joinInner {
		if n.straight {
			return b.pushStraight(n, preds)
		}
		return b.orderJoins(n, preds)
	}
	left, right := setOf(n.left.columns()), setOf(n.right.columns())
	hidden := right
	if n.kind == joinMark {
		hidden = colSet{n.mark: true}
	} else if !n.kind.rightColumns() {
		hidden = colSet{}
	}
	var above, toLeft, toRight, on []*Expr
	for _, p := range preds {
		if p.touches(hidden) || p.isVolatile() {
			above = append(above, p)
		} else {
			toLeft = append(toLeft, p)
		}
	}
	for _, c := range normalize(n.on) {
		switch {
		case !c.touches(left) && !c.isVolatile():
			toRight = append(toRight, c)
		case !c.touches(right) && n.kind == joinSemi:
			toLeft = append(toLeft, c)
		default:
			on = append(on, c)
		}
	}
	n.on = dedup(on)
	var err error
	if n.left, err = b.push(n.left, toLeft); err != nil {
		return nil, err
	}
	n.right, err = b.push(n.right, toRight)
	return newSelect(n, dedup(above)), err
}

func (b *builder) pushStraight(n *joinNode, preds []*Expr) (logical, error) {
	left, right := setOf(n.left.columns()), setOf(n.right.columns())
	var toLeft, toRight, on []*Expr
	for _, c := range normalize(append(n.on, preds...)) {
		switch {
		case c.isVolatile() || c.touches(left) && c.touches(right):
			on = append(on, c)
		case c.touches(right):
			toRight = append(toRight, c)
		default:
			toLeft = append(toLeft, c)
		}
	}
	n.on = dedup(on)
	var err error
	if n.left, err = b.push(n.left, toLeft); err != nil {
		return nil, err
	}
	n.right, err = b.push(n.right, toRight)
	return n, err
}

// simplifyJoin makes a left join inner if a condition above refuses rows without a match, and a semi join inner if a
// left row matches at most one right row anyway: inner joins may change their order.
func (b *builder) simplifyJoin(n *joinNode, preds []*Expr) {
	switch n.kind {
	case joinLeft:
		right := setOf(n.right.columns())
		for _, p := range preds {
			if rejectsNull(p, right) {
				n.kind = joinInner
				return
			}
		}
	case joinSemi:
		if len(n.on) > 0 && b.uniqueMatch(n) {
			n.kind = joinInner
		}
	}
}

// uniqueMatch reports whether the equalities of a semi join hold for at most one right row.
func (b *builder) uniqueMatch(n *joinNode) bool {
	left, right := setOf(n.left.columns()), setOf(n.right.columns())
	for c := range right {
		if left[c] {
			return false
		}
	}
	var eqs []*Expr
	for _, c := range n.on {
		if info, ok := cmpOpOf(c.sig); ok && c.kind == kindFunc && info.op == cmpEQ {
			if _, _, ok := equiPair(c, left, right); ok {
				eqs = append(eqs, c)
			}
		}
	}
	return uniqueUnder(n.right, eqs)
}

// uniqueUnder reports whether equalities select at most one row of n.
func uniqueUnder(n logical, eqs []*Expr) bool {
	switch n := n.(type) {
	case *scanNode:
		return coversUnique(n.table, equatedOffsets(n, eqs))
	case *selectNode:
		return uniqueUnder(n.child, eqs)
	case *projectNode:
		return uniqueUnder(n.child, eqs)
	case *aggNode:
		keys := setOf(n.keyCols)
		for _, c := range eqs {
			for _, e := range c.args {
				if e.isCol() {
					delete(keys, e.col)
				}
			}
		}
		return len(keys) == 0 && len(n.keyCols) > 0
	}
	return false
}

// rejectsNull reports whether a condition cannot hold where all columns of s are NULL.
func rejectsNull(e *Expr, s colSet) bool {
	if e.kind != kindFunc {
		return strictOn(e, s)
	}
	switch e.sig {
	case tipb.ScalarFuncSig_LogicalAnd:
		return rejectsNull(e.args[0], s) || rejectsNull(e.args[1], s)
	case tipb.ScalarFuncSig_LogicalOr:
		return rejectsNull(e.args[0], s) && rejectsNull(e.args[1], s)
	case tipb.ScalarFuncSig_UnaryNotInt:
		if x := e.args[0]; x.kind == kindFunc && x.name == "isnull" {
			return strictOn(x.args[0], s)
		}
	}
	return strictOn(e, s)
}

// strictFunctions give NULL if any argument is NULL.
var strictFunctions = map[string]bool{
	"lt": true, "le": true, "gt": true, "ge": true, "eq": true, "ne": true, "plus": true, "minus": true, "mul": true, "div": true,
	"intdiv": true, "mod": true, "unaryminus": true, "like": true, "not": true, "year": true, "month": true, "dayofmonth": true,
	"substring": true, "lower": true, "upper": true, "length": true, "char_length": true, "abs": true, "date": true, "istrue_with_null": true,
	"date_add": true, "date_sub": true, "concat": true, "left": true, "right": true, "bitand": true, "bitor": true, "bitxor": true,
}

// strictOn reports whether e is NULL whenever all columns of s are.
func strictOn(e *Expr, s colSet) bool {
	switch e.kind {
	case kindColumn:
		return s[e.col]
	case kindConst:
		return false
	}
	if e.name == "in" {
		return strictOn(e.args[0], s)
	}
	if !strictFunctions[e.name] && !(e.name == "cast" && e.Type.Tp != column.TypeJSON) {
		return false
	}
	for _, a := range e.args {
		if strictOn(a, s) {
			return true
		}
	}
	return false
}

// normalize splits conditions into conjuncts and takes out of each OR what all its branches have in common:
// (a AND x) OR (a AND y) is a AND (x OR y).
func normalize(conds []*Expr) []*Expr {
	var out []*Expr
	for _, c := range conds {
		for _, e := range splitAnd(nil, c) {
			out = append(out, factorOr(e)...)
		}
	}
	return out
}

func factorOr(e *Expr) []*Expr {
	branches := splitOr(nil, e)
	if len(branches) < 2 {
		return []*Expr{e}
	}
	if in := asIn(branches); in != nil {
		return []*Expr{in}
	}
	parts := make([][]*Expr, len(branches))
	count := map[string]int{}
	for i, br := range branches {
		parts[i] = dedupAll(normalize([]*Expr{br}))
		for _, p := range parts[i] {
			count[p.key()]++
		}
	}
	var common []*Expr
	for _, p := range parts[0] {
		if count[p.key()] == len(branches) {
			common = append(common, p)
		}
	}
	var rest []*Expr
	for _, list := range parts {
		var own []*Expr
		for _, p := range list {
			if count[p.key()] < len(branches) {
				own = append(own, p)
			}
		}
		if len(own) == 0 {
			return common // one branch is the common part alone
		}
		rest = append(rest, joinAnd(own))
	}
	return append(common, joinOr(rest))
}

// asIn makes one IN of equalities of one column with constants; nil if the branches are anything else.
func asIn(branches []*Expr) *Expr {
	info, ok := cmpOpOf(branches[0].sig)
	if !ok || info.op != cmpEQ || branches[0].kind != kindFunc {
		return nil
	}
	args := []*Expr{branches[0].args[0]}
	for _, br := range dedupAll(branches) {
		if br.kind != kindFunc || br.sig != branches[0].sig || !br.args[0].isCol() || br.args[0].col != args[0].col || !br.args[1].isConst() {
			return nil
		}
		args = append(args, br.args[1])
	}
	if len(args) == 2 {
		return branches[0]
	}
	return &Expr{kind: kindFunc, Type: nullable(branches[0].Type), sig: inSigs[info.eval], name: "in", args: args, coercion: 5}
}

func dedupAll(list []*Expr) []*Expr {
	seen := make(map[string]bool, len(list))
	var out []*Expr
	for _, e := range list {
		if k := e.key(); !seen[k] {
			seen[k] = true
			out = append(out, e)
		}
	}
	return out
}

// impliedBy is the condition on the columns of s alone that an OR implies: of each branch the conjuncts over s; nil if a
// branch has none.
func impliedBy(e *Expr, s, others colSet) *Expr {
	branches := splitOr(nil, e)
	if len(branches) < 2 {
		return nil
	}
	parts := make([]*Expr, len(branches))
	for i, br := range branches {
		var own []*Expr
		for _, p := range normalize([]*Expr{br}) {
			if p.touches(s) && !p.touches(others) && !p.isVolatile() {
				own = append(own, p)
			}
		}
		if len(own) == 0 {
			return nil
		}
		parts[i] = joinAnd(own)
	}
	return joinOr(dedupAll(parts))
}
