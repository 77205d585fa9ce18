package expr

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// Expr is a compiled expression. It keeps buffers between calls: one goroutine, and a result lives until the next Eval.
type Expr interface {
	// Type is the result's field type.
	Type() *tipb.FieldType
	// Eval computes the expression for the selected rows of b. The result has b.Rows rows, Offset 0, and is defined at
	// the selected rows only. Errors are *value.Error with a MySQL code.
	Eval(b column.Batch) (arrow.Array, error)
}

// MaxDepth is the greatest depth of an expression tree (TiKV's limit).
const MaxDepth = 1000

// maxNodes is the greatest number of nodes in one expression.
const maxNodes = 1 << 20

// UnsupportedError names a signature or expression kind that this build does not evaluate.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "expression is not supported: " + e.What }

// Compile checks and compiles e over input columns of the given types. Depth is bounded by MaxDepth; an unknown
// signature is an *UnsupportedError.
func Compile(e *tipb.Expr, input []*tipb.FieldType, ctx *Context) (Expr, error) {
	root, err := compileNode(e, input, ctx)
	if err != nil {
		return nil, err
	}
	return &program{root: root}, nil
}

// EvalConst evaluates an expression without columns to one row.
func EvalConst(e *tipb.Expr, ctx *Context) (arrow.Array, error) {
	x, err := Compile(e, nil, ctx)
	if err != nil {
		return nil, err
	}
	return x.Eval(column.Batch{Rows: 1})
}

// Supported reports whether Compile knows the signature (for the planner's push-down and EXPLAIN).
func Supported(sig tipb.ScalarFuncSig) bool { return registry()[sig] != nil }
