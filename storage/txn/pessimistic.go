package txn

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/storage/mvcc"
)

// lockRequest is the state of one PessimisticLock. It runs as often as the locks in its way are released in time.
type lockRequest struct {
	req  *kvrpcpb.PessimisticLockRequest
	keys []lockKey // in the request's order

	blocked error     // *mvcc.LockedError of the last run
	wait    *lockWait // entered by the last run
}

// lockKey is one key to lock and what it was found to hold.
type lockKey struct {
	txnKey
	mustNotExist bool

	value      []byte
	exists     bool
	conflictTS uint64 // locked though a version was committed after for_update_ts
}

// PessimisticLock serves KvPessimisticLock.
func (m *Manager) PessimisticLock(ctx context.Context, req *kvrpcpb.PessimisticLockRequest) (*kvrpcpb.PessimisticLockResponse, error) {
	r := &lockRequest{req: req}
	err := r.init()
	if err == nil {
		m.conc.UpdateMaxTS(req.ForUpdateTs)
		err = m.lockOrWait(ctx, r)
	}
	failed, err := keyError(err)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return r.failed(failed), nil
	}
	return r.response(), nil
}

func (r *lockRequest) init() error {
	if r.req.LockOnlyIfExists && !r.req.ReturnValues {
		return &mvcc.AbortError{Reason: "pessimistic lock: lock_only_if_exists needs return_values"}
	}
	for _, mu := range r.req.Mutations {
		if mu.Op != kvrpcpb.Op_PessimisticLock {
			return &mvcc.AbortError{Reason: fmt.Sprintf("pessimistic lock: mutation %s is not supported", mu.Op)}
		}
		r.keys = append(r.keys, lockKey{
			txnKey:       txnKey{mu.Key, mvcc.EncodeKey(mu.Key)},
			mustNotExist: mu.Assertion == kvrpcpb.Assertion_NotExist,
		})
	}
	return nil
}

// lockOrWait tries until the keys are locked, something other than a lock is in the way, or time is up.
func (m *Manager) lockOrWait(ctx context.Context, r *lockRequest) error {
	limit := m.waitLimit(r.req.WaitTimeout)
	var timeout <-chan time.Time
	var woken []byte // the key whose wake-up is ours to pass on
	for {
		r.blocked, r.wait = nil, nil
		err := m.tryLock(ctx, r)
		again := r.wait != nil && bytes.Equal(r.wait.key, woken)
		if woken != nil && !again && (err != nil || r.blocked != nil) {
			m.wake([][]byte{woken})
		}
		if err != nil || r.blocked == nil {
			return err
		}
		if r.wait == nil {
			return r.blocked
		}
		if timeout == nil {
			timeout = m.opts.After(limit)
		}
		if err := m.await(ctx, r, timeout, limit); err != nil {
			return err
		}
		woken = r.wait.key
	}
}

// waitLimit returns how long a request waits for locks, 0 for not at all. However long the client asks for, it gets the
// lock back now and then: only it can find out that the holder is dead.
func (m *Manager) waitLimit(ms int64) time.Duration {
	switch {
	case ms == 0 || ms > m.opts.LockWait.Milliseconds():
		return m.opts.LockWait
	case ms < 0:
		return 0
	default:
		return time.Duration(ms) * time.Millisecond
	}
}

// await returns nil once the request is woken.
func (m *Manager) await(ctx context.Context, r *lockRequest, timeout <-chan time.Time, limit time.Duration) (err error) {
	select {
	case <-r.wait.woken:
		return nil
	case <-timeout:
		err = r.timedOut(limit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if m.waits.remove(r.wait) {
		m.wake([][]byte{r.wait.key})
	}
	return err
}

func (r *lockRequest) timedOut(waited time.Duration) error {
	if e, ok := r.blocked.(*mvcc.LockedError); ok {
		e.Info.DurationToLastUpdateMs = uint64(max(waited.Milliseconds(), 1))
	}
	return r.blocked
}

// tryLock runs the request once. A lock in the way is left in r.blocked, and if waiting makes sense r.wait is entered.
func (m *Manager) tryLock(ctx context.Context, r *lockRequest) error {
	keys := make([][]byte, len(r.keys))
	for i := range r.keys {
		keys[i] = r.keys[i].user
	}
	return m.writeKeys(ctx, r.req.Context, keys, func(c *command, _ []txnKey) error {
		for i := range r.keys {
			blocked, err := r.lockKey(c, &r.keys[i])
			if err != nil {
				return err
			}
			if blocked != nil {
				c.mods = nil
				return r.enterWait(m, &r.keys[i], blocked)
			}
		}
		return nil
	})
}

// enterWait queues behind another transaction's lock, still under the latch.
func (r *lockRequest) enterWait(m *Manager, k *lockKey, holder *mvcc.Lock) error {
	r.blocked = &mvcc.LockedError{Info: holder.Info(k.user)}
	if r.req.WaitTimeout < 0 {
		return nil
	}
	w := &lockWait{
		txn: r.req.StartVersion, holder: holder.StartTS, key: k.user,
		tag: r.req.Context.GetResourceGroupTag(), woken: make(chan struct{}),
	}
	if circle := m.waits.add(w); circle != nil {
		return deadlockError(w, circle)
	}
	r.wait = w
	return nil
}

// lockKey locks one key, or returns the lock of another transaction in the way.
func (r *lockRequest) lockKey(c *command, k *lockKey) (blocked *mvcc.Lock, err error) {
	k.value, k.exists, k.conflictTS = nil, false, 0
	lock, err := c.reader.Lock(k.encoded)
	if err != nil {
		return nil, err
	}
	if lock != nil && lock.StartTS != r.req.StartVersion {
		return lock, nil
	}
	if lock != nil && lock.Type != mvcc.LockPessimistic {
		return nil, &mvcc.AbortError{Reason: fmt.Sprintf("pessimistic lock: transaction %d has prewritten key %x", lock.StartTS, k.user)}
	}
	if lock == nil {
		if err := r.checkVersions(c, k); err != nil {
			return nil, err
		}
	} else if r.forces() && lock.LockedWithConflict && lock.ForUpdateTS > r.req.ForUpdateTs {
		k.conflictTS = lock.ForUpdateTS // a repetition
	}
	if err := r.readValue(c, k); err != nil {
		return nil, err
	}
	if k.mustNotExist && k.exists && lock == nil {
		return nil, &mvcc.ExistsError{Key: k.user}
	}
	if r.req.LockOnlyIfExists && !k.exists && lock == nil {
		return nil, nil
	}
	r.writeLock(c, k, lock)
	return nil, nil
}

// checkVersions looks for commits after for_update_ts and for the transaction's own rollback.
func (r *lockRequest) checkVersions(c *command, k *lockKey) error {
	v, ok, err := c.reader.Newest(k.encoded, mvcc.TSMax)
	for ; ok && v.CommitTS >= r.req.StartVersion; v, ok, err = c.reader.Older(k.encoded) {
		switch {
		case v.CommitTS == r.req.StartVersion && (v.Overlapped || v.Type == mvcc.WriteRollback):
			return &mvcc.AbortError{Reason: fmt.Sprintf("PessimisticLockRolledBack: transaction %d on key %x", r.req.StartVersion, k.user)}
		case v.CommitTS <= r.req.ForUpdateTs || v.Type == mvcc.WriteRollback:
		case r.forces():
			k.conflictTS = max(k.conflictTS, v.CommitTS)
		default:
			return &mvcc.ConflictError{Pb: &kvrpcpb.WriteConflict{
				StartTs: r.req.StartVersion, ConflictTs: v.StartTS, ConflictCommitTs: v.CommitTS,
				Key: k.user, Primary: r.req.PrimaryLock, Reason: kvrpcpb.WriteConflict_PessimisticRetry,
			}}
		}
	}
	return err
}

// forces tells whether a conflict is reported beside the lock instead of preventing it.
func (r *lockRequest) forces() bool {
	return r.req.WakeUpMode == kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock && len(r.keys) == 1
}

// readValue reads the newest value as far as the request asks for it.
func (r *lockRequest) readValue(c *command, k *lockKey) error {
	needsValue := r.req.ReturnValues || k.conflictTS > 0
	if !needsValue && !r.req.CheckExistence && !k.mustNotExist {
		return nil
	}
	v, ok, err := c.reader.NewestData(k.encoded, max(r.req.ForUpdateTs, k.conflictTS))
	if err != nil || !ok || !v.Exists() {
		return err
	}
	k.exists = true
	if needsValue {
		k.value, err = c.reader.Value(k.encoded, &v.Write)
	}
	return err
}

// writeLock writes the lock or renews the one held, none of whose limits goes down.
func (r *lockRequest) writeLock(c *command, k *lockKey, held *mvcc.Lock) {
	l := mvcc.Lock{
		Type: mvcc.LockPessimistic, Primary: r.req.PrimaryLock, StartTS: r.req.StartVersion, TTL: r.req.LockTtl,
		ForUpdateTS: max(r.req.ForUpdateTs, k.conflictTS), MinCommitTS: r.req.MinCommitTs, LockedWithConflict: k.conflictTS > 0,
	}
	if held != nil {
		if held.ForUpdateTS >= l.ForUpdateTS && held.TTL >= l.TTL {
			return
		}
		l.TTL, l.ForUpdateTS = max(l.TTL, held.TTL), max(l.ForUpdateTS, held.ForUpdateTS)
		l.MinCommitTS, l.RollbackTS = max(l.MinCommitTS, held.MinCommitTS), held.RollbackTS
	}
	c.putLock(k.encoded, &l)
}

func (r *lockRequest) failed(e *kvrpcpb.KeyError) *kvrpcpb.PessimisticLockResponse {
	resp := &kvrpcpb.PessimisticLockResponse{Errors: []*kvrpcpb.KeyError{e}}
	if r.req.WakeUpMode == kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock {
		for range r.req.Mutations {
			resp.Results = append(resp.Results, &kvrpcpb.PessimisticLockKeyResult{Type: kvrpcpb.PessimisticLockKeyResultType_LockResultFailed})
		}
	}
	return resp
}

func (r *lockRequest) response() *kvrpcpb.PessimisticLockResponse {
	resp := &kvrpcpb.PessimisticLockResponse{}
	for i := range r.keys {
		k := &r.keys[i]
		if r.req.WakeUpMode == kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock {
			resp.Results = append(resp.Results, k.result())
			continue
		}
		if r.req.ReturnValues {
			resp.Values = append(resp.Values, k.value)
		}
		if r.req.ReturnValues || r.req.CheckExistence {
			resp.NotFounds = append(resp.NotFounds, !k.exists)
		}
	}
	return resp
}

func (k *lockKey) result() *kvrpcpb.PessimisticLockKeyResult {
	r := &kvrpcpb.PessimisticLockKeyResult{Value: k.value, Existence: k.exists, LockedWithConflictTs: k.conflictTS}
	if k.conflictTS > 0 {
		r.Type = kvrpcpb.PessimisticLockKeyResultType_LockResultLockedWithConflict
	}
	return r
}

func newDeadlock(w, last *lockWait) *kvrpcpb.Deadlock {
	return &kvrpcpb.Deadlock{
		LockTs: w.holder, LockKey: w.key, DeadlockKey: last.key, DeadlockKeyHash: xxh3.Hash(last.key),
	}
}

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
		found, rest, err := m.findLocks(ctx, req.Context, q)
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
			lock, err := c.reader.Lock(k.encoded)
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
