package txn

import (
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/storagetest"
)

// modelLock is what a client knows of a pessimistic lock of its transaction.
type modelLock struct {
	ts     uint64 // for_update_ts: no one else has committed since
	value  string // read under it
	forced bool
}

// lockAll locks the keys of a transaction, the primary first. It returns false if the transaction is over.
func (d *model) lockAll(x *modelTxn) (alive bool) {
	x.locks, x.forUpdate = make(map[string]*modelLock), x.start
	for _, mu := range x.muts {
		if d.dies() {
			return false
		}
		if l := d.lockRetrying(x, mu.Key); l == nil {
			d.rollback(x)
			return false
		}
	}
	return !d.dies()
}

// lockRetrying locks one key, with a newer for_update_ts after each conflict; nil if that does not succeed.
func (d *model) lockRetrying(x *modelTxn, key []byte) *modelLock {
	req := &kvrpcpb.PessimisticLockRequest{
		Context: storagetest.Context(), StartVersion: x.start, PrimaryLock: x.primary, LockTtl: 3000, WaitTimeout: d.lockWait,
		IsFirstLock: len(x.locks) == 0, ReturnValues: true, WakeUpMode: kvrpcpb.PessimisticLockWakeUpMode(d.pick(2)),
		Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_PessimisticLock, Key: key}},
	}
	for range 6 {
		req.ForUpdateTs = x.forUpdate
		resp, err := d.m.PessimisticLock(context.Background(), req)
		require.NoError(d.t, err)
		switch {
		case len(resp.Errors) == 0 && d.pick(4) == 0: // the answer got lost
		case len(resp.Errors) == 0:
			return d.locked(x, key, req, resp)
		case resp.Errors[0].Conflict != nil:
			x.forUpdate = d.now()
		case resp.Errors[0].Locked != nil:
			d.resolve(resp.Errors[0].Locked, x.start)
		default: // rolled back by another, or a deadlock
			return nil
		}
	}
	return nil
}

// locked notes a lock. A client that is answered with a conflict goes on from there.
func (d *model) locked(x *modelTxn, key []byte, req *kvrpcpb.PessimisticLockRequest, resp *kvrpcpb.PessimisticLockResponse) *modelLock {
	l := &modelLock{ts: req.ForUpdateTs}
	if len(resp.Results) > 0 {
		l.forced = true
		l.value = string(resp.Results[0].Value)
		if at := resp.Results[0].LockedWithConflictTs; at > 0 {
			l.ts = at
			x.forUpdate = max(x.forUpdate, at)
		}
	} else {
		l.value = string(resp.Values[0])
	}
	x.locks[string(key)] = l
	return l
}

// hold makes a prewrite that of a pessimistic transaction.
func (d *model) hold(x *modelTxn, req *kvrpcpb.PrewriteRequest) {
	if x.locks == nil {
		return
	}
	req.ForUpdateTs = x.forUpdate
	req.MinCommitTs = x.forUpdate + 1 // the timestamp oracle may not have come as far as a commit that was met
	for i, mu := range req.Mutations {
		req.PessimisticActions = append(req.PessimisticActions, kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK)
		if l := x.locks[string(mu.Key)]; l.forced {
			req.ForUpdateTsConstraints = append(req.ForUpdateTsConstraints, &kvrpcpb.PrewriteRequest_ForUpdateTSConstraint{
				Index: uint32(i), ExpectedForUpdateTs: l.ts,
			})
		}
	}
}

// resolvePessimistic deals with a pessimistic lock as a client does.
func (d *model) resolvePessimistic(lock *kvrpcpb.LockInfo) {
	req := &kvrpcpb.CheckTxnStatusRequest{
		Context: storagetest.Context(), PrimaryKey: lock.PrimaryLock, LockTs: lock.LockVersion, CallerStartTs: d.now(),
		CurrentTs: d.now(), RollbackIfNotExist: true, ResolvingPessimisticLock: true, VerifyIsPrimary: true,
	}
	if d.pick(2) == 0 {
		req.CurrentTs = d.later()
	}
	status, err := d.m.CheckTxnStatus(context.Background(), req)
	require.NoError(d.t, err)
	require.Nil(d.t, status.Error)
	if status.LockTtl > 0 && !status.LockInfo.UseAsyncCommit {
		return
	}
	if status.LockTtl > 0 && lock.LockVersion == status.LockInfo.LockVersion && req.CurrentTs < lock.LockVersion+(3000<<18) {
		return // it may still be at work
	}
	undo := &kvrpcpb.PessimisticRollbackRequest{Context: storagetest.Context(), StartVersion: lock.LockVersion, ForUpdateTs: lock.LockForUpdateTs}
	if d.pick(2) == 0 {
		undo.Keys = [][]byte{lock.Key}
	}
	_, err = d.m.PessimisticRollback(context.Background(), undo)
	require.NoError(d.t, err)
}

// since is the timestamp from which on a transaction has kept others from committing on a key.
func (d *model) since(start uint64, key string) uint64 {
	for _, x := range *d.txns {
		if x.start == start && x.locks != nil {
			return x.locks[key].ts
		}
	}
	return start
}

// verifyLocks checks what a committed transaction has read under its locks.
func (d *model) verifyLocks(x *modelTxn, story map[string][]modelVersion) {
	for key, l := range x.locks {
		require.Equal(d.t, visible(story[key], l.ts), l.value, "read under a lock of %+v on %s at %d", x, key, l.ts)
	}
}
