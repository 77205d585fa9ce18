package txn

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// history is a store beside the naive account of what was committed there: every value of every key since ever.
type history struct {
	t    require.TestingT
	m    *Manager
	ts   uint64
	vals map[string][]committed // oldest first
}

type committed struct {
	ts  uint64
	val string // empty: deleted
}

func (h *history) at(key string, ts uint64) (val string) {
	for _, v := range h.vals[key] {
		if v.ts <= ts {
			val = v.val
		}
	}
	return val
}

// commit writes one key in a transaction of its own.
func (h *history) commit(op kvrpcpb.Op, key, val string) {
	h.ts = max(h.ts+2, h.m.conc.SafePoint())
	resp, err := h.m.Prewrite(context.Background(), &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), PrimaryLock: []byte(key), StartVersion: h.ts, LockTtl: 3000, TryOnePc: true,
		Mutations: []*kvrpcpb.Mutation{{Op: op, Key: []byte(key), Value: []byte(val)}},
	})
	require.NoError(h.t, err)
	require.Empty(h.t, resp.Errors)
	h.ts = max(h.ts, resp.OnePcCommitTs)
	if op == kvrpcpb.Op_Put || op == kvrpcpb.Op_Del {
		h.vals[key] = append(h.vals[key], committed{resp.OnePcCommitTs, val})
	}
}

// rollback leaves the record of a transaction that wrote nothing, at times where a commit is already.
func (h *history) rollback(key string, start uint64) {
	_, err := h.m.Cleanup(context.Background(), &kvrpcpb.CleanupRequest{Context: storagetest.Context(), Key: []byte(key), StartVersion: start})
	require.NoError(h.t, err)
}

func (h *history) gc(safePoint uint64) GCStats {
	h.m.conc.RaiseSafePoint(safePoint)
	stats, err := h.m.GC(context.Background(), storagetest.Context(), GCOptions{SafePoint: safePoint})
	require.NoError(h.t, err)
	return stats
}

// check reads everything at ts by Get and by Scan.
func (h *history) check(ts uint64) {
	scanned := map[string]string{}
	scan, err := h.m.Scan(context.Background(), &kvrpcpb.ScanRequest{Context: storagetest.Context(), Version: ts, Limit: 1000})
	require.NoError(h.t, err)
	require.Nil(h.t, scan.Error)
	for _, p := range scan.Pairs {
		scanned[string(p.Key)] = string(p.Value)
	}
	for key := range h.vals {
		want := h.at(key, ts)
		require.Equal(h.t, want, scanned[key], "scan of %s at %d", key, ts)
		get, err := h.m.Get(context.Background(), &kvrpcpb.GetRequest{Context: storagetest.Context(), Key: []byte(key), Version: ts})
		require.NoError(h.t, err)
		require.Equal(h.t, want, string(get.Value), "get of %s at %d", key, ts)
	}
}

// TestGCKeepsReads writes random histories and collects them at rising safe points. No read at or above a safe point may
// ever notice, and of what lies below nothing may be left that is not visible.
func TestGCKeepsReads(t *testing.T) {
	store, _ := newManager(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{t: rt, m: newManagerOn(store), ts: 100, vals: map[string][]committed{}}
		_, err := h.m.DeleteRange(context.Background(), &kvrpcpb.DeleteRangeRequest{Context: storagetest.Context()})
		require.NoError(rt, err)
		safe := uint64(0)
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			for range rapid.IntRange(1, 30).Draw(rt, "steps") {
				h.step(rt)
			}
			safe = max(safe, rapid.Uint64Range(100, h.ts+3).Draw(rt, "safe point"))
			stats := h.gc(safe)
			for range 5 {
				h.check(max(safe, rapid.Uint64Range(safe, h.ts+3).Draw(rt, "read")))
			}
			h.checkLeft(store, safe)
			again := h.gc(safe)
			require.Zero(rt, again.Versions)
			require.GreaterOrEqual(rt, again.NextTS, stats.NextTS)
			require.Greater(rt, again.NextTS, safe)
		}
	})
}

func (h *history) step(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "cccccccccc"}).Draw(rt, "key")
	long := func() string {
		return strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 300}).Draw(rt, "length")) + fmt.Sprint(h.ts)
	}
	switch rapid.IntRange(0, 6).Draw(rt, "what") {
	case 0:
		h.commit(kvrpcpb.Op_Del, key, "")
	case 1:
		h.commit(kvrpcpb.Op_Lock, key, "")
	case 2:
		h.rollback(key, h.ts) // the commit_ts of the last transaction, whatever its key
	case 3:
		h.ts += 2
		h.rollback(key, h.ts-1)
	case 4: // enough versions for a range
		for range rapid.IntRange(1, 2*engine.RangeWorth).Draw(rt, "times") {
			h.commit(kvrpcpb.Op_Put, key, fmt.Sprint(h.ts))
		}
	default:
		h.commit(kvrpcpb.Op_Put, key, long())
	}
}

// checkLeft: at or below the safe point each key has one put at most, and each long value its put.
func (h *history) checkLeft(store *storagetest.Store, safePoint uint64) {
	for key := range h.vals {
		info, err := h.m.MvccGetByKey(context.Background(), &kvrpcpb.MvccGetByKeyRequest{Context: storagetest.Context(), Key: []byte(key)})
		require.NoError(h.t, err)
		below, longs := 0, 0
		for _, w := range info.Info.Writes {
			if w.CommitTs <= safePoint {
				require.Equal(h.t, kvrpcpb.Op_Put, w.Type, "%s at %d, safe point %d", key, w.CommitTs, safePoint)
				below++
			}
			if w.Type == kvrpcpb.Op_Put && w.ShortValue == nil {
				longs++
			}
		}
		require.LessOrEqual(h.t, below, 1, "versions of %s below %d", key, safePoint)
		require.Len(h.t, info.Info.Values, longs)
	}
}

// TestGCOfManyVersions collects a key with more versions than one command deletes; a delete mark on top must hide them
// until the last is gone, also if the collection ends in between.
func TestGCOfManyVersions(t *testing.T) {
	store, m := newManager(t)
	h := &history{t: t, m: m, ts: 100, vals: map[string][]committed{}}
	const versions = gcChangesMax + 500
	b := store.Engine.NewBatch()
	key := mvcc.EncodeKey([]byte("hot"))
	for i := range uint64(versions) {
		w := mvcc.Write{Type: mvcc.WritePut, StartTS: 10 + 2*i}
		b.Put(storage.CFWrite, mvcc.VersionKey(key, w.StartTS+1), w.Append(nil))
		b.Put(storage.CFDefault, mvcc.VersionKey(key, w.StartTS), bytes.Repeat([]byte("v"), 300))
	}
	require.NoError(t, b.Commit(false))
	require.NoError(t, b.Close())
	h.ts = 10 + 2*versions
	h.commit(kvrpcpb.Op_Del, "hot", "")

	steps := 0
	_, err := m.GC(context.Background(), storagetest.Context(), GCOptions{SafePoint: h.ts, Pause: func(context.Context, int) error {
		steps++
		h.check(h.ts)
		if steps == 1 {
			return context.Canceled
		}
		return nil
	}})
	require.ErrorIs(t, err, context.Canceled)
	stats := h.gc(h.ts)
	require.Less(t, 0, stats.Versions)
	require.Less(t, stats.Versions, versions, "the first run did its part")
	h.check(h.ts)
	info, err := m.MvccGetByKey(context.Background(), &kvrpcpb.MvccGetByKeyRequest{Context: storagetest.Context(), Key: []byte("hot")})
	require.NoError(t, err)
	require.Empty(t, info.Info.Writes)
	require.Empty(t, info.Info.Values)
}

// TestGCBesideWriters collects again and again while transactions of all fates go on above the safe point.
func TestGCBesideWriters(t *testing.T) {
	store, m := newManager(t)
	shared := model{t: t, store: store, m: m, tso: new(atomic.Uint64), mu: new(sync.Mutex), txns: new([]*modelTxn), reads: new([]modelRead)}
	shared.tso.Store(1000 << 18)
	old := &history{t: t, m: m, ts: 100, vals: map[string][]committed{}}
	for range 20 {
		for _, k := range modelKeys {
			old.commit(kvrpcpb.Op_Put, string(k), fmt.Sprint(old.ts))
		}
	}
	for _, k := range modelKeys {
		old.commit(kvrpcpb.Op_Del, string(k), "") // the model begins with nothing
	}
	done := make(chan struct{})
	var writers, collector sync.WaitGroup
	collector.Go(func() {
		for safe := uint64(100); ; safe = min(safe+10, old.ts) {
			old.gc(safe)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for worker := range uint64(3) {
		writers.Go(func() {
			d := shared
			d.pick = rand.New(rand.NewPCG(7, worker)).IntN
			for range 100 {
				d.step()
			}
		})
	}
	writers.Wait()
	close(done)
	collector.Wait()
	old.gc(old.ts)
	shared.pick = rand.New(rand.NewPCG(7, 99)).IntN
	shared.verify()
	for _, k := range modelKeys {
		info, err := m.MvccGetByKey(context.Background(), &kvrpcpb.MvccGetByKeyRequest{Context: storagetest.Context(), Key: k})
		require.NoError(t, err)
		for _, w := range info.Info.Writes {
			require.Greater(t, w.CommitTs, old.ts)
		}
	}
}

// A transaction that began below the safe point takes no locks: what would tell it of a conflict may be gone.
func TestNoLocksBelowTheSafePoint(t *testing.T) {
	_, w := newLedStore(t)
	require.Nil(t, w.lock(10, -1, "a"))
	w.m.conc.RaiseSafePoint(20)
	require.Contains(t, w.lock(10, -1, "b").GetAbort(), "GC life time")
	require.Contains(t, w.held(10, "a").GetAbort(), "GC life time")
	require.Nil(t, w.lock(20, -1, "b"))
	require.Nil(t, w.held(20, "b"))
}
