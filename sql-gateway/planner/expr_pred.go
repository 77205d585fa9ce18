package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

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
