package kvclient

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// resolver finds out what became of transactions whose locks are in the way, and finishes them where their client can
// be presumed dead. The primary lock decides: while it lives, so does the transaction; once it is gone, its commit or
// rollback record tells the outcome for all the others.
type resolver struct {
	c *Client

	mu sync.Mutex
	// outcomes of finished transactions by start ts; outcomes never change, so the oldest just make room.
	outcomes map[uint64]uint64
	order    []uint64
	// finishing are the bulk writes of which locks are being resolved in the background.
	finishing map[uint64]bool
}

// outcomesMax bounds the cache of outcomes.
const outcomesMax = 4096

func newResolver(c *Client) *resolver {
	return &resolver{c: c, outcomes: map[uint64]uint64{}, finishing: map[uint64]bool{}}
}

// txnStatus is what the primary says of a transaction.
type txnStatus struct {
	alive    bool
	commitTS uint64 // 0 with !alive: rolled back
	// pushed: the transaction, if it commits, will commit after the caller's read.
	pushed bool
	// primary is the primary's lock of an expired async-commit transaction.
	primary *kvrpcpb.LockInfo
}

// resolve deals with locks met at callerTS. It returns the transactions a reader can pass, and whether some lock has to
// be waited for. With forWrite nothing can be passed: every lock is resolved or waited for.
func (r *resolver) resolve(ctx context.Context, bo *Backoff, callerTS uint64, locks []*kvrpcpb.LockInfo, forWrite bool) (pass bypass, wait bool, err error) {
	r.c.metrics.locks.Add(float64(len(locks)))
	cleaned := map[uint64]bool{}
	for _, l := range locks {
		st, err := r.status(ctx, bo, callerTS, l)
		if err != nil {
			return pass, false, err
		}
		switch {
		case st.alive && st.pushed && !forWrite:
			pass.ignore = append(pass.ignore, l.LockVersion)
			continue
		case st.alive:
			wait = true
			continue
		case st.commitTS != 0 && st.commitTS <= callerTS:
			pass.read = append(pass.read, l.LockVersion)
		default:
			pass.ignore = append(pass.ignore, l.LockVersion)
		}
		if !forWrite && l.TxnSize == sizeUnknown {
			r.finishLater(l, st.commitTS)
			continue
		}
		if cleaned[l.LockVersion] && l.TxnSize >= bigTxn && l.LockType != kvrpcpb.Op_PessimisticLock {
			continue
		}
		cleaned[l.LockVersion] = true
		if err := r.finish(ctx, bo, l, st.commitTS); err != nil {
			return pass, false, err
		}
	}
	return pass, wait, nil
}

const (
	// bigTxn is the number of keys from which on all locks of a transaction in a region are resolved at once.
	bigTxn = 16
	// sizeUnknown is what locks of bulk writes say. There may be so many that a reader, who can pass them, does not wait until
	// they are gone.
	sizeUnknown = math.MaxUint64
)

func (r *resolver) status(ctx context.Context, bo *Backoff, callerTS uint64, l *kvrpcpb.LockInfo) (txnStatus, error) {
	if ts, ok := r.outcome(l.LockVersion); ok {
		return txnStatus{commitTS: ts}, nil
	}
	now, err := r.c.TS(ctx)
	if err != nil {
		return txnStatus{}, err
	}
	return r.statusAt(ctx, bo, callerTS, now, l)
}

// statusAt judges by now what has expired.
func (r *resolver) statusAt(ctx context.Context, bo *Backoff, callerTS, now uint64, l *kvrpcpb.LockInfo) (txnStatus, error) {
	expired := physicalMillis(l.LockVersion)+int64(l.LockTtl) < physicalMillis(now)
	req := &kvrpcpb.CheckTxnStatusRequest{
		PrimaryKey: l.PrimaryLock, LockTs: l.LockVersion, CallerStartTs: callerTS, CurrentTs: now,
		RollbackIfNotExist: expired, ResolvingPessimisticLock: l.LockType == kvrpcpb.Op_PessimisticLock, VerifyIsPrimary: true,
	}
	st, err := r.checkPrimary(ctx, bo, req)
	if err == nil && st.primary != nil {
		st, err = r.checkSecondaries(ctx, bo, st.primary)
	}
	if errors.Is(err, errTwoPhase) {
		req.ForceSyncCommit = true
		st, err = r.checkPrimary(ctx, bo, req)
	}
	if err != nil {
		return txnStatus{}, err
	}
	if !st.alive && l.LockType != kvrpcpb.Op_PessimisticLock {
		r.remember(l.LockVersion, st.commitTS)
	}
	return st, nil
}

// errTwoPhase says that a transaction that began as an async commit went on in two phases: its primary decides.
var errTwoPhase = errors.New("a lock is not one of an async commit")

// checkPrimary asks for the transaction's status at its primary. rollback_if_not_exist is set where the lock in question has
// expired: the prewrite of a primary that is missing can no longer be under way.
func (r *resolver) checkPrimary(ctx context.Context, bo *Backoff, req *kvrpcpb.CheckTxnStatusRequest) (txnStatus, error) {
	var resp *kvrpcpb.CheckTxnStatusResponse
	err := r.c.send(ctx, bo, req.PrimaryKey, func(st Store, reg *Region) (*errorpb.Error, error) {
		req.Context = reg.Context()
		var err error
		resp, err = st.KvCheckTxnStatus(ctx, req)
		return resp.GetRegionError(), err
	})
	switch {
	case err != nil:
		return txnStatus{}, err
	case resp.Error.GetTxnNotFound() != nil:
		return txnStatus{alive: true}, nil // between the lock of a secondary and that of the primary
	case resp.Error.GetPrimaryMismatch() != nil && req.ResolvingPessimisticLock:
		return txnStatus{}, nil // a left-over from before the transaction chose another primary
	case resp.Error != nil:
		return txnStatus{}, keyError(resp.Error)
	case resp.LockTtl > 0:
		li := resp.LockInfo
		if li.GetUseAsyncCommit() && !req.ForceSyncCommit && physicalMillis(req.LockTs)+int64(resp.LockTtl) < physicalMillis(req.CurrentTs) {
			return txnStatus{primary: li}, nil
		}
		return txnStatus{alive: true, pushed: resp.Action == kvrpcpb.Action_MinCommitTSPushed}, nil
	}
	return txnStatus{commitTS: resp.CommitVersion}, nil
}

// checkSecondaries decides an expired async-commit transaction: it is committed exactly if all its locks are there, at
// the greatest of their min_commit_ts. Asking prevents missing ones from coming later.
func (r *resolver) checkSecondaries(ctx context.Context, bo *Backoff, primary *kvrpcpb.LockInfo) (txnStatus, error) {
	secondaries := slices.Clone(primary.Secondaries)
	slices.SortFunc(secondaries, bytes.Compare)
	var mu sync.Mutex
	commitTS, decided, missing, plain := primary.MinCommitTs, uint64(0), false, false
	var check func(context.Context, *Backoff, batch) error
	check = func(ctx context.Context, bo *Backoff, b batch) error {
		var resp *kvrpcpb.CheckSecondaryLocksResponse
		done, err := r.c.sendTo(ctx, bo, b.region, func(st Store, reg *Region) (*errorpb.Error, error) {
			var err error
			resp, err = st.KvCheckSecondaryLocks(ctx, &kvrpcpb.CheckSecondaryLocksRequest{
				Context: reg.Context(), Keys: b.keys, StartVersion: primary.LockVersion})
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return err
		case !done:
			return r.c.eachRegion(ctx, bo, b.keys, batchGetMax, check)
		case resp.Error != nil:
			return keyError(resp.Error)
		}
		mu.Lock()
		defer mu.Unlock()
		decided = max(decided, resp.CommitTs)
		missing = missing || len(resp.Locks) < len(b.keys)
		for _, l := range resp.Locks {
			commitTS = max(commitTS, l.MinCommitTs)
			plain = plain || !l.UseAsyncCommit
		}
		return nil
	}
	if err := r.c.eachRegion(ctx, bo, secondaries, batchGetMax, check); err != nil {
		return txnStatus{}, err
	}
	switch {
	case decided != 0:
		commitTS = decided
	case missing:
		commitTS = 0
	case plain:
		return txnStatus{}, errTwoPhase
	}
	return txnStatus{commitTS: commitTS}, r.finish(ctx, bo, &kvrpcpb.LockInfo{
		Key: primary.PrimaryLock, LockVersion: primary.LockVersion, TxnSize: 1}, commitTS)
}

// finish commits or rolls back a lock whose transaction's outcome is known: this key of a small transaction, all of the
// region's of a big one. A pessimistic lock just goes: it is not part of what the transaction wrote.
func (r *resolver) finish(ctx context.Context, bo *Backoff, l *kvrpcpb.LockInfo, commitTS uint64) error {
	if l.LockType == kvrpcpb.Op_PessimisticLock {
		return r.unlock(ctx, bo, l)
	}
	req := &kvrpcpb.ResolveLockRequest{StartVersion: l.LockVersion, CommitVersion: commitTS}
	if l.TxnSize < bigTxn {
		req.Keys = [][]byte{l.Key}
	}
	return r.resolveLock(ctx, bo, l.Key, req)
}

// finishLater is finish in the background, for one lock of a transaction at a time.
func (r *resolver) finishLater(l *kvrpcpb.LockInfo, commitTS uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finishing[l.LockVersion] {
		return
	}
	r.finishing[l.LockVersion] = true
	r.c.spawn(func(ctx context.Context) {
		if err := r.finish(ctx, r.c.newBackoff(r.c.opts.WriteBudget), l, commitTS); err != nil {
			r.c.opts.Logger.Warn("locks of a bulk write are left to others", "start_ts", l.LockVersion, "commit_ts", commitTS, "err", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.finishing, l.LockVersion)
	})
}

// resolveLock sends a request to the region of a key.
func (r *resolver) resolveLock(ctx context.Context, bo *Backoff, key []byte, req *kvrpcpb.ResolveLockRequest) error {
	var resp *kvrpcpb.ResolveLockResponse
	err := r.c.send(ctx, bo, key, func(st Store, reg *Region) (*errorpb.Error, error) {
		req.Context = reg.Context()
		var err error
		resp, err = st.KvResolveLock(ctx, req)
		return resp.GetRegionError(), err
	})
	if err == nil && resp.Error != nil {
		err = keyError(resp.Error)
	}
	return err
}

func (r *resolver) unlock(ctx context.Context, bo *Backoff, l *kvrpcpb.LockInfo) error {
	return r.c.send(ctx, bo, l.Key, func(st Store, reg *Region) (*errorpb.Error, error) {
		resp, err := st.KVPessimisticRollback(ctx, &kvrpcpb.PessimisticRollbackRequest{Context: reg.Context(),
			StartVersion: l.LockVersion, ForUpdateTs: l.LockForUpdateTs, Keys: [][]byte{l.Key}})
		if errs := resp.GetErrors(); err == nil && len(errs) > 0 {
			return nil, permanent{keyError(errs[0])}
		}
		return resp.GetRegionError(), err
	})
}

func (r *resolver) outcome(startTS uint64) (commitTS uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	commitTS, ok = r.outcomes[startTS]
	return commitTS, ok
}

func (r *resolver) remember(startTS, commitTS uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.outcomes[startTS]; ok {
		return
	}
	if len(r.order) == outcomesMax {
		delete(r.outcomes, r.order[0])
		r.order = r.order[1:]
	}
	r.outcomes[startTS] = commitTS
	r.order = append(r.order, startTS)
}
