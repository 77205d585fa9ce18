package column

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var compactTypes = []*tipb.FieldType{
	{Tp: TypeLongLong}, {Tp: TypeDate}, {Tp: TypeDouble}, {Tp: TypeDecimal, Flen: 30, Decimal: 2}, {Tp: TypeDecimal, Flen: 65, Decimal: 2},
	{Tp: TypeVarchar},
}

// columnOf makes one of numbers, NULL where they are negative.
func columnOf(ft *tipb.FieldType, values []int64) arrow.Array {
	b := NewBuilder(ft, len(values))
	for _, v := range values {
		switch {
		case v < 0:
			b.AppendNull()
		case KindOf(ft) == Bytes:
			b.AppendBytes([]byte("strings"[:v]))
		default:
			b.AppendZero()
		}
	}
	return b.Detach()
}

// A copy of a whole batch is the copy of all of its rows by number, and shares no memory with it.
func TestCompact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(-2, 7), 0, 20).Draw(t, "values")
		b := Batch{Rows: len(values)}
		for _, ft := range compactTypes {
			b.Cols = append(b.Cols, columnOf(ft, values))
		}
		whole, picked := Compact(b), Compact(Batch{Cols: b.Cols, Rows: b.Rows, Sel: identity(b.Rows)})
		for i, c := range whole.Cols {
			require.True(t, array.Equal(picked.Cols[i], c), "%s and %s", picked.Cols[i], c)
			require.Equal(t, picked.Cols[i].NullN(), c.NullN())
		}
		for _, c := range b.Cols {
			for _, buf := range c.Data().Buffers() {
				if buf != nil {
					clear(buf.Bytes())
				}
			}
		}
		for i, c := range whole.Cols {
			require.True(t, array.Equal(picked.Cols[i], c))
		}
	})
}

func BenchmarkCompact(b *testing.B) {
	values := make([]int64, BatchSize)
	for i := range values {
		values[i] = int64(i % 7)
	}
	batch := Batch{Rows: len(values)}
	for _, ft := range compactTypes {
		batch.Cols = append(batch.Cols, columnOf(ft, values))
	}
	b.SetBytes(Size(batch))
	for b.Loop() {
		Compact(batch)
	}
}
