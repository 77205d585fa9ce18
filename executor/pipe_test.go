package executor

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/executor/expr"
)

var numbers = tbl(types(bigint, varchar), "1,a", "2,b", "NULL,c", "4,NULL", "5,e")

func TestSelection(t *testing.T) {
	above1 := call(tipb.ScalarFuncSig_GTInt, col(0, bigint), intConst(1))
	below5 := call(tipb.ScalarFuncSig_LTInt, col(0, bigint), intConst(5))
	run(t, selectionOf(leaf(0), above1, below5), testEnv, false, []string{"2,b", "4,NULL"}, numbers)
	run(t, selectionOf(leaf(0), call(tipb.ScalarFuncSig_GTInt, col(0, bigint), intConst(9))), testEnv, false, nil, numbers)
}

func TestProjection(t *testing.T) {
	plus := call(tipb.ScalarFuncSig_PlusInt, col(0, bigint), intConst(10))
	run(t, projectionOf(leaf(0), col(1, varchar), plus), testEnv, false,
		[]string{"a,11", "b,12", "c,NULL", "NULL,14", "e,15"}, numbers)
}

// A limit that is full asks for no more rows.
func TestLimit(t *testing.T) {
	for n, want := range map[uint64][]string{0: nil, 2: {"1,a", "2,b"}, 3: {"1,a", "2,b", "NULL,c"}, 9: {"1,a", "2,b", "NULL,c", "4,NULL", "5,e"}} {
		run(t, limitOf(leaf(0), n), testEnv, false, want, numbers)
	}
	src := newSource(t, numbers, shape{2, false})
	op, err := Build(limitOf(leaf(0), 2), func(*tipb.Executor) (Operator, error) { return src, nil }, testEnv())
	require.NoError(t, err)
	_, err = drain(t, op)
	require.NoError(t, err)
	require.Equal(t, 1, src.pulls)
	byRank := limitOf(leaf(0), 2)
	byRank.Limit.TruncateKeyExpr = exprs(col(0, bigint))
	_, err = Build(byRank, sourceLeaf(t, numbers), testEnv())
	require.ErrorContains(t, err, "not supported")
}

// A pipeline of everything, whose batches pass selections on.
func TestPipeline(t *testing.T) {
	above1 := call(tipb.ScalarFuncSig_GTInt, col(0, bigint), intConst(1))
	doubled := call(tipb.ScalarFuncSig_PlusInt, col(0, bigint), col(0, bigint))
	root := limitOf(projectionOf(selectionOf(leaf(0), above1), doubled), 2)
	run(t, root, testEnv, false, []string{"4", "8"}, numbers)
}

func TestUnionAndValues(t *testing.T) {
	one := newSource(t, numbers, shape{2, false})
	two := NewValues(numbers.fields)
	three := newSource(t, tbl(numbers.fields, "9,z"), shape{1, true})
	op := NewUnion(one, two, three)
	got, err := drain(t, op)
	require.NoError(t, err)
	require.Equal(t, append(append([]string(nil), numbers.rows...), "9,z"), got)
	require.NoError(t, op.Close())
	require.True(t, one.closed && three.closed)
}

// Statistics count what each executor gave, and are listed in the order of the DAG.
func TestStats(t *testing.T) {
	list := []*tipb.Executor{leaf(0),
		{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{Conditions: exprs(call(tipb.ScalarFuncSig_GTInt, col(0, bigint), intConst(1)))}},
		{Tp: tipb.ExecType_TypeLimit, Limit: &tipb.Limit{Limit: 1}},
	}
	root, err := Tree(list)
	require.NoError(t, err)
	env := testEnv()
	clock := time.Unix(0, 0)
	env.Stats = NewStats(func() time.Time { clock = clock.Add(time.Millisecond); return clock })
	op, err := Build(root, func(*tipb.Executor) (Operator, error) { return newSource(t, numbers, shape{2, false}), nil }, env)
	require.NoError(t, err)
	_, err = drain(t, op)
	require.NoError(t, err)
	sums := env.Stats.Summaries(root)
	require.Len(t, sums, 3)
	for i, rows := range []uint64{2, 1, 1} {
		require.Equal(t, rows, *sums[i].NumProducedRows, i)
		require.NotZero(t, *sums[i].TimeProcessedNs)
	}
	require.Greater(t, *sums[2].TimeProcessedNs, *sums[0].TimeProcessedNs, "times include children")
	require.Zero(t, (*Stats)(nil).Get(root))
}

// A list is a chain, or with parent indexes a tree in post order; the executors of the list are not changed.
func TestTree(t *testing.T) {
	parent := uint32(2)
	join := joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(0, bigint)), exprs(col(0, bigint)))
	join.Join.Children = nil
	left, right := leaf(0), leaf(1)
	left.ParentIdx = &parent
	top := &tipb.Executor{Tp: tipb.ExecType_TypeLimit, Limit: &tipb.Limit{Limit: 7}}
	root, err := Tree([]*tipb.Executor{left, right, join, top})
	require.NoError(t, err)
	require.Equal(t, []*tipb.Executor{left, right, root.Limit.Child, root}, PostOrder(root))
	require.Equal(t, []*tipb.Executor{left, right}, root.Limit.Child.Join.Children)
	require.Nil(t, join.Join.Children)
	require.Nil(t, top.Limit.Child)

	bad := uint32(9)
	for _, list := range [][]*tipb.Executor{
		nil,
		make([]*tipb.Executor, maxExecutors+1),
		{nil},
		{leaf(0), {Tp: tipb.ExecType_TypeLimit}},
		{leaf(0), leaf(1), top},
		{{Tp: tipb.ExecType_TypeTableScan, ParentIdx: &bad}, top},
		{top},
	} {
		_, err := Tree(list)
		require.Error(t, err)
	}
	_, err = Build(&tipb.Executor{Tp: tipb.ExecType_TypeLimit}, sourceLeaf(t, numbers), testEnv())
	require.Error(t, err)
}

func TestDeepPlan(t *testing.T) {
	root := leaf(0)
	for range maxExecutors {
		root = limitOf(root, 1)
	}
	_, err := Build(root, sourceLeaf(t, numbers), testEnv())
	require.Error(t, err)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	scan, err := NewTableScan(&tipb.TableScan{}, kvList(nil).iterator(), &expr.Context{})
	require.NoError(t, err)
	_, err = scan.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = scan.Next(context.Background())
	require.ErrorIs(t, err, io.EOF)
}
