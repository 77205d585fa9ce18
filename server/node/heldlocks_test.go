package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/storage"
)

// holder is a client of transactions that hold locks while regions move and split under them.
type holder struct {
	*testing.T
	cluster *node.Cluster
	n       int // keys used
}

func (h *holder) freshKey() []byte {
	h.n++
	return fmt.Appendf(nil, "held %03d", h.n)
}

func (h *holder) ts() uint64 {
	ts, err := h.cluster.Placement().TS(context.Background())
	require.NoError(h, err)
	return ts
}

// leaderOf finds the leader of a key's region by asking the stores themselves.
func (h *holder) leaderOf(key []byte) (*node.Store, raftstore.RegionStatus, bool) {
	for _, s := range h.cluster.Stores() {
		if r, here := s.Raft().RegionAt(memcmp.AppendBytes(nil, key)); here && r.IsLeader {
			return s, r, true
		}
	}
	return nil, raftstore.RegionStatus{}, false
}

// ask sends a request to the leader of the key's region until it serves.
func (h *holder) ask(key []byte, send func(*node.Store, *kvrpcpb.Context) (served bool)) {
	h.Helper()
	require.Eventually(h, func() bool {
		s, r, ok := h.leaderOf(key)
		return ok && send(s, &kvrpcpb.Context{RegionId: r.Region.Id, RegionEpoch: r.Region.RegionEpoch, Peer: r.Leader})
	}, time.Minute, 5*time.Millisecond)
}

// lock locks a key, without waiting for others, and returns the lock in the way.
func (h *holder) lock(key []byte, start uint64) (blocked *kvrpcpb.LockInfo) {
	h.ask(key, func(s *node.Store, pb *kvrpcpb.Context) bool {
		resp, err := clientOf(h.T, s).KvPessimisticLock(context.Background(), &kvrpcpb.PessimisticLockRequest{
			Context: pb, PrimaryLock: key, StartVersion: start, ForUpdateTs: start, LockTtl: 60_000, WaitTimeout: -1,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_PessimisticLock, Key: key}},
		})
		require.NoError(h, err)
		for _, e := range resp.Errors {
			blocked = e.Locked
		}
		return resp.RegionError == nil
	})
	return blocked
}

// write commits a value to a key that the transaction holds.
func (h *holder) write(key []byte, start uint64) {
	h.ask(key, func(s *node.Store, pb *kvrpcpb.Context) bool {
		resp, err := clientOf(h.T, s).KvPrewrite(context.Background(), &kvrpcpb.PrewriteRequest{
			Context: pb, PrimaryLock: key, StartVersion: start, ForUpdateTs: start, LockTtl: 60_000,
			Mutations:          []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key, Value: []byte("v")}},
			PessimisticActions: []kvrpcpb.PrewriteRequest_PessimisticAction{kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK},
		})
		require.NoError(h, err)
		require.Empty(h, resp.Errors)
		return resp.RegionError == nil
	})
	h.ask(key, func(s *node.Store, pb *kvrpcpb.Context) bool {
		resp, err := clientOf(h.T, s).KvCommit(context.Background(), &kvrpcpb.CommitRequest{
			Context: pb, StartVersion: start, CommitVersion: h.ts(), Keys: [][]byte{key},
		})
		require.NoError(h, err)
		require.Nil(h, resp.Error)
		return resp.RegionError == nil
	})
}

// keeps has a transaction hold a key while the key's region changes, and tells whether it kept others out. A machine that
// stalls may elect a leader of its own accord, which loses locks: then it is tried again.
func (h *holder) keeps(change func(key []byte, s *node.Store, r raftstore.RegionStatus) bool) {
	h.Helper()
	require.Eventually(h, func() bool {
		key, holding := h.freshKey(), h.ts()
		require.Nil(h, h.lock(key, holding))
		s, r, ok := h.leaderOf(key)
		if !ok || !change(key, s, r) {
			return false
		}
		other := h.ts()
		if blocked := h.lock(key, other); blocked.GetLockVersion() != holding {
			return false
		}
		h.write(key, holding)
		return true
	}, 2*time.Minute, 5*time.Millisecond)
}

// moved gives the region's leadership to another store and waits until that one has it.
func (h *holder) moved(key []byte, s *node.Store, r raftstore.RegionStatus) bool {
	var to *metapb.Peer
	for _, p := range r.Region.Peers {
		if p.Id != r.PeerID {
			to = p
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		now, _ := s.Raft().Region(r.Region.Id)
		if now.Leader.GetId() == to.Id {
			return true
		}
		s.Raft().Operator(&pdpb.RegionHeartbeatResponse{
			RegionId: r.Region.Id, TransferLeader: &pdpb.TransferLeader{Peer: to},
		})
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// cut splits the region in front of the key and behind it.
func (h *holder) cut(key []byte, s *node.Store, r raftstore.RegionStatus) bool {
	bounds := [][]byte{memcmp.AppendBytes(nil, key), memcmp.AppendBytes(nil, append(key[:len(key):len(key)], 0))}
	regions, err := s.Raft().SplitRegion(testContext(h.T), storage.Region{ID: r.Region.Id}, bounds)
	return err == nil && len(regions) == 3 && regions[1].Id != r.Region.Id
}

// What FOR UPDATE has locked stays locked when leadership is given to another store and when the key becomes another
// region's, though the lock was in the leader's memory alone.
func TestLocksAreKept(t *testing.T) {
	c := startCluster(t, t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	awaitReplicas(t, c)
	h := &holder{T: t, cluster: c}
	h.keeps(h.moved)
	h.keeps(h.cut)
	h.keeps(func(key []byte, s *node.Store, r raftstore.RegionStatus) bool {
		if !h.cut(key, s, r) {
			return false
		}
		h.ask(key, func(*node.Store, *kvrpcpb.Context) bool { return true }) // until the new region has a leader
		s, r, ok := h.leaderOf(key)
		return ok && h.moved(key, s, r)
	})
}

// waits has a lock request wait for another transaction's while the key's region changes, until the store that led then says
// what it is to tell. A slow machine may first elect leaders of its own accord, and let the request wait to the end.
func (h *holder) waits(change func(key []byte, s *node.Store, r raftstore.RegionStatus) bool, told func(*errorpb.Error) bool) {
	h.Helper()
	require.Eventually(h, func() bool {
		key := h.freshKey()
		require.Nil(h, h.lock(key, h.ts()))
		s, r, ok := h.leaderOf(key)
		if !ok {
			return false
		}
		answers := make(chan *errorpb.Error, 1)
		go func() { answers <- h.waitAt(s, r, key) }()
		require.Eventually(h, func() bool { return h.waiting(s) > 0 || len(answers) > 0 }, time.Minute, time.Millisecond)
		changed := change(key, s, r)
		return told(<-answers) && changed
	}, 2*time.Minute, 5*time.Millisecond)
}

// waiting counts the lock requests that wait on a store.
func (h *holder) waiting(s *node.Store) int {
	info, err := s.Service().GetLockWaitInfo(context.Background(), &kvrpcpb.GetLockWaitInfoRequest{})
	require.NoError(h, err)
	return len(info.Entries)
}

// waitAt asks a store for a lock that another transaction holds.
func (h *holder) waitAt(s *node.Store, r raftstore.RegionStatus, key []byte) *errorpb.Error {
	start := h.ts()
	resp, err := clientOf(h.T, s).KvPessimisticLock(context.Background(), &kvrpcpb.PessimisticLockRequest{
		Context:     &kvrpcpb.Context{RegionId: r.Region.Id, RegionEpoch: r.Region.RegionEpoch, Peer: r.Leader},
		PrimaryLock: key, StartVersion: start, ForUpdateTs: start, LockTtl: 60_000,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_PessimisticLock, Key: key}},
	})
	if err != nil {
		h.Errorf("lock: %v", err)
	}
	return resp.GetRegionError()
}

// Who waits for a lock is told when the key's leader is another one, or its region; a client goes on waiting there.
func TestWaitersAreSentOn(t *testing.T) {
	c := startCluster(t, t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	awaitReplicas(t, c)
	h := &holder{T: t, cluster: c}
	h.waits(h.moved, func(e *errorpb.Error) bool { return e.GetNotLeader() != nil })
	h.waits(h.cut, func(e *errorpb.Error) bool { return e.GetEpochNotMatch() != nil })

	client, key, ctx := newClient(t, c, c.Dialer()), h.freshKey(), context.Background()
	first, err := client.BeginPessimistic(ctx)
	require.NoError(t, err)
	second, err := client.BeginPessimistic(ctx)
	require.NoError(t, err)
	require.NoError(t, first.Lock(ctx, [][]byte{key}, time.Minute))
	locked := make(chan error, 1)
	go func() { locked <- second.Lock(ctx, [][]byte{key}, time.Minute) }()
	h.ask(key, func(s *node.Store, _ *kvrpcpb.Context) bool { return h.waiting(s) > 0 || len(locked) > 0 })
	if s, r, ok := h.leaderOf(key); ok {
		h.moved(key, s, r)
	}
	first.Rollback()
	require.NoError(t, <-locked)
	second.Rollback()
}
