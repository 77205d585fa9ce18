// Package expr compiles tipb expressions to vectorized kernels over Arrow columns.
package expr

import (
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// Context is what a statement gives to the evaluation of its expressions. One goroutine at a time.
type Context struct {
	Flags                 uint64 // tipb.DAGRequest.flags: see the Flag constants
	SQLMode               uint64 // tipb.DAGRequest.sql_mode bits
	Location              *time.Location
	DivPrecisionIncrement int
	MaxAllowedPacket      uint64
	Warnings              *Warnings
	// Now is the statement's time for functions that need one (nil on a store: the planner sends constants).
	Now func() time.Time
}

// Expr is a compiled expression. It keeps buffers between calls: one goroutine, and a result lives until the next Eval.
type Expr interface {
	// Type is the result's field type.
	Type() *tipb.FieldType
	// Eval computes the expression for the selected rows of b. The result has b.Rows rows, Offset 0, and is defined at
	// the selected rows only. Errors are *value.Error with a MySQL code.
	Eval(b column.Batch) (arrow.Array, error)
}

// Compile checks and compiles e over input columns of the given types. Depth is bounded by MaxDepth; an unknown
// signature is an *UnsupportedError.
func Compile(e *tipb.Expr, input []*tipb.FieldType, ctx *Context) (Expr, error) { panic("contract") }

// MaxDepth is the greatest depth of an expression tree (TiKV's limit).
const MaxDepth = 1000

// Filter keeps rows for which every condition is true (NULL and 0 drop).
type Filter struct{ _ int }

// NewFilter compiles conditions; constant-fold and order by cost is its business.
func NewFilter(conds []*tipb.Expr, input []*tipb.FieldType, ctx *Context) (*Filter, error) {
	panic("contract")
}

// Apply returns the selected rows of b for which all conditions hold, ascending; nil only if all physical rows
// hold and b.Sel was nil. Valid until the next Apply. Each condition is evaluated only on the rows the previous left.
func (f *Filter) Apply(b column.Batch) ([]int32, error) { panic("contract") }

// EvalConst evaluates an expression without columns to one row.
func EvalConst(e *tipb.Expr, ctx *Context) (arrow.Array, error) { panic("contract") }

// UnsupportedError names a signature or expression kind that this build does not evaluate.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "expression is not supported: " + e.What }

// Warnings collects the warnings of a statement up to a limit.
type Warnings struct {
	Limit int // 0 means 64
	List  []*tipb.Error
	Count uint64 // total, also those beyond the limit
}

// Supported reports whether Compile knows the signature (for the planner's push-down and EXPLAIN).
func Supported(sig tipb.ScalarFuncSig) bool { panic("contract") }
