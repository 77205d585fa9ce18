package kvclient

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// WriteConflictError says that another transaction committed a key of this one after it started. Running the
// transaction again may succeed.
type WriteConflictError struct{ Conflict *kvrpcpb.WriteConflict }

func (e *WriteConflictError) Error() string {
	c := e.Conflict
	return fmt.Sprintf("Write conflict, txnStartTS=%d, conflictStartTS=%d, conflictCommitTS=%d, key=%x, reason=%s [try again later]",
		c.GetStartTs(), c.GetConflictTs(), c.GetConflictCommitTs(), c.GetKey(), c.GetReason())
}

// KeyExistsError says that a key given to Insert exists.
type KeyExistsError struct{ Key []byte }

func (e *KeyExistsError) Error() string { return fmt.Sprintf("key %x exists", e.Key) }

// UndeterminedError says that the commit point was sent and its outcome is not known: the transaction may or may not be
// committed.
type UndeterminedError struct{ Cause error }

func (e *UndeterminedError) Error() string {
	return "the outcome of the transaction is not known: " + e.Cause.Error()
}

func (e *UndeterminedError) Unwrap() error { return e.Cause }

// TxnTooLargeError says that the buffer would exceed Options.TxnBytesMax.
type TxnTooLargeError struct{ Bytes, Max int }

func (e *TxnTooLargeError) Error() string {
	return fmt.Sprintf("transaction is too large: %d bytes, at most %d", e.Bytes, e.Max)
}

// RegionUnavailableError says that no replica of a region could be used before the back-off budget was spent.
type RegionUnavailableError struct {
	Key   []byte
	Cause error
}

func (e *RegionUnavailableError) Error() string {
	return fmt.Sprintf("region of key %x is unavailable: %v", e.Key, e.Cause)
}

func (e *RegionUnavailableError) Unwrap() error { return e.Cause }

// LockTimeoutError says that another transaction's lock did not go away before the back-off budget was spent.
type LockTimeoutError struct{ Lock *kvrpcpb.LockInfo }

func (e *LockTimeoutError) Error() string {
	return fmt.Sprintf("key %x is locked by transaction %d and was not released in time", e.Lock.GetKey(), e.Lock.GetLockVersion())
}

// DeadlockError says that a lock was not waited for, because its holder waits, directly or through others, for this
// transaction. The transaction should be rolled back, so that the others can go on.
type DeadlockError struct{ Deadlock *kvrpcpb.Deadlock }

func (e *DeadlockError) Error() string {
	return fmt.Sprintf("deadlock: key %x is locked by transaction %d, which waits for this one", e.Deadlock.GetLockKey(), e.Deadlock.GetLockTs())
}

// ErrLockNoWait says that another transaction holds a lock, and Lock was told not to wait.
var ErrLockNoWait = errors.New("the lock could not be acquired immediately")

// lockHeldError is ErrLockNoWait with the key.
type lockHeldError struct{ key []byte }

func (e *lockHeldError) Error() string { return fmt.Sprintf("key %x: %v", e.key, ErrLockNoWait) }
func (e *lockHeldError) Unwrap() error { return ErrLockNoWait }

// GCTooEarlyError says that a read is too old, or the transaction that writes: garbage collection may have taken what it would
// have seen.
type GCTooEarlyError struct{ Message string }

func (e *GCTooEarlyError) Error() string { return e.Message }

// gcTooEarly is how stores begin to tell of it. The protocol has no form of its own for this.
const gcTooEarly = "GC life time is shorter than transaction duration"

// textError turns an error that is nothing but text into a typed one where its text is known.
func textError(message, context string) error {
	if strings.HasPrefix(message, gcTooEarly) {
		return &GCTooEarlyError{message}
	}
	return errors.New(context + message)
}

// ErrFenced says that the transaction came too late for its fence. Nothing is written.
var ErrFenced = errors.New("the transaction would commit later than it may")

// ErrRolledBack says that the transaction was rolled back by another, which found its locks expired.
var ErrRolledBack = errors.New("the transaction was rolled back by another because its locks had expired; try again")

// ErrEmptyValue is returned for a Set with an empty value, which the store could not tell from a deleted key.
var ErrEmptyValue = errors.New("empty values are not allowed")

// errClosed ends background work.
var errClosed = errors.New("the client is closed")

// keyError turns a store's KeyError, other than a lock, into a typed error.
func keyError(e *kvrpcpb.KeyError) error {
	switch {
	case e.GetConflict() != nil:
		return &WriteConflictError{Conflict: e.Conflict}
	case e.GetAlreadyExist() != nil:
		return &KeyExistsError{Key: e.AlreadyExist.Key}
	case e.GetTxnLockNotFound() != nil, e.GetTxnNotFound() != nil:
		return ErrRolledBack
	case e.GetAssertionFailed() != nil:
		return fmt.Errorf("assertion failed on key %x: %s", e.AssertionFailed.Key, e.AssertionFailed.Assertion)
	case e.GetDeadlock() != nil:
		return &DeadlockError{Deadlock: e.Deadlock}
	case strings.HasPrefix(e.GetAbort(), "PessimisticLock"):
		return fmt.Errorf("%w (%s)", ErrRolledBack, e.Abort) // the lock, or the whole transaction, is gone
	case e.GetAbort() != "":
		return textError(e.Abort, "transaction aborted: ")
	case e.GetRetryable() != "":
		return fmt.Errorf("transaction failed, try again: %s", e.Retryable)
	default:
		return fmt.Errorf("store refused the key: %s", e.String())
	}
}
