package planner

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
)

// applyOp runs the right side once for each left row, with the row's values in the place of outer references. It is what
// is left when decorrelate finds no join: correct, and as slow as it sounds; equal outer values are run once.
type applyOp struct {
	o      *opener
	p      *physApply
	left   executor.Operator
	fields []*tipb.FieldType
	// refs are the places among the left columns that the right side refers to.
	refs []int
	memo map[string][][]datum.Datum
	held int64
}

// memoMax bounds the remembered results, in rows.
const memoMax = 1 << 14

func (o *opener) apply(p *physApply) (executor.Operator, error) {
	left, err := o.open(p.left)
	if err != nil {
		return nil, err
	}
	a := &applyOp{o: o, p: p, left: left, fields: p.Types(), memo: map[string][][]datum.Datum{}}
	free := freeColumns(p.node.right)
	for _, e := range append(p.node.on[:len(p.node.on):len(p.node.on)], p.node.nullAware...) {
		free.addColumns(e)
	}
	for i, c := range p.left.base().cols {
		if free[c] {
			a.refs = append(a.refs, i)
		}
	}
	return a, nil
}

func (a *applyOp) Fields() []*tipb.FieldType { return a.fields }
func (a *applyOp) Close() error              { return a.left.Close() }

func (a *applyOp) Next(ctx context.Context) (executor.Batch, error) {
	for {
		b, err := a.left.Next(ctx)
		if err != nil {
			return b, err
		}
		out := newRowSink(a.fields)
		for i := range b.Len() {
			if err := a.row(out, b, b.Row(i)); err != nil {
				return executor.Batch{}, err
			}
		}
		if res := out.batch(); res.Rows > 0 {
			return res, nil
		}
	}
}

// row appends what one left row gives.
func (a *applyOp) row(out *rowSink, b executor.Batch, i int) error {
	rows, binds, err := a.right(b, i)
	if err != nil {
		return err
	}
	left := func() error { return out.appendColumns(0, b.Cols, i) }
	switch a.p.kind() {
	case joinSemi:
		if len(rows) == 0 {
			return nil
		}
		return left()
	case joinAnti:
		verdict, err := a.membership(rows, binds)
		if err != nil || verdict != isFalse {
			return err
		}
		return left()
	case joinMark:
		verdict, err := a.membership(rows, binds)
		if err != nil {
			return err
		}
		if err := left(); err != nil {
			return err
		}
		return out.appendDatums(len(b.Cols), []datum.Datum{verdict.datum()})
	}
	return a.pairs(out, b, i, rows)
}

func (a *applyOp) pairs(out *rowSink, b executor.Batch, i int, rows [][]datum.Datum) error {
	switch {
	case a.p.node.single && len(rows) > 1:
		return errCode(mysql.ErrSubqueryNo1Row)
	case len(rows) == 0 && a.p.kind() == joinLeft:
		rows = [][]datum.Datum{make([]datum.Datum, len(a.p.right.base().cols))}
	}
	for _, r := range rows {
		if err := out.appendColumns(0, b.Cols, i); err != nil {
			return err
		}
		if err := out.appendDatums(len(b.Cols), r); err != nil {
			return err
		}
	}
	return nil
}

func (p *physApply) kind() joinKind { return p.node.kind }

// right runs the right side for a left row.
func (a *applyOp) right(b executor.Batch, i int) ([][]datum.Datum, map[*Column]*Expr, error) {
	binds := make(map[*Column]*Expr, len(a.refs))
	key := ""
	cols := a.p.left.base().cols
	for _, at := range a.refs {
		d := cloneDatum(datum.FromColumn(b.Cols[at], i, a.left.Fields()[at]))
		e := constExpr(d, cols[at].Type)
		binds[cols[at]] = e
		key += e.key()
	}
	if rows, ok := a.memo[key]; ok {
		return rows, binds, nil
	}
	limit := int(^uint(0) >> 1)
	if a.p.kind() == joinSemi {
		limit = 1
	}
	rows, err := a.o.with(binds).run(a.p.right, limit)
	if err == nil && a.held+int64(len(rows)) < memoMax {
		a.held += int64(len(rows)) + 1
		a.memo[key] = rows
	}
	return rows, binds, err
}

// verdict is the outcome of EXISTS or IN.
type verdict uint8

const (
	isFalse verdict = iota
	isTrue
	isUnknown
)

func (v verdict) datum() datum.Datum {
	if v == isUnknown {
		return datum.Datum{}
	}
	return datum.NewInt64(int64(v))
}

// membership decides IN by its equalities over the right rows; without any, a row is enough.
func (a *applyOp) membership(rows [][]datum.Datum, binds map[*Column]*Expr) (verdict, error) {
	if len(a.p.node.nullAware) == 0 {
		if len(rows) > 0 {
			return isTrue, nil
		}
		return isFalse, nil
	}
	out := isFalse
	o := a.o.with(binds)
	for _, r := range rows {
		v, err := o.equalRow(a.p.node.nullAware, a.p.right.base().cols, r)
		if err != nil || v == isTrue {
			return v, err
		}
		if v == isUnknown {
			out = isUnknown
		}
	}
	return out, nil
}

// equalRow evaluates the equalities for one right row.
func (o *opener) equalRow(eqs []*Expr, cols []*Column, row []datum.Datum) (verdict, error) {
	m := make(map[*Column]*Expr, len(cols))
	for i, c := range cols {
		m[c] = constExpr(row[i], c.Type)
	}
	out := isTrue
	for _, e := range eqs {
		d, err := o.constant(e.substitute(m))
		switch {
		case err != nil:
			return isFalse, err
		case d.IsNull():
			out = isUnknown
		case d.Int64() == 0:
			return isFalse, nil
		}
	}
	return out, nil
}

// rowSink collects rows into a batch.
type rowSink struct{ cols []*column.Builder }

func newRowSink(fields []*tipb.FieldType) *rowSink {
	s := &rowSink{}
	for _, ft := range fields {
		s.cols = append(s.cols, column.NewBuilder(ft, 16))
	}
	return s
}

func (s *rowSink) appendColumns(at int, cols []arrow.Array, i int) error {
	for k, c := range cols {
		s.cols[at+k].AppendFrom(c, i)
	}
	return nil
}

func (s *rowSink) appendDatums(at int, row []datum.Datum) error {
	for k, d := range row {
		if d.IsNull() {
			s.cols[at+k].AppendNull()
		} else if err := d.AppendTo(s.cols[at+k]); err != nil {
			return err
		}
	}
	return nil
}

func (s *rowSink) batch() executor.Batch {
	b := executor.Batch{Cols: make([]arrow.Array, len(s.cols))}
	for i, c := range s.cols {
		b.Rows = c.Len()
		b.Cols[i] = c.Detach()
	}
	return b
}
