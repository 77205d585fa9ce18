package executor

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

// benchBatches makes n rows in batches of 4096: fill appends a row.
func benchBatches(fields []*tipb.FieldType, n int, fill func(i int, out []*column.Builder)) []Batch {
	return batchesOf(column.BatchSize, fields, n, fill)
}

func batchesOf(size int, fields []*tipb.FieldType, n int, fill func(i int, out []*column.Builder)) []Batch {
	var batches []Batch
	for from := 0; from < n; from += size {
		rows := min(size, n-from)
		out := make([]*column.Builder, len(fields))
		for c, ft := range fields {
			out[c] = column.NewBuilder(ft, rows)
		}
		for i := range rows {
			fill(from+i, out)
		}
		cols := make([]arrow.Array, len(out))
		for c, b := range out {
			cols[c] = b.Detach()
		}
		batches = append(batches, Batch{Cols: cols, Rows: rows})
	}
	return batches
}

// benchmark runs a plan over inputs again and again and reports rows of the first input a second.
func benchmark(b *testing.B, root *tipb.Executor, fields [][]*tipb.FieldType, inputs ...[]Batch) {
	benchmarkIn(b, testEnv, root, fields, inputs...)
}

func benchmarkIn(b *testing.B, env func() *Env, root *tipb.Executor, fields [][]*tipb.FieldType, inputs ...[]Batch) {
	rows := 0
	for _, in := range inputs[0] {
		rows += in.Rows
	}
	b.ReportAllocs()
	for b.Loop() {
		op, err := Build(root, func(scan *tipb.Executor) (Operator, error) {
			i := scan.TblScan.TableId
			return NewValues(fields[i], append([]Batch(nil), inputs[i]...)...), nil
		}, env())
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = op.Next(context.Background())
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		if err := op.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

// The shape of TPC-H's first query: four groups by two short strings, sums and averages of decimals.
func BenchmarkAggQ1(b *testing.B) {
	char := &tipb.FieldType{Tp: column.TypeString, Flen: 1, Collate: -46}
	fields := types(char, char, decimal2, decimal2)
	in := benchBatches(fields, 1<<20, func(i int, out []*column.Builder) {
		out[0].AppendBytes([]byte{"ANR"[i%3]})
		out[1].AppendBytes([]byte{"FO"[i&1]})
		out[2].AppendInt64(int64(i%50) * 100)
		out[3].AppendInt64(int64(i) * 7)
	})
	sum := decimalType(37, 2)
	benchmark(b, aggOf(leaf(0), exprs(col(0, char), col(1, char)),
		fn(tipb.ExprType_Sum, sum, col(2, decimal2)), fn(tipb.ExprType_Sum, sum, col(3, decimal2)),
		fn(tipb.ExprType_Avg, decimalType(19, 6), col(2, decimal2)), fn(tipb.ExprType_Avg, decimalType(19, 6), col(3, decimal2)),
		fn(tipb.ExprType_Count, bigint, intConst(1))), [][]*tipb.FieldType{fields}, in)
}

// intRows are keys that rows pass in random order, with a decimal each.
func intRows(n int, key func(i int) int64) []Batch {
	return benchBatches(types(bigint, decimal2), n, func(i int, out []*column.Builder) {
		out[0].AppendInt64(key(i))
		out[1].AppendInt64(int64(i))
	})
}

func BenchmarkAggMillionGroups(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	in := intRows(2<<20, func(int) int64 { return rng.Int64N(1<<20) * 32 })
	benchmark(b, aggOf(leaf(0), exprs(col(0, bigint)), fn(tipb.ExprType_Sum, decimalType(37, 2), col(1, decimal2))),
		[][]*tipb.FieldType{types(bigint, decimal2)}, in)
}

func BenchmarkAggNoGroups(b *testing.B) {
	in := intRows(1<<20, func(i int) int64 { return int64(i) })
	benchmark(b, aggOf(leaf(0), nil, fn(tipb.ExprType_Sum, decimalType(37, 2), col(1, decimal2))),
		[][]*tipb.FieldType{types(bigint, decimal2)}, in)
}

func BenchmarkAggStringGroups(b *testing.B) {
	fields := types(varchar, bigint, decimal2)
	in := benchBatches(fields, 1<<19, func(i int, out []*column.Builder) {
		out[0].AppendBytes([]byte("Customer#00000" + string(rune('a'+i%26)) + string(rune('a'+i/26%26))))
		out[1].AppendInt64(int64(i % 97))
		out[2].AppendInt64(int64(i))
	})
	benchmark(b, aggOf(leaf(0), exprs(col(0, varchar), col(1, bigint)), fn(tipb.ExprType_Sum, decimalType(37, 2), col(2, decimal2))),
		[][]*tipb.FieldType{fields}, in)
}

func benchmarkJoin(b *testing.B, spread int64) {
	rng := rand.New(rand.NewPCG(1, 2))
	const buildRows = 300_000
	build := intRows(buildRows, func(i int) int64 { return int64(i) * spread })
	probe := intRows(2<<20, func(int) int64 { return rng.Int64N(4*buildRows) * spread / 2 })
	f := types(bigint, decimal2)
	benchmark(b, joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(0, bigint)), exprs(col(0, bigint))), [][]*tipb.FieldType{f, f}, probe, build)
}

func BenchmarkJoinDense(b *testing.B)  { benchmarkJoin(b, 2) }
func BenchmarkJoinSparse(b *testing.B) { benchmarkJoin(b, 1000) }

func BenchmarkSort(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	in := intRows(1<<20, func(int) int64 { return rng.Int64N(1000) })
	f := [][]*tipb.FieldType{types(bigint, decimal2)}
	items := []*tipb.ByItem{by(true, col(0, bigint)), by(false, col(1, decimal2))}
	b.Run("Sort", func(b *testing.B) { benchmark(b, sortOf(leaf(0), items...), f, in) })
	b.Run("TopN", func(b *testing.B) { benchmark(b, topNOf(leaf(0), 100, items...), f, in) })
}

// Sort, aggregation and join of a million rows, in memory and with an eighth of what they need.
func BenchmarkSpill(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	in := intRows(1<<20, func(int) int64 { return rng.Int64N(1<<19) * 1000 })
	f := types(bigint, decimal2)
	for _, plan := range []struct {
		name string
		root *tipb.Executor
	}{
		{"Sort", sortOf(leaf(0), by(true, col(0, bigint)), by(false, col(1, decimal2)))},
		{"Agg", aggOf(leaf(0), exprs(col(0, bigint)), fn(tipb.ExprType_Sum, decimalType(37, 2), col(1, decimal2)))},
		{"Join", joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(0, bigint)), exprs(col(0, bigint)))},
	} {
		b.Run(plan.name+"/memory", func(b *testing.B) { benchmark(b, plan.root, [][]*tipb.FieldType{f, f}, in, in) })
		b.Run(plan.name+"/files", func(b *testing.B) {
			env := func() *Env { return spilling(&spill.MemFS{}, 8<<20) }
			benchmarkIn(b, env, plan.root, [][]*tipb.FieldType{f, f}, in, in)
		})
	}
}

// Running totals over 100 partitions, row by row and by peers.
func BenchmarkWindowRunning(b *testing.B) {
	fields := types(bigint, bigint, decimal2)
	const rows = 1 << 18
	in := benchBatches(fields, rows, func(i int, out []*column.Builder) {
		out[0].AppendInt64(int64(i) * 100 / rows)
		out[1].AppendInt64(int64(i) / 3)
		out[2].AppendInt64(int64(i % 1000))
	})
	partition, order := []*tipb.ByItem{by(false, col(0, bigint))}, []*tipb.ByItem{by(false, col(1, bigint))}
	for name, frame := range map[string]*tipb.WindowFrame{
		"rows":  rowsFrame(unbounded(tipb.WindowBoundType_Preceding), rowsBound(0)),
		"peers": nil,
	} {
		for fname, f := range map[string]*tipb.Expr{
			"sum": fn(tipb.ExprType_Sum, decimalType(37, 2), col(2, decimal2)),
			"avg": fn(tipb.ExprType_Avg, decimalType(19, 6), col(2, decimal2)),
			"max": fn(tipb.ExprType_Max, decimal2, col(2, decimal2)),
		} {
			b.Run(fname+" of "+name, func(b *testing.B) {
				benchmark(b, windowOf(leaf(0), partition, order, frame, f), [][]*tipb.FieldType{fields}, in)
			})
		}
	}
}

// Windows over one partition.
func BenchmarkWindow(b *testing.B) {
	fields := types(bigint)
	in := benchBatches(fields, 1<<18, func(i int, out []*column.Builder) { out[0].AppendInt64(int64(i % 1000)) })
	v := col(0, bigint)
	sum := fn(tipb.ExprType_Sum, decimalType(41, 0), v)
	preceding := unbounded(tipb.WindowBoundType_Preceding)
	for _, w := range []struct {
		name  string
		frame *tipb.WindowFrame
		fn    *tipb.Expr
	}{
		{"row_number", nil, fn(tipb.ExprType_RowNumber, bigint)},
		{"lag", nil, fn(tipb.ExprType_Lag, bigint, v)},
		{"running sum", rowsFrame(preceding, rowsBound(0)), sum},
		{"sum of all", rowsFrame(preceding, unbounded(tipb.WindowBoundType_Following)), sum},
		{"sum of 7", rowsFrame(rowsBound(-3), rowsBound(3)), sum},
		{"max of 1000", rowsFrame(rowsBound(-999), rowsBound(0)), fn(tipb.ExprType_Max, bigint, v)},
	} {
		b.Run(w.name, func(b *testing.B) {
			benchmark(b, windowOf(leaf(0), nil, nil, w.frame, w.fn), [][]*tipb.FieldType{fields}, in)
		})
	}
}
