package txn

import (
	"context"
	"fmt"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/storagetest"
)

// Writing commands are the leader's, whatever the request says.
func TestWritesAreForTheLeader(t *testing.T) {
	pb := storagetest.Context()
	pb.ReplicaRead = true
	require.False(t, RegionOf(pb).ReplicaRead)
	require.Equal(t, RegionOf(storagetest.Context()), RegionOf(pb))
}

// Reads that would make too large a response fail, and say so.
func TestLargeResponses(t *testing.T) {
	const bound = 64 << 10
	m := NewManager(storagetest.New(t), NewConcurrency(), ManagerOptions{ResponseBytesMax: bound})
	ctx := context.Background()
	var keys [][]byte
	for i := range 8 {
		keys = append(keys, fmt.Appendf(nil, "key %d", i))
		resp, err := m.Prewrite(ctx, &kvrpcpb.PrewriteRequest{
			Context: storagetest.Context(), PrimaryLock: keys[i], StartVersion: 10, LockTtl: 3000,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: keys[i], Value: make([]byte, bound/10)}},
		})
		require.NoError(t, err)
		require.Empty(t, resp.Errors)
	}
	_, err := m.Commit(ctx, &kvrpcpb.CommitRequest{Context: storagetest.Context(), StartVersion: 10, CommitVersion: 20, Keys: keys})
	require.NoError(t, err)

	scan := func(limit uint32) *kvrpcpb.ScanResponse {
		resp, err := m.Scan(ctx, &kvrpcpb.ScanRequest{Context: storagetest.Context(), Limit: limit, Version: 30})
		require.NoError(t, err)
		return resp
	}
	require.Len(t, scan(8).Pairs, 8)
	get := func(keys ...[]byte) *kvrpcpb.BatchGetResponse {
		resp, err := m.BatchGet(ctx, &kvrpcpb.BatchGetRequest{Context: storagetest.Context(), Keys: keys, Version: 30})
		require.NoError(t, err)
		return resp
	}
	require.Len(t, get(keys...).Pairs, 8)
	resp := get(append(keys, keys...)...)
	require.Contains(t, resp.Error.GetAbort(), "ask for fewer")
	require.Equal(t, []*kvrpcpb.KvPair{{Error: resp.Error}}, resp.Pairs)

	m.opts.ResponseBytesMax = bound / 2
	require.Contains(t, scan(8).Error.GetAbort(), "ask for fewer")
	require.Len(t, scan(4).Pairs, 4)
}
