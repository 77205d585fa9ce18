package txn

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// counter counts which gets replicas other than leaders have served.
type counter struct {
	kvclient.Dialer
	replica, stale atomic.Int64
}

type countedStore struct {
	kvclient.Store
	c *counter
}

func (c *counter) Dial(ctx context.Context, addr string) (kvclient.Store, error) {
	s, err := c.Dialer.Dial(ctx, addr)
	return countedStore{s, c}, err
}

func (s countedStore) KvGet(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	resp, err := s.Store.KvGet(ctx, req)
	if err == nil && resp.RegionError == nil && req.Context.ReplicaRead {
		s.c.replica.Add(1)
	}
	if err == nil && resp.RegionError == nil && req.Context.StaleRead {
		s.c.stale.Add(1)
	}
	return resp, err
}

// TestReplicaReads: followers serve reads that are as fresh as the leader's, and stale reads what was there at their time.
func TestReplicaReads(t *testing.T) {
	ctx, cluster := context.Background(), startCluster(t, 3)
	c := &counter{Dialer: cluster.Dialer()}
	client := kvclient.New(cluster.Placement(), c, kvclient.Options{})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	put(t, client, "a", "0", "b", "0")
	then, err := client.TS(ctx)
	require.NoError(t, err)

	require.Eventually(t, func() bool {
		_, err := client.Snapshot(then).From(kvclient.FromFollower).Get(ctx, []byte("a"))
		require.NoError(t, err)
		return c.replica.Load() > 0
	}, time.Minute, 10*time.Millisecond, "the region gets followers")
	before := c.replica.Load()
	const writes = 30
	for i := range writes {
		want := fmt.Sprint(i)
		put(t, client, "a", want)
		ts, err := client.TS(ctx)
		require.NoError(t, err)
		snap := client.Snapshot(ts).From(kvclient.FromFollower)
		got, err := snap.Get(ctx, []byte("a"))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		pairs, err := snap.BatchGet(ctx, keys("a", "b"))
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"a": []byte(want), "b": []byte("0")}, pairs)
	}
	require.Positive(t, c.replica.Load()-before)

	require.Eventually(t, func() bool {
		got, err := client.Snapshot(then).From(kvclient.FromAnyStale).Get(ctx, []byte("a"))
		require.NoError(t, err)
		require.Equal(t, "0", string(got))
		return c.stale.Load() > 3
	}, time.Minute, 10*time.Millisecond, "replicas serve stale reads")
}
