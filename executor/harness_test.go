package executor

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// The harness: tables are written as text, one string a row with cells between commas; every operator case runs over
// several batch sizes, and with batches whose rows are hidden among others that are not selected. Results are text too.

var (
	bigint   = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}
	ubigint  = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagUnsigned}
	double   = &tipb.FieldType{Tp: column.TypeDouble, Flen: 23, Decimal: -1}
	varchar  = &tipb.FieldType{Tp: column.TypeVarchar, Flen: 40, Collate: -46}
	folded   = &tipb.FieldType{Tp: column.TypeVarchar, Flen: 40, Collate: -45} // utf8mb4_general_ci
	decimal2 = &tipb.FieldType{Tp: column.TypeDecimal, Flen: 15, Decimal: 2}
)

func decimalType(flen, scale int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: flen, Decimal: scale}
}

// table is a result or an input.
type table struct {
	fields []*tipb.FieldType
	rows   []string
}

func tbl(fields []*tipb.FieldType, rows ...string) table { return table{fields, rows} }

func types(ft ...*tipb.FieldType) []*tipb.FieldType { return ft }

// shape is one way to cut a table into batches.
type shape struct {
	size     int
	selected bool
}

var shapes = []shape{{1, false}, {3, false}, {1024, false}, {4096, false}, {1, true}, {3, true}, {1024, true}, {4096, true}}

// source is an operator over a table. Its batches share memory, as those of a scan do.
type source struct {
	t      *testing.T
	fields []*tipb.FieldType
	rows   [][]datum.Datum
	shape  shape
	out    []*column.Builder
	pulls  int
	closed bool
}

func newSource(t *testing.T, in table, s shape) *source {
	src := &source{t: t, fields: in.fields, shape: s}
	for _, r := range in.rows {
		src.rows = append(src.rows, parseRow(t, in.fields, r))
	}
	for _, ft := range in.fields {
		src.out = append(src.out, column.NewBuilder(ft, 0))
	}
	return src
}

func (s *source) Fields() []*tipb.FieldType { return s.fields }

func (s *source) Close() error {
	require.False(s.t, s.closed, "closed once")
	s.closed = true
	return nil
}

func (s *source) Next(context.Context) (Batch, error) {
	s.pulls++
	if len(s.rows) == 0 {
		return Batch{}, io.EOF
	}
	for _, b := range s.out {
		b.Reset()
	}
	n := min(s.shape.size, len(s.rows))
	var sel []int32
	for i, r := range s.rows[:n] {
		if s.shape.selected {
			s.appendRow(s.rows[len(s.rows)-1-i%len(s.rows)]) // a row to be skipped
			sel = append(sel, int32(2*i+1))
		}
		s.appendRow(r)
	}
	s.rows = s.rows[n:]
	b := Batch{Sel: sel, Rows: n}
	if s.shape.selected {
		b.Rows = 2 * n
	}
	for _, c := range s.out {
		b.Cols = append(b.Cols, c.Array())
	}
	return b, nil
}

func (s *source) appendRow(r []datum.Datum) {
	for i, d := range r {
		require.NoError(s.t, d.AppendTo(s.out[i]))
	}
}

func parseRow(t *testing.T, fields []*tipb.FieldType, row string) []datum.Datum {
	cells := strings.Split(row, ",")
	require.Len(t, cells, len(fields), row)
	out := make([]datum.Datum, len(cells))
	for i, c := range cells {
		out[i] = parseCell(t, fields[i], c)
	}
	return out
}

func parseCell(t *testing.T, ft *tipb.FieldType, c string) datum.Datum {
	if c == "NULL" {
		return datum.Datum{}
	}
	if column.KindOf(ft) == column.Bytes {
		return datum.NewString(c)
	}
	d, whole, err := value.ParseDecimal([]byte(c))
	require.NoError(t, err)
	require.True(t, whole, c)
	switch column.KindOf(ft) {
	case column.Int64:
		v, _ := d.Int64()
		return datum.NewInt64(v)
	case column.Uint64:
		v, _ := d.Uint64()
		return datum.NewUint64(v)
	case column.Float64:
		return datum.NewFloat64(d.Float64())
	default:
		return datum.NewDecimal(d)
	}
}

// drain pulls everything and returns it as text.
func drain(t *testing.T, op Operator) ([]string, error) {
	var rows []string
	for {
		b, err := op.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		require.NotZero(t, b.Len(), "batches are never empty")
		require.Len(t, b.Cols, len(op.Fields()))
		for _, c := range b.Cols {
			require.Equal(t, b.Rows, c.Len())
		}
		for i := range b.Len() {
			rows = append(rows, formatRow(b, b.Row(i), op.Fields()))
		}
	}
}

func formatRow(b Batch, row int, fields []*tipb.FieldType) string {
	cells := make([]string, len(fields))
	for c, ft := range fields {
		cells[c] = "NULL"
		if d := datum.FromColumn(b.Cols[c], row, ft); !d.IsNull() {
			cells[c] = string(d.AppendText(nil, ft))
		}
	}
	return strings.Join(cells, ",")
}

func testEnv() *Env { return &Env{Expr: &expr.Context{DivPrecisionIncrement: 4}} }

// run builds root over tables (whose scans are leaf(i)) in every shape and checks the rows; sorted forgets their order.
func run(t *testing.T, root *tipb.Executor, env func() *Env, sorted bool, want []string, in ...table) {
	t.Helper()
	for _, s := range shapes {
		var sources []*source
		op, err := Build(root, func(scan *tipb.Executor) (Operator, error) {
			src := newSource(t, in[scan.TblScan.TableId], s)
			sources = append(sources, src)
			return src, nil
		}, env())
		require.NoError(t, err)
		got, err := drain(t, op)
		require.NoError(t, err)
		if sorted {
			slices.Sort(got)
			want = slices.Sorted(slices.Values(want))
		}
		require.Equal(t, want, got, "%+v", s)
		require.NoError(t, op.Close())
		for _, src := range sources {
			require.True(t, src.closed)
		}
	}
}

// The plan notation.

func leaf(i int64) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeTableScan, TblScan: &tipb.TableScan{TableId: i}}
}

func col(i int, ft *tipb.FieldType) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ColumnRef, Val: memcmp.AppendInt64(nil, int64(i)), FieldType: ft}
}

func intConst(v int64) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_Int64, Val: memcmp.AppendInt64(nil, v), FieldType: bigint}
}

func strConst(s string) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_String, Val: []byte(s), FieldType: varchar}
}

func call(sig tipb.ScalarFuncSig, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tipb.ExprType_ScalarFunc, Sig: sig, Children: args, FieldType: bigint}
}

func selectionOf(child *tipb.Executor, conds ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: conds, Child: child}}
}

func projectionOf(child *tipb.Executor, exprs ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeProjection, Projection: &tipb.Projection{Exprs: exprs, Child: child}}
}

func limitOf(child *tipb.Executor, n uint64) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeLimit, Limit: &tipb.Limit{Limit: n, Child: child}}
}

func fn(tp tipb.ExprType, ft *tipb.FieldType, args ...*tipb.Expr) *tipb.Expr {
	return &tipb.Expr{Tp: tp, FieldType: ft, Children: args}
}

func mode(f *tipb.Expr, m tipb.AggFunctionMode) *tipb.Expr {
	f.AggFuncMode = &m
	return f
}

func distinct(f *tipb.Expr) *tipb.Expr {
	f.HasDistinct = true
	return f
}

func aggOf(child *tipb.Executor, groupBy []*tipb.Expr, funcs ...*tipb.Expr) *tipb.Executor {
	return &tipb.Executor{Tp: tipb.ExecType_TypeAggregation,
		Aggregation: &tipb.Aggregation{GroupBy: groupBy, AggFunc: funcs, Child: child}}
}

func exprs(e ...*tipb.Expr) []*tipb.Expr { return e }
