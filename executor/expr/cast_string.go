package expr

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// castFromStrings has the casts of strings. ENUM and SET become numbers by their number, not by their name.
func castFromStrings() functions {
	return functions{
		tipb.ScalarFuncSig_CastStringAsInt:      {spec: "x:i", build: castString(castStringAsInt, castIntAsInt)},
		tipb.ScalarFuncSig_CastStringAsReal:     {spec: "x:r", build: castString(castStringAsReal, castIntAsReal)},
		tipb.ScalarFuncSig_CastStringAsDecimal:  {spec: "x:d", build: castString(castStringAsDecimal, castIntAsDecimal)},
		tipb.ScalarFuncSig_CastStringAsString:   {spec: "s:s", row: castStringAsString},
		tipb.ScalarFuncSig_CastStringAsTime:     {spec: "s:t", row: castStringAsTime},
		tipb.ScalarFuncSig_CastStringAsDuration: {spec: "s:u", row: castStringAsDuration},
		tipb.ScalarFuncSig_ToBinary:             {spec: "s:s", row: copyString},
		tipb.ScalarFuncSig_FromBinary:           {spec: "s:s", row: fromBinary},
	}
}

// castString picks between the casts of text and of an ENUM's number.
func castString(text, number rowFn) func(s *callSite) (node, error) {
	return func(s *callSite) (node, error) {
		call, fn, want := *s, *s.fn, etString
		fn.build, fn.row = nil, text
		if isEnum(s.args[0].typ()) {
			fn.row, want = number, etInt
		}
		arg, err := coerce(s.args[0], want)
		if err != nil {
			return nil, err
		}
		call.fn, call.args = &fn, []node{arg}
		return call.node()
	}
}

func isBinaryType(ft *tipb.FieldType) bool {
	return ft.Charset == "binary" || ft.Charset == "" && abs32(ft.Collate) == collationBinary
}

// endCast ends the string at row i as a value of the result's type: cut to its length, padded if it is BINARY(n).
func (f *frame) endCast(i int) error {
	out, ft := f.out, f.expr.FieldType
	limit := int(ft.Flen)
	if ft.Flen < 0 || ft.Tp != column.TypeString && ft.Tp != column.TypeVarString && ft.Tp != column.TypeVarchar {
		out.end(i)
		return nil
	}
	s := out.data[out.offs[out.next]:]
	kept := cutAt(s, limit, isBinaryType(ft))
	if kept < len(s) {
		name := "CHAR"
		if isBinaryType(ft) {
			name = "BINARY"
		}
		if err := f.ctx.truncated(truncatedWrong(name+"("+strconv.Itoa(limit)+")", s)); err != nil {
			return err
		}
		out.data = out.data[:len(out.data)-len(s)+kept]
	}
	if isBinaryType(ft) && ft.Tp == column.TypeString {
		if limit > f.ctx.packet() {
			out.setNull(i)
			f.ctx.Warnings.Add(packetTooLarge("cast_as_binary", f.ctx.packet()))
			return nil
		}
		for n := len(s); n < limit; n++ {
			out.data = append(out.data, 0)
		}
	}
	out.end(i)
	return nil
}

// cutAt is how many bytes of s its first n characters take.
func cutAt(s []byte, n int, binary bool) int {
	if n >= len(s) {
		return len(s)
	}
	if binary {
		return n
	}
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}

func packetTooLarge(name string, limit int) *value.Error {
	return value.Errorf(1301, "Result of %s() was larger than max_allowed_packet (%d) - truncated", name, limit)
}

func copyString(f *frame, i int) error {
	f.out.setStr(i, f.a[0].str(i))
	return nil
}

// fromBinary reads bytes as characters; what is no UTF-8 is NULL.
func fromBinary(f *frame, i int) error {
	s := f.a[0].str(i)
	if !utf8.Valid(s) {
		f.out.setNull(i)
		f.ctx.Warnings.Add(value.Errorf(value.CodeInvalidString, "Invalid utf8mb4 character string: '%X'", s[:min(len(s), 6)]))
		return nil
	}
	f.out.setStr(i, s)
	return nil
}

func castStringAsString(f *frame, i int) error {
	f.out.data = append(f.out.data, f.a[0].str(i)...)
	return f.endCast(i)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func trimSpaces(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// parsedInt is what the integer at the front of a string came to.
type parsedInt struct {
	abs      uint64
	neg      bool
	whole    bool // nothing but the integer was there
	overflow bool // abs is the bound
}

// parseInt reads an optional sign and digits.
func parseInt(s []byte) (p parsedInt) {
	s = trimSpaces(s)
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		p.neg = s[0] == '-'
		s = s[1:]
	}
	k := 0
	for ; k < len(s) && isDigit(s[k]); k++ {
		d := uint64(s[k] - '0')
		if p.abs > (math.MaxUint64-d)/10 {
			p.overflow = true
			p.abs = math.MaxUint64
		} else if !p.overflow {
			p.abs = p.abs*10 + d
		}
	}
	p.whole = k > 0 && k == len(s)
	return p
}

func castStringAsInt(f *frame, i int) error { return f.textAsInt(i, f.a[0].str(i)) }

// textAsInt is CAST(s AS SIGNED or UNSIGNED): bits beyond one sign are read as the other's.
func (f *frame) textAsInt(i int, s []byte) error {
	p := parseInt(s)
	unsigned := f.out.kind == column.Uint64
	switch {
	case p.overflow || p.neg && p.abs > 1<<63:
		f.out.i64[i] = -1 // unsigned maximum; as signed, MySQL's bound of an overflow below
		if !unsigned {
			f.out.i64[i] = math.MaxInt64
		}
		if p.neg {
			f.out.i64[i] = math.MinInt64
		}
		return f.ctx.truncated(truncatedWrong("INTEGER", s))
	case p.neg:
		f.out.i64[i] = -int64(p.abs)
	default:
		f.out.i64[i] = int64(p.abs)
	}
	if !p.whole {
		return f.ctx.truncated(truncatedWrong("INTEGER", s))
	}
	switch {
	case unsigned && p.neg && p.abs > 0:
		f.ctx.Warnings.Add(value.Errorf(1105, "Cast to unsigned converted negative integer to its positive complement"))
	case !unsigned && !p.neg && p.abs > math.MaxInt64:
		f.ctx.Warnings.Add(value.Errorf(1105, "Cast to signed converted positive out-of-range integer to its negative complement"))
	}
	return nil
}

// floatPrefix is the length of the longest prefix of s that is a number.
func floatPrefix(s []byte) int {
	k := 0
	if k < len(s) && (s[k] == '-' || s[k] == '+') {
		k++
	}
	digits := 0
	for ; k < len(s) && isDigit(s[k]); k++ {
		digits++
	}
	end := k
	if k < len(s) && s[k] == '.' {
		for k++; k < len(s) && isDigit(s[k]); k++ {
			digits++
		}
		end = k
	}
	if digits == 0 {
		return 0
	}
	if k < len(s) && (s[k] == 'e' || s[k] == 'E') {
		k++
		if k < len(s) && (s[k] == '-' || s[k] == '+') {
			k++
		}
		for ; k < len(s) && isDigit(s[k]); k++ {
			end = k + 1
		}
	}
	return end
}

// parseReal reads the number at the front of s; whole tells that nothing but it was there. Beyond the range of floats it
// is the bound.
func parseReal(s []byte) (x float64, whole bool) {
	s = trimSpaces(s)
	n := floatPrefix(s)
	x, err := strconv.ParseFloat(string(s[:n]), 64)
	if math.IsInf(x, 0) {
		x = math.Copysign(math.MaxFloat64, x)
	}
	return x, n == len(s) && err == nil
}

// truthOfText is the truth of a string as MySQL sees it: a number other than zero.
func truthOfText(s []byte) bool {
	x, _ := parseReal(s)
	return x != 0
}

func castStringAsReal(f *frame, i int) error { return f.textAsReal(i, f.a[0].str(i)) }

func (f *frame) textAsReal(i int, s []byte) error {
	x, whole := parseReal(s)
	if column.IsUnsigned(f.expr.FieldType) && x < 0 {
		x = 0
	}
	f.setReal(i, x)
	if !whole {
		return f.ctx.truncated(truncatedWrong("DOUBLE", s))
	}
	return nil
}

func castStringAsDecimal(f *frame, i int) error { return f.textAsDec(i, f.a[0].str(i)) }

func (f *frame) textAsDec(i int, s []byte) error {
	d, whole, err := value.ParseDecimal(s)
	if err != nil || !whole {
		if err := f.ctx.truncated(truncatedWrong("DECIMAL", s)); err != nil {
			return err
		}
	}
	return f.castDec(i, d)
}

func castStringAsTime(f *frame, i int) error { return f.textAsTime(i, f.a[0].str(i)) }

func (f *frame) textAsTime(i int, s []byte) error {
	ft := f.expr.FieldType
	t, err := value.ParseTime(s, byte(ft.Tp), fsp(ft), f.ctx.zone(), f.ctx.timeMode())
	return f.putTime(i, t, err)
}

func castStringAsDuration(f *frame, i int) error { return f.textAsDur(i, f.a[0].str(i)) }

func (f *frame) textAsDur(i int, s []byte) error {
	d, err := value.ParseDuration(s, fsp(f.expr.FieldType))
	return f.putDur(i, d, err)
}
