package node_test

import (
	"context"
	"testing"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/server/node"
)

// A client that reaches one store reaches the others through it, by calls and by batches.
func TestForwarding(t *testing.T) {
	r := newRegionErrors(t, node.ClusterOptions{Stores: 2})
	near, far := r.cluster.Stores()[0], r.cluster.Stores()[1]
	client := clientOf(t, near)
	to := func(addr string) context.Context {
		return metadata.AppendToOutgoingContext(testContext(t), "tikv-forwarded-host", addr)
	}
	answeredBy := func(ctx context.Context) uint64 {
		resp, err := client.GetHealthFeedback(ctx, &kvrpcpb.GetHealthFeedbackRequest{})
		require.NoError(t, err)
		return resp.HealthFeedback.GetStoreId()
	}
	require.Equal(t, near.ID(), answeredBy(testContext(t)))
	require.Equal(t, far.ID(), answeredBy(to(far.Addr())))
	require.Equal(t, near.ID(), answeredBy(to(near.Addr())), "a store need not forward to itself")

	stream, err := client.BatchCommands(to(far.Addr()))
	require.NoError(t, err)
	for id := range uint64(10) {
		require.NoError(t, stream.Send(&tikvpb.BatchCommandsRequest{RequestIds: []uint64{id}, Requests: []*tikvpb.BatchCommandsRequest_Request{
			{Cmd: &tikvpb.BatchCommandsRequest_Request_GetHealthFeedback{GetHealthFeedback: &kvrpcpb.GetHealthFeedbackRequest{}}},
		}}))
	}
	require.NoError(t, stream.CloseSend())
	for got := 0; got < 10; {
		resp, err := stream.Recv()
		require.NoError(t, err)
		for _, c := range resp.Responses {
			require.Equal(t, far.ID(), c.GetGetHealthFeedback().GetHealthFeedback().GetStoreId())
			got++
		}
	}
	_, err = stream.Recv()
	require.ErrorContains(t, err, "EOF")

	// What goes wrong there is told here.
	_, err = client.KvGet(to(far.Addr()), &kvrpcpb.GetRequest{Context: &kvrpcpb.Context{ClusterId: 99}})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	get, err := client.KvGet(to(far.Addr()), &kvrpcpb.GetRequest{Context: &kvrpcpb.Context{Peer: &metapb.Peer{StoreId: near.ID()}}})
	require.NoError(t, err)
	require.Equal(t, far.ID(), get.RegionError.GetStoreNotMatch().GetActualStoreId())

	// Who is not of the cluster gets nothing, and other streams are not forwarded.
	stranger := to("127.0.0.1:1")
	_, err = client.GetHealthFeedback(stranger, &kvrpcpb.GetHealthFeedbackRequest{})
	require.Equal(t, codes.NotFound, status.Code(err))
	strangers, err := client.BatchCommands(stranger)
	require.NoError(t, err)
	_, err = strangers.Recv()
	require.Equal(t, codes.NotFound, status.Code(err))
	rows, err := client.CoprocessorStream(to(far.Addr()), &copb.Request{})
	require.NoError(t, err)
	_, err = rows.Recv()
	require.Equal(t, codes.Unimplemented, status.Code(err))
}
