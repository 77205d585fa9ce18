package datum

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// ErrInvalid is in the chain of encoding and decoding errors of this package.
var ErrInvalid = errors.New("invalid datum")

// Decode reads one datum in either form and returns the rest. Bytes in the compact form and JSON alias b.
func Decode(b []byte) (d Datum, rest []byte, err error) {
	if len(b) == 0 {
		return Datum{}, nil, fmt.Errorf("%w: no bytes", ErrInvalid)
	}
	flag, b := b[0], b[1:]
	switch flag {
	case FlagNull:
		return Datum{}, b, nil
	case FlagInt:
		v, rest, err := memcmp.DecodeInt64(b)
		return NewInt64(v), rest, err
	case FlagUint:
		v, rest, err := memcmp.DecodeUint64(b)
		return NewUint64(v), rest, err
	case FlagFloat:
		v, rest, err := memcmp.DecodeFloat64(b)
		return NewFloat64(v), rest, err
	case FlagDuration:
		v, rest, err := memcmp.DecodeInt64(b)
		return NewDuration(value.Duration(v)), rest, err
	case FlagDecimal:
		v, rest, err := value.DecodeDecimalBinary(b)
		return NewDecimal(v), rest, err
	case FlagMax:
		return NewMaxValue(), b, nil
	default:
		return decodeVariable(flag, b)
	}
}

func decodeVariable(flag byte, b []byte) (d Datum, rest []byte, err error) {
	switch flag {
	case FlagBytes:
		if len(b) == 0 {
			return NewMinNotNull(), b, nil
		}
		s, rest, err := memcmp.DecodeBytes(b, nil)
		return NewBytes(s), rest, err
	case FlagCompact:
		s, rest, err := cutCompact(b)
		return NewBytes(s), rest, err
	case FlagVarint:
		v, n := binary.Varint(b)
		if n <= 0 {
			return Datum{}, nil, errVarint(b)
		}
		return NewInt64(v), b[n:], nil
	case FlagVaruint:
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return Datum{}, nil, errVarint(b)
		}
		return NewUint64(v), b[n:], nil
	case FlagJSON:
		n, err := jsonLen(b)
		if err != nil {
			return Datum{}, nil, err
		}
		return NewJSON(b[:n:n]), b[n:], nil
	default:
		return Datum{}, nil, fmt.Errorf("%w: flag %d", ErrInvalid, flag)
	}
}

func errVarint(b []byte) error {
	return fmt.Errorf("%w: bad variable-length integer %x", ErrInvalid, b[:min(len(b), 10)])
}

// cutCompact cuts a length-prefixed string off b.
func cutCompact(b []byte) (s, rest []byte, err error) {
	size, n := binary.Varint(b)
	if n <= 0 {
		return nil, nil, errVarint(b)
	}
	if b = b[n:]; size < 0 || size > int64(len(b)) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", ErrInvalid, len(b), size)
	}
	return b[:size:size], b[size:], nil
}

// Skip returns what follows the first datum of b.
func Skip(b []byte) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: no bytes", ErrInvalid)
	}
	switch b[0] {
	case FlagInt, FlagUint, FlagFloat, FlagDuration:
		if len(b) < 9 {
			return nil, fmt.Errorf("%w: %d bytes where a number takes 9", ErrInvalid, len(b))
		}
		return b[9:], nil
	case FlagBytes:
		if len(b) == 1 {
			return b[1:], nil
		}
		return memcmp.SkipBytes(b[1:])
	default:
		_, rest, err = Decode(b)
		return rest, err
	}
}

// The type bytes of binary JSON.
const (
	jsonObject    = 0x01
	jsonArray     = 0x03
	jsonLiteral   = 0x04
	jsonInt64     = 0x09
	jsonUint64    = 0x0a
	jsonDouble    = 0x0b
	jsonString    = 0x0c
	jsonOpaque    = 0x0d
	jsonDate      = 0x0e
	jsonDatetime  = 0x0f
	jsonTimestamp = 0x10
	jsonDuration  = 0x11
)

// jsonLen is the length of the binary JSON value, type byte included, that b begins with.
func jsonLen(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("%w: JSON of %d bytes", ErrInvalid, len(b))
	}
	var n uint64
	switch body := b[1:]; b[0] {
	case jsonObject, jsonArray:
		if len(body) < 8 {
			return 0, fmt.Errorf("%w: JSON container of %d bytes", ErrInvalid, len(b))
		}
		n = max(8, uint64(binary.LittleEndian.Uint32(body[4:])))
	case jsonLiteral:
		n = 1
	case jsonInt64, jsonUint64, jsonDouble, jsonDate, jsonDatetime, jsonTimestamp:
		n = 8
	case jsonDuration:
		n = 12
	case jsonString:
		n = prefixedLen(body)
	case jsonOpaque:
		n = 1 + prefixedLen(body[1:])
	default:
		return 0, fmt.Errorf("%w: JSON type %#x", ErrInvalid, b[0])
	}
	if n == 0 || n > uint64(len(b)-1) {
		return 0, fmt.Errorf("%w: %d bytes of JSON where %d are announced", ErrInvalid, len(b)-1, n)
	}
	return 1 + int(n), nil
}

// prefixedLen is the length of a varuint length and what it announces; beyond any input if it is malformed.
func prefixedLen(b []byte) uint64 {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)) {
		return 1 << 62
	}
	return uint64(n) + size
}
