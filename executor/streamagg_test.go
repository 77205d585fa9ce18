package executor

import (
	"fmt"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

func streamAggOf(child *tipb.Executor, groupBy []*tipb.Expr, funcs ...*tipb.Expr) *tipb.Executor {
	e := aggOf(child, groupBy, funcs...)
	e.Tp = tipb.ExecType_TypeStreamAgg
	return e
}

// Groups come out in the order of the input, in every shape; without group-by there is one, of no rows too.
func TestStreamAggregation(t *testing.T) {
	in := tbl(types(bigint, varchar), "NULL,x", "NULL,y", "1,a", "2,b", "2,c", "2,NULL", "3,d")
	count := fn(tipb.ExprType_Count, bigint, col(1, varchar))
	run(t, streamAggOf(leaf(0), exprs(col(0, bigint)), count), testEnv, false, []string{"2,NULL", "1,1", "2,2", "1,3"}, in)
	run(t, streamAggOf(leaf(0), nil, count), testEnv, false, []string{"6"}, in)
	run(t, streamAggOf(leaf(0), nil, count), testEnv, false, []string{"0"}, tbl(in.fields))
	run(t, streamAggOf(leaf(0), exprs(col(0, bigint)), count), testEnv, false, nil, tbl(in.fields))
}

// A group ends with the table that is full, within a batch, over several, or exactly at its end; memory stays small.
func TestStreamAggregationBounded(t *testing.T) {
	for _, size := range []int{1, 3, 7} { // rows a group
		for _, batch := range []int{100, 1024, 4096} {
			const groups = 5*column.BatchSize + 1
			in := batchesOf(batch, types(bigint), groups*size, func(i int, out []*column.Builder) {
				out[0].AppendInt64(int64(i/size) * 1_000_003)
			})
			env := testEnv()
			env.Memory = NewMemory(2 << 20)
			op, err := Build(streamAggOf(leaf(0), exprs(col(0, bigint)), fn(tipb.ExprType_Count, bigint, intConst(1))),
				func(*tipb.Executor) (Operator, error) { return NewValues(types(bigint), in...), nil }, env)
			require.NoError(t, err)
			rows, err := drain(t, op)
			require.NoError(t, err)
			require.Len(t, rows, groups)
			for i, r := range rows {
				require.Equal(t, fmt.Sprintf("%d,%d", size, i*1_000_003), r)
			}
			require.NoError(t, op.Close())
			require.Less(t, env.Memory.Peak(), int64(1<<20))
		}
	}
}
