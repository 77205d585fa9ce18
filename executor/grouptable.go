package executor

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/agg"
	"github.com/scree-db/scree/executor/expr"
)

// groupPlan is what an aggregation does, from which its tables are made. Its input is dense columns: the group-by values
// first, or wherever keysAt says, and the arguments.
type groupPlan struct {
	env     *Env
	groupBy int // number of group-by columns
	keysAt  int // the first of them in the input
	types   []*tipb.FieldType
	funcs   []funcPlan
	fields  []*tipb.FieldType // of the output
	// stateTypes are the columns of the groups' partial state, then of the group-by values.
	stateTypes []*tipb.FieldType
}

// funcPlan is an aggregate function with its arguments' places among the input's columns.
type funcPlan struct {
	f       *tipb.Expr
	types   []*tipb.FieldType // of all its children and of those of its ORDER BY
	args    []int
	merge   bool // arguments are partial state
	partial bool // and so is the result
}

// evaluator makes the input of a groupPlan from batches.
type evaluator struct {
	exprs   []expr.Expr // group-by expressions, then arguments
	cols    []arrow.Array
	compact *compactor
}

// dense evaluates the expressions on b; the columns are valid until the next call.
func (e *evaluator) dense(b Batch) ([]arrow.Array, error) {
	if err := evalAll(e.exprs, b, e.cols); err != nil {
		return nil, err
	}
	e.compact.compact(e.cols, b.Sel)
	return e.cols, nil
}

func compileGroups(d *tipb.Aggregation, in Operator, env *Env) (*evaluator, *groupPlan, error) {
	exprs := exprSet{input: in.Fields(), env: env}
	for _, g := range d.GroupBy {
		if _, err := exprs.add(g, false); err != nil {
			return nil, nil, err
		}
	}
	p := &groupPlan{env: env, groupBy: len(d.GroupBy)}
	for _, f := range d.AggFunc {
		if err := p.addFunc(f, &exprs); err != nil {
			return nil, nil, err
		}
	}
	p.types = typesOf(exprs.list)
	p.fields = append(p.fields, p.keys()...)
	p.stateTypes = append(p.stateTypes, p.keys()...)
	return &evaluator{exprs: exprs.list, cols: make([]arrow.Array, len(p.types)), compact: newCompactor(p.types)}, p, nil
}

// keys are the types of the group-by columns.
func (p *groupPlan) keys() []*tipb.FieldType { return p.types[p.keysAt:][:p.groupBy] }

func (p *groupPlan) addFunc(f *tipb.Expr, exprs *exprSet) error {
	fn := funcPlan{f: f, merge: agg.Merges(f)}
	fn.partial = p.env.Partial || f.GetAggFuncMode() == tipb.AggFunctionMode_Partial1Mode ||
		f.GetAggFuncMode() == tipb.AggFunctionMode_Partial2Mode
	if fn.partial && fn.isWhole() {
		return &expr.UnsupportedError{What: "aggregate " + f.Tp.String() + " with DISTINCT or ORDER BY in parts"}
	}
	if err := fn.addArgs(exprs); err != nil {
		return err
	}
	state, err := agg.PartialTypes(f)
	if err != nil {
		return err
	}
	p.stateTypes = append(p.stateTypes, state...)
	if fn.partial {
		p.fields = append(p.fields, state...)
	} else {
		p.fields = append(p.fields, f.FieldType)
	}
	p.funcs = append(p.funcs, fn)
	return nil
}

// isWhole holds for functions that need all rows of a group together.
func (fn *funcPlan) isWhole() bool { return fn.f.HasDistinct || len(fn.f.OrderBy) > 0 }

// addArgs adds the arguments, and those of ORDER BY after them, to what is evaluated.
func (fn *funcPlan) addArgs(exprs *exprSet) error {
	list := slices.Clone(fn.f.Children)
	for _, item := range fn.f.OrderBy {
		list = append(list, item.Expr)
	}
	for _, arg := range list {
		if arg == nil {
			return &UnsupportedError{What: "ORDER BY without an expression"}
		}
		if countsRows(fn.f) {
			fn.types = append(fn.types, arg.FieldType)
			continue
		}
		at, err := exprs.add(arg, true)
		if err != nil {
			return err
		}
		fn.args = append(fn.args, at)
		fn.types = append(fn.types, exprs.list[at].Type())
	}
	return nil
}

// mergeable reports whether groups can be put together from partial state.
func (p *groupPlan) mergeable() bool {
	return !slices.ContainsFunc(p.funcs, func(fn funcPlan) bool { return fn.isWhole() })
}

// overState is the plan that merges rows of stateTypes and gives what p gives.
func (p *groupPlan) overState() (*groupPlan, error) {
	q := *p
	q.types, q.keysAt, q.funcs = p.stateTypes, len(p.stateTypes)-p.groupBy, nil
	at := 0
	for _, fn := range p.funcs {
		state, err := agg.PartialTypes(fn.f)
		if err != nil {
			return nil, err
		}
		fn.args = nil
		for range state {
			fn.args = append(fn.args, at)
			at++
		}
		fn.f, fn.types, fn.merge = merging(fn.f, fn.partial, state), state, true
		if n := len(fn.f.Children); n > len(state) {
			fn.types = append(slices.Clone(state), fn.f.Children[n-1].FieldType)
		}
		q.funcs = append(q.funcs, fn)
	}
	return &q, nil
}

// merging is the function over the partial state of f. GROUP_CONCAT keeps its separator.
func merging(f *tipb.Expr, partial bool, state []*tipb.FieldType) *tipb.Expr {
	mode := tipb.AggFunctionMode_FinalMode
	if partial {
		mode = tipb.AggFunctionMode_Partial2Mode
	}
	g := &tipb.Expr{Tp: f.Tp, FieldType: f.FieldType, AggFuncMode: &mode}
	for _, ft := range state {
		g.Children = append(g.Children, &tipb.Expr{Tp: tipb.ExprType_ColumnRef, FieldType: ft})
	}
	if n := len(f.Children); f.Tp == tipb.ExprType_GroupConcat && n > 1 {
		g.Children = append(g.Children, f.Children[n-1])
	}
	return g
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

// groupTable has the state of groups.
type groupTable struct {
	plan    *groupPlan
	funcs   []aggFunc
	grouper *agg.Grouper // nil: one group of all rows
	groups  []uint32
	count   int // of groups
}

// aggFunc is an accumulator with its arguments.
type aggFunc struct {
	agg.Accumulator
	*funcPlan
	cols []arrow.Array
}

func (p *groupPlan) newTable() (*groupTable, error) {
	t := &groupTable{plan: p}
	for i := range p.funcs {
		fn := &p.funcs[i]
		acc, err := agg.New(fn.f, fn.types, p.env.Expr)
		if err != nil {
			return nil, err
		}
		t.funcs = append(t.funcs, aggFunc{Accumulator: acc, funcPlan: fn, cols: make([]arrow.Array, len(fn.args))})
	}
	if p.groupBy == 0 {
		t.setGroups(1)
		return t, nil
	}
	var err error
	t.grouper, err = agg.NewGrouper(p.keys())
	return t, err
}

// number returns the groups of rows, new ones with the next numbers.
func (t *groupTable) number(cols []arrow.Array, rows int) []uint32 {
	if t.grouper != nil {
		t.groups = t.grouper.Group(cols[t.plan.keysAt:][:t.plan.groupBy], rows, t.groups)
	} else if len(t.groups) < rows {
		t.groups = make([]uint32, max(rows, column.BatchSize)) // all zero for ever
	}
	return t.groups[:rows]
}

// add takes rows in.
func (t *groupTable) add(cols []arrow.Array, rows int) error {
	groups := t.number(cols, rows)
	if t.grouper != nil {
		t.setGroups(t.grouper.Len())
	}
	return t.update(groups, cols)
}

func (t *groupTable) update(groups []uint32, cols []arrow.Array) error {
	for i := range t.funcs {
		if err := t.funcs[i].add(groups, cols); err != nil {
			return err
		}
	}
	return nil
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

func (t *groupTable) setGroups(n int) {
	t.count = n
	for i := range t.funcs {
		t.funcs[i].Resize(n)
	}
}

func (t *groupTable) bytes() int64 {
	n := int64(0)
	if t.grouper != nil {
		n = t.grouper.Bytes()
	}
	for i := range t.funcs {
		n += t.funcs[i].Bytes()
	}
	return n
}

// divisible are the functions whose DISTINCT values can wait in files.
func (t *groupTable) divisible() (sets []*agg.Distinct) {
	for i := range t.funcs {
		if d, ok := t.funcs[i].Accumulator.(*agg.Distinct); ok && d.Divisible() {
			sets = append(sets, d)
		}
	}
	return sets
}

// output makes the batch of groups [from, to): the result, or, with state set, all functions' partial state.
func (t *groupTable) output(from, to int, state bool) (Batch, error) {
	cols := make([]arrow.Array, 0, len(t.plan.stateTypes))
	for i := range t.funcs {
		f := &t.funcs[i]
		if f.partial || state {
			parts, err := f.Partial(from, to)
			if err != nil {
				return Batch{}, err
			}
			cols = append(cols, parts...)
			continue
		}
		c, err := f.Final(from, to)
		if err != nil {
			return Batch{}, err
		}
		cols = append(cols, c)
	}
	if t.grouper != nil {
		cols = append(cols, t.grouper.Keys(from, to)...)
	}
	return Batch{Cols: cols, Rows: to - from}, nil
}
