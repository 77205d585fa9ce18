package txn

import (
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// PessimisticRollback serves KVPessimisticRollback: it removes pessimistic locks of a transaction up to a for_update_ts, on
// the given keys or in the whole region. No record is left.
func (m *Manager) PessimisticRollback(ctx context.Context, req *kvrpcpb.PessimisticRollbackRequest) (*kvrpcpb.PessimisticRollbackResponse, error) {
	err := m.pessimisticRollback(ctx, req)
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.PessimisticRollbackResponse{}
	if failed != nil {
		resp.Errors = []*kvrpcpb.KeyError{failed}
	}
	return resp, nil
}

func (m *Manager) pessimisticRollback(ctx context.Context, req *kvrpcpb.PessimisticRollbackRequest) error {
	if len(req.Keys) > 0 {
		return m.unlock(ctx, req, req.Keys)
	}
	q := lockQuery{limit: resolveBatch, want: func(l *mvcc.Lock) bool { return undoes(req, l) }}
	for {
		found, rest, err := m.findLocks(ctx, RegionOf(req.Context), q)
		if err != nil {
			return err
		}
		keys := make([][]byte, len(found))
		for i, l := range found {
			keys[i] = l.Key
		}
		if err := m.unlock(ctx, req, keys); err != nil || rest == nil {
			return err
		}
		q.start = rest
	}
}

func undoes(req *kvrpcpb.PessimisticRollbackRequest, l *mvcc.Lock) bool {
	return l.Type == mvcc.LockPessimistic && l.StartTS == req.StartVersion && l.ForUpdateTS <= req.ForUpdateTs
}

func (m *Manager) unlock(ctx context.Context, req *kvrpcpb.PessimisticRollbackRequest, keys [][]byte) error {
	defer m.wake(keys)
	return m.writeKeys(ctx, req.Context, keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			lock, err := c.lock(k.encoded)
			if err != nil {
				return err
			}
			if lock != nil && undoes(req, lock) {
				c.deleteLock(k.encoded)
			}
		}
		return nil
	})
}
