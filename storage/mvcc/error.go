package mvcc

import (
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// LockedError says that a transaction's lock is in the way. The client resolves it and tries again.
type LockedError struct{ Info *kvrpcpb.LockInfo }

func (e *LockedError) Error() string {
	return fmt.Sprintf("key %x is locked by transaction %d", e.Info.Key, e.Info.LockVersion)
}

// ConflictError says that a key was written after a transaction began, or that the transaction is rolled back already.
type ConflictError struct{ Pb *kvrpcpb.WriteConflict }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("write conflict of transaction %d on key %x: transaction %d committed at %d (%s)",
		e.Pb.StartTs, e.Pb.Key, e.Pb.ConflictTs, e.Pb.ConflictCommitTs, e.Pb.Reason)
}

// ExistsError says that a key to insert is there already.
type ExistsError struct{ Key []byte }

func (e *ExistsError) Error() string { return fmt.Sprintf("key %x already exists", e.Key) }

// CommitTSExpiredError says that a reader has pushed the transaction's commit above the attempted timestamp.
type CommitTSExpiredError struct{ Pb *kvrpcpb.CommitTsExpired }

func (e *CommitTSExpiredError) Error() string {
	return fmt.Sprintf("commit_ts %d of transaction %d lies below %d", e.Pb.AttemptedCommitTs, e.Pb.StartTs, e.Pb.MinCommitTs)
}

// TxnNotFoundError says that a transaction left no trace on its primary key.
type TxnNotFoundError struct {
	StartTS uint64
	Primary []byte
}

func (e *TxnNotFoundError) Error() string {
	return fmt.Sprintf("transaction %d not found on key %x", e.StartTS, e.Primary)
}

// LockNotFoundError says that a key to commit is neither locked by the transaction nor committed.
type LockNotFoundError struct {
	StartTS uint64
	Key     []byte
}

func (e *LockNotFoundError) Error() string {
	return fmt.Sprintf("lock of transaction %d on key %x not found", e.StartTS, e.Key)
}

// AssertionError says that a key does, or does not, exist against the client's word.
type AssertionError struct{ Pb *kvrpcpb.AssertionFailed }

func (e *AssertionError) Error() string {
	return fmt.Sprintf("assertion %s of transaction %d failed on key %x", e.Pb.Assertion, e.Pb.StartTs, e.Pb.Key)
}

// PrimaryMismatchError says that a lock on a supposed primary key names another primary.
type PrimaryMismatchError struct{ Info *kvrpcpb.LockInfo }

func (e *PrimaryMismatchError) Error() string {
	return fmt.Sprintf("key %x is not the primary of transaction %d", e.Info.Key, e.Info.LockVersion)
}

// DeadlockError says that waiting for a lock would close a circle.
type DeadlockError struct{ Pb *kvrpcpb.Deadlock }

func (e *DeadlockError) Error() string {
	return fmt.Sprintf("deadlock: key %x is locked by transaction %d, which waits for this one", e.Pb.LockKey, e.Pb.LockTs)
}

// CollectedError says that a read, or the check of a new lock, asks for versions that garbage collection may have taken.
type CollectedError struct{ TS, SafePoint uint64 }

// The text begins as clients know it from TiDB; it has no form of its own in the protocol, so that is what they look for.
func (e *CollectedError) Error() string {
	return fmt.Sprintf("GC life time is shorter than transaction duration, transaction starts at %d, GC safe point is %d",
		e.TS, e.SafePoint)
}

// AbortError is any other reason for which a transaction cannot go on.
type AbortError struct{ Reason string }

func (e *AbortError) Error() string { return e.Reason }

// KeyError returns the protocol's form of an error of this package found in the tree of err; ok is false for others.
func KeyError(err error) (pb *kvrpcpb.KeyError, ok bool) {
	if err == nil {
		return nil, false
	}
	if pb := keyError(err); pb != nil {
		return pb, true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return KeyError(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if pb, ok := KeyError(err); ok {
				return pb, true
			}
		}
	}
	return nil, false
}

// keyError fills what clients of all ages look at: some only know retryable.
func keyError(err error) *kvrpcpb.KeyError {
	switch e := err.(type) {
	case *LockedError:
		return &kvrpcpb.KeyError{Locked: e.Info}
	case *ConflictError:
		return &kvrpcpb.KeyError{Conflict: e.Pb, Retryable: e.Error()}
	case *ExistsError:
		return &kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: e.Key}}
	case *CommitTSExpiredError:
		return &kvrpcpb.KeyError{CommitTsExpired: e.Pb}
	case *TxnNotFoundError:
		return &kvrpcpb.KeyError{TxnNotFound: &kvrpcpb.TxnNotFound{StartTs: e.StartTS, PrimaryKey: e.Primary}}
	case *LockNotFoundError:
		return &kvrpcpb.KeyError{TxnLockNotFound: &kvrpcpb.TxnLockNotFound{Key: e.Key}, Retryable: e.Error()}
	case *AssertionError:
		return &kvrpcpb.KeyError{AssertionFailed: e.Pb}
	case *PrimaryMismatchError:
		return &kvrpcpb.KeyError{PrimaryMismatch: &kvrpcpb.PrimaryMismatch{LockInfo: e.Info}}
	case *DeadlockError:
		return &kvrpcpb.KeyError{Deadlock: e.Pb}
	case *CollectedError:
		return &kvrpcpb.KeyError{Abort: e.Error()}
	case *AbortError:
		return &kvrpcpb.KeyError{Abort: e.Reason}
	}
	return nil
}
