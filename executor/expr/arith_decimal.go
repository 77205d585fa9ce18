package expr

import (
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func (v *vec) intText(i int) string {
	if v.kind == column.Uint64 {
		return strconv.FormatUint(v.uint(i), 10)
	}
	return strconv.FormatInt(v.int(i), 10)
}

// decimalRow is the general form of an operation, for any kinds and scales.
func decimalRow(symbol string, op func(a, b value.Decimal) (value.Decimal, error)) rowFn {
	return func(f *frame, i int) error {
		a, b := f.a[0].dec(i), f.a[1].dec(i)
		d, err := op(a, b)
		if err != nil || !f.out.setDec(i, d) {
			return outOfRange("DECIMAL", "(%s %s %s)", a, symbol, b)
		}
		return nil
	}
}

func bindPlusDecimal(f *frame) (kernel, error) {
	return bindAdditive(f, densePlus, add128, decimalRow("+", value.Decimal.Add)), nil
}

func bindMinusDecimal(f *frame) (kernel, error) {
	return bindAdditive(f, denseMinus, sub128, decimalRow("-", value.Decimal.Sub)), nil
}

// decimalKinds are the physical forms of both arguments and the result.
func decimalKinds(f *frame) (a, b, out column.Kind) {
	return column.KindOf(f.args[0]), column.KindOf(f.args[1]), column.KindOf(f.expr.FieldType)
}

// bindAdditive picks a loop over words or 128 bits where the result's scale is the arguments' larger one: each argument
// is first brought to it.
func bindAdditive(f *frame, words denseInts, wide func(a, b decimal128.Num) decimal128.Num, row rowFn) kernel {
	slow := eachRow(row)
	ka, kb, kout := decimalKinds(f)
	sa, sb, scale := scaleOf(f.args[0]), scaleOf(f.args[1]), scaleOf(f.expr.FieldType)
	if scale != max(sa, sb) || scale-min(sa, sb) > 18 {
		return slow
	}
	switch {
	case ka == column.Decimal64 && kb == column.Decimal64 && kout == column.Decimal64:
		return onWords(words, pow10(scale-sa), pow10(scale-sb), slow)
	case kout == column.Decimal128 && fits128(f.args[0], scale) && fits128(f.args[1], scale):
		return add128s(wide, pow10(scale-sa), pow10(scale-sb))
	default:
		return slow
	}
}

// fits128 reports whether every value of ft, brought to scale, has at most 37 digits: the sum of two such is in 38.
func fits128(ft *tipb.FieldType, scale int) bool {
	return column.KindOf(ft) != column.Decimal256 && column.Precision(ft)+scale-scaleOf(ft) <= 37
}

// onWords brings both sides to one scale and runs a dense loop over words; the row function finds out about overflow.
func onWords(dense denseInts, fa, fb int64, slow kernel) kernel {
	var bufs [2][]int64
	var spread [2][]int64
	return func(f *frame, rows rowset) error {
		if rows.sparse() {
			return slow(f, rows)
		}
		a, okA := scaleWords(f.a[0].words(rows.n, &spread[0]), fa, &bufs[0])
		b, okB := scaleWords(f.a[1].words(rows.n, &spread[1]), fb, &bufs[1])
		if !okA || !okB || dense(a, b, f.out.i64) != 0 {
			return slow(f, rows)
		}
		return nil
	}
}

// scaleWords multiplies by a power of ten, into buf unless it is one; ok is false on overflow.
func scaleWords(x []int64, factor int64, buf *[]int64) (_ []int64, ok bool) {
	if factor == 1 {
		return x, true
	}
	*buf = resize(*buf, len(x))
	out, bad := *buf, int64(0)
	for i, v := range x {
		p := mul64(v, factor)
		out[i] = int64(p.LowBits())
		bad |= p.HighBits() ^ out[i]>>63
	}
	return out, bad == 0
}

// to128 is row i of a column of one or two words, multiplied by a factor above 0. It wraps around.
func (v *vec) to128(i int, factor int64) decimal128.Num {
	i &= v.mask
	if v.kind == column.Decimal64 {
		return mul64(v.i64[i], factor)
	}
	x := v.d128[i]
	hi, lo := bits.Mul64(x.LowBits(), uint64(factor))
	return decimal128.New(x.HighBits()*factor+int64(hi), lo)
}

// add128s needs no check: fits128 held for both arguments.
func add128s(op func(a, b decimal128.Num) decimal128.Num, fa, fb int64) kernel {
	return func(f *frame, rows rowset) error {
		a, b, out := f.a[0], f.a[1], f.out.d128
		for j := range rows.len() {
			i := rows.at(j)
			out[i] = op(a.to128(i, fa), b.to128(i, fb))
		}
		return nil
	}
}

// bindTimesDecimal picks a loop where the result keeps all fraction digits of the product.
func bindTimesDecimal(f *frame) (kernel, error) {
	slow := eachRow(decimalRow("*", value.Decimal.Mul))
	if scaleOf(f.args[0])+scaleOf(f.args[1]) != scaleOf(f.expr.FieldType) {
		return slow, nil
	}
	ka, kb, kout := decimalKinds(f)
	switch {
	case ka == column.Decimal64 && kb == column.Decimal64 && kout == column.Decimal64:
		return onWords(denseTimes, 1, 1, slow), nil
	case ka == column.Decimal64 && kb == column.Decimal64 && kout == column.Decimal128:
		return times64to128, nil
	case kout == column.Decimal128 && column.Precision(f.args[0])+column.Precision(f.args[1]) <= 38:
		return times128, nil
	case kout == column.Decimal256:
		return timesWide, nil
	default:
		return slow, nil
	}
}

// times64to128 cannot overflow: two words make two words.
func times64to128(f *frame, rows rowset) error {
	a, b, out := f.a[0], f.a[1], f.out.d128
	if rows.sel == nil && !a.isConst() && !b.isConst() {
		x, y, out := a.i64[:rows.n], b.i64[:rows.n], out[:rows.n]
		for i := range out {
			out[i] = mul64(x[i], y[i])
		}
		return nil
	}
	for j := range rows.len() {
		i := rows.at(j)
		out[i] = mul64(a.int(i), b.int(i))
	}
	return nil
}

// times128 is for precisions that add up to at most 38 digits, which 127 bits hold.
func times128(f *frame, rows rowset) error {
	a, b, out := f.a[0], f.a[1], f.out.d128
	for j := range rows.len() {
		i := rows.at(j)
		x, y := a.to128(i, 1), b.to128(i, 1)
		if small(x) && small(y) {
			out[i] = mul64(int64(x.LowBits()), int64(y.LowBits()))
		} else {
			out[i] = x.Mul(y)
		}
	}
	return nil
}

// timesWide makes 256 bits; most products of real data are of two words and take the short way.
func timesWide(f *frame, rows rowset) error {
	a, b, out := f.a[0], f.a[1], f.out.d256
	for j := range rows.len() {
		i := rows.at(j)
		x, okX := a.word(i)
		y, okY := b.word(i)
		if okX && okY {
			out[i] = widen128(mul64(x, y))
			continue
		}
		p, err := value.Decimal{Coef: a.wide(i)}.Mul(value.Decimal{Coef: b.wide(i)})
		if err != nil {
			return outOfRange("DECIMAL", "(%s * %s)", a.dec(i), b.dec(i))
		}
		out[i] = p.Coef
	}
	return nil
}

// word is the coefficient at row i if it fits in one word.
func (v *vec) word(i int) (int64, bool) {
	i &= v.mask
	switch v.kind {
	case column.Decimal64:
		return v.i64[i], true
	case column.Decimal128:
		return int64(v.d128[i].LowBits()), small(v.d128[i])
	default:
		return narrow64(v.d256[i])
	}
}

func divideDecimal(f *frame, i int) error {
	a, b := f.a[0].dec(i), f.a[1].dec(i)
	if b.IsZero() {
		return f.divByZero(i)
	}
	scale := f.out.scale
	if f.expr.FieldType.Decimal < 0 { // the planner leaves it to div_precision_increment
		scale = min(int(a.Scale)+f.ctx.divIncrement(), column.MaxScale)
	}
	d, err := divide(a, b, scale)
	if err != nil || !f.out.setDec(i, d) {
		return outOfRange("DECIMAL", "(%s / %s)", a, b)
	}
	return nil
}

func modDecimal(f *frame, i int) error {
	a, b := f.a[0].dec(i), f.a[1].dec(i)
	if b.IsZero() {
		return f.divByZero(i)
	}
	d, err := a.Mod(b)
	return f.putDec(i, d, err == nil)
}

func intDivideDecimal(f *frame, i int) error {
	a, b := f.a[0].dec(i), f.a[1].dec(i)
	if b.IsZero() {
		return f.divByZero(i)
	}
	q, err := a.IntDiv(b)
	abs, ok := q.Abs().Uint64()
	if err != nil || !ok || !f.putInt(i, wideInt{neg: q.Sign() < 0, abs: abs}, false) {
		return outOfRange(f.intName(), "(%s DIV %s)", a, b)
	}
	return nil
}
