package planner

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// fnDef describes a SQL function by the signature it becomes.
type fnDef struct {
	// args has one letter per argument, the class it is converted to: i, r, d, s, t (time), u (TIME), j, x (as it is); after
	// '?' arguments may be missing, the letter before '*' stands any number of times, also none.
	args string
	make func(b *builder, name string, a []*Expr) (*Expr, error)
}

// arity is the least and greatest number of arguments; greatest is -1 for any.
func (d fnDef) arity() (least, most int) {
	optional := false
	for i := 0; i < len(d.args); i++ {
		switch d.args[i] {
		case '?':
			optional = true
		case '*':
			if !optional {
				least--
			}
			return least, -1
		default:
			most++
			if !optional {
				least++
			}
		}
	}
	return least, most
}

var letterClass = map[byte]evalType{'i': evalInt, 'r': evalReal, 'd': evalDecimal, 's': evalString, 't': evalTime, 'u': evalDuration, 'j': evalJSON}

// function makes a call of a SQL function by name.
func (b *builder) function(name string, args []*Expr) (*Expr, error) {
	d, ok := functions[name]
	if !ok {
		db := b.ctx.DB
		if db != "" {
			db += "."
		}
		return nil, errCode(mysql.ErrSpDoesNotExist, "FUNCTION", db+name)
	}
	if least, most := d.arity(); len(args) < least || most >= 0 && len(args) > most {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, name)
	}
	letters := strings.ReplaceAll(strings.ReplaceAll(d.args, "?", ""), "*", "")
	args = append([]*Expr(nil), args...)
	for i := range args {
		l := letters[min(i, len(letters)-1)]
		if et, ok := letterClass[l]; ok {
			var err error
			if args[i], err = b.as(args[i], et); err != nil {
				return nil, err
			}
		}
	}
	return d.make(b, name, args)
}

func (c *clause) funcCall(n *ast.FuncCallExpr) (*Expr, error) {
	name := n.FnName.L
	if n.Schema.L != "" {
		return nil, errCode(mysql.ErrSpDoesNotExist, "FUNCTION", n.Schema.O+"."+n.FnName.O)
	}
	switch name {
	case ast.DateAdd, ast.AddDate:
		return c.dateArith(n, true)
	case ast.DateSub, ast.SubDate:
		return c.dateArith(n, false)
	case ast.Extract:
		return c.extract(n)
	case ast.TimestampDiff, ast.TimestampAdd:
		return c.timestampArith(n)
	case ast.DateLiteral, ast.TimeLiteral, ast.TimestampLiteral:
		return c.temporalLiteral(n)
	case ast.Trim:
		return c.trim(n)
	case ast.CharFunc:
		return nil, errNotSupported("CHAR()")
	case ast.AnyValue:
		if c.group != nil && len(n.Args) == 1 {
			return c.aggregate(&ast.AggregateFuncExpr{F: ast.AggFuncFirstRow, Args: n.Args})
		}
	case ast.GetFormat:
		return nil, errNotSupported("GET_FORMAT()")
	}
	args, err := c.buildAll(n.Args)
	if err != nil {
		return nil, err
	}
	if e, ok, err := c.b.session(name, args); ok || err != nil {
		return e, err
	}
	return c.b.function(name, args)
}

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

func (c *clause) trim(n *ast.FuncCallExpr) (*Expr, error) {
	args := n.Args
	direction := ast.TrimBothDefault
	if len(args) == 3 {
		d, ok := args[2].(*ast.TrimDirectionExpr)
		if !ok {
			return nil, errCode(mysql.ErrWrongArguments, "trim")
		}
		direction, args = d.Direction, args[:2]
	}
	list, err := c.buildAll(args)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i], err = c.b.as(list[i], evalString); err != nil {
			return nil, err
		}
	}
	ft := stringType(displayLen(list[0].Type), list[0].Type)
	switch len(n.Args) {
	case 1:
		return c.b.call(tipb.ScalarFuncSig_Trim1Arg, "trim", ft, list...)
	case 2:
		return c.b.call(tipb.ScalarFuncSig_Trim2Args, "trim", ft, list...)
	}
	return c.b.call(tipb.ScalarFuncSig_Trim3Args, "trim", ft, list[0], list[1], intConst(int64(direction)))
}

func (c *clause) funcCast(n *ast.FuncCastExpr) (*Expr, error) {
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	ft := fromParserType(n.Tp, c.b.connType)
	if n.FunctionType == ast.CastBinaryOperator {
		if e, err = c.b.as(e, evalString); err != nil {
			return nil, err
		}
		ft = binaryType(displayLen(e.Type))
	}
	switch evalOf(ft) {
	case evalDecimal:
		if ft.Flen < 0 {
			ft.Flen, ft.Decimal = defaultPrec, 0
		}
		if ft.Decimal > column.MaxScale || ft.Flen > column.MaxPrecision {
			return nil, &Error{Code: mysql.ErrTooBigPrecision, Message: "Too-big precision specified for 'CAST'. Maximum is 65."}
		}
	case evalTime, evalDuration:
		ft.Decimal = max(ft.Decimal, 0)
		if ft.Decimal > maxFsp {
			return nil, errCode(mysql.ErrTooBigPrecision, ft.Decimal, "CAST", maxFsp)
		}
	case evalJSON:
		ft.Flag |= column.FlagParseToJSON
	case evalInt:
		ft.Tp = column.TypeLongLong
		ft.Flen = intLen
	case evalString:
		if ft.Flen < 0 {
			ft.Flen = int32(displayLen(e.Type))
		}
	}
	if e.isNull() {
		return c.b.castTo(e, ft)
	}
	from := evalOf(e.Type)
	if isEnumSet(e.Type) && evalOf(ft) <= evalDecimal {
		from = evalInt
	}
	return c.b.call(castSigs[from][evalOf(ft)], "cast", withFlag(ft, 0, column.FlagNotNull), e)
}
