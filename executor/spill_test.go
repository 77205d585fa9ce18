package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/spill"
)

// spillFields are the columns of random tables: keys that repeat, in several forms, and numbers.
var spillFields = types(bigint, folded, decimalType(30, 2), double, bigint)

// randomTable has rows of spillFields with about keys distinct values in each of the first columns.
func randomTable(seed uint64, rows, keys int) []Batch {
	rng := rand.New(rand.NewPCG(seed, 1))
	cell := func(b *column.Builder) {
		n := rng.IntN(keys)
		switch {
		case rng.IntN(20) == 0:
			b.AppendNull()
		case b.Kind == column.Bytes:
			b.AppendBytes(fmt.Appendf(nil, "%c key number %d", "kK"[rng.IntN(2)], n))
		case b.Kind == column.Float64:
			b.AppendFloat64(float64(n - keys/2))
		case b.Kind == column.Decimal128:
			c := column.NewBuilder(bigint, 1)
			c.AppendInt64(int64(n * 1_000_000_007))
			b.AppendCoef(column.CoefAt(c.Array(), 0))
		default:
			b.AppendInt64(int64(n - keys/2))
		}
	}
	return batchesOf(100, spillFields, rows, func(i int, out []*column.Builder) {
		for _, b := range out[:len(out)-1] {
			cell(b)
		}
		out[len(out)-1].AppendInt64(int64(i)) // which row it is
	})
}

// spilling is an environment of little memory with files, and small an input that surely does not fit.
func spilling(fs *spill.MemFS, limit int64) *Env {
	env := testEnv()
	env.Memory, env.Spill = NewMemory(limit), spill.NewDir(fs, "/spill", 0)
	return env
}

// rowsUnder runs a plan over tables of spillFields and checks that nothing is left behind.
func rowsUnder(t require.TestingT, env *Env, root *tipb.Executor, in ...[]Batch) ([]string, error) {
	op, err := Build(root, func(scan *tipb.Executor) (Operator, error) {
		return NewValues(spillFields, slices.Clone(in[scan.TblScan.TableId])...), nil
	}, env)
	require.NoError(t, err)
	var rows []string
	for err == nil {
		var b Batch
		if b, err = op.Next(context.Background()); err != nil {
			break
		}
		require.NotZero(t, b.Len())
		for i := range b.Len() {
			rows = append(rows, formatRow(b, b.Row(i), op.Fields()))
		}
	}
	require.NoError(t, op.Close())
	require.Zero(t, env.Memory.Used())
	if err == io.EOF {
		err = nil
	}
	return rows, err
}

// sameSpilled checks that little memory changes no row, and that files were used and are gone. ordered compares the order
// of rows too.
func sameSpilled(t require.TestingT, limit int64, ordered bool, root *tipb.Executor, in ...[]Batch) {
	want, err := rowsUnder(t, testEnv(), root, in...)
	require.NoError(t, err)
	fs := &spill.MemFS{}
	env := spilling(fs, limit)
	got, err := rowsUnder(t, env, root, in...)
	require.NoError(t, err)
	if !ordered {
		slices.Sort(want)
		slices.Sort(got)
	}
	require.Equal(t, len(want), len(got))
	require.Equal(t, want, got)
	require.NotZero(t, fs.Written(), "nothing was spilled")
	require.Zero(t, fs.Len(), "files are left")
	require.Zero(t, env.Spill.Used())
	require.LessOrEqual(t, env.Memory.Peak(), limit)
}

func drawItems(t *rapid.T) []*tipb.ByItem {
	var items []*tipb.ByItem
	for range rapid.IntRange(1, 3).Draw(t, "items") {
		c := rapid.IntRange(0, len(spillFields)-2).Draw(t, "column")
		items = append(items, by(rapid.Bool().Draw(t, "desc"), col(c, spillFields[c])))
	}
	return items
}

func TestSortSpills(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := randomTable(rapid.Uint64().Draw(t, "seed"), 1_500, rapid.SampledFrom([]int{3, 100, 100_000}).Draw(t, "keys"))
		root := sortOf(leaf(0), drawItems(t)...)
		if rapid.IntRange(0, 3).Draw(t, "topN") == 0 {
			root = topNOf(leaf(0), 1_000, root.Sort.ByItems...)
		}
		sameSpilled(t, rapid.Int64Range(70_000, 110_000).Draw(t, "limit"), true, root, in)
	})
}

// Files that cannot be written, at whatever point: a clear error, and none is left.
func testFullDisk(t *testing.T, limit int64, root *tipb.Executor, in ...[]Batch) {
	full := errors.New("no space left on device")
	for total := 0; ; total += 25_000 {
		failed := false
		fs := &spill.MemFS{WriteErr: func(written int) error {
			if written >= total {
				failed = true
				return full
			}
			return nil
		}}
		_, err := rowsUnder(t, spilling(fs, limit), root, in...)
		require.Zero(t, fs.Len())
		if !failed {
			require.NoError(t, err)
			require.NotZero(t, total)
			return
		}
		require.ErrorIs(t, err, full)
		var quota *value.Error
		require.ErrorAs(t, err, &quota)
		require.EqualValues(t, value.CodeMemoryQuota, quota.Code)
		require.ErrorContains(t, quota, "temporary files in /spill: no space left on device")
	}
}

func TestSortFullDisk(t *testing.T) {
	testFullDisk(t, 200_000, sortOf(leaf(0), by(false, col(3, double))), randomTable(1, 4_000, 1000))
}

// Without a directory the limit is an error, as it always was.
func TestNoSpillDirectory(t *testing.T) {
	env := spilling(&spill.MemFS{}, 1<<20)
	env.Spill = nil
	_, err := rowsUnder(t, env, sortOf(leaf(0), by(false, col(0, bigint))), randomTable(1, 20_000, 1000))
	require.ErrorContains(t, err, "exceeding the allowed memory limit")
}

// Aggregates that have partial state and do not round, by random keys.
func TestAggregationSpills(t *testing.T) {
	wide := decimalType(40, 2)
	avg := fn(tipb.ExprType_Avg, decimalType(40, 6), col(2, spillFields[2]))
	concat := fn(tipb.ExprType_GroupConcat, varchar, col(1, folded), strConst("; "))
	funcs := exprs(fn(tipb.ExprType_Count, bigint, intConst(1)), fn(tipb.ExprType_Sum, wide, col(2, spillFields[2])), avg,
		fn(tipb.ExprType_Min, folded, col(1, folded)), fn(tipb.ExprType_Max, bigint, col(4, bigint)), concat,
		fn(tipb.ExprType_First, bigint, col(4, bigint)), fn(tipb.ExprType_Agg_BitXor, ubigint, col(4, bigint)))
	rapid.Check(t, func(t *rapid.T) {
		in := randomTable(rapid.Uint64().Draw(t, "seed"), 2_500, 1_000_000)
		var groupBy []*tipb.Expr
		for _, c := range rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 3, rapid.ID).Draw(t, "group by") {
			groupBy = append(groupBy, col(c, spillFields[c]))
		}
		var chosen []*tipb.Expr
		for _, f := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(funcs)-1), 2, 5, rapid.ID).Draw(t, "functions") {
			chosen = append(chosen, funcs[f])
		}
		sameSpilled(t, rapid.Int64Range(200_000, 300_000).Draw(t, "limit"), false, aggOf(leaf(0), groupBy, chosen...), in)
	})
}

// Aggregates that need all rows of a group together: groups that come late wait in files. Keys with NULLs are no exception.
func TestAggregationWholeSpills(t *testing.T) {
	ordered := fn(tipb.ExprType_GroupConcat, varchar, col(1, folded), strConst("; "))
	ordered.OrderBy = []*tipb.ByItem{by(true, col(4, bigint))}
	funcs := exprs(distinct(fn(tipb.ExprType_Count, bigint, col(3, double))), ordered, fn(tipb.ExprType_Max, bigint, col(4, bigint)))
	rapid.Check(t, func(t *rapid.T) {
		in := randomTable(rapid.Uint64().Draw(t, "seed"), 2_500, rapid.SampledFrom([]int{10_000, 1_000_000}).Draw(t, "keys"))
		groupBy := exprs(col(0, bigint))
		if rapid.Bool().Draw(t, "two keys") {
			groupBy = exprs(col(2, spillFields[2]), col(0, bigint))
		}
		sameSpilled(t, rapid.Int64Range(320_000, 400_000).Draw(t, "limit"), false, aggOf(leaf(0), groupBy, funcs...), in)
	})
}

// One group, or none to group by, with more distinct values than fit: they wait in files. Some rows have NULLs, strings differ
// in case, and values that are there already when memory gets tight come again.
func TestDistinctSpills(t *testing.T) {
	wide := decimalType(40, 2)
	funcs := exprs(distinct(fn(tipb.ExprType_Count, bigint, col(1, folded))), distinct(fn(tipb.ExprType_Sum, wide, col(2, spillFields[2]))),
		distinct(fn(tipb.ExprType_Avg, decimalType(40, 6), col(2, spillFields[2]))),
		distinct(fn(tipb.ExprType_Count, bigint, col(1, folded), col(0, bigint))), distinct(fn(tipb.ExprType_Agg_BitXor, ubigint, col(4, bigint))),
		fn(tipb.ExprType_Count, bigint, intConst(1)), distinct(fn(tipb.ExprType_Max, bigint, col(4, bigint))))
	few := call(tipb.ScalarFuncSig_ModIntSignedSigned, col(4, bigint), intConst(3))
	rapid.Check(t, func(t *rapid.T) {
		in := randomTable(rapid.Uint64().Draw(t, "seed"), 4_000, rapid.SampledFrom([]int{5_000, 1_000_000}).Draw(t, "keys"))
		chosen := []*tipb.Expr{funcs[rapid.IntRange(0, 4).Draw(t, "DISTINCT")]}
		if rapid.Bool().Draw(t, "two") {
			chosen = append(chosen, funcs[rapid.IntRange(0, len(funcs)-1).Draw(t, "function")])
		}
		groupBy := rapid.SampledFrom([][]*tipb.Expr{nil, exprs(few), exprs(col(0, bigint))}).Draw(t, "group by")
		sameSpilled(t, rapid.Int64Range(350_000, 420_000).Draw(t, "limit"), false, aggOf(leaf(0), groupBy, chosen...), in)
	})
}

// Values that do not fit are split again, as often as it takes.
func TestDistinctSplitsAgain(t *testing.T) {
	root := aggOf(leaf(0), nil, distinct(fn(tipb.ExprType_Count, bigint, col(4, bigint))))
	sameSpilled(t, 500_000, false, root, randomTable(1, 200_000, 1000))
}

func TestDistinctFullDisk(t *testing.T) {
	root := aggOf(leaf(0), exprs(col(0, bigint)), distinct(fn(tipb.ExprType_Count, bigint, col(4, bigint))))
	testFullDisk(t, 500_000, root, randomTable(1, 10_000, 3))
}

// One group whose parts cannot wait in files, and that does not fit, ends the query, and says why.
func TestAggregationWholeTooLarge(t *testing.T) {
	ordered := fn(tipb.ExprType_GroupConcat, varchar, col(1, folded), strConst("; "))
	ordered.OrderBy = []*tipb.ByItem{by(true, col(4, bigint))}
	for _, groupBy := range [][]*tipb.Expr{nil, exprs(intConst(1))} {
		_, err := rowsUnder(t, spilling(&spill.MemFS{}, 200_000), aggOf(leaf(0), groupBy, ordered), randomTable(1, 20_000, 1000))
		require.ErrorContains(t, err, "exceeding the allowed memory limit for a single SQL query")
	}
}

func TestAggregationFullDisk(t *testing.T) {
	root := aggOf(leaf(0), exprs(col(0, bigint)), fn(tipb.ExprType_Sum, decimalType(40, 2), col(2, spillFields[2])))
	testFullDisk(t, 200_000, root, randomTable(1, 8_000, 1_000_000))
}

// drawJoin draws a join of two tables of spillFields on one or two keys, of any type and with any conditions.
func drawJoin(t *rapid.T) *tipb.Executor {
	j := &tipb.Join{Children: []*tipb.Executor{leaf(0), leaf(1)}, InnerIdx: rapid.Int64Range(0, 1).Draw(t, "inner")}
	j.JoinType = rapid.SampledFrom([]tipb.JoinType{tipb.JoinType_TypeInnerJoin, tipb.JoinType_TypeLeftOuterJoin,
		tipb.JoinType_TypeRightOuterJoin, tipb.JoinType_TypeSemiJoin, tipb.JoinType_TypeAntiSemiJoin,
		tipb.JoinType_TypeLeftOuterSemiJoin, tipb.JoinType_TypeAntiLeftOuterSemiJoin}).Draw(t, "type")
	for _, c := range rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 2, rapid.ID).Draw(t, "keys") {
		j.LeftJoinKeys = append(j.LeftJoinKeys, col(c, spillFields[c]))
		j.RightJoinKeys = append(j.RightJoinKeys, col(c, spillFields[c]))
	}
	above := exprs(call(tipb.ScalarFuncSig_GTInt, col(4, bigint), intConst(50)))
	if rapid.Bool().Draw(t, "left condition") {
		j.LeftConditions = above
	}
	if rapid.Bool().Draw(t, "right condition") {
		j.RightConditions = above
	}
	quantified := j.JoinType != tipb.JoinType_TypeSemiJoin && j.JoinType > tipb.JoinType_TypeRightOuterJoin
	if len(j.LeftJoinKeys) == 1 && quantified && rapid.Bool().Draw(t, "null-aware") {
		aware := true
		j.IsNullAwareSemiJoin, j.InnerIdx = &aware, 1
		if rapid.Bool().Draw(t, "not NULL") { // on the right side: NULLs of it hide all else
			j.RightConditions = exprs(call(tipb.ScalarFuncSig_GTInt, col(0, bigint), intConst(0)))
		}
		return &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: j}
	}
	n := len(spillFields)
	if rapid.Bool().Draw(t, "other condition") {
		j.OtherConditions = exprs(call(tipb.ScalarFuncSig_LTInt, col(0, bigint), col(n, bigint)))
	}
	if rapid.Bool().Draw(t, "equal from IN") {
		j.OtherEqConditionsFromIn = exprs(call(tipb.ScalarFuncSig_EQInt, col(0, bigint), col(n, bigint)))
	}
	return &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: j}
}

func TestJoinSpills(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		keys := rapid.SampledFrom([]int{1_000, 100_000}).Draw(t, "distinct")
		sameSpilled(t, rapid.Int64Range(100_000, 160_000).Draw(t, "limit"), false, drawJoin(t),
			randomTable(seed, 2_000, keys), randomTable(seed+1, 2_000, keys))
	})
}

func TestJoinFullDisk(t *testing.T) {
	j := &tipb.Join{Children: []*tipb.Executor{leaf(0), leaf(1)}, InnerIdx: 1, LeftJoinKeys: exprs(col(0, bigint)),
		RightJoinKeys: exprs(col(0, bigint))}
	testFullDisk(t, 200_000, &tipb.Executor{Tp: tipb.ExecType_TypeJoin, Join: j}, randomTable(1, 4_000, 10_000), randomTable(2, 4_000, 10_000))
}

// A join whose reader stops early leaves no file.
func TestSpillClosedEarly(t *testing.T) {
	for _, root := range []*tipb.Executor{
		sortOf(leaf(0), by(false, col(3, double))),
		aggOf(leaf(0), exprs(col(4, bigint)), fn(tipb.ExprType_Count, bigint, intConst(1))),
		joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(4, bigint)), exprs(col(4, bigint))),
	} {
		fs := &spill.MemFS{}
		in := randomTable(1, 4_000, 1000)
		got, err := rowsUnder(t, spilling(fs, 150_000), limitOf(root, 3), in, in)
		require.NoError(t, err)
		require.Len(t, got, 3)
		require.NotZero(t, fs.Written())
		require.Zero(t, fs.Len())
	}
}

// A query that is cancelled while runs are merged ends with the next batch, and leaves no file.
func TestMergeCancelled(t *testing.T) {
	fs := &spill.MemFS{}
	op, err := Build(sortOf(leaf(0), by(false, col(0, bigint))), func(*tipb.Executor) (Operator, error) {
		return NewValues(spillFields, randomTable(1, 4_000, 1000)...), nil
	}, spilling(fs, 100_000))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	_, err = op.Next(ctx)
	require.NoError(t, err)
	require.NotZero(t, fs.Len())
	cancel()
	_, err = op.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, op.Close())
	require.Zero(t, fs.Len())
}
