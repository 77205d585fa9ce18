package resolvedts_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/resolvedts"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
	"github.com/scree-db/scree/storage/txn"
)

// regions is one region with peers on two stores, led by this one. It notes what its peer is told.
type regions struct {
	*storagetest.Store
	leads bool
	index uint64
	safe  uint64
}

func (r *regions) SharedRegions() []raftstore.RegionStatus {
	if !r.leads {
		return nil
	}
	region := storagetest.Region()
	region.Peers = append(region.Peers, &metapb.Peer{Id: 9, StoreId: 10})
	return []raftstore.RegionStatus{{
		Region: region, PeerID: storagetest.PeerID, IsLeader: true, Term: storagetest.Term,
	}}
}

func (r *regions) LeastSafeTS([]byte, []byte) uint64 {
	if r.safe == 0 {
		return math.MaxUint64
	}
	return r.safe
}

func (r *regions) AdvanceSafeTS(region, index, ts uint64) { r.index, r.safe = index, max(r.safe, ts) }

func (r *regions) Follows(region, leader, term uint64, epoch *metapb.RegionEpoch) bool {
	return leader == 9 && term == storagetest.Term && epoch.GetVersion() == 1
}

// rig is a tracker, and what its store's transactions do.
type rig struct {
	*testing.T
	regions *regions
	locks   *txn.Concurrency
	txn     *txn.Manager
	tracker *resolvedts.Tracker
	ts      uint64

	mu   sync.Mutex
	told map[uint64]*kvrpcpb.CheckLeaderRequest
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, regions: &regions{Store: storagetest.New(t), leads: true}, locks: txn.NewConcurrency(), told: map[uint64]*kvrpcpb.CheckLeaderRequest{}}
	r.locks.SetSynced(storagetest.RegionID, storagetest.Term, 0)
	r.txn = txn.NewManager(r.regions, r.locks, txn.ManagerOptions{})
	r.tracker = resolvedts.New(resolvedts.Deps{
		StoreID: storagetest.StoreID, Regions: r.regions, Locks: r.locks,
		TS: func(context.Context) (uint64, error) {
			if r.ts == 0 {
				return 0, errors.New("no placement driver")
			}
			return r.ts, nil
		},
		Tell: func(_ context.Context, store uint64, req *kvrpcpb.CheckLeaderRequest) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told[store] = req
			return nil
		},
	})
	return r
}

// resolved is what the other store is told when ts is handed out.
func (r *rig) resolved(ts uint64) uint64 {
	r.Helper()
	r.ts = ts
	require.NoError(r, r.tracker.Advance(context.Background()))
	req := r.told[10]
	require.Len(r, req.Regions, 1)
	info := req.Regions[0]
	require.EqualValues(r, storagetest.PeerID, info.PeerId)
	require.Equal(r, r.regions.index, info.ReadState.AppliedIndex)
	return info.ReadState.SafeTs
}

func (r *rig) prewrite(key string, startTS uint64, change func(*kvrpcpb.PrewriteRequest)) *kvrpcpb.PrewriteResponse {
	r.Helper()
	req := &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), PrimaryLock: []byte(key), StartVersion: startTS, LockTtl: 3000,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte("v")}},
	}
	change(req)
	resp, err := r.txn.Prewrite(context.Background(), req)
	require.NoError(r, err)
	require.Empty(r, resp.Errors)
	return resp
}

// Nothing is resolved beyond what a transaction under way may commit at.
func TestLocksHoldTheTimestampBack(t *testing.T) {
	r := newRig(t)
	require.EqualValues(t, 100, r.resolved(100), "nothing is under way")
	r.prewrite("two phases", 50, func(*kvrpcpb.PrewriteRequest) {})
	require.EqualValues(t, 49, r.resolved(110))
	require.EqualValues(t, 100, r.regions.safe, "what was resolved stays so")
	r.prewrite("changes nothing", 40, func(req *kvrpcpb.PrewriteRequest) { req.Mutations[0].Op = kvrpcpb.Op_Lock })
	require.EqualValues(t, 49, r.resolved(110))
	_, err := r.txn.BatchRollback(context.Background(), &kvrpcpb.BatchRollbackRequest{
		Context: storagetest.Context(), StartVersion: 50, Keys: [][]byte{[]byte("two phases")},
	})
	require.NoError(t, err)
	require.EqualValues(t, 120, r.resolved(120))
}

// A transaction that does not come to its end holds its keys, and the region for a while only.
func TestOldLocksDoNotCount(t *testing.T) {
	r := newRig(t)
	second := func(n uint64) uint64 { return n * 1000 << 18 }
	r.prewrite("k", second(100), func(*kvrpcpb.PrewriteRequest) {})
	require.Equal(t, second(100)-1, r.resolved(second(101)))
	require.Equal(t, second(100)-1, r.resolved(second(110)))
	require.Equal(t, second(111), r.resolved(second(111)))
	pb := storagetest.Context()
	pb.StaleRead = true
	resp, err := r.txn.Get(context.Background(), &kvrpcpb.GetRequest{Context: pb, Key: []byte("k"), Version: second(111)})
	require.NoError(t, err)
	require.NotNil(t, resp.Error.GetLocked())
}

// Transactions that choose their timestamps choose above what was resolved, and hold it back while they are under way.
func TestInMemoryLocksHoldTheTimestampBack(t *testing.T) {
	r := newRig(t)
	require.EqualValues(t, 100, r.resolved(100))
	async := r.prewrite("async", 60, func(req *kvrpcpb.PrewriteRequest) { req.UseAsyncCommit = true })
	require.Greater(t, async.MinCommitTs, uint64(100))
	require.Equal(t, async.MinCommitTs-1, r.resolved(200), "its lock is stored")

	entered, goOn := make(chan uint64), make(chan struct{})
	r.regions.BeforeWrite = func([]storage.Modify) error {
		entered <- r.locks.Bound(300)
		<-goOn
		return nil
	}
	done := make(chan uint64)
	go func() {
		done <- r.prewrite("one phase", 210, func(req *kvrpcpb.PrewriteRequest) { req.TryOnePc = true }).OnePcCommitTs
	}()
	bound := <-entered
	require.Equal(t, uint64(210), bound, "its lock is in memory")
	close(goOn)
	require.Equal(t, bound+1, <-done)
}

// What is known of a store: the least of its regions.
func TestStoreSafeTS(t *testing.T) {
	r := newRig(t)
	require.Error(t, r.tracker.Advance(context.Background()))
	require.Zero(t, r.tracker.StoreSafeTS(nil, nil))
	r.resolved(100)
	require.EqualValues(t, 100, r.tracker.StoreSafeTS(nil, nil))
	r.prewrite("k", 50, func(*kvrpcpb.PrewriteRequest) {})
	r.resolved(200)
	require.EqualValues(t, 100, r.tracker.StoreSafeTS([]byte("a"), []byte("b")))

	r.regions.leads = false
	agreed := r.tracker.CheckLeaders([]*kvrpcpb.LeaderInfo{nil, {RegionId: 1}, {
		RegionId: storagetest.RegionID, PeerId: 9, Term: storagetest.Term, RegionEpoch: &metapb.RegionEpoch{Version: 1},
		ReadState: &kvrpcpb.ReadState{AppliedIndex: 7, SafeTs: 150},
	}})
	require.Equal(t, []uint64{storagetest.RegionID}, agreed)
	require.EqualValues(t, 150, r.tracker.StoreSafeTS(nil, nil))
}
