package columnar

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/scree-db/scree/codec/column"
)

// encoder turns arrays into blocks. Its memory is used again and again.
type encoder struct {
	block   []byte
	entries map[string]byte // of a dictionary
	codes   []byte
}

// encode returns the block of a, a column of kind k, valid until the next call, and what is to be known of it without
// reading it, but for its offset.
func (e *encoder) encode(k column.Kind, a arrow.Array) ([]byte, blockPlace) {
	h := header{kind: k, rows: a.Len(), nulls: a.NullN()}
	e.block = append(e.block[:0], make([]byte, headerBytes)...)
	valid := column.NullBits(a)
	if valid != nil {
		e.appendValid(valid, h.rows)
	}
	z := zone{nulls: int32(h.nulls)}
	switch a := a.(type) {
	case *array.Int64:
		encodeIntegers(e, &h, &z, a.Int64Values(), valid)
	case *array.Uint64:
		encodeIntegers(e, &h, &z, a.Uint64Values(), valid)
	case *array.Float64:
		e.appendSection(arrow.Float64Traits.CastToBytes(a.Float64Values()))
		z.boundFloats(a.Float64Values(), valid)
	case *array.Decimal128:
		e.appendSection(arrow.Decimal128Traits.CastToBytes(a.Values()))
	case *array.Decimal256:
		e.appendSection(arrow.Decimal256Traits.CastToBytes(a.Values()))
	case *array.Binary:
		e.encodeStrings(&h, &z, a, valid)
	}
	h.put(e.block)
	return e.block, blockPlace{length: int32(len(e.block)), keeps: h.encoding.keeps(), zone: z}
}

// appendValid appends the bitmap. Bits behind the last row are cleared, so that equal columns make equal blocks.
func (e *encoder) appendValid(valid []byte, rows int) {
	from := len(e.block)
	e.appendSection(valid[:bitmapBytes(rows)])
	for i := rows; i < 8*bitmapBytes(rows); i++ {
		bitutil.ClearBit(e.block[from:], i)
	}
}

func (e *encoder) appendSection(b []byte) {
	e.block = append(e.block, b...)
	e.pad()
}

func (e *encoder) pad() {
	for len(e.block)%8 != 0 {
		e.block = append(e.block, 0)
	}
}

// encodeIntegers packs numbers whose range fits into four bytes.
func encodeIntegers[T int64 | uint64](e *encoder, h *header, z *zone, values []T, valid []byte) {
	low, high, ok := bounds(values, valid)
	if ok {
		z.bound(uint64(low), uint64(high))
	}
	shift := commonZeros(values, low, valid)
	h.width = widthOf((uint64(high) - uint64(low)) >> shift)
	if h.width == 8 {
		h.encoding, h.width = encodingPlain, 0
		for _, v := range values {
			e.block = binary.LittleEndian.AppendUint64(e.block, uint64(v))
		}
		return
	}
	h.encoding, h.base, h.shift = encodingPacked, uint64(low), shift
	e.block = appendPacked(e.block, values, uint64(low), shift, h.width)
	e.pad()
}

// bounds are the least and the greatest of the values that are not NULL; ok is false if there are none.
func bounds[T int64 | uint64](values []T, valid []byte) (low, high T, ok bool) {
	for i, v := range values {
		switch {
		case !column.IsValid(valid, i):
		case !ok:
			low, high, ok = v, v, true
		default:
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high, ok
}

// commonZeros is the number of lower bits that are zero in all values less low, but for NULLs.
func commonZeros[T int64 | uint64](values []T, low T, valid []byte) int {
	var ones uint64
	for i, v := range values {
		if column.IsValid(valid, i) {
			ones |= uint64(v) - uint64(low)
		}
	}
	return bits.TrailingZeros64(ones | 1<<63)
}

// widthOf is how many bytes numbers up to span take: 0, 1, 2, 4 or 8.
func widthOf(span uint64) int {
	switch {
	case span == 0:
		return 0
	case span <= math.MaxUint8:
		return 1
	case span <= math.MaxUint16:
		return 2
	case span <= math.MaxUint32:
		return 4
	default:
		return 8
	}
}

// appendPacked appends values less base, shifted and cut to width bytes: of NULLs, that may be any number.
func appendPacked[T int32 | int64 | uint64](dst []byte, values []T, base uint64, shift, width int) []byte {
	switch width {
	case 1:
		for _, v := range values {
			dst = append(dst, byte((uint64(v)-base)>>shift))
		}
	case 2:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint16(dst, uint16((uint64(v)-base)>>shift))
		}
	case 4:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, uint32((uint64(v)-base)>>shift))
		}
	}
	return dst
}

// encodeStrings makes a dictionary where that halves the block, else packs lengths.
func (e *encoder) encodeStrings(h *header, z *zone, a *array.Binary, valid []byte) {
	z.boundStrings(a, valid)
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	h.data = len(data)
	if e.encodeDictionary(h, a, len(data)) {
		return
	}
	h.encoding = encodingStrings
	var lengths [column.BatchSize]int32
	low, high := int32(math.MaxInt32), int32(0)
	for i := range h.rows {
		n := offsets[i+1] - offsets[i]
		lengths[i], low, high = n, min(low, n), max(high, n)
	}
	if h.rows > 0 {
		h.base, h.width = uint64(low), widthOf(uint64(high-low))
	}
	e.block = appendPacked(e.block, lengths[:h.rows], h.base, 0, h.width)
	e.pad()
	e.appendSection(data)
}

// encodeDictionary numbers the distinct strings of a. It gives up when there are too many, or one is too long.
func (e *encoder) encodeDictionary(h *header, a *array.Binary, data int) bool {
	worth := (h.rows+data)/2 - h.rows // bytes of entries
	if e.entries == nil {
		e.entries = make(map[string]byte, entriesMax)
	}
	clear(e.entries)
	e.codes = e.codes[:0]
	var lengths [entriesMax]byte
	var slots [entriesMax][slotBytes]byte
	for i := range h.rows {
		v := a.Value(i)
		code, known := e.entries[string(v)]
		if !known {
			n := len(e.entries)
			if n == entriesMax || len(v) > slotBytes || (n+1)*(slotBytes+1) > worth {
				return false
			}
			code = byte(n)
			e.entries[string(v)] = code
			lengths[n] = byte(copy(slots[n][:], v))
		}
		e.codes = append(e.codes, code)
	}
	h.encoding, h.entries = encodingDictionary, len(e.entries)
	e.appendSection(e.codes)
	e.appendSection(lengths[:h.entries])
	for i := range h.entries {
		e.block = append(e.block, slots[i][:]...)
	}
	return true
}
