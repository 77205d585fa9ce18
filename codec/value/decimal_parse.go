package value

// ParseDecimal reads a decimal literal with optional sign, fraction and exponent. It returns the value and whether
// the whole input was used (false: trailing garbage, value of the valid prefix). Spaces around it do not count. Digits beyond
// 30 after the point, or beyond 65 in all, are rounded away. An error is an overflow: more than 65 digits before the
// point; the value is then the greatest of its sign.
func ParseDecimal(s []byte) (d Decimal, whole bool, err error) {
	lit := scanNumber(s)
	if !lit.any {
		return Decimal{}, false, nil
	}
	d, ok := lit.decimal()
	if !ok {
		err = Errorf(CodeDataOutOfRange, "DECIMAL value is out of range in '%s'", clip(s))
	}
	return d, lit.whole, err
}

// clip bounds the input that an error message quotes.
func clip(s []byte) []byte {
	const most = 128
	if len(s) > most {
		return s[:most]
	}
	return s
}

// numberLiteral is a scanned number: the digits of Int and Frac, one after the other, times 10^(exp-len(Frac)).
type numberLiteral struct {
	neg, any, whole bool
	integer, frac   []byte // integer has no leading zeros
	exp             int
}

// maxExponent bounds exponents so that sums with digit counts cannot overflow.
const maxExponent = 1 << 20

func scanNumber(s []byte) (lit numberLiteral) {
	i := skipSpaces(s, 0)
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		lit.neg = s[i] == '-'
		i++
	}
	start := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	lit.integer = s[start:i]
	if i < len(s) && s[i] == '.' {
		start = i + 1
		for i++; i < len(s) && isDigit(s[i]); i++ {
		}
		lit.frac = s[start:i]
	}
	lit.any = len(lit.integer)+len(lit.frac) > 0
	for len(lit.integer) > 0 && lit.integer[0] == '0' {
		lit.integer = lit.integer[1:]
	}
	if lit.any {
		lit.exp, i = scanExponent(s, i)
	}
	lit.whole = skipSpaces(s, i) == len(s)
	return lit
}

// scanExponent reads "e+12" at i, or nothing, and returns where it ends.
func scanExponent(s []byte, i int) (exp, end int) {
	j := i
	if j >= len(s) || s[j]|0x20 != 'e' {
		return 0, i
	}
	neg := false
	if j++; j < len(s) && (s[j] == '+' || s[j] == '-') {
		neg = s[j] == '-'
		j++
	}
	if j >= len(s) || !isDigit(s[j]) {
		return 0, i
	}
	for ; j < len(s) && isDigit(s[j]); j++ {
		exp = min(exp*10+int(s[j]-'0'), maxExponent)
	}
	if neg {
		exp = -exp
	}
	return exp, j
}

// decimal rounds the literal to what a Decimal holds.
func (lit *numberLiteral) decimal() (Decimal, bool) {
	all := len(lit.integer) + len(lit.frac)
	before := len(lit.integer) + lit.exp // digits before the point
	if lit.isZero() {
		return Decimal{Scale: int32(min(max(len(lit.frac)-lit.exp, 0), maxScale))}, true
	}
	if len(lit.integer) == 0 {
		before -= leadingZeros(lit.frac)
	}
	if before > maxPrecision {
		return MaxDecimal(maxPrecision, 0, lit.neg), false
	}
	scale := min(max(len(lit.frac)-lit.exp, 0), maxScale, maxPrecision-max(before, 0))
	keep := all - (len(lit.frac) - lit.exp - scale) // digits of the literal that stay; may exceed all
	u := lit.digits(keep)
	if u.cmp(pow10Wide[maxPrecision]) >= 0 { // rounded up to one digit more
		if scale == 0 {
			return MaxDecimal(maxPrecision, 0, lit.neg), false
		}
		u, scale = u.divPow10(1, true), scale-1
	}
	return newDecimal(u, lit.neg, scale), true
}

func (lit *numberLiteral) isZero() bool {
	return len(lit.integer) == 0 && leadingZeros(lit.frac) == len(lit.frac)
}

func leadingZeros(s []byte) (n int) {
	for n < len(s) && s[n] == '0' {
		n++
	}
	return n
}

// digits reads the first keep digits and rounds by the next; missing ones are zeros.
func (lit *numberLiteral) digits(keep int) (u uint256) {
	if keep < 0 {
		return u
	}
	fromInt := min(keep, len(lit.integer))
	fromFrac := min(keep-fromInt, len(lit.frac))
	u = appendParsed(u, lit.integer[:fromInt])
	u = appendParsed(u, lit.frac[:fromFrac])
	u, _ = u.mulPow10(keep - fromInt - fromFrac)
	next := byte('0')
	switch {
	case fromInt < len(lit.integer):
		next = lit.integer[fromInt]
	case keep == fromInt+fromFrac && fromFrac < len(lit.frac):
		next = lit.frac[fromFrac]
	}
	if next >= '5' {
		u = u.addSmall(1)
	}
	return u
}

// appendParsed reads digits behind those of u, up to 18 at a time.
func appendParsed(u uint256, digits []byte) uint256 {
	for len(digits) > 0 {
		n := min(len(digits), 18)
		var v uint64
		for _, c := range digits[:n] {
			v = v*10 + uint64(c-'0')
		}
		u, _ = u.mulSmall(uint64(pow10Int64[n]))
		u = u.addSmall(v)
		digits = digits[n:]
	}
	return u
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isSpace(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

func skipSpaces(s []byte, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}
