package planner

import (
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tidb/pkg/parser/test_driver"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// clause is the place in a statement where an expression stands: what its names may mean, whether it may aggregate, and
// the plan below it, to which subqueries attach as joins.
type clause struct {
	b     *builder
	scope *scope
	where string // "where clause", as error messages call it
	plan  *logical
	// group is set above an aggregation (select list, HAVING, ORDER BY): aggregate functions are allowed, and what is not
	// aggregated must come from the group's key.
	group *grouping
	// aliases are the select list's names, where this clause sees them.
	aliases *selectList
	// values are the columns of VALUES(col); nil forbids it.
	values map[string]*Column
	// windows is set where window functions are allowed: in the select list and ORDER BY.
	windows *windowing
	// inAggregate: inside the argument of an aggregate function.
	inAggregate bool
	// aliasLate: columns of FROM come before aliases, and aliases stand for what they were written as (GROUP BY).
	aliasLate bool
	item      int // number of the select item, for errors
}

func (c *clause) build(node ast.ExprNode) (*Expr, error) {
	if c.b.depth++; c.b.depth > maxDepth {
		return nil, errTooDeep()
	}
	defer func() { c.b.depth-- }()
	switch n := node.(type) {
	case *ast.ParenthesesExpr:
		return c.build(n.Expr)
	case *ast.ColumnNameExpr:
		return c.column(n.Name)
	case *ast.BinaryOperationExpr:
		return c.binary(n)
	case *ast.UnaryOperationExpr:
		return c.unary(n)
	case *ast.FuncCallExpr:
		return c.funcCall(n)
	case *ast.FuncCastExpr:
		return c.funcCast(n)
	case *ast.AggregateFuncExpr:
		return c.aggregate(n)
	case *ast.WindowFuncExpr:
		return c.windowFunc(n)
	case *ast.BetweenExpr:
		return c.between(n)
	case *ast.PatternInExpr:
		return c.in(n)
	case *ast.PatternLikeOrIlikeExpr:
		return c.like(n)
	case *ast.PatternRegexpExpr:
		return c.regexp(n)
	case *ast.IsNullExpr:
		return c.isNull(n)
	case *ast.IsTruthExpr:
		return c.isTruth(n)
	case *ast.CaseExpr:
		return c.caseWhen(n)
	case *ast.SubqueryExpr:
		return c.scalarSubquery(n)
	case *ast.ExistsSubqueryExpr:
		return c.exists(n, false)
	case *ast.CompareSubqueryExpr:
		return c.compareSubquery(n)
	default:
		return c.leaf(node)
	}
}

func (c *clause) leaf(node ast.ExprNode) (*Expr, error) {
	switch n := node.(type) {
	case *test_driver.ValueExpr:
		return c.b.literal(n)
	case *test_driver.ParamMarkerExpr:
		return c.b.param(n)
	case *ast.VariableExpr:
		return c.variable(n)
	case *ast.ValuesExpr:
		return c.valuesOf(n)
	case *ast.SetCollationExpr:
		return c.collate(n)
	case *ast.PositionExpr:
		return c.position(n)
	case *ast.RowExpr:
		return nil, errCode(mysql.ErrOperandColumns, 1)
	case *ast.DefaultExpr:
		return c.defaultOf(n)
	case *ast.MatchAgainst:
		return nil, errNotSupported("MATCH ... AGAINST")
	}
	return nil, errNotSupported("%T", node)
}

// condition builds the conjuncts of a WHERE, ON or HAVING. Subqueries that are conjuncts of their own become joins.
func (c *clause) condition(node ast.ExprNode) ([]*Expr, error) {
	var conds []*Expr
	for _, part := range splitAndAST(nil, node) {
		joined, err := c.conjunct(part)
		if err != nil {
			return nil, err
		}
		if joined {
			continue
		}
		e, err := c.build(part)
		if err != nil {
			return nil, err
		}
		if e, err = c.b.truth(e); err != nil {
			return nil, err
		}
		if e, err = c.finish(e); err != nil {
			return nil, err
		}
		conds = splitAnd(conds, e)
	}
	return conds, nil
}

// splitAndAST appends the conjuncts of n.
func splitAndAST(dst []ast.ExprNode, n ast.ExprNode) []ast.ExprNode {
	if b, ok := unparen(n).(*ast.BinaryOperationExpr); ok && b.Op == opcode.LogicAnd {
		return splitAndAST(splitAndAST(dst, b.L), b.R)
	}
	return append(dst, n)
}

// column resolves a name: in the select list where the clause sees it first, in FROM, then in the enclosing queries.
func (c *clause) column(cn *ast.ColumnName) (*Expr, error) {
	aliases := c.aliases != nil && cn.Table.L == "" && !c.inAggregate
	if aliases && !c.aliasLate {
		if e, err := c.aliases.find(cn, c); e != nil || err != nil {
			return e, err
		}
	}
	for s, own := c.scope, true; s != nil; s, own = s.parent, false {
		n, err := s.find(cn, c.where)
		if err != nil {
			return nil, err
		}
		if n != nil {
			if !own && s.owner != nil {
				s.owner.useInside(n.col)
			}
			return colExpr(n.col), nil
		}
		if own && aliases && c.aliasLate {
			if e, err := c.aliases.find(cn, c); e != nil || err != nil {
				return e, err
			}
		}
	}
	return nil, errCode(mysql.ErrBadField, columnText(cn), c.where)
}

func (b *builder) literal(v *test_driver.ValueExpr) (*Expr, error) {
	ft := fromParserType(&v.Type, b.connType)
	switch v.Kind() {
	case test_driver.KindNull:
		return nullConst(), nil
	case test_driver.KindInt64:
		return constExpr(datum.NewInt64(v.GetInt64()), withFlag(ft, column.FlagNotNull, 0)), nil
	case test_driver.KindUint64:
		return constExpr(datum.NewUint64(v.GetUint64()), withFlag(ft, column.FlagNotNull|column.FlagUnsigned, 0)), nil
	case test_driver.KindFloat32, test_driver.KindFloat64:
		return constExpr(datum.NewFloat64(v.GetFloat64()), withFlag(realType(), column.FlagNotNull, 0)), nil
	case test_driver.KindMysqlDecimal:
		d, _, err := value.ParseDecimal(v.GetMysqlDecimal().ToString())
		if err != nil {
			return nil, &Error{Code: mysql.ErrDataOutOfRange, Message: err.Error()}
		}
		e := decimalConst(d)
		e.Type = withFlag(e.Type, column.FlagNotNull, 0)
		return e, nil
	case test_driver.KindString:
		if v.Type.GetCollate() == "" {
			ft.Collate, ft.Charset = b.connType.Collate, b.connType.Charset
		}
		ft.Flen = int32(len(v.GetString()))
		return constExpr(datum.NewString(v.GetString()), withFlag(ft, column.FlagNotNull, 0)), nil
	case test_driver.KindBinaryLiteral, test_driver.KindBytes:
		raw := v.GetBytes()
		e := constExpr(datum.NewBytes(raw), withFlag(binaryType(len(raw)), column.FlagNotNull, 0))
		e.hex = len(raw) <= 8
		return e, nil
	}
	return nil, errNotSupported("literal")
}

func (b *builder) param(p *test_driver.ParamMarkerExpr) (*Expr, error) {
	if p.Order < 0 || p.Order >= len(b.ctx.Params) {
		return nil, errCode(mysql.ErrWrongArguments, "EXECUTE")
	}
	d := b.ctx.Params[p.Order]
	var ft *tipb.FieldType
	if p.Order < len(b.ctx.ParamTypes) {
		ft = b.ctx.ParamTypes[p.Order]
	}
	e := b.constOf(d, ft)
	e.param = p.Order + 1
	return e, nil
}

// constOf makes a constant of a value from outside; its type is made to fit the value.
func (b *builder) constOf(d datum.Datum, ft *tipb.FieldType) *Expr {
	switch d.Kind() {
	case datum.Null:
		return nullConst()
	case datum.Int64:
		return constExpr(d, constIntType(len(constText(intConst(d.Int64())))))
	case datum.Uint64:
		if ft != nil && (evalOf(ft) == evalInt && isUnsigned(ft)) {
			return constExpr(d, ft)
		}
		return constExpr(d, uintType())
	case datum.Float64:
		return constExpr(d, realType())
	case datum.Decimal:
		return decimalConst(d.Decimal())
	case datum.Time:
		if ft == nil || evalOf(ft) != evalTime {
			ft = timeType(column.TypeDatetime, maxFsp)
		}
		return constExpr(d, ft)
	case datum.Duration:
		if ft == nil || evalOf(ft) != evalDuration {
			ft = durationType(maxFsp)
		}
		return constExpr(d, ft)
	case datum.JSON:
		return constExpr(d, jsonType())
	}
	if ft == nil || evalOf(ft) != evalString || isEnumSet(ft) {
		return constExpr(d, stringType(len(d.Bytes()), b.connType))
	}
	c := *ft
	c.Flen = int32(len(d.Bytes()))
	if c.Collate == 0 {
		c.Collate, c.Charset = b.connType.Collate, b.connType.Charset
	}
	return constExpr(d, &c)
}

func (c *clause) binary(n *ast.BinaryOperationExpr) (*Expr, error) {
	if op, ok := opcodeCmp[n.Op]; ok {
		return c.comparison(op, n.L, n.R)
	}
	if n.Op == opcode.LogicAnd || n.Op == opcode.LogicOr {
		return c.chain(n)
	}
	l, err := c.build(n.L)
	if err != nil {
		return nil, err
	}
	r, err := c.build(n.R)
	if err != nil {
		return nil, err
	}
	if n.Op == opcode.LogicXor {
		return c.b.logic(tipb.ScalarFuncSig_LogicalXor, "xor", l, r)
	}
	return c.b.arithmetic(n.Op, l, r)
}

// chain builds a AND b AND ..., or the same with OR, which programs write with thousands of operands: the parser's tree is
// as deep as the chain is long, the one built here is not.
func (c *clause) chain(n *ast.BinaryOperationExpr) (*Expr, error) {
	var nodes []ast.ExprNode
	for left := n; left != nil; {
		nodes = append(nodes, left.R)
		next, ok := unparen(left.L).(*ast.BinaryOperationExpr)
		if !ok || next.Op != n.Op {
			nodes = append(nodes, left.L)
			next = nil
		}
		left = next
	}
	slices.Reverse(nodes)
	operands, err := c.buildAll(nodes)
	if err != nil {
		return nil, err
	}
	if n.Op == opcode.LogicAnd {
		return c.b.logicAll(tipb.ScalarFuncSig_LogicalAnd, "and", operands)
	}
	return c.b.logicAll(tipb.ScalarFuncSig_LogicalOr, "or", operands)
}

// comparison handles rows, too: (a, b) = (c, d).
func (c *clause) comparison(op cmpOp, ln, rn ast.ExprNode) (*Expr, error) {
	lr, lok := unparen(ln).(*ast.RowExpr)
	rr, rok := unparen(rn).(*ast.RowExpr)
	switch {
	case lok && rok:
		return c.rowComparison(op, lr.Values, rr.Values)
	case lok:
		if sub, ok := unparen(rn).(*ast.SubqueryExpr); ok {
			return c.rowSubquery(op, lr.Values, sub)
		}
		return nil, errCode(mysql.ErrOperandColumns, len(lr.Values))
	case rok:
		return nil, errCode(mysql.ErrOperandColumns, 1)
	}
	l, err := c.build(ln)
	if err != nil {
		return nil, err
	}
	r, err := c.build(rn)
	if err != nil {
		return nil, err
	}
	return c.b.compare(op, l, r)
}

func unparen(n ast.ExprNode) ast.ExprNode {
	for {
		p, ok := n.(*ast.ParenthesesExpr)
		if !ok {
			return n
		}
		n = p.Expr
	}
}

func (c *clause) buildAll(nodes []ast.ExprNode) ([]*Expr, error) {
	out := make([]*Expr, len(nodes))
	for i, n := range nodes {
		e, err := c.build(n)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func (c *clause) rowComparison(op cmpOp, ln, rn []ast.ExprNode) (*Expr, error) {
	if len(ln) != len(rn) {
		return nil, errCode(mysql.ErrOperandColumns, len(ln))
	}
	l, err := c.buildAll(ln)
	if err != nil {
		return nil, err
	}
	r, err := c.buildAll(rn)
	if err != nil {
		return nil, err
	}
	return c.b.compareRows(op, l, r)
}

// compareRows expands a comparison of rows: equalities column by column, orders from the first difference on.
func (b *builder) compareRows(op cmpOp, l, r []*Expr) (*Expr, error) {
	switch op {
	case cmpEQ, cmpNullEQ:
		return b.eachEqual(op, l, r)
	case cmpNE:
		e, err := b.eachEqual(cmpEQ, l, r)
		if err != nil {
			return nil, err
		}
		return b.not(e)
	}
	last := len(l) - 1
	out, err := b.compare(op, l[last], r[last])
	strict := map[cmpOp]cmpOp{cmpLE: cmpLT, cmpLT: cmpLT, cmpGE: cmpGT, cmpGT: cmpGT}[op]
	for i := last - 1; i >= 0 && err == nil; i-- {
		var less, eq *Expr
		if less, err = b.compare(strict, l[i], r[i]); err != nil {
			break
		}
		if eq, err = b.compare(cmpEQ, l[i], r[i]); err != nil {
			break
		}
		if out, err = b.logic(tipb.ScalarFuncSig_LogicalAnd, "and", eq, out); err != nil {
			break
		}
		out, err = b.logic(tipb.ScalarFuncSig_LogicalOr, "or", less, out)
	}
	return out, err
}

func (b *builder) eachEqual(op cmpOp, l, r []*Expr) (*Expr, error) {
	parts := make([]*Expr, len(l))
	for i := range l {
		var err error
		if parts[i], err = b.compare(op, l[i], r[i]); err != nil {
			return nil, err
		}
	}
	return joinAnd(parts), nil
}

func (c *clause) unary(n *ast.UnaryOperationExpr) (*Expr, error) {
	if sub, ok := unparen(n.V).(*ast.ExistsSubqueryExpr); ok && (n.Op == opcode.Not || n.Op == opcode.Not2) {
		return c.exists(sub, true)
	}
	v, err := c.build(n.V)
	if err != nil {
		return nil, err
	}
	switch n.Op {
	case opcode.Not, opcode.Not2:
		return c.b.not(v)
	case opcode.Plus:
		return v, nil
	case opcode.Minus:
		return c.b.negate(v)
	case opcode.BitNeg:
		if v, err = c.b.as(v, evalInt); err != nil {
			return nil, err
		}
		return c.b.call(tipb.ScalarFuncSig_BitNegSig, "bitneg", uintType(), v)
	}
	return nil, errNotSupported("operator %s", n.Op)
}
