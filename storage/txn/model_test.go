package txn

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

// The model is what transactions promise, checked on what really happened: clients run transactions of all kinds over a few
// keys, die between any two requests, repeat requests, and resolve the locks they meet as real clients do. In the end all
// locks are resolved, and the records left must tell one story. Leaders change, and with them the pessimistic locks in
// memory are lost.
//
//   - a transaction that its client saw committed is committed, at that timestamp, on all its keys; one that its client saw
//     fail is on none; one without a witness is on all or none;
//   - no two committed transactions overlap in time on a key, a pessimistic one counting from its lock on;
//   - what a transaction read under a lock is what the story has there when it commits;
//   - each read returned what the story has at its timestamp.
type model struct {
	t     require.TestingT
	store *storagetest.Store
	m     *Manager
	tso   *atomic.Uint64
	pick  func(n int) int // random in [0, n)

	lockWait int64  // of pessimistic locks, milliseconds; -1: clients do not wait
	pause    func() // called between the requests of a client, if set

	mu    *sync.Mutex
	txns  *[]*modelTxn
	reads *[]modelRead
}

type modelTxn struct {
	start     uint64
	primary   []byte
	muts      []*kvrpcpb.Mutation // the primary's first
	async     bool
	onePC     bool
	locks     map[string]*modelLock // of a pessimistic transaction, by key; nil: optimistic
	forUpdate uint64                // its latest
	committed uint64                // as the client knows
	failed    bool                  // as the client knows
}

type modelRead struct {
	ts   uint64
	keys [][]byte
	vals map[string]string
}

var modelKeys = func() (keys [][]byte) {
	for _, k := range []string{"a", "b", "bb", "c", "dddddddd", "e"} {
		keys = append(keys, []byte(k))
	}
	return keys
}()

func TestModelSequential(t *testing.T) {
	base, _ := newManager(t)
	rapid.Check(t, func(rt *rapid.T) {
		store := &ledStore{Store: base, term: storagetest.Term, region: storagetest.Region()}
		m, other := newManagerOn(store), newManagerOn(store)
		m.recent, other.recent = newRecentWrites(3), newRecentWrites(3) // slots are shared
		_, err := m.DeleteRange(context.Background(), &kvrpcpb.DeleteRangeRequest{Context: storagetest.Context()})
		require.NoError(rt, err)
		d := &model{
			t: rt, store: base, m: m, tso: new(atomic.Uint64), mu: new(sync.Mutex),
			txns: new([]*modelTxn), reads: new([]modelRead), lockWait: -1,
			pick: func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "pick") },
		}
		d.tso.Store(1000 << 18)
		// The other store leads: the locks in memory are lost, and it does not know what was written meanwhile.
		d.pause = func() {
			if d.pick(8) == 0 {
				store.term++
				d.m, other = other, d.m
				d.m.conc.SetSynced(storagetest.RegionID, store.term, d.now())
			}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			d.step()
		}
		d.verify()
	})
}

func TestModelConcurrent(t *testing.T) {
	for seed := range uint64(5) {
		store, m := newManager(t)
		shared := model{t: t, lockWait: 5, store: store, m: m, tso: new(atomic.Uint64), mu: new(sync.Mutex), txns: new([]*modelTxn), reads: new([]modelRead)}
		shared.tso.Store(1000 << 18)
		var wg sync.WaitGroup
		for worker := range uint64(4) {
			wg.Go(func() {
				d := shared
				d.pick = rand.New(rand.NewPCG(seed, worker)).IntN
				for range 150 {
					d.step()
				}
			})
		}
		wg.Wait()
		shared.pick = rand.New(rand.NewPCG(seed, 99)).IntN
		shared.verify()
		require.Zero(t, m.conc.guards.Load())
	}
}

func (d *model) now() uint64 { return d.tso.Add(uint64(1 + d.pick(3))) }

// later lets time pass, until every lock written so far has expired.
func (d *model) later() uint64 { return d.tso.Add(10_000 << 18) }

func (d *model) step() {
	if d.pick(3) == 0 {
		d.read(d.now())
		return
	}
	x := &modelTxn{start: d.now(), async: d.pick(3) == 0, onePC: d.pick(3) == 0}
	for _, i := range d.some(len(modelKeys)) {
		op := []kvrpcpb.Op{kvrpcpb.Op_Put, kvrpcpb.Op_Put, kvrpcpb.Op_Del, kvrpcpb.Op_Lock}[d.pick(4)]
		mu := &kvrpcpb.Mutation{Op: op, Key: modelKeys[i]}
		if op == kvrpcpb.Op_Put {
			mu.Value = fmt.Appendf(nil, "%d", x.start)
			if d.pick(4) == 0 {
				mu.Value = bytes.Repeat(mu.Value, 40)
			}
		}
		x.muts = append(x.muts, mu)
	}
	x.primary = x.muts[0].Key
	d.mu.Lock()
	*d.txns = append(*d.txns, x)
	d.mu.Unlock()
	if d.pick(2) == 0 {
		d.read(d.now()) // between the start and the writes
	}
	if d.pick(3) == 0 && !d.lockAll(x) {
		return
	}
	d.run(x)
}

// some returns one to three distinct numbers below n.
func (d *model) some(n int) []int {
	var list []int
	for range 1 + d.pick(3) {
		if i := d.pick(n); !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

func (d *model) dies() bool { return d.pick(8) == 0 }

// run is the life of a client.
func (d *model) run(x *modelTxn) {
	minCommit, alive := d.prewriteAll(x)
	if !alive || d.dies() {
		return
	}
	commit := d.now()
	if x.async && minCommit > 0 {
		commit = minCommit
		d.know(func() { x.committed = commit })
	}
	var keys [][]byte
	for _, mu := range x.muts {
		keys = append(keys, mu.Key)
	}
	for _, part := range [][][]byte{keys[:1], keys[1:], keys[:d.pick(len(keys)+1)]} {
		if d.dies() {
			return
		}
		resp, err := d.m.Commit(context.Background(), &kvrpcpb.CommitRequest{
			Context: storagetest.Context(), StartVersion: x.start, CommitVersion: commit, Keys: part,
		})
		require.NoError(d.t, err)
		switch {
		case resp.Error == nil:
			if len(part) > 0 {
				d.know(func() { x.committed = commit })
			}
		case resp.Error.CommitTsExpired != nil:
			commit = max(resp.Error.CommitTsExpired.MinCommitTs, d.now())
			require.Zero(d.t, x.committed)
		default:
			require.Zero(d.t, x.committed, "commit of a committed transaction: %v", resp.Error)
			require.NotNil(d.t, resp.Error.TxnLockNotFound)
			d.know(func() { x.failed = true })
			return
		}
	}
}

func (d *model) know(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// prewriteAll prewrites in one request or two. alive is false if the transaction is over for its client.
func (d *model) prewriteAll(x *modelTxn) (minCommit uint64, alive bool) {
	parts := [][]*kvrpcpb.Mutation{x.muts}
	if n := len(x.muts); n > 1 && d.pick(3) == 0 {
		x.onePC = false
		parts = [][]*kvrpcpb.Mutation{x.muts[:1], x.muts[1:]}
		if d.pick(2) == 0 {
			slices.Reverse(parts)
		}
	}
	for _, part := range parts {
		resp := d.prewriteRetrying(x, part)
		if resp == nil {
			d.rollback(x)
			return 0, false
		}
		if resp.OnePcCommitTs > 0 {
			d.know(func() { x.committed = resp.OnePcCommitTs })
			return 0, false
		}
		x.async = x.async && resp.MinCommitTs > 0
		minCommit = max(minCommit, resp.MinCommitTs)
		if d.dies() {
			return 0, false
		}
	}
	return minCommit, true
}

// prewriteRetrying returns nil when the transaction cannot succeed.
func (d *model) prewriteRetrying(x *modelTxn, part []*kvrpcpb.Mutation) (resp *kvrpcpb.PrewriteResponse) {
	req := &kvrpcpb.PrewriteRequest{
		Context: storagetest.Context(), Mutations: part, PrimaryLock: x.primary, StartVersion: x.start, LockTtl: 3000,
		UseAsyncCommit: x.async, TryOnePc: x.onePC, MinCommitTs: []uint64{0, x.start + 1}[d.pick(2)],
	}
	if x.async && d.pick(4) == 0 {
		req.MaxCommitTs = x.start + uint64(d.pick(10))
	}
	if x.async && bytes.Equal(part[0].Key, x.primary) {
		for _, mu := range x.muts[1:] {
			req.Secondaries = append(req.Secondaries, mu.Key)
		}
	}
	d.hold(x, req)
	if d.pause != nil {
		d.pause()
	}
	for try := 0; try < 5; try++ {
		var err error
		resp, err = d.m.Prewrite(context.Background(), req)
		require.NoError(d.t, err)
		switch {
		case len(resp.Errors) == 0 && d.pick(4) > 0:
			return resp
		case len(resp.Errors) == 0:
			try-- // the answer got lost
		case resp.Errors[0].Locked == nil:
			return nil
		default:
			for _, e := range resp.Errors {
				d.resolve(e.Locked, x.start)
			}
		}
	}
	return nil
}

func (d *model) rollback(x *modelTxn) {
	if d.dies() {
		return
	}
	var keys [][]byte
	for _, mu := range x.muts {
		keys = append(keys, mu.Key)
	}
	resp, err := d.m.BatchRollback(context.Background(), &kvrpcpb.BatchRollbackRequest{Context: storagetest.Context(), StartVersion: x.start, Keys: keys})
	require.NoError(d.t, err)
	if resp.Error == nil {
		d.know(func() { x.failed = true })
	}
}

// resolve deals with a lock as a client does. It returns what a read at ts may do about it: bypass or access.
func (d *model) resolve(lock *kvrpcpb.LockInfo, ts uint64) (bypass, access uint64) {
	if lock.LockType == kvrpcpb.Op_PessimisticLock {
		d.resolvePessimistic(lock)
		return 0, 0
	}
	req := &kvrpcpb.CheckTxnStatusRequest{
		Context: storagetest.Context(), PrimaryKey: lock.PrimaryLock, LockTs: lock.LockVersion, CallerStartTs: ts,
		CurrentTs: d.now(), RollbackIfNotExist: true, VerifyIsPrimary: true,
	}
	if d.pick(2) == 0 {
		req.CurrentTs = d.later()
	}
	resp, err := d.m.CheckTxnStatus(context.Background(), req)
	require.NoError(d.t, err)
	require.Nil(d.t, resp.Error)
	commit := resp.CommitVersion
	if resp.LockTtl > 0 {
		if !resp.LockInfo.UseAsyncCommit || d.pick(2) == 0 {
			if resp.Action == kvrpcpb.Action_MinCommitTSPushed {
				return lock.LockVersion, 0
			}
			return 0, 0
		}
		if commit, err = d.resolveAsync(resp.LockInfo); err != nil {
			return 0, 0
		}
	}
	r := &kvrpcpb.ResolveLockRequest{Context: storagetest.Context(), StartVersion: lock.LockVersion, CommitVersion: commit}
	if d.pick(2) == 0 {
		r.Keys = [][]byte{lock.Key}
	}
	if d.pick(3) > 0 {
		resolved, err := d.m.ResolveLock(context.Background(), r)
		require.NoError(d.t, err)
		require.Nil(d.t, resolved.Error)
	}
	if commit > 0 && commit <= ts {
		return 0, lock.LockVersion
	}
	return lock.LockVersion, 0
}

// resolveAsync decides an async-commit transaction by its secondaries.
func (d *model) resolveAsync(primary *kvrpcpb.LockInfo) (commit uint64, err error) {
	commit = primary.MinCommitTs
	resp, err := d.m.CheckSecondaryLocks(context.Background(), &kvrpcpb.CheckSecondaryLocksRequest{
		Context: storagetest.Context(), Keys: primary.Secondaries, StartVersion: primary.LockVersion,
	})
	require.NoError(d.t, err)
	require.Nil(d.t, resp.Error)
	if len(resp.Locks) < len(primary.Secondaries) {
		return resp.CommitTs, nil
	}
	for _, l := range resp.Locks {
		if !l.UseAsyncCommit {
			return 0, d.forceSync(primary)
		}
		commit = max(commit, l.MinCommitTs)
	}
	return commit, nil
}

var errUndecided = fmt.Errorf("not decided")

// forceSync lets a transaction expire that fell back from async commit after its primary was written.
func (d *model) forceSync(primary *kvrpcpb.LockInfo) error {
	resp, err := d.m.CheckTxnStatus(context.Background(), &kvrpcpb.CheckTxnStatusRequest{
		Context: storagetest.Context(), PrimaryKey: primary.PrimaryLock, LockTs: primary.LockVersion, CallerStartTs: d.now(),
		CurrentTs: d.later(), RollbackIfNotExist: true, ForceSyncCommit: true,
	})
	require.NoError(d.t, err)
	require.Zero(d.t, resp.LockTtl)
	if resp.CommitVersion > 0 {
		return errUndecided // meanwhile committed: look again
	}
	return nil
}

// read reads at ts by one of the calls, resolving what is in the way, and notes what it saw.
func (d *model) read(ts uint64) {
	pb := storagetest.Context()
	for range 10 {
		r := modelRead{ts: ts, keys: modelKeys, vals: make(map[string]string)}
		var got []*kvrpcpb.KvPair
		switch d.pick(3) {
		case 0:
			r.keys = [][]byte{modelKeys[d.pick(len(modelKeys))]}
			resp, err := d.m.Get(context.Background(), &kvrpcpb.GetRequest{Context: pb, Key: r.keys[0], Version: ts})
			require.NoError(d.t, err)
			if !resp.NotFound {
				got = []*kvrpcpb.KvPair{{Key: r.keys[0], Value: resp.Value, Error: resp.Error}}
			}
		case 1:
			resp, err := d.m.BatchGet(context.Background(), &kvrpcpb.BatchGetRequest{Context: pb, Keys: r.keys, Version: ts})
			require.NoError(d.t, err)
			got = resp.Pairs
		default:
			resp, err := d.m.Scan(context.Background(), &kvrpcpb.ScanRequest{Context: pb, Version: ts, Limit: 100, Reverse: d.pick(2) == 0})
			require.NoError(d.t, err)
			got = resp.Pairs
		}
		clean := true
		for _, p := range got {
			if p.Error != nil {
				clean = false
				require.NotNil(d.t, p.Error.Locked)
				bypass, access := d.resolve(p.Error.Locked, ts)
				pb.ResolvedLocks = addTS(pb.ResolvedLocks, bypass)
				pb.CommittedLocks = addTS(pb.CommittedLocks, access)
			}
			r.vals[string(p.Key)] = string(p.Value)
		}
		if clean {
			d.know(func() { *d.reads = append(*d.reads, r) })
			return
		}
	}
}

func addTS(list []uint64, ts uint64) []uint64 {
	if ts == 0 || slices.Contains(list, ts) {
		return list
	}
	return append(list, ts)
}

type modelVersion struct {
	start, commit uint64
	put           bool
	val           string
}

// verify resolves all locks and checks the story.
func (d *model) verify() {
	for range 100 {
		resp, err := d.m.ScanLock(context.Background(), &kvrpcpb.ScanLockRequest{Context: storagetest.Context(), MaxVersion: d.now()})
		require.NoError(d.t, err)
		require.Nil(d.t, resp.Error)
		if len(resp.Locks) == 0 {
			break
		}
		for _, l := range resp.Locks {
			d.resolve(l, d.now())
		}
	}
	story := d.story()
	for _, x := range *d.txns {
		d.verifyTxn(x, story)
	}
	for key, versions := range story {
		for i := 1; i < len(versions); i++ { // newest first
			require.LessOrEqual(d.t, versions[i].commit, d.since(versions[i-1].start, key), "transactions overlap on %s", key)
		}
	}
	for _, r := range *d.reads {
		for _, k := range r.keys {
			require.Equal(d.t, visible(story[string(k)], r.ts), r.vals[string(k)], "read of %s at %d", k, r.ts)
		}
	}
}

// story reads all committed records, newest first.
func (d *model) story() map[string][]modelVersion {
	story := make(map[string][]modelVersion)
	it, err := d.store.Engine.NewIterator(storage.IterOptions{CF: storage.CFLock})
	require.NoError(d.t, err)
	require.False(d.t, it.First(), "a lock is left")
	require.NoError(d.t, it.Close())
	longs := 0
	for _, k := range modelKeys {
		info, err := d.m.MvccGetByKey(context.Background(), &kvrpcpb.MvccGetByKeyRequest{Context: storagetest.Context(), Key: k})
		require.NoError(d.t, err)
		longs += len(info.Info.Values)
		for _, w := range info.Info.Writes {
			if w.Type == kvrpcpb.Op_Rollback {
				continue
			}
			v := modelVersion{w.StartTs, w.CommitTs, w.Type == kvrpcpb.Op_Put, string(w.ShortValue)}
			if w.Type == kvrpcpb.Op_Put && w.ShortValue == nil {
				i := slices.IndexFunc(info.Info.Values, func(v *kvrpcpb.MvccValue) bool { return v.StartTs == w.StartTs })
				require.GreaterOrEqual(d.t, i, 0, "long value is missing")
				v.val = string(info.Info.Values[i].Value)
				longs--
			}
			if w.Type == kvrpcpb.Op_Lock {
				v.val = "lock"
			}
			story[string(k)] = append(story[string(k)], v)
		}
	}
	require.Zero(d.t, longs, "values without a record are left")
	return story
}

func visible(versions []modelVersion, ts uint64) string {
	for _, v := range versions {
		if v.commit <= ts && (v.put || v.val != "lock") {
			return v.val
		}
	}
	return ""
}

func (d *model) verifyTxn(x *modelTxn, story map[string][]modelVersion) {
	commits := make(map[uint64]int)
	for _, mu := range x.muts {
		i := slices.IndexFunc(story[string(mu.Key)], func(v modelVersion) bool { return v.start == x.start })
		if i >= 0 {
			commits[story[string(mu.Key)][i].commit]++
			continue
		}
		commits[0]++
	}
	require.Len(d.t, commits, 1, "transaction %+v is torn: %v", x, commits)
	if x.committed > 0 {
		require.Contains(d.t, commits, x.committed, "transaction %+v", x)
		require.Greater(d.t, x.committed, x.start)
	}
	if x.failed {
		require.Contains(d.t, commits, uint64(0), "transaction %+v", x)
	}
	if _, failed := commits[0]; !failed {
		d.verifyLocks(x, story)
	}
}
