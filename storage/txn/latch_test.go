package txn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// acquire is latches.acquire without the time.
func acquire(l *latches, ctx context.Context, set latchSet) error {
	_, err := l.acquire(ctx, set)
	return err
}

// Commands over overlapping sets of keys exclude each other, and all come to an end.
func TestLatchesExclude(t *testing.T) {
	l := newLatches(time.Now)
	var counters [20]int // each guarded by its latch
	var wg sync.WaitGroup
	for worker := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, worker))
			for range 500 {
				var keys [][]byte
				held := make(map[int]bool)
				for range 1 + r.IntN(6) {
					i := r.IntN(len(counters))
					held[i] = true
					keys = append(keys, fmt.Appendf(nil, "%d", i))
				}
				set := newLatchSet(nil, keys)
				require.NoError(t, acquire(l, context.Background(), set))
				for i := range held {
					counters[i]++
				}
				l.release(set)
			}
		})
	}
	wg.Wait()
	for i := range l.shards {
		require.Empty(t, l.shards[i].held)
	}
}

func TestLatchesAreFIFOAndLeavable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLatches(time.Now)
		a, ab := newLatchSet(nil, [][]byte{[]byte("a")}), newLatchSet(nil, [][]byte{[]byte("a"), []byte("b")})
		require.NoError(t, acquire(l, context.Background(), a))
		var order []int
		queue := func(n int, ctx context.Context, set latchSet) {
			go func() {
				if err := acquire(l, ctx, set); err != nil {
					order = append(order, -n)
					return
				}
				order = append(order, n)
				l.release(set)
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(context.Background())
		queue(1, ctx, ab)
		queue(2, context.Background(), a)
		queue(3, context.Background(), a)
		cancel()
		synctest.Wait()
		l.release(a)
		synctest.Wait()
		require.Equal(t, []int{-1, 2, 3}, order)
		for i := range l.shards {
			require.Empty(t, l.shards[i].held)
		}
	})
}

// Both orders of a read and an async-commit write: the later one learns of the earlier.
func TestConcurrencyOrdersReadsAndWrites(t *testing.T) {
	c := NewConcurrency()
	keys := [][]byte{[]byte("b"), []byte("d")}
	lock := mvcc.Lock{Type: mvcc.LockPut, Primary: keys[0], StartTS: 10, TTL: 1, AsyncCommit: true}
	require.NoError(t, c.ReadCheck(50, nil, nil, nil))
	c.UpdateMaxTS(mvcc.TSMax)
	require.Equal(t, uint64(50), c.MaxTS())

	g := c.publish(keys, lock, 10)
	require.Equal(t, uint64(51), g.lock.MinCommitTS)
	require.NoError(t, c.ReadCheck(50, nil, nil, nil), "the write commits above")
	var locked *mvcc.LockedError
	require.ErrorAs(t, c.ReadCheck(51, nil, nil, nil), &locked)
	require.Equal(t, "b", string(locked.Info.Key))
	require.ErrorAs(t, c.ReadCheck(mvcc.TSMax, []byte("c"), []byte("e"), nil), &locked)
	require.Equal(t, "d", string(locked.Info.Key))
	require.NoError(t, c.ReadCheck(51, []byte("c"), []byte("d"), nil))
	require.NoError(t, c.ReadCheck(51, nil, nil, []uint64{10}))
	require.Error(t, c.ReadCheckKeys(51, [][]byte{[]byte("d")}, nil))
	require.NoError(t, c.ReadCheckKeys(51, [][]byte{[]byte("c")}, nil))
	c.withdraw(g)
	require.NoError(t, c.ReadCheck(51, nil, nil, nil))
}

func asyncPrewrite(key string, start uint64) *kvrpcpb.PrewriteRequest {
	return &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), StartVersion: start, PrimaryLock: []byte(key), LockTtl: 1, UseAsyncCommit: true,
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: []byte(key), Value: []byte("v")}},
	}
}

// Until max_ts is known to be right for the leader's term, nobody chooses commit timestamps.
func TestAsyncCommitWaitsForMaxTS(t *testing.T) {
	store := storagetest.New(t)
	c := NewConcurrency()
	m := NewManager(store, c, ManagerOptions{})
	c.SetSynced(storagetest.RegionID, storagetest.Term-1, 0)
	_, err := m.Prewrite(context.Background(), asyncPrewrite("a", 10))
	var region *storage.RegionError
	require.ErrorAs(t, err, &region)
	require.NotNil(t, region.Pb.MaxTimestampNotSynced)
	c.SetSynced(storagetest.RegionID, storagetest.Term, 0)
	resp, err := m.Prewrite(context.Background(), asyncPrewrite("a", 10))
	require.NoError(t, err)
	require.Equal(t, uint64(11), resp.MinCommitTs)
}

// A client that gives up learns that the outcome is not known. Its latches and in-memory locks stay until it is.
func TestWriteOutlivesItsClient(t *testing.T) {
	store, m := newManager(t)
	reached, proceed := make(chan struct{}), make(chan struct{})
	store.BeforeWrite = func([]storage.Modify) error {
		close(reached)
		<-proceed
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-reached
		cancel()
	}()
	_, err := m.Prewrite(ctx, asyncPrewrite("a", 10))
	require.ErrorIs(t, err, storage.ErrUndetermined)
	require.ErrorIs(t, err, context.Canceled)

	get, err := m.Get(context.Background(), &kvrpcpb.GetRequest{Context: storagetest.Context(), Key: []byte("a"), Version: 20})
	require.NoError(t, err)
	require.NotNil(t, get.Error.GetLocked())
	short, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, acquire(m.latches, short, newLatchSet(nil, [][]byte{[]byte("a")})))

	close(proceed)
	require.NoError(t, acquire(m.latches, context.Background(), newLatchSet(nil, [][]byte{[]byte("a")})))
	require.Zero(t, m.conc.guards.Load())
}

func TestRefusedWritesLeaveNothingHeld(t *testing.T) {
	store, m := newManager(t)
	refused := errors.New("refused")
	store.BeforeWrite = func([]storage.Modify) error { return refused }
	_, err := m.Prewrite(context.Background(), asyncPrewrite("a", 10))
	require.ErrorIs(t, err, refused)
	require.Zero(t, m.conc.guards.Load())
	store.BeforeWrite = nil

	req := asyncPrewrite("a", 10)
	req.Context.RegionId = 99
	_, err = m.Prewrite(context.Background(), req)
	var region *storage.RegionError
	require.ErrorAs(t, err, &region)
	require.NoError(t, acquire(m.latches, context.Background(), newLatchSet(nil, [][]byte{[]byte("a")})))
}
