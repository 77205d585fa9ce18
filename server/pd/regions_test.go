package pd_test

import (
	"context"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/pd"
)

func heartbeat(t *testing.T, core *pd.Core, r *metapb.Region) error {
	t.Helper()
	_, err := core.RegionHeartbeat(context.Background(), &pdpb.RegionHeartbeatRequest{Region: r, Leader: r.Peers[0], Term: 5})
	return err
}

// ids lists the ids of regions.
func ids(regions []*pdpb.Region) []uint64 {
	var out []uint64
	for _, r := range regions {
		out = append(out, r.Region.Id)
	}
	return out
}

// A split, told by the new regions' heartbeats: look-ups find each by its keys, the old description is refused as stale
// from then on, and nothing is known of keys that no region covers meanwhile.
func TestSplitByHeartbeats(t *testing.T) {
	core, _ := newCore(t, 1)
	require.NoError(t, heartbeat(t, core, region(1, 101, 1)))
	left, right := region(2, 201, 1), region(1, 101, 1)
	left.EndKey, right.StartKey = []byte("m"), []byte("m")
	left.RegionEpoch.Version, right.RegionEpoch.Version = 2, 2
	find := func(key string) uint64 {
		r, err := core.Region([]byte(key))
		require.NoError(t, err)
		return r.GetRegion().GetId()
	}
	require.NoError(t, heartbeat(t, core, right))
	require.Zero(t, find("a"))
	require.EqualValues(t, 1, find("m"))
	require.NoError(t, heartbeat(t, core, left))
	require.EqualValues(t, 2, find("a"))
	require.ErrorContains(t, heartbeat(t, core, region(1, 101, 1)), "region is stale")
	require.EqualValues(t, 1, find("z"))
	prev, err := core.PrevRegion([]byte("z"))
	require.NoError(t, err)
	require.EqualValues(t, 2, prev.Region.Id)
	prev, err = core.PrevRegion([]byte("a"))
	require.NoError(t, err)
	require.Nil(t, prev)
}

// A reported split is known with leaders before any heartbeat, and a scan returns the regions in order.
func TestReportSplitAndScan(t *testing.T) {
	core, _ := newCore(t, 3)
	for id := uint64(1); id <= 3; id++ {
		r := regionAt(id, 3)
		if id == 1 {
			require.NoError(t, heartbeat(t, core, region(1, 101, 1)))
		}
		require.NoError(t, core.ReportSplit([]*metapb.Region{regionAt(1, 3), r}))
	}
	all, err := core.ScanRegions(nil, nil, 0)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2, 3}, ids(all))
	for _, r := range all {
		require.EqualValues(t, 1, r.Leader.StoreId)
	}
	some, err := core.ScanRegions([]byte{2, 7}, []byte{3}, 0)
	require.NoError(t, err)
	require.Equal(t, []uint64{2}, ids(some))
	batch, err := core.BatchScanRegions([]*pdpb.KeyRange{
		{StartKey: []byte{0}, EndKey: []byte{2, 1}}, {StartKey: []byte{2, 2}, EndKey: []byte{9}},
	}, 0, true)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2, 3}, ids(batch), "a region of two ranges comes once")
	limited, err := core.BatchScanRegions([]*pdpb.KeyRange{{}}, 2, false)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, ids(limited))
}

// A hole is told to who asks for all of a range.
func TestScanHole(t *testing.T) {
	core, _ := newCore(t, 3)
	require.NoError(t, heartbeat(t, core, regionAt(2, 3))) // drops region 1, which covered everything
	_, err := core.BatchScanRegions([]*pdpb.KeyRange{{StartKey: []byte{1}, EndKey: []byte{3}}}, 0, true)
	var e *pd.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, pdpb.ErrorType_REGIONS_NOT_CONTAIN_ALL_KEY_RANGE, e.Type)
	got, err := core.BatchScanRegions([]*pdpb.KeyRange{{StartKey: []byte{2}, EndKey: []byte{3}}}, 0, true)
	require.NoError(t, err)
	require.Equal(t, []uint64{2}, ids(got))
}

// Regions are known again at once after a restart, split and all.
func TestRegionsSurvive(t *testing.T) {
	state, c := pd.NewMemoryState(), &clock{}
	ctx := context.Background()
	core := openCore(t, state, c)
	require.NoError(t, core.Bootstrap(ctx, storeN(1), region(1, 101, 1)))
	for id := uint64(1); id <= 200; id++ {
		require.NoError(t, heartbeat(t, core, regionAt(id, 200)))
	}
	require.NoError(t, core.Tick(ctx))
	core = openCore(t, state, c)
	for id := uint64(1); id <= 200; id++ {
		r, err := core.Region([]byte{byte(id)})
		require.NoError(t, err)
		require.Equal(t, id, r.Region.Id)
	}
}

// Ids for a split: one for each new region and for each of its peers, all different.
func TestAskBatchSplit(t *testing.T) {
	core, _ := newCore(t, 3)
	r := regionAt(1, 1)
	got, err := core.AskBatchSplit(context.Background(), r, 10)
	require.NoError(t, err)
	seen := make(map[uint64]bool)
	for _, id := range got {
		require.Len(t, id.NewPeerIds, 3)
		for _, v := range append(id.NewPeerIds, id.NewRegionId) {
			require.False(t, seen[v])
			seen[v] = true
		}
	}
	require.Len(t, seen, 40)
	_, err = core.AskBatchSplit(context.Background(), r, 11)
	require.Error(t, err)
}

// Safe points: they only rise, barriers hold the txn safe point, expired ones do not.
func TestGC(t *testing.T) {
	core, c := newCore(t, 1)
	ctx := context.Background()
	_, ts, err := core.UpdateGCSafePoint(ctx, 100)
	require.NoError(t, err)
	require.EqualValues(t, 100, ts)
	_, ts, err = core.UpdateGCSafePoint(ctx, 50)
	require.NoError(t, err)
	require.EqualValues(t, 100, ts)

	_, err = core.SetGCBarrier(ctx, "backup", 200, 60)
	require.NoError(t, err)
	_, err = core.SetGCBarrier(ctx, "late", 99, 60)
	require.Error(t, err)
	_, ts, blocker, err := core.AdvanceTxnSafePoint(ctx, 300)
	require.NoError(t, err)
	require.EqualValues(t, 200, ts)
	require.Contains(t, blocker, "backup")
	c.advance(61e9)
	_, ts, _, err = core.AdvanceTxnSafePoint(ctx, 300)
	require.NoError(t, err)
	require.EqualValues(t, 300, ts)
	_, _, err = core.AdvanceGCSafePoint(ctx, 301)
	require.Error(t, err)

	service, _, least, err := core.UpdateServiceGCSafePoint(ctx, "cdc", 400, 10)
	require.NoError(t, err)
	require.Equal(t, "cdc", service)
	require.EqualValues(t, 400, least)
	service, _, least, err = core.UpdateServiceGCSafePoint(ctx, "gc_worker", 500, 1<<62)
	require.NoError(t, err)
	require.Equal(t, "cdc", service)
	require.EqualValues(t, 400, least)
}

// A barrier lives as long as was asked, also one that is set at the end of a second.
func TestBarrierLivesItsTime(t *testing.T) {
	core, c := newCore(t, 1)
	ctx := context.Background()
	c.advance(999e6)
	_, err := core.SetGCBarrier(ctx, "gateway", 200, 1)
	require.NoError(t, err)
	c.advance(900e6)
	_, ts, _, err := core.AdvanceTxnSafePoint(ctx, 300)
	require.NoError(t, err)
	require.EqualValues(t, 200, ts)
}

// Clients that ask etcd find the txn safe point where TiDB would have written it.
func TestSafePointForOlderClients(t *testing.T) {
	const key = "/tidb/store/gcworker/saved_safe_point"
	state, ctx := pd.NewMemoryState(), context.Background()
	core := openCore(t, state, &clock{time.Unix(1_700_000_000, 0)})
	saved := func() string {
		pairs, err := state.Load(ctx, key)
		require.NoError(t, err)
		require.Len(t, pairs, 1)
		return string(pairs[0].Value)
	}
	_, _, _, err := core.AdvanceTxnSafePoint(ctx, 300)
	require.NoError(t, err)
	require.Equal(t, "300", saved())
	_, _, err = core.UpdateGCSafePoint(ctx, 200)
	require.NoError(t, err)
	require.Equal(t, "300", saved(), "transactions are refused up to there")
	_, _, err = core.UpdateGCSafePoint(ctx, 400)
	require.NoError(t, err)
	require.Equal(t, "400", saved())
}
