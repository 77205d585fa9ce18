package raftstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// inFlashback checks what a region in flashback since 100 lets pass, and what not.
func inFlashback(t *testing.T, s *raftstore.Store, region uint64) {
	ctx, at := context.Background(), storage.Region{ID: region}
	require.EqualValues(t, 100, flashbackError(t, s.Write(ctx, at, []storage.Modify{put("k", "lost")})).FlashbackInProgress.GetFlashbackStartTs())
	_, err := s.SplitRegion(ctx, at, [][]byte{mce("key")})
	require.Equal(t, region, flashbackError(t, err).FlashbackInProgress.GetRegionId())
	for ts, open := range map[uint64]bool{0: false, 99: true, 100: false, 101: false} {
		snap, err := s.Snapshot(ctx, storage.Region{ID: region, ReadTS: ts})
		if open {
			require.NoError(t, err)
			require.EqualValues(t, 100, snap.Region().FlashbackStartTs)
			require.NoError(t, snap.Close())
			continue
		}
		require.NotNil(t, flashbackError(t, err).FlashbackInProgress, "read at %d", ts)
	}
	at.Flashback = true
	snap, err := s.Snapshot(ctx, at)
	require.NoError(t, err)
	require.NoError(t, snap.Close())
	require.NoError(t, s.Write(ctx, at, []storage.Modify{put("k", "flashed")}))
}

func flashbackError(t *testing.T, err error) *errorpb.Error { return regionError(t, err).Pb }

// The state outlives a restart, and ends when it is over.
func TestFlashbackState(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m, _ := bootDriven(t, fs, raftstore.Config{})
	ctx, at := context.Background(), storage.Region{ID: 1}
	require.NoError(t, m.store.Write(ctx, at, []storage.Modify{put("k", "old")}))
	step := storage.Region{ID: 1, Flashback: true}
	require.EqualValues(t, 1, flashbackError(t, m.store.Write(ctx, step, []storage.Modify{put("k", "early")})).FlashbackNotPrepared.GetRegionId())
	_, err := m.store.Snapshot(ctx, step)
	require.NotNil(t, flashbackError(t, err).FlashbackNotPrepared)

	wrong := storage.Region{ID: 1, Epoch: &metapb.RegionEpoch{Version: 1, ConfVer: 9}}
	require.NotNil(t, flashbackError(t, m.store.PrepareFlashback(ctx, wrong, 100)).EpochNotMatch)
	require.NoError(t, m.store.PrepareFlashback(ctx, at, 50))
	require.NoError(t, m.store.PrepareFlashback(ctx, at, 100), "another one takes over")
	inFlashback(t, m.store, 1)
	m.stop()

	m, _ = bootDriven(t, fs.CrashClone(vfs.CrashCloneCfg{}), raftstore.Config{})
	defer m.stop()
	inFlashback(t, m.store, 1)
	require.NoError(t, m.store.FinishFlashback(ctx, at))
	require.Equal(t, "flashed", get(t, m.store, 1, "k"))
	require.NoError(t, m.store.Write(ctx, at, []storage.Modify{put("k", "new")}))
	require.NotNil(t, flashbackError(t, m.store.Write(ctx, step, []storage.Modify{put("k", "late")})).FlashbackNotPrepared)
}

// A peer that was away gets it with the snapshot of the data, and has it when it leads.
func TestFlashbackStateIsReplicated(t *testing.T) {
	c := replicated(t, raftstore.Config{LogKeepBytes: 64 << 10, LogBytesMax: 64 << 10, ElectionTicks: 1000})
	c.write(1, put("k", "old"))
	leader := c.awaitLeader(1)
	r, _ := leader.store.Region(1)
	var away *metapb.Peer
	for _, p := range r.Region.Peers {
		if p.Id != r.PeerID {
			away = p
		}
	}
	c.net.isolate(away.StoreId, true)
	ctx := context.Background()
	require.NoError(t, leader.store.PrepareFlashback(ctx, storage.Region{ID: 1}, 100))
	inFlashback(t, leader.store, 1)
	value := string(make([]byte, 1<<10))
	for i := range 300 {
		require.NoError(t, leader.store.Write(ctx, storage.Region{ID: 1, Flashback: true}, []storage.Modify{put(fmt.Sprintf("k%03d", i), value)}))
	}
	last, _ := c.live[away.StoreId].store.Region(1)
	c.eventually("the log is cut", func() bool {
		r, _ := leader.store.Region(1)
		return r.FirstIndex > last.LastIndex+1
	})
	c.net.isolate(away.StoreId, false)
	c.peersAgree(1, "k299", value)
	there := c.live[away.StoreId].store
	leader.store.Operator(&pdpb.RegionHeartbeatResponse{RegionId: 1, TransferLeader: &pdpb.TransferLeader{Peer: away}})
	c.eventually("transferred", func() bool {
		now, _ := there.Region(1)
		return now.IsLeader
	})
	inFlashback(t, there, 1)
	require.NoError(t, there.FinishFlashback(ctx, storage.Region{ID: 1}))
	c.write(1, put("k", "new"))
	c.peersAgree(1, "k", "new")
}

// What was proposed before the region was closed, and comes behind that in the log, is refused: a write, a split, a change of
// peers. A split of another region holds the apply loop up until all is proposed.
func TestFlashbackRefusesWhatIsUnderWay(t *testing.T) {
	w := newWitness()
	m := boot(t, vfs.NewMem(), raftstore.Config{StoreID: 1, ApplyLoops: 1}, raftstore.Deps{
		Placement: &driver{nextID: 1000, regions: map[uint64]*pdpb.RegionHeartbeatRequest{}}, Observer: w,
	})
	defer m.stop()
	require.NoError(t, m.store.Bootstrap(firstRegion()))
	require.NoError(t, m.store.Start())
	awaitLeader(t, m.store, 1)
	ctx, at := context.Background(), storage.Region{ID: 1}
	regions, err := m.store.SplitRegion(ctx, at, [][]byte{mce("m")})
	require.NoError(t, err)
	left := storage.Region{ID: regions[0].Id}
	awaitLeader(t, m.store, left.ID)
	holding, hold := make(chan struct{}), make(chan struct{})
	w.onSplit = func(s raftstore.Split) {
		if s.RegionID == left.ID {
			close(holding)
			<-hold
		}
	}

	calls := make(chan error, 3)
	proposed := func(n uint64) {
		require.Eventually(t, func() bool {
			r, _ := m.store.Region(1)
			return r.LastIndex >= r.AppliedIndex+n
		}, time.Minute, time.Millisecond)
	}
	go func() {
		_, err := m.store.SplitRegion(ctx, left, [][]byte{mce("b")})
		calls <- err
	}()
	<-holding
	go func() { calls <- m.store.PrepareFlashback(ctx, at, 100) }()
	proposed(1)
	written, err := m.store.Submit(at, []storage.Modify{put("z", "lost")})
	require.NoError(t, err)
	proposed(2)
	split := make(chan error, 1)
	go func() {
		_, err := m.store.SplitRegion(ctx, at, [][]byte{mce("z")})
		split <- err
	}()
	proposed(3)
	m.store.Operator(&pdpb.RegionHeartbeatResponse{RegionId: 1, ChangePeer: &pdpb.ChangePeer{
		Peer: &metapb.Peer{Id: 77, StoreId: 2}, ChangeType: eraftpb.ConfChangeType_AddLearnerNode,
	}})
	proposed(4)
	close(hold)
	require.NoError(t, <-calls)
	require.NoError(t, <-calls)
	require.NotNil(t, flashbackError(t, <-written).FlashbackInProgress)
	require.NotNil(t, flashbackError(t, <-split).FlashbackInProgress)
	require.NoError(t, m.store.FinishFlashback(ctx, at))
	r, _ := m.store.Region(1)
	require.Len(t, r.Region.Peers, 1)
	require.Empty(t, get(t, m.store, 1, "z"))
	require.NoError(t, m.store.Write(ctx, at, []storage.Modify{put("z", "new")}))
}
