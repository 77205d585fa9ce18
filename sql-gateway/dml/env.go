// Package dml turns changed rows into record and index keys in a transaction's buffer: INSERT, REPLACE, UPDATE, DELETE,
// LOAD DATA, and the backfill of a new index.
//
// A statement compiles its table to a target, which knows how each column converts values, how rows are encoded and which
// entries the indexes have. Rows then pass through in chunks: values are converted to the columns' types, row ids
// and AUTO_INCREMENT values are handed out for the chunk, conflicts are looked up with one batch of reads, and keys go to
// Env.Txn. Nothing is sent to a store before the transaction commits, so a statement that fails is undone by rolling the
// buffer back to the savepoint that the session took. But in a bulk write (kvclient.Client.BeginBulk) rows are sent as the
// statement goes on, and so are those that it reads not kept: it is one with its transaction, and fails with it.
//
// FOREIGN KEY and CHECK constraints and triggers are not enforced.
package dml

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
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
	// CheckNow makes a plain INSERT look for duplicates at once, as a transaction of several statements wants it.
	// Otherwise the stores find them at COMMIT, in the same round trip; DuplicateError then tells the client.
	CheckNow bool
	// Found, when not nil, is told the record keys of rows that the statement met and did not write: UPDATE of a row to what it
	// is, INSERT IGNORE over one. A pessimistic transaction locks them like others.
	Found func(key []byte)
	// Progress, when not nil, is called with the rows done so far.
	Progress func(rows uint64)
	// Flush, when not nil, commits what is buffered and starts a new transaction (LOAD DATA in batches); it updates Txn.
	Flush func(ctx context.Context) error
	// Settle, when not nil, says that Flush returns while the commit is under way. The new transaction does not see what
	// it writes, and has to keep away from its keys, until Settle has waited for it and put a newer transaction in Txn; what
	// Txn had buffered must have been flushed before. The next Flush or Settle returns the error of the commit.
	Settle func(ctx context.Context) error
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

func newResult() *Result { return &Result{RowDelta: map[int64]int64{}} }

func (env *Env) location() *time.Location {
	if loc := env.Plan.Expr.Location; loc != nil {
		return loc
	}
	return time.UTC
}

func (env *Env) mode(bit mysql.SQLMode) bool { return env.Plan.Expr.SQLMode&uint64(bit) != 0 }

func (env *Env) timeMode() value.TimeMode {
	return value.TimeMode{
		NoZeroInDate:      env.mode(expr.ModeNoZeroInDate),
		NoZeroDate:        env.mode(expr.ModeNoZeroDate),
		AllowInvalidDates: env.mode(expr.ModeAllowInvalidDates),
	}
}

// relax makes what expressions lose on conversion a warning, for statements with IGNORE.
func (env *Env) relax() {
	plan, e := *env.Plan, *env.Plan.Expr
	e.Flags |= expr.FlagTruncateAsWarning | expr.FlagOverflowAsWarning | expr.FlagDivideByZeroAsWarning
	plan.Expr = &e
	env.Plan = &plan
}

// found tells Found.
func (env *Env) found(key []byte) {
	if env.Found != nil {
		env.Found(key)
	}
}

// warnings is the number of warnings so far.
func (env *Env) warnings() uint64 {
	if w := env.Plan.Expr.Warnings; w != nil {
		return w.Count
	}
	return 0
}

// table finds a base table by name.
func (env *Env) table(db, name string) (*catalog.Table, error) {
	if db == "" {
		db = env.Plan.DB
	}
	if db == "" {
		return nil, errorf(mysql.ErrNoDB)
	}
	t, err := env.Plan.Schema.Table(db, name)
	if err != nil {
		return nil, err
	}
	if t.View != nil || t.Virtual {
		return nil, errorf(mysql.ErrNonUpdatableTable, name, "INSERT")
	}
	return t, nil
}

// flushNow is Flush, done when it returns.
func (env *Env) flushNow(ctx context.Context) error {
	if err := env.Flush(ctx); err != nil || env.Settle == nil {
		return err
	}
	return env.Settle(ctx)
}
