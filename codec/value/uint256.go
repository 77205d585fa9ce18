package value

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/decimal256"
)

// uint256 is the magnitude of a decimal coefficient, least significant word first.
type uint256 [4]uint64

const (
	tenTo19 = 10_000_000_000_000_000_000
)

var pow10Int64 = [19]int64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// pow10Wide holds the powers of ten up to 10^76, the largest whose negation fits 256 bits in two's complement.
var pow10Wide = func() (t [77]uint256) {
	t[0] = uint256{1}
	for i := 1; i < len(t); i++ {
		t[i], _ = t[i-1].mulSmall(10)
	}
	return t
}()

// Pow10Int64 is 10^n for n in [0, 18].
func Pow10Int64(n int) int64 { return pow10Int64[n] }

// Pow10Decimal256 is 10^n for n in [0, 76].
func Pow10Decimal256(n int) decimal256.Num { return pow10Wide[n].num(false) }

// magnitude splits a two's complement number into sign and absolute value.
func magnitude(n decimal256.Num) (u uint256, neg bool) {
	u = n.Array()
	if int64(u[3]) >= 0 {
		return u, false
	}
	return u.negate(), true
}

func (u uint256) negate() uint256 {
	var borrow uint64
	for i := range u {
		u[i], borrow = bits.Sub64(0, u[i], borrow)
	}
	return u
}

func (u uint256) num(neg bool) decimal256.Num {
	if neg {
		u = u.negate()
	}
	return decimal256.New(u[3], u[2], u[1], u[0])
}

func (u uint256) isZero() bool { return u[0]|u[1]|u[2]|u[3] == 0 }

// isSmall reports whether u fits one word.
func (u uint256) isSmall() bool { return u[1]|u[2]|u[3] == 0 }

func (u uint256) cmp(v uint256) int {
	for i := 3; i >= 0; i-- {
		switch {
		case u[i] < v[i]:
			return -1
		case u[i] > v[i]:
			return 1
		}
	}
	return 0
}

func (u uint256) add(v uint256) (sum uint256, carry uint64) {
	for i := range u {
		sum[i], carry = bits.Add64(u[i], v[i], carry)
	}
	return sum, carry
}

func (u uint256) sub(v uint256) (diff uint256) {
	var borrow uint64
	for i := range u {
		diff[i], borrow = bits.Sub64(u[i], v[i], borrow)
	}
	return diff
}

// mulSmall returns u·m and what did not fit.
func (u uint256) mulSmall(m uint64) (product uint256, carry uint64) {
	for i := range u {
		hi, lo := bits.Mul64(u[i], m)
		var c uint64
		product[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return product, carry
}

// addSmall returns u+v, which must fit.
func (u uint256) addSmall(v uint64) uint256 {
	for i := range u {
		u[i], v = bits.Add64(u[i], v, 0)
	}
	return u
}

func (u uint256) divSmall(d uint64) (quotient uint256, rem uint64) {
	for i := 3; i >= 0; i-- {
		quotient[i], rem = bits.Div64(rem, u[i], d)
	}
	return quotient, rem
}

// mulPow10 returns u·10^n; ok is false if that is 2^255 or more.
func (u uint256) mulPow10(n int) (product uint256, ok bool) {
	var lost uint64
	for ; n > 0; n -= 18 {
		var carry uint64
		u, carry = u.mulSmall(uint64(pow10Int64[min(n, 18)]))
		lost |= carry
	}
	return u, lost == 0 && int64(u[3]) >= 0
}

// divPow10 returns u/10^n, rounded half up or truncated.
func (u uint256) divPow10(n int, round bool) uint256 {
	if n <= 0 {
		return u
	}
	// All digits but the last one to drop may be cut off without looking: only the last decides the rounding.
	for cut := n - 1; cut > 0; cut -= 18 {
		u, _ = u.divSmall(uint64(pow10Int64[min(cut, 18)]))
	}
	u, last := u.divSmall(10)
	if round && last >= 5 {
		return u.addSmall(1)
	}
	return u
}

// digits is the number of decimal digits of u, 0 for zero.
func (u uint256) digits() int {
	lo, hi := 0, len(pow10Wide)
	for lo < hi {
		mid := (lo + hi) / 2
		if u.cmp(pow10Wide[mid]) >= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// mul returns the full product of u and v.
func (u uint256) mul(v uint256) (p [8]uint64) {
	for i, x := range u {
		if x == 0 {
			continue
		}
		var carry uint64
		for j, y := range v {
			hi, lo := bits.Mul64(x, y)
			var c uint64
			lo, c = bits.Add64(lo, carry, 0)
			hi += c
			p[i+j], c = bits.Add64(p[i+j], lo, 0)
			carry = hi + c
		}
		p[i+4] = carry
	}
	return p
}
