package planner

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// logical is a node of the logical plan: what rows a query wants, before anything is said about how. The builder makes
// the tree in the statement's shape; rules rewrite it: decorrelate, push (predicates and join order), prune.
type logical interface {
	// columns are what the node gives, in order. A column may appear twice.
	columns() []*Column
	inputs() []logical
}

// scanNode reads a table. Conditions over its columns gather here; the physical plan turns them into ranges and a
// pushed selection.
type scanNode struct {
	table   *catalog.Table
	alias   string
	cols    []*Column
	offsets []int // of cols in table.Columns; -1 is the hidden row id
	conds   []*Expr
	out     []*Column // those that somebody above the scan wants; nil before pruning
	hints   indexHints
	pseudo  bool // nobody has counted the table's values: estimates are guesses
}

// indexHints are the names of USE/FORCE INDEX (only) and IGNORE INDEX (not).
type indexHints struct{ only, not []string }

// selectNode keeps the rows for which all conditions hold.
type selectNode struct {
	child logical
	conds []*Expr
}

// projectNode computes exprs; out[i] is the column of exprs[i] (the same pointer where the expression is that column).
type projectNode struct {
	child logical
	exprs []*Expr
	out   []*Column
}

// joinKind is what a join gives: rows of both sides, or left rows by whether they match.
type joinKind uint8

const (
	joinInner joinKind = iota
	joinLeft
	joinSemi
	joinAnti
	joinMark // all left rows, and a column that is 1, 0 or NULL: EXISTS or IN where it is not a condition of its own
)

func (k joinKind) String() string {
	return [...]string{"inner join", "left outer join", "semi join", "anti semi join", "left outer semi join"}[k]
}

// rightColumns reports whether the columns of the right side are in the result.
func (k joinKind) rightColumns() bool { return k <= joinLeft }

// joinNode joins. on are all its conditions. nullAware are comparisons of IN: equalities whose NULL makes the membership
// unknown, which matters to anti and mark joins.
type joinNode struct {
	kind        joinKind
	left, right logical
	on          []*Expr
	nullAware   []*Expr
	mark        *Column // of joinMark
	straight    bool    // STRAIGHT_JOIN: keep the order
	needed      colSet  // what is looked at above; known after prune
}

// applyNode is a join whose right side refers to columns of the left: it is run once for each left row. Rule
// decorrelate turns what it can into joins.
type applyNode struct {
	joinNode
	// single: the right side gives a scalar; more than one row is error 1242 (with joinLeft).
	single bool
}

// aggFunc is one aggregate function of an aggNode.
type aggFunc struct {
	tp       tipb.ExprType
	name     string
	args     []*Expr
	distinct bool
	out      *Column
	orderBy  []orderItem // of GROUP_CONCAT; the separator is the last argument
}

// aggNode groups by keys; without keys it gives exactly one row. keyCols[i] carries keys[i].
type aggNode struct {
	child   logical
	keys    []*Expr
	keyCols []*Column
	aggs    []*aggFunc
}

type orderItem struct {
	expr *Expr
	desc bool
}

// sortNode orders. With first > 0 only so many of the rows are wanted that agree in the first keys items.
type sortNode struct {
	child logical
	by    []orderItem
	keys  int
	first uint64
}

type limitNode struct {
	child         logical
	offset, count uint64
}

// unionNode gives the rows of all children, which have as many columns as out, of the same types.
type unionNode struct {
	children []logical
	out      []*Column
}

// valuesNode gives constant rows; one row without columns is SELECT without FROM.
type valuesNode struct {
	rows [][]*Expr
	out  []*Column
}

// singleNode passes one row (all NULL if there is none) and fails with error 1242 on a second.
type singleNode struct{ child logical }

func (n *scanNode) columns() []*Column    { return n.cols }
func (n *selectNode) columns() []*Column  { return n.child.columns() }
func (n *projectNode) columns() []*Column { return n.out }
func (n *sortNode) columns() []*Column    { return n.child.columns() }
func (n *limitNode) columns() []*Column   { return n.child.columns() }
func (n *unionNode) columns() []*Column   { return n.out }
func (n *valuesNode) columns() []*Column  { return n.out }
func (n *singleNode) columns() []*Column  { return n.child.columns() }

func (n *joinNode) columns() []*Column {
	cols := n.left.columns()
	cols = cols[:len(cols):len(cols)]
	switch {
	case n.kind.rightColumns():
		return append(cols, n.right.columns()...)
	case n.kind == joinMark:
		return append(cols, n.mark)
	}
	return cols
}

func (n *aggNode) columns() []*Column {
	cols := make([]*Column, 0, len(n.aggs)+len(n.keyCols))
	for _, a := range n.aggs {
		cols = append(cols, a.out)
	}
	return append(cols, n.keyCols...)
}

func (n *scanNode) inputs() []logical    { return nil }
func (n *selectNode) inputs() []logical  { return []logical{n.child} }
func (n *projectNode) inputs() []logical { return []logical{n.child} }
func (n *joinNode) inputs() []logical    { return []logical{n.left, n.right} }
func (n *aggNode) inputs() []logical     { return []logical{n.child} }
func (n *sortNode) inputs() []logical    { return []logical{n.child} }
func (n *limitNode) inputs() []logical   { return []logical{n.child} }
func (n *unionNode) inputs() []logical   { return n.children }
func (n *valuesNode) inputs() []logical  { return nil }
func (n *singleNode) inputs() []logical  { return []logical{n.child} }

// expressions calls f with every expression of the node itself.
func expressions(n logical, f func(*Expr)) {
	each := func(list []*Expr) {
		for _, e := range list {
			f(e)
		}
	}
	switch n := n.(type) {
	case *scanNode:
		each(n.conds)
	case *selectNode:
		each(n.conds)
	case *projectNode:
		each(n.exprs)
	case *joinNode:
		each(n.on)
		each(n.nullAware)
	case *applyNode:
		each(n.on)
		each(n.nullAware)
	case *aggNode:
		each(n.keys)
		for _, a := range n.aggs {
			each(a.args)
			for _, o := range a.orderBy {
				f(o.expr)
			}
		}
	case *sortNode:
		for _, o := range n.by {
			f(o.expr)
		}
	case *windowNode:
		n.expressions(f)
	case *expandNode:
		each(n.keys)
	case *valuesNode:
		for _, r := range n.rows {
			each(r)
		}
	}
}

// freeColumns are the columns that expressions under n use and nothing under n produces: outer references.
func freeColumns(n logical) colSet {
	used, made := colSet{}, colSet{}
	gather(n, used, made)
	for c := range made {
		delete(used, c)
	}
	return used
}

func gather(n logical, used, made colSet) {
	expressions(n, func(e *Expr) { used.addColumns(e) })
	made.add(n.columns())
	for _, c := range n.inputs() {
		gather(c, used, made)
	}
}

// isCorrelated reports whether n refers to columns of outer.
func isCorrelated(n logical, outer []*Column) bool {
	free := freeColumns(n)
	for _, c := range outer {
		if free[c] {
			return true
		}
	}
	return false
}

// atMostOneRow reports whether n surely gives at most one row.
func atMostOneRow(n logical) bool {
	switch n := n.(type) {
	case *aggNode:
		return len(n.keys) == 0
	case *valuesNode:
		return len(n.rows) <= 1
	case *limitNode:
		return n.count <= 1 || atMostOneRow(n.child)
	case *sharedNode:
		return atMostOneRow(n.q.rel.node)
	case *singleNode:
		return true
	case *selectNode, *projectNode, *sortNode, *windowNode:
		return atMostOneRow(n.inputs()[0])
	}
	return false
}

func newSelect(child logical, conds []*Expr) logical {
	if len(conds) == 0 {
		return child
	}
	if s, ok := child.(*selectNode); ok {
		return &selectNode{child: s.child, conds: append(s.conds[:len(s.conds):len(s.conds)], conds...)}
	}
	return &selectNode{child: child, conds: conds}
}
