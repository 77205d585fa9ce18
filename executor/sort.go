package executor

import (
	"context"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// sorted is what Sort and TopN share: rows collected, ordered, and put out batch by batch.
type sorted struct {
	in    Operator
	specs []sortSpec
	rows  *collector
	order []int32 // nil: not sorted yet
	next  int
	account
}

func newSorted(items []*tipb.ByItem, in Operator, env *Env) (*sorted, error) {
	exprs := make([]*tipb.Expr, len(items))
	for i, item := range items {
		if exprs[i] = item.Expr; item.Expr == nil {
			return nil, &UnsupportedError{What: "ORDER BY without an expression"}
		}
	}
	compiled, err := compileAll(exprs, in.Fields(), env)
	if err != nil {
		return nil, err
	}
	specs, err := newSortSpecs(items, typesOf(compiled))
	if err != nil {
		return nil, err
	}
	s := &sorted{in: in, specs: specs, account: account{memory: env.Memory}}
	s.rows = newCollector(in.Fields(), compiled, columnRefs(exprs, len(in.Fields())), &s.account)
	return s, nil
}

func (s *sorted) Fields() []*tipb.FieldType { return s.in.Fields() }

func (s *sorted) Close() error {
	s.account.close()
	return s.in.Close()
}

// sort makes the order of the collected rows. Words and row numbers take some 40 bytes a row.
func (s *sorted) sort() error {
	const perRow = 40
	if err := s.account.set(s.rows.bytes() + int64(perRow*s.rows.rows)); err != nil {
		return err
	}
	s.order = rowNumbers(s.rows.rows)
	sortRows(s.order, s.specs, s.rows.values())
	return s.account.set(s.rows.bytes() + int64(4*len(s.order)))
}

func rowNumbers(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// output puts out the next ordered rows, of the first n.
func (s *sorted) output(n int) (Batch, error) {
	n = min(n, len(s.order))
	if s.next >= n {
		return Batch{}, io.EOF
	}
	rows := s.order[s.next:min(s.next+column.BatchSize, n)]
	s.next += len(rows)
	return Batch{Cols: gatherAll(make([]arrow.Array, 0, s.rows.inputs), s.rows.columns(), rows), Rows: len(rows)}, nil
}

// sortOp is Sort.
type sortOp struct{ *sorted }

func newSort(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	s, err := newSorted(e.Sort.ByItems, inputs[0], env)
	if err != nil {
		return nil, err
	}
	return sortOp{s}, nil
}

func (s sortOp) Next(ctx context.Context) (Batch, error) {
	if s.order == nil {
		if err := s.rows.drain(ctx, s.in); err != nil {
			return Batch{}, err
		}
		if err := s.sort(); err != nil {
			return Batch{}, err
		}
	}
	return s.output(s.rows.rows)
}

// topN keeps the first rows of an order. Rows are collected until there are twice as many as wanted; then they are sorted
// and the first ones kept. From the first cut on, the word of the last row kept is a bar for all that follow: a row whose
// word is beyond it cannot be among the first, so most rows of a long input are dropped by one comparison.
type topN struct {
	*sorted
	limit int
	cutAt int // number of collected rows that makes a cut
	bar   uint64
	cut   bool    // bar is set
	pass  []int32 // never nil
}

const topNSlack = 1024

func newTopN(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	if len(e.TopN.PartitionBy) > 0 {
		return nil, &UnsupportedError{What: "TopN per partition"}
	}
	s, err := newSorted(e.TopN.OrderBy, inputs[0], env)
	if err != nil {
		return nil, err
	}
	limit := int(min(e.TopN.GetLimit(), 1<<30))
	return &topN{sorted: s, limit: limit, cutAt: 2*limit + topNSlack, pass: []int32{}}, nil
}

func (t *topN) Next(ctx context.Context) (Batch, error) {
	if t.order == nil {
		if err := t.consume(ctx); err != nil {
			return Batch{}, err
		}
		if err := t.sort(); err != nil {
			return Batch{}, err
		}
	}
	return t.output(t.limit)
}

func (t *topN) consume(ctx context.Context) error {
	for t.limit > 0 {
		b, err := t.in.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.rows.eval(b); err != nil {
			return err
		}
		sel := t.candidates(b)
		if sel != nil && len(sel) == 0 {
			continue
		}
		if err := t.rows.add(b, sel); err != nil {
			return err
		}
		if t.rows.rows >= t.cutAt {
			if err := t.prune(); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidates selects the rows of b that the bar lets pass.
func (t *topN) candidates(b Batch) []int32 {
	if !t.cut || len(t.specs) == 0 {
		return b.Sel
	}
	words, _ := t.specs[0].prefixes(t.rows.evals[0])
	t.pass = t.pass[:0]
	for i := range b.Len() {
		if r := b.Row(i); words[r] <= t.bar {
			t.pass = append(t.pass, int32(r))
		}
	}
	return t.pass
}

// prune keeps the first rows and sets the bar.
func (t *topN) prune() error {
	if err := t.sort(); err != nil {
		return err
	}
	t.rows.keep(t.order[:t.limit])
	t.order = nil
	if len(t.specs) > 0 {
		words, _ := t.specs[0].prefixes(t.rows.values()[0])
		t.bar, t.cut = words[t.limit-1], true
	}
	return t.account.set(t.rows.bytes())
}
