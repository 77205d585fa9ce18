package value

import (
	"encoding/binary"
	"errors"
)

// errCorruptDecimal marks bytes that are not a decimal.
var errCorruptDecimal = errors.New("corrupt decimal")

// bytesOfDigits is the size of 0 to 9 leftover digits in the binary form.
var bytesOfDigits = [wordDigits + 1]uint8{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// decimalLayout is the shape of DECIMAL(precision, scale) in binary: a short leading word, full integer words, full
// fraction words, a short tail. Where all of it fits 8 bytes, fields cuts the value out of them in three
// multiplications: value = Σ (raw >> shift & mask) · mul; nine bytes, the most that 18 digits take, need a fourth.
type decimalLayout struct {
	size                   uint8 // bytes; 0 marks an invalid pair
	leadDigits, tailDigits uint8
	intWords, fracWords    uint8
	narrow                 bool  // at most 8 bytes
	signShift              uint8 // of the sign bit in raw
	fields                 [3]decimalField
	topMul                 uint64 // of the first byte where there are nine
}

type decimalField struct {
	shift uint8
	mask  uint64
	mul   uint64
}

// decimalLayouts is indexed by precision<<5 | scale.
var decimalLayouts = func() (t [(maxPrecision + 1) << 5]decimalLayout) {
	for p := 1; p <= maxPrecision; p++ {
		for s := 0; s <= min(p, maxScale); s++ {
			t[p<<5|s] = makeDecimalLayout(p, s)
		}
	}
	return t
}()

func makeDecimalLayout(precision, scale int) decimalLayout {
	l := decimalLayout{
		leadDigits: uint8((precision - scale) % wordDigits), intWords: uint8((precision - scale) / wordDigits),
		tailDigits: uint8(scale % wordDigits), fracWords: uint8(scale / wordDigits),
	}
	l.size = bytesOfDigits[l.leadDigits] + 4*(l.intWords+l.fracWords) + bytesOfDigits[l.tailDigits]
	if l.size > 9 {
		return l
	}
	l.narrow, l.signShift = l.size <= 8, min(l.size, 8)*8-1
	l.cutFields()
	return l
}

// cutFields fills fields from the last part to the first.
func (l *decimalLayout) cutFields() {
	n, shift, mul := 0, uint8(0), uint64(1)
	add := func(digits uint8) {
		size := bytesOfDigits[digits] * 8
		if size == 0 {
			return
		}
		if over := int(shift) + int(size) - 64; over > 0 { // the first byte of nine, which stands before the word
			l.topMul = mul << (size - 8)
			size -= uint8(over)
		}
		if size > 0 {
			l.fields[n] = decimalField{shift: shift, mask: 1<<size - 1, mul: mul}
			n++
		}
		shift, mul = shift+size, mul*uint64(pow10Int64[digits])
	}
	add(l.tailDigits)
	for range l.intWords + l.fracWords {
		add(wordDigits)
	}
	add(l.leadDigits)
}

func layoutOf(precision, scale byte) *decimalLayout {
	if precision > maxPrecision || scale > maxScale {
		return &decimalLayouts[0]
	}
	return &decimalLayouts[int(precision)<<5|int(scale)]
}

// AppendDecimalBinary appends precision u8, fraction u8 and MySQL's binary form: groups of nine digits as four bytes, big
// endian, the leftover digits of either side in as few bytes as they need, everything inverted if negative and the first
// bit flipped, so that bytes order as numbers do. d is rounded to scale; a value beyond precision is stored as the bound.
func AppendDecimalBinary(dst []byte, d Decimal, precision, scale int) []byte {
	d = d.Rescale(scale)
	u, neg := magnitude(d.Coef)
	if !d.FitsIn(precision, scale) {
		u = pow10Wide[precision].sub(uint256{1})
	}
	l := &decimalLayouts[precision<<5|scale]
	dst = append(dst, byte(precision), byte(scale))
	start := len(dst)
	dst = append(dst, zeros[:8]...)
	for len(dst) < start+int(l.size) {
		dst = append(dst, 0)
	}
	dst = dst[:start+int(l.size)]
	body := dst[start:]
	if u.isSmall() {
		putDecimalSmall(body, l, u[0])
	} else {
		putDecimalWide(body, l, u)
	}
	if neg {
		for i := range body {
			body[i] = ^body[i]
		}
	}
	body[0] ^= 0x80
	return dst
}

// putDecimalSmall fills body from its end.
func putDecimalSmall(body []byte, l *decimalLayout, v uint64) {
	if l.tailDigits > 0 {
		base := uint64(pow10Int64[l.tailDigits])
		body = putBack(body, uint32(v%base), bytesOfDigits[l.tailDigits])
		v /= base
	}
	for range l.fracWords + l.intWords {
		body = putBack(body, uint32(v%wordBase), 4)
		v /= wordBase
	}
	putBack(body, uint32(v), bytesOfDigits[l.leadDigits])
}

func putDecimalWide(body []byte, l *decimalLayout, u uint256) {
	var rem uint64
	if l.tailDigits > 0 {
		u, rem = u.divSmall(uint64(pow10Int64[l.tailDigits]))
		body = putBack(body, uint32(rem), bytesOfDigits[l.tailDigits])
	}
	for range l.fracWords + l.intWords {
		u, rem = u.divSmall(wordBase)
		body = putBack(body, uint32(rem), 4)
	}
	putBack(body, uint32(u[0]), bytesOfDigits[l.leadDigits])
}

// putBack writes v in size bytes at the end of b and returns what is before.
func putBack(b []byte, v uint32, size uint8) []byte {
	at := len(b) - int(size)
	for i := len(b) - 1; i >= at; i-- {
		b[i] = byte(v)
		v >>= 8
	}
	return b[:at]
}

// DecimalBinarySize is the number of bytes that AppendDecimalBinary wrote at the start of b, or 0 if b is corrupt.
func DecimalBinarySize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	size := layoutOf(b[0], b[1]).size
	if size == 0 || len(b) < 2+int(size) {
		return 0
	}
	return 2 + int(size)
}

// DecodeDecimalBinary reads what AppendDecimalBinary wrote and returns the rest of b.
func DecodeDecimalBinary(b []byte) (d Decimal, rest []byte, err error) {
	n := DecimalBinarySize(b)
	if n == 0 {
		return Decimal{}, nil, errCorruptDecimal
	}
	u, neg, ok := readDecimalWide(b[2:n], layoutOf(b[0], b[1]))
	if !ok {
		return Decimal{}, nil, errCorruptDecimal
	}
	return newDecimal(u, neg, int(b[1])), b[n:], nil
}

func readDecimalWide(body []byte, l *decimalLayout) (u uint256, neg, ok bool) {
	invert := uint32(0)
	if neg = body[0]&0x80 == 0; neg {
		invert = ^uint32(0)
	}
	first := byte(0x80)
	take := func(digits uint8) {
		size := bytesOfDigits[digits]
		if size == 0 {
			return
		}
		var w uint32
		for _, c := range body[:size] {
			w = w<<8 | uint32(c^first)
			first = 0
		}
		body = body[size:]
		w = (w ^ invert) & (1<<(8*size) - 1)
		ok = ok && w < uint32(pow10Int64[digits])
		u, _ = u.mulSmall(uint64(pow10Int64[digits]))
		u = u.addSmall(uint64(w))
	}
	ok = true
	take(l.leadDigits)
	for range l.intWords + l.fracWords {
		take(wordDigits)
	}
	take(l.tailDigits)
	return u, neg, ok
}

// DecodeDecimalInt64 is DecodeDecimalBinary for values of at most 18 digits, brought to the given scale, without
// going through 256 bits: the hot path of row decoding. n is the number of bytes read. ok is false if the value does
// not fit or the bytes are corrupt.
func DecodeDecimalInt64(b []byte, scale int) (v int64, n int, ok bool) {
	if len(b) < 3 || b[0] > maxPrecision || b[1] > maxScale {
		return 0, 0, false
	}
	l := &decimalLayouts[int(b[0])<<5|int(b[1])]
	n = 2 + int(l.size)
	switch {
	case len(b) < n:
		return 0, 0, false
	case l.narrow:
		v = l.narrowValue(loadBody(b, int(l.size)))
	case l.size == 9 && b[0] <= 18:
		sign := int64(int8(b[2])>>7) ^ -1
		u := l.cut(binary.BigEndian.Uint64(b[3:])^uint64(sign)) + uint64(b[2]^0x80^byte(sign))*l.topMul
		v = (int64(u) ^ sign) - sign
	default:
		return decodeDecimalInt64Slow(b, scale)
	}
	if int(b[1]) == scale {
		return v, n, true
	}
	v, ok = rescaleInt64(v, int(b[1]), scale)
	return v, n, ok
}

// narrowValue is the coefficient in the body raw, as a number, of a narrow layout.
func (l *decimalLayout) narrowValue(raw uint64) int64 {
	raw ^= 1 << (l.signShift & 63)
	sign := -int64(raw >> (l.signShift & 63) & 1) // all ones if negative
	return (int64(l.cut(raw^uint64(sign))) ^ sign) - sign
}

// cut adds up the fields of raw, a magnitude without its sign bit.
func (l *decimalLayout) cut(raw uint64) uint64 {
	f := &l.fields
	return raw>>(f[0].shift&63)&f[0].mask*f[0].mul + raw>>(f[1].shift&63)&f[1].mask*f[1].mul +
		raw>>(f[2].shift&63)&f[2].mask*f[2].mul
}

// loadBody reads the size bytes, 1 to 8, behind the two of the header as a number: with one load that reaches back into the header
// or on behind the value where there are eight bytes in all.
func loadBody(b []byte, size int) uint64 {
	if end := 2 + size; end >= 8 {
		return binary.BigEndian.Uint64(b[end-8:]) & (1<<(8*size) - 1)
	}
	if len(b) >= 10 {
		return binary.BigEndian.Uint64(b[2:]) >> (64 - 8*size)
	}
	var v uint64
	for _, c := range b[2 : 2+size] {
		v = v<<8 | uint64(c)
	}
	return v
}

func decodeDecimalInt64Slow(b []byte, scale int) (v int64, n int, ok bool) {
	d, rest, err := DecodeDecimalBinary(b)
	if err != nil || scale < 0 || scale > maxScale {
		return 0, 0, false
	}
	v, ok = d.Rescale(scale).Int64Coef()
	return v, len(b) - len(rest), ok && v > -tenTo18 && v < tenTo18
}

const tenTo18 = 1_000_000_000_000_000_000

// rescaleInt64 changes the scale of a coefficient, rounding half away from zero; ok is false beyond 18 digits.
func rescaleInt64(v int64, from, to int) (int64, bool) {
	if to >= from {
		v, ok := scaleInt64(v, to-from)
		return v, ok && v > -tenTo18 && v < tenTo18
	}
	if from-to > 18 {
		return 0, true
	}
	p := pow10Int64[from-to]
	q, rem := v/p, v%p
	switch {
	case rem >= p-rem:
		q++
	case -rem >= p+rem:
		q--
	}
	return q, true
}
