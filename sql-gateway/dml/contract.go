// Package dml turns changed rows into record and index keys in a transaction's buffer: INSERT, REPLACE, UPDATE, DELETE,
// LOAD DATA, and the backfill of a new index.
package dml

import (
	"context"
	"io"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// Env is what a data-changing statement runs in.
type Env struct {
	Plan    *planner.Context
	Runtime planner.Runtime
	Txn     *kvclient.Txn
	IDs     IDs
	// Strict: STRICT_TRANS_TABLES or STRICT_ALL_TABLES is set; a bad value is an error and not a warning.
	Strict bool
	// Progress, when not nil, is called with the rows done so far.
	Progress func(rows uint64)
	// Flush, when not nil, commits what is buffered and starts a new transaction (LOAD DATA in batches); it updates Txn.
	Flush func(ctx context.Context) error
}

// IDs allocates row numbers; the catalog implements it with cached ranges that are persistent before use.
type IDs interface {
	// NextAutoInc returns the first of n consecutive AUTO_INCREMENT values.
	NextAutoInc(ctx context.Context, t *catalog.Table, n uint64) (uint64, error)
	// BumpAutoInc makes later values greater than v (an explicit value was inserted).
	BumpAutoInc(ctx context.Context, t *catalog.Table, v uint64) error
	// NextRowID returns the first of n hidden row ids.
	NextRowID(ctx context.Context, t *catalog.Table, n uint64) (int64, error)
}

// Result is what the client is told.
type Result struct {
	Affected, Matched, Changed, LastInsertID uint64
	Info                                     string // "Records: 3  Duplicates: 0  Warnings: 0"
	// RowDelta is the change of the row count by table id, for statistics.
	RowDelta map[int64]int64
}

// Insert runs INSERT and REPLACE in all their forms.
func Insert(ctx context.Context, env *Env, stmt *ast.InsertStmt) (*Result, error) { panic("contract") }

// Update runs UPDATE.
func Update(ctx context.Context, env *Env, stmt *ast.UpdateStmt) (*Result, error) { panic("contract") }

// Delete runs DELETE.
func Delete(ctx context.Context, env *Env, stmt *ast.DeleteStmt) (*Result, error) { panic("contract") }

// LoadData reads r by the statement's FIELDS and LINES clauses.
func LoadData(ctx context.Context, env *Env, stmt *ast.LoadDataStmt, r io.Reader) (*Result, error) {
	panic("contract")
}

// BackfillIndex writes the entries of ix for all rows that env.Txn sees in batches, through env.Flush.
func BackfillIndex(ctx context.Context, env *Env, t *catalog.Table, ix *catalog.Index) error {
	panic("contract")
}
