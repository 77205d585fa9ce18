package column

import (
	"bytes"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Compact returns a dense copy of the selected rows that lives as long as the caller wants.
func Compact(b Batch) Batch {
	out := Batch{Cols: make([]arrow.Array, len(b.Cols)), Rows: b.Len()}
	for i, c := range b.Cols {
		if b.Sel == nil {
			out.Cols[i] = clone(c)
		} else {
			out.Cols[i] = Gather(c, b.Sel)
		}
	}
	return out
}

// clone copies all of a.
func clone(a arrow.Array) arrow.Array {
	rows, in := a.Len(), a.Data().Buffers()
	buffers := make([]*memory.Buffer, len(in))
	copied := func(i, size int) { buffers[i] = memory.NewBufferBytes(bytes.Clone(in[i].Bytes()[:size])) }
	if a.NullN() > 0 {
		copied(0, int(bitutil.BytesForBits(int64(rows))))
	}
	switch a := a.(type) {
	case *array.Binary:
		if rows == 0 {
			return Binary(0, []int32{0}, nil, nil, 0)
		}
		offsets := a.ValueOffsets()
		if offsets[0] != 0 {
			panic("column: sliced binary array")
		}
		copied(1, arrow.Int32Traits.BytesRequired(rows+1))
		buffers[2] = memory.NewBufferBytes(bytes.Clone(a.ValueBytes()))
	default:
		copied(1, rows*a.DataType().(arrow.FixedWidthDataType).Bytes())
	}
	return array.MakeFromData(array.NewData(a.DataType(), rows, buffers, nil, a.NullN(), 0))
}

func identity(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// Gather copies the listed rows of a, in their order and as often as listed, into a new array. A negative row number
// gives NULL (the unmatched side of an outer join).
func Gather(a arrow.Array, rows []int32) arrow.Array {
	valid, nulls := gatherValid(a, rows)
	switch a := a.(type) {
	case *array.Int64:
		return Primitive(Int64, len(rows), arrow.Int64Traits.CastToBytes(pick(a.Int64Values(), rows)), valid, nulls)
	case *array.Uint64:
		return Primitive(Uint64, len(rows), arrow.Uint64Traits.CastToBytes(pick(a.Uint64Values(), rows)), valid, nulls)
	case *array.Float64:
		return Primitive(Float64, len(rows), arrow.Float64Traits.CastToBytes(pick(a.Float64Values(), rows)), valid, nulls)
	case *array.Decimal128:
		return Primitive(Decimal128, len(rows), arrow.Decimal128Traits.CastToBytes(pick(a.Values(), rows)), valid, nulls)
	case *array.Decimal256:
		return Primitive(Decimal256, len(rows), arrow.Decimal256Traits.CastToBytes(pick(a.Values(), rows)), valid, nulls)
	case *array.Binary:
		return gatherBytes(a, rows, valid, nulls)
	default:
		panic("column: no such physical type " + a.DataType().String())
	}
}

func pick[T any](in []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		if r >= 0 {
			out[i] = in[r]
		}
	}
	return out
}

func gatherBytes(a *array.Binary, rows []int32, valid []byte, nulls int) arrow.Array {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	if a.Len() > 0 && offsets[0] != 0 {
		panic("column: sliced binary array")
	}
	size := 0
	for _, r := range rows {
		if r >= 0 {
			size += int(offsets[r+1] - offsets[r])
		}
	}
	out, ends := make([]byte, 0, size), make([]int32, len(rows)+1)
	for i, r := range rows {
		if r >= 0 {
			out = append(out, data[offsets[r]:offsets[r+1]]...)
		}
		ends[i+1] = int32(len(out))
	}
	return Binary(len(rows), ends, out, valid, nulls)
}

func gatherValid(a arrow.Array, rows []int32) (valid []byte, nulls int) {
	bits := NullBits(a)
	for i, r := range rows {
		if r >= 0 && (bits == nil || bitutil.BitIsSet(bits, int(r))) {
			continue
		}
		if valid == nil {
			valid = make([]byte, bitutil.BytesForBits(int64(len(rows))))
			bitutil.SetBitsTo(valid, 0, int64(len(rows)), true)
		}
		bitutil.ClearBit(valid, i)
		nulls++
	}
	return valid, nulls
}
