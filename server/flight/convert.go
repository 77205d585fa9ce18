package flight

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// record converts the selected rows of a batch.
func record(schema *arrow.Schema, converts []convert, b column.Batch) (arrow.Record, error) {
	if b.Sel != nil {
		b = column.Compact(b)
	}
	cols := make([]arrow.Array, len(b.Cols))
	for i, a := range b.Cols {
		var err error
		if cols[i], err = converts[i](a); err != nil {
			return nil, fmt.Errorf("column %d: %w", i, err)
		}
	}
	return array.NewRecord(schema, cols, int64(b.Rows)), nil
}

func unchanged(a arrow.Array) (arrow.Array, error) { return a, nil }

// as gives the same memory another type of the same layout.
func as(t arrow.DataType) convert {
	return func(a arrow.Array) (arrow.Array, error) {
		return array.MakeFromData(array.NewData(t, a.Len(), a.Data().Buffers(), nil, a.NullN(), 0)), nil
	}
}

// widened makes 128-bit decimals of 64-bit ones.
func widened(t arrow.DataType) convert {
	return func(a arrow.Array) (arrow.Array, error) {
		in := a.(*array.Int64).Int64Values()
		out := make([]decimal128.Num, len(in))
		for i, v := range in {
			out[i] = decimal128.FromI64(v)
		}
		return primitive(t, nullsOf(a), len(in), arrow.Decimal128Traits.CastToBytes(out)), nil
	}
}

// epoch is 1970-01-01 as value.Time counts days.
const epoch = 719528

func dates(a arrow.Array) (arrow.Array, error) {
	in, nulls := a.(*array.Uint64).Uint64Values(), nullsOf(a)
	out := make([]int32, len(in))
	for i, v := range in {
		if t := value.Time(v); t.IsValid() {
			out[i] = int32(t.ToDays() - epoch)
		} else {
			nulls.set(i)
		}
	}
	return primitive(arrow.FixedWidthTypes.Date32, nulls, len(in), arrow.Int32Traits.CastToBytes(out)), nil
}

func times(a arrow.Array) (arrow.Array, error) {
	const second, day = 1_000_000, 86400
	in, nulls := a.(*array.Uint64).Uint64Values(), nullsOf(a)
	out := make([]int64, len(in))
	for i, v := range in {
		t := value.Time(v)
		if !t.IsValid() {
			nulls.set(i)
			continue
		}
		h, m, s, us := t.Clock()
		out[i] = (int64(t.ToDays()-epoch)*day+int64(h*3600+m*60+s))*second + int64(us)
	}
	return primitive(localTime, nulls, len(in), arrow.Int64Traits.CastToBytes(out)), nil
}

// names prints ENUM and SET.
func names(ft *tipb.FieldType) convert {
	return func(a arrow.Array) (arrow.Array, error) {
		in := a.(*array.Uint64)
		return texts(a, func(dst []byte, i int) ([]byte, error) {
			if ft.Tp == column.TypeEnum {
				return append(dst, value.EnumName(ft.Elems, in.Value(i))...), nil
			}
			return value.AppendSetNames(dst, ft.Elems, in.Value(i)), nil
		})
	}
}

func jsonTexts(a arrow.Array) (arrow.Array, error) {
	in := a.(*array.Binary)
	return texts(a, func(dst []byte, i int) ([]byte, error) { return value.AppendJSONText(dst, in.Value(i)) })
}

// texts makes a column of strings with print, which appends that of row i.
func texts(a arrow.Array, print func(dst []byte, i int) ([]byte, error)) (arrow.Array, error) {
	ends := make([]int32, 1, a.Len()+1)
	var data []byte
	for i := range a.Len() {
		if a.IsValid(i) {
			var err error
			if data, err = print(data, i); err != nil {
				return nil, err
			}
			if len(data) > column.MaxData {
				return nil, fmt.Errorf("the texts of a batch exceed %d bytes", column.MaxData)
			}
		}
		ends = append(ends, int32(len(data)))
	}
	nulls := nullsOf(a)
	buffers := []*memory.Buffer{nulls.buffer(), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends)), memory.NewBufferBytes(data)}
	return array.MakeFromData(array.NewData(arrow.BinaryTypes.String, a.Len(), buffers, nil, nulls.count, 0)), nil
}

func primitive(t arrow.DataType, n *nulls, rows int, values []byte) arrow.Array {
	return array.MakeFromData(array.NewData(t, rows, []*memory.Buffer{n.buffer(), memory.NewBufferBytes(values)}, nil, n.count, 0))
}

// nulls are the NULLs of a column, to which more can be added.
type nulls struct {
	rows  int
	bits  []byte // as column.NullBits has them
	count int
	own   bool // bits may be changed
}

func nullsOf(a arrow.Array) *nulls {
	return &nulls{rows: a.Len(), bits: column.NullBits(a), count: a.NullN()}
}

// set makes row i NULL.
func (n *nulls) set(i int) {
	if !column.IsValid(n.bits, i) {
		return
	}
	if n.bits == nil {
		n.bits, n.own = bytes.Repeat([]byte{0xff}, int(bitutil.BytesForBits(int64(n.rows)))), true
	}
	if !n.own {
		n.bits, n.own = bytes.Clone(n.bits), true
	}
	bitutil.ClearBit(n.bits, i)
	n.count++
}

func (n *nulls) buffer() *memory.Buffer {
	if n.count == 0 {
		return nil
	}
	return memory.NewBufferBytes(n.bits)
}
