package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// errMalformed is a packet whose inside does not hold together; the client sees error 1835.
var errMalformed = errors.New("malformed communication packet")

func appendLenencInt(dst []byte, v uint64) []byte {
	switch {
	case v < 251:
		return append(dst, byte(v))
	case v < 1<<16:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	default:
		return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
	}
}

func appendLenencString[S []byte | string](dst []byte, s S) []byte {
	return append(appendLenencInt(dst, uint64(len(s))), s...)
}

// cursor reads fields off a packet. The first read that does not fit sets bad, and all reads after it give zeros, so
// that a decoder may check once at its end.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) err() error {
	if c.bad {
		return errMalformed
	}
	return nil
}

// take returns the next n bytes, which alias the packet.
func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) uint8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) lenencInt() uint64 {
	switch first := c.uint8(); first {
	case 0xfc:
		return uint64(c.uint16())
	case 0xfd:
		b := c.take(3)
		if b == nil {
			return 0
		}
		return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	case 0xfe:
		return c.uint64()
	case 0xfb, 0xff:
		c.bad = true
		return 0
	default:
		return uint64(first)
	}
}

func (c *cursor) lenencBytes() []byte {
	n := c.lenencInt()
	if n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}

// nulString reads up to a NUL, which it drops.
func (c *cursor) nulString() string {
	i := bytes.IndexByte(c.b, 0)
	if c.bad || i < 0 {
		c.bad = true
		return ""
	}
	s := string(c.b[:i])
	c.b = c.b[i+1:]
	return s
}
