package executor

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/agg"
)

var sales = tbl(types(varchar, bigint, decimal2, double),
	"a,1,10.00,1.5",
	"b,2,20.50,2.5",
	"a,NULL,NULL,NULL",
	"a,3,-5.25,0.5",
	"NULL,4,1.00,4",
	"b,2,0.01,1",
	"NULL,NULL,NULL,NULL",
)

// Every function, grouped by a nullable string; NULL arguments do not count, a group without values has the empty value.
func TestAggregateFunctions(t *testing.T) {
	qty, price, ratio := col(1, bigint), col(2, decimal2), col(3, double)
	group := exprs(col(0, varchar))
	for _, c := range []struct {
		name string
		f    *tipb.Expr
		want []string
	}{
		{"count(*)", fn(tipb.ExprType_Count, bigint, intConst(1)), []string{"3,a", "2,b", "2,NULL"}},
		{"count", fn(tipb.ExprType_Count, bigint, qty), []string{"2,a", "2,b", "1,NULL"}},
		{"sum int", fn(tipb.ExprType_Sum, decimalType(42, 0), qty), []string{"4,a", "4,b", "4,NULL"}},
		{"sum as int", fn(tipb.ExprType_Sum, bigint, qty), []string{"4,a", "4,b", "4,NULL"}},
		{"sum decimal", fn(tipb.ExprType_Sum, decimalType(37, 2), price), []string{"4.75,a", "20.51,b", "1.00,NULL"}},
		{"sum double", fn(tipb.ExprType_Sum, double, ratio), []string{"2,a", "3.5,b", "4,NULL"}},
		{"avg int", fn(tipb.ExprType_Avg, decimalType(24, 4), qty), []string{"2.0000,a", "2.0000,b", "4.0000,NULL"}},
		{"avg decimal", fn(tipb.ExprType_Avg, decimalType(19, 6), price), []string{"2.375000,a", "10.255000,b", "1.000000,NULL"}},
		{"avg double", fn(tipb.ExprType_Avg, double, ratio), []string{"1,a", "1.75,b", "4,NULL"}},
		{"min", fn(tipb.ExprType_Min, decimal2, price), []string{"-5.25,a", "0.01,b", "1.00,NULL"}},
		{"max", fn(tipb.ExprType_Max, bigint, qty), []string{"3,a", "2,b", "4,NULL"}},
		{"max string", fn(tipb.ExprType_Max, varchar, col(0, varchar)), []string{"a,a", "b,b", "NULL,NULL"}},
		{"first", fn(tipb.ExprType_First, decimal2, price), []string{"10.00,a", "20.50,b", "1.00,NULL"}},
		{"bit_and", fn(tipb.ExprType_Agg_BitAnd, ubigint, qty), []string{"1,a", "2,b", "4,NULL"}},
		{"bit_or", fn(tipb.ExprType_Agg_BitOr, ubigint, qty), []string{"3,a", "2,b", "4,NULL"}},
		{"bit_xor", fn(tipb.ExprType_Agg_BitXor, ubigint, qty), []string{"2,a", "0,b", "4,NULL"}},
		{"var_pop", fn(tipb.ExprType_VarPop, double, ratio), []string{"0.25,a", "0.5625,b", "0,NULL"}},
		{"var_samp", fn(tipb.ExprType_VarSamp, double, ratio), []string{"0.5,a", "1.125,b", "NULL,NULL"}},
		{"stddev", fn(tipb.ExprType_StddevPop, double, ratio), []string{"0.5,a", "0.75,b", "0,NULL"}},
		{"group_concat", fn(tipb.ExprType_GroupConcat, varchar, qty, strConst(";")), []string{"1;3,a", "2;2,b", "4,NULL"}},
		{"count distinct", distinct(fn(tipb.ExprType_Count, bigint, qty)), []string{"2,a", "1,b", "1,NULL"}},
		{"sum distinct", distinct(fn(tipb.ExprType_Sum, decimalType(42, 0), qty)), []string{"4,a", "2,b", "4,NULL"}},
		{"avg distinct", distinct(fn(tipb.ExprType_Avg, decimalType(24, 4), qty)), []string{"2.0000,a", "2.0000,b", "4.0000,NULL"}},
		{"concat distinct", distinct(fn(tipb.ExprType_GroupConcat, varchar, qty, strConst(";"))), []string{"1;3,a", "2,b", "4,NULL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, aggOf(leaf(0), group, c.f), testEnv, false, c.want, sales)
		})
	}
}

// GROUP_CONCAT orders the rows of a group, by other values than those it shows too, with and without DISTINCT.
func TestGroupConcatOrder(t *testing.T) {
	in := tbl(types(bigint, varchar, decimal2), "1,a,2.50", "1,b,NULL", "2,x,1.00", "1,c,10.00", "1,a,-3.00", "2,NULL,0")
	concat := func(items ...*tipb.ByItem) *tipb.Expr {
		f := fn(tipb.ExprType_GroupConcat, varchar, col(1, varchar), strConst("-"))
		f.OrderBy = items
		return f
	}
	for _, c := range []struct {
		f    *tipb.Expr
		want []string
	}{
		{concat(by(false, col(2, decimal2))), []string{"b-a-a-c,1", "x,2"}},
		{concat(by(true, col(2, decimal2))), []string{"c-a-a-b,1", "x,2"}},
		{concat(by(true, col(1, varchar)), by(false, col(2, decimal2))), []string{"c-b-a-a,1", "x,2"}},
		{distinct(concat(by(true, col(1, varchar)))), []string{"c-b-a,1", "x,2"}},
	} {
		run(t, aggOf(leaf(0), exprs(col(0, bigint)), c.f), testEnv, false, c.want, in)
	}
	partial := mode(concat(by(true, col(1, varchar))), tipb.AggFunctionMode_Partial1Mode)
	_, err := Build(aggOf(leaf(0), nil, partial), sourceLeaf(t, in), testEnv())
	require.ErrorContains(t, err, "not supported")
}

// What a store's partial aggregation and the gateway's final one give together is what one complete one gives.
func TestPartialThenFinal(t *testing.T) {
	group := exprs(col(0, varchar))
	funcs := func() []*tipb.Expr {
		return exprs(
			fn(tipb.ExprType_Count, bigint, col(1, bigint)),
			fn(tipb.ExprType_Sum, decimalType(37, 2), col(2, decimal2)),
			fn(tipb.ExprType_Avg, decimalType(19, 6), col(2, decimal2)),
			fn(tipb.ExprType_Avg, double, col(3, double)),
			fn(tipb.ExprType_Avg, decimalType(24, 4), col(1, bigint)),
			fn(tipb.ExprType_Min, bigint, col(1, bigint)),
			fn(tipb.ExprType_First, bigint, col(1, bigint)),
			fn(tipb.ExprType_VarSamp, double, col(3, double)),
			fn(tipb.ExprType_Agg_BitAnd, ubigint, col(1, bigint)),
		)
	}
	for _, keys := range [][]*tipb.Expr{group, nil} {
		for _, rows := range [][]string{sales.rows, nil} {
			in := tbl(sales.fields, rows...)
			complete, err := Build(aggOf(leaf(0), keys, funcs()...), sourceLeaf(t, in), testEnv())
			require.NoError(t, err)
			want, err := drain(t, complete)
			require.NoError(t, err)

			partial := aggOf(leaf(0), keys, funcs()...)
			for _, f := range partial.Aggregation.AggFunc {
				mode(f, tipb.AggFunctionMode_Partial1Mode)
			}
			run(t, finalOver(t, partial, keys), testEnv, false, want, in)
		}
	}
}

func sourceLeaf(t *testing.T, in table) func(*tipb.Executor) (Operator, error) {
	return func(*tipb.Executor) (Operator, error) { return newSource(t, in, shape{3, false}), nil }
}

// finalOver puts the merging aggregation over a partial one.
func finalOver(t *testing.T, partial *tipb.Executor, keys []*tipb.Expr) *tipb.Executor {
	var funcs, groupBy []*tipb.Expr
	at := 0
	for _, f := range partial.Aggregation.AggFunc {
		state, err := agg.PartialTypes(f)
		require.NoError(t, err)
		var args []*tipb.Expr
		for _, ft := range state {
			args = append(args, col(at, ft))
			at++
		}
		funcs = append(funcs, mode(fn(f.Tp, f.FieldType, args...), tipb.AggFunctionMode_FinalMode))
	}
	for _, k := range keys {
		groupBy = append(groupBy, col(at, k.FieldType))
		at++
	}
	return aggOf(partial, groupBy, funcs...)
}

// A store emits partial state whatever the mode says: Avg becomes two columns.
func TestStorePartial(t *testing.T) {
	env := func() *Env { e := testEnv(); e.Partial = true; return e }
	root := aggOf(leaf(0), exprs(col(0, varchar)), fn(tipb.ExprType_Avg, decimalType(19, 6), col(2, decimal2)))
	run(t, root, env, false, []string{"2,4.75,a", "2,20.51,b", "1,1.00,NULL"}, sales)
}

// Without group-by there is one row, even for no input.
func TestAggregateNothing(t *testing.T) {
	root := aggOf(leaf(0), nil, fn(tipb.ExprType_Count, bigint, intConst(1)), fn(tipb.ExprType_Sum, decimalType(42, 0), col(1, bigint)))
	run(t, root, testEnv, false, []string{"0,NULL"}, tbl(sales.fields))
	run(t, root, testEnv, false, []string{"7,12"}, sales)
	grouped := aggOf(leaf(0), exprs(col(0, varchar)), fn(tipb.ExprType_Count, bigint, intConst(1)))
	run(t, grouped, testEnv, false, nil, tbl(sales.fields))
}

// Strings are one group if their collation says so, and show the first of them; trailing spaces do not count where the
// collation pads.
func TestGroupByCollation(t *testing.T) {
	count := fn(tipb.ExprType_Count, bigint, intConst(1))
	run(t, aggOf(leaf(0), exprs(col(0, folded)), count), testEnv, false, []string{"2,Ab", "1,b"},
		tbl(types(folded), "Ab", "b", "aB "))
	run(t, aggOf(leaf(0), exprs(col(0, varchar)), count), testEnv, false, []string{"2,Ab ", "1,aB"},
		tbl(types(varchar), "Ab ", "aB", "Ab"))
}

// Many groups: keys of one word, of several, and strings that turn long on the way, each against a map.
func TestManyGroups(t *testing.T) {
	for name, key := range map[string]func(i int) string{
		"short":   func(i int) string { return strconv.Itoa(i % 700) },
		"growing": func(i int) string { return fmt.Sprintf("%d%*s", i%700, i/200, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			fields := types(varchar, bigint, bigint)
			var rows []string
			counts := map[string]int{}
			for i := range 3000 {
				k := fmt.Sprintf("%s,%d", key(i), i%3)
				rows = append(rows, fmt.Sprintf("%s,%d", k, i))
				counts[k]++
			}
			var want []string
			for k, n := range counts {
				want = append(want, fmt.Sprintf("%d,%s", n, k))
			}
			slices.Sort(want)
			root := aggOf(leaf(0), exprs(col(0, varchar), col(1, bigint)), fn(tipb.ExprType_Count, bigint, intConst(1)))
			run(t, root, testEnv, true, want, tbl(fields, rows...))
		})
	}
}

func TestAggregateMemory(t *testing.T) {
	var rows []string
	for i := range 5000 {
		rows = append(rows, strconv.Itoa(i))
	}
	root := aggOf(leaf(0), exprs(col(0, bigint)), fn(tipb.ExprType_Count, bigint, intConst(1)))
	env := testEnv()
	env.Memory = NewMemory(50_000)
	op, err := Build(root, sourceLeaf(t, tbl(types(bigint), rows...)), env)
	require.NoError(t, err)
	_, err = drain(t, op)
	var quota *value.Error
	require.ErrorAs(t, err, &quota)
	require.EqualValues(t, value.CodeMemoryQuota, quota.Code)
	require.NoError(t, op.Close())
	require.Zero(t, env.Memory.Used())
	require.NotZero(t, env.Memory.Peak())
}

// Sums beyond 64 and 128 bits are exact; beyond 65 digits they are an error.
func TestWideSums(t *testing.T) {
	wide := decimalType(38, 0)
	nines := "99999999999999999999999999999999999999"
	run(t, aggOf(leaf(0), nil, fn(tipb.ExprType_Sum, decimalType(60, 0), col(0, wide))), testEnv, false,
		[]string{"299999999999999999999999999999999999997"}, tbl(types(wide), nines, nines, nines))
	run(t, aggOf(leaf(0), nil, fn(tipb.ExprType_Sum, decimalType(42, 0), col(0, bigint))), testEnv, false,
		[]string{"18446744073709551614"}, tbl(types(bigint), "9223372036854775807", "9223372036854775807"))
	run(t, aggOf(leaf(0), nil, fn(tipb.ExprType_Sum, decimalType(42, 0), col(0, bigint))), testEnv, false,
		[]string{"-27670116110564327424"}, tbl(types(bigint), "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"))
}

func TestUnsupportedAggregates(t *testing.T) {
	for _, f := range []*tipb.Expr{
		fn(tipb.ExprType_JsonArrayAgg, varchar, col(0, varchar)),
		fn(tipb.ExprType_Sum, double, col(0, varchar)),
		fn(tipb.ExprType_Count, bigint),
		fn(tipb.ExprType_Count, nil, col(0, varchar)),
		mode(distinct(fn(tipb.ExprType_Count, bigint, col(1, bigint))), tipb.AggFunctionMode_Partial1Mode),
	} {
		_, err := Build(aggOf(leaf(0), nil, f), sourceLeaf(t, sales), testEnv())
		require.ErrorContains(t, err, "not supported")
	}
}

// MIN and MAX of ENUM and SET go by name, of JSON by MySQL's order of JSON values.
func TestExtremesByName(t *testing.T) {
	enum := &tipb.FieldType{Tp: column.TypeEnum, Elems: []string{"z", "M", "a"}, Collate: -45}
	set := &tipb.FieldType{Tp: column.TypeSet, Elems: []string{"z", "M", "a"}, Collate: -45}
	json := &tipb.FieldType{Tp: column.TypeJSON}
	fields := types(enum, set, json)
	cols := make([]*column.Builder, len(fields))
	for i, ft := range fields {
		cols[i] = column.NewBuilder(ft, 0)
	}
	for i, text := range []string{`"1"`, `20`, `3`} {
		v, err := value.ParseJSON([]byte(text))
		require.NoError(t, err)
		cols[0].AppendUint64(uint64(i + 1))
		cols[1].AppendUint64(uint64(i + 2)) // M; z,M; a
		cols[2].AppendBytes(v)
	}
	for _, c := range cols {
		c.AppendNull()
	}
	var funcs []*tipb.Expr
	for _, tp := range []tipb.ExprType{tipb.ExprType_Min, tipb.ExprType_Max} {
		for i, ft := range fields {
			funcs = append(funcs, fn(tp, ft, col(i, ft)))
		}
	}
	op, err := Build(aggOf(leaf(0), nil, funcs...), func(*tipb.Executor) (Operator, error) {
		return NewValues(fields, Batch{Cols: arrays(cols), Rows: 4}), nil
	}, testEnv())
	require.NoError(t, err)
	rows, err := drain(t, op)
	require.NoError(t, err)
	require.Equal(t, []string{`a,a,3,z,z,M,"1"`}, rows)
}
