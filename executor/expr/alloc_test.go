package expr

import (
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// TestAllocations evaluates kernels over a small and a large batch: once its buffers are there, an Eval allocates the same
// few objects for both.
func TestAllocations(t *testing.T) {
	d15, d31, text, date := ft(t, "decimal(15,2)"), ft(t, "decimal(31,4)"), ft(t, "varchar"), ft(t, "date")
	input := []*tipb.FieldType{d15, text, date}
	cells := []string{"12.50", `"special requests"`, "1994-05-06"}
	batch := func(rows int) column.Batch {
		b := column.Batch{Rows: rows}
		for k, ft := range input {
			column1 := make([]string, rows)
			for i := range column1 {
				column1[i] = cells[k]
			}
			b.Cols = append(b.Cols, buildColumn(t, ft, column1))
		}
		return b
	}
	small, large := batch(8), batch(4096)
	like := call(tipb.ScalarFuncSig_LikeSig, boolType, colRef(1), strConst("%l%s%", text), intConst(92))
	for name, e := range map[string]*tipb.Expr{
		"times":     call(tipb.ScalarFuncSig_MultiplyDecimal, d31, colRef(0), colRef(0)),
		"year":      call(tipb.ScalarFuncSig_Year, ft(t, "bigint"), colRef(2)),
		"like":      like,
		"case":      call(tipb.ScalarFuncSig_CaseWhenDecimal, d15, like, colRef(0)),
		"substring": call(tipb.ScalarFuncSig_Substring3ArgsUTF8, text, colRef(1), intConst(2), intConst(3)),
		"concat":    call(tipb.ScalarFuncSig_Concat, text, colRef(1), colRef(1)),
	} {
		x, err := Compile(e, input, &Context{})
		require.NoError(t, err)
		allocs := func(b column.Batch) float64 {
			return testing.AllocsPerRun(20, func() {
				_, err := x.Eval(b)
				require.NoError(t, err)
			})
		}
		first, second := allocs(large), allocs(small)
		require.Equal(t, second, first, name)
		require.Less(t, first, 16.0, name)
	}
}
