package txn

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// TxnHeartBeat serves KvTxnHeartBeat: it extends the life of a transaction's primary lock, never shortens it. A transaction
// that flushes may raise its minimal commit timestamp, to let readers pass.
func (m *Manager) TxnHeartBeat(ctx context.Context, req *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error) {
	resp := &kvrpcpb.TxnHeartBeatResponse{}
	err := m.writeKeys(ctx, req.Context, [][]byte{req.PrimaryLock}, func(c *command, keys []txnKey) error {
		lock, err := c.lock(keys[0].encoded)
		if err != nil {
			return err
		}
		if lock == nil || lock.StartTS != req.StartVersion {
			return &mvcc.TxnNotFoundError{StartTS: req.StartVersion, Primary: req.PrimaryLock}
		}
		resp.LockTtl = max(lock.TTL, req.AdviseLockTtl)
		minCommitTS := lock.MinCommitTS
		if lock.Generation > 0 {
			minCommitTS = max(minCommitTS, req.MinCommitTs)
		}
		if resp.LockTtl > lock.TTL || minCommitTS > lock.MinCommitTS {
			lock.TTL, lock.MinCommitTS = resp.LockTtl, minCommitTS
			c.putLock(keys[0].encoded, lock)
		}
		return nil
	})
	resp.Error, err = keyError(err)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// statusCheck is the state of one CheckTxnStatus.
type statusCheck struct {
	req  *kvrpcpb.CheckTxnStatusRequest
	key  txnKey
	resp *kvrpcpb.CheckTxnStatusResponse
}

// CheckTxnStatus serves KvCheckTxnStatus: what became of a transaction, told by its primary key. An expired transaction is
// rolled back, and so, if asked, is one that has left no trace.
func (m *Manager) CheckTxnStatus(ctx context.Context, req *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error) {
	s := &statusCheck{req: req, resp: &kvrpcpb.CheckTxnStatusResponse{}}
	for _, ts := range []uint64{req.LockTs, req.CallerStartTs, req.CurrentTs} {
		m.conc.UpdateMaxTS(ts)
	}
	err := m.writeKeys(ctx, req.Context, [][]byte{req.PrimaryKey}, func(c *command, keys []txnKey) error {
		s.key = keys[0]
		return s.run(c)
	})
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return &kvrpcpb.CheckTxnStatusResponse{Error: failed}, nil
	}
	if s.resp.LockTtl == 0 {
		m.wake([][]byte{req.PrimaryKey})
	}
	return s.resp, nil
}

func (s *statusCheck) run(c *command) error {
	lock, err := c.lock(s.key.encoded)
	if err != nil {
		return err
	}
	if lock == nil || lock.StartTS != s.req.LockTs {
		return s.missing(c, lock)
	}
	if s.req.VerifyIsPrimary && !bytes.Equal(lock.Primary, s.key.user) {
		return s.notPrimary(c, lock)
	}
	if lock.Type == mvcc.LockPessimistic && lock.LockedWithConflict {
		if ended, err := s.stale(c, lock); ended || err != nil {
			return err
		}
	}
	switch {
	case lock.AsyncCommit && !s.req.ForceSyncCommit:
		s.alive(lock) // its secondaries decide
		return nil
	case !expired(lock, s.req.CurrentTs):
		s.push(c, lock)
		return nil
	case lock.Type == mvcc.LockPessimistic && s.req.ResolvingPessimisticLock:
		c.deleteLock(s.key.encoded)
		s.resp.Action = kvrpcpb.Action_TTLExpirePessimisticRollback
		return nil
	default:
		s.resp.Action = kvrpcpb.Action_TTLExpireRollback
		_, err := c.rollbackLock(s.key.encoded, lock, true)
		return err
	}
}

// stale finds a lock that a late request took in spite of conflicts when its transaction had already ended, and removes it.
func (s *statusCheck) stale(c *command, lock *mvcc.Lock) (ended bool, err error) {
	o, err := c.outcome(s.key.encoded, lock.StartTS)
	if err != nil || o.Fate == mvcc.FateUnknown {
		return false, err
	}
	if o.Fate == mvcc.FateCommitted {
		s.resp.CommitVersion = o.Record.CommitTS
	}
	c.deleteLock(s.key.encoded)
	return true, nil
}

func (s *statusCheck) alive(lock *mvcc.Lock) {
	s.resp.LockInfo = lock.Info(s.key.user)
	s.resp.LockTtl = s.resp.LockInfo.LockTtl
}

// push moves a living transaction's commit above the caller's timestamp, if its client is prepared for that
// (min_commit_ts is set), so that the caller may read past its locks. A caller that reads the latest version gets
// the same answer without a push: it may read what is committed at this moment.
func (s *statusCheck) push(c *command, lock *mvcc.Lock) {
	caller := s.req.CallerStartTs
	if lock.MinCommitTS > 0 && caller != mvcc.TSMax && caller >= lock.MinCommitTS {
		lock.MinCommitTS = max(caller+1, s.req.CurrentTs)
		c.putLock(s.key.encoded, lock)
	}
	if caller == mvcc.TSMax || (caller > 0 && lock.MinCommitTS > caller) {
		s.resp.Action = kvrpcpb.Action_MinCommitTSPushed
	}
	s.alive(lock)
}

// notPrimary: a pessimistic transaction may have changed its primary, and what is asked about is the old one.
func (s *statusCheck) notPrimary(c *command, lock *mvcc.Lock) error {
	if lock.Type != mvcc.LockPessimistic || s.req.ResolvingPessimisticLock {
		return &mvcc.PrimaryMismatchError{Info: lock.Info(s.key.user)}
	}
	c.deleteLock(s.key.encoded)
	return s.missing(c, nil)
}

// missing answers for a key without the transaction's lock. holder is another's.
func (s *statusCheck) missing(c *command, holder *mvcc.Lock) error {
	o, err := c.outcome(s.key.encoded, s.req.LockTs)
	if err != nil {
		return err
	}
	switch {
	case o.Fate == mvcc.FateCommitted:
		s.resp.CommitVersion = o.Record.CommitTS
		return nil
	case o.Fate == mvcc.FateRolledBack:
		return nil
	case !s.req.RollbackIfNotExist:
		return &mvcc.TxnNotFoundError{StartTS: s.req.LockTs, Primary: s.req.PrimaryKey}
	case s.req.ResolvingPessimisticLock:
		s.resp.Action = kvrpcpb.Action_LockNotExistDoNothing
		return nil
	default:
		s.resp.Action = kvrpcpb.Action_LockNotExistRollback
		return c.markRolledBack(s.key.encoded, s.req.LockTs, true, o, holder)
	}
}

// CheckSecondaryLocks serves KvCheckSecondaryLocks: the locks of an async-commit transaction on the keys, if all of them
// are there or its commit is found; otherwise a missing one is made to stay missing, which decides the transaction.
func (m *Manager) CheckSecondaryLocks(ctx context.Context, req *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error) {
	m.conc.UpdateMaxTS(req.StartVersion)
	resp := &kvrpcpb.CheckSecondaryLocksResponse{}
	err := m.writeKeys(ctx, req.Context, req.Keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			done, err := c.checkSecondary(k, req.StartVersion, resp)
			if err != nil || done {
				return err
			}
		}
		return nil
	})
	if resp.Error, err = keyError(err); err != nil {
		return nil, err
	}
	if len(resp.Locks) == 0 {
		m.wake(req.Keys)
	}
	return resp, nil
}

// checkSecondary looks at one key; done says that it decides.
func (c *command) checkSecondary(k txnKey, startTS uint64, resp *kvrpcpb.CheckSecondaryLocksResponse) (done bool, err error) {
	lock, err := c.lock(k.encoded)
	if err != nil {
		return false, err
	}
	own := lock != nil && lock.StartTS == startTS
	if own && lock.Type != mvcc.LockPessimistic {
		resp.Locks = append(resp.Locks, lock.Info(k.user))
		return false, nil
	}
	resp.Locks = nil
	if own {
		resp.CommitTs, err = c.rollbackLock(k.encoded, lock, true)
		return true, err
	}
	resp.CommitTs, err = c.rollbackMissing(k, startTS, true, lock)
	return true, err
}
