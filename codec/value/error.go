package value

import "fmt"

// Error is an evaluation or conversion error with its MySQL error code. Whoever shows it to a client looks up the
// SQLSTATE by the code; nobody rewrites the message.
type Error struct {
	Code    uint16
	Message string
	// Partial: what came with the error was read from the front of the source, or is the bound that it was beyond. Without
	// it there was nothing to read.
	Partial bool
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// IsPartial reports whether err came with a value worth having.
func IsPartial(err error) bool {
	e, ok := err.(*Error)
	return ok && e.Partial
}

// Errorf makes an Error.
func Errorf(code uint16, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// MySQL error codes that values and expressions give rise to.
const (
	CodeDupEntry           = 1062 // Duplicate entry '%s' for key '%s'
	CodeBadNull            = 1048 // Column '%s' cannot be null
	CodeDataOutOfRangeCol  = 1264 // Out of range value for column '%s' at row %d
	CodeDataTruncatedCol   = 1265 // Data truncated for column '%s' at row %d
	CodeTruncatedWrong     = 1292 // Truncated incorrect %s value: '%s' / Incorrect datetime value
	CodeDivisionByZero     = 1365 // Division by 0
	CodeWrongValueForField = 1366 // Incorrect %s value: '%s' for column '%s' at row %d
	CodeDataTooLong        = 1406 // Data too long for column '%s' at row %d
	CodeInvalidString      = 1300 // Invalid %s character string: '%s'
	CodeWrongArguments     = 1210 // Incorrect arguments to %s
	CodeQueryInterrupted   = 1317 // Query execution was interrupted
	CodeDataOutOfRange     = 1690 // %s value is out of range in '%s'
	CodeInvalidJSONText    = 3140 // Invalid JSON text: ...
	CodeInvalidJSONPath    = 3143 // Invalid JSON path expression
	CodeRegexp             = 3692 // regular expression errors
	CodeNotSupported       = 1235 // This version of Scree doesn't yet support '%s'
	CodeMemoryQuota        = 8175 // Your query has been cancelled due to exceeding the allowed memory limit
)
