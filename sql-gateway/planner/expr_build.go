package planner

import (
	"strings"

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
		return nil, errNotSupported("window functions")
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
		return constExpr(datum.NewBytes(raw), withFlag(binaryType(len(raw)), column.FlagNotNull, 0)), nil
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
	return b.constOf(d, ft), nil
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
	l, err := c.build(n.L)
	if err != nil {
		return nil, err
	}
	r, err := c.build(n.R)
	if err != nil {
		return nil, err
	}
	switch n.Op {
	case opcode.LogicAnd:
		return c.b.logic(tipb.ScalarFuncSig_LogicalAnd, "and", l, r)
	case opcode.LogicOr:
		return c.b.logic(tipb.ScalarFuncSig_LogicalOr, "or", l, r)
	case opcode.LogicXor:
		return c.b.logic(tipb.ScalarFuncSig_LogicalXor, "xor", l, r)
	}
	return c.b.arithmetic(n.Op, l, r)
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

func (c *clause) between(n *ast.BetweenExpr) (*Expr, error) {
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	lo, err := c.build(n.Left)
	if err != nil {
		return nil, err
	}
	hi, err := c.build(n.Right)
	if err != nil {
		return nil, err
	}
	op1, op2, sig, word := cmpGE, cmpLE, tipb.ScalarFuncSig_LogicalAnd, "and"
	if n.Not {
		op1, op2, sig, word = cmpLT, cmpGT, tipb.ScalarFuncSig_LogicalOr, "or"
	}
	l, err := c.b.compare(op1, e, lo)
	if err != nil {
		return nil, err
	}
	r, err := c.b.compare(op2, e, hi)
	if err != nil {
		return nil, err
	}
	return c.b.logic(sig, word, l, r)
}

func (c *clause) in(n *ast.PatternInExpr) (*Expr, error) {
	if n.Sel != nil {
		return c.inSubquery(n)
	}
	if row, ok := unparen(n.Expr).(*ast.RowExpr); ok {
		return c.inRows(row, n)
	}
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	list, err := c.buildAll(n.List)
	if err != nil {
		return nil, err
	}
	out, err := c.b.inList(e, list)
	if err != nil || !n.Not {
		return out, err
	}
	return c.b.not(out)
}

func (c *clause) inRows(row *ast.RowExpr, n *ast.PatternInExpr) (*Expr, error) {
	parts := make([]*Expr, len(n.List))
	for i, item := range n.List {
		r, ok := unparen(item).(*ast.RowExpr)
		if !ok {
			return nil, errCode(mysql.ErrOperandColumns, len(row.Values))
		}
		e, err := c.rowComparison(cmpEQ, row.Values, r.Values)
		if err != nil {
			return nil, err
		}
		parts[i] = e
	}
	out := joinOr(parts)
	if !n.Not {
		return out, nil
	}
	return c.b.not(out)
}

var inSigs = [...]tipb.ScalarFuncSig{
	evalInt: tipb.ScalarFuncSig_InInt, evalReal: tipb.ScalarFuncSig_InReal, evalDecimal: tipb.ScalarFuncSig_InDecimal,
	evalString: tipb.ScalarFuncSig_InString, evalTime: tipb.ScalarFuncSig_InTime, evalDuration: tipb.ScalarFuncSig_InDuration,
	evalJSON: tipb.ScalarFuncSig_InJson,
}

// inList makes e IN (list): one call where all are compared in one class, else equalities.
func (b *builder) inList(e *Expr, list []*Expr) (*Expr, error) {
	if len(list) == 1 {
		return b.compare(cmpEQ, e, list[0])
	}
	et, uniform := inClass(e, list)
	if !uniform {
		parts := make([]*Expr, len(list))
		for i, x := range list {
			var err error
			if parts[i], err = b.compare(cmpEQ, e, x); err != nil {
				return nil, err
			}
		}
		return joinOr(parts), nil
	}
	args := make([]*Expr, len(list)+1)
	var err error
	ft := boolType()
	if et == evalString {
		like, err := b.mergeCollation("in", append([]*Expr{e}, list...)...)
		if err != nil {
			return nil, err
		}
		ft.Collate, ft.Charset = like.Collate, like.Charset
		e = recollate(e, like)
		for i, x := range list {
			args[i+1] = recollate(x, like)
		}
		args[0] = e
		return b.call(inSigs[et], "in", ft, args...)
	}
	for i, x := range list {
		if args[0], args[i+1], err = b.comparePair(e, x, et); err != nil {
			return nil, err
		}
	}
	return b.call(inSigs[et], "in", ft, args...)
}

// inClass is the class of e IN (list), if all comparisons are of the same; NULLs in the list fit any.
func inClass(e *Expr, list []*Expr) (evalType, bool) {
	first, seen := evalOf(e.Type), false
	for _, x := range list {
		if x.isNull() {
			continue
		}
		et := compareClass(e, x)
		if seen && et != first {
			return 0, false
		}
		first, seen = et, true
	}
	return first, e.Type.Tp != column.TypeNull
}

func (c *clause) like(n *ast.PatternLikeOrIlikeExpr) (*Expr, error) {
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	p, err := c.build(n.Pattern)
	if err != nil {
		return nil, err
	}
	if e, err = c.b.as(e, evalString); err != nil {
		return nil, err
	}
	if p, err = c.b.as(p, evalString); err != nil {
		return nil, err
	}
	if e, p, err = c.b.sameCollation(e, p, "like"); err != nil {
		return nil, err
	}
	sig, word := tipb.ScalarFuncSig_LikeSig, "like"
	if !n.IsLike {
		sig, word = tipb.ScalarFuncSig_IlikeSig, "ilike"
	}
	ft := boolType()
	ft.Collate, ft.Charset = e.Type.Collate, e.Type.Charset
	out, err := c.b.call(sig, word, ft, e, p, intConst(int64(n.Escape)))
	if err != nil || !n.Not {
		return out, err
	}
	return c.b.not(out)
}

func (c *clause) regexp(n *ast.PatternRegexpExpr) (*Expr, error) {
	args, err := c.buildAll([]ast.ExprNode{n.Expr, n.Pattern})
	if err != nil {
		return nil, err
	}
	out, err := c.b.function("regexp_like", args)
	if err != nil || !n.Not {
		return out, err
	}
	return c.b.not(out)
}

func (c *clause) isNull(n *ast.IsNullExpr) (*Expr, error) {
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	out, err := c.b.isNull(e)
	if err != nil || !n.Not {
		return out, err
	}
	return c.b.not(out)
}

var isTrueSigs = [...][2]tipb.ScalarFuncSig{
	evalInt:     {tipb.ScalarFuncSig_IntIsFalse, tipb.ScalarFuncSig_IntIsTrue},
	evalReal:    {tipb.ScalarFuncSig_RealIsFalse, tipb.ScalarFuncSig_RealIsTrue},
	evalDecimal: {tipb.ScalarFuncSig_DecimalIsFalse, tipb.ScalarFuncSig_DecimalIsTrue},
}

func (c *clause) isTruth(n *ast.IsTruthExpr) (*Expr, error) {
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	if et := evalOf(e.Type); et > evalDecimal && !isEnumSet(e.Type) {
		if e, err = c.b.as(e, evalReal); err != nil {
			return nil, err
		}
	}
	et := evalOf(e.Type)
	if isEnumSet(e.Type) {
		et = evalInt
	}
	names := [2]string{"isfalse", "istrue"}
	out, err := c.b.call(isTrueSigs[et][n.True&1], names[n.True&1], withFlag(boolType(), column.FlagNotNull, 0), e)
	if err != nil || !n.Not {
		return out, err
	}
	return c.b.not(out)
}

func (c *clause) caseWhen(n *ast.CaseExpr) (*Expr, error) {
	var subject *Expr
	var err error
	if n.Value != nil {
		if subject, err = c.build(n.Value); err != nil {
			return nil, err
		}
	}
	var args []*Expr
	for _, w := range n.WhenClauses {
		cond, err := c.build(w.Expr)
		if err != nil {
			return nil, err
		}
		if subject != nil {
			cond, err = c.b.compare(cmpEQ, subject, cond)
		} else {
			cond, err = c.b.truth(cond)
		}
		if err != nil {
			return nil, err
		}
		result, err := c.build(w.Result)
		if err != nil {
			return nil, err
		}
		args = append(args, cond, result)
	}
	if n.ElseClause != nil {
		other, err := c.build(n.ElseClause)
		if err != nil {
			return nil, err
		}
		args = append(args, other)
	}
	return c.b.caseOf(args)
}

var caseSigs = [...]tipb.ScalarFuncSig{
	evalInt: tipb.ScalarFuncSig_CaseWhenInt, evalReal: tipb.ScalarFuncSig_CaseWhenReal, evalDecimal: tipb.ScalarFuncSig_CaseWhenDecimal,
	evalString: tipb.ScalarFuncSig_CaseWhenString, evalTime: tipb.ScalarFuncSig_CaseWhenTime, evalDuration: tipb.ScalarFuncSig_CaseWhenDuration,
	evalJSON: tipb.ScalarFuncSig_CaseWhenJson,
}

// caseOf makes CASE from condition, result, …, [else].
func (b *builder) caseOf(args []*Expr) (*Expr, error) {
	var results []int
	for i := 1; i < len(args); i += 2 {
		results = append(results, i)
	}
	if len(args)%2 == 1 {
		results = append(results, len(args)-1)
	}
	ft, err := b.unify(args, results)
	if err != nil {
		return nil, err
	}
	if len(args)%2 == 0 {
		ft = nullable(ft)
	}
	return b.call(caseSigs[evalOf(ft)], "case", ft, args...)
}

// unify brings the arguments at the given places to one type, which it returns.
func (b *builder) unify(args []*Expr, places []int) (*tipb.FieldType, error) {
	ft := args[places[0]].Type
	var strs []*Expr
	for _, i := range places {
		ft = mergeTypes(ft, args[i].Type)
		strs = append(strs, args[i])
	}
	if isEnumSet(ft) {
		ft = stringType(int(ft.Flen), ft)
	}
	if evalOf(ft) == evalString {
		like, err := b.mergeCollation("case", strs...)
		if err != nil {
			return nil, err
		}
		c := *ft
		c.Collate, c.Charset = like.Collate, like.Charset
		ft = &c
	}
	for _, i := range places {
		var err error
		if args[i], err = b.castTo(args[i], ft); err != nil {
			return nil, err
		}
	}
	return ft, nil
}

func (c *clause) collate(n *ast.SetCollationExpr) (*Expr, error) {
	e, err := c.build(n.Expr)
	if err != nil {
		return nil, err
	}
	id, ok := collationID(strings.ToLower(n.Collate))
	if !ok {
		return nil, errCode(mysql.ErrUnknownCollation, n.Collate)
	}
	if e, err = c.b.as(e, evalString); err != nil {
		return nil, err
	}
	ft := stringType(displayLen(e.Type), &tipb.FieldType{Collate: id, Charset: strings.SplitN(n.Collate, "_", 2)[0]})
	out := *e
	if !e.isConst() {
		// The executor takes a column's collation from the column: a cast of its own carries another one.
		out = Expr{kind: kindFunc, sig: tipb.ScalarFuncSig_CastStringAsString, name: "cast", args: []*Expr{e}}
	}
	out.Type, out.coercion = ft, 0
	return &out, nil
}

func (c *clause) valuesOf(n *ast.ValuesExpr) (*Expr, error) {
	col, ok := c.values[n.Column.Name.Name.L]
	if !ok {
		return nil, errCode(mysql.ErrBadField, columnText(n.Column.Name), c.where)
	}
	return colExpr(col), nil
}

func (c *clause) position(n *ast.PositionExpr) (*Expr, error) {
	if c.aliases == nil || n.N < 1 || n.N > c.aliases.shown {
		return nil, errCode(mysql.ErrBadField, positionText(n), c.where)
	}
	return c.aliases.at(n.N-1, c)
}
