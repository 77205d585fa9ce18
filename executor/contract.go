// Package executor has the vectorized operators. It knows tipb and Arrow, not where rows come from: leaves are handed in.
package executor

import (
	"context"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
)

// Batch is column.Batch.
type Batch = column.Batch

// Operator produces batches. One goroutine per operator tree; a batch is valid until the next call of Next or Close;
// io.EOF ends. Batches are never empty of selected rows. Close may be called at any time, once.
type Operator interface {
	Fields() []*tipb.FieldType
	Next(ctx context.Context) (Batch, error)
	Close() error
}

// Env is what operators of one query share.
type Env struct {
	Expr *expr.Context
	// Partial makes every aggregation emit partial state whatever its mode says: what a store does for its clients.
	Partial bool
	// Memory accounts for hash tables, sort runs and the like; nil is unbounded.
	Memory *Memory
	// Stats, when not nil, collects one entry per executor, keyed by the executor's pointer.
	Stats *Stats
	// SpillDir is where operators may put run files ("" = no spill: over the limit is an error).
	SpillDir string
}

// Build assembles the operator tree of root, whose children hang on the executors' Child and Children fields. leaf makes
// the operator of a scan (or of any executor Build does not know a constructor for: exchange receivers and such).
func Build(root *tipb.Executor, leaf func(scan *tipb.Executor) (Operator, error), env *Env) (Operator, error) {
	panic("contract")
}

// Tree turns the list form of a DAG (leaf first, root last, or post order with parent_idx) into the tree that Build wants.
// The list is bounded to 100 executors; the result shares the executors, with Child set on shallow copies.
func Tree(list []*tipb.Executor) (*tipb.Executor, error) { panic("contract") }

// Summary is what one executor did; times include children.
type Summary struct {
	Rows, Batches uint64
	Time          time.Duration
	MemoryMax     int64
}

// Stats maps executors to what they did.
type Stats struct{ m map[*tipb.Executor]*Summary }

// Memory is the account of one query.
type Memory struct{ _ int }

// KVIterator yields the key-value pairs of a scan in order. Slices are valid until the next call.
type KVIterator interface {
	// Next returns the next pair; ok is false at the end.
	Next() (key, val []byte, ok bool, err error)
}

// NewTableScan decodes record key-value pairs to the columns of scan. NewIndexScan does so for index entries.
// Handles may be int or common; missing columns take default values; TIMESTAMPs become session time.
func NewTableScan(scan *tipb.TableScan, kv KVIterator, ctx *expr.Context) (Operator, error) {
	panic("contract")
}

// NewIndexScan: see NewTableScan.
func NewIndexScan(scan *tipb.IndexScan, kv KVIterator, ctx *expr.Context) (Operator, error) {
	panic("contract")
}

// NewValues returns the given batches (dense, owned by the caller).
func NewValues(fields []*tipb.FieldType, batches ...Batch) Operator { panic("contract") }

// NewUnion returns the batches of children one after another.
func NewUnion(children ...Operator) Operator { panic("contract") }
