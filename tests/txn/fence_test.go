package txn

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// A transaction that would commit above its fence, or whose fence refuses, writes nothing, whatever way it commits: in one
// phase, by async commit, in two phases, or in bulk.
func TestFenced(t *testing.T) {
	ctx, c := context.Background(), start(t, 1)
	regionsOfTen(t, c)
	refused := errors.New("refused")
	for name, way := range map[string]struct {
		begin func(context.Context) (*kvclient.Txn, error)
		keys  int
	}{
		"one phase": {c.Begin, 1}, "async": {c.Begin, 10}, "two phases": {c.Begin, 1000}, "bulk": {c.BeginBulk, 10},
		"pessimistic": {c.BeginPessimistic, 10},
	} {
		for _, fence := range []struct {
			err error
			max func(start uint64) uint64
		}{
			{kvclient.ErrFenced, func(start uint64) uint64 { return start }},
			{refused, func(uint64) uint64 { return 0 }},
			{nil, func(start uint64) uint64 { return start + 1<<40 }},
		} {
			txn, err := way.begin(ctx)
			require.NoError(t, err)
			txn.SetFence(func() (uint64, error) {
				if fence.err == refused {
					return 0, refused
				}
				return fence.max(txn.StartTS()), nil
			})
			key := func(i int) []byte { return fmt.Appendf(nil, "%s/%s", bulkKey(i), name) }
			for i := range way.keys {
				require.NoError(t, txn.Set(key(i), []byte("v")))
			}
			if name == "bulk" {
				require.NoError(t, txn.Flush(ctx)) // it would commit as others do without
			}
			require.ErrorIs(t, txn.Commit(ctx), fence.err, name)
			unlocked(t, c)
			val, err := begin(t, c).Get(ctx, key(0))
			require.NoError(t, err)
			require.Equal(t, fence.err == nil, val != nil, name)
		}
	}
}
