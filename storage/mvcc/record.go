package mvcc

import (
	"encoding/binary"
	"fmt"
)

// parts reads the pieces of a record. The first failure sticks; slices alias the record.
type parts struct {
	b   []byte
	err error
}

func (p *parts) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	p.b = nil
}

func (p *parts) byte() byte {
	if len(p.b) == 0 {
		p.fail("record ends early")
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *parts) uint64() uint64 {
	if len(p.b) < 8 {
		p.fail("record ends inside a timestamp")
		return 0
	}
	v := binary.BigEndian.Uint64(p.b)
	p.b = p.b[8:]
	return v
}

func (p *parts) varuint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail("bad variable-length integer")
		return 0
	}
	p.b = p.b[n:]
	return v
}

// bytes reads n bytes; the result is not nil.
func (p *parts) bytes(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.fail("record ends inside a string")
		return nil
	}
	s := p.b[:n:n]
	p.b = p.b[n:]
	return s
}

// compact reads a string behind its zig-zag length.
func (p *parts) compact() []byte {
	n, size := binary.Varint(p.b)
	if size <= 0 || n < 0 {
		p.fail("bad string length")
		return nil
	}
	p.b = p.b[size:]
	return p.bytes(uint64(n))
}

// count reads the number of items that follow, each of at least one byte: a bound on what a reader may allocate.
func (p *parts) count() int {
	n := p.varuint()
	if n > uint64(len(p.b)) {
		p.fail("more items than bytes")
		return 0
	}
	return int(n)
}

func appendCompact(dst, s []byte) []byte {
	dst = binary.AppendVarint(dst, int64(len(s)))
	return append(dst, s...)
}

func appendShortValue(dst, v []byte) []byte {
	dst = append(dst, 'v', byte(len(v)))
	return append(dst, v...)
}
