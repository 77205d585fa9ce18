package txn

import (
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// check looks whether one mutation may be prewritten. A lock in the way and a failed assertion are noted, any other
// objection is returned.
func (p *prewrite) check(c *command, k *prewriteKey) error {
	lock, err := c.lock(k.encoded)
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
		return p.blocked(c, k, lock)
	}
}

// blocked notes a lock in the way: of a transaction that came after the own one had committed, or while it still may.
func (p *prewrite) blocked(c *command, k *prewriteKey, lock *mvcc.Lock) error {
	err := p.unlessCommitted(c, k, &mvcc.LockedError{Info: lock.Info(k.Key)})
	if pb, failed := mvcc.KeyError(err); failed {
		p.locked = append(p.locked, pb)
		return nil
	}
	return err
}

// checkOwnLock: the key is prewritten already, or held by the transaction's pessimistic lock, which keeps newer versions
// away.
func (p *prewrite) checkOwnLock(c *command, k *prewriteKey, lock *mvcc.Lock) error {
	if lock.Type != mvcc.LockPessimistic {
		if p.generation > 0 {
			return p.checkFlushed(c, k, lock)
		}
		k.held = true
		p.heldMinTS = max(p.heldMinTS, lock.MinCommitTS)
		p.heldAsync = p.heldAsync || lock.AsyncCommit
		p.heldPlain = p.heldPlain || !lock.AsyncCommit
		return nil
	}
	if !p.pessimistic() {
		return &mvcc.AbortError{Reason: fmt.Sprintf("prewrite: transaction %d holds a pessimistic lock on key %x", lock.StartTS, k.Key)}
	}
	if k.wantForUpdate != 0 && lock.ForUpdateTS != k.wantForUpdate {
		return p.unlessCommitted(c, k, p.lockNotFound(k))
	}
	k.own = lock
	if k.action != kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK {
		return p.checkVersions(c, k)
	}
	if p.req.AssertionLevel == kvrpcpb.AssertionLevel_Strict {
		return p.assert(c, k)
	}
	return nil
}

// amend takes a key whose pessimistic lock got lost, as may happen to one that was not replicated, if nothing has been
// committed since the transaction began.
func (p *prewrite) amend(c *command, k *prewriteKey) error {
	if !c.unwritten(k.encoded, p.req.StartVersion) {
		v, ok, err := c.reader.Newest(k.encoded, mvcc.TSMax)
		if err != nil {
			return err
		}
		if ok && v.CommitTS >= p.req.StartVersion {
			return p.unlessCommitted(c, k, p.lockNotFound(k))
		}
	}
	return p.assert(c, k)
}

// checkVersions looks for versions that the transaction should have seen, and for its own rollback; then at the key's
// existence.
func (p *prewrite) checkVersions(c *command, k *prewriteKey) error {
	if p.req.SkipConstraintCheck && !p.pessimistic() {
		return nil
	}
	none, err := p.conflicts(c, k)
	switch {
	case err != nil || p.committedTS > 0:
		return err
	case none:
		return p.judgeExistence(k, nil)
	default:
		return p.checkExistence(c, k)
	}
}

// conflicts looks at the versions from the transaction's start on: others', and its own if the request is a repetition.
// none says that the key is known to have no version at all.
func (p *prewrite) conflicts(c *command, k *prewriteKey) (none bool, err error) {
	if c.unwritten(k.encoded, p.req.StartVersion) {
		return false, nil
	}
	v, ok, err := c.reader.Newest(k.encoded, mvcc.TSMax)
	none = err == nil && !ok
	for ; ok && v.CommitTS >= p.req.StartVersion; v, ok, err = c.reader.Older(k.encoded) {
		if v.StartTS == p.req.StartVersion && v.Type != mvcc.WriteRollback {
			p.committedTS = v.CommitTS
			return false, nil
		}
		if conflict := p.conflict(k, &v); conflict != nil {
			return false, p.unlessCommitted(c, k, conflict)
		}
		if v.Type == mvcc.WriteRollback && v.CommitTS > p.req.StartVersion {
			k.rolledBack = max(k.rolledBack, v.CommitTS)
		}
	}
	return none, err
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
	o, failed := c.outcome(k.encoded, p.req.StartVersion)
	if failed != nil {
		return failed
	}
	if o.Fate == mvcc.FateCommitted {
		p.committedTS = o.Record.CommitTS
		return nil
	}
	return err
}

// asserts tells whether the client's word on the key's existence is to be checked. Of a key flushed again only the first
// word counts: the client that has forgotten the key may say something else now.
func (p *prewrite) asserts(k *prewriteKey) bool {
	return !k.flushed && k.Assertion != kvrpcpb.Assertion_None && p.req.AssertionLevel != kvrpcpb.AssertionLevel_Off
}

// checkExistence checks an insert and the client's assertion.
func (p *prewrite) checkExistence(c *command, k *prewriteKey) error {
	if !k.inserts() && !p.asserts(k) {
		return nil
	}
	v, ok, err := c.reader.NewestData(k.encoded, mvcc.TSMax)
	if err != nil {
		return err
	}
	if !ok {
		return p.judgeExistence(k, nil)
	}
	return p.judgeExistence(k, &v)
}

// judgeExistence is checkExistence with the newest put or delete known, nil if there is none. A failed assertion is noted.
func (p *prewrite) judgeExistence(k *prewriteKey, v *mvcc.Version) error {
	exists := v != nil && v.Exists()
	if k.inserts() && exists {
		return &mvcc.ExistsError{Key: k.Key}
	}
	if p.assertion == nil && p.asserts(k) && exists != (k.Assertion == kvrpcpb.Assertion_Exist) {
		p.assertion = p.assertionError(k, v)
	}
	return nil
}

// assert checks the client's assertion on a key whose versions are not looked at otherwise. A failed one may come of the
// transaction's own rollback or of a lost lock, and that is what to say then.
func (p *prewrite) assert(c *command, k *prewriteKey) error {
	if !p.asserts(k) || p.assertion != nil {
		return nil
	}
	v, ok, err := c.reader.NewestData(k.encoded, mvcc.TSMax)
	if err != nil {
		return err
	}
	if exists := ok && v.Exists(); exists == (k.Assertion == kvrpcpb.Assertion_Exist) {
		return nil
	}
	failed := p.assertionError(k, nil)
	if ok {
		failed = p.assertionError(k, &v)
	}
	if _, err := p.conflicts(c, k); err != nil || p.committedTS > 0 {
		return err
	}
	p.assertion = failed
	return nil
}

// assertionError names the version that there is, nil for none.
func (p *prewrite) assertionError(k *prewriteKey, v *mvcc.Version) error {
	pb := &kvrpcpb.AssertionFailed{StartTs: p.req.StartVersion, Key: k.Key, Assertion: k.Assertion}
	if v != nil {
		pb.ExistingStartTs, pb.ExistingCommitTs = v.StartTS, v.CommitTS
	}
	return &mvcc.AssertionError{Pb: pb}
}
