package planner

import (
	"errors"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// call makes a function call: checked against what the executor evaluates, folded if all arguments are constants.
func (b *builder) call(sig tipb.ScalarFuncSig, name string, ft *tipb.FieldType, args ...*Expr) (*Expr, error) {
	if !expr.Supported(sig) {
		return nil, errNotSupported("%s (%s)", name, sig)
	}
	e := &Expr{kind: kindFunc, Type: ft, sig: sig, name: name, args: b.exactQuotients(sig, args), coercion: 4}
	if evalOf(ft) != evalString {
		e.coercion = 5
	}
	for _, a := range args {
		if evalOf(ft) == evalString && evalOf(a.Type) == evalString && a.coercion < e.coercion {
			e.coercion = a.coercion
		}
	}
	return b.fold(e)
}

// volatileCall makes a call that must be evaluated for every row.
func (b *builder) volatileCall(sig tipb.ScalarFuncSig, name string, ft *tipb.FieldType, args ...*Expr) (*Expr, error) {
	if !expr.Supported(sig) {
		return nil, errNotSupported("%s (%s)", name, sig)
	}
	return &Expr{kind: kindFunc, Type: ft, sig: sig, name: name, args: args, coercion: 4, volatile: true}, nil
}

// fold evaluates a call of constants. What fails to evaluate stays a call: the error belongs to the row that needs it.
func (b *builder) fold(e *Expr) (*Expr, error) {
	for _, a := range e.args {
		if !a.isConst() {
			return e, nil
		}
	}
	if e.volatile || b.ctx.Expr == nil {
		return e, nil
	}
	pb, err := e.pb(nil)
	if err != nil {
		return nil, err
	}
	quiet := *b.ctx.Expr
	quiet.Warnings = &expr.Warnings{}
	arr, err := expr.EvalConst(pb, &quiet)
	var unsupported *expr.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return nil, errNotSupported("%s: %v", e.name, err)
	case err != nil || quiet.Warnings.Count > 0 || arr.Len() != 1:
		return e, nil
	}
	out := constExpr(cloneDatum(datum.FromColumn(arr, 0, e.Type)), e.Type)
	if !out.val.IsNull() {
		out.coercion = e.coercion
	}
	return out, nil
}

// cloneDatum gives d memory of its own: a column's is reused.
func cloneDatum(d datum.Datum) datum.Datum {
	switch d.Kind() {
	case datum.Bytes:
		return datum.NewBytes(append([]byte{}, d.Bytes()...))
	case datum.JSON:
		return datum.NewJSON(append([]byte{}, d.Bytes()...))
	}
	return d
}

// castSigs are the signatures of casts, [from][to].
var castSigs = [7][7]tipb.ScalarFuncSig{
	evalInt: {tipb.ScalarFuncSig_CastIntAsInt, tipb.ScalarFuncSig_CastIntAsReal, tipb.ScalarFuncSig_CastIntAsDecimal,
		tipb.ScalarFuncSig_CastIntAsString, tipb.ScalarFuncSig_CastIntAsTime, tipb.ScalarFuncSig_CastIntAsDuration, tipb.ScalarFuncSig_CastIntAsJson},
	evalReal: {tipb.ScalarFuncSig_CastRealAsInt, tipb.ScalarFuncSig_CastRealAsReal, tipb.ScalarFuncSig_CastRealAsDecimal,
		tipb.ScalarFuncSig_CastRealAsString, tipb.ScalarFuncSig_CastRealAsTime, tipb.ScalarFuncSig_CastRealAsDuration, tipb.ScalarFuncSig_CastRealAsJson},
	evalDecimal: {tipb.ScalarFuncSig_CastDecimalAsInt, tipb.ScalarFuncSig_CastDecimalAsReal, tipb.ScalarFuncSig_CastDecimalAsDecimal,
		tipb.ScalarFuncSig_CastDecimalAsString, tipb.ScalarFuncSig_CastDecimalAsTime, tipb.ScalarFuncSig_CastDecimalAsDuration, tipb.ScalarFuncSig_CastDecimalAsJson},
	evalString: {tipb.ScalarFuncSig_CastStringAsInt, tipb.ScalarFuncSig_CastStringAsReal, tipb.ScalarFuncSig_CastStringAsDecimal,
		tipb.ScalarFuncSig_CastStringAsString, tipb.ScalarFuncSig_CastStringAsTime, tipb.ScalarFuncSig_CastStringAsDuration, tipb.ScalarFuncSig_CastStringAsJson},
	evalTime: {tipb.ScalarFuncSig_CastTimeAsInt, tipb.ScalarFuncSig_CastTimeAsReal, tipb.ScalarFuncSig_CastTimeAsDecimal,
		tipb.ScalarFuncSig_CastTimeAsString, tipb.ScalarFuncSig_CastTimeAsTime, tipb.ScalarFuncSig_CastTimeAsDuration, tipb.ScalarFuncSig_CastTimeAsJson},
	evalDuration: {tipb.ScalarFuncSig_CastDurationAsInt, tipb.ScalarFuncSig_CastDurationAsReal, tipb.ScalarFuncSig_CastDurationAsDecimal,
		tipb.ScalarFuncSig_CastDurationAsString, tipb.ScalarFuncSig_CastDurationAsTime, tipb.ScalarFuncSig_CastDurationAsDuration, tipb.ScalarFuncSig_CastDurationAsJson},
	evalJSON: {tipb.ScalarFuncSig_CastJsonAsInt, tipb.ScalarFuncSig_CastJsonAsReal, tipb.ScalarFuncSig_CastJsonAsDecimal,
		tipb.ScalarFuncSig_CastJsonAsString, tipb.ScalarFuncSig_CastJsonAsTime, tipb.ScalarFuncSig_CastJsonAsDuration, tipb.ScalarFuncSig_CastJsonAsJson},
}

func isEnumSet(ft *tipb.FieldType) bool { return ft.Tp == column.TypeEnum || ft.Tp == column.TypeSet }

// castTo converts e to type ft.
func (b *builder) castTo(e *Expr, ft *tipb.FieldType) (*Expr, error) {
	if e.isNull() || e.Type.Tp == column.TypeNull { // a column of that type is NULL in every row
		return &Expr{kind: kindConst, Type: nullable(ft), coercion: 6}, nil
	}
	if sameShape(e.Type, ft) {
		return e, nil
	}
	from, to := evalOf(e.Type), evalOf(ft)
	if isEnumSet(e.Type) && to == evalInt {
		return e, nil
	}
	if !notNull(e.Type) {
		ft = nullable(ft)
	}
	out, err := b.cast(e, ft)
	if err == nil && to == evalString && from == evalString && out != e {
		c := *out
		c.coercion = e.coercion
		return &c, nil
	}
	return out, err
}

// cast makes the call that converts e to type ft.
func (b *builder) cast(e *Expr, ft *tipb.FieldType) (*Expr, error) {
	from, to := evalOf(e.Type), evalOf(ft)
	if isEnumSet(e.Type) && to <= evalDecimal {
		from = evalInt // the number, not the name
	}
	if from == evalDuration && to == evalTime {
		return b.today(e, ft)
	}
	return b.call(castSigs[from][to], "cast", ft, e)
}

// today makes a date and time of a TIME: the statement's day and that time. What runs on stores has no clock.
func (b *builder) today(e *Expr, ft *tipb.FieldType) (*Expr, error) {
	y, m, d := b.ctx.Vars.Now().Date()
	midnight := constExpr(datum.NewTime(value.MakeTime(y, int(m), d, 0, 0, 0, 0)), withFlag(timeType(column.TypeDatetime, 0), column.FlagNotNull, 0))
	sum, err := b.call(tipb.ScalarFuncSig_AddDatetimeAndDuration, "addtime", timeType(column.TypeDatetime, fspOf(e.Type)), midnight, e)
	if err != nil || sum.isNull() || ft.Tp == column.TypeDatetime && fspOf(ft) == fspOf(e.Type) {
		return sum, err
	}
	return b.call(tipb.ScalarFuncSig_CastTimeAsTime, "cast", ft, sum)
}

// sameShape reports whether a value of type a is one of type b as it is.
func sameShape(a, b *tipb.FieldType) bool {
	ea := evalOf(a)
	if ea != evalOf(b) {
		return false
	}
	switch ea {
	case evalInt:
		return isUnsigned(a) == isUnsigned(b) && (a.Tp == column.TypeBit) == (b.Tp == column.TypeBit)
	case evalReal:
		return b.Tp == column.TypeDouble || a.Tp == b.Tp
	case evalDecimal:
		return column.Scale(a) == column.Scale(b) && column.KindOf(a) == column.KindOf(b)
	case evalTime:
		return (a.Tp == b.Tp || b.Tp == column.TypeDatetime) && fspOf(a) <= fspOf(b)
	case evalDuration:
		return fspOf(a) == fspOf(b)
	case evalString:
		return isEnumSet(a) == isEnumSet(b) && (b.Flen < 0 || (a.Flen >= 0 && a.Flen <= b.Flen) || isBlob(b.Tp)) && isBinaryString(a) == isBinaryString(b)
	}
	return true
}

// as converts e to an evaluation class, with the natural type for it.
func (b *builder) as(e *Expr, to evalType) (*Expr, error) {
	if evalOf(e.Type) == to && !(isEnumSet(e.Type) && to != evalString) {
		return e, nil
	}
	if e.hex && to <= evalDecimal {
		return b.as(hexNumber(e), to)
	}
	if e.isConst() && to == evalDecimal && e.val.Kind() == datum.Bytes {
		return b.stringToDecimal(e)
	}
	return b.castTo(e, b.naturalType(e, to))
}

// hexNumber is the number that a hexadecimal or bit literal stands for.
func hexNumber(e *Expr) *Expr {
	n := uint64(0)
	for _, c := range e.val.Bytes() {
		n = n<<8 | uint64(c)
	}
	return withNotNull(constExpr(datum.NewUint64(n), uintType()))
}

// stringToDecimal gives a constant the exact type of its digits, not the widest one.
func (b *builder) stringToDecimal(e *Expr) (*Expr, error) {
	d, _, err := value.ParseDecimal(e.val.Bytes())
	if err != nil {
		return nil, &Error{Code: mysql.ErrDataOutOfRange, Message: err.Error()}
	}
	return decimalConst(d), nil
}

func decimalConst(d value.Decimal) *Expr {
	p, s := decimalSize(d)
	return constExpr(datum.NewDecimal(d), decimalType(p, s))
}

func (b *builder) naturalType(e *Expr, to evalType) *tipb.FieldType {
	ft := e.Type
	switch to {
	case evalInt:
		if isUnsigned(ft) {
			return uintType()
		}
		return intType()
	case evalReal:
		return realType()
	case evalDecimal:
		if evalOf(ft) == evalReal {
			return decimalType(column.MaxPrecision, column.MaxScale)
		}
		return decimalType(decimalShape(ft))
	case evalTime:
		return timeType(column.TypeDatetime, b.fspFor(e))
	case evalDuration:
		return durationType(b.fspFor(e))
	case evalJSON:
		return withFlag(jsonType(), column.FlagParseToJSON, 0)
	}
	if ft.Tp == column.TypeBit {
		return binaryType((int(ft.Flen) + 7) / 8)
	}
	return stringType(displayLen(ft), b.connType)
}

// fspFor is the fraction that a conversion of e to a temporal type keeps.
func (b *builder) fspFor(e *Expr) int {
	if e.isConst() && e.val.Kind() == datum.Bytes {
		s := e.val.Bytes()
		for i := len(s) - 1; i >= 0; i-- {
			if s[i] == '.' {
				return min(len(s)-1-i, maxFsp)
			}
		}
		return 0
	}
	return fspOf(e.Type)
}

// truth makes a condition of e: an integer that is 0, 1 or NULL enough for AND, OR and WHERE.
func (b *builder) truth(e *Expr) (*Expr, error) {
	switch evalOf(e.Type) {
	case evalInt:
		return e, nil
	case evalDecimal:
		return b.call(tipb.ScalarFuncSig_DecimalIsTrueWithNull, "istrue_with_null", boolType(), e)
	case evalReal:
		return b.call(tipb.ScalarFuncSig_RealIsTrueWithNull, "istrue_with_null", boolType(), e)
	}
	if isEnumSet(e.Type) {
		return e, nil
	}
	r, err := b.as(e, evalReal)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_RealIsTrueWithNull, "istrue_with_null", boolType(), r)
}

// not negates a condition, through comparisons where that says the same (also for NULL).
func (b *builder) not(e *Expr) (*Expr, error) {
	if e.kind == kindFunc {
		if op, ok := cmpOpOf(e.sig); ok && op.negated >= 0 {
			c := *e
			c.sig = cmpSig(op.negated, op.eval)
			c.name = cmpNames[op.negated]
			return &c, nil
		}
	}
	switch evalOf(e.Type) {
	case evalInt:
		return b.call(tipb.ScalarFuncSig_UnaryNotInt, "not", boolType(), e)
	case evalDecimal:
		return b.call(tipb.ScalarFuncSig_UnaryNotDecimal, "not", boolType(), e)
	case evalReal:
		return b.call(tipb.ScalarFuncSig_UnaryNotReal, "not", boolType(), e)
	}
	r, err := b.as(e, evalReal)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_UnaryNotReal, "not", boolType(), r)
}

func (b *builder) logic(sig tipb.ScalarFuncSig, name string, l, r *Expr) (*Expr, error) {
	var err error
	if l, err = b.truth(l); err != nil {
		return nil, err
	}
	if r, err = b.truth(r); err != nil {
		return nil, err
	}
	return b.call(sig, name, boolType(), l, r)
}

// longChain is the number of operands from which a chain becomes a balanced tree instead of the usual one.
const longChain = 100

// logicAll joins operands, in their order.
func (b *builder) logicAll(sig tipb.ScalarFuncSig, name string, operands []*Expr) (*Expr, error) {
	n := len(operands)
	if n == 1 {
		return operands[0], nil
	}
	at := n - 1
	if n > longChain {
		at = n / 2
	}
	l, err := b.logicAll(sig, name, operands[:at])
	if err != nil {
		return nil, err
	}
	r, err := b.logicAll(sig, name, operands[at:])
	if err != nil {
		return nil, err
	}
	return b.logic(sig, name, l, r)
}

var isNullSigs = [...]tipb.ScalarFuncSig{
	evalInt: tipb.ScalarFuncSig_IntIsNull, evalReal: tipb.ScalarFuncSig_RealIsNull, evalDecimal: tipb.ScalarFuncSig_DecimalIsNull,
	evalString: tipb.ScalarFuncSig_StringIsNull, evalTime: tipb.ScalarFuncSig_TimeIsNull, evalDuration: tipb.ScalarFuncSig_DurationIsNull,
	evalJSON: tipb.ScalarFuncSig_JsonIsNull,
}

func (b *builder) isNull(e *Expr) (*Expr, error) {
	ft := withFlag(boolType(), column.FlagNotNull, 0)
	return b.call(isNullSigs[evalOf(e.Type)], "isnull", ft, e)
}
