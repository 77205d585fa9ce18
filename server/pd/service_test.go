package pd_test

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/pd"
)

// A client's day: the mode of service, timestamps in batches, stores, and regions in every way that clients of any age
// ask for them.
func TestClientCalls(t *testing.T) {
	s := startServer(t, t.TempDir())
	defer func() { require.NoError(t, s.Close()) }()
	ctx := context.Background()
	core := s.Core()
	require.NoError(t, core.Bootstrap(ctx, storeN(1), region(1, 101, 1)))
	for id := uint64(2); id <= 3; id++ {
		require.NoError(t, core.PutStore(ctx, storeN(id)))
	}
	for id := uint64(1); id <= 3; id++ {
		require.NoError(t, heartbeat(t, core, regionAt(id, 3)))
	}
	client := pdpb.NewPDClient(dial(t, s))
	h := &pdpb.RequestHeader{ClusterId: core.ClusterID()}

	info, err := client.GetClusterInfo(ctx, &pdpb.GetClusterInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, []pdpb.ServiceMode{pdpb.ServiceMode_PD_SVC_MODE}, info.ServiceModes)

	tso, err := client.Tso(ctx)
	require.NoError(t, err)
	var last pd.Timestamp
	for _, count := range []uint32{1, 100, 7} {
		require.NoError(t, tso.Send(&pdpb.TsoRequest{Header: h, Count: count}))
		resp, err := tso.Recv()
		require.NoError(t, err)
		require.Equal(t, count, resp.Count)
		ts := pd.Timestamp(resp.Timestamp.Physical<<18 | resp.Timestamp.Logical)
		require.Greater(t, ts-pd.Timestamp(count)+1, last)
		last = ts
	}

	_, err = client.GetStore(ctx, &pdpb.GetStoreRequest{Header: h, StoreId: 44})
	require.ErrorContains(t, err, "invalid store ID 44, not found")
	stores, err := client.GetAllStores(ctx, &pdpb.GetAllStoresRequest{Header: h})
	require.NoError(t, err)
	require.Len(t, stores.Stores, 3)

	scan, err := client.ScanRegions(ctx, &pdpb.ScanRegionsRequest{Header: h, StartKey: []byte{2}})
	require.NoError(t, err)
	require.Equal(t, []uint64{2, 3}, ids(scan.Regions))
	require.Len(t, scan.RegionMetas, 2)
	require.Len(t, scan.Leaders, 2)
	prev, err := client.GetPrevRegion(ctx, &pdpb.GetRegionRequest{Header: h, RegionKey: []byte{2}})
	require.NoError(t, err)
	require.EqualValues(t, 1, prev.Region.Id)
	none, err := client.GetRegionByID(ctx, &pdpb.GetRegionByIDRequest{Header: h, RegionId: 99})
	require.NoError(t, err)
	require.Nil(t, none.Region)
	require.Nil(t, none.Header.Error)
	batch, err := client.BatchScanRegions(ctx, &pdpb.BatchScanRegionsRequest{Header: h,
		Ranges: []*pdpb.KeyRange{{StartKey: []byte{5}, EndKey: []byte{6}}, {StartKey: []byte{1}, EndKey: []byte{2}}}})
	require.NoError(t, err)
	require.Equal(t, pdpb.ErrorType_INVALID_VALUE, batch.Header.Error.Type)

	query, err := client.QueryRegion(ctx)
	require.NoError(t, err)
	require.NoError(t, query.Send(&pdpb.QueryRegionRequest{Header: h, Keys: [][]byte{{3}, {1}}, PrevKeys: [][]byte{{1}}, Ids: []uint64{2}}))
	answer, err := query.Recv()
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 1}, answer.KeyIdMap)
	require.Equal(t, []uint64{0}, answer.PrevKeyIdMap)
	require.Len(t, answer.RegionsById, 3)

	scatter, err := client.ScatterRegion(ctx, &pdpb.ScatterRegionRequest{Header: h, RegionsId: []uint64{1, 99}})
	require.NoError(t, err)
	require.EqualValues(t, 50, scatter.FinishedPercentage)
	op, err := client.GetOperator(ctx, &pdpb.GetOperatorRequest{Header: h, RegionId: 1})
	require.NoError(t, err)
	require.Equal(t, pdpb.OperatorStatus_SUCCESS, op.Status)
}

// A stale heartbeat is answered on the stream, which stays open.
func TestStaleHeartbeat(t *testing.T) {
	s := startServer(t, t.TempDir())
	defer func() { require.NoError(t, s.Close()) }()
	ctx := context.Background()
	core := s.Core()
	require.NoError(t, core.Bootstrap(ctx, storeN(1), region(1, 101, 1)))
	newer := region(1, 101, 1)
	newer.RegionEpoch.Version = 2
	require.NoError(t, heartbeat(t, core, newer))
	stream, err := pdpb.NewPDClient(dial(t, s)).RegionHeartbeat(ctx)
	require.NoError(t, err)
	old := region(1, 101, 1)
	for range 2 {
		require.NoError(t, stream.Send(&pdpb.RegionHeartbeatRequest{
			Header: &pdpb.RequestHeader{ClusterId: core.ClusterID()}, Region: old, Leader: old.Peers[0], Term: 5,
		}))
		resp, err := stream.Recv()
		require.NoError(t, err)
		require.Zero(t, resp.RegionId)
		require.Contains(t, resp.Header.Error.Message, "region is stale")
	}
}
