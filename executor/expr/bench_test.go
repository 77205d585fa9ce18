package expr

import (
	"fmt"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// benchRows makes a column of BatchSize values.
func benchRows(b *testing.B, typ string, cell func(i int) string) column.Batch {
	cells := make([]string, column.BatchSize)
	for i := range cells {
		cells[i] = cell(i)
	}
	out := column.Batch{Rows: len(cells)}
	out.Cols = append(out.Cols, buildColumn(b, ft(b, typ), cells))
	return out
}

func benchFilter(b *testing.B, typ string, batch column.Batch, conds ...*tipb.Expr) {
	f, err := NewFilter(conds, []*tipb.FieldType{ft(b, typ)}, &Context{})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Apply(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(batch.Rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkFilterInt(b *testing.B) {
	batch := benchRows(b, "bigint", func(i int) string { return fmt.Sprint(i * 7919 % 1000) })
	benchFilter(b, "bigint", batch, call(tipb.ScalarFuncSig_LTInt, boolType, colRef(0), intConst(500)))
}

func BenchmarkFilterDateRange(b *testing.B) {
	batch := benchRows(b, "date", func(i int) string { return fmt.Sprintf("199%d-01-%02d", i*7%10, i%28+1) })
	benchFilter(b, "date", batch,
		call(tipb.ScalarFuncSig_GETime, boolType, colRef(0), timeConst(b, "1994-01-01", ft(b, "date"))),
		call(tipb.ScalarFuncSig_LTTime, boolType, colRef(0), timeConst(b, "1995-01-01", ft(b, "date"))))
}

func BenchmarkFilterLike(b *testing.B) {
	for _, pattern := range []string{"%special%requests%", "%green%", "forest%"} {
		b.Run(pattern, func(b *testing.B) {
			batch := benchRows(b, "varchar", func(i int) string {
				return []string{"carefully final deposits detect slyly agai", "blithely special packages sleep requests", "forest green lace"}[i%3]
			})
			benchFilter(b, "varchar", batch, call(tipb.ScalarFuncSig_LikeSig, boolType, colRef(0), strConst(pattern, ft(b, "varchar")), intConst(92)))
		})
	}
}

func BenchmarkFilterStringEqual(b *testing.B) {
	batch := benchRows(b, "varchar", func(i int) string { return []string{"BUILDING", "AUTOMOBILE", "MACHINERY"}[i%3] })
	benchFilter(b, "varchar", batch, call(tipb.ScalarFuncSig_EQString, boolType, colRef(0), strConst("BUILDING", ft(b, "varchar"))))
}

func benchDecimal(b *testing.B, sig tipb.ScalarFuncSig, ta, tb, ret string) {
	types := []*tipb.FieldType{ft(b, ta), ft(b, tb)}
	x, err := Compile(call(sig, ft(b, ret), colRef(0), colRef(1)), types, &Context{})
	require.NoError(b, err)
	batch := benchRows(b, ta, func(i int) string { return fmt.Sprintf("%d.%02d", i*7919%100000, i%100) })
	batch.Cols = append(batch.Cols, benchRows(b, tb, func(i int) string { return fmt.Sprintf("0.%02d", i%10) }).Cols...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Eval(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(batch.Rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkDecimal(b *testing.B) {
	b.Run("plus64", func(b *testing.B) {
		benchDecimal(b, tipb.ScalarFuncSig_PlusDecimal, "decimal(15,2)", "decimal(15,2)", "decimal(16,2)")
	})
	b.Run("times64", func(b *testing.B) {
		benchDecimal(b, tipb.ScalarFuncSig_MultiplyDecimal, "decimal(9,2)", "decimal(9,2)", "decimal(18,4)")
	})
	b.Run("times64to128", func(b *testing.B) {
		benchDecimal(b, tipb.ScalarFuncSig_MultiplyDecimal, "decimal(15,2)", "decimal(15,2)", "decimal(30,4)")
	})
	b.Run("times128to256", func(b *testing.B) {
		benchDecimal(b, tipb.ScalarFuncSig_MultiplyDecimal, "decimal(31,4)", "decimal(15,2)", "decimal(46,6)")
	})
	b.Run("plus128", func(b *testing.B) {
		benchDecimal(b, tipb.ScalarFuncSig_PlusDecimal, "decimal(30,2)", "decimal(30,4)", "decimal(33,4)")
	})
	b.Run("divide", func(b *testing.B) {
		benchDecimal(b, tipb.ScalarFuncSig_DivideDecimal, "decimal(15,2)", "decimal(15,2)", "decimal(19,6)")
	})
}

// BenchmarkCharge is TPC-H's extendedprice * (1 - discount) * (1 + tax).
func BenchmarkCharge(b *testing.B) {
	d15 := ft(b, "decimal(15,2)")
	one := decConst(b, "1", ft(b, "decimal(1,0)"))
	price := call(tipb.ScalarFuncSig_MultiplyDecimal, ft(b, "decimal(31,4)"), colRef(0),
		call(tipb.ScalarFuncSig_MinusDecimal, ft(b, "decimal(16,2)"), one, colRef(1)))
	charge := call(tipb.ScalarFuncSig_MultiplyDecimal, ft(b, "decimal(47,6)"), price,
		call(tipb.ScalarFuncSig_PlusDecimal, ft(b, "decimal(16,2)"), one, colRef(1)))
	x, err := Compile(charge, []*tipb.FieldType{d15, d15}, &Context{})
	require.NoError(b, err)
	batch := benchRows(b, "decimal(15,2)", func(i int) string { return fmt.Sprintf("%d.%02d", i*7919%100000, i%100) })
	batch.Cols = append(batch.Cols, benchRows(b, "decimal(15,2)", func(i int) string { return fmt.Sprintf("0.%02d", i%10) }).Cols...)
	benchEval(b, x, batch)
}

func benchEval(b *testing.B, x Expr, batch column.Batch) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Eval(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(batch.Rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

// BenchmarkCase is CASE WHEN p LIKE 'PROMO%' THEN price ELSE 0 END.
func BenchmarkCase(b *testing.B) {
	d15 := ft(b, "decimal(15,2)")
	e := call(tipb.ScalarFuncSig_CaseWhenDecimal, d15,
		call(tipb.ScalarFuncSig_LikeSig, boolType, colRef(1), strConst("PROMO%", ft(b, "varchar")), intConst(92)),
		colRef(0), decConst(b, "0", d15))
	x, err := Compile(e, []*tipb.FieldType{d15, ft(b, "varchar")}, &Context{})
	require.NoError(b, err)
	batch := benchRows(b, "decimal(15,2)", func(i int) string { return fmt.Sprintf("%d.%02d", i*7919%100000, i%100) })
	batch.Cols = append(batch.Cols, benchRows(b, "varchar", func(i int) string { return []string{"PROMO TIN", "SMALL BRASS"}[i%2] }).Cols...)
	benchEval(b, x, batch)
}

// BenchmarkFilterMixed is Q6's and Q12's kind of filter: dates compared with each other, and a short list of strings.
func BenchmarkFilterMixed(b *testing.B) {
	batch := benchRows(b, "date", func(i int) string { return fmt.Sprintf("199%d-01-%02d", i*7%10, i%28+1) })
	batch.Cols = append(batch.Cols, batch.Cols[0],
		benchRows(b, "varchar", func(i int) string { return []string{"MAIL", "SHIP", "TRUCK", "RAIL", "AIR", "FOB", "REG AIR"}[i%7] }).Cols[0])
	types := []*tipb.FieldType{ft(b, "date"), ft(b, "date"), ft(b, "varchar")}
	for name, cond := range map[string]*tipb.Expr{
		"dates": call(tipb.ScalarFuncSig_LTTime, boolType, colRef(0), colRef(1)),
		"in": call(tipb.ScalarFuncSig_InString, boolType, colRef(2), strConst("MAIL", ft(b, "varchar")),
			strConst("SHIP", ft(b, "varchar"))),
	} {
		b.Run(name, func(b *testing.B) {
			f, err := NewFilter([]*tipb.Expr{cond}, types, &Context{})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Apply(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(batch.Rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
