package executor

import (
	"context"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/agg"
	"github.com/scree-db/scree/executor/expr"
)

// aggregation groups its input by the values of the group-by expressions and aggregates each group. Groups come out in
// the order of their first rows, so it serves ordered input (StreamAgg) too. The output has the aggregates' columns,
// final or partial, and then the group-by columns.
//
// Each batch is evaluated, brought to dense columns, and its rows get group numbers; the accumulators see group numbers
// and argument columns alone. Equal arguments of several aggregates are evaluated once.
type aggregation struct {
	in      Operator
	fields  []*tipb.FieldType
	exprs   []expr.Expr // group-by expressions, then arguments
	keys    int         // of exprs are group-by expressions
	funcs   []aggFunc
	cols    []arrow.Array
	dense   *compactor
	grouper *agg.Grouper // nil: one group of all rows
	groups  []uint32
	count   int // of groups
	next    int // the group to put out
	ready   bool
	account
}

// aggFunc is an aggregate function with its arguments' places among the evaluated columns.
type aggFunc struct {
	agg.Accumulator
	args    []int
	cols    []arrow.Array
	merge   bool // arguments are partial state
	partial bool // and so is the result
}

func newAggregation(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	a := &aggregation{in: inputs[0], keys: len(e.Aggregation.GroupBy), account: newAccount(env)}
	exprs := exprSet{input: inputs[0].Fields(), env: env}
	for _, g := range e.Aggregation.GroupBy {
		if _, err := exprs.add(g, false); err != nil {
			return nil, err
		}
	}
	for _, f := range e.Aggregation.AggFunc {
		if err := a.addFunc(f, &exprs, env); err != nil {
			return nil, err
		}
	}
	a.exprs = exprs.list
	types := typesOf(a.exprs)
	a.cols, a.dense = make([]arrow.Array, len(types)), newCompactor(types)
	a.fields = append(a.fields, types[:a.keys]...)
	if a.keys == 0 {
		a.setGroups(1)
		return a, nil
	}
	var err error
	a.grouper, err = agg.NewGrouper(types[:a.keys])
	return a, err
}

func (a *aggregation) addFunc(f *tipb.Expr, exprs *exprSet, env *Env) error {
	fn := aggFunc{merge: agg.Merges(f)}
	fn.partial = env.Partial || f.GetAggFuncMode() == tipb.AggFunctionMode_Partial1Mode ||
		f.GetAggFuncMode() == tipb.AggFunctionMode_Partial2Mode
	if fn.partial && (f.HasDistinct || len(f.OrderBy) > 0) {
		return &expr.UnsupportedError{What: "aggregate " + f.Tp.String() + " with DISTINCT or ORDER BY in parts"}
	}
	types, err := fn.addArgs(f, exprs)
	if err != nil {
		return err
	}
	if fn.Accumulator, err = agg.New(f, types, env.Expr); err != nil {
		return err
	}
	fn.cols = make([]arrow.Array, len(fn.args))
	a.funcs = append(a.funcs, fn)
	if !fn.partial {
		a.fields = append(a.fields, f.FieldType)
		return nil
	}
	partial, err := agg.PartialTypes(f)
	a.fields = append(a.fields, partial...)
	return err
}

// addArgs adds the arguments of f, and those of its ORDER BY after them, to what is evaluated and returns their types.
func (fn *aggFunc) addArgs(f *tipb.Expr, exprs *exprSet) ([]*tipb.FieldType, error) {
	var types []*tipb.FieldType
	list := slices.Clone(f.Children)
	for _, item := range f.OrderBy {
		list = append(list, item.Expr)
	}
	for _, arg := range list {
		if arg == nil {
			return nil, &UnsupportedError{What: "ORDER BY without an expression"}
		}
		if countsRows(f) {
			types = append(types, arg.FieldType)
			continue
		}
		at, err := exprs.add(arg, true)
		if err != nil {
			return nil, err
		}
		fn.args = append(fn.args, at)
		types = append(types, exprs.list[at].Type())
	}
	return types, nil
}

// countsRows tells COUNT of constants that are not NULL, like COUNT(*): its arguments need not be looked at.
func countsRows(f *tipb.Expr) bool {
	if f.Tp != tipb.ExprType_Count || f.HasDistinct || agg.Merges(f) {
		return false
	}
	for _, arg := range f.Children {
		if arg.Tp != tipb.ExprType_Int64 && arg.Tp != tipb.ExprType_Uint64 {
			return false
		}
	}
	return true
}

// exprSet compiles expressions, equal ones once.
type exprSet struct {
	input []*tipb.FieldType
	env   *Env
	list  []expr.Expr
	known map[string]int
}

// add returns the place of e in the list. With reuse it may be that of an equal expression.
func (s *exprSet) add(e *tipb.Expr, reuse bool) (int, error) {
	text, err := e.Marshal()
	if err != nil {
		return 0, err
	}
	if at, ok := s.known[string(text)]; ok && reuse {
		return at, nil
	}
	x, err := expr.Compile(e, s.input, s.env.Expr)
	if err != nil {
		return 0, err
	}
	if s.known == nil {
		s.known = map[string]int{}
	}
	s.known[string(text)] = len(s.list)
	s.list = append(s.list, x)
	return len(s.list) - 1, nil
}

func (a *aggregation) Fields() []*tipb.FieldType { return a.fields }

func (a *aggregation) Close() error {
	a.account.close()
	return a.in.Close()
}

func (a *aggregation) Next(ctx context.Context) (Batch, error) {
	if !a.ready {
		if err := a.consume(ctx); err != nil {
			return Batch{}, err
		}
		a.ready = true
	}
	if a.next >= a.count {
		return Batch{}, io.EOF
	}
	from := a.next
	a.next = min(from+column.BatchSize, a.count)
	return a.output(from, a.next)
}

func (a *aggregation) consume(ctx context.Context) error {
	for {
		b, err := a.in.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.add(b); err != nil {
			return err
		}
	}
}

func (a *aggregation) add(b Batch) error {
	if err := evalAll(a.exprs, b, a.cols); err != nil {
		return err
	}
	a.dense.compact(a.cols, b.Sel)
	rows := b.Len()
	if a.grouper != nil {
		a.groups = a.grouper.Group(a.cols[:a.keys], rows, a.groups)
		a.setGroups(a.grouper.Len())
	} else if len(a.groups) < rows {
		a.groups = make([]uint32, max(rows, column.BatchSize)) // all zero for ever
	}
	for i := range a.funcs {
		if err := a.funcs[i].add(a.groups[:rows], a.cols); err != nil {
			return err
		}
	}
	return a.account.set(a.bytes())
}

func (f *aggFunc) add(groups []uint32, cols []arrow.Array) error {
	for k, at := range f.args {
		f.cols[k] = cols[at]
	}
	if f.merge {
		return f.Merge(groups, f.cols)
	}
	return f.Update(groups, f.cols)
}

func (a *aggregation) setGroups(n int) {
	a.count = n
	for i := range a.funcs {
		a.funcs[i].Resize(n)
	}
}

func (a *aggregation) bytes() int64 {
	n := int64(0)
	if a.grouper != nil {
		n = a.grouper.Bytes()
	}
	for i := range a.funcs {
		n += a.funcs[i].Bytes()
	}
	return n
}

// output makes the batch of groups [from, to).
func (a *aggregation) output(from, to int) (Batch, error) {
	cols := make([]arrow.Array, 0, len(a.fields))
	for i := range a.funcs {
		f := &a.funcs[i]
		if f.partial {
			state, err := f.Partial(from, to)
			if err != nil {
				return Batch{}, err
			}
			cols = append(cols, state...)
			continue
		}
		c, err := f.Final(from, to)
		if err != nil {
			return Batch{}, err
		}
		cols = append(cols, c)
	}
	if a.grouper != nil {
		cols = append(cols, a.grouper.Keys(from, to)...)
	}
	return Batch{Cols: cols, Rows: to - from}, nil
}
