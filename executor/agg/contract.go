// Package agg has the grouped accumulators of aggregate functions: a hash table elsewhere numbers the groups, an
// accumulator keeps the state of all of them.
package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/expr"
)

// Accumulator is the state of one aggregate function for all groups. groups[i] is the group of the i-th value of args,
// which are dense columns of equal length; new groups appear by number without notice.
type Accumulator interface {
	// Update adds rows.
	Update(groups []uint32, args []arrow.Array) error
	// Merge adds partial results in the form that Partial gives.
	Merge(groups []uint32, state []arrow.Array) error
	// Partial returns the state as columns of PartialTypes, one row a group, for groups [from, to).
	Partial(from, to int) ([]arrow.Array, error)
	// Final returns the results of groups [from, to).
	Final(from, to int) (arrow.Array, error)
	// Resize tells how many groups there are now; groups without rows have the function's empty value.
	Resize(groups int)
	// Bytes is the memory held, for the query's account.
	Bytes() int64
}

// New makes an accumulator for f (an aggregate tipb.Expr: Tp, FieldType, HasDistinct) whose arguments (raw, for Update)
// or state (for Merge) have the given types.
func New(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (Accumulator, error) {
	panic("contract")
}

// PartialTypes are the columns of f's partial state: Avg gives count (BIGINT) and sum; all others one column.
func PartialTypes(f *tipb.Expr) ([]*tipb.FieldType, error) { panic("contract") }
