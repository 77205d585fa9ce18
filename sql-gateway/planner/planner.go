// Package planner turns parsed statements into plans and plans into running operators.
//
// A statement goes through these stages, each in files of its own:
//
//	builder, select, from, group, subquery, setop   names resolved, types inferred: the logical plan (logical.go)
//	expr_*, func_*, types                            expressions: typed trees over columns known by identity
//	decorrelate                                      correlated subqueries become joins
//	pushdown, join_order, stats                      conditions go down, joins find their order
//	prune                                            columns nobody asks for go
//	physical, access, ranger                         key ranges, pushed DAGs, partial aggregates, hash and index joins
//	open, apply, lookup, keyfilter, shared           operators of package executor, readers of the session
//	explain                                          what it all came to
//
// PlanQuery plans a query, PlanLocking one whose rows are to be locked; Query.Open runs it. PlanUpdate, PlanDelete and BuildScalar serve package dml. Errors that a
// client should see are *Error with MySQL's code.
package planner

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Context is what planning a statement needs from its session.
type Context struct {
	Schema Schema
	DB     string // current database
	Vars   Vars
	Params []datum.Datum // values of ? markers
	// ParamTypes are the types of Params.
	ParamTypes []*tipb.FieldType
	// InTransaction: the statement is one of several in a transaction, whose locks outlive it.
	InTransaction bool
	// AsOf: the statement reads at the time that its AS OF clauses name. Without, they are refused.
	AsOf bool
	// Expr evaluates constants while planning; its flags and modes go into the DAGs.
	Expr *expr.Context
}

// Schema finds tables. Errors are *Error with MySQL's code (1049 unknown database, 1146 no such table).
type Schema interface {
	Table(db, name string) (*catalog.Table, error)
	// RowCount is the estimated number of rows, -1 if unknown.
	RowCount(t *catalog.Table) float64
	// NDV is the estimated number of distinct values of a column, 0 if unknown.
	NDV(t *catalog.Table, col int) float64
	// Analyzed reports whether ANALYZE has seen the table's rows.
	Analyzed(t *catalog.Table) bool
}

// Vars are session state that expressions can read.
type Vars interface {
	// SysVar returns a system variable's value as text; ok is false for an unknown one (error 1193).
	SysVar(name string, global bool) (val string, ok bool)
	UserVar(name string) (datum.Datum, *tipb.FieldType)
	// Info answers DATABASE(), USER(), CURRENT_USER(), CONNECTION_ID(), VERSION(), LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS().
	Info(name string) (datum.Datum, bool)
	Now() time.Time // the statement's time, in the session's zone
}

// Field describes a result column for the client.
type Field struct {
	Name, OrigName, Table, OrigTable, DB string
	Type                                 *tipb.FieldType
}

// Query is a planned SELECT (or a row source of UPDATE/DELETE/INSERT ... SELECT). It may be opened more than once, one
// run at a time.
type Query struct {
	Fields []Field
	Root   Plan

	root    physical
	scalars []*scalarSubquery
	shared  []*sharedQuery
	ctx     *Context
	// measured are the statistics of the last Open under an Env that collects them.
	measured *RunStats
}

// Plan is a node of the physical plan.
type Plan interface {
	Children() []Plan
	Types() []*tipb.FieldType
	// Explain gives the operator's name ("HashJoin"), task, access object and info.
	Explain() Explain
}

// Explain is one line of EXPLAIN.
type Explain struct {
	Name, Task, Access, Info string
	Rows                     float64
}

// ReadRequest is a scan that a Reader node asks of the session: a pushed DAG over ranges of a table or index.
type ReadRequest struct {
	Table *catalog.Table
	Index *catalog.Index // nil: record keys
	DAG   *tipb.DAGRequest
	// Given are the rows of the DAG's receivers, in their order.
	Given  []*executor.Broadcast
	Fields []*tipb.FieldType
	Ranges []kvclient.KeyRange
	// Point, when not nil, is the only record key in Ranges.
	Point     []byte
	KeepOrder bool
	Desc      bool
	// Alone: the plan reads nothing else.
	Alone bool
	// Stats, when not nil, is to be filled for EXPLAIN ANALYZE.
	Stats *ReaderStats
}

// Runtime is what a plan needs to run. The session implements it over distsql, or, where the transaction has writes of
// its own in the ranges, by running the same DAG here over the transaction's merged view.
type Runtime interface {
	Read(ctx context.Context, req *ReadRequest) (executor.Operator, error)
	// Virtual gives the rows of an information_schema table.
	Virtual(ctx context.Context, t *catalog.Table) (executor.Operator, error)
	Env() *executor.Env
}

// PlanQuery plans a SELECT, set operation, VALUES or TABLE statement.
func PlanQuery(ctx *Context, stmt ast.ResultSetNode) (*Query, error) {
	b := newBuilder(ctx)
	b.sharing = true
	r, err := b.query(stmt, nil, nil)
	if err != nil {
		return nil, err
	}
	return b.finish(r)
}

// finish turns a built block into a plan whose columns are exactly the block's.
func (b *builder) finish(r *rel) (*Query, error) {
	q := &Query{Fields: r.fields, ctx: b.ctx}
	for i := range q.Fields {
		q.Fields[i].Type = r.cols[i].Type
	}
	for i := 0; i < len(b.scalars); i++ {
		s := b.scalars[i]
		p, err := b.optimize(s.node, s.cols)
		if err != nil {
			return nil, err
		}
		s.plan = p
	}
	p, err := b.optimize(r.node, r.cols)
	if err != nil {
		return nil, err
	}
	q.scalars, q.shared, q.root, q.Root = b.scalars, b.planned, p, p
	return q, nil
}

// optimize takes a logical plan to the physical one that gives cols.
func (b *builder) optimize(n logical, cols []*Column) (physical, error) {
	n, err := b.placeShared(n)
	if err != nil {
		return nil, err
	}
	if n, err = b.decorrelate(n); err != nil {
		return nil, err
	}
	if n, err = b.push(n, nil); err != nil {
		return nil, err
	}
	n = hoistProjections(n)
	prune(n, setOf(cols))
	p, err := b.physical(n)
	if err != nil {
		return nil, err
	}
	return b.arrange(p, cols), nil
}
