package datum

import (
	"bytes"
	"math"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

const flagZerofill = 1 << 6

// AppendText formats d as the MySQL text protocol shows a column of type ft. NULL appends nothing: the protocol has a
// marker of its own for it. JSON that is not well formed, which only a damaged value can be, appends nothing either.
func (d Datum) AppendText(dst []byte, ft *tipb.FieldType) []byte {
	switch d.kind {
	case Int64:
		return appendInteger(dst, d, ft)
	case Uint64:
		return appendUnsigned(dst, d, ft)
	case Float64:
		return AppendFloat(dst, d.Float64(), ft)
	case Bytes:
		return append(dst, d.b...)
	case Decimal:
		return d.Decimal().Append(dst)
	case Time:
		return d.Time().Append(dst, byte(ft.Tp), fsp(ft))
	case Duration:
		return d.Duration().Append(dst, fsp(ft))
	case JSON:
		if text, err := value.AppendJSONText(dst, d.b); err == nil {
			return text
		}
		return dst
	default:
		return dst
	}
}

// fsp is the number of fraction digits of a temporal type.
func fsp(ft *tipb.FieldType) int { return int(min(max(ft.Decimal, 0), 6)) }

func appendInteger(dst []byte, d Datum, ft *tipb.FieldType) []byte {
	if ft.Tp == column.TypeYear {
		return zeroPad(dst, strconv.AppendInt(nil, d.Int64(), 10), 4)
	}
	if ft.Flag&flagZerofill != 0 {
		return zeroPad(dst, strconv.AppendInt(nil, d.Int64(), 10), int(ft.Flen))
	}
	return strconv.AppendInt(dst, d.Int64(), 10)
}

func appendUnsigned(dst []byte, d Datum, ft *tipb.FieldType) []byte {
	switch ft.Tp {
	case column.TypeBit:
		return AppendBit(dst, d.Uint64(), ft)
	case column.TypeEnum:
		return append(dst, value.EnumName(ft.Elems, d.Uint64())...)
	case column.TypeSet:
		return value.AppendSetNames(dst, ft.Elems, d.Uint64())
	}
	if ft.Flag&flagZerofill != 0 {
		return zeroPad(dst, strconv.AppendUint(nil, d.Uint64(), 10), int(ft.Flen))
	}
	return strconv.AppendUint(dst, d.Uint64(), 10)
}

// zeroPad appends digits, filled with zeros to width (bounded, whatever a field type says).
func zeroPad(dst, digits []byte, width int) []byte {
	if pad := min(width, 255) - len(digits); pad > 0 {
		dst = append(dst, bytes.Repeat([]byte{'0'}, pad)...)
	}
	return append(dst, digits...)
}

// AppendBit appends the bytes of a BIT column: big-endian, as many as its length needs.
func AppendBit(dst []byte, v uint64, ft *tipb.FieldType) []byte {
	n := 8
	if ft.Flen > 0 && ft.Flen < 64 {
		n = (int(ft.Flen) + 7) / 8
	}
	for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(v>>shift))
	}
	return dst
}

// AppendFloat formats a FLOAT or DOUBLE: with the type's fraction digits if it has some, else the shortest digits that
// read back as the same number, in exponent form from 1e15 up and below 1e-15.
func AppendFloat(dst []byte, v float64, ft *tipb.FieldType) []byte {
	bits := 64
	if ft.Tp == column.TypeFloat {
		bits = 32
	}
	if ft.Decimal >= 0 && ft.Decimal <= column.MaxScale {
		return strconv.AppendFloat(dst, v, 'f', int(ft.Decimal), 64)
	}
	if abs := math.Abs(v); abs == 0 || (abs < 1e15 && abs >= 1e-15) {
		return strconv.AppendFloat(dst, v, 'f', -1, bits)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, bits)
	if i := bytes.IndexByte(dst[from:], '+'); i >= 0 { // MySQL writes 1e20
		dst = append(dst[:from+i], dst[from+i+1:]...)
	}
	return dst
}
