package column

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
)

// CoefAt is the coefficient at row i of a column of any decimal kind, or of kind Int64 or Uint64.
func CoefAt(a arrow.Array, i int) decimal256.Num {
	switch a := a.(type) {
	case *array.Int64:
		return decimal256.FromI64(a.Value(i))
	case *array.Uint64:
		return decimal256.FromU64(a.Value(i))
	case *array.Decimal128:
		return decimal256.FromDecimal128(a.Value(i))
	case *array.Decimal256:
		return a.Value(i)
	default:
		panic("column: no decimal in an array of " + a.DataType().String())
	}
}

// AppendCoef appends a coefficient, already at the column's scale, to a column of any decimal kind. ok is false, and
// nothing appended, where its kind cannot hold it.
func (b *Builder) AppendCoef(c decimal256.Num) (ok bool) {
	switch b.Kind {
	case Decimal64:
		v, ok := CoefInt64(c)
		if ok {
			b.AppendInt64(v)
		}
		return ok
	case Decimal128:
		v, ok := Coef128(c)
		if ok {
			b.AppendDecimal128(v)
		}
		return ok
	case Decimal256:
		b.AppendDecimal256(c)
		return true
	default:
		return false
	}
}

// CoefInt64 narrows c to 64 bits.
func CoefInt64(c decimal256.Num) (v int64, ok bool) {
	w := c.Array()
	v = int64(w[0])
	sign := uint64(v >> 63)
	return v, w[1] == sign && w[2] == sign && w[3] == sign
}

// Coef128 narrows c to 128 bits.
func Coef128(c decimal256.Num) (v decimal128.Num, ok bool) {
	w := c.Array()
	sign := uint64(int64(w[1]) >> 63)
	return decimal128.New(int64(w[1]), w[0]), w[2] == sign && w[3] == sign
}
