package value

import (
	"encoding/binary"
	"math"
)

// NarrowDecimal reads the values of a DECIMAL type whose binary form has at most eight bytes behind the two that tell the
// type, for loops over many of them: it is decimalLayout without what such values do not need.
type NarrowDecimal struct {
	head            uint16
	size            int
	body, low, mid  uint64 // masks: of the form, of its last field, and of the middle one where that has been shifted
	sign            uint64
	signShift       uint8
	midShift, shift uint8 // of the middle and the first field
	midMul, mul     uint64
}

// NewNarrowDecimal returns the reader for values that begin like b. ok is false if their form is longer, or their scale is
// another.
func NewNarrowDecimal(b []byte, scale int) (d NarrowDecimal, ok bool) {
	if len(b) < 3 || int(b[1]) != scale {
		return d, false
	}
	l := layoutOf(b[0], b[1])
	if l.size == 0 || !l.narrow {
		return d, false
	}
	f := &l.fields
	return NarrowDecimal{
		head: binary.LittleEndian.Uint16(b), size: 2 + int(l.size),
		body: math.MaxUint64 >> (64 - 8*l.size), low: f[0].mask, mid: f[1].mask,
		sign: 1 << l.signShift, signShift: l.signShift,
		midShift: f[1].shift, midMul: f[1].mul, shift: f[2].shift, mul: f[2].mul,
	}, true
}

// Len is the length of each value.
func (d *NarrowDecimal) Len() int { return d.size }

// Reads tells whether b, of length Len, is of the type.
func (d *NarrowDecimal) Reads(b []byte) bool { return binary.LittleEndian.Uint16(b) == d.head }

// Values turns eight bytes that end where a value does, as a big-endian number, into the value's coefficient: of those in
// sel, or of all of v if that is nil.
func (d *NarrowDecimal) Values(v []int64, sel []int32) {
	l := *d
	if sel != nil {
		for _, i := range sel {
			v[i] = l.value(uint64(v[i]))
		}
		return
	}
	for i, tail := range v {
		v[i] = l.value(uint64(tail))
	}
}

func (d *NarrowDecimal) value(tail uint64) int64 {
	raw := tail&d.body ^ d.sign
	neg := -(raw >> (d.signShift & 63)) // all ones if negative
	raw = (raw ^ neg) & d.body
	return int64((raw&d.low+raw>>(d.midShift&63)&d.mid*d.midMul+raw>>(d.shift&63)*d.mul)^neg) - int64(neg)
}
