package planner

import (
	"math"

	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// numberClass is the class in which arithmetic takes e.
func numberClass(e *Expr) evalType {
	switch et := evalOf(e.Type); et {
	case evalInt, evalReal, evalDecimal:
		return et
	case evalTime, evalDuration:
		if fspOf(e.Type) > 0 {
			return evalDecimal
		}
		return evalInt
	}
	if e.hex {
		return evalInt
	}
	return evalReal
}

// arithClass is the class of l op r.
func arithClass(l, r *Expr) evalType {
	a, b := numberClass(l), numberClass(r)
	switch {
	case a == evalReal || b == evalReal:
		return evalReal
	case a == evalDecimal || b == evalDecimal:
		return evalDecimal
	}
	return evalInt
}

func (b *builder) arithmetic(op opcode.Op, l, r *Expr) (*Expr, error) {
	switch op {
	case opcode.Plus, opcode.Minus, opcode.Mul:
		return b.addOrMultiply(op, l, r)
	case opcode.Div:
		return b.divide(l, r)
	case opcode.IntDiv:
		return b.intDivide(l, r)
	case opcode.Mod:
		return b.modulo(l, r)
	case opcode.And:
		return b.bitwise(tipb.ScalarFuncSig_BitAndSig, "bitand", l, r)
	case opcode.Or:
		return b.bitwise(tipb.ScalarFuncSig_BitOrSig, "bitor", l, r)
	case opcode.Xor:
		return b.bitwise(tipb.ScalarFuncSig_BitXorSig, "bitxor", l, r)
	case opcode.LeftShift:
		return b.bitwise(tipb.ScalarFuncSig_LeftShift, "leftshift", l, r)
	case opcode.RightShift:
		return b.bitwise(tipb.ScalarFuncSig_RightShift, "rightshift", l, r)
	}
	return nil, errNotSupported("operator %s", op)
}

var arithSigs = map[opcode.Op][3]tipb.ScalarFuncSig{
	opcode.Plus:  {tipb.ScalarFuncSig_PlusInt, tipb.ScalarFuncSig_PlusReal, tipb.ScalarFuncSig_PlusDecimal},
	opcode.Minus: {tipb.ScalarFuncSig_MinusInt, tipb.ScalarFuncSig_MinusReal, tipb.ScalarFuncSig_MinusDecimal},
	opcode.Mul:   {tipb.ScalarFuncSig_MultiplyInt, tipb.ScalarFuncSig_MultiplyReal, tipb.ScalarFuncSig_MultiplyDecimal},
}

var arithNames = map[opcode.Op]string{opcode.Plus: "plus", opcode.Minus: "minus", opcode.Mul: "mul"}

func (b *builder) addOrMultiply(op opcode.Op, l, r *Expr) (*Expr, error) {
	et := arithClass(l, r)
	ft := realSumType(l.Type, r.Type)
	l, r, err := b.bothAs(l, r, et)
	if err != nil {
		return nil, err
	}
	sig := arithSigs[op][et]
	switch et {
	case evalInt:
		ft = intType()
		if isUnsigned(l.Type) || isUnsigned(r.Type) {
			ft = uintType()
			if op == opcode.Mul {
				sig = tipb.ScalarFuncSig_MultiplyIntUnsigned
			}
		}
		if n := max(displayLen(l.Type), displayLen(r.Type)) + 1; op != opcode.Mul && n < intLen {
			ft.Flen = int32(n)
		} else if n := displayLen(l.Type) + displayLen(r.Type); op == opcode.Mul && n < intLen {
			ft.Flen = int32(n)
		}
	case evalDecimal:
		ft = sumShape(l.Type, r.Type)
		if op == opcode.Mul {
			ft = productShape(l.Type, r.Type)
		}
	}
	return b.call(sig, arithNames[op], inheritNotNull(ft, l, r), l, r)
}

// realSumType is DOUBLE, written with the fraction digits of a or b if both have a fixed number of them.
func realSumType(a, b *tipb.FieldType) *tipb.FieldType {
	da, db := shownDigits(a), shownDigits(b)
	if da < 0 || db < 0 {
		return realType()
	}
	return shownReal(max(da, db))
}

// shownDigits is the number of fraction digits with which values of a type are written, -1 if it differs.
func shownDigits(ft *tipb.FieldType) int {
	switch evalOf(ft) {
	case evalInt:
		return 0
	case evalReal, evalDecimal:
		return int(ft.Decimal)
	case evalTime, evalDuration:
		return fspOf(ft)
	}
	return column.UnspecifiedLength
}

func inheritNotNull(ft *tipb.FieldType, args ...*Expr) *tipb.FieldType {
	for _, a := range args {
		if !notNull(a.Type) {
			return ft
		}
	}
	return withFlag(ft, column.FlagNotNull, 0)
}

// sumShape is the type of a sum or difference of decimals: the longer integer part and one digit, the longer fraction.
func sumShape(a, b *tipb.FieldType) *tipb.FieldType {
	pa, sa := decimalShape(a)
	pb, sb := decimalShape(b)
	s := max(sa, sb)
	return decimalType(max(pa-sa, pb-sb)+1+s, s)
}

func productShape(a, b *tipb.FieldType) *tipb.FieldType {
	pa, sa := decimalShape(a)
	pb, sb := decimalShape(b)
	return decimalType(pa+pb, sa+sb)
}

func (b *builder) bothAs(l, r *Expr, et evalType) (_, _ *Expr, err error) {
	if l, err = b.as(l, et); err != nil {
		return nil, nil, err
	}
	r, err = b.as(r, et)
	return l, r, err
}

func (b *builder) divIncrement() int {
	if b.ctx.Expr != nil && b.ctx.Expr.DivPrecisionIncrement > 0 {
		return b.ctx.Expr.DivPrecisionIncrement
	}
	return 4
}

func (b *builder) divide(l, r *Expr) (*Expr, error) {
	et := arithClass(l, r)
	if et == evalInt {
		et = evalDecimal
	}
	l, r, err := b.bothAs(l, r, et)
	if err != nil {
		return nil, err
	}
	if et == evalReal {
		return b.call(tipb.ScalarFuncSig_DivideReal, "div", realType(), l, r)
	}
	pa, sa := decimalShape(l.Type)
	_, sb := decimalShape(r.Type)
	inc := b.divIncrement()
	ft := decimalType(pa+sb+inc, sa+inc)
	quotient, err := b.call(tipb.ScalarFuncSig_DivideDecimal, "div", ft, l, r)
	if err != nil || !quotient.isConst() || quotient.isNull() {
		return quotient, err
	}
	folded := *quotient
	folded.exact, err = b.call(tipb.ScalarFuncSig_DivideDecimal, "div", exactQuotientType(ft, l, r, inc), l, r)
	return &folded, err
}

// exactQuotientType is the type of a quotient l / r, shown as ft, while one computes on with it.
func exactQuotientType(ft *tipb.FieldType, l, r *Expr, inc int) *tipb.FieldType {
	_, sa := decimalShape(l.Type)
	_, sb := decimalShape(r.Type)
	p, s := decimalShape(ft)
	digits := min(value.QuotientDigits(sa, sb, inc), column.MaxScale)
	return withFlag(decimalType(p-s+digits, digits), ft.Flag, 0)
}

// quotientTakers are functions that compute with all digits of a quotient that MySQL has: 2/3*3 is 2.0000, though 2/3 is
// 0.6667. Their own types follow what is shown.
var quotientTakers = map[tipb.ScalarFuncSig]bool{
	tipb.ScalarFuncSig_PlusDecimal: true, tipb.ScalarFuncSig_MinusDecimal: true, tipb.ScalarFuncSig_MultiplyDecimal: true,
	tipb.ScalarFuncSig_DivideDecimal: true, tipb.ScalarFuncSig_ModDecimal: true, tipb.ScalarFuncSig_IntDivideDecimal: true,
	tipb.ScalarFuncSig_LTDecimal: true, tipb.ScalarFuncSig_LEDecimal: true, tipb.ScalarFuncSig_GTDecimal: true, tipb.ScalarFuncSig_GEDecimal: true,
	tipb.ScalarFuncSig_EQDecimal: true, tipb.ScalarFuncSig_NEDecimal: true, tipb.ScalarFuncSig_NullEQDecimal: true,
	tipb.ScalarFuncSig_RoundDec: true, tipb.ScalarFuncSig_RoundWithFracDec: true, tipb.ScalarFuncSig_TruncateDecimal: true,
	tipb.ScalarFuncSig_CeilDecToInt: true, tipb.ScalarFuncSig_CeilDecToDec: true, tipb.ScalarFuncSig_FloorDecToInt: true, tipb.ScalarFuncSig_FloorDecToDec: true,
	tipb.ScalarFuncSig_CastDecimalAsInt: true, tipb.ScalarFuncSig_CastDecimalAsReal: true, tipb.ScalarFuncSig_CastDecimalAsDecimal: true,
	tipb.ScalarFuncSig_DecimalIsTrueWithNull: true, tipb.ScalarFuncSig_DecimalIsTrue: true, tipb.ScalarFuncSig_DecimalIsFalse: true, tipb.ScalarFuncSig_UnaryNotDecimal: true,
}

// exactQuotients gives the arguments of a function of quotientTakers with all their digits.
func (b *builder) exactQuotients(sig tipb.ScalarFuncSig, args []*Expr) []*Expr {
	if !quotientTakers[sig] {
		return args
	}
	out := make([]*Expr, len(args))
	for i, a := range args {
		out[i] = b.exactQuotient(a)
	}
	return out
}

func (b *builder) exactQuotient(e *Expr) *Expr {
	switch {
	case e.exact != nil:
		return e.exact
	case e.kind != kindFunc || e.sig != tipb.ScalarFuncSig_DivideDecimal:
		return e
	}
	c := *e
	c.Type = exactQuotientType(e.Type, e.args[0], e.args[1], b.divIncrement())
	return &c
}

func (b *builder) intDivide(l, r *Expr) (*Expr, error) {
	ft := intType()
	if isUnsigned(l.Type) || isUnsigned(r.Type) {
		ft = uintType()
	}
	if arithClass(l, r) == evalInt {
		l, r, err := b.bothAs(l, r, evalInt)
		if err != nil {
			return nil, err
		}
		return b.call(tipb.ScalarFuncSig_IntDivideInt, "intdiv", ft, l, r)
	}
	l, r, err := b.bothAs(l, r, evalDecimal)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_IntDivideDecimal, "intdiv", ft, l, r)
}

func (b *builder) modulo(l, r *Expr) (*Expr, error) {
	et := arithClass(l, r)
	l, r, err := b.bothAs(l, r, et)
	if err != nil {
		return nil, err
	}
	switch et {
	case evalReal:
		return b.call(tipb.ScalarFuncSig_ModReal, "mod", realType(), l, r)
	case evalDecimal:
		pa, sa := decimalShape(l.Type)
		pb, sb := decimalShape(r.Type)
		s := max(sa, sb)
		return b.call(tipb.ScalarFuncSig_ModDecimal, "mod", decimalType(max(pa-sa, pb-sb)+s, s), l, r)
	}
	ft, sig := intType(), tipb.ScalarFuncSig_ModIntSignedSigned
	switch {
	case isUnsigned(l.Type) && isUnsigned(r.Type):
		ft, sig = uintType(), tipb.ScalarFuncSig_ModIntUnsignedUnsigned
	case isUnsigned(l.Type):
		ft, sig = uintType(), tipb.ScalarFuncSig_ModIntUnsignedSigned
	case isUnsigned(r.Type):
		sig = tipb.ScalarFuncSig_ModIntSignedUnsigned
	}
	return b.call(sig, "mod", ft, l, r)
}

func (b *builder) bitwise(sig tipb.ScalarFuncSig, name string, l, r *Expr) (*Expr, error) {
	l, r, err := b.bothAs(l, r, evalInt)
	if err != nil {
		return nil, err
	}
	return b.call(sig, name, inheritNotNull(uintType(), l, r), l, r)
}

func (b *builder) negate(v *Expr) (*Expr, error) {
	if v.isConst() {
		if e, ok := negatedConst(v); ok {
			return e, nil
		}
	}
	switch et := numberClass(v); et {
	case evalInt:
		v, err := b.as(v, evalInt)
		if err != nil {
			return nil, err
		}
		return b.call(tipb.ScalarFuncSig_UnaryMinusInt, "unaryminus", inheritNotNull(intType(), v), v)
	case evalDecimal:
		v, err := b.as(v, evalDecimal)
		if err != nil {
			return nil, err
		}
		return b.call(tipb.ScalarFuncSig_UnaryMinusDecimal, "unaryminus", inheritNotNull(decimalType(decimalShape(v.Type)), v), v)
	}
	v, err := b.as(v, evalReal)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_UnaryMinusReal, "unaryminus", inheritNotNull(realType(), v), v)
}

// negatedConst keeps negative literals exact: -9223372036854775808 is an integer though 9223372036854775808 is none.
func negatedConst(v *Expr) (*Expr, bool) {
	switch v.val.Kind() {
	case datum.Int64:
		if n := v.val.Int64(); n != math.MinInt64 && evalOf(v.Type) == evalInt {
			return withNotNull(intConst(-n)), true
		}
	case datum.Uint64:
		if v.val.Uint64() == 1<<63 && evalOf(v.Type) == evalInt {
			return withNotNull(intConst(math.MinInt64)), true
		}
	}
	return nil, false
}

func withNotNull(e *Expr) *Expr {
	c := *e
	c.Type = withFlag(e.Type, column.FlagNotNull, 0)
	return &c
}
