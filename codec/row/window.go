package row

import (
	"encoding/binary"
	"slices"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/codec/value"
)

// window is a column that has a value in each row, all rows being of one small layout. Cells lie behind the head of at
// least nine bytes, so that eight bytes can be read which end where a cell does: a number's least significant bytes, or
// its most significant ones, whatever its length.
type window struct {
	rows   *kvbatch.Strings
	sel    []int32 // nil: all rows
	layout *layout
	place  int
}

// load appends the column to b. ok is false if a row is damaged or unusual: b is to be thrown away then.
func (w *window) load(c *cellDecoder, b *column.Builder) (ok bool) {
	switch c.form {
	case formInt:
		return w.loadInts(b)
	case formUint:
		return w.loadUints(b)
	case formDecimal64:
		return w.loadDecimals(c.scale, b)
	case formBytes:
		return w.loadBytes(b)
	default:
		return false
	}
}

// cut tells where a window's cell lies in a row.
type cut struct {
	ends  int    // of the cell's end offset; that of the cell before stands in front of it
	first uint16 // 0 if there is no cell before, else all ones
	data  int
}

func (w *window) cut() cut {
	c := cut{ends: w.layout.offsetsAt + 2*w.place, data: w.layout.dataAt}
	if w.place > 0 {
		c.first = 0xffff
	}
	return c
}

// of returns the cell's bounds in a row; they may be wrong ones.
func (c *cut) of(row []byte) (from, to int) {
	ends := row[c.ends-2 : c.ends+2]
	from = c.data + int(binary.LittleEndian.Uint16(ends)&c.first)
	to = c.data + int(binary.LittleEndian.Uint16(ends[2:]))
	return from, to
}

// isIntegerWidth tells the lengths that an integer can have.
func isIntegerWidth(n int) bool {
	const widths = 1<<1 | 1<<2 | 1<<4 | 1<<8
	return widths>>uint(n)&1 != 0
}

func (w *window) loadInts(b *column.Builder) bool {
	rows, c, data, ends := w.rows.Len(), w.cut(), w.rows.Data, w.rows.Ends
	dst := b.ExtendInts(rows)
	for j := range count(w.sel, rows) {
		i := at(w.sel, j)
		row := data[ends[i]:ends[i+1]]
		from, to := c.of(row)
		if to > len(row) || !isIntegerWidth(to-from) {
			return false
		}
		dst[i] = int64(binary.LittleEndian.Uint64(row[to-8:])) >> (64 - 8*(to-from))
	}
	return true
}

func (w *window) loadUints(b *column.Builder) bool {
	rows, c, data, ends := w.rows.Len(), w.cut(), w.rows.Data, w.rows.Ends
	dst := b.ExtendInts(rows)
	for j := range count(w.sel, rows) {
		i := at(w.sel, j)
		row := data[ends[i]:ends[i+1]]
		from, to := c.of(row)
		if to > len(row) || !isIntegerWidth(to-from) {
			return false
		}
		dst[i] = int64(binary.LittleEndian.Uint64(row[to-8:]) >> (64 - 8*(to-from)))
	}
	return true
}

func (w *window) loadDecimals(scale int, b *column.Builder) bool {
	rows, c, data, ends := w.rows.Len(), w.cut(), w.rows.Data, w.rows.Ends
	dst := b.ExtendInts(rows)
	if rows == 0 || w.sel != nil && len(w.sel) == 0 {
		return true
	}
	first := w.rows.At(at(w.sel, 0))
	from, to := c.of(first)
	if from > to || to > len(first) {
		return false
	}
	dec, ok := value.NewNarrowDecimal(first[from:to], scale)
	if !ok {
		return w.loadWideDecimals(&c, scale, dst)
	}
	size := dec.Len()
	for j := range count(w.sel, rows) {
		i := at(w.sel, j)
		row := data[ends[i]:ends[i+1]]
		from, to := c.of(row)
		if to > len(row) || to-from != size || !dec.Reads(row[from:]) {
			return w.loadWideDecimals(&c, scale, dst)
		}
		dst[i] = int64(binary.BigEndian.Uint64(row[to-8:]))
	}
	dec.Values(dst, w.sel)
	return true
}

// loadWideDecimals reads decimals of any form.
func (w *window) loadWideDecimals(c *cut, scale int, dst []int64) bool {
	data, ends := w.rows.Data, w.rows.Ends
	for j := range count(w.sel, len(dst)) {
		i := at(w.sel, j)
		row := data[ends[i]:ends[i+1]]
		from, to := c.of(row)
		if from > to || to > len(row) {
			return false
		}
		v, n, ok := value.DecodeDecimalInt64(row[from:to], scale)
		if !ok || n != to-from {
			return false
		}
		dst[i] = v
	}
	return true
}

// blockBytes is how much loadBytes copies of a string at once, whatever its length: most are not longer, and moving this
// much takes less time than choosing how to move exactly the right number of bytes.
const blockBytes = 64

func (w *window) loadBytes(b *column.Builder) bool {
	rows, c, data, ends := w.rows.Len(), w.cut(), w.rows.Data, w.rows.Ends
	b.Ends = slices.Grow(b.Ends, rows)
	out := b.Data
	for j := range count(w.sel, rows) {
		i := at(w.sel, j)
		start := ends[i]
		row := data[start:ends[i+1]]
		from, to := c.of(row)
		if from > to || to > len(row) {
			return false
		}
		if w.sel != nil {
			b.Data = out
			b.SkipTo(i)
		}
		n := len(out)
		if to-from <= blockBytes && start+from+blockBytes <= len(data) && n+blockBytes <= cap(out) {
			*(*[blockBytes]byte)(out[n : n+blockBytes]) = *(*[blockBytes]byte)(data[start+from:])
			out = out[:n+to-from]
		} else {
			out = append(out, row[from:to]...)
		}
		b.Ends = append(b.Ends, int32(len(out)))
	}
	b.Data = out
	b.SkipTo(rows)
	b.Appended(rows)
	return true
}

func count(sel []int32, rows int) int {
	if sel != nil {
		return len(sel)
	}
	return rows
}

func at(sel []int32, j int) int {
	if sel != nil {
		return int(sel[j])
	}
	return j
}
