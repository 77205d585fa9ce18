package kvservice_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/raw"
	"github.com/scree-db/scree/storage/storagetest"
	"github.com/scree-db/scree/storage/txn"
)

const clusterID = 99

// splitter records the keys it is asked to split at.
type splitter struct {
	keys    [][]byte
	regions []raftstore.RegionStatus
}

func (s *splitter) Regions() []raftstore.RegionStatus { return s.regions }

func (s *splitter) SplitRegion(_ context.Context, _ storage.Region, keys [][]byte) ([]*metapb.Region, error) {
	s.keys = keys
	out := []*metapb.Region{{Id: 2, EndKey: keys[0]}}
	for i, k := range keys {
		r := &metapb.Region{Id: uint64(i) + 3, StartKey: k}
		if i+1 < len(keys) {
			r.EndKey = keys[i+1]
		}
		out = append(out, r)
	}
	return out, nil
}

func newService(t *testing.T) (*kvservice.Service, *splitter) {
	return newServiceOf(t, kvrpcpb.APIVersion_V1)
}

func newServiceOf(t *testing.T, api kvrpcpb.APIVersion) (*kvservice.Service, *splitter) {
	store := storagetest.New(t)
	locks, split := txn.NewConcurrency(), &splitter{}
	return kvservice.New(kvservice.Deps{
		ClusterID: clusterID, StoreID: storagetest.StoreID, Txn: txn.NewManager(store, locks, txn.ManagerOptions{}), Raw: raw.New(store, raw.Options{API: api, Now: time.Now}),
		API:         api,
		Coprocessor: coprocessor.NewEndpoint(store, locks, coprocessor.Options{}), Splitter: split,
	}), split
}

// serve runs a service on loopback and returns a client of it.
func serve(t *testing.T, s *kvservice.Service) tikvpb.TikvClient {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	tikvpb.RegisterTikvServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-served)
	})
	return tikvpb.NewTikvClient(conn)
}

func put(t *testing.T, s tikvpb.TikvServer, key, val string, startTS uint64) {
	t.Helper()
	ctx := context.Background()
	pre, err := s.KvPrewrite(ctx, &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), PrimaryLock: []byte(key), StartVersion: startTS, LockTtl: 3000,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte(val)}},
	})
	require.NoError(t, err)
	require.Empty(t, pre.Errors)
	commit, err := s.KvCommit(ctx, &kvrpcpb.CommitRequest{
		Context: storagetest.Context(), StartVersion: startTS, CommitVersion: startTS + 1, Keys: [][]byte{[]byte(key)},
	})
	require.NoError(t, err)
	require.Nil(t, commit.Error)
}

// Many commands in flight on one stream: every one is answered once, under its id, whatever the grouping; unknown ones
// fail alone, and a probe waits as long as it asks for without holding up the others.
func TestBatchCommands(t *testing.T) {
	s, _ := newService(t)
	client := serve(t, s)
	const keys = 300
	for i := range keys {
		put(t, s, fmt.Sprintf("k%d", i), fmt.Sprintf("v%d", i), uint64(10*i+10))
	}
	stream, err := client.BatchCommands(context.Background())
	require.NoError(t, err)
	batch := &tikvpb.BatchCommandsRequest{}
	add := func(id uint64, cmd *tikvpb.BatchCommandsRequest_Request) {
		batch.Requests, batch.RequestIds = append(batch.Requests, cmd), append(batch.RequestIds, id)
	}
	const slow, probe, unknown = 5000, 5001, 5002
	add(slow, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Empty{
		Empty: &tikvpb.BatchCommandsEmptyRequest{TestId: 1, DelayTime: 20},
	}})
	add(probe, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Empty{
		Empty: &tikvpb.BatchCommandsEmptyRequest{TestId: 2},
	}})
	add(unknown, &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_GC{GC: &kvrpcpb.GCRequest{}}})
	for i := range keys {
		add(uint64(i), &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Get{
			Get: &kvrpcpb.GetRequest{Context: storagetest.Context(), Key: fmt.Appendf(nil, "k%d", i), Version: 1 << 40},
		}})
	}
	require.NoError(t, stream.Send(batch))
	require.NoError(t, stream.CloseSend())
	answers := make(map[uint64]*tikvpb.BatchCommandsResponse_Response)
	for len(answers) < len(batch.Requests) {
		resp, err := stream.Recv()
		require.NoError(t, err)
		for i, id := range resp.RequestIds {
			require.NotContains(t, answers, id)
			answers[id] = resp.Responses[i]
		}
	}
	for i := range keys {
		require.Equal(t, fmt.Sprintf("v%d", i), string(answers[uint64(i)].GetGet().GetValue()))
	}
	require.EqualValues(t, 1, answers[slow].GetEmpty().GetTestId())
	require.EqualValues(t, 2, answers[probe].GetEmpty().GetTestId())
	require.Nil(t, answers[unknown].Cmd)
	_, err = stream.Recv()
	require.Error(t, err, "the stream ends after the last answer")
}

// What a transaction flushes it reads back, the status that it tells reaches readers, and the health that a client asks for
// is on the message as well as in the answer. A stream without order asks one thing at a time here.
func TestBatchOfFlushes(t *testing.T) {
	s, _ := newService(t)
	stream, err := serve(t, s).BatchCommands(context.Background())
	require.NoError(t, err)
	ask := func(cmd *tikvpb.BatchCommandsRequest_Request) *tikvpb.BatchCommandsResponse {
		require.NoError(t, stream.Send(&tikvpb.BatchCommandsRequest{Requests: []*tikvpb.BatchCommandsRequest_Request{cmd}, RequestIds: []uint64{1}}))
		resp, err := stream.Recv()
		require.NoError(t, err)
		return resp
	}
	rc := storagetest.Context()
	flushed := ask(&tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Flush{Flush: &kvrpcpb.FlushRequest{
		Context: rc, StartTs: 10, PrimaryKey: []byte("a"), Generation: 1, LockTtl: 3000,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte("a"), Value: []byte("1")}, {Op: kvrpcpb.Op_Del, Key: []byte("b")}},
	}}}).Responses[0].GetFlush()
	require.NotNil(t, flushed)
	require.Empty(t, flushed.Errors)

	own := ask(&tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_BufferBatchGet{
		BufferBatchGet: &kvrpcpb.BufferBatchGetRequest{Context: rc, Version: 10, Keys: [][]byte{[]byte("a"), []byte("b"), []byte("c")}},
	}}).Responses[0].GetBufferBatchGet()
	require.Len(t, own.GetPairs(), 2)

	told := ask(&tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_BroadcastTxnStatus{
		BroadcastTxnStatus: &kvrpcpb.BroadcastTxnStatusRequest{TxnStatus: []*kvrpcpb.TxnStatus{{StartTs: 10, MinCommitTs: 30}}},
	}})
	require.NotNil(t, told.Responses[0].GetBroadcastTxnStatus())
	for ts, passes := range map[uint64]bool{29: true, 30: false} {
		got := ask(&tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Get{
			Get: &kvrpcpb.GetRequest{Context: rc, Key: []byte("a"), Version: ts},
		}}).Responses[0].GetGet()
		require.Equal(t, passes, got.GetNotFound())
		require.Equal(t, passes, got.GetError().GetLocked() == nil)
	}

	health := ask(&tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_GetHealthFeedback{
		GetHealthFeedback: &kvrpcpb.GetHealthFeedbackRequest{},
	}})
	require.Equal(t, health.Responses[0].GetGetHealthFeedback().GetHealthFeedback(), health.GetHealthFeedback())
	require.NotNil(t, health.HealthFeedback)
	require.NoError(t, stream.CloseSend())
}

// A batch whose ids do not match its requests cannot be answered: the stream fails.
func TestBatchCommandsMismatch(t *testing.T) {
	s, _ := newService(t)
	stream, err := serve(t, s).BatchCommands(context.Background())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&tikvpb.BatchCommandsRequest{RequestIds: []uint64{1}}))
	_, err = stream.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// Where each kind of refusal stands: the cluster in the status, API version and region in the response.
// Requests that wait for a lock are listed, for people who look for what holds them up.
func TestLockWaitInfo(t *testing.T) {
	s, _ := newService(t)
	lock := func(start uint64) *kvrpcpb.PessimisticLockRequest {
		return &kvrpcpb.PessimisticLockRequest{
			Context: storagetest.Context(), StartVersion: start, ForUpdateTs: start, PrimaryLock: []byte("a"), LockTtl: 3000,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_PessimisticLock, Key: []byte("a")}},
		}
	}
	held, err := s.KvPessimisticLock(t.Context(), lock(10))
	require.NoError(t, err)
	require.Empty(t, held.Errors)
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() {
		_, err := s.KvPessimisticLock(ctx, lock(20))
		waited <- err
	}()
	client := serve(t, s)
	var info *kvrpcpb.GetLockWaitInfoResponse
	require.Eventually(t, func() bool {
		info, err = client.GetLockWaitInfo(t.Context(), &kvrpcpb.GetLockWaitInfoRequest{})
		require.NoError(t, err)
		return len(info.Entries) == 1
	}, time.Minute, time.Millisecond)
	require.Equal(t, []uint64{20, 10}, []uint64{info.Entries[0].Txn, info.Entries[0].WaitForTxn})
	require.Equal(t, "a", string(info.Entries[0].Key))
	cancel()
	require.ErrorIs(t, <-waited, context.Canceled)
}

func TestRefusals(t *testing.T) {
	s, _ := newService(t)
	get := func(change func(*kvrpcpb.Context)) (*kvrpcpb.GetResponse, error) {
		c := storagetest.Context()
		change(c)
		return s.KvGet(context.Background(), &kvrpcpb.GetRequest{Context: c, Key: []byte("k"), Version: 5})
	}
	_, err := get(func(c *kvrpcpb.Context) { c.ClusterId = clusterID + 1 })
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	resp, err := get(func(c *kvrpcpb.Context) { c.ApiVersion = kvrpcpb.APIVersion_V2 })
	require.NoError(t, err)
	require.Contains(t, resp.Error.GetAbort(), "Api version in request does not match")
	resp, err = get(func(c *kvrpcpb.Context) { c.RegionId = 1234 })
	require.NoError(t, err)
	require.NotNil(t, resp.RegionError)
	resp, err = get(func(c *kvrpcpb.Context) { c.ClusterId = clusterID })
	require.NoError(t, err)
	require.True(t, resp.NotFound)
	_, err = serve(t, s).KvGC(context.Background(), &kvrpcpb.GCRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

// Keys to split at become encoded bounds, but for raw keys of API V1.
func TestSplitRegion(t *testing.T) {
	plain, encoded := []byte("m"), memcmp.AppendBytes(nil, []byte("m"))
	for _, c := range []struct {
		api   kvrpcpb.APIVersion
		raw   bool
		bound []byte
	}{{v1, false, encoded}, {v1, true, plain}, {v1ttl, true, plain}, {v2, true, encoded}, {v2, false, encoded}} {
		s, split := newServiceOf(t, c.api)
		resp, err := s.SplitRegion(context.Background(), &kvrpcpb.SplitRegionRequest{
			Context: storagetest.Context(), SplitKeys: [][]byte{plain}, IsRawKv: c.raw,
		})
		require.NoError(t, err)
		require.Equal(t, [][]byte{c.bound}, split.keys, "%v", c)
		require.Len(t, resp.Regions, 2)
		require.Equal(t, resp.Regions[0], resp.Left)
		_, err = s.SplitRegion(context.Background(), &kvrpcpb.SplitRegionRequest{Context: storagetest.Context()})
		require.Error(t, err)
	}
}

// A range is destroyed in the regions led here, as far as they overlap it.
func TestUnsafeDestroyRange(t *testing.T) {
	s, split := newService(t)
	for i, k := range []string{"a", "b", "c"} {
		put(t, s, k, "v", uint64(10*i+10))
	}
	destroy := func(start, end string) string {
		resp, err := s.UnsafeDestroyRange(context.Background(), &kvrpcpb.UnsafeDestroyRangeRequest{StartKey: []byte(start), EndKey: []byte(end)})
		require.NoError(t, err)
		return resp.Error
	}
	left := func() (keys string) {
		resp, err := s.KvScan(context.Background(), &kvrpcpb.ScanRequest{Context: storagetest.Context(), Limit: 10, Version: 1000})
		require.NoError(t, err)
		for _, p := range resp.Pairs {
			keys += string(p.Key)
		}
		return keys
	}
	here := raftstore.RegionStatus{Region: &metapb.Region{Id: storagetest.Context().RegionId}}
	split.regions = []raftstore.RegionStatus{here}
	require.Empty(t, destroy("a", "c"))
	require.Equal(t, "abc", left(), "another store leads the region")
	here.IsLeader = true
	split.regions = []raftstore.RegionStatus{here, {IsLeader: true, Region: &metapb.Region{Id: 1234, StartKey: memcmp.AppendBytes(nil, []byte("c"))}}}
	require.Empty(t, destroy("c", "b"))
	require.Empty(t, destroy("a", "b"))
	require.Equal(t, "bc", left())
	require.Contains(t, destroy("b", ""), "region 1234", "which has gone meanwhile")
	require.Empty(t, left())
}

// Raw pairs of the range go as well, whatever their family and form.
func TestUnsafeDestroyRangeOfRawPairs(t *testing.T) {
	for _, api := range []kvrpcpb.APIVersion{v1, v1ttl, v2} {
		s, split := newServiceOf(t, api)
		split.regions = []raftstore.RegionStatus{{IsLeader: true, Region: &metapb.Region{Id: storagetest.RegionID}}}
		ctx, pb := context.Background(), storagetest.Context()
		pb.ApiVersion = api
		const prefix = "r\x00\x00\x01" // of a keyspace under V2, of nothing else
		families := []string{"", "lock", "write"}
		if api == v2 {
			families = families[:1]
		}
		for _, cf := range families {
			for _, k := range []string{"a", "b", "c"} {
				resp, err := s.RawPut(ctx, &kvrpcpb.RawPutRequest{Context: pb, Key: []byte(prefix + k), Value: []byte("v"), Cf: cf})
				require.NoError(t, err)
				require.Empty(t, resp.Error)
			}
		}
		left := func(cf string) (keys string) {
			resp, err := s.RawScan(ctx, &kvrpcpb.RawScanRequest{Context: pb, StartKey: []byte("r"), EndKey: []byte("s"), Limit: 10, Cf: cf})
			require.NoError(t, err)
			for _, p := range resp.Kvs {
				keys += string(p.Key[len(prefix):])
			}
			return keys
		}
		for _, step := range []struct{ start, end, left string }{{prefix + "b", prefix + "c", "ac"}, {"x", "", "ac"}, {"r", "s", ""}} {
			resp, err := s.UnsafeDestroyRange(ctx, &kvrpcpb.UnsafeDestroyRangeRequest{StartKey: []byte(step.start), EndKey: []byte(step.end)})
			require.NoError(t, err)
			require.Empty(t, resp.Error)
			for _, cf := range families {
				require.Equal(t, step.left, left(cf), "%s %q", api, cf)
			}
		}
	}
}
