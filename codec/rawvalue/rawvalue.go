// Package rawvalue reads and writes the stored form of raw values that may expire, that of TiKV's API version 2:
//
//	value
//	8 bytes, big-endian   seconds since 1970 from which on the pair counts as absent (with flagExpires)
//	1 byte                flags: 1 expires; the other bits are 0
//
// Everything stands behind the value, so a reader that wants the value alone takes a prefix and copies nothing.
package rawvalue

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	flagExpires = 1
	flagsSize   = 1
	expirySize  = 8
)

// ErrInvalid is in the chain of errors about bytes that are no stored value.
var ErrInvalid = errors.New("invalid raw value")

// Append adds the stored form of value to dst. It expires at expiry, in seconds since 1970; 0 is never.
func Append(dst, value []byte, expiry uint64) []byte {
	dst = append(dst, value...)
	if expiry == 0 {
		return append(dst, 0)
	}
	return append(binary.BigEndian.AppendUint64(dst, expiry), flagExpires)
}

// EncodedLen is the greatest length of the stored form of n bytes.
func EncodedLen(n int) int { return n + expirySize + flagsSize }

// Split takes a stored value apart. The value shares its memory and is not nil; expiry 0 is never.
func Split(stored []byte) (value []byte, expiry uint64, err error) {
	n := len(stored) - flagsSize
	if n < 0 {
		return nil, 0, fmt.Errorf("%w: no flags", ErrInvalid)
	}
	switch flags := stored[n]; flags {
	case 0:
		return stored[:n:n], 0, nil
	case flagExpires:
		if n -= expirySize; n < 0 {
			return nil, 0, fmt.Errorf("%w: %d bytes, too short for an expiry", ErrInvalid, len(stored))
		}
		return stored[:n:n], binary.BigEndian.Uint64(stored[n:]), nil
	default:
		return nil, 0, fmt.Errorf("%w: flags %#x", ErrInvalid, flags)
	}
}
