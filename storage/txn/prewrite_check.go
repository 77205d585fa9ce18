package txn

import (
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// check looks whether one mutation may be prewritten. A lock in the way and a failed assertion are noted, any other
// objection is returned.
func (p *prewrite) check(c *command, k *prewriteKey) error {
	lock, err := c.reader.Lock(k.encoded)
	if err != nil {
		return err
	}
	mustHold := p.pessimistic() && k.action == kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK
	switch {
	case lock == nil && mustHold:
		return p.amend(c, k)
	case lock == nil:
		return p.checkVersions(c, k)
	case lock.StartTS == p.req.StartVersion:
		return p.checkOwnLock(c, k, lock)
	case mustHold:
		return p.unlessCommitted(c, k, p.lockNotFound(k))
	default:
		p.locked = append(p.locked, &kvrpcpb.KeyError{Locked: lock.Info(k.Key)})
		return nil
	}
}

// checkOwnLock: the key is prewritten already, or held by the transaction's pessimistic lock, which keeps newer versions
// away.
func (p *prewrite) checkOwnLock(c *command, k *prewriteKey, lock *mvcc.Lock) error {
	if lock.Type != mvcc.LockPessimistic {
		k.held = true
		p.heldMinTS = max(p.heldMinTS, lock.MinCommitTS)
		p.heldAsync = p.heldAsync || lock.AsyncCommit
		p.heldPlain = p.heldPlain || !lock.AsyncCommit
		return nil
	}
	if k.wantForUpdate != 0 && lock.ForUpdateTS != k.wantForUpdate {
		return p.lockNotFound(k)
	}
	k.own = lock
	if k.action != kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK {
		return p.checkVersions(c, k)
	}
	if k.Assertion != kvrpcpb.Assertion_None && p.req.AssertionLevel == kvrpcpb.AssertionLevel_Strict {
		return p.checkExistence(c, k, false)
	}
	return nil
}

// amend takes a key whose pessimistic lock got lost, as may happen to one that was not replicated, if nothing has been
// committed since the transaction began.
func (p *prewrite) amend(c *command, k *prewriteKey) error {
	v, ok, err := c.reader.Newest(k.encoded, mvcc.TSMax)
	if err != nil {
		return err
	}
	if ok && v.CommitTS >= p.req.StartVersion {
		return p.unlessCommitted(c, k, p.lockNotFound(k))
	}
	return nil
}

// checkVersions looks for versions that the transaction should have seen, and for its own rollback.
func (p *prewrite) checkVersions(c *command, k *prewriteKey) error {
	if p.req.SkipConstraintCheck && !p.pessimistic() {
		return nil
	}
	v, ok, err := c.reader.Newest(k.encoded, mvcc.TSMax)
	known := ok
	for ; ok && v.CommitTS >= p.req.StartVersion; v, ok, err = c.reader.Older(k.encoded) {
		if conflict := p.conflict(k, &v); conflict != nil {
			return p.unlessCommitted(c, k, conflict)
		}
		if v.Type == mvcc.WriteRollback && v.CommitTS > p.req.StartVersion {
			k.rollbacks = append(k.rollbacks, v.CommitTS)
		}
	}
	if err != nil {
		return err
	}
	return p.checkExistence(c, k, !known)
}

// conflict judges a version at or above the transaction's start.
//
// A rollback counts as a version for optimistic transactions: it may be the only trace left of their own, collapsed by a
// later one. A pessimistic transaction is protected by its primary's lock, whose rollback is never collapsed.
func (p *prewrite) conflict(k *prewriteKey, v *mvcc.Version) error {
	switch {
	case v.CommitTS == p.req.StartVersion:
		if v.Overlapped || v.Type == mvcc.WriteRollback {
			return p.conflictError(k, v, kvrpcpb.WriteConflict_SelfRolledBack)
		}
		return nil
	case !p.pessimistic():
		return p.conflictError(k, v, kvrpcpb.WriteConflict_Optimistic)
	case k.action == kvrpcpb.PrewriteRequest_DO_CONSTRAINT_CHECK:
		return p.conflictError(k, v, kvrpcpb.WriteConflict_LazyUniquenessCheck)
	case v.CommitTS > p.req.ForUpdateTs && v.Type != mvcc.WriteRollback:
		return p.lockNotFound(k)
	default:
		return nil
	}
}

func (p *prewrite) conflictError(k *prewriteKey, v *mvcc.Version, reason kvrpcpb.WriteConflict_Reason) error {
	return &mvcc.ConflictError{Pb: &kvrpcpb.WriteConflict{
		StartTs: p.req.StartVersion, ConflictTs: v.StartTS, ConflictCommitTs: v.CommitTS,
		Key: k.Key, Primary: p.req.PrimaryLock, Reason: reason,
	}}
}

func (p *prewrite) lockNotFound(k *prewriteKey) error {
	return &mvcc.AbortError{Reason: fmt.Sprintf("PessimisticLockNotFound: transaction %d on key %x", p.req.StartVersion, k.Key)}
}

// unlessCommitted returns err, unless it comes of the transaction's own commit: then the request is a repetition.
func (p *prewrite) unlessCommitted(c *command, k *prewriteKey, err error) error {
	o, failed := c.reader.Outcome(k.encoded, p.req.StartVersion)
	if failed != nil {
		return failed
	}
	if o.Fate == mvcc.FateCommitted {
		p.committedTS = o.Record.CommitTS
		return nil
	}
	return err
}

// checkExistence checks an insert and the client's assertion. absent says that the key is known to have no version.
func (p *prewrite) checkExistence(c *command, k *prewriteKey, absent bool) error {
	insert := k.Op == kvrpcpb.Op_Insert || k.Op == kvrpcpb.Op_CheckNotExists
	asserts := k.Assertion != kvrpcpb.Assertion_None && p.req.AssertionLevel != kvrpcpb.AssertionLevel_Off
	if !insert && !asserts {
		return nil
	}
	var v mvcc.Version
	exists := false
	if !absent {
		var err error
		if v, exists, err = c.reader.NewestData(k.encoded, mvcc.TSMax); err != nil {
			return err
		}
		exists = exists && v.Exists()
	}
	if insert && exists && k.own == nil {
		return &mvcc.ExistsError{Key: k.Key}
	}
	if asserts && p.assertion == nil && exists != (k.Assertion == kvrpcpb.Assertion_Exist) {
		p.assertion = p.assertionError(k, &v)
	}
	return nil
}

func (p *prewrite) assertionError(k *prewriteKey, v *mvcc.Version) error {
	return &mvcc.AssertionError{Pb: &kvrpcpb.AssertionFailed{
		StartTs: p.req.StartVersion, Key: k.Key, Assertion: k.Assertion,
		ExistingStartTs: v.StartTS, ExistingCommitTs: v.CommitTS,
	}}
}
