package columnar

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/scree-db/scree/codec/column"
)

// decode returns the column of a block: kind k, rows rows. The array aliases the block, which begins at a multiple of 8 bytes
// in memory, if the encoding is one that keeps it.
func decode(block []byte, k column.Kind, rows int) (arrow.Array, error) {
	h, err := parseHeader(block)
	if err != nil {
		return nil, err
	}
	if h.kind != k || h.rows != rows {
		return nil, fmt.Errorf("%w: %d rows of kind %s where %d of %s were written", ErrDamaged, h.rows, h.kind, rows, k)
	}
	s := sections{rest: block[headerBytes:]}
	var valid []byte
	if h.nulls > 0 {
		valid = s.next(bitmapBytes(rows))
		if s.err == nil && rows-bitutil.CountSetBits(valid, 0, rows) != h.nulls {
			s.fail("validity bitmap")
		}
		if !h.encoding.keeps() {
			valid = bytes.Clone(valid)
		}
	}
	var a arrow.Array
	switch h.encoding {
	case encodingPlain:
		if values := s.next(rows * valueBytes(k)); s.err == nil {
			a = column.Primitive(k, rows, values, valid, h.nulls)
		}
	case encodingPacked:
		a = h.unpack(&s, valid)
	case encodingStrings:
		a = h.cut(&s, valid)
	default:
		a = h.lookUp(&s, valid)
	}
	if s.err == nil && len(s.rest) > 0 {
		s.fail("more bytes than values")
	}
	if s.err != nil {
		return nil, s.err
	}
	return a, nil
}

// sections cuts a block. The first failure sticks.
type sections struct {
	rest []byte
	err  error
}

func (s *sections) fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s", ErrDamaged, what)
	}
}

// next is the next section, of n bytes. After a failure it is nil.
func (s *sections) next(n int) []byte {
	if s.err != nil || padded(n) > len(s.rest) {
		s.fail("block ends early")
		return nil
	}
	b := s.rest[:n:n]
	s.rest = s.rest[padded(n):]
	return b
}

// unpack makes an array of integers.
func (h *header) unpack(s *sections, valid []byte) arrow.Array {
	packed := s.next(h.rows * h.width)
	if s.err != nil {
		return nil
	}
	values := make([]uint64, h.rows)
	unpack(values, packed, h)
	return column.Primitive(h.kind, h.rows, arrow.Uint64Traits.CastToBytes(values), valid, h.nulls)
}

// unpack widens packed numbers to all of dst.
func unpack[D int32 | uint64](dst []D, packed []byte, h *header) {
	base, shift := D(h.base), h.shift&63
	switch h.width {
	case 0:
		for i := range dst {
			dst[i] = base
		}
	case 1:
		widen(dst, packed, base, shift)
	case 2:
		widen(dst, arrow.Uint16Traits.CastFromBytes(packed), base, shift)
	default:
		widen(dst, arrow.Uint32Traits.CastFromBytes(packed), base, shift)
	}
}

func widen[D int32 | uint64, S uint8 | uint16 | uint32](dst []D, src []S, base D, shift int) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = base + D(src[i])<<(shift&63)
	}
}

// cut makes an array of strings from their lengths.
func (h *header) cut(s *sections, valid []byte) arrow.Array {
	packed := s.next(h.rows * h.width)
	data := s.next(h.data)
	if s.err != nil {
		return nil
	}
	offsets := make([]int32, h.rows+1)
	unpack(offsets[1:], packed, h)
	if !sum(offsets, h.data) {
		s.fail("lengths of strings")
		return nil
	}
	return column.Binary(h.rows, offsets, data, valid, h.nulls)
}

// sum turns lengths into offsets. ok is false unless each is within data, and the last at its end.
func sum(offsets []int32, data int) (ok bool) {
	end := int64(0)
	for i, n := range offsets {
		if n < 0 {
			return false
		}
		end += int64(n)
		if end > int64(data) {
			return false
		}
		offsets[i] = int32(end)
	}
	return end == int64(data)
}

// lookUp makes an array of strings from numbers of a dictionary.
func (h *header) lookUp(s *sections, valid []byte) arrow.Array {
	codes, lengths := s.next(h.rows), s.next(h.entries)
	slots := s.next(h.entries * slotBytes)
	if s.err != nil {
		return nil
	}
	for _, n := range lengths {
		if n > slotBytes {
			s.fail("length of an entry")
			return nil
		}
	}
	if h.data > h.rows*slotBytes {
		s.fail("more bytes than entries give")
		return nil
	}
	offsets, data := make([]int32, h.rows+1), make([]byte, h.data+slotBytes)
	if !spell(offsets, data, codes, lengths, slots) {
		s.fail("dictionary")
		return nil
	}
	return column.Binary(h.rows, offsets, data[:h.data:h.data], valid, h.nulls)
}

// spell writes the entries that codes name. Each is written as a whole slot, whose surplus the next one overwrites: data has
// room for one beyond its end. ok is false if a code has no entry, or the lengths do not add up to that.
func spell(offsets []int32, data, codes, lengths, slots []byte) (ok bool) {
	at := 0
	for i, code := range codes {
		c := int(code)
		if c >= len(lengths) || at+slotBytes > len(data) {
			return false
		}
		copySlot((*[slotBytes]byte)(data[at:]), (*[slotBytes]byte)(slots[c*slotBytes:]))
		at += int(lengths[c])
		offsets[i+1] = int32(at)
	}
	return at+slotBytes == len(data)
}

// copySlot copies by words: a call of memmove for each row would cost more than the copy.
func copySlot(dst, src *[slotBytes]byte) {
	binary.LittleEndian.PutUint64(dst[0:], binary.LittleEndian.Uint64(src[0:]))
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:]))
	binary.LittleEndian.PutUint64(dst[16:], binary.LittleEndian.Uint64(src[16:]))
	binary.LittleEndian.PutUint64(dst[24:], binary.LittleEndian.Uint64(src[24:]))
}
