package datum

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// FromColumn reads row i of an Arrow column of type ft. Bytes alias the column.
func FromColumn(arr arrow.Array, i int, ft *tipb.FieldType) Datum {
	if arr.IsNull(i) {
		return Datum{}
	}
	switch column.KindOf(ft) {
	case column.Int64:
		return NewInt64(arr.(*array.Int64).Value(i)).Of(ft)
	case column.Uint64:
		return NewUint64(arr.(*array.Uint64).Value(i)).Of(ft)
	case column.Float64:
		return NewFloat64(arr.(*array.Float64).Value(i))
	case column.Bytes:
		if ft.Tp == column.TypeJSON {
			return NewJSON(arr.(*array.Binary).Value(i))
		}
		return NewBytes(arr.(*array.Binary).Value(i))
	default:
		return NewDecimal(value.Decimal{Coef: column.CoefAt(arr, i), Scale: int32(column.Scale(ft))})
	}
}

// AppendTo appends d to a column. It changes the form of a value, never the value, but for a decimal's scale: that
// becomes the column's, rounded. What does not fit the column's type is an error.
func (d Datum) AppendTo(b *column.Builder) error {
	if d.kind == Null {
		b.AppendNull()
		return nil
	}
	ok := false
	switch b.Kind {
	case column.Int64:
		if ok = d.isInteger() && !(d.kind == Uint64 && int64(d.num) < 0); ok {
			b.AppendInt64(int64(d.num))
		}
	case column.Uint64:
		if ok = d.isInteger() && !(d.kind == Int64 && int64(d.num) < 0); ok {
			b.AppendUint64(d.num)
		}
	case column.Float64:
		if ok = d.kind == Float64; ok {
			b.AppendFloat64(d.Float64())
		}
	case column.Bytes:
		if ok = d.kind == Bytes || d.kind == JSON; ok {
			b.AppendBytes(d.b)
		}
	default:
		ok = d.appendDecimal(b)
	}
	if !ok {
		return fmt.Errorf("%w: %s does not fit a column of type %d", ErrInvalid, d.kind, b.Type.Tp)
	}
	return nil
}

// isInteger holds for all kinds that num alone carries as a number.
func (d Datum) isInteger() bool {
	return d.kind == Int64 || d.kind == Uint64 || d.kind == Time || d.kind == Duration
}

func (d Datum) appendDecimal(b *column.Builder) bool {
	dec := d.Decimal()
	switch d.kind {
	case Decimal:
	case Int64:
		dec = value.DecimalFromInt64(d.Int64())
	case Uint64:
		dec = value.DecimalFromUint64(d.Uint64())
	default:
		return false
	}
	if scale := column.Scale(b.Type); int(dec.Scale) != scale {
		dec = dec.Rescale(scale)
	}
	return b.AppendCoef(dec.Coef)
}
