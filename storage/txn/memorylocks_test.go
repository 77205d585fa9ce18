package txn

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// ledStore is a store whose region changes its leadership and its bounds.
type ledStore struct {
	*storagetest.Store
	term   uint64
	region *metapb.Region
	lost   error // what snapshots end with
}

func newLedStore(t *testing.T) (*ledStore, waitTest) {
	s := &ledStore{Store: storagetest.New(t), term: storagetest.Term, region: storagetest.Region()}
	return s, waitTest{t, newManagerOn(s)}
}

func (s *ledStore) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	if s.lost != nil {
		return nil, s.lost
	}
	snap, err := s.Store.Snapshot(ctx, storage.Region{ID: at.ID})
	return ledSnapshot{snap, s.term, s.region}, err
}

func (s *ledStore) Write(ctx context.Context, at storage.Region, mods []storage.Modify) error {
	return s.Store.Write(ctx, storage.Region{ID: at.ID}, mods)
}

func (s *ledStore) Submit(at storage.Region, mods []storage.Modify) (<-chan error, error) {
	return storagetest.Begin(s, at, mods), nil
}

type ledSnapshot struct {
	storage.Snapshot
	term   uint64
	region *metapb.Region
}

func (s ledSnapshot) Term() uint64           { return s.term }
func (s ledSnapshot) Region() *metapb.Region { return s.region }

// split takes the keys from one on out of the region.
func (s *ledStore) split(at string) {
	s.region = &metapb.Region{
		Id: s.region.Id, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: s.region.RegionEpoch.Version + 1},
		Peers: s.region.Peers, EndKey: mvcc.EncodeKey([]byte(at)),
	}
}

// held prewrites a key that the transaction must hold.
func (w waitTest) held(start uint64, key string) *kvrpcpb.KeyError {
	resp, err := w.m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), StartVersion: start, ForUpdateTs: start, PrimaryLock: []byte(key), LockTtl: 3000,
		Mutations:          []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte("v")}},
		PessimisticActions: []kvrpcpb.PrewriteRequest_PessimisticAction{kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK},
	})
	require.NoError(w, err)
	if len(resp.Errors) > 0 {
		return resp.Errors[0]
	}
	return nil
}

// A leader's locks are lost with its leadership: others may lock and write, and the transaction finds out.
func TestMemoryLocksEndWithLeadership(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "b", "c"))
	require.NotNil(t, w.lock(20, -1, "a").GetLocked())
	s.term++
	require.Nil(t, w.held(10, "b"), "nobody has written")
	require.Nil(t, w.lock(20, -1, "a"))
	require.Contains(t, w.held(10, "a").GetAbort(), "PessimisticLockNotFound")
	require.Nil(t, w.lock(20, -1, "c"))
	require.Nil(t, w.held(20, "c"))
	w.commit(20, 25, "c")
	require.Contains(t, w.held(10, "c").GetAbort(), "PessimisticLockNotFound")
	_, stale := w.m.memory.get(leadership{region: storagetest.RegionID, term: s.term - 1, version: 1}, mvcc.EncodeKey([]byte("a")))
	require.True(t, stale, "a snapshot from before tells nothing of the new leader's locks")
}

// A region that has lost keys, nobody has told where to, has the locks on the others.
func TestMemoryLocksWithinBounds(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "x", "y"))
	before := w.m.memory.bytes.Load()
	s.split("m")
	require.NotNil(t, w.lock(20, -1, "a").GetLocked())
	locks, _ := w.m.memory.between(storagetest.RegionID, nil, nil)
	require.Len(t, locks, 1)
	require.Equal(t, before/3, w.m.memory.bytes.Load())
	s.region = storagetest.Region() // a snapshot from before
	_, err := w.m.PessimisticLock(context.Background(), w.request(30, -1, "x"))
	var stale *storage.RegionError
	require.ErrorAs(t, err, &stale)
	require.NotNil(t, stale.Pb.StaleCommand)
}

// A write that was refused leaves the locks; of one whose outcome is unknown they may have been replaced.
func TestMemoryLocksAfterFailedWrite(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "b"))
	refusal := error(&storage.RegionError{})
	s.BeforeWrite = func([]storage.Modify) error { return refusal }
	prewrite := &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), StartVersion: 10, ForUpdateTs: 10, PrimaryLock: []byte("a"), LockTtl: 3000,
		Mutations:          []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte("a")}},
		PessimisticActions: []kvrpcpb.PrewriteRequest_PessimisticAction{kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK},
	}
	_, err := w.m.Prewrite(context.Background(), prewrite)
	require.ErrorIs(t, err, refusal)
	require.NotNil(t, w.lock(20, -1, "a").GetLocked())
	refusal = storage.ErrUndetermined
	_, err = w.m.Prewrite(context.Background(), prewrite)
	require.ErrorIs(t, err, refusal)
	locks, _ := w.m.memory.between(storagetest.RegionID, nil, nil)
	require.Len(t, locks, 1)
	require.Equal(t, mvcc.EncodeKey([]byte("b")), locks[0].key)
}

// Memory is bounded, for a region and for all; further locks are stored.
func TestMemoryLocksAreBounded(t *testing.T) {
	_, w := newLedStore(t)
	m := w.m.memory
	m.regionMax = 2 * memoryLockBytes(string(mvcc.EncodeKey([]byte("a"))), &mvcc.Lock{Primary: []byte("a")})
	for i, k := range []string{"a", "b", "c", "d"} {
		require.Nil(t, w.lock(uint64(10+i), -1, k))
	}
	locks, _ := m.between(storagetest.RegionID, nil, nil)
	require.Len(t, locks, 2)
	require.Equal(t, m.regionMax, m.bytes.Load())
	for i, k := range []string{"a", "b", "c", "d"} {
		require.NotNil(t, w.lock(99, -1, k).GetLocked())
		w.unlockNow(uint64(10+i), k)
	}
	require.Zero(t, m.bytes.Load())
	m.bytesMax = 0
	require.Nil(t, w.lock(30, -1, "a"))
	require.Zero(t, m.bytes.Load())
}

func (w waitTest) unlockNow(start uint64, key string) {
	_, err := w.m.PessimisticRollback(context.Background(), &kvrpcpb.PessimisticRollbackRequest{
		Context: storagetest.Context(), StartVersion: start, ForUpdateTs: start, Keys: [][]byte{[]byte(key)},
	})
	require.NoError(w, err)
}

// What belongs to regions that have left, or are not led any more, is dropped.
func TestRetain(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a"))
	w.m.conc.SetSynced(7, 3, 0)
	here := map[uint64]uint64{storagetest.RegionID: s.term, 7: 3}
	retain := func() {
		w.m.Retain(func(id uint64) (uint64, bool) { term, ok := here[id]; return term, ok })
	}
	retain()
	require.NotZero(t, w.m.memory.bytes.Load())
	require.True(t, w.m.conc.Synced(7, 3), "a follower may lead again in the same term for all that is known")
	here[storagetest.RegionID]++
	delete(here, 7)
	retain()
	require.Zero(t, w.m.memory.bytes.Load())
	require.Zero(t, w.m.memory.known.Load())
	require.False(t, w.m.conc.Synced(7, 3))
	s.term++
	require.Nil(t, w.lock(20, -1, "a"))
	w.unlockNow(20, "a")
	retain()
	require.Zero(t, w.m.memory.known.Load(), "a region without locks is forgotten")
}
