package planner

import (
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// physical is a node of the physical plan: an operator, where it runs, and the columns it gives by position.
type physical interface {
	Plan
	base() *physBase
	inputs() []physical
}

type physBase struct {
	id   int
	name string
	cols []*Column
	rows float64
}

func (p *physBase) base() *physBase { return p }

// Types are the types of the node's columns.
func (p *physBase) Types() []*tipb.FieldType { return typesOf(p.cols) }

func typesOf(cols []*Column) []*tipb.FieldType {
	out := make([]*tipb.FieldType, len(cols))
	for i, c := range cols {
		out[i] = c.Type
	}
	return out
}

// Operators that tipb can describe run on either side: in a pushed DAG or at the root.
type (
	physScan struct {
		physBase
		scan  *scanNode
		path  *accessPath
		order *scanOrder
	}
	physSelect struct {
		physBase
		child   physical
		conds   []*Expr
		filters []*keyFilter // beside conds, once their values are known
	}
	physProject struct {
		physBase
		child physical
		exprs []*Expr
	}
	physAgg struct {
		physBase
		child physical
		keys  []*Expr
		aggs  []*physFunc
		mode  tipb.AggFunctionMode
	}
	physSort struct {
		physBase
		child physical
		by    []orderItem
		// topN: the first count rows, or those of each partition by the first keys items.
		topN  bool
		count uint64
		keys  int
	}
	physLimit struct {
		physBase
		child         physical
		offset, count uint64
	}
	physJoin struct {
		physBase
		kind                joinKind
		left, right         physical
		leftKeys, rightKeys []*Expr
		nullAware           bool    // the keys are those of NOT IN
		inEq                []*Expr // equalities of NOT IN beside keys
		other               []*Expr
		buildLeft           bool
		// lookup: one side is read by the keys of the other.
		lookup *lookupSide
		// filters: the keys of the side gathered go into readers below the other one.
		filters  []*keyFilter
		gathered physical
		// broadcast: an operator of a reader's pushed plan, with the right side as its build side, see broadcastOp.
		broadcast bool
	}
)

// physFunc is an aggregate function; in final mode args are the columns of its partial state.
type physFunc struct {
	*aggFunc
	args []*Expr
	out  *Column
}

// scanOrder is the order in which a reader delivers rows.
type scanOrder struct{ desc bool }

// Operators that only exist at the root.
type (
	// physReader runs the DAG under it on the stores.
	physReader struct {
		physBase
		child physical
		scan  *physScan
		order *scanOrder
	}
	// physLookup finds rows through an index: child reads handles, table rows by handle.
	physLookup struct {
		physBase
		index, table *physReader
		handle       []*Column
	}
	physUnion struct {
		physBase
		children []physical
	}
	physValues struct {
		physBase
		rows [][]*Expr
	}
	physVirtual struct {
		physBase
		table   *catalog.Table
		alias   string
		offsets []int
	}
	physSingle struct {
		physBase
		child physical
	}
	physApply struct {
		physBase
		node        *applyNode
		left, right physical
	}
)

// lookupSide says how the inner side of an index join is read.
type lookupSide struct {
	inner physical // left or right of the join: a reader or look-up
	path  *accessPath
}

func (p *physScan) inputs() []physical    { return nil }
func (p *physSelect) inputs() []physical  { return []physical{p.child} }
func (p *physProject) inputs() []physical { return []physical{p.child} }
func (p *physAgg) inputs() []physical     { return []physical{p.child} }
func (p *physSort) inputs() []physical    { return []physical{p.child} }
func (p *physLimit) inputs() []physical   { return []physical{p.child} }
func (p *physJoin) inputs() []physical    { return []physical{p.left, p.right} }
func (p *physReader) inputs() []physical  { return []physical{p.child} }
func (p *physLookup) inputs() []physical  { return []physical{p.index, p.table} }
func (p *physUnion) inputs() []physical   { return p.children }
func (p *physValues) inputs() []physical  { return nil }
func (p *physVirtual) inputs() []physical { return nil }
func (p *physSingle) inputs() []physical  { return []physical{p.child} }
func (p *physApply) inputs() []physical   { return []physical{p.left, p.right} }

func (b *builder) newBase(name string, cols []*Column, rows float64) physBase {
	b.nextPlan++
	return physBase{id: b.nextPlan, name: name, cols: cols, rows: rows}
}

// physical chooses operators, bottom up.
func (b *builder) physical(n logical) (physical, error) {
	switch n := n.(type) {
	case *scanNode:
		return b.reader(n), nil
	case *selectNode:
		child, err := b.physical(n.child)
		if err != nil {
			return nil, err
		}
		return b.newSelection(child, n.conds), nil
	case *projectNode:
		child, err := b.physical(n.child)
		if err != nil {
			return nil, err
		}
		return b.newProjection(child, n.exprs, n.out), nil
	case *joinNode:
		return b.hashJoin(n)
	case *applyNode:
		return b.apply(n)
	case *aggNode:
		return b.aggregation(n)
	case *sortNode:
		return b.sorted(n, 0, false)
	case *limitNode:
		return b.limited(n)
	case *windowNode:
		return b.windowed(n)
	case *expandNode:
		return b.expanded(n)
	}
	return b.rootOnly(n)
}

// under plans what stands under an operator that lets stores reduce its rows, or not.
func (b *builder) under(reduced bool, n logical) (physical, error) {
	was := b.reduced
	b.reduced = reduced
	defer func() { b.reduced = was }()
	return b.physical(n)
}

func (b *builder) rootOnly(n logical) (physical, error) {
	var kids []physical
	for _, c := range n.inputs() {
		p, err := b.under(false, c)
		if err != nil {
			return nil, err
		}
		kids = append(kids, b.arrange(p, c.columns()))
	}
	switch n := n.(type) {
	case *unionNode:
		rows := 0.0
		for _, k := range kids {
			rows += k.base().rows
		}
		return &physUnion{b.newBase("Union", n.out, rows), kids}, nil
	case *sharedNode:
		return &physShared{b.newBase("CTEFullScan", n.out, n.q.plan.base().rows), n.q}, nil
	case *valuesNode:
		return &physValues{b.newBase("TableDual", n.out, float64(len(n.rows))), n.rows}, nil
	case *singleNode:
		return &physSingle{b.newBase("MaxOneRow", kids[0].base().cols, 1), kids[0]}, nil
	}
	return nil, errNotSupported("%T", n)
}

// neverHolds reports whether a condition is constantly false.
func neverHolds(conds []*Expr) bool {
	for _, c := range conds {
		if c.isConst() && (c.isNull() || evalOf(c.Type) == evalInt && c.val.Int64() == 0) {
			return true
		}
	}
	return false
}

func (b *builder) newSelection(child physical, conds []*Expr) physical {
	if len(conds) == 0 {
		return child
	}
	if neverHolds(conds) {
		return &physValues{physBase: b.newBase("TableDual", child.base().cols, 0)}
	}
	rows := math.Max(child.base().rows*(&estimate{rows: child.base().rows}).selectivity(conds), 1)
	if r, ok := child.(*physReader); ok && len(r.joins()) > 0 && passesRows(r.child) && b.pushable(conds) {
		r.child, r.rows = &physSelect{physBase: b.newBase("Selection", r.child.base().cols, rows), child: r.child, conds: conds}, rows
		return r
	}
	return &physSelect{physBase: b.newBase("Selection", child.base().cols, rows), child: child, conds: conds}
}

// newProjection is left out where it changes nothing but the order of columns nobody looks at by position.
func (b *builder) newProjection(child physical, exprs []*Expr, out []*Column) physical {
	same := true
	have := setOf(child.base().cols)
	for i, e := range exprs {
		same = same && e.isCol() && e.col == out[i] && have[e.col]
	}
	if same {
		return child
	}
	return &physProject{b.newBase("Projection", out, child.base().rows), child, exprs}
}

// arrange makes a node give exactly cols.
func (b *builder) arrange(p physical, cols []*Column) physical {
	have := p.base().cols
	same := len(have) == len(cols)
	for i := 0; same && i < len(cols); i++ {
		same = have[i] == cols[i]
	}
	if same {
		return p
	}
	if r, ok := p.(*physReader); ok && r.gives(cols) {
		r.cols = cols
		return r
	}
	exprs := make([]*Expr, len(cols))
	for i, c := range cols {
		exprs[i] = colExpr(c)
	}
	return &physProject{b.newBase("Projection", cols, p.base().rows), p, exprs}
}

// gives reports whether the pushed plan has all of cols.
func (p *physReader) gives(cols []*Column) bool {
	have := setOf(p.child.base().cols)
	for _, c := range cols {
		if !have[c] {
			return false
		}
	}
	return true
}

func (b *builder) limited(n *limitNode) (physical, error) {
	if n.count == 0 {
		return &physValues{physBase: b.newBase("TableDual", n.columns(), 0)}, nil
	}
	total := n.offset + n.count
	if total < n.offset {
		total = math.MaxUint64
	}
	if s, ok := n.child.(*sortNode); ok {
		p, err := b.sorted(s, total, true)
		if err != nil || n.offset == 0 {
			return p, err
		}
		return &physLimit{b.newBase("Limit", p.base().cols, float64(n.count)), p, n.offset, n.count}, nil
	}
	child, err := b.under(true, n.child)
	if err != nil {
		return nil, err
	}
	child = b.pushLimit(child, total)
	rows := math.Min(child.base().rows, float64(n.count))
	return &physLimit{b.newBase("Limit", child.base().cols, rows), child, n.offset, n.count}, nil
}

// pushLimit lets every store stop early; projections and selections do not stand in the way of a reader's own limit
// unless they drop rows.
func (b *builder) pushLimit(p physical, count uint64) physical {
	switch p := p.(type) {
	case *physReader:
		if _, isAgg := p.child.(*physAgg); !isAgg {
			rows := math.Min(p.child.base().rows, float64(count))
			p.child = &physLimit{b.newBase("Limit", p.child.base().cols, rows), p.child, 0, count}
			p.rows = rows
		}
	case *physProject:
		p.child = b.pushLimit(p.child, count)
	case *physLookup:
		if p.table.child == physical(p.table.scan) { // no condition after the look-up
			b.pushLimit(p.index, count)
		}
	}
	return p
}

// sorted orders; with topN it keeps the first count rows. An order that the
// rows have already, from the reader's key or a sort below, costs nothing.
func (b *builder) sorted(n *sortNode, count uint64, topN bool) (physical, error) {
	child, err := b.under(topN || n.first > 0, n.child)
	if err != nil {
		return nil, err
	}
	ordered := isOrdered(child, n.by) || b.orderedRead(child, n.by)
	if n.first > 0 && !topN && !(ordered && n.keys > 0) {
		count, topN = n.first, true
	}
	if ordered {
		if !topN {
			return child, nil
		}
		child = b.pushLimit(child, count)
		return &physLimit{b.newBase("Limit", child.base().cols, math.Min(child.base().rows, float64(count))), child, 0, count}, nil
	}
	name, rows := "Sort", child.base().rows
	if topN {
		name = "TopN"
		if n.keys == 0 {
			rows = math.Min(rows, float64(count))
		}
		b.pushTopN(child, n, count, rows)
	}
	return &physSort{b.newBase(name, child.base().cols, rows), child, n.by, topN, count, n.keys}, nil
}

const maxPushedTopN = 1 << 16

func (b *builder) pushTopN(p physical, n *sortNode, count uint64, rows float64) {
	r, ok := p.(*physReader)
	if !ok || count > maxPushedTopN {
		return
	}
	if _, isAgg := r.child.(*physAgg); isAgg || !b.pushable(orderExprs(n.by)) {
		return
	}
	r.child = &physSort{b.newBase("TopN", r.child.base().cols, rows), r.child, n.by, true, count, n.keys}
	r.rows = rows
}

func orderExprs(by []orderItem) []*Expr {
	out := make([]*Expr, len(by))
	for i, o := range by {
		out[i] = o.expr
	}
	return out
}

// pushable reports whether stores may evaluate expressions: all but volatile ones, since both sides know the same
// functions.
func (b *builder) pushable(list []*Expr) bool { return !anyVolatile(list) }

// orderedRead makes a reader keep the order of its keys if that is the order asked for.
func (b *builder) orderedRead(p physical, by []orderItem) bool {
	if pr, ok := p.(*physProject); ok {
		return b.orderedRead(pr.child, pr.below(by))
	}
	r, ok := p.(*physReader)
	if !ok || r.order != nil {
		return false
	}
	switch r.child.(type) {
	case *physScan, *physSelect:
	default:
		return false
	}
	path := r.scan.path
	keys := keyColumns(path.table, path.index)
	at := 0
	for _, o := range by {
		if !o.expr.isCol() || o.desc != by[0].desc {
			return false
		}
		for at < len(keys) && pinned(path, at) && r.scan.scan.columnAt(keys[at].offset) != o.expr.col {
			at++ // one value only: it has no part in the order
		}
		if at >= len(keys) || keys[at].length >= 0 || r.scan.scan.columnAt(keys[at].offset) != o.expr.col ||
			path.intHandle() && isUnsigned(o.expr.Type) {
			return false
		}
		at++
	}
	r.order = &scanOrder{desc: by[0].desc}
	r.scan.order = r.order
	return true
}

func pinned(p *accessPath, i int) bool {
	return i < len(p.parts) && p.parts[i].isPoint() && len(p.parts[i].points) == 1
}
