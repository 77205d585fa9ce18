package planner

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"
)

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
		if err != nil { // matters to who compares the result; binary order has no part in the conflict
			like = &tipb.FieldType{Collate: -collateUTF8, Charset: "utf8mb4"}
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
	charset := strings.SplitN(strings.ToLower(n.Collate), "_", 2)[0]
	if isBinaryString(e.Type) && charset != "binary" && !e.isNull() {
		return nil, errCode(mysql.ErrCollationCharsetMismatch, n.Collate, "binary")
	}
	ft := stringType(displayLen(e.Type), &tipb.FieldType{Collate: id, Charset: charset})
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
