package expr

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
)

// TestFilterAgainstEval draws conditions over columns with NULLs and compares what a Filter selects with the boolean
// columns that the same conditions evaluate to.
func TestFilterAgainstEval(t *testing.T) {
	input := []*tipb.FieldType{ft(t, "bigint"), ft(t, "ubigint"), ft(t, "double"), ft(t, "decimal(15,2)"), ft(t, "decimal(30,3)"),
		ft(t, "varchar"), ft(t, "date")}
	rapid.Check(t, func(r *rapid.T) {
		b := drawBatch(t, r, input)
		var conds []*tipb.Expr
		for range rapid.IntRange(1, 3).Draw(r, "conditions") {
			conds = append(conds, drawCondition(t, r, input, 3))
		}
		f, err := NewFilter(conds, input, &Context{})
		require.NoError(t, err)
		for range 2 {
			got, err := f.Apply(b)
			require.NoError(t, err)
			want := slowFilter(t, conds, input, b)
			late, err := f.ApplyLoading(lateBatch(b))
			require.NoError(t, err)
			require.Equal(t, got, late)
			if got == nil {
				require.Nil(t, b.Sel)
				require.Len(t, want, b.Rows)
			} else {
				require.Equal(t, want, append([]int32{}, got...))
			}
		}
	})
}

// lateBatch is b with columns that are set when a condition asks for them, and then only at the rows that it may look at: all
// others are NULL.
func lateBatch(b column.Batch) (column.Batch, func(col int, sel []int32) error) {
	late := column.Batch{Cols: make([]arrow.Array, len(b.Cols)), Sel: b.Sel, Rows: b.Rows}
	return late, func(col int, sel []int32) error {
		rows := make([]int32, b.Rows)
		for i := range rows {
			rows[i] = int32(i)
			if sel != nil && !slices.Contains(sel, int32(i)) {
				rows[i] = -1
			}
		}
		late.Cols[col] = column.Gather(b.Cols[col], rows)
		return nil
	}
}

// slowFilter evaluates every condition over all rows.
func slowFilter(t *testing.T, conds []*tipb.Expr, input []*tipb.FieldType, b column.Batch) []int32 {
	keep := make([]bool, b.Rows)
	for k := range b.Len() {
		keep[b.Row(k)] = true
	}
	for _, c := range conds {
		x, err := Compile(c, input, &Context{})
		require.NoError(t, err)
		a, err := x.Eval(b)
		require.NoError(t, err)
		for k := range b.Len() {
			i := b.Row(k)
			keep[i] = keep[i] && show(a, x.Type(), i) == "1"
		}
	}
	out := []int32{}
	for i, k := range keep {
		if k {
			out = append(out, int32(i))
		}
	}
	return out
}

// smallCells are values per type, few so that comparisons hit.
var smallCells = map[etype][]string{
	etInt:     {"0", "1", "2", "3", "9223372036854775807", "NULL"},
	etReal:    {"0", "1", "2.5", "-1", "NULL"},
	etDecimal: {"0", "1", "2.5", "-1.25", "123456789012.5", "NULL"},
	etString:  {`""`, `"a"`, `"a "`, `"b"`, `"abc"`, "NULL"},
	etTime:    {"1994-01-01", "1995-01-01", "1996-12-31", "NULL"},
}

func drawBatch(t *testing.T, r *rapid.T, input []*tipb.FieldType) column.Batch {
	rows := rapid.IntRange(1, 40).Draw(r, "rows")
	b := column.Batch{Rows: rows}
	for k, ft := range input {
		cells := rapid.SliceOfN(rapid.SampledFrom(smallCells[evalType(ft)]), rows, rows).Draw(r, fmt.Sprint("column", k))
		b.Cols = append(b.Cols, buildColumn(t, ft, cells))
	}
	if rapid.Bool().Draw(r, "selected") {
		b.Sel = []int32{}
		for i := range rows {
			if rapid.Bool().Draw(r, "row") {
				b.Sel = append(b.Sel, int32(i))
			}
		}
	}
	return b
}

var boolType = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 1, Collate: -46}

// drawCondition draws comparisons, IN and LIKE with constants, and AND, OR and NOT of conditions.
func drawCondition(t *testing.T, r *rapid.T, input []*tipb.FieldType, depth int) *tipb.Expr {
	if depth > 0 {
		switch rapid.IntRange(0, 5).Draw(r, "shape") {
		case 0:
			return call(tipb.ScalarFuncSig_LogicalAnd, boolType, drawCondition(t, r, input, depth-1), drawCondition(t, r, input, depth-1))
		case 1:
			return call(tipb.ScalarFuncSig_LogicalOr, boolType, drawCondition(t, r, input, depth-1), drawCondition(t, r, input, depth-1))
		case 2:
			return call(tipb.ScalarFuncSig_UnaryNotInt, boolType, drawCondition(t, r, input, depth-1))
		}
	}
	col := rapid.IntRange(0, len(input)-1).Draw(r, "column")
	letter := evalType(input[col])
	step := tipb.ScalarFuncSig(map[etype]int{etInt: 0, etReal: 1, etDecimal: 2, etString: 3, etTime: 4}[letter])
	con := func() *tipb.Expr { return drawConstant(t, r, letter) }
	switch rapid.IntRange(0, 8).Draw(r, "test") {
	case 0:
		return call(tipb.ScalarFuncSig_InInt+step, boolType, colRef(col), con(), con())
	case 1:
		if letter == etString {
			pattern := rapid.SampledFrom([]string{"%", "a%", "%a%", "_", "%b%c"}).Draw(r, "pattern")
			return call(tipb.ScalarFuncSig_LikeSig, boolType, colRef(col), strConst(pattern, ft(t, "varchar")), intConst(92))
		}
		fallthrough
	default:
		first := rapid.SampledFrom([]tipb.ScalarFuncSig{tipb.ScalarFuncSig_LTInt, tipb.ScalarFuncSig_LEInt, tipb.ScalarFuncSig_GTInt,
			tipb.ScalarFuncSig_GEInt, tipb.ScalarFuncSig_EQInt, tipb.ScalarFuncSig_NEInt}).Draw(r, "op")
		if rapid.Bool().Draw(r, "flipped") {
			return call(first+step, boolType, con(), colRef(col))
		}
		return call(first+step, boolType, colRef(col), con())
	}
}

func drawConstant(t *testing.T, r *rapid.T, letter etype) *tipb.Expr {
	cell := rapid.SampledFrom(smallCells[letter]).Draw(r, "constant")
	ret := map[etype]string{etInt: "bigint", etReal: "double", etDecimal: "decimal(30,4)", etString: "varchar", etTime: "datetime"}[letter]
	if cell == "NULL" {
		return &tipb.Expr{Tp: tipb.ExprType_Null, FieldType: ft(t, ret)}
	}
	switch letter {
	case etTime:
		return timeConst(t, cell, ft(t, ret))
	case etDecimal:
		return decConst(t, cell, ft(t, ret))
	case etString:
		return strConst(cell[1:len(cell)-1], ft(t, ret))
	case etReal:
		return realConst(t, cell)
	default:
		n := int64(rapid.SampledFrom([]int{-1, 0, 1, 2, 3}).Draw(r, "int"))
		return intConst(n)
	}
}
