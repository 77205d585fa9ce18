// Package executor has the vectorized operators. It knows tipb and Arrow, not where rows come from: leaves are handed in.
//
// Build turns a tree of tipb executors into a tree of operators; Tree makes such a tree of a DAG's list. Rows flow as
// batches (package column), pulled from the root by Next:
//
//	scan -> Selection -> Projection -> Aggregation, TopN, Sort, Limit, Window, Join ...
//
// A Selection marks rows instead of copying them; an operator that keeps rows copies what is marked. Memory that grows
// with the input is charged to the query's Memory; Sort, Aggregation, Window and Join put rows into files (package spill)
// before it is used up.
package executor

import (
	"context"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/executor/spill"
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
	// Spill is where sorts, aggregations and joins put rows once half of Memory is used; nil: they fail at its limit.
	Spill *spill.Dir
}

// UnsupportedError names a part of a plan that no operator runs.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "plan is not supported: " + e.What }

// compileAll compiles expressions over input columns of the given types.
func compileAll(exprs []*tipb.Expr, input []*tipb.FieldType, env *Env) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(exprs))
	for i, e := range exprs {
		var err error
		if out[i], err = expr.Compile(e, input, env.Expr); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// typesOf are the result types of expressions.
func typesOf(exprs []expr.Expr) []*tipb.FieldType {
	types := make([]*tipb.FieldType, len(exprs))
	for i, e := range exprs {
		types[i] = e.Type()
	}
	return types
}
