package node

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/storage"
)

// A cluster with tables alone may change its API version. Under V2 raw pairs live beside them, and go when their time is up;
// with a raw pair in it the cluster keeps its version.
func TestChangeOfAPIVersion(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	start := func(api APIOptions) (*Cluster, error) {
		c, err := StartCluster(ctx, ClusterOptions{Dir: dir, API: api})
		if err == nil {
			require.NoError(t, c.WaitReady(ctx))
		}
		return c, err
	}
	c, err := start(APIOptions{})
	require.NoError(t, err)
	client := kvclient.New(c.Placement(), c.Dialer(), kvclient.Options{})
	txn, err := client.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, txn.Set([]byte("t row"), []byte("1")))
	require.NoError(t, txn.Commit(ctx))
	require.NoError(t, client.Close())
	require.NoError(t, c.Close())

	v2 := APIOptions{Version: kvrpcpb.APIVersion_V2, SweepEvery: 10 * time.Millisecond}
	c, err = start(v2)
	require.NoError(t, err)
	client = kvclient.New(c.Placement(), c.Dialer(), kvclient.Options{})
	txn, err = client.Begin(ctx)
	require.NoError(t, err)
	row, err := txn.Get(ctx, []byte("t row"))
	require.NoError(t, err)
	require.Equal(t, "1", string(row))
	put := func(key string, ttl uint64) {
		require.NoError(t, client.Do(ctx, []byte(key), func(_ kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
			rpc.ApiVersion = kvrpcpb.APIVersion_V2
			resp, err := c.Stores()[0].Service().RawPut(ctx, &kvrpcpb.RawPutRequest{Context: rpc, Key: []byte(key), Value: []byte("1"), Ttl: ttl})
			require.Empty(t, resp.GetError())
			return resp.GetRegionError(), err
		}))
	}
	stored := func() (n int) {
		it, err := c.Stores()[0].data.NewIterator(storage.IterOptions{CF: storage.CFRawV2})
		require.NoError(t, err)
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		require.NoError(t, it.Close())
		return n
	}
	put("r\x00\x00\x00short", 1)
	require.Equal(t, 1, stored())
	require.Eventually(t, func() bool { return stored() == 0 }, 30*time.Second, 10*time.Millisecond)
	put("r\x00\x00\x00long", 1000)
	require.NoError(t, client.Close())
	require.NoError(t, c.Close())

	_, err = start(APIOptions{})
	require.ErrorIs(t, err, errAPIVersion)
	c, err = start(v2)
	require.NoError(t, err)
	require.Equal(t, 1, stored())
	require.NoError(t, c.Close())
}

// After a crash the data may lack what is in the log: that counts too.
func TestAPIVersionAfterCrash(t *testing.T) {
	ctx, dir, fs := context.Background(), t.TempDir(), vfs.NewCrashableMem()
	c, err := StartCluster(ctx, ClusterOptions{Dir: dir, FS: fs})
	require.NoError(t, err)
	require.NoError(t, c.WaitReady(ctx))
	client := kvclient.New(c.Placement(), c.Dialer(), kvclient.Options{})
	require.NoError(t, client.Do(ctx, []byte("k"), func(_ kvclient.Store, rpc *kvrpcpb.Context) (*errorpb.Error, error) {
		resp, err := c.Stores()[0].Service().RawPut(ctx, &kvrpcpb.RawPutRequest{Context: rpc, Key: []byte("k"), Value: []byte("1")})
		return resp.GetRegionError(), err
	}))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, client.Close())
	require.NoError(t, c.Close())

	for _, version := range []kvrpcpb.APIVersion{kvrpcpb.APIVersion_V2, kvrpcpb.APIVersion_V1TTL} {
		_, err = StartCluster(ctx, ClusterOptions{Dir: dir, FS: crashed, API: APIOptions{Version: version}})
		require.ErrorIs(t, err, errAPIVersion)
	}
	c, err = StartCluster(ctx, ClusterOptions{Dir: dir, FS: crashed})
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
