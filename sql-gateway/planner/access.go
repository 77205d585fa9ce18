package planner

import (
	"math"
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

// accessPath is a way to read a table: along its record keys or an index, as a whole or in ranges cut by conditions on
// the leading key columns.
type accessPath struct {
	table *catalog.Table
	index *catalog.Index // nil: record keys
	// parts are the key columns that conditions restrict: all but the last by equality.
	parts []keyPart
	// covering: the index has all columns that are wanted; else each entry is looked up in the table.
	covering bool
	share    float64 // of the rows
	unique   bool    // at most one row for each combination of the parts' values
	limit    float64 // of an index join: the outer rows beyond which reading all is cheaper
}

// keyPart is one restricted key column.
type keyPart struct {
	col    *Column
	offset int
	// points are col = x, col IN (…) and col IS NULL; nil if bounds restrict the column.
	points []*Expr // the values; a nil value is IS NULL
	outer  *Expr   // of an index join: the value comes from the other side
	bounds []*Expr // col < x and the like
	from   []*Expr // the conditions that this part stands for
}

func (p keyPart) isPoint() bool { return p.bounds == nil }

// keyColumn is a column of a record or index key.
type keyColumn struct {
	offset int
	length int
}

// keyColumns lists the key's columns in order: of an index, or of the handle.
func keyColumns(t *catalog.Table, ix *catalog.Index) []keyColumn {
	if ix == nil {
		var out []keyColumn
		for _, off := range t.HandleColumns() {
			out = append(out, keyColumn{off, -1})
		}
		if out == nil {
			out = []keyColumn{{-1, -1}}
		}
		return out
	}
	out := make([]keyColumn, len(ix.Columns))
	for i, c := range ix.Columns {
		out[i] = keyColumn{c.Offset, c.Length}
	}
	return out
}

// choosePath finds the cheapest way to read what the conditions of a scan leave. wanted are the columns to give.
func (b *builder) choosePath(s *scanNode, wanted colSet) *accessPath {
	best := b.pathFor(s, nil, s.conds)
	if s.table.Virtual {
		return &accessPath{table: s.table, share: 1}
	}
	rows, _ := b.tableRows(s.table)
	bestCost := rows * best.share
	for _, ix := range s.table.Indexes {
		if ix.Clustered || !s.hints.allow(ix) {
			continue
		}
		p := b.pathFor(s, ix, s.conds)
		p.covering = wanted != nil && b.covers(s, ix, wanted)
		if len(p.parts) == 0 && !(p.covering && s.hints.forces(ix)) && !s.hints.forces(ix) {
			continue
		}
		cost := rows * p.share * 1.1
		if !p.covering {
			cost = rows*p.share*lookupCost + 1
		}
		if cost < bestCost || s.hints.forces(ix) {
			best, bestCost = p, cost
		}
	}
	return best
}

func (h indexHints) allow(ix *catalog.Index) bool {
	for _, n := range h.not {
		if strings.EqualFold(n, ix.Name) {
			return false
		}
	}
	return len(h.only) == 0 || h.forces(ix)
}

func (h indexHints) forces(ix *catalog.Index) bool {
	for _, n := range h.only {
		if strings.EqualFold(n, ix.Name) {
			return true
		}
	}
	return false
}

// covers reports whether an index holds all wanted columns as they are: strings of a collation whose sort key is not
// the string itself cannot be read back from it.
func (b *builder) covers(s *scanNode, ix *catalog.Index, wanted colSet) bool {
	have := map[int]bool{}
	for _, c := range ix.Columns {
		if c.Length < 0 && readableKey(s.table.Columns[c.Offset].Type) {
			have[c.Offset] = true
		}
	}
	for _, off := range s.table.HandleColumns() {
		if s.table.IntHandle >= 0 || readableKey(s.table.Columns[off].Type) {
			have[off] = true
		}
	}
	need := setOf()
	for c := range wanted {
		need[c] = true
	}
	need.addColumns(s.conds...)
	for i, c := range s.cols {
		if need[c] && s.offsets[i] >= 0 && !have[s.offsets[i]] {
			return false
		}
	}
	return true
}

func readableKey(ft *tipb.FieldType) bool {
	return evalOf(ft) != evalString || isBinaryString(ft) && !isEnumSet(ft)
}

// pathFor matches conditions with the columns of a key, from the first on.
func (b *builder) pathFor(s *scanNode, ix *catalog.Index, conds []*Expr) *accessPath {
	p := &accessPath{table: s.table, index: ix, share: 1}
	est := &estimate{rows: 1, ndv: map[*Column]float64{}}
	rows, _ := b.tableRows(s.table)
	est.rows = rows
	own := setOf(s.cols)
	have := map[int]bool{}
	for _, kc := range keyColumns(s.table, ix) {
		col := s.columnAt(kc.offset)
		if col == nil || kc.length >= 0 || kc.offset >= 0 && !rangeable(s.table.Columns[kc.offset].Type, b) {
			break
		}
		if n := b.columnNDV(s.table, kc.offset); n > 0 {
			est.ndv[col] = n
		}
		part, ok := matchPart(col, kc.offset, conds, own)
		if !ok {
			break
		}
		p.parts = append(p.parts, part)
		p.share *= est.selectivity(part.from)
		if !part.isPoint() {
			break
		}
		have[kc.offset] = len(part.points) == 1 && part.points[0] != nil
	}
	if coversUnique(s.table, have) {
		p.unique, p.share = true, 1/math.Max(rows, 1)
	}
	return p
}

func (s *scanNode) columnAt(offset int) *Column {
	for i, off := range s.offsets {
		if off == offset {
			return s.cols[i]
		}
	}
	return nil
}

// matchPart collects the conditions that restrict a column by values from outside of the table.
func matchPart(col *Column, offset int, conds []*Expr, own colSet) (keyPart, bool) {
	part := keyPart{col: col, offset: offset}
	for _, c := range conds {
		if c.kind != kindFunc || len(c.args) == 0 || !c.args[0].isCol() || c.args[0].col != col {
			continue
		}
		if pts := pointsOf(c, own); pts != nil {
			part.points, part.bounds, part.from = pts, nil, []*Expr{c}
			return part, true
		}
		if boundOf(c, own) {
			part.bounds = append(part.bounds, c)
			part.from = append(part.from, c)
		}
	}
	return part, part.bounds != nil
}

// pointsOf are the values that a condition leaves its column; nil if it is no equality.
func pointsOf(c *Expr, own colSet) []*Expr {
	if info, ok := cmpOpOf(c.sig); ok && info.op == cmpEQ && !c.args[1].touches(own) && sameClass(c.args[0], c.args[1]) {
		return c.args[1:2]
	}
	switch {
	case c.name == "in":
		for _, a := range c.args[1:] {
			if !a.isConst() || !sameClass(c.args[0], a) {
				return nil
			}
		}
		if len(c.args) > maxPoints {
			return nil
		}
		return c.args[1:]
	case c.name == "isnull":
		return []*Expr{nil}
	}
	return nil
}

func boundOf(c *Expr, own colSet) bool {
	if info, ok := cmpOpOf(c.sig); ok {
		return info.op <= cmpGE && !c.args[1].touches(own) && sameClass(c.args[0], c.args[1])
	}
	return c.sig == tipb.ScalarFuncSig_LikeSig && likePrefix(c) != ""
}

func sameClass(col, val *Expr) bool {
	return evalOf(col.Type) == evalOf(val.Type) || val.isNull()
}

// likePrefix is what a value must begin with to match a constant pattern, where bytes decide.
func likePrefix(c *Expr) string {
	if !c.args[1].isConst() || c.args[1].isNull() || !isBytewise(c.args[0].Type) {
		return ""
	}
	pattern := string(c.args[1].val.Bytes())
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '%' || pattern[i] == '_' || int64(pattern[i]) == c.args[2].val.Int64() {
			return pattern[:i]
		}
	}
	return pattern
}

// isBytewise reports whether strings of a type are ordered by their bytes (but for trailing spaces).
func isBytewise(ft *tipb.FieldType) bool {
	return ft.Collate >= 0 || isBinaryString(ft) || isBinCollation(ft)
}

// lookupFactor is what an entry costs more where it leads to a second read.
func (p *accessPath) lookupFactor() float64 {
	if p.index != nil && !p.covering {
		return 2
	}
	return 1
}

// lookupPath finds a key of a scan that the equalities of a join (with the scan's own conditions) fill from the front, so
// that few rows of the other side can fetch theirs by key; nil if there is none or reading all is surely cheaper. An index
// join looks at its outer rows before it decides (accessPath.limit), so it is worth a try where the estimate is not far
// beyond.
func (b *builder) lookupPath(s *scanNode, conds []*Expr, outerRows float64) *accessPath {
	if s.table.Virtual {
		return nil
	}
	rows, _ := b.tableRows(s.table)
	full := b.scanCost(s)
	if full < smallTable {
		return nil
	}
	var best *accessPath
	for _, ix := range append([]*catalog.Index{nil}, s.table.Indexes...) {
		if ix != nil && (ix.Clustered || !s.hints.allow(ix)) {
			continue
		}
		p := b.joinPath(s, ix, conds)
		if p == nil {
			continue
		}
		p.limit = math.Min(full/((lookupCost+math.Max(1, rows*p.share))*p.lookupFactor()), maxLookupRows)
		if outerRows <= p.limit*lookupHope && (best == nil || p.limit > best.limit) {
			best = p
		}
	}
	return best
}

// joinPath matches the columns of a key with equalities of a join; at least one must be among them.
func (b *builder) joinPath(s *scanNode, ix *catalog.Index, conds []*Expr) *accessPath {
	own := setOf(s.cols)
	p := &accessPath{table: s.table, index: ix}
	fromOuter := false
	have := map[int]bool{}
	for _, kc := range keyColumns(s.table, ix) {
		col := s.columnAt(kc.offset)
		if col == nil || kc.length >= 0 || kc.offset >= 0 && !rangeable(s.table.Columns[kc.offset].Type, b) {
			break
		}
		part := keyPart{col: col, offset: kc.offset, outer: outerValue(col, conds, own)}
		if part.outer == nil {
			m, ok := matchPart(col, kc.offset, s.conds, own)
			if !ok || !m.isPoint() || len(m.points) != 1 || m.points[0] == nil {
				break
			}
			part = m
		} else {
			fromOuter = true
		}
		have[kc.offset] = true
		p.parts = append(p.parts, part)
	}
	if !fromOuter {
		return nil
	}
	p.unique = coversUnique(s.table, have)
	rows, _ := b.tableRows(s.table)
	switch ndv := b.columnNDV(s.table, p.parts[0].offset); {
	case p.unique:
		p.share = 1 / math.Max(rows, 1)
	case len(p.parts) == 1 && ndv > 0:
		p.share = 1 / ndv
	case len(p.parts) > 1:
		p.share = 2 / math.Max(rows, 1)
	case ix == nil: // the front of a composite key: a handful of rows
		p.share = 4 / math.Max(rows, 1)
	default:
		p.share = math.Min(0.05, 10/math.Max(rows, 1))
	}
	return p
}

// outerValue is the other side's expression that the conditions equate with a column.
func outerValue(col *Column, conds []*Expr, own colSet) *Expr {
	for _, c := range conds {
		info, ok := cmpOpOf(c.sig)
		if c.kind != kindFunc || !ok || info.op != cmpEQ {
			continue
		}
		for side, e := range c.args {
			other := c.args[1-side]
			if e.isCol() && e.col == col && !other.touches(own) && !other.isConst() && keyCompatible(col.Type, other.Type) {
				return other
			}
		}
	}
	return nil
}

// keyCompatible reports whether values of type val are encoded in keys as those of a column are.
func keyCompatible(col, val *tipb.FieldType) bool {
	ec, ev := evalOf(col), evalOf(val)
	if ec != ev || isEnumSet(col) || isEnumSet(val) {
		return false
	}
	switch ec {
	case evalInt:
		return true
	case evalString:
		return col.Collate == val.Collate
	case evalTime:
		return true
	}
	return false
}

const (
	maxPoints     = 4096    // ranges of one reader
	maxLookupRows = 1 << 18 // rows whose keys are gathered for an index join
	smallTable    = 64      // rows that are read sooner than looked up
	lookupHope    = 4       // how far an estimate may be beyond the limit of an index join
)
