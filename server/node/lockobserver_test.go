package node_test

import (
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Every store has the lock of an old transaction in its data, found by scan, and those that observe see it being written.
func TestLockObservers(t *testing.T) {
	c := startCluster(t, t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	awaitReplicas(t, c)
	const maxTS, startTS = 100, 50
	for _, s := range c.Stores() {
		resp, err := clientOf(t, s).RegisterLockObserver(testContext(t), &kvrpcpb.RegisterLockObserverRequest{MaxTs: maxTS})
		require.NoError(t, err)
		require.Empty(t, resp.Error)
	}
	client := newClient(t, c, c.Dialer())
	defer func() { require.NoError(t, client.Close()) }()
	key := []byte("k")
	require.NoError(t, client.Do(testContext(t), key, func(s kvclient.Store, pb *kvrpcpb.Context) (*errorpb.Error, error) {
		resp, err := s.KvPrewrite(testContext(t), &kvrpcpb.PrewriteRequest{
			Context: pb, PrimaryLock: key, StartVersion: startTS, LockTtl: 3000,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key, Value: []byte("v")}},
		})
		return resp.GetRegionError(), err
	}))
	for _, s := range c.Stores() {
		store := clientOf(t, s)
		require.Eventually(t, func() bool {
			resp, err := store.CheckLockObserver(testContext(t), &kvrpcpb.CheckLockObserverRequest{MaxTs: maxTS})
			return err == nil && len(resp.Locks) > 0 && string(resp.Locks[0].Key) == "k" && resp.Locks[0].LockVersion == startTS
		}, time.Minute, 5*time.Millisecond)
		require.Eventually(t, func() bool { // it is observed before it is there
			scan, err := store.PhysicalScanLock(testContext(t), &kvrpcpb.PhysicalScanLockRequest{MaxTs: maxTS})
			return err == nil && len(scan.Locks) == 1 && string(scan.Locks[0].Key) == "k"
		}, time.Minute, 5*time.Millisecond)
		wrong, err := store.RemoveLockObserver(testContext(t), &kvrpcpb.RemoveLockObserverRequest{MaxTs: 99})
		require.NoError(t, err)
		require.NotEmpty(t, wrong.Error)
		removed, err := store.RemoveLockObserver(testContext(t), &kvrpcpb.RemoveLockObserverRequest{MaxTs: maxTS})
		require.NoError(t, err)
		require.Empty(t, removed.Error)
		over, err := store.CheckLockObserver(testContext(t), &kvrpcpb.CheckLockObserverRequest{MaxTs: maxTS})
		require.NoError(t, err)
		require.NotEmpty(t, over.Error)
	}
}
