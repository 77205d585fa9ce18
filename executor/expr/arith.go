package expr

import (
	"math"
	"math/bits"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// arithFunctions has + - * / DIV and %. The signatures that name the signs of their arguments do what the plain ones do:
// signs are read from the arguments.
func arithFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_PlusReal:         {spec: "rr:r", row: realRow("+", func(a, b float64) float64 { return a + b })},
		tipb.ScalarFuncSig_MinusReal:        {spec: "rr:r", row: realRow("-", func(a, b float64) float64 { return a - b })},
		tipb.ScalarFuncSig_MultiplyReal:     {spec: "rr:r", row: realRow("*", func(a, b float64) float64 { return a * b })},
		tipb.ScalarFuncSig_DivideReal:       {spec: "rr:r", row: divideReal},
		tipb.ScalarFuncSig_ModReal:          {spec: "rr:r", row: modReal},
		tipb.ScalarFuncSig_PlusDecimal:      {spec: "dd:d", bind: bindPlusDecimal},
		tipb.ScalarFuncSig_MinusDecimal:     {spec: "dd:d", bind: bindMinusDecimal},
		tipb.ScalarFuncSig_MultiplyDecimal:  {spec: "dd:d", bind: bindTimesDecimal},
		tipb.ScalarFuncSig_DivideDecimal:    {spec: "dd:d", row: divideDecimal},
		tipb.ScalarFuncSig_ModDecimal:       {spec: "dd:d", row: modDecimal},
		tipb.ScalarFuncSig_IntDivideInt:     {spec: "ii:i", row: divideInt},
		tipb.ScalarFuncSig_IntDivideDecimal: {spec: "dd:i", row: intDivideDecimal},
	}
	plus := function{spec: "ii:i", bind: bindInts(plusInt, densePlus)}
	minus := function{spec: "ii:i", bind: bindInts(minusInt, denseMinus)}
	for sig := tipb.ScalarFuncSig_PlusIntUnsignedUnsigned; sig <= tipb.ScalarFuncSig_PlusIntSignedSigned; sig++ {
		out[sig] = plus
	}
	for sig := tipb.ScalarFuncSig_MinusIntUnsignedUnsigned; sig <= tipb.ScalarFuncSig_MinusIntForcedSignedUnsigned; sig++ {
		out[sig] = minus
	}
	for sig := tipb.ScalarFuncSig_ModIntUnsignedUnsigned; sig <= tipb.ScalarFuncSig_ModIntSignedSigned; sig++ {
		out[sig] = function{spec: "ii:i", row: modInt}
	}
	for sig := tipb.ScalarFuncSig_IntDivideIntUnsignedUnsigned; sig <= tipb.ScalarFuncSig_IntDivideIntSignedUnsigned; sig++ {
		out[sig] = function{spec: "ii:i", row: divideInt}
	}
	out[tipb.ScalarFuncSig_PlusInt], out[tipb.ScalarFuncSig_MinusInt] = plus, minus
	times := function{spec: "ii:i", bind: bindInts(timesInt, denseTimes)}
	out[tipb.ScalarFuncSig_MultiplyInt], out[tipb.ScalarFuncSig_MultiplyIntUnsigned] = times, times
	out[tipb.ScalarFuncSig_ModInt] = function{spec: "ii:i", row: modInt}
	return out
}

// wideInt is an integer of 65 bits and sign: what a signed or unsigned word can hold.
type wideInt struct {
	neg bool
	abs uint64
}

func (v *vec) wideInt(i int) wideInt {
	x := v.int(i)
	if v.negInt(i) {
		return wideInt{neg: true, abs: -uint64(x)}
	}
	return wideInt{abs: uint64(x)}
}

// putInt stores an integer result if the result's kind can hold it; carry tells that it has more than 64 bits.
func (f *frame) putInt(i int, x wideInt, carry bool) (ok bool) {
	unsigned := f.out.kind == column.Uint64
	switch {
	case carry:
		return false
	case x.neg && x.abs != 0:
		ok = !unsigned && x.abs <= 1<<63
		f.out.i64[i] = -int64(x.abs)
	default:
		ok = unsigned || x.abs <= math.MaxInt64
		f.out.i64[i] = int64(x.abs)
	}
	return ok
}

func (f *frame) intOutOfRange(i int, op string) error {
	return outOfRange(f.intName(), "(%s %s %s)", f.a[0].intText(i), op, f.a[1].intText(i))
}

// intName is what messages call the result's type.
func (f *frame) intName() string {
	if f.out.kind == column.Uint64 {
		return "BIGINT UNSIGNED"
	}
	return "BIGINT"
}

// denseInts computes whole slices of signed words and returns how many overflows there were (any non-zero number).
type denseInts func(a, b, out []int64) uint64

// bindInts uses the dense loop where all is signed. What it computes at rows that do not count is not looked at; should
// there be an overflow, the row function finds out whether it counts.
func bindInts(row rowFn, dense denseInts) func(f *frame) (kernel, error) {
	return func(f *frame) (kernel, error) {
		slow := eachRow(row)
		for _, ft := range []*tipb.FieldType{f.args[0], f.args[1], f.expr.FieldType} {
			if column.KindOf(ft) != column.Int64 {
				return slow, nil
			}
		}
		var spread [2][]int64
		return func(f *frame, rows rowset) error {
			if rows.sparse() {
				return slow(f, rows)
			}
			a, b := f.a[0].words(rows.n, &spread[0]), f.a[1].words(rows.n, &spread[1])
			if dense(a, b, f.out.i64) != 0 {
				return slow(f, rows)
			}
			return nil
		}, nil
	}
}

// words is a column's n words; a constant is repeated into buf.
func (v *vec) words(n int, buf *[]int64) []int64 {
	if !v.isConst() {
		return v.i64[:n]
	}
	if s := *buf; len(s) >= n && n > 0 && s[0] == v.i64[0] {
		return s[:n]
	}
	*buf = resize(*buf, n)
	for i := range *buf {
		(*buf)[i] = v.i64[0]
	}
	return *buf
}

func densePlus(a, b, out []int64) uint64 {
	b, out = b[:len(a)], out[:len(a)]
	bad := int64(0)
	for i, x := range a {
		y := b[i]
		s := x + y
		bad |= (x ^ s) & (y ^ s)
		out[i] = s
	}
	return uint64(bad) >> 63
}

func denseMinus(a, b, out []int64) uint64 {
	b, out = b[:len(a)], out[:len(a)]
	bad := int64(0)
	for i, x := range a {
		y := b[i]
		d := x - y
		bad |= (x ^ y) & (x ^ d)
		out[i] = d
	}
	return uint64(bad) >> 63
}

func denseTimes(a, b, out []int64) uint64 {
	b, out = b[:len(a)], out[:len(a)]
	bad := int64(0)
	for i, x := range a {
		p := mul64(x, b[i])
		lo := int64(p.LowBits())
		bad |= p.HighBits() ^ lo>>63
		out[i] = lo
	}
	return uint64(bad)
}

func addWide(a, b wideInt) (_ wideInt, carry bool) {
	if a.neg == b.neg {
		s, c := bits.Add64(a.abs, b.abs, 0)
		return wideInt{neg: a.neg, abs: s}, c != 0
	}
	if a.abs >= b.abs {
		return wideInt{neg: a.neg, abs: a.abs - b.abs}, false
	}
	return wideInt{neg: b.neg, abs: b.abs - a.abs}, false
}

func plusInt(f *frame, i int) error {
	s, carry := addWide(f.a[0].wideInt(i), f.a[1].wideInt(i))
	if !f.putInt(i, s, carry) {
		return f.intOutOfRange(i, "+")
	}
	return nil
}

func minusInt(f *frame, i int) error {
	b := f.a[1].wideInt(i)
	b.neg = !b.neg
	d, carry := addWide(f.a[0].wideInt(i), b)
	if !f.putInt(i, d, carry) {
		return f.intOutOfRange(i, "-")
	}
	return nil
}

func timesInt(f *frame, i int) error {
	a, b := f.a[0].wideInt(i), f.a[1].wideInt(i)
	hi, lo := bits.Mul64(a.abs, b.abs)
	if !f.putInt(i, wideInt{neg: a.neg != b.neg, abs: lo}, hi != 0) {
		return f.intOutOfRange(i, "*")
	}
	return nil
}

func divideInt(f *frame, i int) error {
	a, b := f.a[0].wideInt(i), f.a[1].wideInt(i)
	if b.abs == 0 {
		return f.divByZero(i)
	}
	if !f.putInt(i, wideInt{neg: a.neg != b.neg, abs: a.abs / b.abs}, false) {
		return f.intOutOfRange(i, "DIV")
	}
	return nil
}

func modInt(f *frame, i int) error {
	a, b := f.a[0].wideInt(i), f.a[1].wideInt(i)
	if b.abs == 0 {
		return f.divByZero(i)
	}
	if !f.putInt(i, wideInt{neg: a.neg, abs: a.abs % b.abs}, false) {
		return f.intOutOfRange(i, "%")
	}
	return nil
}

// divByZero makes row i NULL and warns or fails as the statement wants.
func (f *frame) divByZero(i int) error {
	f.out.setNull(i)
	return f.ctx.divByZero()
}

func realRow(op string, fn func(a, b float64) float64) rowFn {
	return func(f *frame, i int) error {
		a, b := f.a[0].real(i), f.a[1].real(i)
		return f.putReal(i, fn(a, b), "(%g %s %g)", a, op, b)
	}
}

// putReal stores a result that must be finite; format and args tell the expression for the error.
func (f *frame) putReal(i int, x float64, format string, args ...any) error {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return outOfRange("DOUBLE", format, args...)
	}
	f.out.f64[i] = x
	return nil
}

func divideReal(f *frame, i int) error {
	a, b := f.a[0].real(i), f.a[1].real(i)
	if b == 0 {
		return f.divByZero(i)
	}
	return f.putReal(i, a/b, "(%g / %g)", a, b)
}

func modReal(f *frame, i int) error {
	a, b := f.a[0].real(i), f.a[1].real(i)
	if b == 0 {
		return f.divByZero(i)
	}
	f.out.f64[i] = math.Mod(a, b)
	return nil
}
