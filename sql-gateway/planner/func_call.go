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
