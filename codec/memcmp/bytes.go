package memcmp

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	groupSize  = 8
	markerFull = 0xFF
)

// EncodedLen is the length of the mce form of n bytes.
func EncodedLen(n int) int { return (n/groupSize + 1) * (groupSize + 1) }

// AppendBytes appends s as mce: s cut into groups of 8 bytes, the last padded with zeros, and after each group the
// byte 0xFF minus its padding. A string whose length is a multiple of 8, the empty one included, ends with a group of
// padding alone, so that no encoding is a prefix of another.
func AppendBytes(dst, s []byte) []byte {
	for len(s) >= groupSize {
		dst = append(dst, s[:groupSize]...)
		dst = append(dst, markerFull)
		s = s[groupSize:]
	}
	var last [groupSize + 1]byte
	copy(last[:], s)
	last[groupSize] = markerFull - byte(groupSize-len(s))
	return append(dst, last[:]...)
}

// DecodeBytes reads an mce string, appends it to dst (may be nil) and returns what follows it in b.
func DecodeBytes(b, dst []byte) (s, rest []byte, err error) {
	if dst == nil {
		dst = []byte{}
	}
	for len(b) > groupSize {
		// Every group goes out in one piece, the last one with its padding.
		dst = binary.LittleEndian.AppendUint64(dst, binary.LittleEndian.Uint64(b))
		marker := b[groupSize]
		if marker == markerFull {
			b = b[groupSize+1:]
			continue
		}
		n, err := lastGroup(b)
		if err != nil {
			return nil, nil, err
		}
		return dst[:len(dst)-groupSize+n], b[groupSize+1:], nil
	}
	return nil, nil, fmt.Errorf("%w: %d bytes where a group takes 9", ErrInvalid, len(b))
}

// SkipBytes returns what follows the mce string at the start of b, checking no more than DecodeBytes does.
func SkipBytes(b []byte) (rest []byte, err error) {
	for len(b) > groupSize {
		if b[groupSize] == markerFull {
			b = b[groupSize+1:]
			continue
		}
		if _, err := lastGroup(b); err != nil {
			return nil, err
		}
		return b[groupSize+1:], nil
	}
	return nil, fmt.Errorf("%w: %d bytes where a group takes 9", ErrInvalid, len(b))
}

// Ceil returns the least s whose mce form is not below b, which may be anything: for a b that is an mce string, that
// string. So a range of encodings whose bounds are no encodings themselves holds those of the strings between the Ceils.
func Ceil(b []byte) (s []byte) {
	s = []byte{}
	for len(b) > groupSize {
		group := b[:groupSize]
		count, full := leastCount(b)
		if b = b[groupSize+1:]; !full {
			return append(s, group[:count]...)
		}
		s = append(s, group...)
	}
	return append(s, trimZeros(b)...)
}

// leastCount is how many bytes of the group that b begins with have to count for an encoding not to be below b. full says
// that all do, and that it is up to the next groups.
func leastCount(b []byte) (count int, full bool) {
	marked := groupSize - int(markerFull-b[groupSize]) // below zero: no marker is as low
	count = max(len(trimZeros(b[:groupSize])), marked)
	if count == marked && marked < groupSize && len(b) > groupSize+1 {
		count++ // b goes on where the encoding would end
	}
	return count, marked == groupSize
}

func trimZeros(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// lastGroup checks a padded group and returns the number of its bytes that count.
func lastGroup(b []byte) (int, error) {
	n := groupSize - int(markerFull-b[groupSize])
	if n < 0 {
		return 0, fmt.Errorf("%w: marker byte %#x", ErrInvalid, b[groupSize])
	}
	if binary.BigEndian.Uint64(b)<<(8*n) != 0 {
		return 0, fmt.Errorf("%w: padding is not zero", ErrInvalid)
	}
	return n, nil
}
