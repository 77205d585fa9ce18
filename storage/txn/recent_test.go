package txn

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// Whatever was asked of the manager: what it says of a key without a look into the store is what the store says, and of
// keys that nobody has written to for long it does say so.
func TestUnwrittenIsUnwritten(t *testing.T) {
	store, _ := newManager(t)
	rapid.Check(t, func(rt *rapid.T) {
		tw := newTwins(rt, store)
		for range rapid.IntRange(1, 30).Draw(rt, "requests") {
			tw.step()
			for _, key := range twinKeys {
				tw.checkUnwritten(mvcc.EncodeKey(key))
			}
		}
	})
}

func (tw *twins) checkUnwritten(key []byte) {
	snap := tw.store.Engine.NewSnapshot()
	defer func() { require.NoError(tw, snap.Close()) }()
	it, err := snap.NewIterator(versions(storage.CFWrite, key))
	require.NoError(tw, err)
	defer func() { require.NoError(tw, it.Close()) }()
	newest := uint64(0)
	if it.First() {
		_, newest, err = mvcc.SplitVersion(it.Key())
		require.NoError(tw, err)
	}
	require.NoError(tw, it.Error())
	require.False(tw, tw.m.recent.unwritten(key, newest))
	require.True(tw, tw.m.recent.unwritten(key, 1000<<18))
}

// newestAsked is a store that counts the questions about write records.
type newestAsked struct {
	*ledStore
	iterators int
}

func (s *newestAsked) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	snap, err := s.ledStore.Snapshot(ctx, at)
	return askedSnapshot{snap, &s.iterators}, err
}

type askedSnapshot struct {
	storage.Snapshot
	iterators *int
}

func (s askedSnapshot) NewIterator(o storage.IterOptions) (storage.Iterator, error) {
	*s.iterators++
	return s.Snapshot.NewIterator(o)
}

// A transaction that began after the last write to its key, as far as the leader can know that, commits without a look for
// newer versions.
func TestCommitWithoutSeek(t *testing.T) {
	s := &newestAsked{ledStore: &ledStore{Store: storagetest.New(t), term: storagetest.Term, region: storagetest.Region()}}
	m := newManagerOn(s)
	commit := func(start uint64) (conflict bool) {
		s.iterators = 0
		resp, err := m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
			Context: storagetest.Context(), StartVersion: start, PrimaryLock: []byte("k"), LockTtl: 3000, TryOnePc: true,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte("k"), Value: []byte("v")}},
		})
		require.NoError(t, err)
		return len(resp.Errors) > 0
	}
	require.False(t, commit(10)) // at 11
	require.Zero(t, s.iterators)
	require.False(t, commit(20)) // at 21
	require.Zero(t, s.iterators)
	require.True(t, commit(15))
	require.NotZero(t, s.iterators)

	s.term++ // another store may have led
	m.conc.SetSynced(storagetest.RegionID, s.term, 40)
	require.False(t, commit(30)) // at 41
	require.NotZero(t, s.iterators)
	require.True(t, commit(40))
	require.False(t, commit(42))
	require.Zero(t, s.iterators)
}
