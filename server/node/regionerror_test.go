package node_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/transport"
)

// The region errors of the protocol, each provoked at a running node and seen through gRPC.

// spaceFS is a file system whose free space a test sets.
type spaceFS struct {
	vfs.FS
	free atomic.Uint64
}

func (fs *spaceFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	const total = 1 << 40
	free := fs.free.Load()
	return vfs.DiskUsage{TotalBytes: total, AvailBytes: free, UsedBytes: total - free}, nil
}

// regionErrors is a cluster with a client of one of its stores.
type regionErrors struct {
	*testing.T
	cluster *node.Cluster
	client  tikvpb.TikvClient
}

func newRegionErrors(t *testing.T, o node.ClusterOptions) *regionErrors {
	o.Dir, o.CacheBytes = t.TempDir(), 8<<20
	o.Raft.TickInterval, o.Raft.PlacementInterval = 20*time.Millisecond, 200*time.Millisecond
	c, err := node.StartCluster(testContext(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.WaitReady(testContext(t)))
	return &regionErrors{T: t, cluster: c, client: clientOf(t, c.Stores()[0])}
}

func clientOf(t *testing.T, s *node.Store) tikvpb.TikvClient {
	conn, err := transport.Dial(s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return tikvpb.NewTikvClient(conn)
}

// at is the context of a client that knows the region of a key right.
func (r *regionErrors) at(encodedKey []byte) *kvrpcpb.Context {
	region, leader, err := r.cluster.Placement().Region(context.Background(), encodedKey)
	require.NoError(r, err)
	require.NotNil(r, leader)
	epoch := *region.RegionEpoch
	return &kvrpcpb.Context{RegionId: region.Id, RegionEpoch: &epoch, Peer: &metapb.Peer{Id: leader.Id, StoreId: leader.StoreId}}
}

// request sends one kind of request for a key and returns its region error.
type request func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error)

var reads = map[string]request{
	"Get": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.KvGet(ctx, &kvrpcpb.GetRequest{Context: pb, Key: key, Version: 10})
		return resp.GetRegionError(), err
	},
	"BatchGet": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.KvBatchGet(ctx, &kvrpcpb.BatchGetRequest{Context: pb, Keys: [][]byte{key}, Version: 10})
		return resp.GetRegionError(), err
	},
	"RawGet": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.RawGet(ctx, &kvrpcpb.RawGetRequest{Context: pb, Key: key})
		return resp.GetRegionError(), err
	},
	"Coprocessor": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		data, err := scanDAG().Marshal()
		if err != nil {
			return nil, err
		}
		resp, err := c.Coprocessor(ctx, &copb.Request{
			Context: pb, Tp: 103, StartTs: 10, Data: data, Ranges: []*copb.KeyRange{{Start: key, End: append(key[:len(key):len(key)], 0)}},
		})
		return resp.GetRegionError(), err
	},
}

var writes = map[string]request{
	"Prewrite": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.KvPrewrite(ctx, &kvrpcpb.PrewriteRequest{
			Context: pb, PrimaryLock: key, StartVersion: 20, LockTtl: 3000, Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key}},
		})
		return resp.GetRegionError(), err
	},
	"BatchRollback": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.KvBatchRollback(ctx, &kvrpcpb.BatchRollbackRequest{Context: pb, StartVersion: 30, Keys: [][]byte{key}})
		return resp.GetRegionError(), err
	},
	"RawPut": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.RawPut(ctx, &kvrpcpb.RawPutRequest{Context: pb, Key: key, Value: []byte("v")})
		return resp.GetRegionError(), err
	},
	"SplitRegion": func(ctx context.Context, c tikvpb.TikvClient, pb *kvrpcpb.Context, key []byte) (*errorpb.Error, error) {
		resp, err := c.SplitRegion(ctx, &kvrpcpb.SplitRegionRequest{Context: pb, SplitKeys: [][]byte{key}})
		return resp.GetRegionError(), err
	},
}

// each runs check for every request, of reads and writes, as a test of its own.
func (r *regionErrors) each(pb func() *kvrpcpb.Context, key []byte, check func(t *testing.T, e *errorpb.Error), kinds ...map[string]request) {
	for _, requests := range kinds {
		for name, send := range requests {
			r.Run(name, func(t *testing.T) {
				e, err := send(testContext(t), r.client, pb(), key)
				require.NoError(t, err)
				require.NotNil(t, e)
				require.NotEmpty(t, e.Message)
				check(t, e)
			})
		}
	}
}

// rowKey is a key of the test's table.
func rowKey(id int64) []byte { return tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(id)) }

// What a request may get wrong about its region.
func TestRoutingErrors(t *testing.T) {
	r := newRegionErrors(t, node.ClusterOptions{})
	old := r.at(nil)
	split, err := r.client.SplitRegion(testContext(t), &kvrpcpb.SplitRegionRequest{Context: old, SplitKeys: [][]byte{rowKey(100)}})
	require.NoError(t, err)
	require.Len(t, split.Regions, 2)
	left, right := split.Regions[0], split.Regions[1]
	known := func(change func(*kvrpcpb.Context)) func() *kvrpcpb.Context {
		return func() *kvrpcpb.Context {
			pb := &kvrpcpb.Context{RegionId: right.Id, RegionEpoch: right.RegionEpoch, Peer: &metapb.Peer{Id: right.Peers[0].Id, StoreId: right.Peers[0].StoreId}}
			change(pb)
			return pb
		}
	}
	for _, c := range []struct {
		name   string
		change func(*kvrpcpb.Context)
		key    []byte
		check  func(t *testing.T, e *errorpb.Error)
	}{
		{"StoreNotMatch", func(pb *kvrpcpb.Context) { pb.Peer.StoreId = 99 }, rowKey(200), func(t *testing.T, e *errorpb.Error) {
			require.Equal(t, &errorpb.StoreNotMatch{RequestStoreId: 99, ActualStoreId: right.Peers[0].StoreId}, e.StoreNotMatch)
		}},
		{"MismatchPeerId", func(pb *kvrpcpb.Context) { pb.Peer.Id = 99 }, rowKey(200), func(t *testing.T, e *errorpb.Error) {
			require.Equal(t, &errorpb.MismatchPeerId{RequestPeerId: 99, StorePeerId: right.Peers[0].Id}, e.MismatchPeerId)
		}},
		{"RegionNotFound", func(pb *kvrpcpb.Context) { pb.RegionId = 99 }, rowKey(200), func(t *testing.T, e *errorpb.Error) {
			require.EqualValues(t, 99, e.RegionNotFound.GetRegionId())
		}},
		{"EpochNotMatch", func(pb *kvrpcpb.Context) { pb.RegionEpoch = old.RegionEpoch }, rowKey(200), func(t *testing.T, e *errorpb.Error) {
			require.ElementsMatch(t, []uint64{left.Id, right.Id}, ids(e.EpochNotMatch.GetCurrentRegions()), "what the region was split into")
		}},
		{"EpochOfTheFuture", func(pb *kvrpcpb.Context) { pb.RegionEpoch = &metapb.RegionEpoch{ConfVer: 1, Version: 99} }, rowKey(200), func(t *testing.T, e *errorpb.Error) {
			require.Equal(t, []uint64{right.Id}, ids(e.EpochNotMatch.GetCurrentRegions()))
		}},
		{"StaleCommand", func(pb *kvrpcpb.Context) { pb.Term = 1 }, rowKey(200), func(t *testing.T, e *errorpb.Error) {
			require.NotNil(t, e.StaleCommand)
		}},
		{"KeyNotInRegion", func(*kvrpcpb.Context) {}, rowKey(1), func(t *testing.T, e *errorpb.Error) {
			require.Equal(t, right.Id, e.KeyNotInRegion.GetRegionId())
			require.Equal(t, right.StartKey, e.KeyNotInRegion.StartKey)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sub := *r
			sub.T = t
			sub.each(known(c.change), c.key, c.check, reads, writes)
		})
	}
	t.Run("ConfVerOfASplit", func(t *testing.T) {
		pb := known(func(pb *kvrpcpb.Context) {
			pb.RegionEpoch = &metapb.RegionEpoch{ConfVer: right.RegionEpoch.ConfVer + 1, Version: right.RegionEpoch.Version}
		})()
		e, err := writes["SplitRegion"](testContext(t), r.client, pb, rowKey(300))
		require.NoError(t, err)
		require.NotNil(t, e.GetEpochNotMatch())
	})
	_, err = r.client.KvGet(testContext(t), &kvrpcpb.GetRequest{Context: known(func(pb *kvrpcpb.Context) { pb.ClusterId = 99 })(), Key: rowKey(200)})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "another cluster")
}

func ids(regions []*metapb.Region) (out []uint64) {
	for _, r := range regions {
		out = append(out, r.Id)
	}
	return out
}

// A write that does not fit into one entry of the log.
func TestRaftEntryTooLarge(t *testing.T) {
	r := newRegionErrors(t, node.ClusterOptions{Raft: raftstore.Config{EntryBytesMax: 1 << 20}})
	put := func(size int) *errorpb.Error {
		resp, err := r.client.RawPut(testContext(t), &kvrpcpb.RawPutRequest{Context: r.at(nil), Key: []byte("k"), Value: make([]byte, size)})
		require.NoError(t, err)
		return resp.RegionError
	}
	require.Nil(t, put(1<<20-1<<10))
	e := put(1 << 20)
	require.NotNil(t, e.GetRaftEntryTooLarge())
	require.Greater(t, e.RaftEntryTooLarge.EntrySize, uint64(1<<20))
}

// More writes at a time than may wait: some are refused, and those that are not are kept.
func TestServerIsBusy(t *testing.T) {
	r := newRegionErrors(t, node.ClusterOptions{Raft: raftstore.Config{PendingBytesMax: 64 << 10}})
	pb := r.at(nil)
	refused := make(map[string]bool)
	for round := 0; len(refused) == 0; round++ {
		require.Less(t, round, 1000)
		var mu sync.Mutex
		var writers sync.WaitGroup
		for i := range 32 {
			writers.Add(1)
			go func() {
				defer writers.Done()
				key := fmt.Sprintf("%d-%d", round, i)
				resp, err := r.client.RawPut(context.Background(), &kvrpcpb.RawPutRequest{Context: pb, Key: []byte(key), Value: make([]byte, 20<<10)})
				busy := resp.GetRegionError().GetServerIsBusy()
				if err != nil || resp.RegionError != nil && busy.GetReason() == "" {
					t.Errorf("%v, %v", err, resp)
				}
				if busy != nil {
					mu.Lock()
					defer mu.Unlock()
					refused[key] = true
				}
			}()
		}
		writers.Wait()
	}
	for i := range 32 {
		key := fmt.Sprintf("0-%d", i)
		resp, err := r.client.RawGet(testContext(t), &kvrpcpb.RawGetRequest{Context: pb, Key: []byte(key)})
		require.NoError(t, err)
		require.Equal(t, refused[key], resp.NotFound)
	}
}

// A full disk takes no more data, but lets transactions end.
func TestDiskFull(t *testing.T) {
	fs := &spaceFS{FS: vfs.Default}
	fs.free.Store(math.MaxInt64)
	r := newRegionErrors(t, node.ClusterOptions{FS: fs})
	prewrite := func(key []byte) *errorpb.Error {
		e, err := writes["Prewrite"](testContext(t), r.client, r.at(nil), key)
		require.NoError(t, err)
		return e
	}
	require.Nil(t, prewrite(rowKey(1)))
	fs.free.Store(700 << 20)
	require.Eventually(t, func() bool {
		e, err := writes["RawPut"](testContext(t), r.client, r.at(nil), []byte("k"))
		return err == nil && e.GetDiskFull() != nil
	}, limit, 5*time.Millisecond)
	require.NotNil(t, prewrite(rowKey(2)).GetDiskFull())
	beat, err := r.client.KvTxnHeartBeat(testContext(t), &kvrpcpb.TxnHeartBeatRequest{
		Context: r.at(nil), StartVersion: 20, PrimaryLock: rowKey(1), AdviseLockTtl: 90_000,
	})
	require.NoError(t, err)
	require.EqualValues(t, 90_000, beat.LockTtl)
	allowed := r.at(nil)
	allowed.DiskFullOpt = kvrpcpb.DiskFullOpt_AllowedOnAlmostFull
	e, err := writes["RawPut"](testContext(t), r.client, allowed, []byte("k"))
	require.NoError(t, err)
	require.Nil(t, e)
	commit, err := r.client.KvCommit(testContext(t), &kvrpcpb.CommitRequest{
		Context: r.at(nil), StartVersion: 20, CommitVersion: 25, Keys: [][]byte{rowKey(1)},
	})
	require.NoError(t, err)
	require.Nil(t, commit.RegionError)
	require.Nil(t, commit.Error)
	fs.free.Store(math.MaxInt64)
	require.Eventually(t, func() bool {
		e, err := writes["RawPut"](testContext(t), r.client, r.at(nil), []byte("k"))
		return err == nil && e == nil
	}, limit, 5*time.Millisecond)
}

// skipWithoutLeader ends a test of what a follower says that waits for its leader: a slow machine may have taken so long to
// stop the leader that the follower has given it up.
func skipWithoutLeader(t *testing.T, e *errorpb.Error) {
	if e.GetNotLeader() != nil && e.NotLeader.Leader == nil {
		t.Skip("the leader was missed before it was asked")
	}
}

// What a follower says: who leads, as long as it knows; then that nobody does.
func TestFollowerErrors(t *testing.T) {
	r := newRegionErrors(t, node.ClusterOptions{Stores: 3})
	group := awaitReplicas(t, r.cluster)
	follower := group.followers[0]
	pb := func() *kvrpcpb.Context { return group.context(follower) }
	for _, s := range r.cluster.Stores() {
		if s.ID() == follower.StoreId {
			r.client = clientOf(t, s)
		}
	}
	t.Run("NotLeader", func(t *testing.T) {
		sub := *r
		sub.T = t
		sub.each(pb, rowKey(1), func(t *testing.T, e *errorpb.Error) {
			require.Equal(t, group.leadPeer, e.NotLeader.GetLeader())
			require.Equal(t, group.region.Id, e.NotLeader.RegionId)
		}, reads, writes)
	})
	t.Run("DataIsNotReady", func(t *testing.T) {
		stale := pb()
		stale.StaleRead = true
		resp, err := r.client.KvGet(testContext(t), &kvrpcpb.GetRequest{Context: stale, Key: rowKey(1), Version: math.MaxUint64 - 1})
		require.NoError(t, err)
		ready := resp.RegionError.GetDataIsNotReady()
		require.Equal(t, follower.Id, ready.GetPeerId())
		require.Equal(t, group.region.Id, ready.RegionId)
	})
	for _, s := range r.cluster.Stores() {
		if s.ID() != follower.StoreId {
			require.NoError(t, s.Close())
		}
	}
	replica := pb()
	replica.ReplicaRead = true
	t.Run("Deadline", func(t *testing.T) {
		hurried := *replica
		hurried.MaxExecutionDurationMs = 1
		e, err := reads["Get"](testContext(t), r.client, &hurried, rowKey(1))
		require.NoError(t, err)
		skipWithoutLeader(t, e)
		require.Contains(t, e.GetMessage(), "Deadline is exceeded")
	})
	t.Run("ReadIndexNotReady", func(t *testing.T) {
		e, err := reads["Get"](testContext(t), r.client, replica, rowKey(1))
		require.NoError(t, err)
		skipWithoutLeader(t, e)
		require.Equal(t, group.region.Id, e.GetReadIndexNotReady().GetRegionId(), "%v", e)
	})
	t.Run("NotLeaderWithoutHint", func(t *testing.T) {
		require.Eventually(t, func() bool {
			e, err := reads["Get"](testContext(t), r.client, pb(), rowKey(1))
			return err == nil && e.GetNotLeader() != nil && e.NotLeader.Leader == nil
		}, limit, 5*time.Millisecond)
	})
}

// A region whose data is being put back is closed to all but that and the reads of before; one that is not takes no steps of it.
func TestFlashbackErrors(t *testing.T) {
	r := newRegionErrors(t, node.ClusterOptions{})
	const version, startTS, commitTS = 3, 5, 40
	stream, err := r.client.BatchCommands(testContext(t))
	require.NoError(t, err)
	batched := func(cmd *tikvpb.BatchCommandsRequest_Request) *tikvpb.BatchCommandsResponse_Response {
		require.NoError(t, stream.Send(&tikvpb.BatchCommandsRequest{Requests: []*tikvpb.BatchCommandsRequest_Request{cmd}, RequestIds: []uint64{1}}))
		resp, err := stream.Recv()
		require.NoError(t, err)
		return resp.Responses[0]
	}
	flash := &kvrpcpb.FlashbackToVersionRequest{Context: r.at(nil), Version: version, StartTs: startTS, CommitTs: commitTS}
	batchedFlash := &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_FlashbackToVersion{FlashbackToVersion: flash}}
	region := r.at(nil).RegionId
	t.Run("FlashbackNotPrepared", func(t *testing.T) {
		resp, err := r.client.KvFlashbackToVersion(testContext(t), flash)
		require.NoError(t, err)
		require.Equal(t, &errorpb.FlashbackNotPrepared{RegionId: region}, resp.RegionError.GetFlashbackNotPrepared())
		again := batched(batchedFlash).GetFlashbackToVersion()
		require.Equal(t, region, again.GetRegionError().GetFlashbackNotPrepared().GetRegionId())
	})
	prepared := batched(&tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_PrepareFlashbackToVersion{
		PrepareFlashbackToVersion: &kvrpcpb.PrepareFlashbackToVersionRequest{Context: r.at(nil), Version: version, StartTs: startTS},
	}}).GetPrepareFlashbackToVersion()
	require.NotNil(t, prepared)
	require.Nil(t, prepared.RegionError)
	require.Empty(t, prepared.Error)
	t.Run("FlashbackInProgress", func(t *testing.T) {
		sub := *r
		sub.T = t
		sub.each(func() *kvrpcpb.Context { return r.at(nil) }, rowKey(1), func(t *testing.T, e *errorpb.Error) {
			require.Equal(t, &errorpb.FlashbackInProgress{RegionId: region, FlashbackStartTs: startTS}, e.FlashbackInProgress)
		}, reads, writes)
	})
	before, err := r.client.KvGet(testContext(t), &kvrpcpb.GetRequest{Context: r.at(nil), Key: rowKey(1), Version: startTS - 1})
	require.NoError(t, err)
	require.Nil(t, before.RegionError)

	finished := batched(batchedFlash).GetFlashbackToVersion()
	require.NotNil(t, finished)
	require.Nil(t, finished.RegionError)
	require.Empty(t, finished.Error)
	for _, requests := range []map[string]request{reads, writes} {
		for name, send := range requests {
			e, err := send(testContext(t), r.client, r.at(rowKey(2)), rowKey(2))
			require.NoError(t, err, name)
			require.Nil(t, e.GetFlashbackInProgress(), name)
		}
	}
	require.NoError(t, stream.CloseSend())
}
