package txn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

const (
	childID   = 9
	firstTerm = 6
)

// halve splits the store's region at a key and tells the manager, as raftstore does. The new region, to the right, is led
// in term; what is returned turns to it.
func (s *ledStore) halve(w waitTest, at string, term uint64) (right *ledStore, onRight waitTest) {
	epoch := &metapb.RegionEpoch{ConfVer: 1, Version: s.region.RegionEpoch.Version + 1}
	bound := mvcc.EncodeKey([]byte(at))
	left := &metapb.Region{Id: s.region.Id, RegionEpoch: epoch, Peers: s.region.Peers, StartKey: s.region.StartKey, EndKey: bound}
	child := &metapb.Region{Id: childID, RegionEpoch: epoch, Peers: s.region.Peers, StartKey: bound, EndKey: s.region.EndKey}
	w.m.Split(s.region.Id, s.term, []*metapb.Region{left, child}, firstTerm)
	s.region = left
	right = &ledStore{Store: s.Store, term: term, region: child}
	m := *w.m
	m.store = right
	return right, waitTest{w.T, &m}
}

func stored(t *testing.T, s *ledStore, key string) bool {
	snap, err := s.Snapshot(context.Background(), storage.Region{ID: storagetest.RegionID})
	require.NoError(t, err)
	defer snap.Close()
	val, err := snap.Get(storage.CFLock, mvcc.EncodeKey([]byte(key)))
	require.NoError(t, err)
	return val != nil
}

// A split takes the locks to the region of their keys.
func TestSplitTakesLocksAlong(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "x", "y"))
	before := w.m.memory.bytes.Load()
	_, right := s.halve(w, "m", firstTerm)
	require.Equal(t, before, w.m.memory.bytes.Load())
	require.NotNil(t, w.lock(20, -1, "a").GetLocked())
	require.NotNil(t, right.lock(20, -1, "x").GetLocked())
	require.Nil(t, right.held(10, "y"))
	require.Nil(t, right.lock(20, -1, "z"))
	require.False(t, stored(t, s, "x"))
}

// The first leader of a new region may have been on another store: then the locks are not worth anything.
func TestSplitLocksAreOfTheFirstTerm(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "x"))
	_, right := s.halve(w, "m", firstTerm+1)
	require.Nil(t, right.lock(20, -1, "x"))
	require.NotNil(t, w.lock(20, -1, "a").GetLocked())
}

// Locks of a leadership that was over when the split was proposed are not taken along.
func TestSplitOfAnotherLeadership(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "x"))
	s.term++
	_, right := s.halve(w, "m", firstTerm)
	require.Nil(t, right.lock(20, -1, "x"))
	require.Nil(t, w.lock(20, -1, "a"))
}

// A command whose snapshot is from before the split does not take a moved lock for released, and what it has written
// takes the lock's place nevertheless.
func TestCommandAcrossSplit(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "x", "y"))
	old := *s
	var right waitTest
	s.BeforeWrite = func([]storage.Modify) error {
		s.BeforeWrite = nil
		_, right = s.halve(w, "m", firstTerm)
		return nil
	}
	require.Nil(t, w.held(10, "x"))
	require.Equal(t, kvrpcpb.Op_Put, right.lock(20, -1, "x").GetLocked().GetLockType())
	require.Equal(t, kvrpcpb.Op_PessimisticLock, right.lock(20, -1, "y").GetLocked().GetLockType())

	*s = old
	for name, run := range map[string]func() error{
		"lock": func() error { _, err := w.m.PessimisticLock(context.Background(), w.request(20, -1, "y")); return err },
		"new lock": func() error {
			_, err := w.m.PessimisticLock(context.Background(), w.request(20, -1, "z"))
			return err
		},
		"heartbeat": func() error {
			_, err := w.m.TxnHeartBeat(context.Background(), &kvrpcpb.TxnHeartBeatRequest{
				Context: storagetest.Context(), StartVersion: 10, PrimaryLock: []byte("y"), AdviseLockTtl: 9000,
			})
			return err
		},
		"release": func() error {
			_, err := w.m.PessimisticRollback(context.Background(), &kvrpcpb.PessimisticRollbackRequest{
				Context: storagetest.Context(), StartVersion: 10, ForUpdateTs: 10, Keys: [][]byte{[]byte("y")},
			})
			return err
		},
	} {
		var stale *storage.RegionError
		require.ErrorAs(t, run(), &stale, name)
		require.NotNil(t, stale.Pb.StaleCommand, name)
	}
}

// Before leadership is given away the locks are stored, and so are those taken meanwhile; if it stays, memory will do.
func TestHandOver(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a", "b"))
	require.False(t, stored(t, s, "a"))
	require.NoError(t, w.m.HandOver(context.Background(), s.region, s.term))
	require.Nil(t, w.lock(10, -1, "c"))
	require.Zero(t, w.m.memory.bytes.Load())
	for _, k := range []string{"a", "b", "c"} {
		require.True(t, stored(t, s, k), k)
	}
	w.m.Resume(storagetest.RegionID, s.term)
	require.Nil(t, w.lock(10, -1, "d"))
	require.False(t, stored(t, s, "d"))

	require.NoError(t, w.m.HandOver(context.Background(), s.region, s.term))
	s.term++ // another leader, which finds them
	for _, k := range []string{"a", "b", "c", "d"} {
		require.NotNil(t, w.lock(20, -1, k).GetLocked(), k)
		require.Nil(t, w.held(10, k), k)
	}
	require.Nil(t, w.lock(20, -1, "e"))
	require.False(t, stored(t, s, "e"), "the new leadership has memory of its own")
}

// A lock that was on its way into memory when the hand-over began is refused: its client tries again.
func TestLockDuringHandOver(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(5, -1, "p"))
	at := leadership{region: storagetest.RegionID, term: s.term, version: 1}
	taking := []memoryChange{{key: mvcc.EncodeKey([]byte("a")), lock: &mvcc.Lock{StartTS: 10, Type: mvcc.LockPessimistic}}}
	renewing := []memoryChange{{key: mvcc.EncodeKey([]byte("p")), lock: &mvcc.Lock{StartTS: 5, Type: mvcc.LockPessimistic, TTL: 9}}}
	w.m.memory.seal(storagetest.RegionID, s.term, 1)
	require.False(t, w.m.memory.apply(at, taking))
	require.True(t, w.m.memory.apply(at, renewing), "it is stored when its latch is free")
	require.False(t, w.m.memory.hasRoom(at))
}

// A hand-over that fails leaves the locks where they are.
func TestHandOverFails(t *testing.T) {
	s, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a"))
	refusal := error(&storage.RegionError{})
	s.BeforeWrite = func([]storage.Modify) error { return refusal }
	require.ErrorIs(t, w.m.HandOver(context.Background(), s.region, s.term), refusal)
	s.BeforeWrite = nil
	require.NotNil(t, w.lock(20, -1, "a").GetLocked())
	require.NoError(t, w.m.HandOver(context.Background(), s.region, s.term-1), "another leadership's")
	require.False(t, stored(t, s, "a"))
}

// runLossTest is runWaitTest on a store that can lose its region.
func runLossTest(t *testing.T, test func(s *ledStore, w waitTest)) {
	s, w := newLedStore(t)
	synctest.Test(t, func(t *testing.T) { test(s, waitTest{t, newManagerOn(w.m.store)}) })
}

// wait starts a lock request for which the region is lost.
func (w waitTest) wait(start uint64, key string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := w.m.PessimisticLock(context.Background(), w.request(start, 0, key))
		done <- err
	}()
	synctest.Wait()
	require.Empty(w, done)
	return done
}

// Who waits for a lock when the store ceases to lead is told at once, on every key.
func TestLossEndsWaits(t *testing.T) {
	runLossTest(t, func(s *ledStore, w waitTest) {
		require.Nil(w, w.lock(10, -1, "a", "b"))
		waits := []<-chan error{w.wait(20, "a"), w.wait(30, "a"), w.wait(40, "b")}
		w.m.Lose(storagetest.RegionID+1, nil)
		synctest.Wait()
		require.Len(w, w.m.LockWaits(), 3, "another region's")
		began := time.Now()
		s.lost = &storage.RegionError{}
		w.m.Lose(storagetest.RegionID, nil)
		for _, wait := range waits {
			require.ErrorIs(w, <-wait, s.lost)
		}
		require.Equal(w, began, time.Now())
		require.Empty(w, w.m.LockWaits())
		require.Empty(w, w.m.opts.Detector.(loneDetector).graph.waits)
	})
}

// A split ends the waits for the keys that it takes away.
func TestSplitEndsWaits(t *testing.T) {
	runLossTest(t, func(s *ledStore, w waitTest) {
		require.Nil(w, w.lock(10, -1, "a", "x"))
		stays, goes := w.start(20, 0, "a"), w.wait(20, "x")
		s.halve(w, "m", firstTerm)
		w.m.Lose(storagetest.RegionID, s.region)
		var elsewhere *storage.RegionError
		require.ErrorAs(w, <-goes, &elsewhere)
		require.NotNil(w, elsewhere.Pb.KeyNotInRegion)
		require.Empty(w, stays)
		w.unlock(10, "a")
		require.Nil(w, <-stays)
	})
}

// A request that found its lock before the region was lost, and begins to wait after it, is told, too.
func TestLossBeforeWait(t *testing.T) {
	runLossTest(t, func(s *ledStore, w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		losses := w.m.waits.losses.Load()
		s.lost = &storage.RegionError{}
		w.m.Lose(storagetest.RegionID, nil)
		late := newLockWait(storagetest.RegionID, 20, []byte("a"), 10, nil)
		w.m.waits.add(late, losses)
		<-late.woken
		require.Empty(w, w.m.LockWaits())
	})
}
