package executor

import (
	"context"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
)

// A plan of any shape is refused or runs: it does not panic. Seeds are good plans, whose bytes the fuzzer changes.
func FuzzBuild(f *testing.F) {
	p, o := []*tipb.ByItem{by(false, col(0, bigint))}, []*tipb.ByItem{by(true, col(1, bigint))}
	key, text := col(1, bigint), col(2, varchar)
	concat := fn(tipb.ExprType_GroupConcat, varchar, text, strConst(";"))
	concat.OrderBy = o
	top := topNOf(leaf(0), 2, o...)
	top.TopN.PartitionBy = p
	for _, root := range []*tipb.Executor{
		windowOf(sortOf(leaf(0), p[0], o[0]), p, o, rangeFrame(rangeBound(-1, key), rangeBound(2, key)), fn(tipb.ExprType_Sum, decimalType(41, 0), key),
			fn(tipb.ExprType_Rank, bigint), fn(tipb.ExprType_Ntile, bigint, intConst(2)), fn(tipb.ExprType_Lag, varchar, text, intConst(1), strConst("-"))),
		windowOf(leaf(0), nil, nil, rowsFrame(rowsBound(-1), rowsBound(1)), fn(tipb.ExprType_NthValue, varchar, text, intConst(2)), fn(tipb.ExprType_Max, varchar, text)),
		expandOf(leaf(0), exprs(key, text), exprs(nullOf(bigint), text)),
		aggOf(leaf(0), exprs(col(0, bigint)), distinct(fn(tipb.ExprType_Count, bigint, text)), fn(tipb.ExprType_Avg, decimalType(24, 4), key)),
		aggOf(leaf(0), exprs(text), concat),
		joinOf(tipb.JoinType_TypeAntiLeftOuterSemiJoin, exprs(key), exprs(key)),
		top, limitOf(projectionOf(selectionOf(leaf(0), call(tipb.ScalarFuncSig_LTInt, key, intConst(9))), text, key), 3),
	} {
		data, err := (&tipb.DAGRequest{RootExecutor: root}).Marshal()
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dag := new(tipb.DAGRequest)
		if len(data) > 1<<12 || dag.Unmarshal(data) != nil || dag.RootExecutor == nil {
			return
		}
		env := testEnv()
		env.Memory = NewMemory(1 << 20)
		op, err := Build(dag.RootExecutor, func(scan *tipb.Executor) (Operator, error) {
			if scan.TblScan == nil {
				return nil, &UnsupportedError{What: "leaf"}
			}
			return newSource(t, ranked, shape{3, true}), nil
		}, env)
		if err != nil {
			return
		}
		for batches := 0; err == nil && batches < 100; batches++ {
			_, err = op.Next(context.Background())
		}
		require.NoError(t, op.Close())
		require.Zero(t, env.Memory.Used())
	})
}
