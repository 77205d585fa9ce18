package raftstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// lazy waits until the leader may give one: until it is sure to lead, it gives views.
func lazy(t *testing.T, m *machine) (snap storage.Snapshot) {
	require.Eventually(t, func() bool {
		var err error
		snap, err = m.store.Snapshot(context.Background(), storage.Region{ID: 1, Lazy: true})
		require.NoError(t, err)
		if !raftstore.IsLazy(snap) {
			require.NoError(t, snap.Close())
			return false
		}
		return true
	}, time.Minute, time.Millisecond)
	return snap
}

// A lazy snapshot is as of its first look, and one for good.
func TestLazySnapshot(t *testing.T) {
	m := bootSingle(t, vfs.NewMem())
	defer m.stop()
	write := func(value string) {
		require.NoError(t, m.store.Write(context.Background(), storage.Region{ID: 1}, []storage.Modify{put("k", value)}))
	}
	value := func(snap storage.Snapshot) string {
		v, err := snap.Get(storage.CFWrite, []byte("k"))
		require.NoError(t, err)
		return string(v)
	}
	snap := lazy(t, m)
	require.EqualValues(t, 1, snap.Region().Id)
	require.NotZero(t, snap.Term())
	write("1")
	require.Equal(t, "1", value(snap))
	write("2")
	require.Equal(t, "1", value(snap))
	require.NoError(t, snap.Close())
	require.NoError(t, lazy(t, m).Close(), "never looked at")
}

// A lazy snapshot of a region that has been split, or has another leader, cannot be looked at: what was concluded from its
// bounds and term does not hold.
func TestLazySnapshotIsOfOneLeadership(t *testing.T) {
	m, _ := bootDriven(t, vfs.NewMem(), raftstore.Config{})
	defer m.stop()
	snap := lazy(t, m)
	_, err := m.store.SplitRegion(context.Background(), storage.Region{ID: 1}, [][]byte{mce("m")})
	require.NoError(t, err)
	_, err = snap.Get(storage.CFWrite, mce("z"))
	require.NotNil(t, regionError(t, err).Pb.EpochNotMatch)
	require.NoError(t, snap.Close())

	c := replicated(t, raftstore.Config{ElectionTicks: 6000}) // a lease of half a minute
	leader := c.awaitLeader(1)
	c.write(1, put("k", "1"))
	require.Equal(t, "1", c.read(1, "k"))
	snap = lazy(t, leader)
	r, _ := leader.store.Region(1)
	to := r.Region.Peers[0]
	if to.Id == r.PeerID {
		to = r.Region.Peers[1]
	}
	leader.store.Operator(&pdpb.RegionHeartbeatResponse{
		RegionId: 1, RegionEpoch: r.Region.RegionEpoch, TransferLeader: &pdpb.TransferLeader{Peer: to},
	})
	c.eventually("another leader", func() bool { l := c.leader(1); return l != nil && l != leader })
	_, err = snap.NewIterator(storage.IterOptions{CF: storage.CFWrite})
	require.NotNil(t, regionError(t, err).Pb.NotLeader)
	require.NoError(t, snap.Close())
}
