// Package planner turns parsed statements into plans: names resolved, types inferred, predicates and columns pushed
// down, joins ordered, sub-trees that a store can run cut off as tipb DAGs, root operators above them.
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
	// Subquery runs an uncorrelated scalar or EXISTS subquery while planning is under way, for constant folding; nil: plan it as a join.
	Expr *expr.Context
}

// Schema finds tables. Errors are *Error with MySQL's code (1049 unknown database, 1146 no such table).
type Schema interface {
	Table(db, name string) (*catalog.Table, error)
	// RowCount is the estimated number of rows, -1 if unknown.
	RowCount(t *catalog.Table) float64
	// NDV is the estimated number of distinct values of a column, 0 if unknown.
	NDV(t *catalog.Table, col int) float64
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

// Query is a planned SELECT (or a row source of UPDATE/DELETE/INSERT ... SELECT).
type Query struct {
	Fields []Field
	Root   Plan
}

// Plan is a node of the physical plan (owner extends).
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
	Table     *catalog.Table
	Index     *catalog.Index // nil: record keys
	DAG       *tipb.DAGRequest
	Fields    []*tipb.FieldType
	Ranges    []kvclient.KeyRange
	KeepOrder bool
	Desc      bool
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
func PlanQuery(ctx *Context, stmt ast.ResultSetNode) (*Query, error) { panic("contract") }

// Open builds the operators of a plan.
func (q *Query) Open(ctx context.Context, rt Runtime) (executor.Operator, error) { panic("contract") }

// Error is a MySQL error: its SQLSTATE and, where Args are used, its text come from parser/mysql.
type Error struct {
	Code    uint16
	Message string
}

func (e *Error) Error() string { return e.Message }

// DMLTable is one table that an UPDATE or DELETE changes.
type DMLTable struct {
	Table *catalog.Table
	// First is the position of the table's first column in the query's output; all its columns follow in order, and after
	// them, where the table has a hidden row id, that (BIGINT).
	First int
	// Assign are the SET items of an UPDATE, expressions over the query's whole output, in statement order.
	Assign []Assignment
}

// Assignment sets column Column (offset in the table).
type Assignment struct {
	Column  int
	Expr    *tipb.Expr
	Default bool // SET c = DEFAULT
}

// DMLPlan is the row source of an UPDATE or DELETE.
type DMLPlan struct {
	Query  *Query
	Tables []DMLTable
}

// PlanUpdate and PlanDelete plan single- and multi-table forms.
func PlanUpdate(ctx *Context, stmt *ast.UpdateStmt) (*DMLPlan, error) { panic("contract") }
func PlanDelete(ctx *Context, stmt *ast.DeleteStmt) (*DMLPlan, error) { panic("contract") }

// BuildScalar translates an expression over the given columns to tipb (INSERT values, ON DUPLICATE KEY UPDATE, DEFAULT
// expressions, SET). values are the offsets that VALUES(col) refers to by column name; nil forbids VALUES().
func BuildScalar(ctx *Context, node ast.ExprNode, columns []Field, values map[string]int) (*tipb.Expr, error) {
	panic("contract")
}

// ExplainRows renders EXPLAIN (and, where stats are not nil, EXPLAIN ANALYZE) in TiDB's shape: header and rows.
func (q *Query) ExplainRows(analyze *RunStats) (header []string, rows [][]string) { panic("contract") }

// ExplainDAG renders EXPLAIN FORMAT='dag': one JSON document (executor/dagjson) per reader.
func (q *Query) ExplainDAG() ([]string, error) { panic("contract") }

// RunStats collects what a run of the plan did: create it before Open, hand it to the Runtime's Env and readers.
type RunStats struct{ _ int }
