package txn

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// resolveBatch is the number of locks resolved by one write.
const resolveBatch = 1024

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
		found, rest, err := m.findLocks(ctx, RegionOf(pb), lockQuery{
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
	lock, err := c.lock(k.encoded)
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
		resp.Locks, _, err = m.findLocks(ctx, RegionOf(req.Context), lockQuery{
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
func (m *Manager) findLocks(ctx context.Context, at storage.Region, q lockQuery) (found []*kvrpcpb.LockInfo, rest []byte, err error) {
	o := q.iterOptions()
	inMemory, term := m.memory.between(at.ID, o.Lower, o.Upper)
	snap, err := m.store.Snapshot(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = join(err, snap.Close()) }()
	f := lockFinder{query: q}
	if term == snap.Term() {
		r := snap.Region()
		f.memory = slices.DeleteFunc(inMemory, func(l memoryLock) bool { return !within(l.key, r.StartKey, r.EndKey) })
	}
	err = walk(ctx, snap, o, f.look)
	if err == nil {
		_, err = f.lookInMemory(nil)
	}
	return f.found, f.rest, err
}

// lockFinder collects the locks of a query, stored ones and those in memory.
type lockFinder struct {
	query  lockQuery
	memory []memoryLock // still to be looked at, in key order
	found  []*kvrpcpb.LockInfo
	rest   []byte // the user key to go on from, if there have been enough
}

// look takes in a stored lock, and those in memory before it.
func (f *lockFinder) look(key, val []byte) (done bool, err error) {
	if done, err := f.lookInMemory(key); done || err != nil {
		return done, err
	}
	if len(f.memory) > 0 && bytes.Equal(f.memory[0].key, key) {
		f.memory = f.memory[1:] // it has been stored since
	}
	lock, err := mvcc.ParseLock(val)
	if err != nil {
		return false, err
	}
	return f.add(key, &lock)
}

// lookInMemory takes in the locks in memory before an encoded key, all of them if it is nil.
func (f *lockFinder) lookInMemory(before []byte) (done bool, err error) {
	for len(f.memory) > 0 && f.rest == nil && (before == nil || bytes.Compare(f.memory[0].key, before) < 0) {
		l := f.memory[0]
		f.memory = f.memory[1:]
		if done, err := f.add(l.key, l.lock); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

func (f *lockFinder) add(key []byte, lock *mvcc.Lock) (done bool, err error) {
	if !f.query.want(lock) {
		return false, nil
	}
	user, err := mvcc.DecodeKey(nil, key)
	if err != nil {
		return false, err
	}
	f.found = append(f.found, lock.Info(user))
	if len(f.found) == f.query.limit {
		f.rest = append(user, 0)
		return true, nil
	}
	return false, nil
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
