package column

import (
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// AppendRows, and AppendRuns for selections, do what AppendFrom does row by row, for every kind.
func TestAppendRows(t *testing.T) {
	types := []*tipb.FieldType{{Tp: TypeLongLong}, {Tp: TypeLongLong, Flag: FlagUnsigned}, {Tp: TypeDouble},
		{Tp: TypeDecimal, Flen: 10}, {Tp: TypeDecimal, Flen: 30}, {Tp: TypeDecimal, Flen: 60}, {Tp: TypeVarchar}}
	rapid.Check(t, func(t *rapid.T) {
		ft := rapid.SampledFrom(types).Draw(t, "type")
		src := NewBuilder(ft, 0)
		n := rapid.IntRange(0, 20).Draw(t, "rows")
		for i := range n {
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				src.AppendNull()
				continue
			}
			switch src.Kind {
			case Uint64:
				src.AppendUint64(uint64(i))
			case Float64:
				src.AppendFloat64(float64(i))
			case Bytes:
				src.AppendBytes(make([]byte, i))
			case Int64:
				src.AppendInt64(int64(i))
			default:
				src.AppendCoef(CoefAt(intColumn(int64(i)), 0))
			}
		}
		a := src.Array()
		want, got := NewBuilder(ft, 0), NewBuilder(ft, 0)
		for range 2 {
			rows := []int32(nil)
			if n > 0 && rapid.Bool().Draw(t, "pick") {
				rows = rapid.SliceOf(rapid.Int32Range(0, int32(n)-1)).Draw(t, "picked")
			}
			if rapid.Bool().Draw(t, "runs") {
				slices.Sort(rows)
				rows = slices.Compact(rows)
				got.AppendRuns(a, Runs(nil, rows))
			} else {
				got.AppendRows(a, rows)
				if rows == nil {
					rows = identity(n)
				}
			}
			for _, r := range rows {
				want.AppendFrom(a, int(r))
			}
		}
		require.Equal(t, want.Array().String(), got.Array().String())
	})
}

func intColumn(v int64) arrow.Array {
	b := NewBuilder(&tipb.FieldType{Tp: TypeLongLong}, 1)
	b.AppendInt64(v)
	return b.Array()
}
