// Package agg has what grouped aggregation is made of: a Grouper numbers the groups, an Accumulator keeps the state of
// one aggregate function for all of them. The two meet in a slice of group numbers, one for each input row.
//
//	Grouper      key columns -> group numbers 0, 1, 2 ... in order of first appearance; also the hash table of joins
//	Accumulator  group numbers and argument columns -> state -> partial or final columns
//
// Neither knows batches or selections: the operators that use them hand in dense columns.
package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
)

// Accumulator is the state of one aggregate function for all groups. groups[i] is the group of the i-th value of args,
// which are dense columns of equal length; Resize has made room for every group mentioned.
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

// New makes an accumulator for f (an aggregate tipb.Expr: Tp, FieldType, HasDistinct, OrderBy) whose arguments (raw, for
// Update) or state (for Merge) have the given types; the values of its ORDER BY are further arguments. What it cannot do
// is an *expr.UnsupportedError.
func New(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (Accumulator, error) {
	if f.FieldType == nil {
		return nil, unsupported(f, "without a result type")
	}
	if len(args) == 0 {
		return nil, unsupported(f, "without arguments")
	}
	if !f.HasDistinct || isIdempotent(f.Tp) {
		return newPlain(f, args, ctx)
	}
	if merges(f) || f.GetAggFuncMode() == tipb.AggFunctionMode_Partial1Mode {
		return nil, unsupported(f, "DISTINCT in parts")
	}
	return newDistinct(f, args, ctx)
}

// isIdempotent holds for functions that do not care how often they see a value.
func isIdempotent(tp tipb.ExprType) bool {
	switch tp {
	case tipb.ExprType_Min, tipb.ExprType_Max, tipb.ExprType_First, tipb.ExprType_Agg_BitAnd, tipb.ExprType_Agg_BitOr:
		return true
	}
	return false
}

func newPlain(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (Accumulator, error) {
	switch f.Tp {
	case tipb.ExprType_Count:
		return &count{out: f.FieldType}, nil
	case tipb.ExprType_Sum:
		return newSum(f, args)
	case tipb.ExprType_Avg:
		return newAvg(f, args)
	case tipb.ExprType_Min, tipb.ExprType_Max:
		return newExtreme(f, args[0])
	case tipb.ExprType_First:
		return &first{in: args[0], out: f.FieldType, values: column.NewBuilder(args[0], 0)}, nil
	case tipb.ExprType_Agg_BitAnd, tipb.ExprType_Agg_BitOr, tipb.ExprType_Agg_BitXor:
		return newBits(f, args[0])
	case tipb.ExprType_Std, tipb.ExprType_Stddev, tipb.ExprType_StddevPop, tipb.ExprType_StddevSamp, tipb.ExprType_VarPop,
		tipb.ExprType_VarSamp, tipb.ExprType_Variance:
		return newVariance(f, args)
	case tipb.ExprType_GroupConcat:
		return newConcat(f, args, ctx)
	case tipb.ExprType_JsonArrayAgg, tipb.ExprType_JsonObjectAgg:
		return newJSONAgg(f, args)
	case tipb.ExprType_ApproxCountDistinct:
		return newApproxDistinct(f, args)
	default:
		return nil, unsupported(f, "")
	}
}

func unsupported(f *tipb.Expr, what string) error {
	if what != "" {
		what = " " + what
	}
	return &expr.UnsupportedError{What: "aggregate " + f.Tp.String() + what}
}

// merges reports whether the arguments of f are partial state.
func merges(f *tipb.Expr) bool {
	mode := f.GetAggFuncMode()
	return mode == tipb.AggFunctionMode_FinalMode || mode == tipb.AggFunctionMode_Partial2Mode
}

// Merges reports whether the arguments of f are columns of partial state, for Merge, rather than rows, for Update.
func Merges(f *tipb.Expr) bool { return merges(f) }

// PartialTypes are the columns of f's partial state: Avg gives count (BIGINT) and sum, the variances and ApproxCountDistinct
// one binary string, all others one column of f's type. The sum of an average has the type of its argument widened by 22 digits.
func PartialTypes(f *tipb.Expr) ([]*tipb.FieldType, error) {
	if f.FieldType == nil {
		return nil, unsupported(f, "without a result type")
	}
	switch f.Tp {
	case tipb.ExprType_Avg:
		if len(f.Children) == 0 {
			return nil, unsupported(f, "without arguments")
		}
		arg := f.Children[len(f.Children)-1].FieldType // of a merging function: the sum
		if arg == nil {
			return nil, unsupported(f, "without an argument type")
		}
		sum := arg
		if !merges(f) {
			sum = sumType(arg)
		}
		return []*tipb.FieldType{bigint(), sum}, nil
	case tipb.ExprType_Std, tipb.ExprType_Stddev, tipb.ExprType_StddevPop, tipb.ExprType_StddevSamp, tipb.ExprType_VarPop,
		tipb.ExprType_VarSamp, tipb.ExprType_Variance:
		return []*tipb.FieldType{momentsType()}, nil
	case tipb.ExprType_ApproxCountDistinct:
		return []*tipb.FieldType{sampleType()}, nil
	default:
		return []*tipb.FieldType{f.FieldType}, nil
	}
}

func bigint() *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagBinary, Collate: -63}
}

// sumType is the type of the sum of values of type arg.
func sumType(arg *tipb.FieldType) *tipb.FieldType {
	switch column.KindOf(arg) {
	case column.Float64, column.Bytes:
		return &tipb.FieldType{Tp: column.TypeDouble, Flen: 23, Decimal: -1, Flag: column.FlagBinary, Collate: -63}
	case column.Int64, column.Uint64:
		flen := arg.Flen
		if flen <= 0 {
			flen = 20
		}
		return decimalType(flen+22, 0)
	default:
		return decimalType(int32(column.Precision(arg))+22, int32(column.Scale(arg)))
	}
}

func decimalType(flen, scale int32) *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: min(flen, column.MaxPrecision), Decimal: scale,
		Flag: column.FlagBinary, Collate: -63}
}
