package executor

import (
	"context"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
)

// selection keeps the rows for which all conditions are true.
type selection struct {
	Operator
	filter *expr.Filter
}

func newSelection(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	filter, err := expr.NewFilter(e.Selection.Conditions, inputs[0].Fields(), env.Expr)
	if err != nil {
		return nil, err
	}
	if scan, ok := inputs[0].(Scan); ok {
		return &scanSelection{Scan: scan, filter: filter}, nil
	}
	return &selection{Operator: inputs[0], filter: filter}, nil
}

func (s *selection) Next(ctx context.Context) (Batch, error) {
	for {
		b, err := s.Operator.Next(ctx)
		if err != nil {
			return Batch{}, err
		}
		if b.Sel, err = s.filter.Apply(b); err != nil {
			return Batch{}, err
		}
		if b.Len() > 0 {
			return b, nil
		}
	}
}

// scanSelection is a selection right above a scan: it lets a condition's columns be decoded for the rows that the conditions
// before have left, and all other columns for the rows that are left in the end. It is a Scan itself, of those rows.
type scanSelection struct {
	Scan
	filter *expr.Filter
}

func (s *scanSelection) Next(ctx context.Context) (Batch, error) {
	b, err := s.NextRows(ctx)
	if err != nil {
		return Batch{}, err
	}
	return b, loadMissing(s.Scan, b)
}

// NextRows implements Scan; the conditions' columns are there already.
func (s *scanSelection) NextRows(ctx context.Context) (Batch, error) {
	for {
		b, err := s.Scan.NextRows(ctx)
		if err != nil {
			return Batch{}, err
		}
		if b.Sel, err = s.filter.ApplyLoading(b, s.Scan.Load); err != nil {
			return Batch{}, err
		}
		if b.Len() > 0 {
			return b, nil
		}
	}
}

// loadMissing decodes the columns of a scan's batch that are not there yet, at its selected rows.
func loadMissing(s Scan, b Batch) error {
	for i, col := range b.Cols {
		if col != nil {
			continue
		}
		if err := s.Load(i, b.Sel); err != nil {
			return err
		}
	}
	return nil
}

// projection computes one column per expression.
type projection struct {
	in     Operator
	exprs  []expr.Expr
	fields []*tipb.FieldType
	cols   []arrow.Array
}

func newProjection(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	exprs, err := compileAll(e.Projection.Exprs, inputs[0].Fields(), env)
	if err != nil {
		return nil, err
	}
	return &projection{in: inputs[0], exprs: exprs, fields: typesOf(exprs), cols: make([]arrow.Array, len(exprs))}, nil
}

func (p *projection) Fields() []*tipb.FieldType { return p.fields }
func (p *projection) Close() error              { return p.in.Close() }

func (p *projection) Next(ctx context.Context) (Batch, error) {
	b, err := p.in.Next(ctx)
	if err != nil {
		return Batch{}, err
	}
	if err := evalAll(p.exprs, b, p.cols); err != nil {
		return Batch{}, err
	}
	return Batch{Cols: p.cols, Sel: b.Sel, Rows: b.Rows}, nil
}

// evalAll evaluates expressions into out.
func evalAll(exprs []expr.Expr, b Batch, out []arrow.Array) error {
	for i, x := range exprs {
		var err error
		if out[i], err = x.Eval(b); err != nil {
			return err
		}
	}
	return nil
}

// limit passes the first rows and then asks for no more.
type limit struct {
	Operator
	left uint64
	sel  []int32
}

func newLimit(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	if len(e.Limit.TruncateKeyExpr) > 0 {
		return nil, &UnsupportedError{What: "Limit by rank"}
	}
	if len(e.Limit.PartitionBy) > 0 {
		return newPartitionLimit(e.Limit.PartitionBy, e.Limit.GetLimit(), inputs[0], env)
	}
	return &limit{Operator: inputs[0], left: e.Limit.GetLimit()}, nil
}

func (l *limit) Next(ctx context.Context) (Batch, error) {
	if l.left == 0 {
		return Batch{}, io.EOF
	}
	b, err := l.Operator.Next(ctx)
	if err != nil {
		return Batch{}, err
	}
	if n := uint64(b.Len()); n > l.left {
		b.Sel = l.head(b, int(l.left))
	}
	l.left -= uint64(b.Len())
	return b, nil
}

// head selects the first n selected rows.
func (l *limit) head(b Batch, n int) []int32 {
	l.sel = l.sel[:0]
	for i := range n {
		l.sel = append(l.sel, int32(b.Row(i)))
	}
	return l.sel
}

// values returns batches that are there already.
type values struct {
	fields  []*tipb.FieldType
	batches []Batch
}

// NewValues returns the given batches (dense, owned by the caller).
func NewValues(fields []*tipb.FieldType, batches ...Batch) Operator {
	return &values{fields: fields, batches: batches}
}

func (v *values) Fields() []*tipb.FieldType { return v.fields }
func (v *values) Close() error              { return nil }

func (v *values) Next(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	for len(v.batches) > 0 {
		b := v.batches[0]
		v.batches = v.batches[1:]
		if b.Len() > 0 {
			return b, nil
		}
	}
	return Batch{}, io.EOF
}

// union returns the batches of one child after another.
type union struct {
	children []Operator
	at       int
}

// NewUnion returns the batches of children one after another. All children, one at least, have the same field types but
// perhaps for names and flags.
func NewUnion(children ...Operator) Operator { return &union{children: children} }

func (u *union) Fields() []*tipb.FieldType { return u.children[0].Fields() }
func (u *union) Close() error              { return closeAll(u.children) }

func (u *union) Next(ctx context.Context) (Batch, error) {
	for u.at < len(u.children) {
		b, err := u.children[u.at].Next(ctx)
		if err != io.EOF {
			return b, err
		}
		u.at++
	}
	return Batch{}, io.EOF
}

// compactor makes dense columns of the selected rows, in memory of its own that the next call reuses.
type compactor struct {
	out  []*column.Builder
	runs []column.Run
}

func newCompactor(types []*tipb.FieldType) *compactor {
	c := &compactor{}
	for _, ft := range types {
		c.out = append(c.out, column.NewBuilder(ft, 0))
	}
	return c
}

// compact replaces the columns of b in place. Without a selection they are dense as they are.
func (c *compactor) compact(cols []arrow.Array, sel []int32) {
	if sel == nil {
		return
	}
	const runLen = 8 // from which on copying runs is faster than copying rows
	c.runs = column.Runs(c.runs[:0], sel)
	for i, b := range c.out {
		b.Reset()
		if len(c.runs)*runLen <= len(sel) {
			b.AppendRuns(cols[i], c.runs)
		} else {
			b.AppendRows(cols[i], sel)
		}
		cols[i] = b.Array()
	}
}
