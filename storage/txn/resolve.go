package txn

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// resolveBatch is the number of locks resolved by one write.
const resolveBatch = 256

// ResolveLock serves KvResolveLock: it commits or rolls back the locks of decided transactions, those on the given keys,
// or all in the region.
func (m *Manager) ResolveLock(ctx context.Context, req *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error) {
	decided := map[uint64]uint64{req.StartVersion: req.CommitVersion}
	if len(req.TxnInfos) > 0 {
		decided = make(map[uint64]uint64, len(req.TxnInfos))
		for _, t := range req.TxnInfos {
			decided[t.Txn] = t.Status
		}
	}
	for start, commit := range decided {
		if commit > 0 && commit <= start {
			return &kvrpcpb.ResolveLockResponse{Error: &kvrpcpb.KeyError{Abort: fmt.Sprintf(
				"commit_ts %d is not above start_ts %d", commit, start)}}, nil
		}
	}
	var err error
	if len(req.Keys) > 0 {
		err = m.resolveKeys(ctx, req)
	} else {
		err = m.resolveRegion(ctx, req.Context, decided)
	}
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	return &kvrpcpb.ResolveLockResponse{Error: failed}, nil
}

// resolveKeys resolves keys that are known to have been locked by the transaction.
func (m *Manager) resolveKeys(ctx context.Context, req *kvrpcpb.ResolveLockRequest) error {
	defer m.wake(req.Keys)
	return m.writeKeys(ctx, req.Context, req.Keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			var err error
			if req.CommitVersion > 0 {
				err = c.commitKey(k, req.StartVersion, req.CommitVersion)
			} else {
				err = c.rollbackKey(k, req.StartVersion)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// resolveRegion resolves all locks of the transactions, a batch at a time: locks are found on a snapshot and looked at
// again under their latches. decided maps start_ts to commit_ts, or 0.
func (m *Manager) resolveRegion(ctx context.Context, pb *kvrpcpb.Context, decided map[uint64]uint64) error {
	var next []byte
	for {
		found, rest, err := m.findLocks(ctx, pb, lockQuery{
			start: next, limit: resolveBatch,
			want: func(l *mvcc.Lock) bool { _, ok := decided[l.StartTS]; return ok },
		})
		if err != nil {
			return err
		}
		if err := m.resolveFound(ctx, pb, found, decided); err != nil {
			return err
		}
		if rest == nil {
			return nil
		}
		next = rest
	}
}

func (m *Manager) resolveFound(ctx context.Context, pb *kvrpcpb.Context, found []*kvrpcpb.LockInfo, decided map[uint64]uint64) error {
	keys := make([][]byte, len(found))
	for i, l := range found {
		keys[i] = l.Key
	}
	defer m.wake(keys)
	return m.writeKeys(ctx, pb, keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			if err := c.resolveKey(k, decided); err != nil {
				return err
			}
		}
		return nil
	})
}

// resolveKey resolves the lock of a key if it still is of a decided transaction.
func (c *command) resolveKey(k txnKey, decided map[uint64]uint64) error {
	lock, err := c.reader.Lock(k.encoded)
	if lock == nil || err != nil {
		return err
	}
	commitTS, ok := decided[lock.StartTS]
	switch {
	case !ok:
		return nil
	case commitTS > 0:
		return c.commitKey(k, lock.StartTS, commitTS)
	default:
		return c.rollbackKey(k, lock.StartTS)
	}
}

// ScanLock serves KvScanLock: locks of transactions that began at or before max_version.
func (m *Manager) ScanLock(ctx context.Context, req *kvrpcpb.ScanLockRequest) (*kvrpcpb.ScanLockResponse, error) {
	resp := &kvrpcpb.ScanLockResponse{}
	err := m.conc.ReadCheck(req.MaxVersion, req.StartKey, req.EndKey, nil)
	if err == nil {
		resp.Locks, _, err = m.findLocks(ctx, req.Context, lockQuery{
			start: req.StartKey, end: req.EndKey, limit: int(req.Limit),
			want: func(l *mvcc.Lock) bool { return l.StartTS <= req.MaxVersion },
		})
	}
	if resp.Error, err = keyError(err); err != nil {
		return nil, err
	}
	return resp, nil
}

// lockQuery asks for locks on user keys in [start, end), at most limit of them if that is above 0.
type lockQuery struct {
	start, end []byte
	limit      int
	want       func(*mvcc.Lock) bool
}

// findLocks returns the wanted locks in key order, and the key to go on from if there may be more.
func (m *Manager) findLocks(ctx context.Context, pb *kvrpcpb.Context, q lockQuery) (found []*kvrpcpb.LockInfo, rest []byte, err error) {
	snap, err := m.store.Snapshot(ctx, RegionOf(pb))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = join(err, snap.Close()) }()
	it, err := snap.NewIterator(q.iterOptions())
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = join(err, it.Close()) }()
	for valid, n := it.First(), 0; valid; valid, n = it.Next(), n+1 {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		lock, err := mvcc.ParseLock(it.Value())
		if err != nil {
			return nil, nil, join(it.Error(), err)
		}
		if !q.want(&lock) {
			continue
		}
		key, err := mvcc.DecodeKey(nil, it.Key())
		if err != nil {
			return nil, nil, err
		}
		found = append(found, lock.Info(key))
		if len(found) == q.limit {
			return found, append(key, 0), nil
		}
	}
	return found, nil, it.Error()
}

func (q *lockQuery) iterOptions() storage.IterOptions {
	o := storage.IterOptions{CF: storage.CFLock}
	if len(q.start) > 0 {
		o.Lower = mvcc.EncodeKey(q.start)
	}
	if len(q.end) > 0 {
		o.Upper = mvcc.EncodeKey(q.end)
	}
	return o
}
