package chunk

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal256"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// A decimal cell is
//
//	integer digits u8 | fraction digits u8 | result fraction digits u8 | negative u8 | 9 words u32
//
// with 9 decimal digits a word: first those of the integer part, filled from the right, so that the first word may have
// fewer digits; then those of the fraction, filled from the left, so that the last word ends in zeros.
const (
	decimalWords = 9
	decimalSize  = 4 + 4*decimalWords
	wordDigits   = 9
	wordBase     = 1_000_000_000
)

var pow10 = [...]uint64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, wordBase}

func appendDecimals(dst []byte, a arrow.Array, b column.Batch, scale int) ([]byte, error) {
	valid := column.NullBits(a)
	var zero [decimalSize]byte
	small, _ := a.(*array.Int64)
	for i := range b.Len() {
		r := b.Row(i)
		dst = append(dst, zero[:]...)
		if !column.IsValid(valid, r) {
			continue
		}
		if small != nil && scale <= maxSmallScale {
			putSmallDecimal(dst[len(dst)-decimalSize:], small.Value(r), scale)
			continue
		}
		if !putDecimal(dst[len(dst)-decimalSize:], column.CoefAt(a, r), scale) {
			return nil, fmt.Errorf("chunk: a decimal of scale %d is too wide for its cell", scale)
		}
	}
	return dst, nil
}

// maxSmallScale is the scale up to which the fraction is one word.
const maxSmallScale = wordDigits

// putSmallDecimal is putDecimal for 64 bits.
func putSmallDecimal(cell []byte, coef int64, scale int) {
	mag := uint64(coef)
	if coef < 0 {
		mag, cell[3] = -mag, 1
	}
	integer, frac := mag/pow10[scale], mag%pow10[scale]
	var words [3]uint32 // of the integer part, from the least significant
	n := 0
	for ; integer > 0; integer /= wordBase {
		words[n] = uint32(integer % wordBase)
		n++
	}
	intDigits, at := 0, 4
	if n > 0 {
		intDigits = (n-1)*wordDigits + digitCount(words[n-1])
	} else if scale == 0 {
		intDigits = 1
	}
	for ; n > 0; n-- {
		binary.LittleEndian.PutUint32(cell[at:], words[n-1])
		at += 4
	}
	if scale > 0 {
		binary.LittleEndian.PutUint32(cell[at:], uint32(frac*pow10[wordDigits-scale]))
	}
	cell[0], cell[1], cell[2] = byte(intDigits), byte(scale), byte(scale)
}

// putDecimal fills a zeroed cell; ok is false if the number has too many digits for it.
func putDecimal(cell []byte, coef decimal256.Num, scale int) (ok bool) {
	mag, negative := magnitude(coef)
	fracWords := (scale + wordDigits - 1) / wordDigits
	if pad := fracWords*wordDigits - scale; !mag.mulAdd(pow10[pad], 0) {
		return false
	}
	var words [decimalWords + 1]uint32 // from the least significant
	n := 0
	for ; n < fracWords || !mag.isZero(); n++ {
		if n == decimalWords {
			return false
		}
		words[n] = uint32(mag.div(wordBase))
	}
	intDigits := 0
	if n > fracWords {
		intDigits = (n-fracWords-1)*wordDigits + digitCount(words[n-1])
	} else if scale == 0 {
		intDigits = 1 // zero
	}
	cell[0], cell[1], cell[2] = byte(intDigits), byte(scale), byte(scale)
	if negative {
		cell[3] = 1
	}
	if n == 0 {
		n = 1
	}
	for i := range n {
		binary.LittleEndian.PutUint32(cell[4+4*i:], words[n-1-i])
	}
	return true
}

func digitCount(w uint32) int {
	n := 1
	for n < wordDigits && uint64(w) >= pow10[n] {
		n++
	}
	return n
}

// getDecimal reads a cell.
func getDecimal(cell []byte) (value.Decimal, error) {
	intDigits, frac := int(cell[0]), int(cell[1])
	intWords, fracWords := (intDigits+wordDigits-1)/wordDigits, (frac+wordDigits-1)/wordDigits
	if intWords+fracWords > decimalWords || frac > column.MaxScale || intDigits+frac > decimalWords*wordDigits {
		return value.Decimal{}, fmt.Errorf("%w: a decimal of %d+%d digits", ErrInvalid, intDigits, frac)
	}
	var mag uint256
	for i := range intWords + fracWords {
		w := binary.LittleEndian.Uint32(cell[4+4*i:])
		if w >= wordBase || !mag.mulAdd(wordBase, uint64(w)) {
			return value.Decimal{}, fmt.Errorf("%w: a decimal's word %d", ErrInvalid, w)
		}
	}
	mag.div(pow10[fracWords*wordDigits-frac])
	if mag[3]>>63 != 0 {
		return value.Decimal{}, fmt.Errorf("%w: a decimal of more than 255 bits", ErrInvalid)
	}
	coef := decimal256.New(mag[3], mag[2], mag[1], mag[0])
	if cell[3] != 0 {
		coef = coef.Negate()
	}
	d := value.Decimal{Coef: coef, Scale: int32(frac)}
	if !d.FitsIn(column.MaxPrecision, frac) {
		return value.Decimal{}, fmt.Errorf("%w: a decimal of more than %d digits", ErrInvalid, column.MaxPrecision)
	}
	return d, nil
}

// uint256 is an unsigned number, least significant limb first.
type uint256 [4]uint64

func magnitude(c decimal256.Num) (mag uint256, negative bool) {
	if c.Sign() < 0 {
		return c.Negate().Array(), true
	}
	return c.Array(), false
}

func (u *uint256) isZero() bool { return u[0]|u[1]|u[2]|u[3] == 0 }

// mulAdd sets u to u·m + add; ok is false on overflow.
func (u *uint256) mulAdd(m, add uint64) (ok bool) {
	carry := add
	for i, limb := range u {
		hi, lo := bits.Mul64(limb, m)
		var c uint64
		u[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return carry == 0
}

// div sets u to u / d and returns the remainder.
func (u *uint256) div(d uint64) (rem uint64) {
	for i := len(u) - 1; i >= 0; i-- {
		if u[i]|rem != 0 {
			u[i], rem = bits.Div64(rem, u[i], d)
		}
	}
	return rem
}
