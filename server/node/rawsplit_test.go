package node_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/node"
)

// Raw pairs of API V1 get regions of their own size, found by their keys as they are, and transactions run beside them and
// between them.
func TestRawPairsSplit(t *testing.T) {
	ctx := context.Background()
	c, err := node.StartCluster(testContext(t), node.ClusterOptions{
		Dir: t.TempDir(), CacheBytes: 8 << 20,
		Raft: raftstore.Config{SplitBytes: 128 << 10, HousekeepInterval: 20 * time.Millisecond, PlacementInterval: 200 * time.Millisecond},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	require.NoError(t, c.WaitReady(testContext(t)))
	client := newClient(t, c, c.Dialer())
	defer func() { require.NoError(t, client.Close()) }()
	store := c.Stores()[0]
	// raw calls a store as a raw client does: for the region that the placement driver says has the key itself.
	raw := func(key []byte, call func(pb *kvrpcpb.Context) (served bool)) {
		require.Eventually(t, func() bool {
			region, leader, err := c.Placement().Region(ctx, key)
			return err == nil && region != nil && call(&kvrpcpb.Context{RegionId: region.Id, RegionEpoch: region.RegionEpoch, Peer: leader})
		}, time.Minute, time.Millisecond)
	}
	key := func(i int) []byte { return fmt.Appendf(nil, "usertable:user%06d", i) }
	value, rng := make([]byte, 500), rand.NewChaCha8([32]byte{})
	const pairs = 2000
	for i := range pairs {
		_, _ = rng.Read(value) // which never fails, and does not compress
		raw(key(i), func(pb *kvrpcpb.Context) bool {
			resp, err := store.Service().RawPut(ctx, &kvrpcpb.RawPutRequest{Context: pb, Key: key(i), Value: value})
			require.NoError(t, err)
			return resp.RegionError == nil
		})
	}
	require.Eventually(t, func() bool {
		split := 0
		for _, r := range store.Raft().Regions() {
			if bytes.HasPrefix(r.Region.GetStartKey(), []byte("usertable:")) {
				split++
			}
		}
		return split >= 3
	}, time.Minute, 10*time.Millisecond)

	found := 0
	for start := key(0); len(start) > 0; {
		var end []byte
		raw(start, func(pb *kvrpcpb.Context) bool {
			resp, err := store.Service().RawScan(ctx, &kvrpcpb.RawScanRequest{Context: pb, StartKey: start, Limit: pairs})
			require.NoError(t, err)
			if resp.RegionError == nil {
				found += len(resp.Kvs)
				r, _ := store.Raft().Region(pb.RegionId)
				end = r.Region.EndKey
			}
			return resp.RegionError == nil
		})
		start = end
	}
	require.Equal(t, pairs, found)

	insert(t, client, 0, 100)
	require.Equal(t, wantRows(0, 100), selectAll(t, client))
	txn, err := client.Begin(ctx)
	require.NoError(t, err)
	keys := [][]byte{[]byte("a"), []byte("usertable:user000999"), []byte("usertable:user001500x"), []byte("z")}
	for _, k := range keys {
		require.NoError(t, txn.Set(k, k))
	}
	require.NoError(t, txn.Commit(ctx))
	ts, err := client.TS(ctx)
	require.NoError(t, err)
	pairsRead, err := client.Snapshot(ts).BatchGet(ctx, keys)
	require.NoError(t, err)
	require.Len(t, pairsRead, len(keys))
	_, err = client.ResolveBelow(ctx, ts) // goes through all regions
	require.NoError(t, err)
}
