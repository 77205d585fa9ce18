package columnar

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/scree-db/scree/codec/column"
)

// Zone bounds the values of a column in a block.
type Zone struct {
	Kind  column.Kind
	Nulls int // rows that are NULL
	// Bounded tells that Min <= v <= Max holds for all values that are not NULL, and that there are such. It is false for
	// kinds Decimal128 and Decimal256.
	Bounded  bool
	Min, Max Bound
}

// Bound is a value, in the field of its kind: Int64 for Decimal64, too.
type Bound struct {
	Int64   int64
	Uint64  uint64
	Float64 float64
	// Bytes is at most 16 bytes long, cut or rounded up if need be, in the order of bytes. A Max that is nil is no bound.
	Bytes []byte
}

// zone is the form in which zones are kept.
type zone struct {
	nulls    int32
	bounded  bool
	open     bool // there is no upper bound
	min, max zoneBound
}

// zoneBound is a string of up to zoneBytes bytes, or the bits of a number, little-endian.
type zoneBound struct {
	bytes  [zoneBytes]byte
	length uint8
}

const zoneBytes = 16

func (z *zone) bound(low, high uint64) {
	z.bounded = true
	binary.LittleEndian.PutUint64(z.min.bytes[:], low)
	binary.LittleEndian.PutUint64(z.max.bytes[:], high)
}

func (z *zone) boundFloats(values []float64, valid []byte) {
	low, high, any := math.Inf(1), math.Inf(-1), false
	for i, v := range values {
		if column.IsValid(valid, i) {
			low, high, any = min(low, v), max(high, v), true
		}
	}
	if any && low <= high { // not NaN
		z.bound(math.Float64bits(low), math.Float64bits(high))
	}
}

func (z *zone) boundStrings(a *array.Binary, valid []byte) {
	var low, high []byte
	for i := range a.Len() {
		if !column.IsValid(valid, i) {
			continue
		}
		v := a.Value(i)
		if !z.bounded || bytes.Compare(v, low) < 0 {
			low = v
		}
		if !z.bounded || bytes.Compare(v, high) > 0 {
			high = v
		}
		z.bounded = true
	}
	z.min.set(low)
	z.open = !z.max.setAbove(high)
}

func (b *zoneBound) set(v []byte) { b.length = uint8(copy(b.bytes[:], v)) }

// setAbove is set, rounded up where v is cut. It fails where nothing so short is above v.
func (b *zoneBound) setAbove(v []byte) bool {
	b.set(v)
	if len(v) <= zoneBytes {
		return true
	}
	for b.length > 0 {
		last := &b.bytes[b.length-1]
		if *last < math.MaxUint8 {
			*last++
			return true
		}
		b.length--
	}
	return false
}

// public is the zone of a column of kind k.
func (z *zone) public(k column.Kind) Zone {
	out := Zone{Kind: k, Nulls: int(z.nulls), Bounded: z.bounded}
	if !z.bounded {
		return out
	}
	out.Min, out.Max = z.min.public(k), z.max.public(k)
	if z.open {
		out.Max.Bytes = nil
	}
	return out
}

func (b *zoneBound) public(k column.Kind) (out Bound) {
	bits := binary.LittleEndian.Uint64(b.bytes[:])
	switch k {
	case column.Int64, column.Decimal64:
		out.Int64 = int64(bits)
	case column.Uint64:
		out.Uint64 = bits
	case column.Float64:
		out.Float64 = math.Float64frombits(bits)
	case column.Bytes:
		out.Bytes = b.bytes[:b.length:b.length]
	}
	return out
}
