package txn

import (
	"bytes"
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// BatchRollback serves KvBatchRollback.
func (m *Manager) BatchRollback(ctx context.Context, req *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error) {
	err := m.writeKeys(ctx, req.Context, req.Keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			if err := c.rollbackKey(k, req.StartVersion); err != nil {
				return err
			}
		}
		return nil
	})
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	m.wake(req.Keys)
	return &kvrpcpb.BatchRollbackResponse{Error: failed}, nil
}

// Cleanup serves KvCleanup: roll back one key, if its lock has expired at current_ts or that is 0.
func (m *Manager) Cleanup(ctx context.Context, req *kvrpcpb.CleanupRequest) (*kvrpcpb.CleanupResponse, error) {
	resp := &kvrpcpb.CleanupResponse{}
	err := m.writeKeys(ctx, req.Context, [][]byte{req.Key}, func(c *command, keys []txnKey) error {
		lock, err := c.lock(keys[0].encoded)
		if err != nil {
			return err
		}
		if lock != nil && lock.StartTS == req.StartVersion && req.CurrentTs > 0 && !expired(lock, req.CurrentTs) {
			return &mvcc.LockedError{Info: lock.Info(req.Key)}
		}
		resp.CommitVersion, err = c.rollback(keys[0], req.StartVersion, true)
		return err
	})
	if resp.Error, err = keyError(err); err != nil {
		return nil, err
	}
	m.wake([][]byte{req.Key})
	return resp, nil
}

// rollbackKey rolls one key back; a committed one is an *mvcc.AbortError.
func (c *command) rollbackKey(k txnKey, startTS uint64) error {
	commitTS, err := c.rollback(k, startTS, false)
	if err == nil && commitTS > 0 {
		err = &mvcc.AbortError{Reason: fmt.Sprintf("transaction %d is committed on key %x at %d", startTS, k.user, commitTS)}
	}
	return err
}

// rollback rolls one key back, or returns the timestamp at which it is committed. The record is protected on primary
// keys: it is what decides the transaction.
func (c *command) rollback(k txnKey, startTS uint64, protected bool) (commitTS uint64, err error) {
	lock, err := c.lock(k.encoded)
	if err != nil {
		return 0, err
	}
	if lock != nil && lock.StartTS == startTS {
		return c.rollbackLock(k.encoded, lock, protected || bytes.Equal(lock.Primary, k.user))
	}
	return c.rollbackMissing(k, startTS, protected, lock)
}

// rollbackMissing leaves a rollback where the transaction has no lock, so that it never will.
func (c *command) rollbackMissing(k txnKey, startTS uint64, protected bool, holder *mvcc.Lock) (commitTS uint64, err error) {
	o, err := c.outcome(k.encoded, startTS)
	if err != nil {
		return 0, err
	}
	switch o.Fate {
	case mvcc.FateCommitted:
		return o.Record.CommitTS, nil
	case mvcc.FateRolledBack:
		return 0, nil
	default:
		return 0, c.markRolledBack(k.encoded, startTS, protected, o, holder)
	}
}

// expired tells whether a lock's time to live has passed.
func expired(l *mvcc.Lock, currentTS uint64) bool {
	return mvcc.PhysicalMS(l.StartTS)+l.TTL < mvcc.PhysicalMS(currentTS)
}
