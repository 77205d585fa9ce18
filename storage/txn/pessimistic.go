package txn

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// lockRequest is the state of one PessimisticLock. It runs as often as the locks in its way are released in time.
type lockRequest struct {
	req  *kvrpcpb.PessimisticLockRequest
	keys []lockKey // in the request's order

	losses  uint64    // of lockWaits, before the last run
	blocked error     // *mvcc.LockedError of the last run
	wait    *lockWait // entered by the last run
}

// lockKey is one key to lock and what it was found to hold.
type lockKey struct {
	txnKey
	mustNotExist bool

	value      []byte
	exists     bool
	conflictTS uint64              // locked though a version was committed after for_update_ts
	conflict   *mvcc.ConflictError // what to say of such a version
	locked     bool
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
	for i := range r.keys {
		if r.keys[i].locked {
			m.hold(r.keys[i].user, r.newLock(&r.keys[i]))
		}
	}
	return r.response(), nil
}

func (r *lockRequest) init() error {
	if r.req.LockOnlyIfExists && !r.req.ReturnValues {
		return &mvcc.AbortError{Reason: "pessimistic lock: lock_only_if_exists needs return_values"}
	}
	if r.forces() && len(r.req.Mutations) > 1 {
		return &mvcc.AbortError{Reason: "pessimistic lock: a lock in spite of conflicts is for one key"}
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

// tryLock runs the request once. A lock in the way is left in r.blocked, and if waiting makes sense r.wait is entered.
func (m *Manager) tryLock(ctx context.Context, r *lockRequest) error {
	keys := make([][]byte, len(r.keys))
	for i := range r.keys {
		keys[i] = r.keys[i].user
	}
	if len(keys) == 0 {
		return nil
	}
	r.losses = m.waits.losses.Load()
	return m.write(ctx, r.req.Context, sortedKeys(keys), func(c *command) error {
		if err := m.conc.CheckSafePoint(r.req.StartVersion); err != nil {
			return err
		}
		for i := range r.keys {
			blocked, err := r.lockKey(c, &r.keys[i])
			if err != nil {
				return err
			}
			if blocked != nil {
				c.mods, c.changes = nil, nil
				r.enterWait(c, &r.keys[i], blocked)
				return nil
			}
		}
		return nil
	})
}

// lockKey locks one key, or returns the lock of another transaction in the way.
func (r *lockRequest) lockKey(c *command, k *lockKey) (blocked *mvcc.Lock, err error) {
	*k = lockKey{txnKey: k.txnKey, mustNotExist: k.mustNotExist}
	lock, err := c.lock(k.encoded)
	switch {
	case err != nil:
		return nil, err
	case lock == nil:
		if err := r.checkVersions(c, k); err != nil {
			return nil, err
		}
	case lock.StartTS != r.req.StartVersion:
		return lock, nil
	case lock.Type != mvcc.LockPessimistic:
		return nil, &mvcc.AbortError{Reason: fmt.Sprintf("pessimistic lock: transaction %d has prewritten key %x", lock.StartTS, k.user)}
	case r.forces() && lock.ForUpdateTS > r.req.ForUpdateTs:
		k.conflictTS = lock.ForUpdateTS // a repetition
	}
	if err := r.readValue(c, k); err != nil {
		return nil, err
	}
	if ok, err := r.checkExistence(k, lock); !ok || err != nil {
		return nil, err
	}
	r.writeLock(c, k, lock)
	return nil, nil
}

// checkVersions looks for commits after for_update_ts and for the transaction's own rollback. A rollback of another is no
// reason to start over: nothing has changed.
func (r *lockRequest) checkVersions(c *command, k *lockKey) error {
	if c.unwritten(k.encoded, r.req.StartVersion) {
		return nil
	}
	v, ok, err := c.reader.Newest(k.encoded, mvcc.TSMax)
	for ok && v.Type == mvcc.WriteRollback && v.CommitTS > max(r.req.ForUpdateTs, r.req.StartVersion) {
		v, ok, err = c.reader.Older(k.encoded)
	}
	if err != nil || !ok || v.CommitTS < r.req.StartVersion {
		return err
	}
	if v.CommitTS > r.req.ForUpdateTs && v.Type != mvcc.WriteRollback {
		k.conflict = r.conflict(k, &v)
		if !r.forces() {
			return k.conflict
		}
		k.conflictTS = v.CommitTS
	}
	if v.CommitTS > r.req.StartVersion {
		v, ok, err = c.reader.Newest(k.encoded, r.req.StartVersion)
	}
	if ok && v.CommitTS == r.req.StartVersion && (v.Overlapped || v.Type == mvcc.WriteRollback) {
		return &mvcc.AbortError{Reason: fmt.Sprintf("PessimisticLockRolledBack: transaction %d on key %x", r.req.StartVersion, k.user)}
	}
	return err
}

func (r *lockRequest) conflict(k *lockKey, v *mvcc.Version) *mvcc.ConflictError {
	return &mvcc.ConflictError{Pb: &kvrpcpb.WriteConflict{
		StartTs: r.req.StartVersion, ConflictTs: v.StartTS, ConflictCommitTs: v.CommitTS,
		Key: k.user, Primary: r.req.PrimaryLock, Reason: kvrpcpb.WriteConflict_PessimisticRetry,
	}}
}

// forces tells whether a conflict is reported beside the lock instead of preventing it.
func (r *lockRequest) forces() bool {
	return r.req.WakeUpMode == kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock
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
	if v.CommitTS > r.req.ForUpdateTs {
		k.conflict = r.conflict(k, &v)
	}
	if needsValue {
		k.value, err = c.reader.Value(k.encoded, &v.Write)
	}
	return err
}

// checkExistence tells whether the key is to be locked. Where the answer comes of a version that the transaction has not
// seen yet, it has to start over.
func (r *lockRequest) checkExistence(k *lockKey, held *mvcc.Lock) (lock bool, err error) {
	switch {
	case k.mustNotExist && k.exists:
		if k.conflict != nil {
			return false, k.conflict
		}
		return false, &mvcc.ExistsError{Key: k.user}
	case r.req.LockOnlyIfExists && !k.exists && held == nil:
		if k.conflict != nil {
			return false, k.conflict
		}
		return false, nil
	default:
		return true, nil
	}
}

// writeLock writes the lock or renews the one held, none of whose limits goes down.
func (r *lockRequest) writeLock(c *command, k *lockKey, held *mvcc.Lock) {
	k.locked = true
	l := r.newLock(k)
	if held == nil {
		c.takeLock(k.encoded, l)
		return
	}
	if held.ForUpdateTS >= l.ForUpdateTS && held.TTL >= l.TTL {
		return
	}
	l.TTL, l.ForUpdateTS = max(l.TTL, held.TTL), max(l.ForUpdateTS, held.ForUpdateTS)
	l.MinCommitTS, l.LockedWithConflict = max(l.MinCommitTS, held.MinCommitTS), held.LockedWithConflict
	c.putLock(k.encoded, l)
}

func (r *lockRequest) newLock(k *lockKey) *mvcc.Lock {
	return &mvcc.Lock{
		Type: mvcc.LockPessimistic, Primary: r.req.PrimaryLock, StartTS: r.req.StartVersion, TTL: r.req.LockTtl,
		ForUpdateTS: max(r.req.ForUpdateTs, k.conflictTS), MinCommitTS: r.req.MinCommitTs, LockedWithConflict: k.conflictTS > 0,
	}
}

func (r *lockRequest) failed(e *kvrpcpb.KeyError) *kvrpcpb.PessimisticLockResponse {
	resp := &kvrpcpb.PessimisticLockResponse{Errors: []*kvrpcpb.KeyError{e}}
	if r.forces() {
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
		if r.forces() {
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
