// Package memcmp encodes integers, floats and byte strings so that comparing the encodings byte by byte orders them as
// the values themselves. Keys of tables and indexes, region boundaries and sort keys are built of these forms.
//
//	form      functions                         layout
//	i64cmp    AppendInt64, DecodeInt64          8 bytes big-endian, sign bit flipped
//	u64be     AppendUint64, DecodeUint64        8 bytes big-endian
//	u64desc   AppendUint64Desc, ...             8 bytes big-endian of ^v: greater sorts first
//	f64cmp    AppendFloat64, DecodeFloat64      IEEE bits, all inverted if negative, else the sign bit set
//	mce       AppendBytes, DecodeBytes          groups of 8 bytes, each followed by a marker; see AppendBytes
//
// Every Append function appends to dst and returns it; every Decode function returns what follows the value in its
// input. Decoders never panic: bad input is an error that wraps ErrInvalid.
package memcmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrInvalid is in the chain of every decoding error of this package.
var ErrInvalid = errors.New("invalid memory-comparable encoding")

const signBit = uint64(1) << 63

// AppendInt64 appends v as i64cmp.
func AppendInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v)^signBit)
}

// AppendUint64 appends v as u64be.
func AppendUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

// AppendUint64Desc appends v as u64desc: the greater value sorts first.
func AppendUint64Desc(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, ^v) }

// AppendFloat64 appends v as f64cmp. NaNs sort at the ends by sign; -0 sorts before 0.
func AppendFloat64(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(dst, FloatBits(v))
}

// FloatBits maps a float to an unsigned integer of the same order.
func FloatBits(v float64) uint64 {
	bits := math.Float64bits(v)
	if bits&signBit != 0 {
		return ^bits
	}
	return bits | signBit
}

// FloatFromBits inverts FloatBits.
func FloatFromBits(bits uint64) float64 {
	if bits&signBit != 0 {
		return math.Float64frombits(bits &^ signBit)
	}
	return math.Float64frombits(^bits)
}

// DecodeInt64 reads an i64cmp.
func DecodeInt64(b []byte) (v int64, rest []byte, err error) {
	u, rest, err := DecodeUint64(b)
	return int64(u ^ signBit), rest, err
}

// DecodeUint64 reads a u64be.
func DecodeUint64(b []byte) (v uint64, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, fmt.Errorf("%w: %d bytes where a number takes 8", ErrInvalid, len(b))
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

// DecodeUint64Desc reads a u64desc.
func DecodeUint64Desc(b []byte) (v uint64, rest []byte, err error) {
	u, rest, err := DecodeUint64(b)
	return ^u, rest, err
}

// DecodeFloat64 reads an f64cmp.
func DecodeFloat64(b []byte) (v float64, rest []byte, err error) {
	u, rest, err := DecodeUint64(b)
	return FloatFromBits(u), rest, err
}
