// Package column is the physical form of data in memory: which Arrow type carries which MySQL type, the batch that
// operators pass to each other, and the builder that fills columns.
//
// Everything above the codec floor agrees on this table and on nothing else:
//
//	MySQL type                          Kind        Arrow array            value
//	signed integers, YEAR               Int64       array.Int64            the number
//	TIME                                Int64       array.Int64            nanoseconds, may be negative
//	unsigned integers, BIT              Uint64      array.Uint64           the number
//	ENUM / SET                          Uint64      array.Uint64           1-based index (0 = empty) / bit mask
//	DATE, DATETIME, TIMESTAMP           Uint64      array.Uint64           packed order-preserving form (package value)
//	FLOAT, DOUBLE                       Float64     array.Float64          FLOAT holds float32-rounded values
//	DECIMAL, precision ≤ 18             Decimal64   array.Int64            value × 10^scale
//	DECIMAL, precision ≤ 38             Decimal128  array.Decimal128       value × 10^scale, two's complement
//	DECIMAL, wider or of unknown width  Decimal256  array.Decimal256       value × 10^scale, two's complement
//	strings, blobs, BINARY              Bytes       array.Binary           the bytes
//	JSON                                Bytes       array.Binary           type byte, then the binary JSON value
//
// TIMESTAMP columns are in the session's time zone everywhere above the scan that decodes them (stored: UTC).
// The scale of a decimal column is Scale of its field type and equal for all rows.
package column

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
)

// MySQL type codes as they appear in tipb.FieldType.Tp.
const (
	TypeTiny      = 1
	TypeShort     = 2
	TypeLong      = 3
	TypeFloat     = 4
	TypeDouble    = 5
	TypeNull      = 6
	TypeTimestamp = 7
	TypeLongLong  = 8
	TypeInt24     = 9
	TypeDate      = 10
	TypeDuration  = 11
	TypeDatetime  = 12
	TypeYear      = 13
	TypeNewDate   = 14
	TypeVarchar   = 15
	TypeBit       = 16
	TypeJSON      = 0xf5
	TypeDecimal   = 0xf6
	TypeEnum      = 0xf7
	TypeSet       = 0xf8
	TypeTinyBlob  = 0xf9
	TypeMedBlob   = 0xfa
	TypeLongBlob  = 0xfb
	TypeBlob      = 0xfc
	TypeVarString = 0xfd
	TypeString    = 0xfe
)

// Flags of tipb.FieldType.Flag that the lower floors look at.
const (
	FlagNotNull      = 1
	FlagPrimaryKey   = 1 << 1
	FlagUniqueKey    = 1 << 2
	FlagUnsigned     = 1 << 5
	FlagBinary       = 1 << 7
	FlagAutoIncr     = 1 << 9
	FlagParseToJSON  = 1 << 18
	FlagIsBoolean    = 1 << 19
	FlagEnumSetAsInt = 1 << 21
)

// MySQL's bounds of DECIMAL.
const (
	MaxPrecision = 65
	MaxScale     = 30
	// UnspecifiedLength is the Flen or Decimal of a field type that does not say.
	UnspecifiedLength = -1
)

// Kind is the physical form of a column; see the package comment.
type Kind uint8

// The kinds, in the order of the package comment's table.
const (
	Int64 Kind = iota
	Uint64
	Float64
	Decimal64
	Decimal128
	Decimal256
	Bytes
)

func (k Kind) String() string {
	return [...]string{"int64", "uint64", "float64", "decimal64", "decimal128", "decimal256", "bytes"}[k]
}

// KindOf tells how a column of type ft is held.
func KindOf(ft *tipb.FieldType) Kind {
	switch ft.Tp {
	case TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong:
		if ft.Flag&FlagUnsigned != 0 {
			return Uint64
		}
		return Int64
	case TypeYear, TypeDuration, TypeNull:
		return Int64
	case TypeBit, TypeEnum, TypeSet, TypeDate, TypeNewDate, TypeDatetime, TypeTimestamp:
		return Uint64
	case TypeFloat, TypeDouble:
		return Float64
	case TypeDecimal:
		return decimalKind(ft)
	default:
		return Bytes
	}
}

func decimalKind(ft *tipb.FieldType) Kind {
	switch {
	case ft.Decimal < 0 || ft.Flen <= 0 || ft.Flen > 38:
		return Decimal256
	case ft.Flen <= 18:
		return Decimal64
	default:
		return Decimal128
	}
}

// Scale is the number of fraction digits that every value of a DECIMAL column carries.
func Scale(ft *tipb.FieldType) int {
	if ft.Decimal < 0 || ft.Decimal > MaxScale {
		return MaxScale
	}
	return int(ft.Decimal)
}

// Precision is the number of digits a DECIMAL column can hold, at most MaxPrecision.
func Precision(ft *tipb.FieldType) int {
	if ft.Decimal < 0 || ft.Flen <= 0 || ft.Flen > MaxPrecision {
		return MaxPrecision
	}
	return int(ft.Flen)
}

// IsUnsigned reports whether an integer type has the unsigned flag.
func IsUnsigned(ft *tipb.FieldType) bool { return ft.Flag&FlagUnsigned != 0 }

var arrowTypes = [...]arrow.DataType{
	Int64:      arrow.PrimitiveTypes.Int64,
	Uint64:     arrow.PrimitiveTypes.Uint64,
	Float64:    arrow.PrimitiveTypes.Float64,
	Decimal64:  arrow.PrimitiveTypes.Int64,
	Decimal128: &arrow.Decimal128Type{Precision: 38},
	Decimal256: &arrow.Decimal256Type{Precision: 76},
	Bytes:      arrow.BinaryTypes.Binary,
}

// ArrowType is the in-memory Arrow type of a kind. Decimal types carry no scale here; it is in the field type.
func ArrowType(k Kind) arrow.DataType { return arrowTypes[k] }
