package expr

import (
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// Bits of Context.Flags (tipb.DAGRequest.flags).
const (
	FlagIgnoreTruncate        = 1
	FlagTruncateAsWarning     = 1 << 1
	FlagPadCharToFullLength   = 1 << 2
	FlagInInsert              = 1 << 3
	FlagInUpdateOrDelete      = 1 << 4
	FlagInSelect              = 1 << 5
	FlagOverflowAsWarning     = 1 << 6
	FlagDivideByZeroAsWarning = 1 << 8
	FlagInLoadData            = 1 << 10
)

// Bits of Context.SQLMode (tipb.DAGRequest.sql_mode).
const (
	ModeStrictTransTables      = 1 << 21
	ModeStrictAllTables        = 1 << 22
	ModeNoZeroInDate           = 1 << 23
	ModeNoZeroDate             = 1 << 24
	ModeAllowInvalidDates      = 1 << 25
	ModeErrorForDivisionByZero = 1 << 26
)

// Context is what a statement gives to the evaluation of its expressions. One goroutine at a time.
type Context struct {
	Flags    uint64 // tipb.DAGRequest.flags: see the Flag constants
	SQLMode  uint64 // tipb.DAGRequest.sql_mode bits: see the Mode constants
	Location *time.Location
	// DivPrecisionIncrement is for quotients whose field type has no scale; 0 means 4.
	DivPrecisionIncrement int
	MaxAllowedPacket      uint64
	Warnings              *Warnings
	// Now is the statement's time for functions that need one (on a store: that of its timestamp).
	Now func() time.Time
	// Random gives random words for RAND, UUID and RANDOM_BYTES; nil where there is no source of them.
	Random func() uint64
	// Err is what ended the query, nil before: its context's. Functions of many or long strings ask it; nil: there is no end.
	Err func() error
}

// Ended asks Err.
func (c *Context) Ended() error {
	if c == nil || c.Err == nil {
		return nil
	}
	return c.Err()
}

// Warnings collects the warnings of a statement up to a limit.
type Warnings struct {
	Limit int // 0 means 64
	List  []*tipb.Error
	Count uint64 // total, also those beyond the limit
}

const defaultWarningLimit = 64

// Add records err as a warning.
func (w *Warnings) Add(err *value.Error) {
	if w == nil {
		return
	}
	w.Count++
	limit := w.Limit
	if limit == 0 {
		limit = defaultWarningLimit
	}
	if len(w.List) < limit {
		w.List = append(w.List, &tipb.Error{Code: int32(err.Code), Msg: err.Message})
	}
}

const defaultMaxAllowedPacket = 64 << 20

// packet is the longest string that a function may produce.
func (c *Context) packet() int {
	if c.MaxAllowedPacket == 0 || c.MaxAllowedPacket > 1<<30 {
		return defaultMaxAllowedPacket
	}
	return int(c.MaxAllowedPacket)
}

// divIncrement is how many fraction digits a quotient has more than its dividend.
func (c *Context) divIncrement() int {
	if c.DivPrecisionIncrement <= 0 {
		return 4
	}
	return min(c.DivPrecisionIncrement, column.MaxScale)
}

func (c *Context) zone() *time.Location {
	if c.Location == nil {
		return time.UTC
	}
	return c.Location
}

func (c *Context) has(flag uint64) bool { return c.Flags&flag != 0 }

func (c *Context) strict() bool { return c.SQLMode&(ModeStrictTransTables|ModeStrictAllTables) != 0 }

func (c *Context) writes() bool { return c.has(FlagInInsert | FlagInUpdateOrDelete) }

func (c *Context) timeMode() value.TimeMode {
	return value.TimeMode{
		NoZeroInDate:      c.SQLMode&ModeNoZeroInDate != 0,
		NoZeroDate:        c.SQLMode&ModeNoZeroDate != 0,
		AllowInvalidDates: c.SQLMode&ModeAllowInvalidDates != 0,
	}
}

// truncated deals with a value that lost something on conversion: ignored, a warning, or the statement's error.
func (c *Context) truncated(err *value.Error) error {
	switch {
	case c.has(FlagIgnoreTruncate):
		return nil
	case c.has(FlagTruncateAsWarning):
		c.Warnings.Add(err)
		return nil
	default:
		return err
	}
}

// overflowed deals with a value that a conversion had to clamp: err or, where the statement may go on, warning.
func (c *Context) overflowed(err, warning *value.Error) error {
	if c.has(FlagOverflowAsWarning) {
		c.Warnings.Add(warning)
		return nil
	}
	return err
}

// divByZero deals with a division by zero, whose result is NULL. Only a write in strict mode with
// ERROR_FOR_DIVISION_BY_ZERO fails; a write without that mode does not even warn.
func (c *Context) divByZero() error {
	err := value.Errorf(value.CodeDivisionByZero, "Division by 0")
	if c.writes() {
		if c.SQLMode&ModeErrorForDivisionByZero == 0 {
			return nil
		}
		if c.strict() && !c.has(FlagDivideByZeroAsWarning) {
			return err
		}
	}
	c.Warnings.Add(err)
	return nil
}

// badTime deals with a value that is no date or time; the result is NULL. A write in strict mode fails.
func (c *Context) badTime(err *value.Error) error {
	if c.writes() && c.strict() && !c.has(FlagTruncateAsWarning|FlagIgnoreTruncate) {
		return err
	}
	c.Warnings.Add(err)
	return nil
}

func badDatetime(text []byte) *value.Error {
	return value.Errorf(value.CodeTruncatedWrong, "Incorrect datetime value: '%s'", text)
}

func truncatedWrong(what string, text []byte) *value.Error {
	return value.Errorf(value.CodeTruncatedWrong, "Truncated incorrect %s value: '%s'", what, text)
}

func outOfRange(what, format string, args ...any) *value.Error {
	return value.Errorf(value.CodeDataOutOfRange, "%s value is out of range in '%s'", what,
		value.Errorf(0, format, args...).Message)
}
