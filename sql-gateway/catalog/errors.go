package catalog

import (
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// errCode makes MySQL's error of a code with its own text. All errors that a user caused are *mysql.SQLError.
func errCode(code uint16, args ...any) error { return mysql.NewErr(code, args...) }

// errNotSupported is error 1235.
func errNotSupported(format string, args ...any) error {
	e := mysql.NewErr(mysql.ErrNotSupportedYet, "")
	e.Message = fmt.Sprintf("This version of Scree doesn't yet support '%s'", fmt.Sprintf(format, args...))
	return e
}

func errNoDatabase(name string) error { return errCode(mysql.ErrBadDB, name) }

func errNoTable(db, name string) error { return errCode(mysql.ErrNoSuchTable, db, name) }

// Warning is what a DDL statement did not do, or did otherwise than told.
type Warning struct {
	Note    bool
	Code    uint16
	Message string
}

func note(err error) Warning {
	if e, ok := err.(*mysql.SQLError); ok {
		return Warning{Note: true, Code: e.Code, Message: e.Message}
	}
	return Warning{Note: true, Code: mysql.ErrUnknown, Message: err.Error()}
}

func warning(code uint16, format string, args ...any) Warning {
	return Warning{Code: code, Message: fmt.Sprintf(format, args...)}
}
