// Package expr compiles tipb expressions to vectorized kernels over Arrow columns.
//
// Compile turns a tipb.Expr into an Expr, whose Eval computes one column for a batch. NewFilter turns the conditions of a
// selection into a Filter, whose Apply narrows a batch's selection without making boolean columns where it can. Both
// bind to one Context (the statement's flags, SQL mode, time zone and warnings) and to one goroutine, and keep their
// buffers from batch to batch: in steady state an Eval allocates the few objects of its Arrow result and nothing else.
//
// # How a function is written
//
// The registry maps a tipb.ScalarFuncSig to a function: the evaluation types of its arguments and result (a spec such
// as "ss:i", two strings to an integer) and its body in one of three forms:
//
//   - a row function, called for each row that counts: most functions;
//   - a bind, which picks a kernel over whole slices by the physical types: hot ones (comparison, arithmetic);
//   - a build, which makes a node of its own: control flow, where arguments are evaluated on some of the rows only.
//
// Row functions and kernels never see a NULL argument unless they ask for it (function.nulls): the call node unites the
// argument's validity bitmaps and hands down the rows where all are valid. They never see an unselected row either, so
// what happens to lie there cannot raise an error. A kernel that cannot fail whatever the bits (function.total) is
// run over NULL rows too, which keeps its loop dense.
//
// # Conventions
//
// A selection that is nil means all rows; one that is empty, none: whoever makes a selection never returns nil for none.
//
// Strings are compared by the collation in the call's own field type, which is where TiDB puts the derived collation; where
// it is 0, by that of the first string argument.
//
// The scale of a decimal result is that of its field type. Values are kept exact up to there and rounded half away from
// zero; what does not fit the type's physical form is out of range (1690).
//
// The flags and SQL mode of the Context decide whether a truncation, an overflow of a cast or a division by zero is
// ignored, a warning, or the statement's error; see the methods of Context. An overflow of arithmetic is always an error.
package expr
