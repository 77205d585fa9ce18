package executor

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

// cancelling cancels the query when its rows have been read: what comes then is the operator's own work.
type cancelling struct {
	Operator
	cancel context.CancelFunc
}

func (c cancelling) Next(ctx context.Context) (Batch, error) {
	b, err := c.Operator.Next(ctx)
	if err == io.EOF || ctx.Err() != nil {
		c.cancel()
		return b, io.EOF
	}
	return b, err
}

// Sorts, hash tables and windows that take long notice that their query has ended.
func TestCancelledWork(t *testing.T) {
	fields := types(bigint, varchar)
	in := benchBatches(fields, 1<<20, func(i int, out []*column.Builder) {
		out[0].AppendInt64(int64(i) * 1_000_003 % (1 << 40))
		if i < 1<<15 {
			out[1].AppendBytes(fmt.Appendf(nil, "all begin alike %d", i*7919%10007))
		} else {
			out[1].AppendBytes(nil)
		}
	})
	count := fn(tipb.ExprType_Count, bigint, intConst(1))
	concat := fn(tipb.ExprType_GroupConcat, varchar, col(0, bigint), strConst(","))
	concat.OrderBy = []*tipb.ByItem{by(false, col(0, bigint))}
	for name, c := range map[string]struct {
		root  *tipb.Executor
		limit int64
	}{
		"words":   {sortOf(leaf(0), by(false, col(0, bigint))), 0},
		"strings": {sortOf(leaf(0), by(false, col(1, varchar))), 0},
		"topN":    {topNOf(leaf(0), 1<<19, by(false, col(0, bigint))), 0},
		"runs":    {sortOf(leaf(0), by(false, col(0, bigint))), 50 << 20},
		"join":    {joinOf(tipb.JoinType_TypeInnerJoin, exprs(col(0, bigint)), exprs(col(0, bigint))), 0},
		"groups":  {aggOf(leaf(0), exprs(col(0, bigint)), count), 50 << 20},
		"values":  {aggOf(leaf(0), nil, distinct(fn(tipb.ExprType_Count, bigint, col(0, bigint)))), 20 << 20},
		"concat":  {aggOf(leaf(0), nil, concat), 0},
		"window":  {windowOf(leaf(0), nil, nil, nil, count), 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			env := testEnv()
			env.Memory, env.Spill = NewMemory(c.limit), spill.NewDir(&spill.MemFS{}, "/spill", 0)
			env.Expr.Err = ctx.Err
			op, err := Build(c.root, func(scan *tipb.Executor) (Operator, error) {
				return cancelling{NewValues(fields, append([]Batch(nil), in...)...), cancel}, nil
			}, env)
			require.NoError(t, err)
			_, err = op.Next(ctx)
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, op.Close())
			require.Zero(t, env.Memory.Used())
		})
	}
}
