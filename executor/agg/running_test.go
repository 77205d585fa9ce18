package agg

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
)

// A running total is what the rows of all groups since the last restart give together, also where it goes on from groups of
// another accumulator.
func TestRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &tipb.Expr{Tp: rapid.SampledFrom([]tipb.ExprType{tipb.ExprType_Sum, tipb.ExprType_Avg, tipb.ExprType_Count,
			tipb.ExprType_Min, tipb.ExprType_Max}).Draw(t, "function"), FieldType: wideType}
		in := rapid.SampledFrom([]*tipb.FieldType{intType, unsignedType, realType, wideType, widestType}).Draw(t, "type")
		switch {
		case f.Tp == tipb.ExprType_Count:
			f.FieldType = intType
		case in == realType || in == widestType || f.Tp == tipb.ExprType_Min || f.Tp == tipb.ExprType_Max:
			f.FieldType = in
		}
		n := rapid.IntRange(2, 12).Draw(t, "groups")
		restart := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "restart")
		restart[0] = true
		rows, groups := column.NewBuilder(in, 0), []uint32(nil)
		for g := range n {
			for range rapid.IntRange(0, 3).Draw(t, "rows") {
				d, _ := genCell(t, in, cells{long: true})
				require.NoError(t, d.AppendTo(rows))
				groups = append(groups, uint32(g))
			}
		}
		var want []string
		for g := range n {
			want = append(want, wholeOf(t, f, in, rows.Array(), groups, restart, g))
		}
		split := rapid.IntRange(0, n-1).Draw(t, "split")
		first := runOf(t, f, in, rows.Array(), groups, restart, 0, split, nil)
		second := runOf(t, f, in, rows.Array(), groups, restart, split, n, first)
		for g := range n {
			acc, at := first, g
			if g >= split {
				acc, at = second, g-split
			}
			out, err := acc.Final(at, at+1)
			require.NoError(t, err)
			require.Equal(t, want[g], rowText([]arrow.Array{out}, []*tipb.FieldType{f.FieldType}, 0), "group %d", g)
		}
	})
}

// wholeOf aggregates at once what belongs to the running total of group g.
func wholeOf(t *rapid.T, f *tipb.Expr, in *tipb.FieldType, rows arrow.Array, groups []uint32, restart []bool, g int) string {
	from := g
	for !restart[from] {
		from--
	}
	acc := updated(t, f, in, rows, groups, from, g+1, func(uint32) uint32 { return 0 })
	out, err := acc.Final(0, 1)
	require.NoError(t, err)
	return rowText([]arrow.Array{out}, []*tipb.FieldType{f.FieldType}, 0)
}

// runOf makes running totals of groups [from, to).
func runOf(t *rapid.T, f *tipb.Expr, in *tipb.FieldType, rows arrow.Array, groups []uint32, restart []bool, from, to int, before Accumulator) Accumulator {
	acc := updated(t, f, in, rows, groups, from, to, func(g uint32) uint32 { return g - uint32(from) })
	if from == 0 {
		require.NoError(t, acc.(Runner).Run(restart[:to], nil, 0))
	} else {
		require.NoError(t, acc.(Runner).Run(restart[from:to], before, from-1))
	}
	return acc
}

// updated is an accumulator of the rows of groups [from, to), which number renames.
func updated(t *rapid.T, f *tipb.Expr, in *tipb.FieldType, rows arrow.Array, groups []uint32, from, to int, number func(uint32) uint32) Accumulator {
	acc, err := New(f, []*tipb.FieldType{in}, nil)
	require.NoError(t, err)
	acc.Resize(to - from)
	var list []int32
	var renamed []uint32
	for i, g := range groups {
		if int(g) >= from && int(g) < to {
			list, renamed = append(list, int32(i)), append(renamed, number(g))
		}
	}
	require.NoError(t, acc.Update(renamed, []arrow.Array{column.Gather(rows, list)}))
	return acc
}
