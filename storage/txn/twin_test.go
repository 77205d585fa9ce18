package txn

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
)

// twinSeeds is the number of histories that TestTwins tries, a hundred in each subtest.
const twinSeeds = 10_000

// Manager and the naive service are given the same random requests: sensible ones, stale ones, and those that no client
// would send. Every answer is the same, and so is what they leave behind.
func TestTwins(t *testing.T) {
	for range twinSeeds / 100 {
		store, _ := newManager(t)
		rapid.Check(t, func(rt *rapid.T) {
			tw := newTwins(rt, store)
			for range rapid.IntRange(1, 30).Draw(rt, "requests") {
				tw.step()
			}
			tw.compareStates()
		})
	}
}

// twins draws requests and gives them to both.
type twins struct {
	*rapid.T
	store *storagetest.Store
	m     *Manager
	n     *naive
}

func newTwins(t *rapid.T, store *storagetest.Store) *twins {
	m := newManagerOn(store)
	_, err := m.DeleteRange(context.Background(), &kvrpcpb.DeleteRangeRequest{Context: storagetest.Context()})
	require.NoError(t, err)
	m.memory.regionMax = []int64{0, 400, regionLocksMax}[rapid.IntRange(0, 2).Draw(t, "memory")] // for none, one or two, all
	m.recent = newRecentWrites([]uint{0, 1, 8}[rapid.IntRange(0, 2).Draw(t, "recent")])          // all keys share a slot, some, none
	return &twins{t, store, m, newNaive()}
}

var twinKeys = [][]byte{[]byte("a"), []byte("b"), []byte("bb"), []byte("c")}

func (tw *twins) n0(n int, what string) int { return rapid.IntRange(0, n-1).Draw(tw.T, what) }
func (tw *twins) coin(what string) bool     { return tw.n0(2, what) == 0 }
func (tw *twins) rarely(what string) bool   { return tw.n0(6, what) == 5 }
func (tw *twins) key() []byte               { return twinKeys[tw.n0(len(twinKeys), "key")] }

// keys draws some distinct keys, in any order.
func (tw *twins) keys() [][]byte {
	return rapid.Permutation(twinKeys).Draw(tw.T, "keys")[:1+tw.n0(3, "count")]
}

// time draws a timestamp, a millisecond from the next.
func (tw *twins) time() uint64 { return uint64(1+tw.n0(30, "time")) << 18 }

// start draws one of the few transactions; its primary key is always the same.
func (tw *twins) start() (ts uint64, primary []byte) {
	i := tw.n0(4, "txn")
	return uint64(5+5*i) << 18, twinKeys[i]
}

// above draws a timestamp at or a little above ts.
func (tw *twins) above(ts uint64) uint64 { return ts + uint64(tw.n0(8, "above"))<<17 }

func (tw *twins) some(list ...uint64) []uint64 {
	var out []uint64
	for _, ts := range list {
		if tw.rarely("listed") {
			out = append(out, ts)
		}
	}
	return out
}

func (tw *twins) step() {
	requests := []func(){
		tw.prewrite, tw.prewrite, tw.prewrite, tw.flush, tw.flush, tw.bufferGet, tw.commit, tw.commit, tw.lock, tw.lock, tw.get, tw.batchGet, tw.scan, tw.batchRollback,
		tw.cleanup, tw.heartbeat, tw.checkTxn, tw.checkTxn, tw.checkSecondaries, tw.resolve, tw.scanLock, tw.unlock,
	}
	requests[tw.n0(len(requests), "request")]()
	require.Equal(tw, tw.n.maxTS, tw.m.conc.MaxTS())
}

// same compares two answers, but for texts.
func same[Q, R fmt.Stringer](tw *twins, req Q, real func(context.Context, Q) (R, error), naive func(Q) R) {
	got, err := real(context.Background(), req)
	require.NoError(tw, err)
	tw.Logf("%T %v -> %v", req, req, got)
	require.Equal(tw, naive(req).String(), wordless(got).String(), "the answer")
}

// wordless takes the texts out of an answer's errors.
func wordless[R any](resp R) R {
	var errs []*kvrpcpb.KeyError
	switch r := any(resp).(type) {
	case interface{ GetErrors() []*kvrpcpb.KeyError }:
		errs = r.GetErrors()
	case interface{ GetError() *kvrpcpb.KeyError }:
		errs = append(errs, r.GetError())
	}
	if r, ok := any(resp).(interface{ GetPairs() []*kvrpcpb.KvPair }); ok {
		for _, p := range r.GetPairs() {
			errs = append(errs, p.Error)
		}
	}
	for _, e := range errs {
		if e != nil {
			e.Retryable = ""
			if e.Abort != "" {
				e.Abort = "abort"
			}
		}
	}
	return resp
}

func (tw *twins) mutation(ops ...kvrpcpb.Op) func(key []byte) *kvrpcpb.Mutation {
	return func(key []byte) *kvrpcpb.Mutation {
		mu := &kvrpcpb.Mutation{Key: key, Op: ops[tw.n0(len(ops), "op")]}
		if mu.Op == kvrpcpb.Op_Put || mu.Op == kvrpcpb.Op_Insert {
			mu.Value = fmt.Appendf(nil, "%d", tw.n0(1000, "value"))
			if tw.rarely("long") {
				mu.Value = bytes.Repeat(mu.Value, 100)
			}
		}
		if tw.rarely("asserts") {
			mu.Assertion = kvrpcpb.Assertion(1 + tw.n0(2, "assertion"))
		}
		return mu
	}
}

func (tw *twins) prewrite() {
	start, primary := tw.start()
	req := &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), StartVersion: start, PrimaryLock: primary, LockTtl: uint64(tw.n0(20, "ttl")),
		AssertionLevel: kvrpcpb.AssertionLevel(tw.n0(3, "level")), SkipConstraintCheck: tw.rarely("skip check"),
		UseAsyncCommit: tw.n0(3, "async") == 0, TryOnePc: tw.n0(4, "1pc") == 0,
	}
	draw := tw.mutation(kvrpcpb.Op_Put, kvrpcpb.Op_Put, kvrpcpb.Op_Del, kvrpcpb.Op_Lock, kvrpcpb.Op_Insert, kvrpcpb.Op_CheckNotExists)
	for _, key := range tw.keys() {
		req.Mutations = append(req.Mutations, draw(key))
	}
	if req.UseAsyncCommit {
		req.Secondaries = tw.keys()
	}
	if tw.coin("pushed") {
		req.MinCommitTs = start + 1
	}
	if req.SkipConstraintCheck { // is for clients that never repeat themselves with another value
		for _, mu := range req.Mutations {
			mu.Value = mu.Value[:min(len(mu.Value), 10)]
		}
	}
	if tw.rarely("limited") {
		req.MaxCommitTs = tw.above(start)
	}
	if tw.coin("pessimistic") {
		tw.pessimistic(req)
	}
	same(tw, req, tw.m.Prewrite, tw.n.Prewrite)
}

func (tw *twins) pessimistic(req *kvrpcpb.PrewriteRequest) {
	req.ForUpdateTs = tw.above(req.StartVersion)
	for i := range req.Mutations {
		action := []kvrpcpb.PrewriteRequest_PessimisticAction{1, 1, 0, 2}[tw.n0(4, "action")]
		req.PessimisticActions = append(req.PessimisticActions, action)
		if tw.rarely("constraint") {
			req.ForUpdateTsConstraints = append(req.ForUpdateTsConstraints, &kvrpcpb.PrewriteRequest_ForUpdateTSConstraint{
				Index: uint32(i), ExpectedForUpdateTs: tw.above(req.StartVersion),
			})
		}
	}
}

func (tw *twins) commit() {
	start, _ := tw.start()
	same(tw, &kvrpcpb.CommitRequest{
		Context: storagetest.Context(), StartVersion: start, CommitVersion: tw.above(start), Keys: tw.keys(),
	}, tw.m.Commit, tw.n.Commit)
}

func (tw *twins) flush() {
	start, primary := tw.start()
	req := &kvrpcpb.FlushRequest{
		Context: storagetest.Context(), StartTs: start, PrimaryKey: primary, LockTtl: uint64(tw.n0(20, "ttl")), MinCommitTs: start + 1,
		Generation: uint64(tw.n0(5, "generation")), AssertionLevel: kvrpcpb.AssertionLevel(tw.n0(3, "level")),
	}
	draw := tw.mutation(kvrpcpb.Op_Put, kvrpcpb.Op_Del, kvrpcpb.Op_Lock, kvrpcpb.Op_Insert, kvrpcpb.Op_CheckNotExists)
	for _, key := range tw.keys() {
		req.Mutations = append(req.Mutations, draw(key))
	}
	same(tw, req, tw.m.Flush, tw.n.Flush)
}

func (tw *twins) bufferGet() {
	start, _ := tw.start()
	same(tw, &kvrpcpb.BufferBatchGetRequest{Context: storagetest.Context(), Version: start, Keys: tw.keys()}, tw.m.BufferBatchGet, tw.n.BufferBatchGet)
}

func (tw *twins) lock() {
	start, primary := tw.start()
	req := &kvrpcpb.PessimisticLockRequest{
		Context: storagetest.Context(), StartVersion: start, PrimaryLock: primary, ForUpdateTs: tw.above(start),
		LockTtl: uint64(tw.n0(20, "ttl")), WaitTimeout: -1, ReturnValues: tw.coin("values"), CheckExistence: tw.coin("existence"),
		LockOnlyIfExists: tw.rarely("if exists"), WakeUpMode: kvrpcpb.PessimisticLockWakeUpMode(tw.n0(2, "force")),
	}
	if tw.coin("pushed") {
		req.MinCommitTs = start + 1
	}
	keys := tw.keys()
	if req.WakeUpMode > 0 && !tw.rarely("several") {
		keys = keys[:1]
	}
	for _, key := range keys {
		mu := &kvrpcpb.Mutation{Op: kvrpcpb.Op_PessimisticLock, Key: key}
		if tw.rarely("not exist") {
			mu.Assertion = kvrpcpb.Assertion_NotExist
		}
		req.Mutations = append(req.Mutations, mu)
	}
	same(tw, req, tw.m.PessimisticLock, tw.n.PessimisticLock)
}

func (tw *twins) unlock() {
	start, _ := tw.start()
	req := &kvrpcpb.PessimisticRollbackRequest{Context: storagetest.Context(), StartVersion: start, ForUpdateTs: tw.above(start)}
	if tw.coin("keys") {
		req.Keys = tw.keys()
	}
	same(tw, req, tw.m.PessimisticRollback, tw.n.PessimisticRollback)
}

func (tw *twins) batchRollback() {
	start, _ := tw.start()
	same(tw, &kvrpcpb.BatchRollbackRequest{Context: storagetest.Context(), StartVersion: start, Keys: tw.keys()}, tw.m.BatchRollback, tw.n.BatchRollback)
}

func (tw *twins) cleanup() {
	start, _ := tw.start()
	req := &kvrpcpb.CleanupRequest{Context: storagetest.Context(), StartVersion: start, Key: tw.key()}
	if tw.coin("current") {
		req.CurrentTs = tw.time()
	}
	same(tw, req, tw.m.Cleanup, tw.n.Cleanup)
}

func (tw *twins) heartbeat() {
	start, primary := tw.start()
	same(tw, &kvrpcpb.TxnHeartBeatRequest{
		Context: storagetest.Context(), StartVersion: start, PrimaryLock: primary, AdviseLockTtl: uint64(tw.n0(30, "ttl")),
	}, tw.m.TxnHeartBeat, tw.n.TxnHeartBeat)
}

func (tw *twins) checkTxn() {
	start, primary := tw.start()
	req := &kvrpcpb.CheckTxnStatusRequest{
		Context: storagetest.Context(), PrimaryKey: primary, LockTs: start, CurrentTs: tw.time(), CallerStartTs: tw.version(),
		RollbackIfNotExist: tw.coin("rollback"), ForceSyncCommit: tw.coin("force sync"), ResolvingPessimisticLock: tw.coin("pessimistic"),
		VerifyIsPrimary: tw.coin("verify"),
	}
	if tw.rarely("another key") {
		req.PrimaryKey = tw.key()
	}
	same(tw, req, tw.m.CheckTxnStatus, tw.n.CheckTxnStatus)
}

func (tw *twins) checkSecondaries() {
	start, _ := tw.start()
	same(tw, &kvrpcpb.CheckSecondaryLocksRequest{Context: storagetest.Context(), StartVersion: start, Keys: tw.keys()}, tw.m.CheckSecondaryLocks, tw.n.CheckSecondaryLocks)
}

func (tw *twins) resolve() {
	start, _ := tw.start()
	req := &kvrpcpb.ResolveLockRequest{Context: storagetest.Context(), StartVersion: start}
	if tw.coin("commit") {
		req.CommitVersion = tw.above(start)
	}
	switch tw.n0(3, "extent") {
	case 0:
		req.Keys = tw.keys()
	case 1:
		other, _ := tw.start()
		req.TxnInfos = []*kvrpcpb.TxnInfo{{Txn: start, Status: req.CommitVersion}}
		if other != start {
			req.TxnInfos = append(req.TxnInfos, &kvrpcpb.TxnInfo{Txn: other})
		}
	}
	same(tw, req, tw.m.ResolveLock, tw.n.ResolveLock)
}

func (tw *twins) scanLock() {
	req := &kvrpcpb.ScanLockRequest{Context: storagetest.Context(), MaxVersion: tw.time(), Limit: uint32(tw.n0(3, "limit"))}
	req.StartKey, req.EndKey = tw.bounds()
	same(tw, req, tw.m.ScanLock, tw.n.ScanLock)
}

func (tw *twins) bounds() (start, end []byte) {
	if tw.coin("start") {
		start = tw.key()
	}
	if tw.coin("end") {
		end = tw.key()
	}
	return start, end
}

// version draws a timestamp to read at.
func (tw *twins) version() uint64 {
	if tw.rarely("latest") {
		return mvcc.TSMax
	}
	return tw.time()
}

// reading is the context of a read.
func (tw *twins) reading() *kvrpcpb.Context {
	pb := storagetest.Context()
	if tw.rarely("isolation") {
		pb.IsolationLevel = kvrpcpb.IsolationLevel(1 + tw.n0(2, "level"))
	}
	all := []uint64{5 << 18, 10 << 18, 15 << 18, 20 << 18}
	pb.ResolvedLocks, pb.CommittedLocks = tw.some(all...), tw.some(all...)
	return pb
}

func (tw *twins) get() {
	same(tw, &kvrpcpb.GetRequest{Context: tw.reading(), Key: tw.key(), Version: tw.version(), NeedCommitTs: true}, tw.m.Get, tw.n.Get)
}

func (tw *twins) batchGet() {
	same(tw, &kvrpcpb.BatchGetRequest{Context: tw.reading(), Keys: tw.keys(), Version: tw.version(), NeedCommitTs: true}, tw.m.BatchGet, tw.n.BatchGet)
}

func (tw *twins) scan() {
	req := &kvrpcpb.ScanRequest{
		Context: tw.reading(), Version: tw.version(), Limit: uint32(1 + tw.n0(5, "limit")), Reverse: tw.coin("reverse"), KeyOnly: tw.coin("key only"),
	}
	if tw.rarely("samples") {
		req.SampleStep = uint32(1 + tw.n0(3, "step"))
	}
	req.StartKey, req.EndKey = tw.bounds()
	same(tw, req, tw.m.Scan, tw.n.Scan)
}

// compareStates compares all locks and records.
func (tw *twins) compareStates() {
	for _, key := range twinKeys {
		require.Equal(tw, tw.n.dump(key), tw.dump(key), "state of %s", key)
	}
	require.Zero(tw, tw.m.conc.guards.Load())
}

// dump prints what is stored of a key as naive.dump does.
func (tw *twins) dump(key []byte) string {
	snap := tw.store.Engine.NewSnapshot()
	defer func() { require.NoError(tw, snap.Close()) }()
	encoded, out := mvcc.EncodeKey(key), ""
	value := func(short []byte, put bool, start uint64) []byte {
		if !put || short != nil {
			return short
		}
		long, err := snap.Get(storage.CFDefault, mvcc.VersionKey(encoded, start))
		require.NoError(tw, err)
		require.NotNil(tw, long, "long value is missing")
		return long
	}
	record, err := snap.Get(storage.CFLock, encoded)
	require.NoError(tw, err)
	inMemory, _ := tw.m.memory.between(storagetest.RegionID, encoded, append(encoded[:len(encoded):len(encoded)], 0))
	for _, l := range inMemory {
		require.Nil(tw, record, "a lock is at one place")
		out += fmt.Sprintf("lock %v rollbacks=%d value=-\n", l.lock.Info(key), l.lock.RollbackTS)
	}
	if record != nil {
		l, err := mvcc.ParseLock(record)
		require.NoError(tw, err)
		out += fmt.Sprintf("lock %v rollbacks=%d value=%s\n", l.Info(key), l.RollbackTS, short(value(l.ShortValue, l.Type == mvcc.LockPut, l.StartTS)))
	}
	it, err := snap.NewIterator(versions(storage.CFWrite, encoded))
	require.NoError(tw, err)
	defer func() { require.NoError(tw, it.Close()) }()
	for valid := it.First(); valid; valid = it.Next() {
		_, at, err := mvcc.SplitVersion(it.Key())
		require.NoError(tw, err)
		w, err := mvcc.ParseWrite(it.Value())
		require.NoError(tw, err)
		v := value(w.ShortValue, w.Type == mvcc.WritePut, w.StartTS)
		if w.Type == mvcc.WriteRollback {
			v = nil
		}
		out += fmt.Sprintf("@%d %c start=%d overlapped=%v protected=%v %s\n", at, w.Type, w.StartTS, w.Overlapped, w.Protected(), short(v))
	}
	return out
}
