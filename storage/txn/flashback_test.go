package txn

import (
	"context"
	"errors"
	"testing"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// Any history is followed by flashbacks to any time, of any range, whose phases may be repeated: the naive service agrees on
// what they leave, and each key of the range has the value that it had.
func TestFlashbackTwins(t *testing.T) {
	for range 10 {
		store, _ := newManager(t)
		rapid.Check(t, func(rt *rapid.T) {
			tw := newTwins(rt, store)
			for range rapid.IntRange(1, 30).Draw(rt, "requests") {
				tw.step()
			}
			for i := range 1 + uint64(tw.n0(2, "flashbacks")) {
				tw.flashback((100 + 100*i) << 18)
			}
			tw.compareStates()
		})
	}
}

func (tw *twins) flashback(start uint64) {
	prepare := &kvrpcpb.PrepareFlashbackToVersionRequest{
		Context: storagetest.Context(), StartTs: start, Version: tw.time(),
	}
	if tw.rarely("just now") {
		prepare.Version = start - 1
	}
	prepare.StartKey, prepare.EndKey = tw.bounds()
	want := tw.values(prepare.Version)
	for range 1 + tw.n0(2, "prepares") {
		same(tw, prepare, tw.m.PrepareFlashbackToVersion, tw.n.PrepareFlashbackToVersion)
	}
	same(tw, &kvrpcpb.FlashbackToVersionRequest{
		Context: prepare.Context, StartKey: prepare.StartKey, EndKey: prepare.EndKey, Version: prepare.Version,
		StartTs: start, CommitTs: start + 1,
	}, tw.m.FlashbackToVersion, tw.n.FlashbackToVersion)
	got := tw.values(mvcc.TSMax)
	for _, key := range twinKeys {
		if inRange(key, prepare.StartKey, prepare.EndKey) {
			require.Equal(tw, want[string(key)], got[string(key)], "value of %s", key)
		}
	}
}

// values reads all keys as if there were no locks.
func (tw *twins) values(ts uint64) map[string]string {
	pb := storagetest.Context()
	pb.IsolationLevel = kvrpcpb.IsolationLevel_RC
	resp, err := tw.m.BatchGet(context.Background(), &kvrpcpb.BatchGetRequest{Context: pb, Keys: twinKeys, Version: ts})
	require.NoError(tw, err)
	tw.n.read(ts)
	vals := make(map[string]string)
	for _, p := range resp.Pairs {
		vals[string(p.Key)] = string(p.Value)
	}
	return vals
}

// A region in flashback is closed: to commands that come, and to those under way.
func TestFlashbackClosesRegion(t *testing.T) {
	ctx, pb := context.Background(), storagetest.Context()
	store, m := newManager(t)
	lock := &kvrpcpb.PessimisticLockRequest{
		Context: pb, StartVersion: 10, ForUpdateTs: 10, PrimaryLock: []byte("k"), LockTtl: 3000, WaitTimeout: -1,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_PessimisticLock, Key: []byte("k")}},
	}
	old := &command{m: m, at: RegionOf(pb)} // has looked at the region, and takes a lock later
	require.NoError(t, old.begin(ctx, [][]byte{[]byte("k")}))

	prepared, err := m.PrepareFlashbackToVersion(ctx, &kvrpcpb.PrepareFlashbackToVersionRequest{Context: pb, Version: 15, StartTs: 20})
	require.NoError(t, err)
	require.Empty(t, prepared.Error)
	require.False(t, m.memory.apply(old.leads, []memoryChange{{key: mvcc.EncodeKey([]byte("k")), lock: &mvcc.Lock{}}}))
	require.NoError(t, old.endReads())

	_, err = m.PessimisticLock(ctx, lock)
	require.EqualValues(t, 20, regionErrorOf(t, err).FlashbackInProgress.GetFlashbackStartTs())
	_, err = m.Get(ctx, &kvrpcpb.GetRequest{Context: pb, Key: []byte("k"), Version: 20})
	require.NotNil(t, regionErrorOf(t, err).FlashbackInProgress)
	_, err = m.Get(ctx, &kvrpcpb.GetRequest{Context: pb, Key: []byte("k"), Version: 19})
	require.NoError(t, err)

	_, err = m.FlashbackToVersion(ctx, &kvrpcpb.FlashbackToVersionRequest{Context: pb, Version: 15, StartTs: 21, CommitTs: 22})
	require.NotNil(t, regionErrorOf(t, err).FlashbackNotPrepared, "another flashback's second phase")
	_, err = m.FlashbackToVersion(ctx, &kvrpcpb.FlashbackToVersionRequest{Context: pb, Version: 15, StartTs: 20, CommitTs: 22})
	require.NoError(t, err)
	taken, err := m.PessimisticLock(ctx, lock)
	require.NoError(t, err)
	require.Empty(t, taken.Errors)
	record, err := store.Engine.Get(storage.CFLock, mvcc.EncodeKey([]byte("k")))
	require.NoError(t, err)
	require.Nil(t, record, "locks are kept in memory again")
	_, err = m.FlashbackToVersion(ctx, &kvrpcpb.FlashbackToVersionRequest{Context: pb, Version: 15, StartTs: 20, CommitTs: 22})
	require.NotNil(t, regionErrorOf(t, err).FlashbackNotPrepared, "it is over")
}

func regionErrorOf(t *testing.T, err error) *errorpb.Error {
	var e *storage.RegionError
	require.True(t, errors.As(err, &e), "%v", err)
	return e.Pb
}

// A large region is put back in writes of bounded size, and one that was interrupted is gone on with.
func TestFlashbackInBatches(t *testing.T) {
	ctx, pb := context.Background(), storagetest.Context()
	store, m := newManager(t)
	const n = 3*flashbackKeysMax + 10
	var keys [][]byte
	for i := range n {
		keys = append(keys, []byte{'k', byte(i >> 8), byte(i)})
	}
	long := make([]byte, 2000)
	put(t, m, 10, keys, long)
	put(t, m, 20, keys, []byte("new"))
	prepared, err := m.PrepareFlashbackToVersion(ctx, &kvrpcpb.PrepareFlashbackToVersionRequest{Context: pb, Version: 15, StartTs: 30})
	require.NoError(t, err)
	require.Empty(t, prepared.Error)
	writes, failAt, largest := 0, 3, 0
	store.BeforeWrite = func(mods []storage.Modify) error {
		size := 0
		for i := range mods {
			size += len(mods[i].Key) + len(mods[i].Value)
		}
		largest = max(largest, size)
		if writes++; writes == failAt {
			return errors.New("out of luck")
		}
		return nil
	}
	flash := &kvrpcpb.FlashbackToVersionRequest{Context: pb, Version: 15, StartTs: 30, CommitTs: 40}
	_, err = m.FlashbackToVersion(ctx, flash)
	require.ErrorContains(t, err, "out of luck")
	_, err = m.FlashbackToVersion(ctx, flash)
	require.NoError(t, err)
	require.LessOrEqual(t, largest, flashbackBytesMax+16<<10)
	require.Greater(t, writes, 4)
	resp, err := m.BatchGet(ctx, &kvrpcpb.BatchGetRequest{Context: pb, Keys: keys, Version: 50, NeedCommitTs: true})
	require.NoError(t, err)
	require.Len(t, resp.Pairs, n)
	for _, p := range resp.Pairs {
		require.Len(t, p.Value, len(long))
		require.EqualValues(t, 40, p.CommitTs)
	}
}

// put writes value under all keys in a transaction.
func put(t *testing.T, m *Manager, start uint64, keys [][]byte, value []byte) {
	req := &kvrpcpb.PrewriteRequest{Context: storagetest.Context(), StartVersion: start, PrimaryLock: keys[0], LockTtl: 3000, TryOnePc: true}
	for _, k := range keys {
		req.Mutations = append(req.Mutations, &kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: k, Value: value})
	}
	resp, err := m.Prewrite(context.Background(), req)
	require.NoError(t, err)
	require.Equal(t, start+1, resp.OnePcCommitTs)
}
