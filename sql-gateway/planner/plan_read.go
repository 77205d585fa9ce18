package planner

import (
	"math"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// reader plans the reading of one table.
func (b *builder) reader(s *scanNode) physical {
	if neverHolds(s.conds) {
		return &physValues{physBase: b.newBase("TableDual", s.cols, 0)}
	}
	if s.table.Virtual {
		v := &physVirtual{b.newBase("MemTableScan", s.cols, 100), s.table, s.alias, s.offsets}
		return b.newSelection(v, s.conds)
	}
	return b.readerOn(s, b.choosePath(s, setOf(s.cols)))
}

// readerOn reads a table along a path.
func (b *builder) readerOn(s *scanNode, path *accessPath) physical {
	total, _ := b.tableRows(s.table)
	rows := math.Min(b.estimate(s).rows, math.Max(total*path.share, 1))
	if path.index != nil && !path.covering {
		return b.lookupReader(s, path, rows)
	}
	if path.index != nil {
		is := b.indexScan(s, path.index, b.handleColumns(s))
		return b.newReader(is, path, b.residual(path, s.conds), rows)
	}
	return b.newReader(s, path, b.residual(path, s.conds), rows)
}

func (b *builder) newReader(s *scanNode, path *accessPath, conds []*Expr, rows float64) *physReader {
	total, _ := b.tableRows(s.table)
	name := "TableFullScan"
	switch {
	case path.index != nil && len(path.parts) > 0:
		name = "IndexRangeScan"
	case path.index != nil:
		name = "IndexFullScan"
	case len(path.parts) > 0:
		name = "TableRangeScan"
	}
	scan := &physScan{physBase: b.newBase(name, s.cols, math.Max(total*path.share, 1)), scan: s, path: path}
	var child physical = scan
	if len(conds) > 0 {
		child = &physSelect{physBase: b.newBase("Selection", s.cols, rows), child: scan, conds: conds}
	}
	kind := "TableReader"
	if path.index != nil {
		kind = "IndexReader"
	}
	return &physReader{physBase: b.newBase(kind, s.output(), child.base().rows), child: child, scan: scan}
}

// output are the columns that a reader of the scan gives.
func (s *scanNode) output() []*Column {
	if s.out == nil {
		return s.cols
	}
	return s.out
}

// residual drops the conditions that the ranges stand for exactly; known only where all values are known by now.
func (b *builder) residual(path *accessPath, conds []*Expr) []*Expr {
	if !allConst(path) {
		return conds
	}
	if _, exact := path.ranges(); !exact {
		return conds
	}
	gone := map[*Expr]bool{}
	for _, p := range path.parts {
		for _, c := range p.from {
			gone[c] = true
		}
	}
	var out []*Expr
	for _, c := range conds {
		if !gone[c] {
			out = append(out, c)
		}
	}
	return out
}

func allConst(path *accessPath) bool {
	for _, p := range path.parts {
		if p.outer != nil {
			return false
		}
		for _, c := range p.from {
			for _, a := range c.args[1:] {
				if !a.isConst() {
					return false
				}
			}
		}
	}
	return true
}

// lookupReader reads an index for the handles of rows, then the rows. Conditions that the index can decide are decided
// before the look-up.
func (b *builder) lookupReader(s *scanNode, path *accessPath, rows float64) *physLookup {
	indexCols := colSet{}
	for _, c := range path.index.Columns {
		if col := s.columnAt(c.Offset); col != nil && c.Length < 0 && readableKey(s.table.Columns[c.Offset].Type) {
			indexCols[col] = true
		}
	}
	handle := b.handleColumns(s)
	for _, c := range handle {
		indexCols[c] = true
	}
	others := colSet{}
	for _, c := range s.cols {
		if !indexCols[c] {
			others[c] = true
		}
	}
	var early, late []*Expr
	for _, c := range b.residual(path, s.conds) {
		if c.touches(others) || c.isVolatile() {
			late = append(late, c)
		} else {
			early = append(early, c)
		}
	}
	total, _ := b.tableRows(s.table)
	is := b.indexScan(s, path.index, handle)
	is.out = handle
	found := math.Max(total*path.share*(&estimate{rows: total}).selectivity(early), 1)
	index := b.newReader(is, path, early, found)
	record := &accessPath{table: s.table, share: found / math.Max(total, 1)}
	table := b.newReader(s, record, late, rows)
	table.scan.name, table.scan.rows = "TableRowIDScan", found
	return &physLookup{b.newBase("IndexLookUp", s.output(), rows), index, table, handle}
}

// indexScan reads whole index entries: all columns in the index's order, then the handle.
func (b *builder) indexScan(s *scanNode, ix *catalog.Index, handle []*Column) *scanNode {
	is := &scanNode{table: s.table, alias: s.alias, out: s.output(), pseudo: s.pseudo}
	for _, c := range ix.Columns {
		col := s.columnAt(c.Offset)
		if col == nil || c.Length >= 0 || !readableKey(s.table.Columns[c.Offset].Type) {
			tc := s.table.Columns[c.Offset] // what the entry holds is not the column's value: nobody refers to it
			col = b.newColumn(tc.Type, lower(s.alias+"."+tc.Name))
		}
		is.cols, is.offsets = append(is.cols, col), append(is.offsets, c.Offset)
	}
	is.cols = append(is.cols, handle...)
	is.offsets = append(is.offsets, b.handleOffsets(s)...)
	return is
}

// handleOffsets are the table columns of the handle, -1 for the hidden row id.
func (b *builder) handleOffsets(s *scanNode) []int {
	if offs := s.table.HandleColumns(); offs != nil {
		return offs
	}
	return []int{-1}
}

// handleColumns are the columns of the handle, made anew where the query does not want them.
func (b *builder) handleColumns(s *scanNode) []*Column {
	var out []*Column
	for _, off := range b.handleOffsets(s) {
		col := s.columnAt(off)
		switch {
		case col != nil:
		case off < 0:
			col = b.newColumn(intType(), lower(s.alias+"._tidb_rowid"))
		default:
			c := s.table.Columns[off]
			col = b.newColumn(c.Type, lower(s.alias+"."+c.Name))
		}
		out = append(out, col)
	}
	return out
}

// zeroOf is a constant of a type that is not NULL.
func zeroOf(c *Column) *Expr {
	var d datum.Datum
	switch evalOf(c.Type) {
	case evalInt:
		if isUnsigned(c.Type) {
			d = datum.NewUint64(0)
		} else {
			d = datum.NewInt64(0)
		}
	case evalReal:
		d = datum.NewFloat64(0)
	case evalTime:
		d = datum.NewTime(0)
	case evalDuration:
		d = datum.NewDuration(0)
	case evalDecimal:
		return decimalConst(decimalZero)
	default:
		d = datum.NewBytes(nil)
	}
	return withNotNull(constExpr(d, c.Type))
}
