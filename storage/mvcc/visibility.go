package mvcc

import (
	"bytes"
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// ReadOptions say what a reader sees.
type ReadOptions struct {
	TS        uint64 // versions committed at or below it; TSMax: the latest
	Isolation kvrpcpb.IsolationLevel
	// BypassLocks are start timestamps of transactions whose locks do not matter: rolled back, or committed above TS.
	BypassLocks []uint64
	// AccessLocks are start timestamps of transactions committed at or below TS: their locks are read as committed.
	AccessLocks []uint64
	// Known, if not nil, tells what the store has heard of a large transaction: it may spare the reader the way to the
	// transaction's primary key.
	Known       func(startTS uint64) (s TxnState, ok bool)
	Desc        bool // scan backward
	KeyOnly     bool // values are returned nil
	NoFillCache bool
	// ReplicaRead: not at the leader, where the latest version needs more care.
	ReplicaRead bool
}

// TxnState is what can be known of a transaction without a look at its primary key.
type TxnState struct {
	MinCommitTS uint64 // if it commits, then at or above this
	CommitTS    uint64 // 0: not committed, as far as is known
	RolledBack  bool
}

// verdict is what a lock means for a reader.
type verdict byte

const (
	lockIgnored  verdict = iota
	lockBlocks           // the outcome of its transaction must be known first
	lockAccessed         // its value is the visible one
)

// judge applies the rules of snapshot isolation. A lock is ignored where its transaction cannot commit at or below TS, or
// changes nothing. The latest version of a transaction's primary key may be read under its lock, as the transaction is
// not committed yet at this moment, unless its commit is decided elsewhere (async commit) or in flight (1PC).
func (o *ReadOptions) judge(l *Lock, userKey []byte) verdict {
	if l.StartTS > o.TS || l.Type == LockLock || l.Type == LockPessimistic || l.MinCommitTS > o.TS {
		return lockIgnored
	}
	if slices.Contains(o.BypassLocks, l.StartTS) {
		return lockIgnored
	}
	if slices.Contains(o.AccessLocks, l.StartTS) {
		return lockAccessed
	}
	if o.TS == TSMax && !o.ReplicaRead && !l.AsyncCommit && !l.OnePC && bytes.Equal(l.Primary, userKey) {
		return lockIgnored
	}
	return o.judgeKnown(l)
}

// judgeKnown judges a lock that is in the way by what is known of its transaction. Only flushed locks are asked for:
// clients tell of no other transactions.
func (o *ReadOptions) judgeKnown(l *Lock) verdict {
	if l.Generation == 0 || o.Known == nil {
		return lockBlocks
	}
	switch s, _ := o.Known(l.StartTS); {
	case s.RolledBack, s.CommitTS > o.TS, s.MinCommitTS > o.TS:
		return lockIgnored
	case s.CommitTS > 0:
		return lockAccessed
	default:
		return lockBlocks
	}
}

// Check applies the options to the lock of userKey: nil, *LockedError, or *ConflictError for RC-check-ts. What
// AccessLocks names passes.
func (o *ReadOptions) Check(l *Lock, userKey []byte) error {
	_, err := o.check(l, userKey)
	return err
}

func (o *ReadOptions) check(l *Lock, userKey []byte) (accessed bool, err error) {
	switch o.Isolation {
	case kvrpcpb.IsolationLevel_RC:
		return false, nil
	case kvrpcpb.IsolationLevel_RCCheckTS:
		return false, o.checkRC(l, userKey)
	}
	switch o.judge(l, userKey) {
	case lockBlocks:
		return false, &LockedError{l.Info(userKey)}
	case lockAccessed:
		return true, nil
	default:
		return false, nil
	}
}

// checkRC: a reader that chose its timestamp optimistically must start over if anything may be newer.
func (o *ReadOptions) checkRC(l *Lock, userKey []byte) error {
	if l.Type == LockLock || l.Type == LockPessimistic || slices.Contains(o.BypassLocks, l.StartTS) {
		return nil
	}
	return &ConflictError{&kvrpcpb.WriteConflict{
		StartTs: o.TS, ConflictTs: l.StartTS, Key: clone(userKey), Primary: clone(l.Primary),
		Reason: kvrpcpb.WriteConflict_RcCheckTs,
	}}
}

// checksNewer tells whether versions above TS are an error.
func (o *ReadOptions) checksNewer() bool { return o.Isolation == kvrpcpb.IsolationLevel_RCCheckTS }

// newer judges a version above TS where checksNewer.
func (o *ReadOptions) newer(w *Write, commitTS uint64, userKey []byte) error {
	if !w.ChangesData() {
		return nil
	}
	return &ConflictError{&kvrpcpb.WriteConflict{
		StartTs: o.TS, ConflictTs: w.StartTS, ConflictCommitTs: commitTS, Key: clone(userKey),
		Reason: kvrpcpb.WriteConflict_RcCheckTs,
	}}
}
