// Package datum is one value of any type, and its encodings in keys, values and DAG responses.
package datum

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// Kind says which value a Datum holds.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Int64
	Uint64 // also BIT, ENUM (1-based), SET (mask) columns
	Float64
	Bytes // strings and blobs
	Decimal
	Time
	Duration
	JSON // binary form with type byte
	MinNotNull
	MaxValue
)

// Datum is one value. The zero Datum is NULL. Bytes are not copied.
type Datum struct {
	kind Kind
	num  uint64 // Int64, Uint64, Float64 bits, Time, Duration
	b    []byte
	dec  value.Decimal
}

// --- contract; bodies belong to the owner of this package ---

func NewInt64(v int64) Datum             { return Datum{kind: Int64, num: uint64(v)} }
func NewUint64(v uint64) Datum           { return Datum{kind: Uint64, num: v} }
func NewFloat64(v float64) Datum         { panic("contract") }
func NewBytes(b []byte) Datum            { return Datum{kind: Bytes, b: b} }
func NewString(s string) Datum           { return Datum{kind: Bytes, b: []byte(s)} }
func NewDecimal(d value.Decimal) Datum   { return Datum{kind: Decimal, dec: d} }
func NewTime(t value.Time) Datum         { return Datum{kind: Time, num: uint64(t)} }
func NewDuration(d value.Duration) Datum { return Datum{kind: Duration, num: uint64(d)} }
func NewJSON(b []byte) Datum             { return Datum{kind: JSON, b: b} }
func (d Datum) Kind() Kind               { return d.kind }
func (d Datum) IsNull() bool             { return d.kind == Null }
func (d Datum) Int64() int64             { return int64(d.num) }
func (d Datum) Uint64() uint64           { return d.num }
func (d Datum) Float64() float64         { panic("contract") }
func (d Datum) Bytes() []byte            { return d.b }
func (d Datum) Decimal() value.Decimal   { return d.dec }
func (d Datum) Time() value.Time         { return value.Time(d.num) }
func (d Datum) Duration() value.Duration { return value.Duration(d.num) }

// FromColumn reads row i of an Arrow column of type ft. Bytes alias the column.
// (arr is arrow.Array; declared in column.go by the owner)

// AppendKey appends the order-preserving form (flags 1,3,4,5,6,7; NULL 0). ft tells decimals' precision and scale,
// and the collation whose sort key stands for a string (nil: raw bytes).
func AppendKey(dst []byte, d Datum, ft *tipb.FieldType) ([]byte, error) { panic("contract") }

// AppendValue appends the compact form (flags 2,8,9...), as in default values and row format v1.
func AppendValue(dst []byte, d Datum, ft *tipb.FieldType) ([]byte, error) { panic("contract") }

// Decode reads one datum in either form and returns the rest.
func Decode(b []byte) (d Datum, rest []byte, err error) { panic("contract") }

// Skip returns what follows the first datum of b.
func Skip(b []byte) (rest []byte, err error) { panic("contract") }

// AppendText formats d as the MySQL text protocol shows a column of type ft.
func (d Datum) AppendText(dst []byte, ft *tipb.FieldType) []byte { panic("contract") }
