package clientsuite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/kv"
)

// cut splits regions at keys.
func (s *suite) cut(t *testing.T, keys ...string) {
	t.Helper()
	var at [][]byte
	for _, k := range keys {
		at = append(at, []byte(k))
	}
	ids, err := s.txn.SplitRegions(ctx, at, true, nil)
	require.NoError(t, err)
	require.NotEmpty(t, ids)
	for _, id := range ids {
		require.NoError(t, s.txn.WaitScatterRegionFinish(ctx, id, 0))
	}
}

// split cuts a range into regions, before and after it has data, and goes on as if nothing had happened.
func (s *suite) split(t *testing.T) {
	s.put(t, "split/0000", "warm") // the client knows the old region
	s.cut(t, "split/0100", "split/0200", "split/0300")
	for mode, set := range commitModes {
		txn := s.begin(t)
		set(txn)
		for i := range 400 {
			require.NoError(t, txn.Set(key("split/%04d", i), key("%s %d", mode, i)))
		}
		require.NoError(t, txn.Commit(ctx), mode)
		s.cut(t, "split/0050/"+mode)
	}
	txn := s.begin(t)
	it, err := txn.Iter([]byte("split/"), []byte("split0"))
	require.NoError(t, err)
	require.Len(t, drain(t, it, ""), 400)
	down, err := s.Reverse(txn, []byte("split0"), []byte("split/"))
	require.NoError(t, err)
	require.Len(t, drain(t, down, "split/"), 400)
}

// replicaReads: followers serve what is committed, and a stale read what was.
func (s *suite) replicaReads(t *testing.T) {
	s.put(t, "replica/a", "1", "replica/b", "1")
	then := s.now(t)
	s.put(t, "replica/a", "2")
	for _, from := range []kv.ReplicaReadType{kv.ReplicaReadFollower, kv.ReplicaReadMixed} {
		snap := s.txn.GetSnapshot(s.now(t))
		snap.SetReplicaRead(from)
		v, err := snap.Get(ctx, []byte("replica/a"))
		require.NoError(t, err)
		require.Equal(t, "2", string(v))
		it, err := snap.Iter([]byte("replica/"), []byte("replica0"))
		require.NoError(t, err)
		require.Equal(t, []string{"replica/a=2", "replica/b=1"}, drain(t, it, ""))
	}
	stale := s.txn.GetSnapshot(then)
	stale.SetReplicaRead(kv.ReplicaReadMixed)
	stale.SetIsStalenessReadOnly(true)
	v, err := stale.Get(ctx, []byte("replica/a"))
	require.NoError(t, err)
	require.Equal(t, "1", string(v))
	require.Eventually(t, func() bool { return s.txn.GetMinSafeTS("global") >= then }, patience, 10*time.Millisecond,
		"the stores tell up to when they serve stale reads")
	stale = s.txn.GetSnapshot(s.txn.GetMinSafeTS("global"))
	stale.SetReplicaRead(kv.ReplicaReadMixed)
	stale.SetIsStalenessReadOnly(true)
	it, err := stale.Iter([]byte("replica/"), []byte("replica0"))
	require.NoError(t, err)
	require.Contains(t, drain(t, it, ""), "replica/b=1")
}

// readsOfFollowersBind: what a follower has read at a timestamp stays so, also against a transaction that began before, and
// that chooses its commit timestamp without asking for a fresh one.
func (s *suite) readsOfFollowersBind(t *testing.T) {
	for mode, set := range commitModes {
		k := key("bind/%s", mode)
		s.put(t, string(k), "old")
		writer := s.begin(t)
		set(writer)
		writer.SetPessimistic(false)
		writer.SetCausalConsistency(true)
		require.NoError(t, writer.Set(k, []byte("new")))
		ts := s.now(t)
		for range 6 { // followers take turns
			snap := s.txn.GetSnapshot(ts)
			snap.SetReplicaRead(kv.ReplicaReadFollower)
			v, err := snap.Get(ctx, k)
			require.NoError(t, err)
			require.Equal(t, "old", string(v))
		}
		require.NoError(t, writer.Commit(ctx))
		v, err := s.txn.GetSnapshot(ts).Get(ctx, k)
		require.NoError(t, err)
		require.Equal(t, "old", string(v), mode)
		require.Equal(t, "new", s.get(t, string(k)))
	}
}

// deleteRange drops keys for good, by region and by store.
func (s *suite) deleteRange(t *testing.T) {
	s.put(t, "range/a", "1", "range/b", "1", "range/c", "1")
	s.cut(t, "range/b")
	regions, err := s.txn.DeleteRange(ctx, []byte("range/a"), []byte("range/c"), 2)
	require.NoError(t, err)
	require.GreaterOrEqual(t, regions, 1)
	require.Equal(t, []string{"", "", "1"}, []string{s.get(t, "range/a"), s.get(t, "range/b"), s.get(t, "range/c")})

	s.put(t, "range/a", "2", "range/b", "2")
	require.NoError(t, s.txn.UnsafeDestroyRange(ctx, []byte("range/"), []byte("range/c")))
	require.Equal(t, []string{"", "", "1"}, []string{s.get(t, "range/a"), s.get(t, "range/b"), s.get(t, "range/c")})
	s.put(t, "range/a", "3")
	require.Equal(t, "3", s.get(t, "range/a"))
}

// gc resolves all old locks, raises the safe point, and leaves what is visible there.
func (s *suite) gc(t *testing.T) {
	for _, v := range []string{"1", "2", "3"} {
		s.put(t, "gc/a", v)
	}
	s.put(t, "gc/b", "1", "gc/c", "1")
	s.cut(t, "gc/d") // so that gc/d is committed apart from gc/c
	s.die(t, beforeCommit, commitModes["two phases"], []string{"gc/b"}, "dead", false)
	s.die(t, beforeSecondaries, commitModes["two phases"], []string{"gc/c", "gc/d"}, "2", true)
	safe := s.now(t)
	got, err := s.txn.GC(ctx, safe)
	require.NoError(t, err)
	require.Equal(t, safe, got)
	got, err = s.txn.GetPDClient().UpdateGCSafePoint(ctx, safe-1)
	require.NoError(t, err)
	require.Equal(t, safe, got, "the safe point does not go back")

	require.Equal(t, []string{"3", "1", "2", "2"}, []string{s.get(t, "gc/a"), s.get(t, "gc/b"), s.get(t, "gc/c"), s.get(t, "gc/d")})
	s.put(t, "gc/a", "4")
	snap := s.txn.GetSnapshot(safe)
	v, err := snap.Get(ctx, []byte("gc/a"))
	require.NoError(t, err)
	require.Equal(t, "3", string(v))
	_, err = s.txn.GetSnapshot(safe).Get(ctx, []byte("gc/none"))
	require.True(t, tikverr.IsErrNotFound(err))
}
