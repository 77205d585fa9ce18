package planner

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// errOrderNotSelected is ER_FIELD_IN_ORDER_NOT_SELECT.
const errOrderNotSelected = 3065

// Error is a MySQL error: its SQLSTATE comes from parser/mysql by the code, its message is complete.
type Error struct {
	Code    uint16
	Message string
}

func (e *Error) Error() string { return e.Message }

// errCode makes the error of a code with MySQL's own text for it.
func errCode(code uint16, args ...any) error {
	msg, ok := mysql.MySQLErrName[code]
	if !ok {
		return &Error{Code: code, Message: fmt.Sprintf("error %d %v", code, args)}
	}
	return &Error{Code: code, Message: fmt.Sprintf(msg.Raw, args...)}
}

// errNotSupported is error 1235 with the name of what is missing.
func errNotSupported(format string, args ...any) error {
	return &Error{
		Code:    mysql.ErrNotSupportedYet,
		Message: fmt.Sprintf("This version of Scree doesn't yet support '%s'", fmt.Sprintf(format, args...)),
	}
}

// errTooDeep bounds the recursion of planning.
func errTooDeep() error {
	return &Error{Code: mysql.ErrStackOverrunNeedMore, Message: fmt.Sprintf("Thread stack overrun: statements may nest %d levels deep", maxDepth)}
}

func lower(s string) string { return strings.ToLower(s) }
