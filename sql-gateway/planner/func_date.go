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
	if et := evalOf(amount.Type); et > evalString {
		var err error
		if amount, err = b.as(amount, evalString); err != nil {
			return nil, err
		}
	}
	from, ft := dateArithType(date, unit, b)
	name := "AddDate"
	if !add {
		name = "SubDate"
	}
	name += from + map[evalType]string{evalInt: "Int", evalReal: "Real", evalDecimal: "Decimal", evalString: "String"}[evalOf(amount.Type)]
	if from == "Duration" && evalOf(ft) == evalTime {
		name += "Datetime"
	}
	sig, ok := tipb.ScalarFuncSig_value[name]
	if !ok {
		return nil, errNotSupported("date arithmetic %s", name)
	}
	word := map[bool]string{true: "date_add", false: "date_sub"}[add]
	return b.call(tipb.ScalarFuncSig(sig), word, ft, date, amount, b.textConst(unit.String()))
}

// dateArithType names the class of the date and gives the result's type: a DATE stays one while whole days are added.
func dateArithType(date *Expr, unit ast.TimeUnitType, b *builder) (string, *tipb.FieldType) {
	fsp := fspOf(date.Type)
	if unitHasMicros(unit) {
		fsp = maxFsp
	}
	switch evalOf(date.Type) {
	case evalInt:
		return "Int", timeType(column.TypeDatetime, fsp)
	case evalReal:
		return "Real", timeType(column.TypeDatetime, maxFsp)
	case evalDecimal:
		return "Decimal", timeType(column.TypeDatetime, fsp)
	case evalTime:
		if date.Type.Tp == column.TypeDate && unitIsDays(unit) {
			return "Datetime", timeType(column.TypeDate, 0)
		}
		return "Datetime", timeType(column.TypeDatetime, fsp)
	case evalDuration:
		if unitIsDays(unit) {
			return "Duration", timeType(column.TypeDatetime, fsp)
		}
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

// unitParts are the functions whose results EXTRACT of a unit is put together of, each with the factor it counts.
var unitParts = map[ast.TimeUnitType][]struct {
	fn     string
	factor int64
}{
	ast.TimeUnitYear: {{"year", 1}}, ast.TimeUnitQuarter: {{"quarter", 1}}, ast.TimeUnitMonth: {{"month", 1}},
	ast.TimeUnitWeek: {{"week", 1}}, ast.TimeUnitDay: {{"dayofmonth", 1}}, ast.TimeUnitHour: {{"hour", 1}},
	ast.TimeUnitMinute: {{"minute", 1}}, ast.TimeUnitSecond: {{"second", 1}}, ast.TimeUnitMicrosecond: {{"microsecond", 1}},
	ast.TimeUnitYearMonth:         {{"year", 100}, {"month", 1}},
	ast.TimeUnitDayHour:           {{"dayofmonth", 100}, {"hour", 1}},
	ast.TimeUnitDayMinute:         {{"dayofmonth", 1e4}, {"hour", 100}, {"minute", 1}},
	ast.TimeUnitDaySecond:         {{"dayofmonth", 1e6}, {"hour", 1e4}, {"minute", 100}, {"second", 1}},
	ast.TimeUnitHourMinute:        {{"hour", 100}, {"minute", 1}},
	ast.TimeUnitHourSecond:        {{"hour", 1e4}, {"minute", 100}, {"second", 1}},
	ast.TimeUnitMinuteSecond:      {{"minute", 100}, {"second", 1}},
	ast.TimeUnitSecondMicrosecond: {{"second", 1e6}, {"microsecond", 1}},
	ast.TimeUnitMinuteMicrosecond: {{"minute", 1e8}, {"second", 1e6}, {"microsecond", 1}},
	ast.TimeUnitHourMicrosecond:   {{"hour", 1e10}, {"minute", 1e8}, {"second", 1e6}, {"microsecond", 1}},
	ast.TimeUnitDayMicrosecond:    {{"dayofmonth", 1e12}, {"hour", 1e10}, {"minute", 1e8}, {"second", 1e6}, {"microsecond", 1}},
}

func (c *clause) extract(n *ast.FuncCallExpr) (*Expr, error) {
	unit, ok := n.Args[0].(*ast.TimeUnitExpr)
	if !ok || len(n.Args) != 2 {
		return nil, errCode(mysql.ErrWrongArguments, "extract")
	}
	arg, err := c.build(n.Args[1])
	if err != nil {
		return nil, err
	}
	var sum *Expr
	for _, p := range unitParts[unit.Unit] {
		part, err := c.b.function(p.fn, []*Expr{arg})
		if err != nil {
			return nil, err
		}
		if p.factor != 1 {
			if part, err = c.b.call(tipb.ScalarFuncSig_MultiplyInt, "mul", intType(), part, intConst(p.factor)); err != nil {
				return nil, err
			}
		}
		if sum == nil {
			sum = part
		} else if sum, err = c.b.call(tipb.ScalarFuncSig_PlusInt, "plus", intType(), sum, part); err != nil {
			return nil, err
		}
	}
	if sum == nil {
		return nil, errNotSupported("EXTRACT of %s", unit.Unit)
	}
	return sum, nil
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
