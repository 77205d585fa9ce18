package planner

import (
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// Guesses where nothing is known.
const (
	defaultRows    = 10000
	eqSelectivity  = 0.1
	rangeSelect    = 1.0 / 3
	betweenSelect  = 0.25 // the two ends of a range together
	likeSelect     = 0.1
	otherSelect    = 0.8
	semiSelect     = 0.5
	rowsPerKey     = 20  // of a value of an index's first column
	groupReduction = 0.2 // distinct groups per row where no NDV is known
)

// estimate is what a node probably gives: its rows, and the distinct values of columns where that is known.
type estimate struct {
	rows float64
	ndv  map[*Column]float64
}

// ndvOf is the number of distinct values of a column among rows rows; 0 if unknown.
func (e *estimate) ndvOf(c *Column) float64 {
	if n, ok := e.ndv[c]; ok && n > 0 {
		return math.Min(n, math.Max(e.rows, 1))
	}
	return 0
}

// coversUnique reports whether columns (offsets in the table) hold a key whose values are unique and not NULL.
func coversUnique(t *catalog.Table, have map[int]bool) bool {
	if t.IntHandle >= 0 && have[t.IntHandle] || have[-1] {
		return true
	}
	for _, ix := range t.Indexes {
		if (ix.Unique || ix.Primary) && indexCovered(t, ix, have) {
			return true
		}
	}
	return false
}

func indexCovered(t *catalog.Table, ix *catalog.Index, have map[int]bool) bool {
	for _, c := range ix.Columns {
		if !have[c.Offset] || c.Length >= 0 || !notNull(t.Columns[c.Offset].Type) {
			return false
		}
	}
	return len(ix.Columns) > 0
}

// tableRows is the estimated number of rows of a table.
func (b *builder) tableRows(t *catalog.Table) (rows float64, known bool) {
	if t.Virtual {
		return 100, false
	}
	if r := b.ctx.Schema.RowCount(t); r >= 0 {
		return math.Max(r, 1), true
	}
	return defaultRows, false
}

// columnNDV is the number of distinct values of a table's column; 0 if unknown.
func (b *builder) columnNDV(t *catalog.Table, off int) float64 {
	if off < 0 {
		return 0
	}
	rows, _ := b.tableRows(t)
	if coversUnique(t, map[int]bool{off: true}) {
		return rows
	}
	if t.Virtual {
		return 0
	}
	if n := b.ctx.Schema.NDV(t, off); n > 0 {
		return n
	}
	for _, ix := range t.Indexes { // who makes an index expects it to tell rows apart
		if len(ix.Columns) > 0 && ix.Columns[0].Offset == off {
			return math.Max(rows/rowsPerKey, math.Min(rows, rowsPerKey))
		}
	}
	return 0
}

func (b *builder) estimateScan(s *scanNode) *estimate {
	rows, _ := b.tableRows(s.table)
	e := &estimate{rows: rows, ndv: map[*Column]float64{}}
	for i, c := range s.cols {
		if n := b.columnNDV(s.table, s.offsets[i]); n > 0 {
			e.ndv[c] = n
		}
	}
	if coversUnique(s.table, equatedOffsets(s, s.conds)) {
		e.rows = 1
		return e
	}
	return e.filter(s.conds)
}

// filter is the estimate after conditions.
func (e *estimate) filter(conds []*Expr) *estimate {
	out := &estimate{rows: math.Max(e.rows*e.selectivity(conds), 1), ndv: e.ndv}
	return out
}

// selectivity is the share of rows for which all conditions hold. Two bounds of one column count as one range.
func (e *estimate) selectivity(conds []*Expr) float64 {
	share := 1.0
	bounds := map[*Column]int{}
	for _, c := range conds {
		if info, ok := cmpOpOf(c.sig); ok && c.kind == kindFunc && info.op <= cmpGE && c.args[0].isCol() && !c.args[1].isCol() {
			bounds[c.args[0].col]++
			continue
		}
		share *= e.share(c)
	}
	for _, n := range bounds {
		if n == 1 {
			share *= rangeSelect
		} else {
			share *= betweenSelect
		}
	}
	return share
}

func (e *estimate) share(c *Expr) float64 {
	if c.isConst() {
		if c.isNull() || c.val.Int64() == 0 {
			return 0
		}
		return 1
	}
	if c.kind != kindFunc {
		return otherSelect
	}
	if info, ok := cmpOpOf(c.sig); ok {
		switch {
		case info.op == cmpEQ || info.op == cmpNullEQ:
			return e.eqShare(c.args[0], c.args[1])
		case info.op == cmpNE:
			return 1 - e.eqShare(c.args[0], c.args[1])
		}
		return rangeSelect
	}
	switch {
	case c.sig == tipb.ScalarFuncSig_LogicalOr:
		l, r := e.share(c.args[0]), e.share(c.args[1])
		return l + r - l*r
	case c.sig == tipb.ScalarFuncSig_LogicalAnd:
		return e.selectivity(splitAnd(nil, c))
	case c.sig == tipb.ScalarFuncSig_UnaryNotInt:
		return math.Max(1-e.share(c.args[0]), 0.1)
	case c.sig == tipb.ScalarFuncSig_LikeSig:
		return likeSelect
	case c.name == "in":
		return math.Min(float64(len(c.args)-1)*e.eqShare(c.args[0], c.args[1]), 0.9)
	case c.name == "isnull":
		return 0.05
	}
	return otherSelect
}

func (e *estimate) eqShare(l, r *Expr) float64 {
	best := 0.0
	for _, x := range []*Expr{l, r} {
		if x.isCol() {
			best = math.Max(best, e.ndvOf(x.col))
		}
	}
	if best > 0 {
		return 1 / best
	}
	return eqSelectivity
}

// estimate guesses what a logical node gives.
func (b *builder) estimate(n logical) *estimate {
	if e := b.estimates[n]; e != nil {
		return e
	}
	e := b.estimateNode(n)
	b.estimates[n] = e
	return e
}

func (b *builder) estimateNode(n logical) *estimate {
	switch n := n.(type) {
	case *scanNode:
		return b.estimateScan(n)
	case *selectNode:
		return b.estimate(n.child).filter(n.conds)
	case *projectNode:
		return b.estimate(n.child)
	case *joinNode:
		return b.estimateJoin(n)
	case *applyNode:
		return b.estimateJoin(&n.joinNode)
	case *aggNode:
		return b.estimateAgg(n)
	case *limitNode:
		c := b.estimate(n.child)
		return &estimate{rows: math.Min(c.rows, float64(n.count)), ndv: c.ndv}
	case *expandNode:
		c := b.estimate(n.child)
		return &estimate{rows: c.rows * float64(len(n.keys)+1), ndv: c.ndv}
	case *sortNode, *windowNode:
		return b.estimate(n.inputs()[0])
	case *unionNode:
		e := &estimate{}
		for _, c := range n.children {
			e.rows += b.estimate(c).rows
		}
		return e
	case *valuesNode:
		return &estimate{rows: float64(len(n.rows))}
	case *sharedNode:
		return b.estimateShared(n)
	}
	return &estimate{rows: 1}
}

func (b *builder) estimateAgg(n *aggNode) *estimate {
	c := b.estimate(n.child)
	if len(n.keys) == 0 {
		return &estimate{rows: 1}
	}
	groups := 1.0
	ndv := map[*Column]float64{}
	for i, k := range n.keys {
		d := 0.0
		if k.isCol() {
			d = c.ndvOf(k.col)
		}
		if d == 0 {
			d = math.Max(c.rows*groupReduction, 1)
		}
		groups *= d
		if len(n.keys) > 1 {
			ndv[n.keyCols[i]] = d
		}
	}
	e := &estimate{rows: math.Max(math.Min(groups, c.rows), 1), ndv: ndv}
	if len(n.keys) == 1 {
		ndv[n.keyCols[0]] = e.rows
	}
	return e
}

func (b *builder) estimateJoin(n *joinNode) *estimate {
	l, r := b.estimate(n.left), b.estimate(n.right)
	switch n.kind {
	case joinSemi, joinAnti:
		return &estimate{rows: math.Max(l.rows*semiSelect, 1), ndv: l.ndv}
	case joinMark:
		return l
	}
	rows := l.rows * r.rows * b.joinShare(n.left, n.right, n.on)
	if n.kind == joinLeft {
		rows = math.Max(rows, l.rows)
	}
	return &estimate{rows: math.Max(rows, 1), ndv: mergeNDV(l, r)}
}

func mergeNDV(l, r *estimate) map[*Column]float64 {
	m := make(map[*Column]float64, len(l.ndv)+len(r.ndv))
	for c, n := range l.ndv {
		m[c] = n
	}
	for c, n := range r.ndv {
		m[c] = n
	}
	return m
}

// joinShare is the share of the pairs of left and right rows that conditions keep. Equalities that cover a unique key of
// one side find at most one row of it: one in as many as the side has without its filters.
func (b *builder) joinShare(left, right logical, conds []*Expr) float64 {
	l, r := b.estimate(left), b.estimate(right)
	lcols, rcols := setOf(left.columns()), setOf(right.columns())
	var eqs, rest []*Expr
	for _, c := range conds {
		if _, _, ok := equiPair(c, lcols, rcols); ok {
			eqs = append(eqs, c)
		} else {
			rest = append(rest, c)
		}
	}
	both := &estimate{rows: l.rows * r.rows, ndv: mergeNDV(l, r)}
	share := both.selectivity(rest)
	if len(eqs) == 0 {
		return share
	}
	if n := math.Max(b.uniqueRows(left, eqs), b.uniqueRows(right, eqs)); n > 0 {
		return share / n
	}
	for i, c := range eqs {
		le, re, _ := equiPair(c, lcols, rcols)
		d := math.Max(sideNDV(l, le), sideNDV(r, re))
		if i > 0 {
			d = math.Sqrt(d) // further keys are rarely independent of the first
		}
		share /= d
	}
	return share
}

func sideNDV(e *estimate, x *Expr) float64 {
	if x.isCol() {
		if n := e.ndvOf(x.col); n > 0 {
			return n
		}
	}
	return unknownNDV(e.rows)
}

// unknownNDV stands in for the distinct values of a join key of which nothing is known but that it is not unique. It is low
// on purpose: a join of two such columns that is put first and multiplies rows costs more than one that is put last and
// would have kept few.
func unknownNDV(rows float64) float64 { return math.Max(math.Sqrt(rows), 1) }

// uniqueRows is the unfiltered size of a table under n of which the equalities cover a unique key; 0 if there is none.
func (b *builder) uniqueRows(n logical, eqs []*Expr) float64 {
	switch n := n.(type) {
	case *scanNode:
		if coversUnique(n.table, equatedOffsets(n, eqs)) {
			rows, _ := b.tableRows(n.table)
			return rows
		}
	case *selectNode:
		return b.uniqueRows(n.child, eqs)
	case *projectNode:
		return b.uniqueRows(n.child, eqs)
	case *aggNode:
		keys := setOf(n.keyCols)
		for _, c := range eqs {
			for _, e := range c.args {
				if e.isCol() {
					delete(keys, e.col)
				}
			}
		}
		if len(keys) == 0 && len(n.keyCols) > 0 {
			return b.estimate(n).rows
		}
	case *joinNode:
		if n.kind == joinSemi || n.kind == joinAnti || n.kind == joinMark {
			return b.uniqueRows(n.left, eqs)
		}
	}
	return 0
}

// equiPair takes an equality between the two sides apart.
func equiPair(c *Expr, left, right colSet) (l, r *Expr, ok bool) {
	info, isCmp := cmpOpOf(c.sig)
	if c.kind != kindFunc || !isCmp || info.op != cmpEQ && info.op != cmpNullEQ {
		return nil, nil, false
	}
	a, b := c.args[0], c.args[1]
	switch {
	case a.touches(left) && !a.touches(right) && b.touches(right) && !b.touches(left):
		return a, b, true
	case a.touches(right) && !a.touches(left) && b.touches(left) && !b.touches(right):
		return b, a, true
	}
	return nil, nil, false
}
