package expr

import (
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// Filter keeps rows for which every condition is true (NULL and 0 drop).
//
// Conditions run one after another, each on the rows that the ones before left. ANDs are taken apart, integer ranges
// over one column fused, and conditions that compare a column with a constant run first: they cannot fail, and they
// write row numbers directly instead of a boolean column.
type Filter struct {
	conds []condition
	never bool // a constant condition is not true
	in    input
	rows  [2][]int32 // of the condition under way, and what the one before left
}

// condition is a node with, where it has one, a direct way to select rows.
type condition struct {
	node
	sel selectFn
}

// selectFn appends to dst[:0] the rows of in for which a condition is true. dst has room for all of them and may be
// in.sel itself.
type selectFn func(in *input, dst []int32) ([]int32, error)

// NewFilter compiles conditions.
func NewFilter(conds []*tipb.Expr, input []*tipb.FieldType, ctx *Context) (*Filter, error) {
	f := &Filter{}
	for _, e := range conds {
		n, err := compileNode(e, input, ctx)
		if err != nil {
			return nil, err
		}
		f.add(n)
	}
	f.conds = fuseRanges(f.conds)
	slices.SortStableFunc(f.conds, func(a, b condition) int { return a.cost() - b.cost() })
	return f, nil
}

// add takes the condition n apart and drops it if it is constant.
func (f *Filter) add(n node) {
	switch n := n.(type) {
	case *logicNode:
		if n.op == logicAnd {
			f.add(n.left)
			f.add(n.right)
			return
		}
	case *constNode:
		f.never = f.never || !truthAt(&n.out, 0)
		return
	}
	f.conds = append(f.conds, newCondition(n))
}

// newCondition readies n for use as a condition.
func newCondition(n node) condition {
	c := condition{node: n}
	if evalType(n.typ()) == etJSON { // true unless it is the number 0
		c.node = newUnary(&function{spec: "j:i", row: truthRow(true)}, nullTypes[etInt], n)
	}
	if s, ok := n.(interface{ selector() selectFn }); ok {
		c.sel = s.selector()
	}
	return c
}

// cost ranks conditions: those that select directly and cannot fail come first, cheap types before dear ones.
func (c condition) cost() int {
	switch n := c.node.(type) {
	case *rangeNode:
		return 0
	case *compareNode:
		if c.sel != nil && n.kindOfArgs() != column.Bytes {
			return 0
		}
		if c.sel != nil {
			return 1
		}
	}
	return 2
}

// Apply returns the selected rows of b for which all conditions hold, ascending; nil only if all physical rows
// hold and b.Sel was nil. Valid until the next Apply. Each condition is evaluated only on the rows the previous left.
func (f *Filter) Apply(b column.Batch) ([]int32, error) { return f.ApplyLoading(b, nil) }

// ApplyLoading is Apply for a batch whose columns may be nil. Those that a condition asks for are set by load, for the
// rows that the conditions before have left: no condition after it looks at others.
func (f *Filter) ApplyLoading(b column.Batch, load func(col int, sel []int32) error) ([]int32, error) {
	if f.never || b.Len() == 0 {
		return []int32{}, nil
	}
	f.in = input{cols: b.Cols, rowset: rowset{sel: b.Sel, n: b.Rows}}
	if load != nil {
		f.in.load = func(col int) error { return load(col, f.in.sel) }
	}
	for k := range f.conds {
		buf := &f.rows[k%2]
		*buf = resize(*buf, b.Len())
		rows, err := f.conds[k].rows(&f.in, *buf)
		if err != nil {
			return nil, err
		}
		if f.in.sel = rows; len(rows) == 0 {
			return (*buf)[:0], nil
		}
	}
	if b.Sel == nil && len(f.in.sel) == b.Rows {
		return nil, nil
	}
	return f.in.sel, nil
}

// rows selects the rows of in where the condition is true, into dst.
func (c *condition) rows(in *input, dst []int32) ([]int32, error) {
	if c.sel != nil {
		return c.sel(in, dst)
	}
	v, err := c.eval(in)
	if err != nil {
		return nil, err
	}
	return selectTrue(v, in.rowset, dst), nil
}

// selectTrue lists the rows where a value is neither NULL nor 0.
func selectTrue(v *vec, rows rowset, dst []int32) []int32 {
	k := 0
	if rows.sel == nil && v.valid == nil && v.isInt() {
		for i, x := range v.i64[:rows.n] {
			dst[k] = int32(i)
			k += int(b2i(x != 0))
		}
		return dst[:k]
	}
	for j := range rows.len() {
		i := rows.at(j)
		dst[k] = int32(i)
		k += int(b2i(truthAt(v, i)))
	}
	return dst[:k]
}

// truthAt is the truth of row i; NULL is not true.
func truthAt(v *vec, i int) bool {
	if v.null(i) {
		return false
	}
	switch v.kind {
	case column.Float64:
		return v.real(i) != 0
	case column.Bytes:
		return len(v.str(i)) > 0 && truthOfText(v.str(i))
	case column.Decimal128, column.Decimal256:
		return !isZero256(v.wide(i))
	default:
		return v.int(i) != 0
	}
}
