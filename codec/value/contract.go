// Package value holds the scalar values of MySQL: decimals, packed times, durations, JSON, and collations. Pure
// functions, no clock, no I/O.
package value

import (
	"time"
)

// Time is a DATE, DATETIME or TIMESTAMP in MySQL's packed form, whose order as an integer is the order in time:
//
//	(((year·13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second) << 24 | microsecond
//
// The zero date is 0. Type and fsp are in the field type.
type Time uint64

// Duration is a TIME value in nanoseconds.
type Duration int64

// --- the contract that other packages build on; bodies belong to the owner of this package ---

// ParseTime reads a DATE/DATETIME/TIMESTAMP string leniently as MySQL does ('2024-1-2', '20240102', '2024-01-02T03:04:05.6',
// with optional offset), rounds to fsp digits. typ is column.TypeDate, TypeDatetime or TypeTimestamp. mode carries
// the sql_mode's zero-date rules. The error is CodeTruncatedWrong "Incorrect datetime value: '...'".
func ParseTime(s []byte, typ byte, fsp int, loc *time.Location, mode TimeMode) (Time, error) {
	panic("contract")
}

// TimeMode are the rules of sql_mode that concern dates.
type TimeMode struct {
	NoZeroInDate, NoZeroDate, AllowInvalidDates bool
}

// Append formats t as its type wants: DATE without time, else with fsp fraction digits.
func (t Time) Append(dst []byte, typ byte, fsp int) []byte { panic("contract") }

// MakeTime packs fields without checking them.
func MakeTime(year, month, day, hour, minute, second, micro int) Time {
	return Time(uint64(((year*13+month)<<5|day)<<17|hour<<12|minute<<6|second)<<24 | uint64(micro))
}

// Fields unpack t.
func (t Time) Fields() (year, month, day, hour, minute, second, micro int) { panic("contract") }

// In converts the wall-clock time t of zone from to zone to (TIMESTAMP between UTC and session). Zero stays zero.
func (t Time) In(from, to *time.Location) (Time, error) { panic("contract") }

// GoTime is t in loc; ok is false for zero or invalid dates.
func (t Time) GoTime(loc *time.Location) (_ time.Time, ok bool) { panic("contract") }

// FromGoTime packs t's wall clock, rounded to fsp digits.
func FromGoTime(t time.Time, fsp int) Time { panic("contract") }

// ParseDuration reads a TIME string ('-838:59:59.000000', '1 02:03:04', '112233'), rounded to fsp digits.
func ParseDuration(s []byte, fsp int) (Duration, error) { panic("contract") }

// Append formats d with fsp fraction digits.
func (d Duration) Append(dst []byte, fsp int) []byte { panic("contract") }

// ParseJSON parses JSON text to the binary form with its leading type byte. Depth is bounded (100).
func ParseJSON(text []byte) ([]byte, error) { panic("contract") }

// AppendJSONText prints the binary form as MySQL prints JSON.
func AppendJSONText(dst, bin []byte) ([]byte, error) { panic("contract") }

// Collator compares and hashes strings of one collation.
type Collator interface {
	// Compare orders a and b.
	Compare(a, b []byte) int
	// AppendKey appends the sort key: bytes whose plain order is the collation's order.
	AppendKey(dst, s []byte) []byte
	// KeyIsIdentity reports whether AppendKey only ever copies (binary).
	KeyIsIdentity() bool
	// PadSpace reports whether trailing spaces are ignored by Compare.
	PadSpace() bool
	// CaseInsensitive reports whether LIKE and friends must fold case.
	CaseInsensitive() bool
}

// CollatorByID returns the collator of tipb.FieldType.Collate: negative ids are new collations (absolute value = MySQL
// id), others compare bytes. An unknown id is an error.
func CollatorByID(id int32) (Collator, error) { panic("contract") }

// EnumName is the 1-based element n of elems, "" for 0.
func EnumName(elems []string, n uint64) string { panic("contract") }

// AppendSetNames appends the comma-separated elements of mask.
func AppendSetNames(dst []byte, elems []string, mask uint64) []byte { panic("contract") }
