package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// retype turns a column of type in into one of type out, which is the same but perhaps for a decimal's width.
func retype(a arrow.Array, in, out *tipb.FieldType) (arrow.Array, error) {
	kind := column.KindOf(out)
	if column.KindOf(in) == kind && (!isDecimal(kind) || column.Scale(in) == column.Scale(out)) {
		return a, nil
	}
	b := column.NewBuilder(out, a.Len())
	for i := range a.Len() {
		if err := datum.FromColumn(a, i, in).AppendTo(b); err != nil {
			return nil, outOfRange(out)
		}
	}
	return b.Detach(), nil
}

func isDecimal(k column.Kind) bool {
	return k == column.Decimal64 || k == column.Decimal128 || k == column.Decimal256
}

func outOfRange(ft *tipb.FieldType) error {
	name := "BIGINT"
	switch ft.Tp {
	case column.TypeDecimal:
		name = "DECIMAL"
	case column.TypeDouble, column.TypeFloat:
		name = "DOUBLE"
	}
	return value.Errorf(value.CodeDataOutOfRange, "%s value is out of range in 'aggregate'", name)
}

// floats returns the numbers of a column as floats.
func floats(a arrow.Array, ft *tipb.FieldType, buf []float64) []float64 {
	if f, ok := a.(*array.Float64); ok {
		return f.Float64Values()
	}
	scale := 0
	if isDecimal(column.KindOf(ft)) {
		scale = column.Scale(ft)
	}
	buf = buf[:0]
	for i := range a.Len() {
		v := 0.0
		if a.IsValid(i) {
			v = value.Decimal{Coef: column.CoefAt(a, i), Scale: int32(scale)}.Float64()
		}
		buf = append(buf, v)
	}
	return buf
}

// isNumber reports whether values of ft can be summed up.
func isNumber(ft *tipb.FieldType) bool { return column.KindOf(ft) != column.Bytes }

// grow returns s with length n at least, new elements zero.
func grow[T any](s []T, n int) []T {
	if n > len(s) {
		s = append(s, make([]T, n-len(s))...)
	}
	return s
}

// validity makes a bitmap of n rows from has.
func validity(n int, has func(i int) bool) (valid []byte, nulls int) {
	for i := range n {
		if has(i) {
			continue
		}
		if valid == nil {
			valid = make([]byte, bitutil.BytesForBits(int64(n)))
			bitutil.SetBitsTo(valid, 0, int64(n), true)
		}
		bitutil.ClearBit(valid, i)
		nulls++
	}
	return valid, nulls
}
