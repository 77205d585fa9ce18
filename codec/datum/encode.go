package datum

import (
	"encoding/binary"
	"fmt"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// The flags of encoded datums.
const (
	FlagNull     = 0
	FlagBytes    = 1
	FlagCompact  = 2
	FlagInt      = 3
	FlagUint     = 4
	FlagFloat    = 5
	FlagDecimal  = 6
	FlagDuration = 7
	FlagVarint   = 8
	FlagVaruint  = 9
	FlagJSON     = 10
	FlagMax      = 250
)

// AppendKey appends the order-preserving form (flags 1,3,4,5,6,7; NULL 0). ft tells decimals' precision and scale,
// and the collation whose sort key stands for a string (nil: raw bytes, and decimals as wide as they are). Decimals
// compare as bytes only if they were encoded with the same ft.
func AppendKey(dst []byte, d Datum, ft *tipb.FieldType) ([]byte, error) {
	switch d.kind {
	case Int64:
		return memcmp.AppendInt64(append(dst, FlagInt), d.Int64()), nil
	case Uint64, Time:
		return memcmp.AppendUint64(append(dst, FlagUint), d.num), nil
	case Bytes:
		return appendKeyBytes(append(dst, FlagBytes), d.b, ft)
	case MinNotNull:
		return append(dst, FlagBytes), nil
	case MaxValue:
		return append(dst, FlagMax), nil
	default:
		return appendCommon(dst, d, ft)
	}
}

func appendKeyBytes(dst, s []byte, ft *tipb.FieldType) ([]byte, error) {
	if ft == nil || ft.Collate >= 0 {
		return memcmp.AppendBytes(dst, s), nil
	}
	coll, err := value.CollatorByID(ft.Collate)
	if err != nil {
		return nil, err
	}
	if !coll.KeyIsIdentity() {
		s = coll.AppendKey(nil, s)
	}
	return memcmp.AppendBytes(dst, s), nil
}

// AppendValue appends the compact form (flags 2,8,9...), as in default values and row format v1.
func AppendValue(dst []byte, d Datum, ft *tipb.FieldType) ([]byte, error) {
	switch d.kind {
	case Int64:
		return binary.AppendVarint(append(dst, FlagVarint), d.Int64()), nil
	case Uint64, Time:
		return binary.AppendUvarint(append(dst, FlagVaruint), d.num), nil
	case Bytes:
		dst = binary.AppendVarint(append(dst, FlagCompact), int64(len(d.b)))
		return append(dst, d.b...), nil
	case MinNotNull, MaxValue:
		return nil, fmt.Errorf("%w: %s is for keys only", ErrInvalid, d.kind)
	default:
		return appendCommon(dst, d, ft)
	}
}

// AppendResponse appends the form of rows in TypeDefault responses: compact but for integers, which are fixed.
func AppendResponse(dst []byte, d Datum, ft *tipb.FieldType) ([]byte, error) {
	if d.kind == Bytes {
		return AppendValue(dst, d, ft)
	}
	return AppendKey(dst, d, ft)
}

// appendCommon appends the kinds that look alike in keys and values.
func appendCommon(dst []byte, d Datum, ft *tipb.FieldType) ([]byte, error) {
	switch d.kind {
	case Null:
		return append(dst, FlagNull), nil
	case Float64:
		return memcmp.AppendFloat64(append(dst, FlagFloat), d.Float64()), nil
	case Decimal:
		return appendDecimal(append(dst, FlagDecimal), d.Decimal(), ft)
	case Duration:
		return memcmp.AppendInt64(append(dst, FlagDuration), int64(d.num)), nil
	case JSON:
		if n, err := jsonLen(d.b); err != nil || n != len(d.b) {
			return nil, fmt.Errorf("%w: malformed JSON of %d bytes", ErrInvalid, len(d.b))
		}
		return append(append(dst, FlagJSON), d.b...), nil
	default:
		return nil, fmt.Errorf("%w: no encoding for %s", ErrInvalid, d.kind)
	}
}

func appendDecimal(dst []byte, dec value.Decimal, ft *tipb.FieldType) ([]byte, error) {
	if ft == nil || ft.Tp != column.TypeDecimal || ft.Flen <= 0 || ft.Decimal < 0 {
		prec := dec.Precision()
		return value.AppendDecimalBinary(dst, dec, prec, int(dec.Scale)), nil
	}
	prec, scale := column.Precision(ft), column.Scale(ft)
	if int(dec.Scale) != scale {
		dec = dec.Rescale(scale)
	}
	if !dec.FitsIn(prec, scale) {
		return nil, value.Errorf(value.CodeDataOutOfRange, "DECIMAL value is out of range in '(%d, %d)'", prec, scale)
	}
	return value.AppendDecimalBinary(dst, dec, prec, scale), nil
}
