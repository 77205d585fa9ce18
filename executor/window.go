package executor

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// window computes window functions. Its input is sorted by the partition's items and then by the order's; the rows come
// out in that order, with a column more for each function.
//
// Batches of the input become spans of a rowLog, where they stay while a function may look at them. A span is put out as
// soon as all is known that its results depend on:
//
//	ROW_NUMBER, LAG, frames up to the current row       nothing of the rows that follow
//	RANK, frames up to the current row's peers          where its peers end
//	LEAD(n), frames up to n rows on                     n rows
//	NTILE, CUME_DIST, PERCENT_RANK, other frames        where its partition ends
//
// So a running total holds little more than a batch at a time, and only what the log cannot forget grows; when memory is
// tight the log goes to files.
type window struct {
	in     Operator
	fields []*tipb.FieldType
	eval   *windowColumns
	log    rowLog
	edges  edges
	frame  *frame // nil: no function has one
	funcs  []windowFunc
	ahead  lookahead
	spans  *cursor // reads what is put out
	next   int64   // the first row that is not put out
	ended  bool    // no more input
	account
}

// windowFunc computes one function.
type windowFunc interface {
	// eval gives the results of the rows of a span.
	eval(ctx context.Context, s *span) (arrow.Array, error)
	// keepFrom is the first row of the log that the function may ask for from now on, where row next is the first of the
	// next span.
	keepFrom(next int64) int64
}

// lookahead says which rows after a row its results depend on.
type lookahead struct {
	rows      int64
	peers     bool
	partition bool
}

func (l *lookahead) join(m lookahead) {
	l.rows = max(l.rows, m.rows)
	l.peers = l.peers || m.peers
	l.partition = l.partition || m.partition
}

// span is a batch of the log on its way out. Rows are numbered from the beginning of the input; places that the functions'
// lookahead does not cover may be wrong.
type span struct {
	base  int64
	batch Batch // of the log's columns
	// of each row: its partition, its peers, and the number of its peers among those of the partition, from 1.
	partFrom, partTo, peerFrom, peerTo, peerNo []int64
	// from and to are the frame; it is empty where from is not less than to. Both ascend.
	from, to []int64
}

func newWindow(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	if e.Window == nil {
		return nil, &UnsupportedError{What: "Window without a description"}
	}
	w := &window{in: inputs[0], account: newAccount(env)}
	if err := w.compile(e.Window, env); err != nil {
		return nil, err
	}
	w.log.types, w.log.dir = w.eval.types(), w.dir
	w.spans = w.log.newCursor()
	return w, nil
}

func (w *window) Fields() []*tipb.FieldType { return w.fields }

func (w *window) Close() error {
	w.account.close()
	return errors.Join(w.in.Close(), w.log.close())
}

func (w *window) Next(ctx context.Context) (Batch, error) {
	for !w.ready() {
		if w.ended {
			return Batch{}, io.EOF
		}
		if err := w.read(ctx); err != nil {
			return Batch{}, err
		}
	}
	return w.output(ctx)
}

// ready reports whether the next span can be put out.
func (w *window) ready() bool {
	if w.next == w.log.end {
		return false
	}
	if w.ended {
		return true
	}
	part, peer := w.edges.lastStarts()
	known := w.log.end
	switch {
	case w.ahead.partition:
		known = part
	case w.ahead.rows > 0:
		known = max(known-w.ahead.rows, part)
	}
	if w.ahead.peers {
		known = min(known, peer)
	}
	return w.log.spanEnd(w.next) <= known
}

// read takes a batch of the input into the log.
func (w *window) read(ctx context.Context) error {
	b, err := w.in.Next(ctx)
	if err == io.EOF {
		w.ended = true
		return nil
	}
	if err != nil {
		return err
	}
	if b, err = w.eval.dense(b); err != nil {
		return err
	}
	w.edges.add(b, w.log.end)
	w.log.append(b)
	tight, err := w.resize(w.log.bytes + w.edges.bytes())
	if !tight {
		return err
	}
	if err := w.log.spill(); err != nil {
		return err
	}
	return w.set(w.edges.bytes())
}

// output evaluates the functions on the next span.
func (w *window) output(ctx context.Context) (Batch, error) {
	b, at, err := w.spans.at(w.next)
	if err != nil {
		return Batch{}, err
	}
	s := &span{base: w.next - int64(at), batch: b}
	w.edges.place(s, w.log.end)
	if w.frame != nil {
		if err := w.frame.place(ctx, s); err != nil {
			return Batch{}, err
		}
	}
	out := Batch{Cols: make([]arrow.Array, 0, len(w.fields)), Rows: b.Rows}
	out.Cols = append(out.Cols, b.Cols[:w.eval.inputs]...)
	for _, f := range w.funcs {
		col, err := f.eval(ctx, s)
		if err != nil {
			return Batch{}, err
		}
		out.Cols = append(out.Cols, col)
	}
	w.next = s.base + int64(b.Rows)
	return out, w.forget()
}

// forget drops the rows that nobody asks for any more.
func (w *window) forget() error {
	keep := w.next
	if w.frame != nil {
		keep = w.frame.keepFrom(keep)
	}
	for _, f := range w.funcs {
		keep = min(keep, f.keepFrom(w.next))
	}
	w.spans.forget(w.next)
	if err := w.log.forget(keep); err != nil {
		return err
	}
	return w.set(w.log.bytes + w.edges.bytes())
}

var _ Operator = (*window)(nil)

// windowColumns makes the log's columns: the input's, and those of expressions that are not among them.
type windowColumns struct {
	inputs int
	in     []*tipb.FieldType
	exprs  exprSet
}

// add returns the place of an expression's column, and its type.
func (c *windowColumns) add(e *tipb.Expr) (place int, ft *tipb.FieldType, err error) {
	if e == nil {
		return 0, nil, &UnsupportedError{What: "Window with a missing expression"}
	}
	if ref := columnRefs([]*tipb.Expr{e}, c.inputs)[0]; ref >= 0 {
		return ref, c.in[ref], nil
	}
	at, err := c.exprs.add(e, true)
	if err != nil {
		return 0, nil, err
	}
	return c.inputs + at, c.exprs.list[at].Type(), nil
}

func (c *windowColumns) types() []*tipb.FieldType {
	return append(c.in[:c.inputs:c.inputs], typesOf(c.exprs.list)...)
}

// dense makes a batch that lives as long as the log wants.
func (c *windowColumns) dense(b Batch) (Batch, error) {
	out := column.Compact(b)
	computed := Batch{Cols: make([]arrow.Array, len(c.exprs.list)), Rows: out.Rows}
	if err := evalAll(c.exprs.list, out, computed.Cols); err != nil {
		return Batch{}, err
	}
	out.Cols = append(out.Cols, column.Compact(computed).Cols...)
	return out, nil
}
