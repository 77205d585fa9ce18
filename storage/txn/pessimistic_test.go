package txn

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/storagetest"
)

// waitTest starts pessimistic lock requests that wait, in a bubble where time passes when everybody waits.
type waitTest struct {
	*testing.T
	m *Manager
}

// runWaitTest opens the store outside of the bubble: its goroutines are not what the test waits for.
func runWaitTest(t *testing.T, test func(w waitTest)) {
	store, _ := newManager(t)
	synctest.Test(t, func(t *testing.T) { test(waitTest{t, newManagerOn(store)}) })
}

func (w waitTest) request(start uint64, wait int64, keys ...string) *kvrpcpb.PessimisticLockRequest {
	req := &kvrpcpb.PessimisticLockRequest{
		Context: storagetest.Context(), StartVersion: start, ForUpdateTs: start, PrimaryLock: []byte(keys[0]), LockTtl: 3000, WaitTimeout: wait,
	}
	for _, k := range keys {
		req.Mutations = append(req.Mutations, &kvrpcpb.Mutation{Op: kvrpcpb.Op_PessimisticLock, Key: []byte(k)})
	}
	return req
}

func (w waitTest) lock(start uint64, wait int64, keys ...string) *kvrpcpb.KeyError {
	resp, err := w.m.PessimisticLock(context.Background(), w.request(start, wait, keys...))
	require.NoError(w, err)
	if len(resp.Errors) > 0 {
		return resp.Errors[0]
	}
	return nil
}

// start is lock in the background, waiting by the time it returns.
func (w waitTest) start(start uint64, wait int64, keys ...string) <-chan *kvrpcpb.KeyError {
	done := make(chan *kvrpcpb.KeyError, 1)
	go func() { done <- w.lock(start, wait, keys...) }()
	synctest.Wait()
	require.Empty(w, done)
	return done
}

func (w waitTest) unlock(start uint64, keys ...string) {
	req := &kvrpcpb.PessimisticRollbackRequest{Context: storagetest.Context(), StartVersion: start, ForUpdateTs: start}
	for _, k := range keys {
		req.Keys = append(req.Keys, []byte(k))
	}
	_, err := w.m.PessimisticRollback(context.Background(), req)
	require.NoError(w, err)
	synctest.Wait()
}

func (w waitTest) prewrite(start uint64, key string) {
	_, err := w.m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), StartVersion: start, PrimaryLock: []byte(key), LockTtl: 3000,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte("v")}},
	})
	require.NoError(w, err)
}

func (w waitTest) commit(start, commit uint64, key string) {
	_, err := w.m.Commit(context.Background(), &kvrpcpb.CommitRequest{
		Context: storagetest.Context(), StartVersion: start, CommitVersion: commit, Keys: [][]byte{[]byte(key)},
	})
	require.NoError(w, err)
}

func TestLockWaitIsWokenInOrder(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		first, second := w.start(20, 60_000, "a"), w.start(30, 60_000, "a")
		w.unlock(10, "a")
		require.Nil(w, <-first)
		require.Empty(w, second)
		w.unlock(20, "a")
		require.Nil(w, <-second)
		require.Empty(w, w.m.waits.byKey)
		require.Empty(w, w.m.opts.Detector.(loneDetector).graph.waits)
	})
}

// A woken request that meets another lock, or a conflict, lets the next one try.
func TestLockWaitPassesWakeUpOn(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		require.Nil(w, w.lock(11, -1, "b"))
		first, second := w.start(20, 60_000, "a", "b"), w.start(30, 60_000, "a")
		w.unlock(10, "a")
		require.Nil(w, <-second, "the first waits for b now")
		require.Empty(w, first)
		w.unlock(11, "b")
		require.Empty(w, first)
		w.unlock(30, "a")
		require.Nil(w, <-first)
	})
}

func TestLockWaitEndsInConflict(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		w.prewrite(10, "a")
		waiting := w.start(20, 60_000, "a")
		w.commit(10, 25, "a")
		e := <-waiting
		require.Equal(w, kvrpcpb.WriteConflict_PessimisticRetry, e.Conflict.Reason)
		require.NotEmpty(w, e.Retryable)
	})
}

func TestLockWaitTimesOut(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		before := time.Now()
		e := w.lock(20, 250, "a")
		require.Zero(w, e.Locked.DurationToLastUpdateMs)
		require.Equal(w, 250*time.Millisecond, time.Since(before))
		e = w.lock(20, 0, "a")
		require.NotNil(w, e.Locked)
		require.Equal(w, 1250*time.Millisecond, time.Since(before))
		e = w.lock(20, math.MaxInt64, "a")
		require.NotNil(w, e.Locked, "for the client to see whether the holder is alive")
		require.Equal(w, 2250*time.Millisecond, time.Since(before))

		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, err := w.m.PessimisticLock(ctx, w.request(20, 60_000, "a"))
		require.ErrorIs(w, err, context.DeadlineExceeded)
		require.Empty(w, w.m.waits.byKey)
	})
}

func TestDeadlockIsFound(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		require.Nil(w, w.lock(20, -1, "b"))
		require.Nil(w, w.lock(30, -1, "c"))
		x, y := w.start(10, 60_000, "b"), w.start(20, 60_000, "c")
		e := w.lock(30, 60_000, "a").GetDeadlock()
		require.NotNil(w, e)
		require.Equal(w, uint64(10), e.LockTs)
		require.Equal(w, "a", string(e.LockKey))
		require.Equal(w, "c", string(e.DeadlockKey))
		var chain []uint64
		for _, edge := range e.WaitChain {
			chain = append(chain, edge.Txn, edge.WaitForTxn)
		}
		require.Equal(w, []uint64{10, 20, 20, 30, 30, 10}, chain)
		w.unlock(30, "c")
		require.Nil(w, <-y)
		w.unlock(20, "b", "c")
		require.Nil(w, <-x)
	})
}

// The oldest transaction is woken first, whoever came first.
func TestLockWaitIsByAge(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		young, old := w.start(30, 60_000, "a"), w.start(20, 60_000, "a")
		w.unlock(10, "a")
		require.Nil(w, <-old)
		require.Empty(w, young)
		w.unlock(20, "a")
		require.Nil(w, <-young)
	})
}

// After a conflict the next request is woken a moment later: the first one's client may have come back by then.
func TestLockWaitGivesWayAfterConflict(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		w.prewrite(10, "a")
		first, second := w.start(20, 60_000, "a"), w.start(21, 60_000, "a")
		w.commit(10, 25, "a")
		require.NotNil(w, (<-first).GetConflict())
		require.Empty(w, second)
		require.Nil(w, w.lock(30, -1, "a"))
		before := time.Now()
		locked := (<-second).GetLocked()
		require.Equal(w, uint64(30), locked.GetLockVersion())
		require.Equal(w, time.Second, time.Since(before))
	})
}

// A circle closes also when a lock changes hands behind those who wait for it.
func TestDeadlockIsFoundWhenALockChangesHands(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		require.Nil(w, w.lock(30, -1, "b"))
		x := w.start(20, 60_000, "b")
		y := w.start(20, 60_000, "a")
		z := w.start(30, 60_000, "a")
		w.unlock(10, "a") // 20, the older, takes it: 30 waits for 20, which waits for 30
		require.Nil(w, <-y)
		e := (<-z).GetDeadlock()
		require.NotNil(w, e)
		require.Equal(w, uint64(20), e.LockTs)
		w.unlock(30, "b")
		require.Nil(w, <-x)
		require.Empty(w, w.m.opts.Detector.(loneDetector).graph.waits)
	})
}

// A transaction's first request is in no circle, and no detector is told.
func TestFirstLockIsNotReported(t *testing.T) {
	runWaitTest(t, func(w waitTest) {
		require.Nil(w, w.lock(10, -1, "a"))
		req := w.request(20, 100, "a")
		req.IsFirstLock = true
		go func() {
			synctest.Wait()
			require.Len(w, w.m.LockWaits(), 1)
			require.Empty(w, w.m.opts.Detector.(loneDetector).graph.waits)
		}()
		resp, err := w.m.PessimisticLock(context.Background(), req)
		require.NoError(w, err)
		require.NotNil(w, resp.Errors[0].Locked)
	})
}

// A request without keys locks nothing.
func TestLockNothing(t *testing.T) {
	_, w := newLedStore(t)
	resp, err := w.m.PessimisticLock(context.Background(), &kvrpcpb.PessimisticLockRequest{Context: storagetest.Context(), StartVersion: 10})
	require.NoError(t, err)
	require.Empty(t, resp.Errors)
}
