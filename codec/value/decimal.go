package value

import (
	"math"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
)

// Decimal is an exact number: Coef × 10^-Scale, at most 65 digits, Scale in [0, 30].
type Decimal struct {
	Coef  decimal256.Num
	Scale int32
}

// MySQL's bounds of DECIMAL, and the words of nine digits that its binary forms are made of.
const (
	maxPrecision = 65
	maxScale     = 30
	wordDigits   = 9
	wordBase     = 1_000_000_000
)

func newDecimal(u uint256, neg bool, scale int) Decimal {
	return Decimal{Coef: u.num(neg), Scale: int32(scale)}
}

// DecimalFromInt64 gives scale 0.
func DecimalFromInt64(v int64) Decimal { return Decimal{Coef: decimal256.FromI64(v)} }

// DecimalFromUint64 gives scale 0.
func DecimalFromUint64(v uint64) Decimal { return Decimal{Coef: decimal256.FromU64(v)} }

// DecimalFromScaled is coef × 10^-scale, the value of a Decimal64 column.
func DecimalFromScaled(coef int64, scale int) Decimal {
	return Decimal{Coef: decimal256.FromI64(coef), Scale: int32(scale)}
}

// DecimalFromFloat64 gives the shortest decimal that reads back as v, as MySQL does. NaN, infinities and numbers of
// more than 65 digits are errors.
func DecimalFromFloat64(v float64) (Decimal, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Decimal{}, Errorf(CodeDataOutOfRange, "DECIMAL value is out of range in '%v'", v)
	}
	var buf [32]byte
	d, _, err := ParseDecimal(strconv.AppendFloat(buf[:0], v, 'e', -1, 64))
	return d, err
}

// MaxDecimal is the greatest value of DECIMAL(precision, scale), or the least if neg.
func MaxDecimal(precision, scale int, neg bool) Decimal {
	return newDecimal(pow10Wide[precision].sub(uint256{1}), neg, scale)
}

// Int64Coef is the coefficient if it fits 64 bits.
func (d Decimal) Int64Coef() (int64, bool) {
	w := d.Coef.Array()
	sign := uint64(int64(w[0]) >> 63)
	return int64(w[0]), w[1] == sign && w[2] == sign && w[3] == sign
}

// Coef128 is the coefficient if it fits 128 bits.
func (d Decimal) Coef128() (decimal128.Num, bool) {
	w := d.Coef.Array()
	sign := uint64(int64(w[1]) >> 63)
	return decimal128.New(int64(w[1]), w[0]), w[2] == sign && w[3] == sign
}

// IsZero reports whether d is 0.
func (d Decimal) IsZero() bool { return uint256(d.Coef.Array()).isZero() }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.IsZero():
		return 0
	case int64(d.Coef.Array()[3]) < 0:
		return -1
	default:
		return 1
	}
}

// Neg is -d.
func (d Decimal) Neg() Decimal { return Decimal{Coef: d.Coef.Negate(), Scale: d.Scale} }

// Abs is |d|.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Precision is the number of significant digits of d as it is written: at least its scale, and at least 1.
func (d Decimal) Precision() int {
	u, _ := magnitude(d.Coef)
	return max(u.digits(), int(d.Scale), 1)
}

// Rescale returns d with the given scale in [0, 30], rounding half away from zero. Where the wider scale would not fit 256 bits
// the result saturates; 65 digits and 30 more never occur in a column.
func (d Decimal) Rescale(scale int) Decimal {
	from := int(d.Scale)
	if from == scale {
		return d
	}
	u, neg := magnitude(d.Coef)
	if scale < from {
		return newDecimal(u.divPow10(from-scale, true), neg, scale)
	}
	wide, ok := u.mulPow10(scale - from)
	if !ok {
		wide = pow10Wide[len(pow10Wide)-1].sub(uint256{1})
	}
	return newDecimal(wide, neg, scale)
}

// Round rounds half away from zero at frac digits after the point, as ROUND does: a negative frac rounds before the
// point. The scale becomes frac where that is less, never more, and at least 0.
func (d Decimal) Round(frac int) Decimal { return d.cut(frac, true) }

// Truncate cuts at frac digits after the point, as TRUNCATE does.
func (d Decimal) Truncate(frac int) Decimal { return d.cut(frac, false) }

func (d Decimal) cut(frac int, round bool) Decimal {
	drop := int(d.Scale) - frac
	if drop <= 0 {
		return d
	}
	u, neg := magnitude(d.Coef)
	if drop > len(pow10Wide) {
		return Decimal{}
	}
	u = u.divPow10(drop, round)
	if frac < 0 {
		u, _ = u.mulPow10(-frac)
	}
	return newDecimal(u, neg, max(frac, 0))
}

// Ceil and Floor are the nearest integers above and below.
func (d Decimal) Ceil() Decimal { return d.Neg().Floor().Neg() }

// Floor is the greatest integer not above d.
func (d Decimal) Floor() Decimal {
	t := d.Truncate(0)
	if d.Sign() < 0 && t.Cmp(d) != 0 {
		t.Coef = t.Coef.Sub(decimal256.FromU64(1))
	}
	return t
}

// FitsIn reports whether d, already at scale, has at most precision digits.
func (d Decimal) FitsIn(precision, scale int) bool {
	if v, ok := d.Int64Coef(); ok && uint(precision) < uint(len(pow10Int64)) {
		return -pow10Int64[precision] < v && v < pow10Int64[precision]
	}
	u, _ := magnitude(d.Coef)
	switch {
	case precision >= len(pow10Wide):
		return true
	}
	return u.cmp(pow10Wide[max(precision, 0)]) < 0
}

// Int64 rounds to an integer; ok is false if it does not fit (v is then the nearest bound).
func (d Decimal) Int64() (v int64, ok bool) {
	u, neg := magnitude(d.Rescale(0).Coef)
	switch {
	case u.isSmall() && u[0] <= math.MaxInt64:
		if neg {
			return -int64(u[0]), true
		}
		return int64(u[0]), true
	case neg:
		return math.MinInt64, u.isSmall() && u[0] == 1<<63
	default:
		return math.MaxInt64, false
	}
}

// Uint64 rounds to an unsigned integer; ok is false if it does not fit (v is then the nearest bound).
func (d Decimal) Uint64() (v uint64, ok bool) {
	u, neg := magnitude(d.Rescale(0).Coef)
	switch {
	case neg:
		return 0, u.isZero()
	case u.isSmall():
		return u[0], true
	default:
		return math.MaxUint64, false
	}
}

// float10 holds the powers of ten that a float64 holds exactly.
var float10 = [23]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
	1e18, 1e19, 1e20, 1e21, 1e22}

// Float64 is the nearest float.
func (d Decimal) Float64() float64 {
	u, neg := magnitude(d.Coef)
	if u.isSmall() && u[0] < 1<<53 && int(d.Scale) < len(float10) {
		// Both operands are exact, so the one rounding of the division is the right one.
		f := float64(u[0]) / float10[d.Scale]
		if neg {
			return -f
		}
		return f
	}
	var buf [80]byte
	f, _ := strconv.ParseFloat(string(d.Append(buf[:0])), 64) // 65 digits never overflow a float
	return f
}

// Cmp compares values whatever their scales: -1, 0 or 1.
func (d Decimal) Cmp(o Decimal) int {
	if a, b := d.Sign(), o.Sign(); a != b || a == 0 {
		return sign(a - b)
	}
	u, neg := magnitude(d.Coef)
	v, _ := magnitude(o.Coef)
	c := cmpScaled(u, int(d.Scale), v, int(o.Scale))
	if neg {
		return -c
	}
	return c
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// cmpScaled compares u·10^-us with v·10^-vs.
func cmpScaled(u uint256, us int, v uint256, vs int) int {
	switch {
	case us == vs:
		return u.cmp(v)
	case us > vs:
		return -cmpScaled(v, vs, u, us)
	}
	wide, ok := u.mulPow10(vs - us)
	if !ok {
		return 1 // u·10^(vs-us) is beyond every coefficient
	}
	return wide.cmp(v)
}

func (d Decimal) String() string { return string(d.Append(nil)) }

// Append formats d with exactly Scale fraction digits.
func (d Decimal) Append(dst []byte) []byte {
	u, neg := magnitude(d.Coef)
	if neg {
		dst = append(dst, '-')
	}
	var buf [80]byte
	digits := appendDigits(buf[:0], u)
	scale := int(d.Scale)
	if len(digits) <= scale { // a zero before the point
		n := scale + 1 - len(digits)
		digits = append(digits, zeros[:n]...)
		copy(digits[n:], digits)
		copy(digits, zeros[:n])
	}
	point := len(digits) - scale
	dst = append(dst, digits[:point]...)
	if scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, digits[point:]...)
	}
	return dst
}

const zeros = "00000000000000000000000000000000"

// appendDigits appends the decimal digits of u.
func appendDigits(dst []byte, u uint256) []byte {
	if u.isSmall() {
		return strconv.AppendUint(dst, u[0], 10)
	}
	q, low := u.divSmall(tenTo19)
	dst = appendDigits(dst, q)
	var buf [20]byte
	part := strconv.AppendUint(buf[:0], low, 10)
	dst = append(dst, zeros[:19-len(part)]...)
	return append(dst, part...)
}
