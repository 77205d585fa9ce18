package dml

import (
	"errors"
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/value"
)

// errorf makes the error of a code with MySQL's own text for it.
func errorf(code uint16, args ...any) *value.Error {
	msg, ok := mysql.MySQLErrName[code]
	if !ok {
		return value.Errorf(code, "error %d %v", code, args)
	}
	return value.Errorf(code, msg.Raw, args...)
}

func notSupported(what string) error {
	return value.Errorf(value.CodeNotSupported, "This version of Scree doesn't yet support '%s'", what)
}

// columnError is an error about a value of a column; row counts from 1.
func columnError(code uint16, f *field, row int) *value.Error {
	switch code {
	case value.CodeDataOutOfRangeCol:
		return value.Errorf(code, "Out of range value for column '%s' at row %d", f.Name, row)
	case value.CodeDataTooLong:
		return value.Errorf(code, "Data too long for column '%s' at row %d", f.Name, row)
	case value.CodeBadNull:
		return value.Errorf(code, "Column '%s' cannot be null", f.Name)
	default:
		return value.Errorf(value.CodeDataTruncatedCol, "Data truncated for column '%s' at row %d", f.Name, row)
	}
}

// incorrectValue is 1366 or, for dates and times, 1292.
func incorrectValue(code uint16, kind string, text []byte, f *field, row int) *value.Error {
	const most = 64
	if len(text) > most {
		text = append(append([]byte{}, text[:most]...), "..."...)
	}
	return value.Errorf(code, "Incorrect %s value: '%s' for column '%s' at row %d", kind, printable(text), f.Name, row)
}

// printable shows bytes that are no ASCII text as \xNN.
func printable(s []byte) []byte {
	var out []byte
	for _, c := range s {
		if c < ' ' || c >= 0x80 {
			out = fmt.Appendf(out, `\x%02X`, c)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// errCorruptEntry is an index entry that leads to no row.
var errCorruptEntry = errors.New("index entry without a row")
