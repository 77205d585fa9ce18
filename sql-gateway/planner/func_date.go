package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// dateArith makes date + INTERVAL n unit; the signature is named by the classes of date and n.
func (c *clause) dateArith(n *ast.FuncCallExpr, add bool) (*Expr, error) {
	if len(n.Args) != 3 {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, n.FnName.L)
	}
	unit, ok := n.Args[2].(*ast.TimeUnitExpr)
	if !ok {
		return nil, errCode(mysql.ErrWrongArguments, n.FnName.L)
	}
	args, err := c.buildAll(n.Args[:2])
	if err != nil {
		return nil, err
	}
	return c.b.dateArith(args[0], args[1], unit.Unit, add)
}

// intervalAmount is the number of an INTERVAL in a class that signatures know: an ENUM counts by its number, a time by the
// one that its digits spell.
func (b *builder) intervalAmount(e *Expr) (*Expr, error) {
	switch et := evalOf(e.Type); {
	case isEnumSet(e.Type):
		return b.as(e, evalInt)
	case isTemporal(e.Type):
		return b.as(e, evalDecimal)
	case et == evalJSON:
		return b.as(e, evalString)
	}
	return e, nil
}

func (b *builder) dateArith(date, amount *Expr, unit ast.TimeUnitType, add bool) (*Expr, error) {
	if date.isNull() || amount.isNull() {
		return nullConst(), nil
	}
	if evalOf(date.Type) == evalJSON {
		var err error
		if date, err = b.as(date, evalString); err != nil {
			return nil, err
		}
	}
	amount, err := b.intervalAmount(amount)
	if err != nil {
		return nil, err
	}
	if evalOf(date.Type) == evalDuration && unitIsDays(unit) {
		if date, err = b.as(date, evalTime); err != nil {
			return nil, err
		}
	}
	from, ft := dateArithType(date, unit, b.unitFsp(amount, unit), b)
	name := "AddDate"
	if !add {
		name = "SubDate"
	}
	span := map[evalType]string{evalInt: "Int", evalReal: "Real", evalDecimal: "Decimal", evalString: "String"}[evalOf(amount.Type)]
	if isEnumSet(amount.Type) {
		span = "Int"
	}
	name += from + span
	sig, ok := tipb.ScalarFuncSig_value[name]
	if !ok {
		return nil, errNotSupported("date arithmetic %s", name)
	}
	word := map[bool]string{true: "date_add", false: "date_sub"}[add]
	return b.call(tipb.ScalarFuncSig(sig), word, ft, date, amount, b.textConst(unit.String()))
}

// unitFsp is the number of fraction digits that an interval gives to what it is added to.
func (b *builder) unitFsp(amount *Expr, unit ast.TimeUnitType) int {
	switch {
	case unitHasMicros(unit):
		return maxFsp
	case unit == ast.TimeUnitSecond:
		return b.fspFor(amount)
	}
	return 0
}

// dateArithType names the class of the date and gives the result's type: a DATE stays one while whole days are added. The
// interval has unitFsp fraction digits.
func dateArithType(date *Expr, unit ast.TimeUnitType, unitFsp int, b *builder) (string, *tipb.FieldType) {
	fsp := max(fspOf(date.Type), unitFsp)
	switch evalOf(date.Type) {
	case evalInt:
		return "Int", stringType(datetimeLen+1+maxFsp, b.connType)
	case evalReal:
		return "Real", stringType(datetimeLen+1+maxFsp, b.connType)
	case evalDecimal:
		return "Decimal", stringType(datetimeLen+1+maxFsp, b.connType)
	case evalTime:
		if date.Type.Tp == column.TypeDate && unitIsDays(unit) {
			return "Datetime", timeType(column.TypeDate, 0)
		}
		return "Datetime", timeType(column.TypeDatetime, fsp)
	case evalDuration:
		return "Duration", durationType(fsp)
	}
	return "String", stringType(datetimeLen+1+maxFsp, b.connType)
}

func unitIsDays(u ast.TimeUnitType) bool {
	switch u {
	case ast.TimeUnitDay, ast.TimeUnitWeek, ast.TimeUnitMonth, ast.TimeUnitQuarter, ast.TimeUnitYear, ast.TimeUnitYearMonth:
		return true
	}
	return false
}

func unitHasMicros(u ast.TimeUnitType) bool {
	switch u {
	case ast.TimeUnitMicrosecond, ast.TimeUnitSecondMicrosecond, ast.TimeUnitMinuteMicrosecond, ast.TimeUnitHourMicrosecond, ast.TimeUnitDayMicrosecond:
		return true
	}
	return false
}

// textConst is a string of the server's own, of binary order.
func (b *builder) textConst(s string) *Expr {
	return withNotNull(constExpr(datum.NewString(s), stringType(len(s), b.connType)))
}

// unitFunctions are functions that EXTRACT of a unit is the same as, and whose kernels need not look at a unit.
var unitFunctions = map[ast.TimeUnitType]string{
	ast.TimeUnitYear: "year", ast.TimeUnitQuarter: "quarter", ast.TimeUnitMonth: "month", ast.TimeUnitDay: "dayofmonth", ast.TimeUnitWeek: "week",
}

// extract is EXTRACT(unit FROM e). A TIME has no date, but the units of a clock, and those that begin with days, are its own;
// for others it is one of today.
func (c *clause) extract(n *ast.FuncCallExpr) (*Expr, error) {
	unit, ok := n.Args[0].(*ast.TimeUnitExpr)
	if !ok || len(n.Args) != 2 {
		return nil, errCode(mysql.ErrWrongArguments, "extract")
	}
	arg, err := c.build(n.Args[1])
	if err != nil {
		return nil, err
	}
	sig, class := tipb.ScalarFuncSig_ExtractDatetime, evalTime
	switch et := evalOf(arg.Type); {
	case unitIsDays(unit.Unit):
	case et == evalDuration, et != evalTime && !unitStartsWithDay(unit.Unit):
		sig, class = tipb.ScalarFuncSig_ExtractDuration, evalDuration
	}
	if name, ok := unitFunctions[unit.Unit]; ok && class == evalTime {
		return c.b.function(name, []*Expr{arg})
	}
	if arg, err = c.b.as(arg, class); err != nil {
		return nil, err
	}
	return c.b.call(sig, "extract", intType(), c.b.textConst(unit.Unit.String()), arg)
}

func unitStartsWithDay(u ast.TimeUnitType) bool {
	switch u {
	case ast.TimeUnitDayMicrosecond, ast.TimeUnitDaySecond, ast.TimeUnitDayMinute, ast.TimeUnitDayHour:
		return true
	}
	return false
}

func (c *clause) timestampArith(n *ast.FuncCallExpr) (*Expr, error) {
	if len(n.Args) != 3 {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, n.FnName.L)
	}
	unit, ok := n.Args[0].(*ast.TimeUnitExpr)
	if !ok {
		return nil, errCode(mysql.ErrWrongArguments, n.FnName.L)
	}
	args, err := c.buildAll(n.Args[1:])
	if err != nil {
		return nil, err
	}
	if n.FnName.L == ast.TimestampAdd {
		return c.b.dateArith(args[1], args[0], unit.Unit, true)
	}
	for i := range args {
		if args[i], err = c.b.as(args[i], evalTime); err != nil {
			return nil, err
		}
	}
	return c.b.call(tipb.ScalarFuncSig_TimestampDiff, "timestampdiff", intType(), c.b.textConst(unit.Unit.String()), args[0], args[1])
}

// temporalLiteral is DATE '…', TIME '…' or TIMESTAMP '…'.
func (c *clause) temporalLiteral(n *ast.FuncCallExpr) (*Expr, error) {
	text, err := c.build(n.Args[0])
	if err != nil {
		return nil, err
	}
	ft := timeType(column.TypeDatetime, c.b.fspFor(text))
	switch n.FnName.L {
	case ast.DateLiteral:
		ft = timeType(column.TypeDate, 0)
	case ast.TimeLiteral:
		ft = durationType(c.b.fspFor(text))
	}
	e, err := c.b.castTo(text, ft)
	if err == nil && (!e.isConst() || e.isNull()) {
		return nil, &Error{Code: mysql.ErrWrongValue, Message: "Incorrect " + map[string]string{
			ast.DateLiteral: "DATE", ast.TimeLiteral: "TIME", ast.TimestampLiteral: "DATETIME"}[n.FnName.L] + " value: '" + constText(text) + "'"}
	}
	return e, err
}
