package planner

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// windowNode adds the columns of window functions over one window to its child's rows, which are sorted by the partition
// and then by the order.
type windowNode struct {
	child     logical
	partition []*Expr
	order     []orderItem
	frame     *windowFrame // nil: the default, or functions that have none
	funcs     []*windowFunc
}

// windowFunc is one function of a windowNode. Counts (of LEAD, NTILE ...) are constants among the arguments.
type windowFunc struct {
	tp   tipb.ExprType
	name string
	args []*Expr
	out  *Column
}

// windowFrame is ROWS or RANGE between two bounds.
type windowFrame struct {
	rows       bool
	start, end windowBound
	text       string // for EXPLAIN
}

type windowBound struct {
	tp        ast.BoundType
	unbounded bool
	rows      uint64
	value     *Expr  // RANGE n: what the order's key is compared with
	text      string // for EXPLAIN
}

// windowing collects the windows of a SELECT while its list and its ORDER BY are built.
type windowing struct {
	q     *selectBuilder
	named map[string]*ast.WindowSpec
	nodes []*windowNode
	outs  colSet
}

// windowSpec is a window's definition, the windows that it refers to included.
type windowSpec struct {
	name      string // for errors
	partition []*ast.ByItem
	order     []*ast.ByItem
	frame     *ast.FrameClause
}

// windows enters the named windows.
func (q *selectBuilder) windows() error {
	w := &windowing{q: q, named: map[string]*ast.WindowSpec{}, outs: colSet{}}
	for i := range q.s.WindowSpecs {
		s := &q.s.WindowSpecs[i]
		if w.named[s.Name.L] != nil {
			return errCode(mysql.ErrWindowDuplicateName, s.Name.O)
		}
		w.named[s.Name.L] = s
	}
	for _, s := range w.named {
		if _, err := w.resolve(s, 0); err != nil {
			return err
		}
	}
	q.window = w
	return nil
}

// resolve puts a window together with the one that it is based on, which may be based on another.
func (w *windowing) resolve(s *ast.WindowSpec, depth int) (*windowSpec, error) {
	if depth > len(w.named) {
		return nil, errCode(mysql.ErrWindowCircularityInWindowGraph)
	}
	out := &windowSpec{name: s.Name.O, frame: s.Frame}
	if out.name == "" {
		out.name = "<unnamed window>"
	}
	if s.PartitionBy != nil {
		out.partition = s.PartitionBy.Items
	}
	if s.OrderBy != nil {
		out.order = s.OrderBy.Items
	}
	base := s.Ref
	if s.OnlyAlias {
		base = s.Name
	}
	if base.L == "" {
		return out, nil
	}
	if w.named[base.L] == nil {
		return nil, errCode(mysql.ErrWindowNoSuchWindow, base.O)
	}
	b, err := w.resolve(w.named[base.L], depth+1)
	if err != nil || s.OnlyAlias {
		return b, err
	}
	switch {
	case len(out.partition) > 0:
		return nil, errCode(mysql.ErrWindowNoChildPartitioning)
	case b.frame != nil:
		return nil, errCode(mysql.ErrWindowNoInherentFrame, base.O)
	case len(out.order) > 0 && len(b.order) > 0:
		return nil, errCode(mysql.ErrWindowNoRedefineOrderBy, out.name, base.O)
	}
	out.partition = b.partition
	if len(out.order) == 0 {
		out.order = b.order
	}
	return out, nil
}

// windowFunc builds a window function of the select list or of ORDER BY.
func (c *clause) windowFunc(n *ast.WindowFuncExpr) (*Expr, error) {
	w := c.windows
	switch {
	case w == nil:
		return nil, errCode(mysql.ErrWindowInvalidWindowFuncUse, strings.ToLower(n.Name))
	case n.IgnoreNull:
		return nil, errNotSupported("IGNORE NULLS")
	case n.FromLast:
		return nil, errNotSupported("FROM LAST")
	}
	spec, err := w.resolve(&n.Spec, 0)
	if err != nil {
		return nil, err
	}
	inner := *c
	inner.windows = nil
	f, err := inner.windowCall(n)
	if err != nil {
		return nil, err
	}
	node, err := inner.windowOver(spec, f.hasFrame())
	if err != nil {
		return nil, err
	}
	return w.add(node, f)
}

// windowCall builds the function itself.
func (c *clause) windowCall(n *ast.WindowFuncExpr) (*windowFunc, error) {
	f := &windowFunc{name: strings.ToLower(n.Name)}
	var err error
	if f.args, err = c.windowArgs(n.Args); err != nil {
		return nil, err
	}
	ft, err := c.b.windowType(f, n.Distinct)
	if err != nil {
		return nil, err
	}
	f.out = c.b.newColumn(ft, "")
	return f, nil
}

// windowArgs builds expressions of a window, in terms of what the windows stand on.
func (c *clause) windowArgs(nodes []ast.ExprNode) ([]*Expr, error) {
	args, err := c.buildAll(nodes)
	for i := range args {
		if err == nil {
			args[i], err = c.finish(args[i])
		}
	}
	return args, err
}

// hasFrame tells the functions of a frame from those of a partition.
func (f *windowFunc) hasFrame() bool {
	switch f.tp {
	case tipb.ExprType_RowNumber, tipb.ExprType_Rank, tipb.ExprType_DenseRank, tipb.ExprType_CumeDist, tipb.ExprType_PercentRank,
		tipb.ExprType_Ntile, tipb.ExprType_Lead, tipb.ExprType_Lag:
		return false
	}
	return true
}

// windowType checks a function's arguments and gives its result type.
func (b *builder) windowType(f *windowFunc, distinct bool) (*tipb.FieldType, error) {
	arity := map[string][2]int{
		ast.WindowFuncRowNumber: {0, 0}, ast.WindowFuncRank: {0, 0}, ast.WindowFuncDenseRank: {0, 0}, ast.WindowFuncCumeDist: {0, 0},
		ast.WindowFuncPercentRank: {0, 0}, ast.WindowFuncNtile: {1, 1}, ast.WindowFuncLead: {1, 3}, ast.WindowFuncLag: {1, 3},
		ast.WindowFuncFirstValue: {1, 1}, ast.WindowFuncLastValue: {1, 1}, ast.WindowFuncNthValue: {2, 2},
	}
	n, ok := arity[f.name]
	if !ok {
		return b.windowAggType(f, distinct)
	}
	if len(f.args) < n[0] || len(f.args) > n[1] {
		return nil, errCode(mysql.ErrWrongParamcountToNativeFct, f.name)
	}
	f.tp = map[string]tipb.ExprType{
		ast.WindowFuncRowNumber: tipb.ExprType_RowNumber, ast.WindowFuncRank: tipb.ExprType_Rank, ast.WindowFuncDenseRank: tipb.ExprType_DenseRank,
		ast.WindowFuncCumeDist: tipb.ExprType_CumeDist, ast.WindowFuncPercentRank: tipb.ExprType_PercentRank, ast.WindowFuncNtile: tipb.ExprType_Ntile,
		ast.WindowFuncLead: tipb.ExprType_Lead, ast.WindowFuncLag: tipb.ExprType_Lag, ast.WindowFuncFirstValue: tipb.ExprType_FirstValue,
		ast.WindowFuncLastValue: tipb.ExprType_LastValue, ast.WindowFuncNthValue: tipb.ExprType_NthValue,
	}[f.name]
	switch f.tp {
	case tipb.ExprType_CumeDist, tipb.ExprType_PercentRank:
		return withFlag(realType(), column.FlagNotNull, 0), nil
	case tipb.ExprType_Ntile:
		return constIntType(21), f.checkCount(0, 1)
	case tipb.ExprType_Lead, tipb.ExprType_Lag:
		return b.offsetType(f)
	case tipb.ExprType_NthValue:
		return nullable(f.args[0].Type), f.checkCount(1, 1)
	case tipb.ExprType_FirstValue, tipb.ExprType_LastValue:
		return nullable(f.args[0].Type), nil
	}
	return withFlag(constIntType(21), column.FlagNotNull, 0), nil
}

// checkCount wants a constant number of rows.
func (f *windowFunc) checkCount(arg int, least uint64) error {
	if n, ok := countConst(f.args[arg]); !ok || n < least {
		return errCode(mysql.ErrWrongArguments, f.name)
	}
	return nil
}

func countConst(e *Expr) (n uint64, ok bool) {
	switch {
	case !e.isConst():
		return 0, false
	case e.val.Kind() == datum.Uint64 && evalOf(e.Type) == evalInt:
		return e.val.Uint64(), true
	case e.val.Kind() == datum.Int64 && e.val.Int64() >= 0:
		return uint64(e.val.Int64()), true
	}
	return 0, false
}

// offsetType brings the value and the default of LEAD and LAG to one type.
func (b *builder) offsetType(f *windowFunc) (*tipb.FieldType, error) {
	if len(f.args) > 1 {
		if err := f.checkCount(1, 0); err != nil {
			return nil, err
		}
	}
	ft := nullable(f.args[0].Type)
	if len(f.args) < 3 {
		return ft, nil
	}
	ft = nullable(mergeTypes(f.args[0].Type, f.args[2].Type))
	for _, i := range []int{0, 2} {
		var err error
		if f.args[i], err = b.castTo(f.args[i], ft); err != nil {
			return nil, err
		}
	}
	return ft, nil
}

func (b *builder) windowAggType(f *windowFunc, distinct bool) (*tipb.FieldType, error) {
	tp, ok := aggTypes[f.name]
	switch {
	case !ok || tp == tipb.ExprType_GroupConcat || tp == tipb.ExprType_JsonArrayAgg || tp == tipb.ExprType_JsonObjectAgg || tp == tipb.ExprType_ApproxCountDistinct:
		return nil, errNotSupported("%s as a window function", f.name)
	case distinct:
		return nil, errNotSupported("<window function>(DISTINCT ..)")
	}
	a := &aggFunc{tp: tp, name: f.name, args: f.args}
	ft, err := b.aggType(a)
	f.tp, f.args = tp, a.args
	return ft, err
}

// windowOver builds the window of a definition.
func (c *clause) windowOver(s *windowSpec, framed bool) (*windowNode, error) {
	n := &windowNode{}
	for _, it := range s.partition {
		e, err := c.windowItem(s, it)
		if err != nil {
			return nil, err
		}
		if !e.isConst() {
			n.partition = append(n.partition, e)
		}
	}
	for _, it := range s.order {
		e, err := c.windowItem(s, it)
		if err != nil {
			return nil, err
		}
		n.order = append(n.order, orderItem{e, it.Desc})
	}
	frame, err := c.windowFrame(s, n)
	if framed {
		n.frame = frame
	}
	if frame == nil || !frame.hasValues() || !framed {
		n.order = slices.DeleteFunc(n.order, func(o orderItem) bool { return o.expr.isConst() })
	}
	return n, err
}

func (c *clause) windowItem(s *windowSpec, it *ast.ByItem) (*Expr, error) {
	if _, ok := it.Expr.(*ast.PositionExpr); ok {
		return nil, errCode(mysql.ErrWindowIllegalOrderBy, s.name)
	}
	list, err := c.windowArgs([]ast.ExprNode{it.Expr})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// add enters a function, or finds the same one.
func (w *windowing) add(n *windowNode, f *windowFunc) (*Expr, error) {
	over := w.find(n, f.hasFrame())
	for _, same := range over.funcs {
		if same.key() == f.key() {
			return colExpr(same.out), nil
		}
	}
	over.funcs = append(over.funcs, f)
	w.outs[f.out] = true
	return colExpr(f.out), nil
}

// find returns the node of a window. Functions without a frame share that of any frame.
func (w *windowing) find(n *windowNode, framed bool) *windowNode {
	for _, have := range w.nodes {
		if have.sortKey() != n.sortKey() {
			continue
		}
		has := slices.ContainsFunc(have.funcs, (*windowFunc).hasFrame)
		if framed && !has {
			have.frame = n.frame
			return have
		}
		if !framed || have.frame.key() == n.frame.key() {
			return have
		}
	}
	w.nodes = append(w.nodes, n)
	return n
}

func (f *windowFunc) key() string {
	return (&aggFunc{name: f.name, args: f.args}).key()
}

// sortItems are the partition's keys and the order's.
func (n *windowNode) sortItems() []orderItem {
	by := make([]orderItem, 0, len(n.partition)+len(n.order))
	for _, e := range n.partition {
		by = append(by, orderItem{e, false})
	}
	return append(by, n.order...)
}

func (n *windowNode) sortKey() string {
	return itoa(len(n.partition)) + (&aggFunc{orderBy: n.sortItems()}).key()
}

// place puts the windows over a node: those first that sort by most, then those whose order these have, too.
func (w *windowing) place(node logical) logical {
	left := slices.Clone(w.nodes)
	slices.SortStableFunc(left, func(a, b *windowNode) int { return len(b.sortItems()) - len(a.sortItems()) })
	var sorted []orderItem
	for len(left) > 0 {
		i := max(slices.IndexFunc(left, func(n *windowNode) bool { return beginsWith(sorted, n.sortItems()) }), 0)
		n := left[i]
		left = slices.Delete(left, i, i+1)
		if by := n.sortItems(); !beginsWith(sorted, by) {
			node, sorted = &sortNode{child: node, by: by}, by
		}
		n.child = node
		node = n
	}
	return node
}

// beginsWith reports whether rows sorted by have are sorted by want.
func beginsWith(have, want []orderItem) bool {
	if len(want) > len(have) {
		return false
	}
	for i, o := range want {
		if o.desc != have[i].desc || !sameExpr(o.expr, have[i].expr) {
			return false
		}
	}
	return true
}

// checkUse refuses conditions on window functions, which are computed later.
func (w *windowing) checkUse(conds []*Expr) error {
	for _, e := range conds {
		if e.touches(w.outs) {
			return errCode(mysql.ErrWindowInvalidWindowFuncAliasUse, e.String())
		}
	}
	return nil
}

func (n *windowNode) columns() []*Column {
	cols := n.child.columns()
	cols = cols[:len(cols):len(cols)]
	for _, f := range n.funcs {
		cols = append(cols, f.out)
	}
	return cols
}

func (n *windowNode) inputs() []logical { return []logical{n.child} }

// expressions calls visit with every expression of the node.
func (n *windowNode) expressions(visit func(*Expr)) {
	for _, o := range n.sortItems() {
		visit(o.expr)
	}
	for _, f := range n.funcs {
		for _, a := range f.args {
			visit(a)
		}
	}
	if n.frame != nil {
		for _, b := range [2]*windowBound{&n.frame.start, &n.frame.end} {
			if b.value != nil {
				visit(b.value)
			}
		}
	}
}
