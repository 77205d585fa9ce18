package planner

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/test_driver"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// maxDepth bounds the nesting of expressions and queries (views and CTEs included).
const maxDepth = 2000

// builder makes the logical plan of one statement.
type builder struct {
	ctx      *Context
	db       string
	nextID   int
	nextPlan int
	depth    int
	queries  int
	connType *tipb.FieldType // of string literals
	// scalars are the subqueries that are evaluated before the plan opens, in order of evaluation.
	scalars     []*scalarSubquery
	fullGroupBy bool
	estimates   map[logical]*estimate
	scanCosts   map[*scanNode]float64
	// shared are the queries that may be referred to more than once, by syntax node or view; planned those that are.
	shared  map[any]*sharedQuery
	planned []*sharedQuery
	sharing bool
	locking *locking // nil: rows are not to be locked
	// broadcasts bound the build sides that go to the stores.
	broadcasts broadcastLimits
	// reduced: the rows of what is being planned are grouped or cut off by what stands above, on the stores if they can.
	reduced bool
}

// scalarSubquery is an uncorrelated subquery whose one row (or existence) becomes constants.
type scalarSubquery struct {
	node   logical
	cols   []*Column // of node, one per result
	out    []*Column // by which expressions refer to the results
	exists bool      // out[0] is 1 or 0
	plan   physical
}

// rel is a planned query block: its rows and how its columns are called.
type rel struct {
	node   logical
	cols   []*Column
	fields []Field
}

func newBuilder(ctx *Context) *builder {
	b := &builder{ctx: ctx, db: ctx.DB, fullGroupBy: true, estimates: map[logical]*estimate{}, scanCosts: map[*scanNode]float64{}, shared: map[any]*sharedQuery{}}
	b.connType = &tipb.FieldType{Tp: column.TypeVarString, Collate: -collateUTF8, Charset: "utf8mb4"}
	b.broadcasts = broadcastLimitsOf(ctx.Vars)
	if ctx.Vars != nil {
		if name, ok := ctx.Vars.SysVar("collation_connection", false); ok {
			if id, ok := collationID(strings.ToLower(name)); ok {
				b.connType.Collate, b.connType.Charset = id, strings.SplitN(strings.ToLower(name), "_", 2)[0]
			}
		}
		if mode, ok := ctx.Vars.SysVar("sql_mode", false); ok {
			b.fullGroupBy = strings.Contains(strings.ToUpper(mode), "ONLY_FULL_GROUP_BY")
		}
	}
	return b
}

func (b *builder) newColumn(ft *tipb.FieldType, name string) *Column {
	b.nextID++
	if name == "" {
		name = fmt.Sprintf("Column#%d", b.nextID)
	}
	return &Column{ID: b.nextID, Type: ft, Name: name}
}

// newProject computes exprs over child. A plain column of the child passes as it is; anything else, an outer reference
// included, becomes a column of its own.
func (b *builder) newProject(child logical, exprs []*Expr) *projectNode {
	have := setOf(child.columns())
	p := &projectNode{child: child, exprs: exprs, out: make([]*Column, len(exprs))}
	for i, e := range exprs {
		if e.isCol() && have[e.col] {
			p.out[i] = e.col
		} else {
			p.out[i] = b.newColumn(e.Type, "")
		}
	}
	return p
}

// query builds a query expression of any form.
func (b *builder) query(node ast.ResultSetNode, parent *scope, ctes *cteScope) (*rel, error) {
	if b.queries++; b.queries > maxQueryBlocks {
		return nil, errNotSupported("statements of more than %d query blocks", maxQueryBlocks)
	}
	if b.depth++; b.depth > maxDepth {
		return nil, errTooDeep()
	}
	defer func() { b.depth-- }()
	switch n := node.(type) {
	case *ast.SelectStmt:
		return b.selectStmt(n, parent, ctes)
	case *ast.SetOprStmt:
		return b.setOperation(n, parent, ctes)
	case *ast.SubqueryExpr:
		return b.query(n.Query, parent, ctes)
	}
	return nil, errNotSupported("%T as a query", node)
}

// maxQueryBlocks bounds what views and CTEs may expand to.
const maxQueryBlocks = 1000

func (b *builder) withClause(w *ast.WithClause, ctes *cteScope) (*cteScope, error) {
	if w == nil {
		return ctes, nil
	}
	for _, cte := range w.CTEs {
		if w.IsRecursive && mentions(cte.Query, cte.Name.L) {
			return nil, errNotSupported("recursive common table expressions")
		}
		for s := ctes; s != nil; s = s.parent {
			if s.name == cte.Name.L && sameWith(w, s.cte) {
				return nil, errCode(mysql.ErrNonuniqTable, cte.Name.O)
			}
		}
		ctes = &cteScope{name: cte.Name.L, cte: cte, parent: ctes}
	}
	return ctes, nil
}

func sameWith(w *ast.WithClause, cte *ast.CommonTableExpression) bool {
	for _, c := range w.CTEs {
		if c == cte {
			return true
		}
	}
	return false
}

// mentions reports whether a query names a table.
func mentions(node ast.Node, table string) bool {
	v := &tableFinder{name: table}
	node.Accept(v)
	return v.found
}

type tableFinder struct {
	name  string
	found bool
}

func (f *tableFinder) Enter(n ast.Node) (ast.Node, bool) {
	if t, ok := n.(*ast.TableName); ok && t.Schema.L == "" && t.Name.L == f.name {
		f.found = true
	}
	return n, f.found
}

func (f *tableFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// limits reads LIMIT: constants or parameters.
func (b *builder) limits(l *ast.Limit) (offset, count uint64, err error) {
	if l.Count != nil {
		if count, err = b.limitValue(l.Count); err != nil {
			return 0, 0, err
		}
	}
	if l.Offset != nil {
		offset, err = b.limitValue(l.Offset)
	}
	return offset, count, err
}

func (b *builder) limitValue(n ast.ExprNode) (uint64, error) {
	var e *Expr
	var err error
	switch v := n.(type) {
	case *test_driver.ValueExpr:
		e, err = b.literal(v)
	case *test_driver.ParamMarkerExpr:
		e, err = b.param(v)
	default:
		return 0, errCode(mysql.ErrWrongArguments, "LIMIT")
	}
	if err != nil {
		return 0, err
	}
	switch {
	case e.val.Kind() == datum.Uint64 && evalOf(e.Type) == evalInt:
		return e.val.Uint64(), nil
	case e.val.Kind() == datum.Int64 && e.val.Int64() >= 0:
		return uint64(e.val.Int64()), nil
	}
	return 0, errCode(mysql.ErrWrongArguments, "LIMIT")
}

// limit puts LIMIT over a node.
func (b *builder) limit(node logical, l *ast.Limit) (logical, error) {
	if l == nil {
		return node, nil
	}
	offset, count, err := b.limits(l)
	if err != nil {
		return nil, err
	}
	return &limitNode{child: node, offset: offset, count: count}, nil
}
