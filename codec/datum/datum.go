// Package datum is one value of any type, and its encodings in keys, values and DAG responses.
//
// A Datum is for single values: default values, key bounds, parameters, results on their way to a client. What is done
// row after row works on columns instead (package column).
//
// An encoded datum is a flag byte and a payload:
//
//	0 NULL           3 int, i64cmp        6 decimal, precision and scale   9 uint, varuint
//	1 bytes, mce     4 uint, u64be        7 duration, i64cmp              10 JSON
//	2 bytes, length  5 float, f64cmp      8 int, varint                  250 greater than everything
//
// The encodings carry no MySQL type: a Time is written as a uint, an ENUM by its number. Of gives a decoded datum the
// kind that its column's type asks for.
package datum

import (
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
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
	JSON       // binary form with type byte
	MinNotNull // before every value but NULL; in keys only
	MaxValue   // after every value; in keys only
)

func (k Kind) String() string {
	return [...]string{"null", "int64", "uint64", "float64", "bytes", "decimal", "time", "duration", "json", "min-not-null",
		"max-value"}[k]
}

// Datum is one value. The zero Datum is NULL. Bytes are not copied.
type Datum struct {
	kind  Kind
	scale int8   // of a Decimal
	num   uint64 // Int64, Uint64, Float64 bits, Time, Duration, the coefficient of a Decimal that fits 64 bits
	b     []byte
	wide  *value.Decimal // that does not fit
}

// The constructors. An accessor is meaningful for the kind it is named after only.

func NewInt64(v int64) Datum             { return Datum{kind: Int64, num: uint64(v)} }
func NewUint64(v uint64) Datum           { return Datum{kind: Uint64, num: v} }
func NewFloat64(v float64) Datum         { return Datum{kind: Float64, num: math.Float64bits(v)} }
func NewBytes(b []byte) Datum            { return Datum{kind: Bytes, b: b} }
func NewString(s string) Datum           { return Datum{kind: Bytes, b: []byte(s)} }
func NewTime(t value.Time) Datum         { return Datum{kind: Time, num: uint64(t)} }
func NewDuration(d value.Duration) Datum { return Datum{kind: Duration, num: uint64(d)} }
func NewJSON(b []byte) Datum             { return Datum{kind: JSON, b: b} }

// NewDecimal keeps wide decimals apart, so that rows of datums stay small.
func NewDecimal(d value.Decimal) Datum {
	if v, ok := d.Int64Coef(); ok && d.Scale == int32(int8(d.Scale)) {
		return Datum{kind: Decimal, scale: int8(d.Scale), num: uint64(v)}
	}
	return Datum{kind: Decimal, wide: &d}
}

// NewMinNotNull and NewMaxValue make the bounds of key ranges.
func NewMinNotNull() Datum { return Datum{kind: MinNotNull} }
func NewMaxValue() Datum   { return Datum{kind: MaxValue} }

func (d Datum) Kind() Kind               { return d.kind }
func (d Datum) IsNull() bool             { return d.kind == Null }
func (d Datum) Int64() int64             { return int64(d.num) }
func (d Datum) Uint64() uint64           { return d.num }
func (d Datum) Float64() float64         { return math.Float64frombits(d.num) }
func (d Datum) Bytes() []byte            { return d.b }
func (d Datum) Time() value.Time         { return value.Time(d.num) }
func (d Datum) Duration() value.Duration { return value.Duration(d.num) }

// Decimal is the value of a decimal.
func (d Datum) Decimal() value.Decimal {
	if d.wide != nil {
		return *d.wide
	}
	return value.DecimalFromScaled(int64(d.num), int(d.scale))
}

// Of returns d as a value of type ft where the encoded form leaves that open: a uint as a Time, an int as a Duration,
// an int as an unsigned number and back. Other kinds stay as they are.
func (d Datum) Of(ft *tipb.FieldType) Datum {
	integer := d.kind == Int64 || d.kind == Uint64
	switch ft.Tp {
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		if integer {
			d.kind = Time
		}
	case column.TypeDuration:
		if integer {
			d.kind = Duration
		}
	default:
		switch column.KindOf(ft) {
		case column.Int64:
			if integer || d.kind == Duration {
				d.kind = Int64
			}
		case column.Uint64:
			if integer || d.kind == Time {
				d.kind = Uint64
			}
		}
	}
	return d
}
