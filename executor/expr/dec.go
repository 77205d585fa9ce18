package expr

import (
	"math/big"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// pow10 is 10^k for k in [0, 18].
func pow10(k int) int64 { return pow10s[k] }

var pow10s = func() (p [19]int64) {
	p[0] = 1
	for k := 1; k < len(p); k++ {
		p[k] = p[k-1] * 10
	}
	return p
}()

// wide10 is 10^k for k in [0, 76].
var wide10s = func() (p [77]decimal256.Num) {
	p[0] = decimal256.FromU64(1)
	for k := 1; k < len(p); k++ {
		p[k] = p[k-1].Mul(decimal256.FromU64(10))
	}
	return p
}()

// limit65 is 10^65, the first coefficient with too many digits.
var limit65 = wide10s[column.MaxPrecision]

// fits65 reports whether |x| has at most 65 digits.
func fits65(x decimal256.Num) bool {
	return cmp256(x, limit65) < 0 && cmp256(x, limit65.Negate()) > 0
}

// mul64 is the exact product of two signed words.
func mul64(a, b int64) decimal128.Num {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	hi -= uint64(a>>63&b) + uint64(b>>63&a)
	return decimal128.New(int64(hi), lo)
}

func add128(a, b decimal128.Num) decimal128.Num {
	lo, carry := bits.Add64(a.LowBits(), b.LowBits(), 0)
	return decimal128.New(a.HighBits()+b.HighBits()+int64(carry), lo)
}

func sub128(a, b decimal128.Num) decimal128.Num {
	lo, borrow := bits.Sub64(a.LowBits(), b.LowBits(), 0)
	return decimal128.New(a.HighBits()-b.HighBits()-int64(borrow), lo)
}

// small reports whether x survives in one word.
func small(x decimal128.Num) bool { return x.HighBits() == int64(x.LowBits())>>63 }

// add256 and sub256 wrap around; operands of at most 76 digits leave room for the sum.
func add256(a, b decimal256.Num) decimal256.Num {
	x, y := a.Array(), b.Array()
	var c uint64
	x[0], c = bits.Add64(x[0], y[0], 0)
	x[1], c = bits.Add64(x[1], y[1], c)
	x[2], c = bits.Add64(x[2], y[2], c)
	x[3], _ = bits.Add64(x[3], y[3], c)
	return decimal256.New(x[3], x[2], x[1], x[0])
}

func neg256(a decimal256.Num) decimal256.Num { return add256(not256(a), decimal256.FromU64(1)) }

func not256(a decimal256.Num) decimal256.Num {
	x := a.Array()
	return decimal256.New(^x[3], ^x[2], ^x[1], ^x[0])
}

func negative256(a decimal256.Num) bool { return int64(a.Array()[3]) < 0 }

func isZero256(a decimal256.Num) bool { return a.Array() == [4]uint64{} }

// mul256 is the product of two coefficients; ok is false if it has more than 65 digits.
func mul256(a, b decimal256.Num) (_ decimal256.Num, ok bool) {
	if x, fits := narrow64(a); fits {
		if y, fits := narrow64(b); fits {
			return widen128(mul64(x, y)), true
		}
	}
	if bitLen256(a)+bitLen256(b) > 255 {
		return decimal256.Num{}, false
	}
	p := a.Mul(b)
	return p, fits65(p)
}

// bitLen256 is the number of bits of |a|, at most one too many.
func bitLen256(a decimal256.Num) int {
	if negative256(a) {
		a = not256(a)
	}
	x := a.Array()
	for k := 3; k >= 0; k-- {
		if x[k] != 0 {
			return 64*k + bits.Len64(x[k])
		}
	}
	return 1
}

// alignScales brings two decimals to the larger of their scales; ok is false if one grows beyond 76 digits.
func alignScales(a, b value.Decimal) (x, y decimal256.Num, scale int, ok bool) {
	scale = int(max(a.Scale, b.Scale))
	x, okx := raise(a.Coef, scale-int(a.Scale))
	y, oky := raise(b.Coef, scale-int(b.Scale))
	return x, y, scale, okx && oky
}

// raise multiplies by 10^k.
func raise(x decimal256.Num, k int) (decimal256.Num, bool) {
	if k == 0 {
		return x, true
	}
	if bitLen256(x)+bitLen256(wide10s[k]) > 254 {
		return x, false
	}
	return x.Mul(wide10s[k]), true
}

func addDecimals(a, b value.Decimal) (value.Decimal, bool) {
	x, y, scale, ok := alignScales(a, b)
	return value.Decimal{Coef: add256(x, y), Scale: int32(scale)}, ok
}

func subDecimals(a, b value.Decimal) (value.Decimal, bool) {
	return addDecimals(a, value.Decimal{Coef: neg256(b.Coef), Scale: b.Scale})
}

// mulDecimals gives the product at no more than the given scale.
func mulDecimals(a, b value.Decimal, scale int) (value.Decimal, bool) {
	natural := int(a.Scale + b.Scale)
	if p, ok := mul256(a.Coef, b.Coef); ok && natural <= column.MaxScale {
		return value.Decimal{Coef: p, Scale: int32(natural)}, true
	}
	p := new(big.Int).Mul(bigOf(a.Coef), bigOf(b.Coef))
	if natural > scale {
		p, natural = roundBig(p, pow10Big(natural-scale)), scale
	}
	return decimalOfBig(p, natural)
}

// divDecimals divides to the given scale, rounding half away from zero. b is not zero.
func divDecimals(a, b value.Decimal, scale int) (value.Decimal, bool) {
	shift := scale + int(b.Scale) - int(a.Scale)
	if d, ok := divSmall(a, b, shift); ok {
		return value.Decimal{Coef: d, Scale: int32(scale)}, true
	}
	num, den := bigOf(a.Coef), bigOf(b.Coef)
	if shift >= 0 {
		num.Mul(num, pow10Big(shift))
	} else {
		den.Mul(den, pow10Big(-shift))
	}
	return decimalOfBig(roundBig(num, den), scale)
}

// divSmall divides where operands are single words and 10^shift is, too: 128 bits by 64.
func divSmall(a, b value.Decimal, shift int) (_ decimal256.Num, ok bool) {
	x, okx := narrow64(a.Coef)
	y, oky := narrow64(b.Coef)
	if !okx || !oky || shift < 0 || shift > 18 {
		return decimal256.Num{}, false
	}
	ux, uy := absWord(x), absWord(y)
	hi, lo := bits.Mul64(ux, uint64(pow10(shift)))
	if hi >= uy {
		return decimal256.Num{}, false
	}
	q, r := bits.Div64(hi, lo, uy)
	if r >= uy-r {
		q++
	}
	out := decimal256.FromU64(q)
	if (x < 0) != (y < 0) {
		out = neg256(out)
	}
	return out, true
}

func absWord(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// remDecimals is a - b·trunc(a/b), with the sign of a. b is not zero.
func remDecimals(a, b value.Decimal) value.Decimal {
	scale := max(a.Scale, b.Scale)
	x, y := scaledBig(a, scale), scaledBig(b, scale)
	return value.Decimal{Coef: decimal256.FromBigInt(x.Rem(x, y)), Scale: scale}
}

// quoDecimals is trunc(a/b).
func quoDecimals(a, b value.Decimal) *big.Int {
	scale := max(a.Scale, b.Scale)
	x, y := scaledBig(a, scale), scaledBig(b, scale)
	return x.Quo(x, y)
}

func scaledBig(d value.Decimal, scale int32) *big.Int {
	x := bigOf(d.Coef)
	if scale > d.Scale {
		x.Mul(x, pow10Big(int(scale-d.Scale)))
	}
	return x
}

func bigOf(x decimal256.Num) *big.Int { return x.BigInt() }

func pow10Big(k int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(k)), nil) }

// roundBig is num/den, rounded half away from zero.
func roundBig(num, den *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(num, den, new(big.Int))
	if r.Abs(r).Lsh(r, 1).CmpAbs(den) >= 0 {
		if num.Sign()*den.Sign() < 0 {
			return q.Sub(q, big.NewInt(1))
		}
		return q.Add(q, big.NewInt(1))
	}
	return q
}

func decimalOfBig(x *big.Int, scale int) (value.Decimal, bool) {
	if x.BitLen() > 250 {
		return value.Decimal{}, false
	}
	d := value.Decimal{Coef: decimal256.FromBigInt(x), Scale: int32(scale)}
	return d, fits65(d.Coef)
}

// negDecimal is -d.
func negDecimal(d value.Decimal) value.Decimal {
	return value.Decimal{Coef: neg256(d.Coef), Scale: d.Scale}
}

func decSign(d value.Decimal) int {
	switch {
	case isZero256(d.Coef):
		return 0
	case negative256(d.Coef):
		return -1
	default:
		return 1
	}
}

func absDecimal(d value.Decimal) value.Decimal {
	if negative256(d.Coef) {
		return negDecimal(d)
	}
	return d
}

// maxDecimal is the largest value of a precision and scale: all nines.
func maxDecimal(precision, scale int) value.Decimal {
	one := decimal256.FromU64(1)
	return value.Decimal{Coef: add256(wide10s[precision], neg256(one)), Scale: int32(scale)}
}
