package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// Causes with which a statement's context ends.
var (
	errKilled   = errors.New("killed")
	errTimeout  = errors.New("maximum statement execution time exceeded")
	errShutdown = errors.New("the server is shutting down")
)

var errTooManyConnections = mysql.NewErr(mysql.ErrConCount)

// Codes that TiDB's clients know and parser/mysql does not name, or names differently.
const (
	codeTxnTooLarge       = 8004
	codeUnsupportedLevel  = 8048
	codeMultiStatements   = 8130
	codeAsOf              = 8135
	codeRegionUnavailable = 9005
	codeLockTimeout       = 9004
	codeGCTooEarly        = 9006
	codeWriteConflict     = 9007
	codeUndetermined      = 9011
	codeTableDefChanged   = 1412
	codeSchemaOutOfDate   = 8028
	codeLockName          = 3057
)

func errNoSuchThread(id uint64) error {
	return sqlError(mysql.ErrNoSuchThread, "Unknown thread id: %d", id)
}

func errCode(code uint16, args ...any) error { return mysql.NewErr(code, args...) }

// sqlError makes an error with a text of its own.
func sqlError(code uint16, format string, args ...any) *mysql.SQLError {
	state, ok := mysql.MySQLState[code]
	if !ok {
		state = mysql.DefaultMySQLState
	}
	return &mysql.SQLError{Code: code, State: state, Message: fmt.Sprintf(format, args...)}
}

func errNotSupported(format string, args ...any) error {
	return sqlError(mysql.ErrNotSupportedYet, "This version of Scree doesn't yet support '%s'", fmt.Sprintf(format, args...))
}

// coded is any error type of another package that carries MySQL's code by a method.
type coded interface {
	error
	MySQLCode() uint16
}

// toSQLError gives an error the code, SQLSTATE and text that clients see. This is the one place where errors of the
// packages below become MySQL's.
func toSQLError(ctx context.Context, err error) *mysql.SQLError {
	var known *mysql.SQLError
	if errors.As(err, &known) {
		return known
	}
	if e := interrupted(ctx, err); e != nil {
		return e
	}
	var (
		plan  *planner.Error
		val   *value.Error
		other coded
		unsup *expr.UnsupportedError
	)
	switch {
	case errors.As(err, &plan):
		return sqlError(plan.Code, "%s", plan.Message)
	case errors.As(err, &val):
		return sqlError(val.Code, "%s", val.Message)
	case errors.As(err, &other):
		return sqlError(other.MySQLCode(), "%s", other.Error())
	case errors.As(err, &unsup):
		return sqlError(mysql.ErrNotSupportedYet, "This version of Scree doesn't yet support '%s'", unsup.What)
	}
	if e := storageError(err); e != nil {
		return e
	}
	return sqlError(mysql.ErrUnknown, "%s", err)
}

// interrupted explains errors that come of the statement's context having ended.
func interrupted(ctx context.Context, err error) *mysql.SQLError {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, cause) {
		return nil
	}
	switch {
	case errors.Is(cause, errTimeout):
		return sqlError(mysql.ErrMaxExecTimeExceeded, "Query execution was interrupted, maximum statement execution time exceeded")
	case errors.Is(cause, errShutdown):
		return mysql.NewErr(mysql.ErrServerShutdown)
	default:
		return mysql.NewErr(mysql.ErrQueryInterrupted)
	}
}

func storageError(err error) *mysql.SQLError {
	var (
		conflict *kvclient.WriteConflictError
		unknown  *kvclient.UndeterminedError
		large    *kvclient.TxnTooLargeError
		region   *kvclient.RegionUnavailableError
		lock     *kvclient.LockTimeoutError
		exists   *kvclient.KeyExistsError
		early    *kvclient.GCTooEarlyError
		deadlock *kvclient.DeadlockError
	)
	switch {
	case errors.As(err, &conflict):
		return sqlError(codeWriteConflict, "%s", conflict)
	case errors.As(err, &unknown):
		return sqlError(codeUndetermined, "%s", unknown)
	case errors.As(err, &large):
		return sqlError(codeTxnTooLarge, "Transaction is too large, size: %d", large.Bytes)
	case errors.As(err, &region):
		return sqlError(codeRegionUnavailable, "Region is unavailable: %s", region)
	case errors.As(err, &deadlock):
		return mysql.NewErr(mysql.ErrLockDeadlock)
	case errors.Is(err, kvclient.ErrLockNoWait):
		return mysql.NewErr(mysql.ErrLockAcquireFailAndNoWaitSet)
	case errors.As(err, &lock):
		return sqlError(codeLockTimeout, "Resolve lock timeout: %s", lock)
	case errors.As(err, &early):
		return sqlError(codeGCTooEarly, "%s", early)
	case errors.As(err, &exists):
		return sqlError(mysql.ErrDupEntry, "Duplicate entry '%s' for key", strconv.QuoteToASCII(string(exists.Key)))
	case errors.Is(err, kvclient.ErrRolledBack):
		return sqlError(codeWriteConflict, "%s", kvclient.ErrRolledBack)
	case errors.Is(err, kvclient.ErrFenced):
		return sqlError(codeSchemaOutOfDate, "Information schema is out of date: %s. [try again later]", kvclient.ErrFenced)
	default:
		return nil
	}
}

// failureLevel is how loudly the log tells of a failed statement: what the client got wrong is for those who look for it,
// what the cluster could not do is for whoever runs it.
func failureLevel(e *mysql.SQLError) slog.Level {
	switch e.Code {
	case mysql.ErrUnknown, codeRegionUnavailable, codeLockTimeout, codeUndetermined, codeGCTooEarly:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// retryable reports whether running the whole transaction again may succeed.
func retryable(err error) bool {
	var (
		locked *kvclient.LockTimeoutError
		sent   *sentError
	)
	if errors.As(err, &sent) {
		return false
	}
	return isConflict(err) || errors.As(err, &locked) || errors.Is(err, kvclient.ErrRolledBack) || isDeadlock(err) || isSchemaChange(err)
}

// isSchemaChange reports whether DDL came between the transaction's begin and its end.
func isSchemaChange(err error) bool {
	var plan *planner.Error
	var outOfDate *mysql.SQLError
	return errors.Is(err, kvclient.ErrFenced) || errors.As(err, &plan) && plan.Code == codeTableDefChanged ||
		errors.As(err, &outOfDate) && outOfDate.Code == codeSchemaOutOfDate
}

func isConflict(err error) bool {
	var conflict *kvclient.WriteConflictError
	return errors.As(err, &conflict)
}

func isDeadlock(err error) bool {
	var deadlock *kvclient.DeadlockError
	return errors.As(err, &deadlock)
}
