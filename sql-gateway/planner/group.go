package planner

import (
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

func itoa(n int) string { return strconv.Itoa(n) }

// positionText is what error messages call ORDER BY 7.
func positionText(n *ast.PositionExpr) string { return itoa(n.N) }

// grouping is the aggregation of a SELECT while the clauses above it are built. Expressions above it may use the
// aggregates, the keys (a sub-expression that equals a key becomes the key's column), and columns that the keys
// determine; those pass through as FIRST aggregates.
type grouping struct {
	b     *builder
	agg   *aggNode
	below colSet // columns of the aggregation's input
	byKey map[string]*Column
	above map[*Column]bool // input columns that the aggregation passes up
	funcs map[string]*aggFunc
	scope *scope
	// expand is the input of WITH ROLLUP; nil: the rows are grouped once.
	expand *expandNode
	// err is the first use of a column that is neither aggregated nor determined, where it could not be returned at once.
	err error
}

// groupBy builds GROUP BY, if the query groups at all.
func (q *selectBuilder) groupBy() error {
	if q.s.GroupBy == nil && !q.aggregates() {
		return nil
	}
	g := &grouping{b: q.b, agg: &aggNode{}, byKey: map[string]*Column{}, above: map[*Column]bool{}, funcs: map[string]*aggFunc{}, scope: q.scope}
	if q.s.GroupBy != nil {
		c := q.clause("group statement")
		c.aliases, c.aliasLate = q.list, true
		for _, it := range q.s.GroupBy.Items {
			e, err := c.build(it.Expr)
			if err != nil {
				return err
			}
			g.addKey(e)
		}
		if len(g.agg.keys) == 0 { // GROUP BY a constant: one group, but none if there are no rows
			g.addKey(intConst(1))
		}
	}
	g.agg.child = q.node
	if q.s.GroupBy != nil && q.s.GroupBy.Rollup {
		g.agg.child = g.rollup(q.node)
	}
	g.below = setOf(q.scope.columns())
	for _, s := range q.scope.sources {
		for _, n := range s.names {
			g.below[n.col] = true
		}
	}
	q.node, q.group = g.agg, g
	return nil
}

func (g *grouping) addKey(e *Expr) {
	k := e.key()
	if g.byKey[k] != nil || e.isConst() && len(g.agg.keys) > 0 {
		return
	}
	col := e.col
	if !e.isCol() {
		col = g.b.newColumn(e.Type, "")
	}
	g.byKey[k] = col
	g.above[col] = true
	g.agg.keys = append(g.agg.keys, e)
	g.agg.keyCols = append(g.agg.keyCols, col)
}

// aggregates reports whether the select list, HAVING or ORDER BY has an aggregate function of this query.
func (q *selectBuilder) aggregates() bool {
	f := &aggregateFinder{}
	for _, it := range q.list.items {
		if it.node != nil {
			it.node.Accept(f)
		}
	}
	if q.s.Having != nil {
		q.s.Having.Expr.Accept(f)
	}
	if q.s.OrderBy != nil {
		for _, it := range q.s.OrderBy.Items {
			it.Expr.Accept(f)
		}
	}
	return f.found
}

type aggregateFinder struct{ found bool }

func (f *aggregateFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n.(type) {
	case *ast.AggregateFuncExpr:
		f.found = true
	case *ast.SubqueryExpr:
		return n, true
	}
	return n, f.found
}

func (f *aggregateFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// finish translates an expression of a clause above the aggregation; elsewhere it is the identity.
func (c *clause) finish(e *Expr) (*Expr, error) {
	if c.group == nil {
		return e, nil
	}
	return c.group.lift(e, c)
}

func (g *grouping) lift(e *Expr, c *clause) (*Expr, error) {
	var err error
	out := e.rewrite(func(x *Expr) *Expr {
		if err != nil || x.isConst() {
			return x
		}
		if col := g.byKey[x.key()]; col != nil {
			if x.isCol() && x.col == col {
				return x
			}
			return colExpr(col)
		}
		if x.isCol() && g.below[x.col] && !g.above[x.col] {
			err = g.pass(x.col, c)
		}
		return x
	})
	return out, err
}

// pass makes an input column available above, if the keys determine it.
func (g *grouping) pass(col *Column, c *clause) error {
	if g.b.fullGroupBy && !g.determined(col) {
		if len(g.agg.keys) == 0 {
			return &Error{Code: mysql.ErrMixOfGroupFuncAndFields, Message: "In aggregated query without GROUP BY, expression #" + itoa(max(c.item, 1)) +
				" of SELECT list contains nonaggregated column '" + col.Name + "'; this is incompatible with sql_mode=only_full_group_by"}
		}
		where := map[string]string{"having clause": "HAVING clause", "order clause": "ORDER BY clause"}[c.where]
		if where == "" {
			where = "SELECT list"
		}
		return errCode(mysql.ErrFieldNotInGroupBy, max(c.item, 1), where, col.Name)
	}
	g.above[col] = true
	g.agg.aggs = append(g.agg.aggs, &aggFunc{tp: tipb.ExprType_First, name: "firstrow", args: []*Expr{colExpr(col)}, out: col})
	return nil
}

// determined reports whether the keys hold a unique key of the column's table.
func (g *grouping) determined(col *Column) bool {
	keys := setOf(g.agg.keyCols) // of a rollup not the tables' columns: these determine nothing
	for _, s := range g.scope.sources {
		if s.scan == nil {
			continue
		}
		own := false
		have := map[int]bool{}
		for i, c := range s.scan.cols {
			own = own || c == col
			if keys[c] {
				have[s.scan.offsets[i]] = true
			}
		}
		if own {
			return coversUnique(s.table, have)
		}
	}
	return false
}

// useInside notes that a subquery above the aggregation refers to a column of the FROM clause.
func (c *clause) useInside(col *Column) {
	g := c.group
	if g == nil || !g.below[col] || g.above[col] {
		return
	}
	if err := g.pass(col, c); err != nil && g.err == nil {
		g.err = err
	}
}

var aggTypes = map[string]tipb.ExprType{
	ast.AggFuncCount: tipb.ExprType_Count, ast.AggFuncSum: tipb.ExprType_Sum, ast.AggFuncAvg: tipb.ExprType_Avg,
	ast.AggFuncMin: tipb.ExprType_Min, ast.AggFuncMax: tipb.ExprType_Max, ast.AggFuncFirstRow: tipb.ExprType_First,
	ast.AggFuncGroupConcat: tipb.ExprType_GroupConcat, ast.AggFuncBitAnd: tipb.ExprType_Agg_BitAnd, ast.AggFuncBitOr: tipb.ExprType_Agg_BitOr,
	ast.AggFuncBitXor: tipb.ExprType_Agg_BitXor, ast.AggFuncVarPop: tipb.ExprType_VarPop, ast.AggFuncVarSamp: tipb.ExprType_VarSamp,
	ast.AggFuncStddevPop: tipb.ExprType_StddevPop, ast.AggFuncStddevSamp: tipb.ExprType_StddevSamp,
	ast.AggFuncJsonArrayagg: tipb.ExprType_JsonArrayAgg, ast.AggFuncJsonObjectAgg: tipb.ExprType_JsonObjectAgg,
	ast.AggFuncApproxCountDistinct: tipb.ExprType_ApproxCountDistinct,
	"variance":                     tipb.ExprType_VarPop, "std": tipb.ExprType_StddevPop, "stddev": tipb.ExprType_StddevPop,
}

// aggregate builds an aggregate function; its arguments are below the aggregation.
func (c *clause) aggregate(n *ast.AggregateFuncExpr) (*Expr, error) {
	if c.group == nil {
		return nil, errCode(mysql.ErrInvalidGroupFuncUse)
	}
	name := n.F
	tp, ok := aggTypes[name]
	if !ok {
		name = lower(n.F)
		if tp, ok = aggTypes[name]; !ok {
			return nil, errNotSupported("aggregate function %s", n.F)
		}
	}
	inner := &clause{b: c.b, scope: c.scope, where: c.where, plan: &c.group.agg.child, inAggregate: true}
	args, err := inner.buildAll(n.Args)
	if err != nil {
		return nil, err
	}
	f := &aggFunc{tp: tp, name: name, args: args, distinct: n.Distinct}
	if n.Order != nil {
		for _, it := range n.Order.Items {
			e, err := inner.build(it.Expr)
			if err != nil {
				return nil, err
			}
			f.orderBy = append(f.orderBy, orderItem{e, it.Desc})
		}
	}
	return c.group.add(f)
}

// add enters an aggregate function, or finds the same one.
func (g *grouping) add(f *aggFunc) (*Expr, error) {
	ft, err := g.b.aggType(f)
	if err != nil {
		return nil, err
	}
	shown := ft
	if f.tp == tipb.ExprType_Sum || f.tp == tipb.ExprType_Avg {
		if ft, err = g.b.exactSum(f, ft); err != nil {
			return nil, err
		}
	}
	same := g.funcs[f.key()]
	if same == nil {
		same, f.out = f, g.b.newColumn(ft, "")
		g.funcs[f.key()] = f
		g.agg.aggs = append(g.agg.aggs, f)
	}
	out, err := g.b.castTo(colExpr(same.out), shown)
	if err != nil || out.kind != kindFunc {
		return out, err
	}
	rounded := *out
	rounded.exact = colExpr(same.out)
	return &rounded, nil
}

// exactSum makes the sum or average of a quotient, to be shown as ft, one of all its digits.
func (b *builder) exactSum(f *aggFunc, ft *tipb.FieldType) (*tipb.FieldType, error) {
	exact := b.exactQuotient(f.args[0])
	if exact == f.args[0] {
		return ft, nil
	}
	f.args[0] = exact
	return b.sumType(f)
}

func (f *aggFunc) key() string {
	k := f.name
	if f.distinct {
		k += " distinct"
	}
	for _, a := range f.args {
		k += "," + a.key()
	}
	for _, o := range f.orderBy {
		k += "/" + o.expr.key() + strconv.FormatBool(o.desc)
	}
	return k
}

// aggType converts a function's arguments and gives its result type.
func (b *builder) aggType(f *aggFunc) (*tipb.FieldType, error) {
	var err error
	switch f.tp {
	case tipb.ExprType_Count:
		if len(f.args) == 1 && !f.distinct && notNull(f.args[0].Type) {
			f.args[0] = withNotNull(intConst(1))
		}
		return withFlag(constIntType(21), column.FlagNotNull, 0), nil
	case tipb.ExprType_ApproxCountDistinct:
		return withFlag(constIntType(21), column.FlagNotNull, 0), nil
	case tipb.ExprType_Sum, tipb.ExprType_Avg:
		return b.sumType(f)
	case tipb.ExprType_Min, tipb.ExprType_Max, tipb.ExprType_First:
		if f.tp != tipb.ExprType_First {
			f.distinct = false
			if f.args[0].Type.Tp == column.TypeBit { // the number, not the bytes
				if f.args[0], err = b.call(tipb.ScalarFuncSig_CastIntAsInt, "cast", uintType(), f.args[0]); err != nil {
					return nil, err
				}
			}
		}
		return withFlag(f.args[0].Type, 0, column.FlagNotNull|column.FlagPrimaryKey|column.FlagUniqueKey|column.FlagAutoIncr), nil
	case tipb.ExprType_GroupConcat:
		for i := range f.args {
			if f.args[i], err = b.as(f.args[i], evalString); err != nil {
				return nil, err
			}
		}
		return b.textType(1024, f.args[:len(f.args)-1]...), nil
	case tipb.ExprType_Agg_BitAnd, tipb.ExprType_Agg_BitOr, tipb.ExprType_Agg_BitXor:
		f.args[0], err = b.as(f.args[0], evalInt)
		return withFlag(uintType(), column.FlagNotNull, 0), err
	case tipb.ExprType_VarPop, tipb.ExprType_VarSamp, tipb.ExprType_StddevPop, tipb.ExprType_StddevSamp:
		f.args[0], err = b.as(f.args[0], evalReal)
		return realType(), err
	case tipb.ExprType_JsonArrayAgg, tipb.ExprType_JsonObjectAgg:
		last := len(f.args) - 1
		if last > 0 {
			if f.args[0], err = b.as(f.args[0], evalString); err != nil {
				return nil, err
			}
		}
		f.args[last], err = b.jsonValue(f.args[last])
		return jsonType(), err
	}
	return nil, errNotSupported("aggregate function %s", f.name)
}

// sumDigits is how many digits a sum may be longer than what is summed.
const sumDigits = 22

func (b *builder) sumType(f *aggFunc) (*tipb.FieldType, error) {
	arg, et, err := b.number(f.args[0])
	if err != nil {
		return nil, err
	}
	f.args[0] = arg
	if et == evalReal {
		return realType(), nil
	}
	p, s := decimalShape(arg.Type)
	if f.tp == tipb.ExprType_Sum {
		return decimalType(p+sumDigits, s), nil
	}
	return decimalType(p+b.divIncrement(), s+b.divIncrement()), nil
}
