package agg

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

var (
	intType    = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}
	realType   = &tipb.FieldType{Tp: column.TypeDouble}
	wideType   = &tipb.FieldType{Tp: column.TypeDecimal, Flen: 30, Decimal: 2}
	widestType = &tipb.FieldType{Tp: column.TypeDecimal, Flen: 60, Decimal: 2}
	binType    = &tipb.FieldType{Tp: column.TypeVarchar, Collate: -46}
	foldedType = &tipb.FieldType{Tp: column.TypeVarchar, Collate: -45}
)

// genCell makes a value, and the text that values share that are one group.
func genCell(t *rapid.T, ft *tipb.FieldType, longStrings bool) (datum.Datum, string) {
	if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return datum.Datum{}, "NULL"
	}
	n := rapid.Int64Range(-3, 3).Draw(t, "n")
	switch ft {
	case realType:
		return datum.NewFloat64(float64(n)), fmt.Sprint(n)
	case binType, foldedType:
		s := rapid.SampledFrom([]string{"", "a", "b", "ab", "seven77"}).Draw(t, "s")
		if longStrings && n > 1 {
			s += " and longer than seven"
		}
		padded := s
		if n < 0 {
			padded += " "
		}
		return datum.NewString(padded), "'" + s
	default:
		return datum.NewInt64(n), fmt.Sprint(n)
	}
}

// The numbers are those of a map from the texts of keys, whatever form the table has and however it changes on the way.
func TestGrouperAgainstMap(t *testing.T) {
	all := []*tipb.FieldType{intType, realType, wideType, widestType, binType, foldedType}
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(all), 1, 5).Draw(t, "types")
		g, err := NewGrouper(types)
		require.NoError(t, err)
		numbers := map[string]uint32{}
		var first []string
		long := false
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			long = long || rapid.Bool().Draw(t, "long")
			cols, texts := genBatch(t, types, long)
			got := g.Group(cols, len(texts), nil)
			require.Len(t, got, len(texts))
			for i, text := range texts {
				if _, ok := numbers[text]; !ok {
					numbers[text] = uint32(len(numbers))
					first = append(first, rowText(cols, types, i))
				}
				require.Equal(t, numbers[text], got[i], text)
			}
		}
		require.Equal(t, len(numbers), g.Len())
		for i, want := range first {
			require.Equal(t, want, rowText(g.Keys(i, i+1), types, 0))
		}
		cols, texts := genBatch(t, types, true)
		for i, at := range g.Find(cols, len(texts), nil) {
			want, ok := numbers[texts[i]]
			switch {
			case anyNullAt(cols, i) || !ok:
				require.EqualValues(t, -1, at)
			default:
				require.EqualValues(t, want, at)
			}
		}
	})
}

func genBatch(t *rapid.T, types []*tipb.FieldType, long bool) (cols []arrow.Array, texts []string) {
	texts = make([]string, rapid.IntRange(0, 12).Draw(t, "rows"))
	for _, ft := range types {
		b := column.NewBuilder(ft, 0)
		for i := range texts {
			d, text := genCell(t, ft, long)
			require.NoError(t, d.AppendTo(b))
			texts[i] += text + "|"
		}
		cols = append(cols, b.Detach())
	}
	return cols, texts
}

func anyNullAt(cols []arrow.Array, i int) bool {
	for _, c := range cols {
		if c.IsNull(i) {
			return true
		}
	}
	return false
}

func rowText(cols []arrow.Array, types []*tipb.FieldType, row int) string {
	out := ""
	for c, ft := range types {
		d := datum.FromColumn(cols[c], row, ft)
		out += fmt.Sprint(d.IsNull(), " ") + string(d.AppendText(nil, ft)) + "|"
	}
	return out
}

// Many keys make the tables grow; a batch beyond the usual size reserves, and keys close together need no hash table.
func TestGrouperGrows(t *testing.T) {
	for _, step := range []int64{1, 1 << 33} {
		g, err := NewGrouper([]*tipb.FieldType{intType})
		require.NoError(t, err)
		const n = 3 * column.BatchSize
		b := column.NewBuilder(intType, n)
		for i := range int64(n) {
			b.AppendInt64((i - n/2) * step)
		}
		cols := []arrow.Array{b.Array()}
		ids, err := g.Index(cols, n, func() error { return nil })
		require.NoError(t, err)
		found := g.Find(cols, n, nil)
		for i := range ids {
			require.EqualValues(t, i, ids[i])
			require.EqualValues(t, i, found[i])
		}
		b.Reset()
		b.AppendInt64(n * step)
		b.AppendInt64(-n * step)
		require.Equal(t, []int32{-1, -1}, g.Find([]arrow.Array{b.Array()}, 2, nil))
	}
}

// A damaged partial state is an error, not a wrong result.
func TestMergeDamagedMoments(t *testing.T) {
	f := &tipb.Expr{Tp: tipb.ExprType_VarPop, FieldType: realType}
	final := tipb.AggFunctionMode_FinalMode
	f.AggFuncMode = &final
	acc, err := New(f, []*tipb.FieldType{momentsType()}, nil)
	require.NoError(t, err)
	acc.Resize(1)
	b := column.NewBuilder(momentsType(), 1)
	b.AppendBytes([]byte("short"))
	require.Error(t, acc.Merge([]uint32{0}, []arrow.Array{b.Array()}))
}
