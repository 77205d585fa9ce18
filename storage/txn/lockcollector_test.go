package txn

import (
	"context"
	"fmt"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// observed shows a collector the write of a lock.
func observed(c *LockCollector, key string, startTS uint64) {
	defer c.EndApply()
	if c.BeginApply() {
		l := mvcc.Lock{Type: mvcc.LockPut, Primary: []byte(key), StartTS: startTS, TTL: 1000}
		c.ObservePut(storage.CFLock, mvcc.EncodeKey([]byte(key)), l.Append(nil))
		c.ObservePut(storage.CFWrite, mvcc.VersionKey(mvcc.EncodeKey([]byte(key)), startTS), []byte("?"))
	}
}

func collected(t *testing.T, c *LockCollector, maxTS uint64) (keys []string, clean bool) {
	locks, clean, err := c.Check(maxTS)
	require.NoError(t, err)
	for _, l := range locks {
		keys = append(keys, fmt.Sprintf("%s@%d", l.Key, l.LockVersion))
	}
	return keys, clean
}

func TestLockCollector(t *testing.T) {
	conc := NewConcurrency()
	c := NewLockCollector(conc, storagetest.New(t).Engine)
	_, _, err := c.Check(0)
	require.Error(t, err)
	observed(c, "early", 5)
	require.NoError(t, c.Register(10))
	require.EqualValues(t, 10, conc.MaxTS())
	require.NoError(t, c.Register(10), "said twice")
	require.ErrorContains(t, c.Register(9), "greater max_ts: 10")
	observed(c, "a", 10)
	observed(c, "late", 11)
	observed(c, "b", 1)
	keys, clean := collected(t, c, 10)
	require.Equal(t, []string{"a@10", "b@1"}, keys)
	require.True(t, clean)
	_, _, err = c.Check(9)
	require.Error(t, err)
	require.Error(t, c.Remove(9))

	require.NoError(t, c.Register(20), "a later round begins anew")
	c.ObserveReplaced()
	keys, clean = collected(t, c, 20)
	require.Empty(t, keys)
	require.False(t, clean, "who knows what came")
	require.NoError(t, c.Remove(20))
	observed(c, "c", 1)
	require.NoError(t, c.Register(15), "the bound is gone with the observer")
	keys, clean = collected(t, c, 15)
	require.Empty(t, keys)
	require.True(t, clean)
}

func TestLockCollectorIsBounded(t *testing.T) {
	c := NewLockCollector(NewConcurrency(), storagetest.New(t).Engine)
	require.NoError(t, c.Register(10))
	for i := range collectedMax {
		observed(c, fmt.Sprint(i), 1)
	}
	keys, clean := collected(t, c, 10)
	require.Len(t, keys, collectedMax)
	require.True(t, clean)
	observed(c, "one more", 1)
	keys, clean = collected(t, c, 10)
	require.Len(t, keys, collectedMax)
	require.False(t, clean)

	require.NoError(t, c.Register(20))
	require.True(t, c.BeginApply())
	c.ObservePut(storage.CFLock, []byte("not a key"), []byte("not a lock"))
	c.EndApply()
	_, clean = collected(t, c, 20)
	require.False(t, clean)
}

// A transaction that is about to choose its commit timestamp is in the way.
func TestLockCollectorMeetsMemoryLocks(t *testing.T) {
	conc := NewConcurrency()
	conc.SetSynced(storagetest.RegionID, storagetest.Term, 0)
	store := storagetest.New(t)
	m, c := NewManager(store, conc, ManagerOptions{}), NewLockCollector(conc, store.Engine)
	writing, written := make(chan struct{}), make(chan struct{})
	store.BeforeWrite = func([]storage.Modify) error { close(writing); <-written; return nil }
	done := make(chan error, 1)
	go func() {
		_, err := m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
			Context: storagetest.Context(), StartVersion: 10, PrimaryLock: []byte("k"), LockTtl: 3000, TryOnePc: true,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte("k"), Value: []byte("v")}},
		})
		done <- err
	}()
	<-writing
	require.ErrorContains(t, c.Register(20), "locked by transaction 10")
	close(written)
	require.NoError(t, <-done)
	require.NoError(t, c.Register(20))
}

func TestPhysicalScan(t *testing.T) {
	ctx := context.Background()
	store, m := newManager(t)
	for i, key := range []string{"a", "b", "c", "d"} {
		_, err := m.Prewrite(ctx, &kvrpcpb.PrewriteRequest{
			Context: storagetest.Context(), StartVersion: uint64(40 - 10*i), PrimaryLock: []byte(key), LockTtl: 3000,
			Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte("v")}},
		})
		require.NoError(t, err)
	}
	c := NewLockCollector(m.conc, store.Engine)
	for _, s := range []struct {
		maxTS uint64
		start string
		limit int
		want  string
	}{{100, "", 0, "abcd"}, {100, "", 2, "ab"}, {100, "c", 0, "cd"}, {20, "", 1, "c"}, {9, "", 0, ""}} {
		locks, err := c.Scan(ctx, s.maxTS, []byte(s.start), s.limit)
		require.NoError(t, err)
		got := ""
		for _, l := range locks {
			got += string(l.Key)
		}
		require.Equal(t, s.want, got)
	}
}
