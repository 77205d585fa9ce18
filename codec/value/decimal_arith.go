package value

import (
	"math/big"
	"math/bits"
)

// ErrDecimalOverflow is the outcome of arithmetic beyond 65 digits.
var ErrDecimalOverflow = Errorf(CodeDataOutOfRange, "DECIMAL value is out of range")

// ErrDivisionByZero is the outcome of a division or modulus by zero; SQL makes NULL and a warning of it.
var ErrDivisionByZero = Errorf(CodeDivisionByZero, "Division by 0")

// Add is d + o with the greater of both scales.
func (d Decimal) Add(o Decimal) (Decimal, error) {
	if a, b, scale, ok := smallAligned(d, o); ok {
		if sum := a + b; (sum > a) == (b > 0) {
			return DecimalFromScaled(sum, scale), nil
		}
	}
	u, v, neg, oneg, scale, ok := aligned(d, o)
	if !ok {
		return Decimal{}, ErrDecimalOverflow
	}
	switch {
	case neg == oneg:
		u, _ = u.add(v)
	case u.cmp(v) >= 0:
		u = u.sub(v)
	default:
		u, neg = v.sub(u), oneg
	}
	return bounded(u, neg, scale)
}

// Sub is d - o with the greater of both scales.
func (d Decimal) Sub(o Decimal) (Decimal, error) { return d.Add(o.Neg()) }

// smallAligned brings both to one scale in 64 bits.
func smallAligned(d, o Decimal) (a, b int64, scale int, ok bool) {
	a, aok := d.Int64Coef()
	b, bok := o.Int64Coef()
	if !aok || !bok {
		return 0, 0, 0, false
	}
	switch diff := int(d.Scale - o.Scale); {
	case diff == 0:
		return a, b, int(d.Scale), true
	case diff > 0:
		b, ok = scaleInt64(b, diff)
		return a, b, int(d.Scale), ok
	default:
		a, ok = scaleInt64(a, -diff)
		return a, b, int(o.Scale), ok
	}
}

// scaleInt64 is v·10^n; ok is false on overflow.
func scaleInt64(v int64, n int) (int64, bool) {
	if n >= len(pow10Int64) {
		return 0, v == 0
	}
	neg, u := v < 0, uint64(v)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(pow10Int64[n]))
	if hi != 0 || lo >= 1<<63 {
		return 0, false
	}
	if neg {
		return -int64(lo), true
	}
	return int64(lo), true
}

func aligned(d, o Decimal) (u, v uint256, neg, oneg bool, scale int, ok bool) {
	u, neg = magnitude(d.Coef)
	v, oneg = magnitude(o.Coef)
	uok, vok := true, true
	scale = int(max(d.Scale, o.Scale))
	u, uok = u.mulPow10(scale - int(d.Scale))
	v, vok = v.mulPow10(scale - int(o.Scale))
	return u, v, neg, oneg, scale, uok && vok
}

// bounded checks a result against 65 digits. A longer one gives up fraction digits first, as MySQL does.
func bounded(u uint256, neg bool, scale int) (Decimal, error) {
	if over := u.digits() - maxPrecision; over > 0 {
		if over > scale {
			return MaxDecimal(maxPrecision, 0, neg), ErrDecimalOverflow
		}
		u, scale = u.divPow10(over, true), scale-over
	}
	return newDecimal(u, neg, scale), nil
}

// Mul is d · o with the sum of both scales, at most 30 (rounded).
func (d Decimal) Mul(o Decimal) (Decimal, error) {
	scale := int(d.Scale + o.Scale)
	if a, ok := d.Int64Coef(); ok && scale <= maxScale {
		if b, ok := o.Int64Coef(); ok {
			if p, ok := mulInt64(a, b); ok {
				return DecimalFromScaled(p, scale), nil
			}
		}
	}
	u, neg := magnitude(d.Coef)
	v, oneg := magnitude(o.Coef)
	neg = neg != oneg
	product := u.mul(v)
	drop := max(scale-maxScale, 0)
	for ; product[4]|product[5]|product[6]|product[7] != 0 || product[3]>>62 != 0; drop-- {
		if scale == 0 {
			return MaxDecimal(maxPrecision, 0, neg), ErrDecimalOverflow
		}
		product, scale = div512By10(product), scale-1
	}
	w := uint256{product[0], product[1], product[2], product[3]}
	if drop > 0 {
		w, scale = w.divPow10(drop, true), scale-drop
	}
	return bounded(w, neg, scale)
}

func mulInt64(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	p := a * b
	return p, p/b == a && !(a == -1 && b == -1<<63) && !(b == -1 && a == -1<<63)
}

// div512By10 cuts the last digit off a product that is far too long for its exact value to matter.
func div512By10(p [8]uint64) (q [8]uint64) {
	var rem uint64
	for i := len(p) - 1; i >= 0; i-- {
		q[i], rem = bits.Div64(rem, p[i], 10)
	}
	return q
}

// Div is d / o with incr more fraction digits than d has (div_precision_increment), at most 30. MySQL computes the
// quotient in whole words of nine digits, cuts it there and then rounds to the scale; this does the same, so
// 2.00000/3 is 0.666666666 and not ...7.
func (d Decimal) Div(o Decimal, incr int) (Decimal, error) {
	if o.IsZero() {
		return Decimal{}, ErrDivisionByZero
	}
	u, neg := magnitude(d.Coef)
	v, oneg := magnitude(o.Coef)
	scale := min(int(d.Scale)+incr, maxScale)
	// Rounding looks at one digit only, so no more than one of those beyond the scale is needed.
	work := min(max(QuotientDigits(int(d.Scale), int(o.Scale), incr), scale), scale+1)
	q, ok := divScaled(u, work-int(d.Scale)+int(o.Scale), v)
	if !ok {
		return MaxDecimal(maxPrecision, 0, neg != oneg), ErrDecimalOverflow
	}
	return bounded(q.divPow10(work-scale, true), neg != oneg, scale)
}

// QuotientDigits is the number of fraction digits to which MySQL divides numbers of scale by numbers of oscale digits,
// before it rounds what is shown to scale + incr.
func QuotientDigits(scale, oscale, incr int) int {
	w1, w2 := words(scale)*wordDigits, words(oscale)*wordDigits
	more := max(incr-(w1-scale)-(w2-oscale), 0)
	return words(w1+w2+more) * wordDigits
}

// words is the number of nine-digit words for n digits.
func words(n int) int { return (n + wordDigits - 1) / wordDigits }

// divScaled is u·10^shift / v, truncated; shift may be negative. ok is false if it needs more than 255 bits.
func divScaled(u uint256, shift int, v uint256) (q uint256, ok bool) {
	if shift < 0 {
		v, ok = v.mulPow10(-shift)
		if !ok {
			return uint256{}, true // the divisor is beyond every dividend
		}
		shift = 0
	}
	if wide, ok := u.mulPow10(shift); ok {
		return wide.quo(v)
	}
	n := new(big.Int).Mul(u.big(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), nil))
	return fromBig(n.Quo(n, v.big()))
}

// quo is u / v, truncated.
func (u uint256) quo(v uint256) (uint256, bool) {
	switch {
	case v.isSmall():
		q, _ := u.divSmall(v[0])
		return q, true
	case u.cmp(v) < 0:
		return uint256{}, true
	}
	n := u.big()
	return fromBig(n.Quo(n, v.big()))
}

func (u uint256) big() *big.Int {
	var b [32]byte
	for i, w := range u {
		for j := range 8 {
			b[31-8*i-j] = byte(w >> (8 * j))
		}
	}
	return new(big.Int).SetBytes(b[:])
}

func fromBig(n *big.Int) (u uint256, ok bool) {
	if n.BitLen() > 255 {
		return uint256{}, false
	}
	var b [32]byte
	n.FillBytes(b[:])
	for i := range u {
		for j := range 8 {
			u[i] |= uint64(b[31-8*i-j]) << (8 * j)
		}
	}
	return u, true
}

// IntDiv is d DIV o: the quotient cut to an integer.
func (d Decimal) IntDiv(o Decimal) (Decimal, error) {
	if o.IsZero() {
		return Decimal{}, ErrDivisionByZero
	}
	u, neg := magnitude(d.Coef)
	v, oneg := magnitude(o.Coef)
	q, ok := divScaled(u, int(o.Scale-d.Scale), v)
	if !ok {
		return MaxDecimal(maxPrecision, 0, neg != oneg), ErrDecimalOverflow
	}
	return bounded(q, neg != oneg, 0)
}

// Mod is the remainder of d / o with the sign of d and the greater of both scales.
func (d Decimal) Mod(o Decimal) (Decimal, error) {
	if o.IsZero() {
		return Decimal{}, ErrDivisionByZero
	}
	if a, b, scale, ok := smallAligned(d, o); ok && b != -1 {
		return DecimalFromScaled(a%b, scale), nil
	}
	u, v, neg, _, scale, ok := aligned(d, o)
	if !ok {
		return modBig(d, o)
	}
	q, _ := u.quo(v)
	p := q.mul(v)
	return newDecimal(u.sub(uint256{p[0], p[1], p[2], p[3]}), neg, scale), nil
}

// modBig is Mod where bringing both to one scale needs more than 256 bits.
func modBig(d, o Decimal) (Decimal, error) {
	scale := max(d.Scale, o.Scale)
	u, neg := magnitude(d.Coef)
	v, _ := magnitude(o.Coef)
	a, b := bigScaled(u, int(scale-d.Scale)), bigScaled(v, int(scale-o.Scale))
	r, ok := fromBig(a.Rem(a, b))
	if !ok {
		return Decimal{}, ErrDecimalOverflow
	}
	return bounded(r, neg, int(scale))
}

func bigScaled(u uint256, shift int) *big.Int {
	n := u.big()
	return n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), nil))
}
