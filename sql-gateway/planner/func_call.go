package planner

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
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
		return c.char(n)
	case ast.AnyValue:
		if c.group != nil && len(n.Args) == 1 {
			return c.aggregate(&ast.AggregateFuncExpr{F: ast.AggFuncFirstRow, Args: n.Args})
		}
	case ast.Grouping:
		return c.grouping(n.Args)
	case ast.GetFormat:
		return c.getFormat(n)
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

// char is CHAR(n, ... [USING charset]); the parser puts the character set last, NULL where there is none.
func (c *clause) char(n *ast.FuncCallExpr) (*Expr, error) {
	args, err := c.buildAll(n.Args)
	if err != nil {
		return nil, err
	}
	if len(args) < 2 {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, n.FnName.L)
	}
	codes, charset := args[:len(args)-1], args[len(args)-1]
	for i := range codes {
		if codes[i], err = c.b.as(codes[i], evalInt); err != nil {
			return nil, err
		}
	}
	out, err := c.b.call(tipb.ScalarFuncSig_Char, "char", binaryType(4*len(codes)), codes...)
	if err != nil || charset.isNull() {
		return out, err
	}
	return c.b.convertUsing(out, strings.ToLower(constText(charset)))
}

// getFormat is GET_FORMAT(DATE|DATETIME|TIME, name).
func (c *clause) getFormat(n *ast.FuncCallExpr) (*Expr, error) {
	kind, ok := n.Args[0].(*ast.GetFormatSelectorExpr)
	if !ok || len(n.Args) != 2 {
		return nil, errCode(mysql.ErrWrongArguments, n.FnName.L)
	}
	words := map[ast.GetFormatSelectorType]string{
		ast.GetFormatSelectorDate: "DATE", ast.GetFormatSelectorDatetime: "DATETIME", ast.GetFormatSelectorTime: "TIME",
	}
	name, err := c.build(n.Args[1])
	if err != nil {
		return nil, err
	}
	return c.b.function(n.FnName.L, []*Expr{c.b.textConst(words[kind.Selector]), name})
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

// fromBytes makes text of a binary string or BIT, NULL where the bytes are no text; other values it leaves alone.
func (b *builder) fromBytes(e *Expr, like *tipb.FieldType) (*Expr, error) {
	if !isBinaryString(e.Type) && e.Type.Tp != column.TypeBit || e.isNull() {
		return e, nil
	}
	s, err := b.as(e, evalString)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_FromBinary, "from_binary", stringType(displayLen(s.Type), like), s)
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
	if e.hex && evalOf(ft) <= evalDecimal {
		e = hexNumber(e)
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
		if !isBinaryString(ft) {
			if e, err = c.b.fromBytes(e, ft); err != nil {
				return nil, err
			}
		}
	}
	if e.isNull() {
		return c.b.castTo(e, ft)
	}
	return c.b.cast(e, nullable(ft))
}
