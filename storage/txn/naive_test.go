package txn

import (
	"bytes"
	"fmt"
	"slices"
	"sort"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// naive is the transaction service written straight from the rules: a map of locks and versions, changed in place, with a
// copy to go back to. It answers the requests of Manager, one at a time.
type naive struct {
	maxTS uint64
	keys  map[string]*naiveKey
}

type naiveKey struct {
	lock     *mvcc.Lock              // ShortValue has values of any length
	versions map[uint64]naiveVersion // by commit_ts
}

type naiveVersion struct {
	kind                  mvcc.WriteType
	start                 uint64
	value                 []byte
	protected, overlapped bool
}

func newNaive() *naive { return &naive{keys: make(map[string]*naiveKey)} }

func (n *naive) at(key []byte) *naiveKey {
	k := n.keys[string(key)]
	if k == nil {
		k = &naiveKey{versions: make(map[uint64]naiveVersion)}
		n.keys[string(key)] = k
	}
	return k
}

func (n *naive) read(ts uint64) {
	if ts != mvcc.TSMax {
		n.maxTS = max(n.maxTS, ts)
	}
}

// atomically undoes the changes of f if it fails.
func (n *naive) atomically(f func() *kvrpcpb.KeyError) *kvrpcpb.KeyError {
	saved := make(map[string]*naiveKey)
	for key, k := range n.keys {
		c := &naiveKey{versions: make(map[uint64]naiveVersion)}
		if k.lock != nil {
			l := *k.lock
			l.RollbackTS = slices.Clone(l.RollbackTS)
			c.lock = &l
		}
		for ts, v := range k.versions {
			c.versions[ts] = v
		}
		saved[key] = c
	}
	e := f()
	if e != nil {
		n.keys = saved
	}
	return e
}

// order lists the commit timestamps of a key, newest first.
func (k *naiveKey) order() (list []uint64) {
	for ts := range k.versions {
		list = append(list, ts)
	}
	sort.Slice(list, func(i, j int) bool { return list[i] > list[j] })
	return list
}

func (v naiveVersion) data() bool { return v.kind == mvcc.WritePut || v.kind == mvcc.WriteDelete }

// newest finds the newest version at or below ts that is wanted.
func (k *naiveKey) newest(ts uint64, want func(naiveVersion) bool) (uint64, naiveVersion, bool) {
	for _, at := range k.order() {
		if at <= ts && want(k.versions[at]) {
			return at, k.versions[at], true
		}
	}
	return 0, naiveVersion{}, false
}

// fate is what became of a transaction here: committed at a timestamp, rolled back, or neither.
func (k *naiveKey) fate(start uint64) (commit uint64, rolledBack bool) {
	for _, at := range k.order() {
		switch v := k.versions[at]; {
		case v.start == start && v.kind != mvcc.WriteRollback:
			return at, false
		case v.start == start, at == start && v.overlapped:
			return 0, true
		}
	}
	return 0, false
}

func abort() *kvrpcpb.KeyError { return &kvrpcpb.KeyError{Abort: "abort"} }

func locked(key []byte, l *mvcc.Lock) *kvrpcpb.KeyError {
	return &kvrpcpb.KeyError{Locked: l.Info(key)}
}

func conflict(start uint64, key, primary []byte, at uint64, v naiveVersion, why kvrpcpb.WriteConflict_Reason) *kvrpcpb.KeyError {
	return &kvrpcpb.KeyError{Conflict: &kvrpcpb.WriteConflict{
		StartTs: start, ConflictTs: v.start, ConflictCommitTs: at, Key: key, Primary: primary, Reason: why,
	}}
}

// naivePrewrite is the state of one Prewrite.
type naivePrewrite struct {
	*naive
	req         *kvrpcpb.PrewriteRequest
	pessimistic bool
	committed   uint64
	locked      []*kvrpcpb.KeyError
	assertion   *kvrpcpb.KeyError
	floor       uint64
	heldMin     uint64
	plain       bool // a key is held by a lock that is not for async commit
	async       bool
	held        map[string]bool
}

func (n *naive) Prewrite(req *kvrpcpb.PrewriteRequest) *kvrpcpb.PrewriteResponse {
	p := &naivePrewrite{naive: n, req: req, pessimistic: req.ForUpdateTs > 0, held: make(map[string]bool)}
	order := make([]int, len(req.Mutations))
	for i := range order {
		order[i] = i
		if p.pessimistic && req.Mutations[i].Op == kvrpcpb.Op_CheckNotExists {
			return &kvrpcpb.PrewriteResponse{Errors: []*kvrpcpb.KeyError{abort()}}
		}
	}
	for _, mu := range req.Mutations {
		if mu.Op == kvrpcpb.Op_Insert || mu.Op == kvrpcpb.Op_CheckNotExists {
			n.read(req.StartVersion)
		}
	}
	sort.Slice(order, func(i, j int) bool {
		return bytes.Compare(req.Mutations[order[i]].Key, req.Mutations[order[j]].Key) < 0
	})
	for _, i := range order {
		e := p.check(i)
		if p.committed > 0 {
			return p.answerCommitted()
		}
		if e != nil {
			return &kvrpcpb.PrewriteResponse{Errors: []*kvrpcpb.KeyError{e}}
		}
	}
	switch {
	case len(p.locked) > 0:
		return &kvrpcpb.PrewriteResponse{Errors: p.locked}
	case p.assertion != nil:
		return &kvrpcpb.PrewriteResponse{Errors: []*kvrpcpb.KeyError{p.assertion}}
	}
	return p.write()
}

func (p *naivePrewrite) answerCommitted() *kvrpcpb.PrewriteResponse {
	switch {
	case p.req.TryOnePc:
		return &kvrpcpb.PrewriteResponse{OnePcCommitTs: p.committed}
	case p.req.UseAsyncCommit:
		return &kvrpcpb.PrewriteResponse{MinCommitTs: p.committed}
	}
	return &kvrpcpb.PrewriteResponse{}
}

func (p *naivePrewrite) action(i int) kvrpcpb.PrewriteRequest_PessimisticAction {
	if len(p.req.PessimisticActions) > 0 {
		return p.req.PessimisticActions[i]
	}
	return kvrpcpb.PrewriteRequest_SKIP_PESSIMISTIC_CHECK
}

func (p *naivePrewrite) check(i int) *kvrpcpb.KeyError {
	mu := p.req.Mutations[i]
	k := p.at(mu.Key)
	must := p.pessimistic && p.action(i) == kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK
	commit, _ := k.fate(p.req.StartVersion)
	repeated := func(e *kvrpcpb.KeyError) *kvrpcpb.KeyError {
		if p.committed = commit; commit > 0 {
			return nil
		}
		return e
	}
	switch l := k.lock; {
	case l == nil && must:
		if at, _, ok := k.newest(mvcc.TSMax, anyVersion); ok && at >= p.req.StartVersion {
			return repeated(abort())
		}
		return p.assert(k, mu, i)
	case l == nil:
		return p.checkVersions(k, mu, i)
	case l.StartTS != p.req.StartVersion && must:
		return repeated(abort())
	case l.StartTS != p.req.StartVersion:
		if repeated(nil); commit == 0 {
			p.locked = append(p.locked, locked(mu.Key, l))
		}
		return nil
	case l.Type != mvcc.LockPessimistic:
		p.held[string(mu.Key)] = true
		p.heldMin = max(p.heldMin, l.MinCommitTS)
		p.async, p.plain = p.async || l.AsyncCommit, p.plain || !l.AsyncCommit
		return nil
	case !p.pessimistic:
		return abort()
	default:
		for _, c := range p.req.ForUpdateTsConstraints {
			if int(c.Index) == i && c.ExpectedForUpdateTs != l.ForUpdateTS {
				return repeated(abort())
			}
		}
		p.floor = max(p.floor, l.ForUpdateTS, l.MinCommitTS-min(l.MinCommitTS, 1))
		if !must {
			return p.checkVersions(k, mu, i)
		}
		if p.req.AssertionLevel == kvrpcpb.AssertionLevel_Strict {
			return p.assert(k, mu, i)
		}
		return nil
	}
}

func anyVersion(naiveVersion) bool { return true }

func (p *naivePrewrite) checkVersions(k *naiveKey, mu *kvrpcpb.Mutation, i int) *kvrpcpb.KeyError {
	if p.req.SkipConstraintCheck && !p.pessimistic {
		return nil
	}
	if e := p.conflicts(k, mu, i); e != nil || p.committed > 0 {
		return e
	}
	_, v, ok := k.newest(mvcc.TSMax, naiveVersion.data)
	exists := ok && v.kind == mvcc.WritePut
	if exists && (mu.Op == kvrpcpb.Op_Insert || mu.Op == kvrpcpb.Op_CheckNotExists) {
		return &kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: mu.Key}}
	}
	return p.assert(k, mu, i)
}

func (p *naivePrewrite) conflicts(k *naiveKey, mu *kvrpcpb.Mutation, i int) *kvrpcpb.KeyError {
	start := p.req.StartVersion
	if commit, _ := k.fate(start); commit > 0 {
		p.committed = commit
		return nil
	}
	for _, at := range k.order() {
		v := k.versions[at]
		rollback := v.kind == mvcc.WriteRollback
		switch {
		case at < start:
			return nil
		case at == start && (rollback || v.overlapped):
			return conflict(start, mu.Key, p.req.PrimaryLock, at, v, kvrpcpb.WriteConflict_SelfRolledBack)
		case at == start:
		case !p.pessimistic:
			return conflict(start, mu.Key, p.req.PrimaryLock, at, v, kvrpcpb.WriteConflict_Optimistic)
		case p.action(i) == kvrpcpb.PrewriteRequest_DO_CONSTRAINT_CHECK:
			return conflict(start, mu.Key, p.req.PrimaryLock, at, v, kvrpcpb.WriteConflict_LazyUniquenessCheck)
		case at > p.req.ForUpdateTs && !rollback:
			return abort()
		case rollback:
			p.floor = max(p.floor, at)
		}
	}
	return nil
}

func (p *naivePrewrite) assert(k *naiveKey, mu *kvrpcpb.Mutation, i int) *kvrpcpb.KeyError {
	if mu.Assertion == kvrpcpb.Assertion_None || p.req.AssertionLevel == kvrpcpb.AssertionLevel_Off || p.assertion != nil {
		return nil
	}
	at, v, ok := k.newest(mvcc.TSMax, naiveVersion.data)
	if exists := ok && v.kind == mvcc.WritePut; exists == (mu.Assertion == kvrpcpb.Assertion_Exist) {
		return nil
	}
	if e := p.conflicts(k, mu, i); e != nil || p.committed > 0 {
		return e
	}
	p.assertion = &kvrpcpb.KeyError{AssertionFailed: &kvrpcpb.AssertionFailed{
		StartTs: p.req.StartVersion, Key: mu.Key, Assertion: mu.Assertion, ExistingStartTs: v.start, ExistingCommitTs: at,
	}}
	return nil
}

func (p *naivePrewrite) write() *kvrpcpb.PrewriteResponse {
	req := p.req
	onePC := req.TryOnePc && !p.async && !p.plain
	async := req.UseAsyncCommit && !p.plain
	pending := slices.ContainsFunc(req.Mutations, func(mu *kvrpcpb.Mutation) bool {
		return !p.held[string(mu.Key)] && mu.Op != kvrpcpb.Op_CheckNotExists
	})
	if async && !onePC && !pending {
		return &kvrpcpb.PrewriteResponse{MinCommitTs: p.heldMin}
	}
	ts := max(p.maxTS, req.StartVersion, req.ForUpdateTs, p.floor, max(req.MinCommitTs, p.heldMin, 1)-1) + 1
	if req.MaxCommitTs != 0 && ts > req.MaxCommitTs {
		onePC, async = false, false
	}
	for _, mu := range req.Mutations {
		if p.held[string(mu.Key)] || mu.Op == kvrpcpb.Op_CheckNotExists {
			continue
		}
		k := p.at(mu.Key)
		if onePC {
			kind, _ := lockType(mu.Op).WriteType()
			v := naiveVersion{kind: kind, start: req.StartVersion}
			if kind == mvcc.WritePut {
				v.value = append([]byte{}, mu.Value...)
			}
			k.lock, k.versions[ts] = nil, v
			continue
		}
		k.lock = p.newLock(mu, k.lock, async, ts)
	}
	switch {
	case onePC:
		return &kvrpcpb.PrewriteResponse{OnePcCommitTs: ts}
	case async:
		return &kvrpcpb.PrewriteResponse{MinCommitTs: ts}
	}
	return &kvrpcpb.PrewriteResponse{}
}

func (p *naivePrewrite) newLock(mu *kvrpcpb.Mutation, own *mvcc.Lock, async bool, ts uint64) *mvcc.Lock {
	l := &mvcc.Lock{
		Type: lockType(mu.Op), Primary: p.req.PrimaryLock, StartTS: p.req.StartVersion, TTL: p.req.LockTtl,
		ForUpdateTS: p.req.ForUpdateTs, TxnSize: p.req.TxnSize, MinCommitTS: p.req.MinCommitTs,
	}
	if own != nil {
		l.TTL, l.ForUpdateTS = max(l.TTL, own.TTL), max(l.ForUpdateTS, own.ForUpdateTS)
		l.MinCommitTS = max(l.MinCommitTS, own.MinCommitTS)
	}
	if async {
		l.AsyncCommit, l.MinCommitTS = true, ts
		if bytes.Equal(mu.Key, p.req.PrimaryLock) {
			l.Secondaries = p.req.Secondaries
		}
	}
	if l.Type == mvcc.LockPut {
		l.ShortValue = append([]byte{}, mu.Value...)
	}
	return l
}

func (n *naive) commitKey(key []byte, start, commit uint64) *kvrpcpb.KeyError {
	k := n.at(key)
	if l := k.lock; l != nil && l.StartTS == start {
		if commit < l.MinCommitTS {
			return &kvrpcpb.KeyError{CommitTsExpired: &kvrpcpb.CommitTsExpired{
				StartTs: start, AttemptedCommitTs: commit, Key: key, MinCommitTs: l.MinCommitTS,
			}}
		}
		if kind, ok := l.Type.WriteType(); ok {
			k.versions[commit] = naiveVersion{
				kind: kind, start: start, value: l.ShortValue, overlapped: slices.Contains(l.RollbackTS, commit),
			}
		}
		k.lock = nil
		return nil
	}
	if committed, _ := k.fate(start); committed == 0 {
		return &kvrpcpb.KeyError{TxnLockNotFound: &kvrpcpb.TxnLockNotFound{Key: key}}
	}
	return nil
}

func (n *naive) Commit(req *kvrpcpb.CommitRequest) *kvrpcpb.CommitResponse {
	if req.CommitVersion <= req.StartVersion {
		return &kvrpcpb.CommitResponse{Error: abort()}
	}
	e := n.atomically(func() *kvrpcpb.KeyError {
		for _, key := range sortedKeys(req.Keys) {
			if e := n.commitKey(key, req.StartVersion, req.CommitVersion); e != nil {
				return e
			}
		}
		return nil
	})
	if e != nil {
		return &kvrpcpb.CommitResponse{Error: e}
	}
	return &kvrpcpb.CommitResponse{CommitVersion: req.CommitVersion}
}

// rollbackKey rolls back one key or returns the timestamp at which it is committed.
func (n *naive) rollbackKey(key []byte, start uint64, protected bool) (commit uint64) {
	k := n.at(key)
	holder := k.lock
	if holder != nil && holder.StartTS == start {
		protected = protected || bytes.Equal(holder.Primary, key)
		k.lock, holder = nil, nil
	}
	if commit, rolledBack := k.fate(start); commit > 0 || rolledBack {
		return commit
	}
	n.mark(k, start, protected, holder)
	return 0
}

// mark leaves the trace of a rollback.
func (n *naive) mark(k *naiveKey, start uint64, protected bool, holder *mvcc.Lock) {
	n.read(start)
	if holder != nil && holder.AsyncCommit && holder.MinCommitTS <= start && !slices.Contains(holder.RollbackTS, start) {
		holder.RollbackTS = append(holder.RollbackTS, start)
	}
	if v, taken := k.versions[start]; taken {
		v.overlapped = true
		k.versions[start] = v
		return
	}
	if at, v, ok := k.newest(start, anyVersion); ok && !protected && v.kind == mvcc.WriteRollback && !v.protected {
		delete(k.versions, at)
	}
	k.versions[start] = naiveVersion{kind: mvcc.WriteRollback, start: start, protected: protected}
}

func (n *naive) BatchRollback(req *kvrpcpb.BatchRollbackRequest) *kvrpcpb.BatchRollbackResponse {
	return &kvrpcpb.BatchRollbackResponse{Error: n.atomically(func() *kvrpcpb.KeyError {
		for _, key := range sortedKeys(req.Keys) {
			if n.rollbackKey(key, req.StartVersion, false) > 0 {
				return abort()
			}
		}
		return nil
	})}
}

func (n *naive) Cleanup(req *kvrpcpb.CleanupRequest) *kvrpcpb.CleanupResponse {
	if l := n.at(req.Key).lock; l != nil && l.StartTS == req.StartVersion && req.CurrentTs > 0 && !expired(l, req.CurrentTs) {
		return &kvrpcpb.CleanupResponse{Error: locked(req.Key, l)}
	}
	return &kvrpcpb.CleanupResponse{CommitVersion: n.rollbackKey(req.Key, req.StartVersion, true)}
}

func (n *naive) TxnHeartBeat(req *kvrpcpb.TxnHeartBeatRequest) *kvrpcpb.TxnHeartBeatResponse {
	l := n.at(req.PrimaryLock).lock
	if l == nil || l.StartTS != req.StartVersion {
		return &kvrpcpb.TxnHeartBeatResponse{Error: txnNotFound(req.StartVersion, req.PrimaryLock)}
	}
	l.TTL = max(l.TTL, req.AdviseLockTtl)
	return &kvrpcpb.TxnHeartBeatResponse{LockTtl: l.TTL}
}

func txnNotFound(start uint64, primary []byte) *kvrpcpb.KeyError {
	return &kvrpcpb.KeyError{TxnNotFound: &kvrpcpb.TxnNotFound{StartTs: start, PrimaryKey: primary}}
}

func (n *naive) CheckTxnStatus(req *kvrpcpb.CheckTxnStatusRequest) *kvrpcpb.CheckTxnStatusResponse {
	n.read(req.LockTs)
	n.read(req.CallerStartTs)
	n.read(req.CurrentTs)
	k := n.at(req.PrimaryKey)
	l := k.lock
	switch commit, rolledBack := k.fate(req.LockTs); {
	case l == nil || l.StartTS != req.LockTs:
		return n.missing(req, k, l)
	case req.VerifyIsPrimary && !bytes.Equal(l.Primary, req.PrimaryKey):
		if l.Type != mvcc.LockPessimistic || req.ResolvingPessimisticLock {
			return &kvrpcpb.CheckTxnStatusResponse{Error: &kvrpcpb.KeyError{
				PrimaryMismatch: &kvrpcpb.PrimaryMismatch{LockInfo: l.Info(req.PrimaryKey)},
			}}
		}
		resp := n.missing(req, k, nil)
		if resp.Error == nil {
			k.lock = nil
		}
		return resp
	case l.Type == mvcc.LockPessimistic && l.LockedWithConflict && (commit > 0 || rolledBack):
		k.lock = nil
		return &kvrpcpb.CheckTxnStatusResponse{CommitVersion: commit}
	case l.AsyncCommit && !req.ForceSyncCommit:
		return alive(req, l, kvrpcpb.Action_NoAction)
	case expired(l, req.CurrentTs) && l.Type == mvcc.LockPessimistic && req.ResolvingPessimisticLock:
		k.lock = nil
		return &kvrpcpb.CheckTxnStatusResponse{Action: kvrpcpb.Action_TTLExpirePessimisticRollback}
	case expired(l, req.CurrentTs):
		n.rollbackKey(req.PrimaryKey, req.LockTs, true)
		return &kvrpcpb.CheckTxnStatusResponse{Action: kvrpcpb.Action_TTLExpireRollback}
	}
	caller := req.CallerStartTs
	if l.MinCommitTS != 0 && caller != mvcc.TSMax && caller >= l.MinCommitTS {
		l.MinCommitTS = max(caller+1, req.CurrentTs)
	}
	if caller == mvcc.TSMax || caller > 0 && l.MinCommitTS > caller {
		return alive(req, l, kvrpcpb.Action_MinCommitTSPushed)
	}
	return alive(req, l, kvrpcpb.Action_NoAction)
}

func alive(req *kvrpcpb.CheckTxnStatusRequest, l *mvcc.Lock, a kvrpcpb.Action) *kvrpcpb.CheckTxnStatusResponse {
	info := l.Info(req.PrimaryKey)
	return &kvrpcpb.CheckTxnStatusResponse{LockTtl: info.LockTtl, LockInfo: info, Action: a}
}

func (n *naive) missing(req *kvrpcpb.CheckTxnStatusRequest, k *naiveKey, holder *mvcc.Lock) *kvrpcpb.CheckTxnStatusResponse {
	switch commit, rolledBack := k.fate(req.LockTs); {
	case commit > 0:
		return &kvrpcpb.CheckTxnStatusResponse{CommitVersion: commit}
	case rolledBack:
		return &kvrpcpb.CheckTxnStatusResponse{}
	case !req.RollbackIfNotExist:
		return &kvrpcpb.CheckTxnStatusResponse{Error: txnNotFound(req.LockTs, req.PrimaryKey)}
	case req.ResolvingPessimisticLock:
		return &kvrpcpb.CheckTxnStatusResponse{Action: kvrpcpb.Action_LockNotExistDoNothing}
	}
	n.mark(k, req.LockTs, true, holder)
	return &kvrpcpb.CheckTxnStatusResponse{Action: kvrpcpb.Action_LockNotExistRollback}
}

func (n *naive) CheckSecondaryLocks(req *kvrpcpb.CheckSecondaryLocksRequest) *kvrpcpb.CheckSecondaryLocksResponse {
	n.read(req.StartVersion)
	resp := &kvrpcpb.CheckSecondaryLocksResponse{}
	for _, key := range sortedKeys(req.Keys) {
		if l := n.at(key).lock; l != nil && l.StartTS == req.StartVersion && l.Type != mvcc.LockPessimistic {
			resp.Locks = append(resp.Locks, l.Info(key))
			continue
		}
		return &kvrpcpb.CheckSecondaryLocksResponse{CommitTs: n.rollbackKey(key, req.StartVersion, true)}
	}
	return resp
}

func (n *naive) ResolveLock(req *kvrpcpb.ResolveLockRequest) *kvrpcpb.ResolveLockResponse {
	decided := map[uint64]uint64{req.StartVersion: req.CommitVersion}
	if len(req.TxnInfos) > 0 {
		clear(decided)
		for _, t := range req.TxnInfos {
			decided[t.Txn] = t.Status
		}
	}
	for start, commit := range decided {
		if commit > 0 && commit <= start {
			return &kvrpcpb.ResolveLockResponse{Error: abort()}
		}
	}
	keys := sortedKeys(req.Keys)
	if len(keys) == 0 {
		keys = n.lockedKeys(func(l *mvcc.Lock) bool { _, ok := decided[l.StartTS]; return ok })
	}
	return &kvrpcpb.ResolveLockResponse{Error: n.atomically(func() *kvrpcpb.KeyError {
		for _, key := range keys {
			start := req.StartVersion
			if len(req.Keys) == 0 {
				start = n.at(key).lock.StartTS
			}
			if commit := decided[start]; commit > 0 {
				if e := n.commitKey(key, start, commit); e != nil {
					return e
				}
			} else if n.rollbackKey(key, start, false) > 0 {
				return abort()
			}
		}
		return nil
	})}
}

func (n *naive) lockedKeys(want func(*mvcc.Lock) bool) (keys [][]byte) {
	for key, k := range n.keys {
		if k.lock != nil && want(k.lock) {
			keys = append(keys, []byte(key))
		}
	}
	return sortedKeys(keys)
}

func (n *naive) ScanLock(req *kvrpcpb.ScanLockRequest) *kvrpcpb.ScanLockResponse {
	n.read(req.MaxVersion)
	resp := &kvrpcpb.ScanLockResponse{}
	for _, key := range n.lockedKeys(func(l *mvcc.Lock) bool { return l.StartTS <= req.MaxVersion }) {
		if inRange(key, req.StartKey, req.EndKey) && (req.Limit == 0 || len(resp.Locks) < int(req.Limit)) {
			resp.Locks = append(resp.Locks, n.at(key).lock.Info(key))
		}
	}
	return resp
}

func inRange(key, start, end []byte) bool {
	return bytes.Compare(key, start) >= 0 && (len(end) == 0 || bytes.Compare(key, end) < 0)
}

func (n *naive) PessimisticLock(req *kvrpcpb.PessimisticLockRequest) *kvrpcpb.PessimisticLockResponse {
	force := req.WakeUpMode == kvrpcpb.PessimisticLockWakeUpMode_WakeUpModeForceLock
	resp := &kvrpcpb.PessimisticLockResponse{}
	e := n.atomically(func() *kvrpcpb.KeyError {
		if req.LockOnlyIfExists && !req.ReturnValues || force && len(req.Mutations) > 1 {
			return abort()
		}
		n.read(req.ForUpdateTs)
		for _, mu := range req.Mutations {
			value, exists, conflictTS, e := n.pessimisticLock(req, mu, force)
			if e != nil {
				return e
			}
			if force {
				r := &kvrpcpb.PessimisticLockKeyResult{Value: value, Existence: exists, LockedWithConflictTs: conflictTS}
				if conflictTS > 0 {
					r.Type = kvrpcpb.PessimisticLockKeyResultType_LockResultLockedWithConflict
				}
				resp.Results = append(resp.Results, r)
				continue
			}
			if req.ReturnValues {
				resp.Values = append(resp.Values, value)
			}
			if req.ReturnValues || req.CheckExistence {
				resp.NotFounds = append(resp.NotFounds, !exists)
			}
		}
		return nil
	})
	if e != nil {
		resp = &kvrpcpb.PessimisticLockResponse{Errors: []*kvrpcpb.KeyError{e}}
		for range req.Mutations {
			if force {
				resp.Results = append(resp.Results, &kvrpcpb.PessimisticLockKeyResult{Type: kvrpcpb.PessimisticLockKeyResultType_LockResultFailed})
			}
		}
	}
	return resp
}

func (n *naive) pessimisticLock(req *kvrpcpb.PessimisticLockRequest, mu *kvrpcpb.Mutation, force bool) (value []byte, exists bool, conflictTS uint64, e *kvrpcpb.KeyError) {
	k := n.at(mu.Key)
	held := k.lock
	retry := func(at uint64, v naiveVersion) *kvrpcpb.KeyError {
		return conflict(req.StartVersion, mu.Key, req.PrimaryLock, at, v, kvrpcpb.WriteConflict_PessimisticRetry)
	}
	var behind *kvrpcpb.KeyError // a version that the transaction has not seen
	switch {
	case held != nil && held.StartTS != req.StartVersion:
		return nil, false, 0, locked(mu.Key, held)
	case held != nil && held.Type != mvcc.LockPessimistic:
		return nil, false, 0, abort()
	case held != nil && force && held.ForUpdateTS > req.ForUpdateTs:
		conflictTS = held.ForUpdateTS
	case held == nil:
		at, v, ok := k.newest(mvcc.TSMax, func(v naiveVersion) bool { return v.kind != mvcc.WriteRollback })
		if ok && at > req.ForUpdateTs {
			if behind = retry(at, v); !force {
				return nil, false, 0, behind
			}
			conflictTS = at
		}
		if v, ok := k.versions[req.StartVersion]; ok && (v.kind == mvcc.WriteRollback || v.overlapped) {
			return nil, false, 0, abort()
		}
	}
	if at, v, ok := k.newest(max(req.ForUpdateTs, conflictTS), naiveVersion.data); ok && v.kind == mvcc.WritePut {
		exists, value = true, v.value
		if at > req.ForUpdateTs {
			behind = retry(at, v)
		}
	}
	if mu.Assertion == kvrpcpb.Assertion_NotExist && exists {
		if behind != nil {
			return nil, false, 0, behind
		}
		return nil, false, 0, &kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: mu.Key}}
	}
	if !req.LockOnlyIfExists || exists || held != nil {
		n.takePessimistic(k, req, conflictTS)
	} else if behind != nil {
		return nil, false, 0, behind
	}
	if !req.ReturnValues && conflictTS == 0 {
		value, exists = nil, exists && (req.CheckExistence || mu.Assertion == kvrpcpb.Assertion_NotExist)
	}
	return value, exists, conflictTS, nil
}

func (n *naive) takePessimistic(k *naiveKey, req *kvrpcpb.PessimisticLockRequest, conflictTS uint64) {
	l := &mvcc.Lock{
		Type: mvcc.LockPessimistic, Primary: req.PrimaryLock, StartTS: req.StartVersion, TTL: req.LockTtl,
		ForUpdateTS: max(req.ForUpdateTs, conflictTS), MinCommitTS: req.MinCommitTs, LockedWithConflict: conflictTS > 0,
	}
	if held := k.lock; held != nil {
		if held.ForUpdateTS >= l.ForUpdateTS && held.TTL >= l.TTL {
			return
		}
		l.TTL, l.ForUpdateTS = max(l.TTL, held.TTL), max(l.ForUpdateTS, held.ForUpdateTS)
		l.MinCommitTS, l.LockedWithConflict = max(l.MinCommitTS, held.MinCommitTS), held.LockedWithConflict
	}
	k.lock = l
}

func (n *naive) PessimisticRollback(req *kvrpcpb.PessimisticRollbackRequest) *kvrpcpb.PessimisticRollbackResponse {
	for key, k := range n.keys {
		asked := len(req.Keys) == 0 || slices.ContainsFunc(req.Keys, func(k []byte) bool { return string(k) == key })
		if l := k.lock; asked && l != nil && l.Type == mvcc.LockPessimistic && l.StartTS == req.StartVersion && l.ForUpdateTS <= req.ForUpdateTs {
			k.lock = nil
		}
	}
	return &kvrpcpb.PessimisticRollbackResponse{}
}

// get reads one key as a request's context asks. Scans backward name the first newer version instead of the last.
func (n *naive) get(pb *kvrpcpb.Context, key []byte, ts uint64, backward bool) (value []byte, commitTS uint64, e *kvrpcpb.KeyError) {
	n.read(ts)
	k := n.at(key)
	l := k.lock
	changes := l != nil && (l.Type == mvcc.LockPut || l.Type == mvcc.LockDelete)
	bypassed := l != nil && slices.Contains(pb.ResolvedLocks, l.StartTS)
	switch {
	case !changes || bypassed || pb.IsolationLevel == kvrpcpb.IsolationLevel_RC:
	case pb.IsolationLevel == kvrpcpb.IsolationLevel_RCCheckTS:
		return nil, 0, rcConflict(ts, key, l.Primary, 0, l.StartTS)
	case l.StartTS > ts || l.MinCommitTS > ts:
	case slices.Contains(pb.CommittedLocks, l.StartTS):
		return l.ShortValue, 0, nil
	case ts == mvcc.TSMax && !l.AsyncCommit && bytes.Equal(l.Primary, key):
	default:
		return nil, 0, locked(key, l)
	}
	if pb.IsolationLevel == kvrpcpb.IsolationLevel_RCCheckTS {
		order := k.order()
		if backward {
			slices.Reverse(order)
		}
		for _, at := range order {
			if v := k.versions[at]; at > ts && v.data() {
				return nil, 0, rcConflict(ts, key, nil, at, v.start)
			}
		}
	}
	at, v, ok := k.newest(ts, naiveVersion.data)
	if !ok || v.kind == mvcc.WriteDelete {
		return nil, 0, nil
	}
	return v.value, at, nil
}

func rcConflict(ts uint64, key, primary []byte, at, start uint64) *kvrpcpb.KeyError {
	return conflict(ts, key, primary, at, naiveVersion{start: start}, kvrpcpb.WriteConflict_RcCheckTs)
}

func (n *naive) Get(req *kvrpcpb.GetRequest) *kvrpcpb.GetResponse {
	resp := &kvrpcpb.GetResponse{}
	resp.Value, resp.CommitTs, resp.Error = n.get(req.Context, req.Key, req.Version, false)
	resp.NotFound = resp.Value == nil && resp.Error == nil
	return resp
}

func (n *naive) BatchGet(req *kvrpcpb.BatchGetRequest) *kvrpcpb.BatchGetResponse {
	resp := &kvrpcpb.BatchGetResponse{}
	for _, key := range req.Keys {
		value, ts, e := n.get(req.Context, key, req.Version, false)
		if value != nil || e != nil {
			resp.Pairs = append(resp.Pairs, &kvrpcpb.KvPair{Key: key, Value: value, Error: e, CommitTs: ts})
		}
	}
	return resp
}

func (n *naive) Scan(req *kvrpcpb.ScanRequest) *kvrpcpb.ScanResponse {
	n.read(req.Version)
	start, end := req.StartKey, req.EndKey
	if req.Reverse {
		start, end = end, start
	}
	pb := *req.Context
	if req.SampleStep > 0 {
		pb.IsolationLevel = kvrpcpb.IsolationLevel_RC
	}
	var keys [][]byte
	for key := range n.keys {
		if inRange([]byte(key), start, end) {
			keys = append(keys, []byte(key))
		}
	}
	keys = sortedKeys(keys)
	if req.Reverse {
		slices.Reverse(keys)
	}
	resp := &kvrpcpb.ScanResponse{}
	seen := 0
	for _, key := range keys {
		value, _, e := n.get(&pb, key, req.Version, req.Reverse)
		if value == nil && e == nil {
			continue
		}
		if req.KeyOnly {
			value = nil
		}
		if (req.SampleStep == 0 || seen%int(req.SampleStep) == 0) && len(resp.Pairs) < int(req.Limit) {
			resp.Pairs = append(resp.Pairs, &kvrpcpb.KvPair{Key: key, Value: value, Error: e})
		}
		seen++
	}
	return resp
}

// dump prints what is stored of a key.
func (n *naive) dump(key []byte) string {
	k := n.at(key)
	out := ""
	if l := k.lock; l != nil {
		out += fmt.Sprintf("lock %v rollbacks=%d value=%s\n", l.Info(key), l.RollbackTS, short(l.ShortValue))
	}
	for _, at := range k.order() {
		v := k.versions[at]
		out += fmt.Sprintf("@%d %c start=%d overlapped=%v protected=%v %s\n", at, v.kind, v.start, v.overlapped, v.protected, short(v.value))
	}
	return out
}
