package pd_test

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/meta_storagepb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/scree-db/scree/server/pd"
)

func startServer(t *testing.T, dir string) *pd.Server {
	t.Helper()
	s, err := pd.Start(context.Background(), pd.Options{
		Dir: dir, ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0",
	})
	require.NoError(t, err)
	return s
}

func dial(t *testing.T, s *pd.Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// A member that is stopped and started again is the same cluster with the same regions and stores, hands out neither an
// id nor a timestamp twice, and answers pdpb and etcd on one port.
func TestServerRestart(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := startServer(t, dir)
	members, err := pdpb.NewPDClient(dial(t, s)).GetMembers(ctx, &pdpb.GetMembersRequest{})
	require.NoError(t, err)
	cluster := members.Header.ClusterId
	require.NotZero(t, cluster)
	require.Equal(t, []string{"http://" + s.Addr()}, members.Leader.ClientUrls)
	id, err := s.Core().AllocID(ctx, 3)
	require.NoError(t, err)
	require.NoError(t, s.Core().Bootstrap(ctx, store(id-2), region(id-1, id, id-2)))
	ts, err := s.Core().Oracle().Next(ctx, 10)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s = startServer(t, dir)
	defer func() { require.NoError(t, s.Close()) }()
	conn := dial(t, s)
	header := &pdpb.RequestHeader{ClusterId: cluster}
	client := pdpb.NewPDClient(conn)
	boot, err := client.IsBootstrapped(ctx, &pdpb.IsBootstrappedRequest{Header: header})
	require.NoError(t, err)
	require.True(t, boot.Bootstrapped)
	got, err := client.GetRegion(ctx, &pdpb.GetRegionRequest{Header: header, RegionKey: []byte("k")})
	require.NoError(t, err)
	require.Equal(t, id-1, got.Region.Id)
	next, err := s.Core().Oracle().Next(ctx, 1)
	require.NoError(t, err)
	require.Greater(t, next, ts)
	again, err := client.AllocID(ctx, &pdpb.AllocIDRequest{Header: header, Count: 1})
	require.NoError(t, err)
	require.Greater(t, again.Id, id)

	_, err = etcdserverpb.NewKVClient(conn).Range(ctx, &etcdserverpb.RangeRequest{Key: []byte("/tidb/store/gcworker/saved_safe_point")})
	require.NoError(t, err)
	list, err := etcdserverpb.NewClusterClient(conn).MemberList(ctx, &etcdserverpb.MemberListRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"http://" + s.Addr()}, list.Members[0].ClientURLs)
}

// Clients find and keep settings through the meta storage, and see them change.
func TestMetaStorage(t *testing.T) {
	s := startServer(t, t.TempDir())
	defer func() { require.NoError(t, s.Close()) }()
	ctx := context.Background()
	client := meta_storagepb.NewMetaStorageClient(dial(t, s))
	watch, err := client.Watch(ctx, &meta_storagepb.WatchRequest{Key: []byte("a"), RangeEnd: []byte("b"), StartRevision: 1})
	require.NoError(t, err)
	_, err = client.Put(ctx, &meta_storagepb.PutRequest{Key: []byte("a/1"), Value: []byte("x")})
	require.NoError(t, err)
	got, err := client.Get(ctx, &meta_storagepb.GetRequest{Key: []byte("a"), RangeEnd: []byte("b")})
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	require.Equal(t, "x", string(got.Kvs[0].Value))
	event, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, "a/1", string(event.Events[0].Kv.Key))
	gone, err := client.Delete(ctx, &meta_storagepb.DeleteRequest{Key: []byte("a/1"), PrevKv: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, gone.Deleted)
	event, err = watch.Recv()
	require.NoError(t, err)
	require.Equal(t, meta_storagepb.Event_DELETE, event.Events[0].Type)
}

// A request that names another cluster is refused, whatever it asks.
func TestWrongCluster(t *testing.T) {
	s := startServer(t, t.TempDir())
	defer func() { require.NoError(t, s.Close()) }()
	client := pdpb.NewPDClient(dial(t, s))
	header := &pdpb.RequestHeader{ClusterId: 1}
	_, err := client.AllocID(context.Background(), &pdpb.AllocIDRequest{Header: header})
	require.ErrorContains(t, err, "mismatch cluster id")
	stream, err := client.Tso(context.Background())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&pdpb.TsoRequest{Header: header, Count: 1}))
	_, err = stream.Recv()
	require.ErrorContains(t, err, "mismatch cluster id")
}

func store(id uint64) *metapb.Store {
	return &metapb.Store{Id: id, Address: "127.0.0.1:" + string(rune('0'+id%10)), Version: "8.5.0"}
}

func region(id, peer, store uint64) *metapb.Region {
	return &metapb.Region{
		Id: id, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1},
		Peers: []*metapb.Peer{{Id: peer, StoreId: store}},
	}
}
