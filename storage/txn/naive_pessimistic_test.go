package txn

import (
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

func (n *naive) PessimisticLock(req *kvrpcpb.PessimisticLockRequest) *kvrpcpb.PessimisticLockResponse {
	force := req.WakeUpMode == kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock
	resp := &kvrpcpb.PessimisticLockResponse{}
	e := n.atomically(func() *kvrpcpb.KeyError {
		if req.LockOnlyIfExists && !req.ReturnValues || force && len(req.Mutations) > 1 {
			return abort()
		}
		n.read(req.ForUpdateTs)
		for _, mu := range req.Mutations {
			value, exists, conflictTS, e := n.pessimisticLock(req, mu, force)
			if e != nil {
				return e
			}
			if force {
				r := &kvrpcpb.PessimisticLockKeyResult{Value: value, Existence: exists, LockedWithConflictTs: conflictTS}
				if conflictTS > 0 {
					r.Type = kvrpcpb.PessimisticLockKeyResultType_LockResultLockedWithConflict
				}
				resp.Results = append(resp.Results, r)
				continue
			}
			if req.ReturnValues {
				resp.Values = append(resp.Values, value)
			}
			if req.ReturnValues || req.CheckExistence {
				resp.NotFounds = append(resp.NotFounds, !exists)
			}
		}
		return nil
	})
	if e != nil {
		resp = &kvrpcpb.PessimisticLockResponse{Errors: []*kvrpcpb.KeyError{e}}
		for range req.Mutations {
			if force {
				resp.Results = append(resp.Results, &kvrpcpb.PessimisticLockKeyResult{Type: kvrpcpb.PessimisticLockKeyResultType_LockResultFailed})
			}
		}
	}
	return resp
}

func (n *naive) pessimisticLock(req *kvrpcpb.PessimisticLockRequest, mu *kvrpcpb.Mutation, force bool) (value []byte, exists bool, conflictTS uint64, e *kvrpcpb.KeyError) {
	k := n.at(mu.Key)
	held := k.lock
	retry := func(at uint64, v naiveVersion) *kvrpcpb.KeyError {
		return conflict(req.StartVersion, mu.Key, req.PrimaryLock, at, v, kvrpcpb.WriteConflict_PessimisticRetry)
	}
	var behind *kvrpcpb.KeyError // a version that the transaction has not seen
	switch {
	case held != nil && held.StartTS != req.StartVersion:
		return nil, false, 0, locked(mu.Key, held)
	case held != nil && held.Type != mvcc.LockPessimistic:
		return nil, false, 0, abort()
	case held != nil && force && held.ForUpdateTS > req.ForUpdateTs:
		conflictTS = held.ForUpdateTS
	case held == nil:
		at, v, ok := k.newest(mvcc.TSMax, func(v naiveVersion) bool { return v.kind != mvcc.WriteRollback })
		if ok && at > req.ForUpdateTs {
			if behind = retry(at, v); !force {
				return nil, false, 0, behind
			}
			conflictTS = at
		}
		if v, ok := k.versions[req.StartVersion]; ok && (v.kind == mvcc.WriteRollback || v.overlapped) {
			return nil, false, 0, abort()
		}
	}
	if at, v, ok := k.newest(max(req.ForUpdateTs, conflictTS), naiveVersion.data); ok && v.kind == mvcc.WritePut {
		exists, value = true, v.value
		if at > req.ForUpdateTs {
			behind = retry(at, v)
		}
	}
	if mu.Assertion == kvrpcpb.Assertion_NotExist && exists {
		if behind != nil {
			return nil, false, 0, behind
		}
		return nil, false, 0, &kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: mu.Key}}
	}
	if !req.LockOnlyIfExists || exists || held != nil {
		n.takePessimistic(k, req, conflictTS)
	} else if behind != nil {
		return nil, false, 0, behind
	}
	if !req.ReturnValues && conflictTS == 0 {
		value, exists = nil, exists && (req.CheckExistence || mu.Assertion == kvrpcpb.Assertion_NotExist)
	}
	return value, exists, conflictTS, nil
}

func (n *naive) takePessimistic(k *naiveKey, req *kvrpcpb.PessimisticLockRequest, conflictTS uint64) {
	l := &mvcc.Lock{
		Type: mvcc.LockPessimistic, Primary: req.PrimaryLock, StartTS: req.StartVersion, TTL: req.LockTtl,
		ForUpdateTS: max(req.ForUpdateTs, conflictTS), MinCommitTS: req.MinCommitTs, LockedWithConflict: conflictTS > 0,
	}
	if held := k.lock; held != nil {
		if held.ForUpdateTS >= l.ForUpdateTS && held.TTL >= l.TTL {
			return
		}
		l.TTL, l.ForUpdateTS = max(l.TTL, held.TTL), max(l.ForUpdateTS, held.ForUpdateTS)
		l.MinCommitTS, l.LockedWithConflict = max(l.MinCommitTS, held.MinCommitTS), held.LockedWithConflict
	}
	k.lock = l
}

func (n *naive) PessimisticRollback(req *kvrpcpb.PessimisticRollbackRequest) *kvrpcpb.PessimisticRollbackResponse {
	for key, k := range n.keys {
		asked := len(req.Keys) == 0 || slices.ContainsFunc(req.Keys, func(k []byte) bool { return string(k) == key })
		if l := k.lock; asked && l != nil && l.Type == mvcc.LockPessimistic && l.StartTS == req.StartVersion && l.ForUpdateTS <= req.ForUpdateTs {
			k.lock = nil
		}
	}
	return &kvrpcpb.PessimisticRollbackResponse{}
}
