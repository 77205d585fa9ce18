package expr

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// rowset lists the rows that an evaluation is about: those of sel, ascending, or 0..n-1 where sel is nil. n is always
// the physical number of rows.
type rowset struct {
	sel []int32
	n   int
}

func (r rowset) len() int {
	if r.sel != nil {
		return len(r.sel)
	}
	return r.n
}

// sparse reports whether so few rows count that a loop over all of them does not pay.
func (r rowset) sparse() bool { return r.sel != nil && len(r.sel)*16 < r.n }

// at is the k-th row of the set.
func (r rowset) at(k int) int {
	if r.sel != nil {
		return int(r.sel[k])
	}
	return k
}

// input is one batch on its way through an expression.
type input struct {
	cols []arrow.Array
	rowset
	load func(col int) error // fills cols where they are nil; nil: none is
}

// on is the same batch narrowed to sel.
func (in *input) on(sel []int32) *input {
	return &input{cols: in.cols, rowset: rowset{sel: sel, n: in.n}, load: in.load}
}

// column is column i of the batch.
func (in *input) column(i int) (arrow.Array, error) {
	if i >= len(in.cols) {
		return nil, fmt.Errorf("expr: column %d of a batch with %d columns", i, len(in.cols))
	}
	if in.cols[i] == nil && in.load != nil {
		if err := in.load(i); err != nil {
			return nil, err
		}
	}
	return in.cols[i], nil
}

// node is a compiled expression. The vec that eval returns belongs to the node and lives until its next eval; it is
// defined at in's rows, unless it is a constant.
type node interface {
	typ() *tipb.FieldType
	eval(in *input) (*vec, error)
}

// columnNode reads column offset of the input.
type columnNode struct {
	ft     *tipb.FieldType
	kind   column.Kind
	offset int
	out    vec
}

func (c *columnNode) typ() *tipb.FieldType { return c.ft }

func (c *columnNode) eval(in *input) (*vec, error) {
	a, err := in.column(c.offset)
	if err != nil {
		return nil, err
	}
	if !c.out.read(a, c.kind) || a.Len() < in.n {
		return nil, fmt.Errorf("expr: column %d has %d rows of %s, not %d of %s", c.offset, a.Len(), a.DataType(), in.n, c.kind)
	}
	return &c.out, nil
}

// constNode is one value for all rows.
type constNode struct {
	ft  *tipb.FieldType
	out vec
}

func (c *constNode) typ() *tipb.FieldType         { return c.ft }
func (c *constNode) eval(in *input) (*vec, error) { return &c.out, nil }

// newConst makes a NULL constant of type ft; the caller sets its value.
func newConst(ft *tipb.FieldType) *constNode {
	c := &constNode{ft: ft}
	c.out.reset(column.KindOf(ft), 1)
	c.out.scale = scaleOf(ft)
	c.out.setNull(0)
	c.out.finish(1)
	c.out.mask = 0
	return c
}

// notNull readies a constant for its value.
func (c *constNode) notNull() *vec {
	c.out.reset(c.out.kind, 1)
	c.out.mask = 0
	return &c.out
}

func scaleOf(ft *tipb.FieldType) int {
	if ft.Tp != column.TypeDecimal {
		return 0
	}
	return column.Scale(ft)
}

// frame is what a row function or kernel works on: the arguments' columns and the result's.
type frame struct {
	ctx  *Context
	a    []*vec
	out  *vec
	expr *tipb.Expr        // the call, for field types of arguments and result
	args []*tipb.FieldType // types of the arguments as the function sees them
	nums []node            // the arguments, for constants
}

// kernel computes the result at the given rows.
type kernel func(f *frame, rows rowset) error

// rowFn computes the result at row i: it sets out's value or NULL there.
type rowFn func(f *frame, i int) error

// callNode evaluates its arguments, unites their NULLs, and runs a kernel on what is left.
type callNode struct {
	frame
	ft   *tipb.FieldType
	kind column.Kind
	fn   *function
	run  kernel
	res  vec
	live []int32
}

func (c *callNode) typ() *tipb.FieldType { return c.ft }

func (c *callNode) eval(in *input) (*vec, error) {
	for k, arg := range c.nums {
		v, err := arg.eval(in)
		if err != nil {
			return nil, err
		}
		c.a[k] = v
	}
	c.res.reset(c.kind, in.n)
	rows, none := in.rowset, false
	if !c.fn.nulls {
		rows, none = c.unite(in.rowset)
	}
	if !none {
		if err := c.run(&c.frame, rows); err != nil {
			return nil, err
		}
	}
	c.res.finish(in.n)
	return &c.res, nil
}

// unite makes the result NULL wherever an argument is, and returns the rows that are left to compute. none tells that
// an argument is the constant NULL.
func (c *callNode) unite(rows rowset) (_ rowset, none bool) {
	first := true
	for _, v := range c.a {
		switch {
		case v.valid == nil:
		case v.isConst():
			if v.null(0) {
				c.allNull(rows.n)
				return rows, true
			}
		case first:
			size := int(bitutil.BytesForBits(int64(rows.n)))
			c.res.bits = append(c.res.bits[:0], v.valid[:size]...)
			c.res.valid, first = c.res.bits, false
		default:
			for i := range c.res.valid {
				c.res.valid[i] &= v.valid[i]
			}
		}
	}
	if first || c.fn.total {
		return rows, false
	}
	c.live = liveRows(c.live[:0], rows, c.res.valid)
	return rowset{sel: c.live, n: rows.n}, false
}

func (c *callNode) allNull(n int) {
	c.res.allValid(n)
	clear(c.res.valid)
}

// liveRows appends the rows whose bit in valid is set.
func liveRows(dst []int32, rows rowset, valid []byte) []int32 {
	dst = resize(dst, rows.len())
	k := 0
	for j := range rows.len() {
		i := rows.at(j)
		dst[k] = int32(i)
		k += int(valid[i>>3] >> (i & 7) & 1)
	}
	return dst[:k]
}

// maxBatchBytes bounds the bytes of one string column: its offsets are 32 bits wide, and a query's memory is not endless.
const maxBatchBytes = 256 << 20

// eachRow makes a kernel of a row function.
func eachRow(fn rowFn) kernel {
	return func(f *frame, rows rowset) error {
		n := rows.len()
		p := pace{f: f, every: f.restEvery(n), bound: restBytes}
		p.next = p.every
		for k := range n {
			if err := fn(f, rows.at(k)); err != nil {
				return err
			}
			if k >= p.next || len(f.out.data) > p.bound {
				if err := p.rest(k); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// pace makes row functions look up, now and then, whether anybody still waits for their results.
type pace struct {
	f     *frame
	every int // rows
	next  int // the row to rest at
	bound int // or the length of the result's data
}

// restBytes is how many bytes a function reads or makes between two rests: some milliseconds of the slowest.
const restBytes = 256 << 10

// restEvery is how many of n rows have about restBytes of arguments.
func (f *frame) restEvery(n int) int {
	bytes := 1
	for _, a := range f.a {
		if a.mask == 0 {
			bytes += n * len(a.data)
		} else {
			bytes += len(a.data)
		}
	}
	return n / (bytes/restBytes + 1)
}

// rest is called after row k.
func (p *pace) rest(k int) error {
	size := len(p.f.out.data)
	if size > maxBatchBytes {
		return tooLarge()
	}
	p.next, p.bound = k+p.every, min(size+restBytes, maxBatchBytes)
	return p.f.ctx.Ended()
}

func tooLarge() error {
	return value.Errorf(value.CodeMemoryQuota, "a string expression exceeds %d bytes in one batch of rows", maxBatchBytes)
}

// program is the exported face of a node.
type program struct {
	root node
	in   input
	flat vec // a constant spread over rows
}

var _ Expr = (*program)(nil)

func (p *program) Type() *tipb.FieldType { return p.root.typ() }

func (p *program) Eval(b column.Batch) (arrow.Array, error) {
	p.in = input{cols: b.Cols, rowset: rowset{sel: b.Sel, n: b.Rows}}
	v, err := p.root.eval(&p.in)
	if err != nil {
		return nil, err
	}
	if c, ok := p.root.(*columnNode); ok && b.Cols[c.offset].Len() == b.Rows {
		return b.Cols[c.offset], nil
	}
	if v.isConst() {
		if err := p.spread(v, b.Rows); err != nil {
			return nil, err
		}
		v = &p.flat
	}
	return v.array(b.Rows), nil
}

// spread repeats a constant for n rows.
func (p *program) spread(v *vec, n int) error {
	if len(v.data) > 0 && n > maxBatchBytes/len(v.data) {
		return tooLarge()
	}
	p.flat.reset(v.kind, n)
	p.flat.scale = v.scale
	for i := range n {
		p.flat.copyRow(i, v)
	}
	p.flat.finish(n)
	return nil
}
