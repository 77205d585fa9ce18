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
		protected = protected || bytes.Equal(holder.Primary, key) || holder.Generation > 0
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
