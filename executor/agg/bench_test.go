package agg

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// Numbers for the rows of a batch whose keys are all known, by form of the key.
func BenchmarkGroup(b *testing.B) {
	pick := func(i, n int) int { return i * 7919 >> 3 % n }
	for _, bench := range []struct {
		name  string
		types []*tipb.FieldType
		fill  func(i int, out []*column.Builder)
	}{
		{"word", []*tipb.FieldType{intType}, func(i int, out []*column.Builder) { out[0].AppendInt64(int64(pick(i, 4))) }},
		{"short string", []*tipb.FieldType{binType}, func(i int, out []*column.Builder) {
			out[0].AppendBytes([]byte([]string{"MAIL", "SHIP", "TRUCK", "REG AIR"}[pick(i, 4)]))
		}},
		{"two letters", []*tipb.FieldType{binType, binType}, func(i int, out []*column.Builder) {
			out[0].AppendBytes([]byte{"AR"[pick(i, 2)]})
			out[1].AppendBytes([]byte{"FO"[i&1]})
		}},
		{"string and small number", []*tipb.FieldType{binType, intType}, func(i int, out []*column.Builder) {
			out[0].AppendBytes([]byte([]string{"DE", "FRA"}[i&1]))
			out[1].AppendInt64(int64(1992 + pick(i, 7)))
		}},
		{"tuple", []*tipb.FieldType{binType, intType}, func(i int, out []*column.Builder) {
			out[0].AppendBytes([]byte([]string{"FRANCE", "PERU"}[i&1]))
			out[1].AppendInt64(int64(1992 + pick(i, 7)))
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			builders := make([]*column.Builder, len(bench.types))
			for c, ft := range bench.types {
				builders[c] = column.NewBuilder(ft, 0)
			}
			for i := range column.BatchSize {
				bench.fill(i, builders)
			}
			cols := make([]arrow.Array, len(builders))
			for c := range cols {
				cols[c] = builders[c].Array()
			}
			g, err := NewGrouper(bench.types)
			if err != nil {
				b.Fatal(err)
			}
			var out []uint32
			b.ReportAllocs()
			for b.Loop() {
				out = g.Group(cols, column.BatchSize, out)
			}
			b.ReportMetric(float64(column.BatchSize)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// Sums and averages of a batch without NULLs in four groups.
func BenchmarkUpdate(b *testing.B) {
	money := &tipb.FieldType{Tp: column.TypeDecimal, Flen: 15, Decimal: 2}
	vals := column.NewBuilder(money, 0)
	groups := make([]uint32, column.BatchSize)
	for i := range groups {
		vals.AppendInt64(int64(i * 37 % 10_000))
		groups[i] = uint32(i*7919>>3) % 4
	}
	args := []arrow.Array{vals.Array()}
	for _, bench := range []struct {
		name string
		fn   tipb.ExprType
	}{{"sum", tipb.ExprType_Sum}, {"avg", tipb.ExprType_Avg}, {"count", tipb.ExprType_Count}, {"max", tipb.ExprType_Max}} {
		b.Run(bench.name, func(b *testing.B) {
			acc, err := New(&tipb.Expr{Tp: bench.fn, FieldType: wideType}, []*tipb.FieldType{money}, nil)
			if err != nil {
				b.Fatal(err)
			}
			acc.Resize(4)
			for b.Loop() {
				if err := acc.Update(groups, args); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(column.BatchSize)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// Looks keys up among 300,000, of which every second one is there.
func BenchmarkFind(b *testing.B) {
	const keys, batches = 300_000, 64
	for name, spread := range map[string]int64{"dense": 1, "sparse": 1000} {
		b.Run(name, func(b *testing.B) {
			build, probe := column.NewBuilder(intType, keys), column.NewBuilder(intType, 0)
			for i := range int64(keys) {
				build.AppendInt64(i * spread)
			}
			g, err := NewGrouper([]*tipb.FieldType{intType})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := g.Index([]arrow.Array{build.Array()}, keys, func() error { return nil }); err != nil {
				b.Fatal(err)
			}
			for i := range int64(batches * column.BatchSize) {
				probe.AppendInt64(i * 2654435761 % (2 * keys) * spread)
			}
			var out []int32
			for b.Loop() {
				out = g.Find([]arrow.Array{probe.Array()}, probe.Len(), out)
			}
			b.ReportMetric(float64(probe.Len())*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
