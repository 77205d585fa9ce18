package kvservice_test

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/storagetest"
)

// batchOne sends one command on a stream of its own.
func batchOne(t *testing.T, client tikvpb.TikvClient, cmd *tikvpb.BatchCommandsRequest_Request) *tikvpb.BatchCommandsResponse_Response {
	t.Helper()
	stream, err := client.BatchCommands(context.Background())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&tikvpb.BatchCommandsRequest{Requests: []*tikvpb.BatchCommandsRequest_Request{cmd}, RequestIds: []uint64{7}}))
	require.NoError(t, stream.CloseSend())
	resp, err := stream.Recv()
	require.NoError(t, err)
	require.Len(t, resp.Responses, 1)
	return resp.Responses[0]
}

// The raw API as unary calls and inside of batches, on the same data.
func TestRaw(t *testing.T) {
	s, _ := newService(t)
	client := serve(t, s)
	ctx, pb := context.Background(), storagetest.Context()
	put, err := client.RawBatchPut(ctx, &kvrpcpb.RawBatchPutRequest{Context: pb, Pairs: []*kvrpcpb.KvPair{
		{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte("2")}, {Key: []byte("c"), Value: []byte("3")},
	}})
	require.NoError(t, err)
	require.Empty(t, put.Error)
	got := batchOne(t, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_RawGet{
		RawGet: &kvrpcpb.RawGetRequest{Context: pb, Key: []byte("b")},
	}})
	require.Equal(t, "2", string(got.GetRawGet().GetValue()))
	cas, err := client.RawCompareAndSwap(ctx, &kvrpcpb.RawCASRequest{Context: pb, Key: []byte("b"), Value: []byte("4"), PreviousValue: []byte("2")})
	require.NoError(t, err)
	require.True(t, cas.Succeed)
	scanned, err := client.RawBatchScan(ctx, &kvrpcpb.RawBatchScanRequest{Context: pb, EachLimit: 2, Ranges: []*kvrpcpb.KeyRange{
		{StartKey: []byte("a"), EndKey: []byte("d")}, {StartKey: []byte("b"), EndKey: []byte("c")},
	}})
	require.NoError(t, err)
	var values string
	for _, kv := range scanned.Kvs {
		values += string(kv.Value)
	}
	require.Equal(t, "144", values)

	elsewhere := storagetest.Context()
	elsewhere.RegionId = 1234
	got = batchOne(t, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_RawDelete{
		RawDelete: &kvrpcpb.RawDeleteRequest{Context: elsewhere, Key: []byte("b")},
	}})
	require.NotNil(t, got.GetRawDelete().GetRegionError())

	plugin, err := client.RawCoprocessor(ctx, &kvrpcpb.RawCoprocessorRequest{Context: pb, CoprName: "counter"})
	require.NoError(t, err)
	require.Contains(t, plugin.Error, "counter")
	got = batchOne(t, client, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_RawCoprocessor{
		RawCoprocessor: &kvrpcpb.RawCoprocessorRequest{Context: pb, CoprName: "counter"},
	}})
	require.Equal(t, plugin, got.GetRawCoprocessor())
}
