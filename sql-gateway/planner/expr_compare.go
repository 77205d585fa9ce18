package planner

import (
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// cmpOp is a comparison; the tens of tipb's signatures follow this order.
type cmpOp int8

const (
	cmpLT cmpOp = iota
	cmpLE
	cmpGT
	cmpGE
	cmpEQ
	cmpNE
	cmpNullEQ
)

var (
	cmpNames   = [...]string{"lt", "le", "gt", "ge", "eq", "ne", "nulleq"}
	cmpSwapped = [...]cmpOp{cmpGT, cmpGE, cmpLT, cmpLE, cmpEQ, cmpNE, cmpNullEQ}
	cmpNegated = [...]cmpOp{cmpGE, cmpGT, cmpLE, cmpLT, cmpNE, cmpEQ, -1}
)

var opcodeCmp = map[opcode.Op]cmpOp{
	opcode.LT: cmpLT, opcode.LE: cmpLE, opcode.GT: cmpGT, opcode.GE: cmpGE, opcode.EQ: cmpEQ, opcode.NE: cmpNE, opcode.NullEQ: cmpNullEQ,
}

// cmpOffset is the place of an evaluation class among a comparison's signatures.
var cmpOffset = [...]tipb.ScalarFuncSig{evalInt: 0, evalReal: 1, evalDecimal: 2, evalString: 3, evalTime: 4, evalDuration: 5, evalJSON: 6}

func cmpSig(op cmpOp, et evalType) tipb.ScalarFuncSig {
	return tipb.ScalarFuncSig_LTInt + tipb.ScalarFuncSig(op)*10 + cmpOffset[et]
}

type cmpInfo struct {
	op      cmpOp
	eval    evalType
	negated cmpOp
}

// cmpOpOf takes a comparison's signature apart.
func cmpOpOf(sig tipb.ScalarFuncSig) (cmpInfo, bool) {
	if sig < tipb.ScalarFuncSig_LTInt || sig > tipb.ScalarFuncSig_NullEQJson {
		return cmpInfo{}, false
	}
	n := sig - tipb.ScalarFuncSig_LTInt
	if n%10 > 6 {
		return cmpInfo{}, false
	}
	op := cmpOp(n / 10)
	return cmpInfo{op, evalType(n % 10), cmpNegated[op]}, true
}

// compareClass is the class in which two values are compared.
func compareClass(l, r *Expr) evalType {
	a, b := evalOf(l.Type), evalOf(r.Type)
	switch {
	case l.Type.Tp == column.TypeNull:
		return b
	case r.Type.Tp == column.TypeNull:
		return a
	case a == evalJSON || b == evalJSON:
		return evalJSON
	case a == evalString && b == evalString:
		return evalString
	case a == evalTime || b == evalTime:
		return temporalClass(l, r)
	case a == evalDuration && (b == evalDuration || b == evalString), b == evalDuration && a == evalString:
		return evalDuration
	case a == evalInt && b == evalInt:
		return evalInt
	case a <= evalDecimal && a != evalReal && b <= evalDecimal && b != evalReal:
		return evalDecimal
	case a == evalDecimal && exactText(r), b == evalDecimal && exactText(l):
		return evalDecimal
	case a == evalInt && wholeText(r), b == evalInt && wholeText(l):
		return evalInt
	}
	return evalReal
}

func temporalClass(l, r *Expr) evalType {
	a, b := evalOf(l.Type), evalOf(r.Type)
	if a == evalTime && (b == evalTime || b == evalString || b == evalDuration || isTimeNumber(r)) ||
		b == evalTime && (a == evalString || a == evalDuration || isTimeNumber(l)) {
		return evalTime
	}
	return evalReal
}

// isTimeNumber reports whether e is a number that spells a date and time: 20240131 or 20240131235959.5.
func isTimeNumber(e *Expr) bool {
	if !e.isConst() {
		return false
	}
	var err error
	switch e.val.Kind() {
	case datum.Int64:
		_, err = value.TimeFromNumber(e.val.Int64(), value.TimeMode{})
	case datum.Decimal:
		_, err = value.TimeFromDecimal(e.val.Decimal(), maxFsp, value.TimeMode{})
	default:
		return e.isNull()
	}
	return err == nil
}

// exactText reports whether e is a constant string that is a decimal number as a whole, without exponent.
func exactText(e *Expr) bool {
	if !e.isConst() || e.val.Kind() != datum.Bytes {
		return false
	}
	for _, c := range e.val.Bytes() {
		if c == 'e' || c == 'E' {
			return false
		}
	}
	_, whole, err := value.ParseDecimal(e.val.Bytes())
	return err == nil && whole && len(e.val.Bytes()) > 0
}

// wholeText reports whether e is a constant string that is a small integer.
func wholeText(e *Expr) bool {
	if !exactText(e) || len(e.val.Bytes()) > 18 {
		return false
	}
	d, _, _ := value.ParseDecimal(e.val.Bytes())
	return d.Scale == 0
}

// compare makes a comparison. Constants are brought to the type of what they are compared with here, so that no row pays
// for it and ranges can be cut from them.
func (b *builder) compare(op cmpOp, l, r *Expr) (*Expr, error) {
	if l.isConst() && !r.isConst() {
		l, r, op = r, l, cmpSwapped[op]
	}
	if r.hex && isNumeric(l.Type) {
		r = hexNumber(r)
	}
	et := compareClass(l, r)
	if et == evalDecimal && evalOf(l.Type) == evalInt && r.isConst() && !l.isConst() {
		if e, ok := b.compareIntWithDecimal(op, l, r); ok {
			return e, nil
		}
	}
	l, r, err := b.comparePair(l, r, et)
	if err != nil {
		return nil, err
	}
	ft := boolType()
	if op == cmpNullEQ || notNull(l.Type) && notNull(r.Type) {
		ft = withFlag(ft, column.FlagNotNull, 0)
	}
	if et == evalString {
		ft.Collate, ft.Charset = l.Type.Collate, l.Type.Charset
	}
	return b.call(cmpSig(op, et), cmpNames[op], ft, l, r)
}

// comparePair converts both sides to the class of the comparison.
func (b *builder) comparePair(l, r *Expr, et evalType) (*Expr, *Expr, error) {
	var err error
	switch et {
	case evalString:
		return b.sameCollation(l, r, "=")
	case evalDecimal:
		return b.decimalPair(l, r)
	case evalJSON:
		if l, err = b.jsonValue(l); err == nil {
			r, err = b.jsonValue(r)
		}
		return l, r, err
	case evalTime, evalDuration:
		if l, err = b.comparedTime(l, r, et); err == nil {
			r, err = b.comparedTime(r, l, et)
		}
		return l, r, err
	}
	if l, err = b.as(l, et); err == nil {
		r, err = b.as(r, et)
	}
	return l, r, err
}

// comparedTime makes e what other, a time or TIME, is compared with. A constant at midnight is a DATE beside one.
func (b *builder) comparedTime(e, other *Expr, et evalType) (*Expr, error) {
	if evalOf(e.Type) == et {
		return e, nil
	}
	c, err := b.looseTime(e, et)
	switch {
	case err != nil || c.isNull():
		return c, err
	case c.isConst() && other.Type.Tp == column.TypeDate && et == evalTime && isMidnight(c.val.Time()):
		return constExpr(c.val, timeType(column.TypeDate, 0)), nil
	case c.isConst() || evalOf(e.Type) != evalString:
		return c, nil
	}
	return b.zeroUnless(c, e)
}

// looseTime converts e to be compared with times. Of constants it takes dates that sql_mode forbids to store, as MySQL does:
// how else would one find the rows that have them?
func (b *builder) looseTime(e *Expr, et evalType) (*Expr, error) {
	loose := value.TimeMode{AllowInvalidDates: true}
	var t value.Time
	var err error
	switch {
	case !e.isConst() || et != evalTime || b.ctx.Expr == nil:
		return b.as(e, et)
	case e.val.Kind() == datum.Bytes && !e.hex:
		t, err = value.ParseTime(e.val.Bytes(), byte(column.TypeDatetime), b.fspFor(e), b.ctx.Expr.Location, loose)
	case e.val.Kind() == datum.Int64:
		t, err = value.TimeFromNumber(e.val.Int64(), loose)
	default:
		return b.as(e, et)
	}
	if err != nil {
		return b.as(e, et)
	}
	return withNotNull(constExpr(datum.NewTime(t), timeType(column.TypeDatetime, b.fspFor(e)))), nil
}

// zeroUnless is time, the conversion of a text, but zero where the text is none: so MySQL compares what is no date, with a
// warning, and does not take it for NULL.
func (b *builder) zeroUnless(time, text *Expr) (*Expr, error) {
	zero := constExpr(datum.NewTime(0), time.Type)
	et := evalOf(time.Type)
	if et == evalDuration {
		zero = constExpr(datum.NewDuration(0), time.Type)
	}
	null, err := b.isNull(text)
	if err != nil {
		return nil, err
	}
	other, err := b.call(ifSigs[et], "if", nullable(time.Type), null, constExpr(datum.Datum{}, nullable(time.Type)), zero)
	if err != nil {
		return nil, err
	}
	return b.call(ifNullSigs[et], "ifnull", nullable(time.Type), time, other)
}

func isMidnight(t value.Time) bool { return uint64(t)&(1<<41-1) == 0 }

// decimalPair gives a constant the scale of the column it is compared with, where that changes nothing: the comparison is
// then one of plain integers.
func (b *builder) decimalPair(l, r *Expr) (_, _ *Expr, err error) {
	if l, err = b.as(l, evalDecimal); err != nil {
		return nil, nil, err
	}
	if r, err = b.as(r, evalDecimal); err != nil {
		return nil, nil, err
	}
	if r.isConst() && !r.isNull() && !l.isConst() {
		d, scale := r.val.Decimal(), column.Scale(l.Type)
		if up := d.Rescale(scale); int(d.Scale) <= scale && up.FitsIn(column.Precision(l.Type), scale) {
			r = constExpr(datum.NewDecimal(up), decimalType(column.Precision(l.Type), scale))
		}
	}
	return l, r, nil
}

// compareIntWithDecimal turns i < 4.5 to i < 5 and the like, so that an integer column stays an integer column.
func (b *builder) compareIntWithDecimal(op cmpOp, l, r *Expr) (*Expr, bool) {
	if evalOf(r.Type) != evalDecimal || r.isNull() || op == cmpNullEQ {
		return nil, false
	}
	n, ok := r.val.Decimal().Int64()
	exact := ok && value.DecimalFromInt64(n).Cmp(r.val.Decimal()) == 0
	switch {
	case !ok:
		return nil, false
	case exact:
	case op == cmpEQ || op == cmpNE:
		return nil, false
	default:
		above := value.DecimalFromInt64(n).Cmp(r.val.Decimal()) > 0
		if op, ok = roundedOp(op, above); !ok {
			return nil, false
		}
	}
	e, err := b.compare(op, l, intConst(n))
	return e, err == nil
}

// roundedOp is the comparison with an integer that says the same as op with a number just below (the integer is above)
// or just above it.
func roundedOp(op cmpOp, above bool) (cmpOp, bool) {
	switch op {
	case cmpLT, cmpLE:
		if above {
			return cmpLT, true
		}
		return cmpLE, true
	case cmpGT, cmpGE:
		if above {
			return cmpGE, true
		}
		return cmpGT, true
	}
	return op, false
}

// sameCollation settles by coercibility which collation two strings are compared in and gives it to both.
func (b *builder) sameCollation(l, r *Expr, op string) (*Expr, *Expr, error) {
	ft, err := b.mergeCollation(op, l, r)
	if err != nil {
		return nil, nil, err
	}
	return recollate(l, ft), recollate(r, ft), nil
}

// mergeCollation is the collation of strings together.
func (b *builder) mergeCollation(op string, list ...*Expr) (*tipb.FieldType, error) {
	var best *Expr
	for _, e := range list {
		if evalOf(e.Type) != evalString {
			continue
		}
		switch {
		case best == nil || e.coercion < best.coercion:
			best = e
		case e.coercion > best.coercion || sameCollate(e.Type, best.Type):
		case isBinaryString(e.Type):
			best = e
		case isBinaryString(best.Type):
		case e.coercion == 0:
			return nil, errMixedCollations(op, "EXPLICIT", best, e, len(list))
		case isBinCollation(e.Type):
			best = e
		case isBinCollation(best.Type) || e.coercion >= 3:
		default:
			return nil, errMixedCollations(op, "IMPLICIT", best, e, len(list))
		}
	}
	if best == nil {
		return b.connType, nil
	}
	return best.Type, nil
}

// errMixedCollations is the error of two collations, of equal coercibility, among the operands of op.
func errMixedCollations(op, coercibility string, a, b *Expr, operands int) error {
	if operands > 2 { // MySQL has an error of its own for three, which names them all; TiDB has not
		return errCode(mysql.ErrCantAggregateNcollations, op)
	}
	return errCode(mysql.ErrCantAggregate2collations, collationName(a.Type.Collate), coercibility, collationName(b.Type.Collate), coercibility, op)
}

func sameCollate(a, b *tipb.FieldType) bool { return a.Collate == b.Collate || a.Collate == -b.Collate }

func isBinCollation(ft *tipb.FieldType) bool {
	switch max(ft.Collate, -ft.Collate) {
	case 46, 47, 65, 83, 87, 249, 309:
		return true
	}
	return false
}

// recollate gives a string the collation of ft. Only constants and calls change; what a column says of itself is how it
// is stored.
func recollate(e *Expr, ft *tipb.FieldType) *Expr {
	if evalOf(e.Type) != evalString || e.Type.Collate == ft.Collate {
		return e
	}
	t := *e.Type
	t.Collate, t.Charset = ft.Collate, ft.Charset
	c := *e
	c.Type = &t
	return &c
}
