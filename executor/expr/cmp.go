package expr

import (
	"bytes"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// compareOp is a comparison as the set of orders for which it is true: bit 0 less, bit 1 equal, bit 2 greater.
type compareOp uint8

const (
	opLT compareOp = 1
	opEQ compareOp = 2
	opLE compareOp = 3
	opGT compareOp = 4
	opNE compareOp = 5
	opGE compareOp = 6
)

// holds maps an order (-1, 0, 1) to 0 or 1 without branching.
func (op compareOp) holds(order int64) int64 { return int64(op>>(uint(order+1)&3)) & 1 }

// flip is the operator with its sides exchanged.
func (op compareOp) flip() compareOp { return op&opEQ | op>>2&1 | op&1<<2 }

// compareFunctions has LT ... NullEQ for every evaluation type.
func compareFunctions() functions {
	out := functions{}
	ops := []struct {
		op    compareOp
		first tipb.ScalarFuncSig
	}{
		{opLT, tipb.ScalarFuncSig_LTInt}, {opLE, tipb.ScalarFuncSig_LEInt}, {opGT, tipb.ScalarFuncSig_GTInt},
		{opGE, tipb.ScalarFuncSig_GEInt}, {opEQ, tipb.ScalarFuncSig_EQInt}, {opNE, tipb.ScalarFuncSig_NEInt},
	}
	// The signatures of one operator stand in the order int, real, decimal, string, time, duration, JSON.
	for k, letter := range "irdstuj" {
		spec := string([]rune{letter, letter}) + ":i"
		for _, o := range ops {
			op := o.op
			out[o.first+tipb.ScalarFuncSig(k)] = function{spec: spec, total: letter != 'j', build: func(s *callSite) (node, error) {
				return newCompare(s, op)
			}}
		}
		out[tipb.ScalarFuncSig_NullEQInt+tipb.ScalarFuncSig(k)] = function{spec: spec, nulls: true, bind: bindNullEQ}
	}
	for name, op := range map[string]compareOp{"LT": opLT, "LE": opLE, "GT": opGT, "GE": opGE, "EQ": opEQ, "NE": opNE} {
		addNamed(out, name+"VectorFloat32", function{spec: "vv:i", build: func(s *callSite) (node, error) {
			return newCompare(s, op)
		}})
	}
	addNamed(out, "NullEQVectorFloat32", function{spec: "vv:i", nulls: true, bind: bindNullEQ})
	return out
}

// compareNode is a comparison; beyond what a call does it can select rows directly.
type compareNode struct {
	callNode
	op  compareOp
	sel selectFn // nil: no direct way
}

// newCompare binds the comparison kernel, and the selecting one.
func newCompare(s *callSite, op compareOp) (node, error) {
	call := *s
	fn := *s.fn
	fn.build, fn.bind = nil, func(f *frame) (kernel, error) { return bindCompare(f, op) }
	call.fn = &fn
	n, err := call.node()
	if err != nil {
		return nil, err
	}
	cmp := &compareNode{callNode: *n.(*callNode), op: op}
	cmp.frame.out = &cmp.res
	cmp.sel = bindSelect(cmp)
	return cmp, nil
}

// negate turns the comparison into its opposite, of type ft; false leaves it as it is.
func (c *compareNode) negate(ft *tipb.FieldType) bool {
	run, err := bindCompare(&c.frame, c.op^7)
	if err != nil {
		return false
	}
	c.ft, c.op, c.run = ft, c.op^7, run
	c.sel = bindSelect(c)
	return true
}

// orderFn compares row i of two columns.
type orderFn func(a, b *vec, i int) int

// bindCompare picks the loop for the physical types of both sides.
func bindCompare(f *frame, op compareOp) (kernel, error) {
	switch evalType(f.args[0]) {
	case etInt, etTime, etDuration:
		return compareInts(op, column.KindOf(f.args[0]), column.KindOf(f.args[1])), nil
	case etReal:
		return func(f *frame, rows rowset) error {
			compareReals(op, f, rows)
			return nil
		}, nil
	}
	order, err := bindOrder(f, f.args[0], f.args[1])
	if err != nil {
		return nil, err
	}
	return func(f *frame, rows rowset) error {
		a, b, out := f.a[0], f.a[1], f.out.i64
		for k := range rows.len() {
			i := rows.at(k)
			out[i] = op.holds(int64(order(a, b, i)))
		}
		return nil
	}, nil
}

// compareInts compares integers of equal or mixed sign. A signed column is brought to unsigned order by flipping the
// top bit; of mixed signs the signed side, if negative, is less.
func compareInts(op compareOp, ka, kb column.Kind) kernel {
	flip := uint64(1 << 63)
	if ka == column.Uint64 && kb == column.Uint64 {
		flip = 0
	}
	mixed := (ka == column.Uint64) != (kb == column.Uint64)
	return func(f *frame, rows rowset) error {
		if mixed {
			compareMixedInts(op, f, rows)
			return nil
		}
		a, b, out := f.a[0], f.a[1], f.out.i64
		if rows.sel == nil && !a.isConst() && !b.isConst() {
			denseCompareInts(op, flip, a.i64[:rows.n], b.i64[:rows.n], out)
			return nil
		}
		for k := range rows.len() {
			i := rows.at(k)
			x, y := a.uint(i)^flip, b.uint(i)^flip
			out[i] = op.holds(b2i(x > y) - b2i(x < y))
		}
		return nil
	}
}

func denseCompareInts(op compareOp, flip uint64, a, b, out []int64) {
	b, out = b[:len(a)], out[:len(a)]
	for i, x := range a {
		x, y := uint64(x)^flip, uint64(b[i])^flip
		out[i] = op.holds(b2i(x > y) - b2i(x < y))
	}
}

func compareMixedInts(op compareOp, f *frame, rows rowset) {
	a, b, out := f.a[0], f.a[1], f.out.i64
	for k := range rows.len() {
		i := rows.at(k)
		out[i] = op.holds(int64(orderInts(a, b, i)))
	}
}

func compareReals(op compareOp, f *frame, rows rowset) {
	a, b, out := f.a[0], f.a[1], f.out.i64
	for k := range rows.len() {
		i := rows.at(k)
		x, y := a.real(i), b.real(i)
		out[i] = op.holds(b2i(x > y) - b2i(x < y))
	}
}

// bindOrder picks the row comparison for two arguments of f, of one evaluation type.
func bindOrder(f *frame, a, b *tipb.FieldType) (orderFn, error) {
	switch evalType(a) {
	case etReal:
		return orderReals, nil
	case etDecimal:
		return bindOrderDecimals(a, b), nil
	case etString:
		return bindOrderStrings(f)
	case etJSON:
		return func(x, y *vec, i int) int { return compareJSON(x.str(i), y.str(i)) }, nil
	case etVector:
		return func(x, y *vec, i int) int { return compareVectors(x.str(i), y.str(i)) }, nil
	default:
		return orderInts, nil
	}
}

func orderInts(a, b *vec, i int) int {
	na, nb := a.negInt(i), b.negInt(i)
	if na != nb {
		return int(b2i(nb) - b2i(na))
	}
	x, y := a.uint(i), b.uint(i)
	return int(b2i(x > y) - b2i(x < y))
}

func orderReals(a, b *vec, i int) int {
	x, y := a.real(i), b.real(i)
	return int(b2i(x > y) - b2i(x < y))
}

// bindOrderDecimals compares coefficients directly where scales are equal, else products with powers of ten that
// cannot overflow: 64 bits by 10^18 fits in 128.
func bindOrderDecimals(a, b *tipb.FieldType) orderFn {
	ka, kb, sa, sb := column.KindOf(a), column.KindOf(b), scaleOf(a), scaleOf(b)
	switch {
	case ka == column.Decimal64 && kb == column.Decimal64 && sa == sb:
		return func(x, y *vec, i int) int {
			p, q := x.int(i), y.int(i)
			return int(b2i(p > q) - b2i(p < q))
		}
	case ka == column.Decimal64 && kb == column.Decimal64 && max(sa, sb)-min(sa, sb) <= 18:
		fa, fb := pow10(max(sb-sa, 0)), pow10(max(sa-sb, 0))
		return func(x, y *vec, i int) int {
			return cmp128(mul64(x.int(i), fa), mul64(y.int(i), fb))
		}
	case ka == column.Decimal128 && kb == column.Decimal128 && sa == sb:
		return func(x, y *vec, i int) int { return cmp128(x.d128[i&x.mask], y.d128[i&y.mask]) }
	case sa == sb:
		return func(x, y *vec, i int) int { return cmp256(x.wide(i), y.wide(i)) }
	default:
		return func(x, y *vec, i int) int { return x.dec(i).Cmp(y.dec(i)) }
	}
}

func cmp128(a, b decimal128.Num) int {
	lo, borrow := bits.Sub64(a.LowBits(), b.LowBits(), 0)
	less := a.HighBits() < b.HighBits() || a.HighBits() == b.HighBits() && borrow != 0
	if less {
		return -1
	}
	return int(b2i(lo != 0 || a.HighBits() != b.HighBits()))
}

func cmp256(a, b decimal256.Num) int {
	x, y := a.Array(), b.Array()
	x[3], y[3] = x[3]^1<<63, y[3]^1<<63
	for k := 3; k >= 0; k-- {
		if x[k] != y[k] {
			return int(b2i(x[k] > y[k]) - b2i(x[k] < y[k]))
		}
	}
	return 0
}

// collator is the collation that a function works by: the one its result type names, as TiDB sends it; where that is
// empty, the first argument with one.
func (f *frame) collator() (value.Collator, error) { return value.CollatorByID(f.collation()) }

func (f *frame) collation() int32 {
	id := f.expr.FieldType.Collate
	for _, a := range f.args {
		if id == 0 && evalType(a) == etString {
			id = a.Collate
		}
	}
	return id
}

// isBytewise reports whether a collation orders and equates strings as bytes.
func isBytewise(c value.Collator) bool { return c.KeyIsIdentity() && !c.PadSpace() }

func bindOrderStrings(f *frame) (orderFn, error) {
	c, err := f.collator()
	if err != nil {
		return nil, err
	}
	if isBytewise(c) {
		return func(x, y *vec, i int) int { return bytes.Compare(x.str(i), y.str(i)) }, nil
	}
	return func(x, y *vec, i int) int { return c.Compare(x.str(i), y.str(i)) }, nil
}

// bindNullEQ is <=>: never NULL, and true for two NULLs.
func bindNullEQ(f *frame) (kernel, error) {
	order, err := bindOrder(f, f.args[0], f.args[1])
	if err != nil {
		return nil, err
	}
	return eachRow(func(f *frame, i int) error {
		a, b := f.a[0], f.a[1]
		na, nb := a.null(i), b.null(i)
		f.out.setBool(i, na && nb || !na && !nb && order(a, b, i) == 0)
		return nil
	}), nil
}

// collationBinary is MySQL's id of the collation of byte strings.
const collationBinary = 63

func abs32(x int32) int32 {
	if x < 0 {
		return -x
	}
	return x
}
