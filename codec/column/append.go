package column

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
)

// MaxData is the number of bytes that the values of a Bytes column can have together: its offsets are 32 bits wide.
const MaxData = math.MaxInt32

// AppendRows appends the listed rows of a, a column of the same kind, in their order. rows == nil appends all of them.
// A negative row number gives NULL. The caller sees to it that a Bytes column stays below MaxData.
func (b *Builder) AppendRows(a arrow.Array, rows []int32) {
	if rows == nil && a.NullN() == 0 {
		b.appendAll(a)
		return
	}
	if rows == nil {
		rows = identity(a.Len())
	}
	switch a := a.(type) {
	case *array.Int64:
		b.I64 = appendPicked(b.I64, a.Int64Values(), rows)
	case *array.Uint64:
		b.U64 = appendPicked(b.U64, a.Uint64Values(), rows)
	case *array.Float64:
		b.F64 = appendPicked(b.F64, a.Float64Values(), rows)
	case *array.Decimal128:
		b.D128 = appendPicked(b.D128, a.Values(), rows)
	case *array.Decimal256:
		b.D256 = appendPicked(b.D256, a.Values(), rows)
	case *array.Binary:
		b.appendPickedBytes(a, rows)
	}
	b.noteRows(a, rows)
}

func (b *Builder) appendAll(a arrow.Array) {
	switch a := a.(type) {
	case *array.Int64:
		b.I64 = append(b.I64, a.Int64Values()...)
	case *array.Uint64:
		b.U64 = append(b.U64, a.Uint64Values()...)
	case *array.Float64:
		b.F64 = append(b.F64, a.Float64Values()...)
	case *array.Decimal128:
		b.D128 = append(b.D128, a.Values()...)
	case *array.Decimal256:
		b.D256 = append(b.D256, a.Values()...)
	case *array.Binary:
		base := int32(len(b.Data))
		offsets := a.ValueOffsets()
		b.Data = append(b.Data, a.ValueBytes()...)
		for _, end := range offsets[min(1, len(offsets)):] {
			b.Ends = append(b.Ends, base+end-offsets[0])
		}
	}
	b.Appended(a.Len())
}

func appendPicked[T any](dst, in []T, rows []int32) []T {
	from := len(dst)
	dst = slices.Grow(dst, len(rows))[:from+len(rows)]
	out := dst[from:]
	for i, r := range rows {
		var v T
		if r >= 0 {
			v = in[r]
		}
		out[i] = v
	}
	return dst
}

func (b *Builder) appendPickedBytes(a *array.Binary, rows []int32) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	for _, r := range rows {
		if r >= 0 {
			b.Data = append(b.Data, data[offsets[r]-offsets[0]:offsets[r+1]-offsets[0]]...)
		}
		b.Ends = append(b.Ends, int32(len(b.Data)))
	}
}

// noteRows counts rows whose values, or placeholders of NULLs, are appended.
func (b *Builder) noteRows(a arrow.Array, rows []int32) {
	bits := NullBits(a)
	if bits == nil && (len(rows) == 0 || slices.Min(rows) >= 0) {
		b.Appended(len(rows))
		return
	}
	for _, r := range rows {
		b.noteValid(r >= 0 && (bits == nil || bitutil.BitIsSet(bits, int(r))))
	}
}

// Bytes is the memory that the builder holds.
func (b *Builder) Bytes() int64 {
	n := 8*(cap(b.I64)+cap(b.U64)+cap(b.F64)) + 16*cap(b.D128) + 32*cap(b.D256) + 4*cap(b.Ends) + cap(b.Data) + cap(b.valid)
	return int64(n)
}
