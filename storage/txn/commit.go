package txn

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// Commit serves KvCommit.
func (m *Manager) Commit(ctx context.Context, req *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	if req.CommitVersion <= req.StartVersion {
		return &kvrpcpb.CommitResponse{Error: &kvrpcpb.KeyError{Abort: fmt.Sprintf(
			"commit_ts %d is not above start_ts %d", req.CommitVersion, req.StartVersion)}}, nil
	}
	err := m.writeKeys(ctx, req.Context, req.Keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			if err := c.commitKey(k, req.StartVersion, req.CommitVersion); err != nil {
				return err
			}
		}
		return nil
	})
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.CommitResponse{Error: failed}
	if failed == nil {
		resp.CommitVersion = req.CommitVersion
		m.wake(req.Keys)
	}
	return resp, nil
}

// txnKey is a user key in both forms.
type txnKey struct{ user, encoded []byte }

func encodeKeys(sorted [][]byte) []txnKey {
	keys := make([]txnKey, len(sorted))
	for i, k := range sorted {
		keys[i] = txnKey{k, mvcc.EncodeKey(k)}
	}
	return keys
}

// writeKeys is write with the keys sorted and encoded. Without keys it does nothing. It is for what ends transactions, and what
// keeps them alive until they end: that goes on when the disk is almost full.
func (m *Manager) writeKeys(ctx context.Context, pb *kvrpcpb.Context, keys [][]byte, build func(c *command, keys []txnKey) error) error {
	if len(keys) == 0 {
		return nil
	}
	sorted := sortedKeys(keys)
	return m.write(ctx, pb, sorted, func(c *command) error {
		c.at.DiskFullOpt = max(c.at.DiskFullOpt, kvrpcpb.DiskFullOpt_AllowedOnAlmostFull)
		return build(c, encodeKeys(sorted))
	})
}

// commitKey commits one key, or finds it committed. A leftover pessimistic lock is removed.
func (c *command) commitKey(k txnKey, startTS, commitTS uint64) error {
	lock, err := c.lock(k.encoded)
	if err != nil {
		return err
	}
	if lock == nil || lock.StartTS != startTS {
		return c.findCommit(k, startTS)
	}
	if commitTS < lock.MinCommitTS {
		return &mvcc.CommitTSExpiredError{Pb: &kvrpcpb.CommitTsExpired{
			StartTs: startTS, AttemptedCommitTs: commitTS, Key: k.user, MinCommitTs: lock.MinCommitTS,
		}}
	}
	c.commitLock(k.encoded, lock, commitTS)
	return nil
}

func (c *command) findCommit(k txnKey, startTS uint64) error {
	o, err := c.outcome(k.encoded, startTS)
	if err == nil && o.Fate != mvcc.FateCommitted {
		err = &mvcc.LockNotFoundError{StartTS: startTS, Key: k.user}
	}
	return err
}
