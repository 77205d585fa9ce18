package agg

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

func approx(t *testing.T, mode tipb.AggFunctionMode, args ...*tipb.FieldType) Accumulator {
	a, err := New(&tipb.Expr{Tp: tipb.ExprType_ApproxCountDistinct, FieldType: bigint(), AggFuncMode: &mode}, args, nil)
	require.NoError(t, err)
	return a
}

func int64Column(n int, value func(i int) int64) arrow.Array {
	b := column.NewBuilder(bigint(), n)
	for i := range n {
		b.AppendInt64(value(i))
	}
	return b.Detach()
}

// Counts are exact while they are small and near beyond, whether one accumulator sees all rows or several, whose rows
// overlap, see parts.
func TestApproxCountDistinct(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, distinct := range []int{0, 1, 100, sampleMax, sampleMax + 1, 100_000, 1_000_000} {
		whole := approx(t, tipb.AggFunctionMode_CompleteMode, bigint())
		merged := approx(t, tipb.AggFunctionMode_FinalMode, sampleType())
		whole.Resize(1)
		merged.Resize(1)
		for part := range 4 {
			half := distinct - distinct/2
			from := part % 2 * (distinct - half)
			rows := int64Column(2*half, func(i int) int64 {
				if i < half {
					return int64(from + i)
				}
				return int64(from + rng.IntN(half))
			})
			groups := make([]uint32, 2*half)
			one := approx(t, tipb.AggFunctionMode_Partial1Mode, bigint())
			one.Resize(1)
			require.NoError(t, one.Update(groups, []arrow.Array{rows}))
			require.NoError(t, whole.Update(groups, []arrow.Array{rows}))
			state, err := one.Partial(0, 1)
			require.NoError(t, err)
			require.NoError(t, merged.Merge([]uint32{0}, state))
			require.LessOrEqual(t, one.Bytes(), int64(8*4*sampleMax+40))
		}
		counts := make([]int64, 2)
		for i, a := range []Accumulator{whole, merged} {
			out, err := a.Final(0, 1)
			require.NoError(t, err)
			counts[i] = out.(*array.Int64).Value(0)
		}
		require.Equal(t, counts[0], counts[1], "parts make the whole")
		if distinct <= sampleMax {
			require.EqualValues(t, distinct, counts[0])
		} else {
			require.InDelta(t, distinct, counts[0], 0.05*float64(distinct))
		}
	}
}

func TestApproxCountDistinctOfPairs(t *testing.T) {
	a := approx(t, tipb.AggFunctionMode_CompleteMode, bigint(), textType)
	a.Resize(2)
	numbers := int64Column(5, func(i int) int64 { return int64(i % 2) })
	texts := stringColumn(textType, [][]byte{[]byte("a"), []byte("a"), []byte("a "), nil, []byte("b")})
	require.NoError(t, a.Update([]uint32{0, 0, 0, 0, 1}, []arrow.Array{numbers, texts}))
	out, err := a.Final(0, 2)
	require.NoError(t, err)
	require.Equal(t, []int64{2, 1}, out.(*array.Int64).Int64Values(), "a padded text is the same, a row with NULL is none")
}

func TestSamplesOfOthers(t *testing.T) {
	for _, state := range [][]byte{{}, {64}, {0, 1}, make([]byte, 1+8*(sampleMax+1))} {
		a := approx(t, tipb.AggFunctionMode_FinalMode, sampleType())
		a.Resize(1)
		require.Error(t, a.Merge([]uint32{0}, []arrow.Array{stringColumn(sampleType(), [][]byte{state})}))
	}
	// A level at which nothing remains is not a fault, nor are hashes that should not be at it.
	a := approx(t, tipb.AggFunctionMode_FinalMode, sampleType())
	a.Resize(1)
	require.NoError(t, a.Merge([]uint32{0}, []arrow.Array{stringColumn(sampleType(), [][]byte{append([]byte{63}, make([]byte, 16)...)})}))
	out, err := a.Final(0, 1)
	require.NoError(t, err)
	require.EqualValues(t, math.MaxInt64, out.(*array.Int64).Value(0))
}
