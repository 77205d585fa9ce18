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
func pow10(k int) int64 { return value.Pow10Int64(k) }

// limit65 is 10^65, the first coefficient with too many digits, and floor65 its negative.
var (
	limit65 = value.Pow10Decimal256(column.MaxPrecision)
	floor65 = limit65.Negate()
)

// fits65 reports whether |x| has at most 65 digits.
func fits65(x decimal256.Num) bool { return cmp256(x, limit65) < 0 && cmp256(x, floor65) > 0 }

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

func negative256(a decimal256.Num) bool { return int64(a.Array()[3]) < 0 }

func isZero256(a decimal256.Num) bool { return a.Array() == [4]uint64{} }

// divide is a / b at the given scale. b is not zero.
func divide(a, b value.Decimal, scale int) (value.Decimal, error) {
	if q, ok := divideSmall(a, b, scale); ok {
		return q, nil
	}
	return a.Div(b, max(scale-int(a.Scale), 0))
}

// divideSmall divides where operands and the power of ten between them are single words: 128 bits by 64. MySQL cuts
// the quotient after whole words of nine digits and then rounds; that is plain rounding unless the scale ends with a word.
func divideSmall(a, b value.Decimal, scale int) (_ value.Decimal, ok bool) {
	shift := scale + int(b.Scale) - int(a.Scale)
	x, okx := narrow64(a.Coef)
	y, oky := narrow64(b.Coef)
	if !okx || !oky || scale%9 == 0 || shift < 0 || shift > 18 {
		return value.Decimal{}, false
	}
	den := absWord(y)
	hi, lo := bits.Mul64(absWord(x), uint64(pow10(shift)))
	if hi >= den {
		return value.Decimal{}, false
	}
	q, r := bits.Div64(hi, lo, den)
	if r >= den-r {
		q++
	}
	out := value.Decimal{Coef: decimal256.FromU64(q), Scale: int32(scale)}
	if (x < 0) != (y < 0) {
		out = out.Neg()
	}
	return out, true
}

func absWord(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

func scaledBig(d value.Decimal, scale int32) *big.Int {
	x := d.Coef.BigInt()
	if scale > d.Scale {
		x.Mul(x, pow10Big(int(scale-d.Scale)))
	}
	return x
}

// pow10Big is 10^k.
func pow10Big(k int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(k)), nil) }
