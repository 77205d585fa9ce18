package executor

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

// sorted is what Sort and TopN share: rows collected, ordered, and put out batch by batch. When memory is tight the rows at
// hand are ordered and go to a file; in the end the files are merged.
type sorted struct {
	in    Operator
	specs []sortSpec
	rows  *collector
	limit int     // how many of the first rows are wanted
	order []int32 // nil: not sorted yet
	next  int     // of order, or of the merged rows
	ready bool
	runs  []*spill.Run
	merge *merger // of the runs
	account
}

func newSorted(items []*tipb.ByItem, in Operator, env *Env) (*sorted, error) {
	exprs, err := itemExprs(items)
	if err != nil {
		return nil, err
	}
	compiled, err := compileAll(exprs, in.Fields(), env)
	if err != nil {
		return nil, err
	}
	specs, err := newSortSpecs(items, typesOf(compiled))
	if err != nil {
		return nil, err
	}
	rows := newCollector(in.Fields(), compiled, columnRefs(exprs, len(in.Fields())))
	return &sorted{in: in, specs: specs, rows: rows, limit: math.MaxInt, account: newAccount(env)}, nil
}

func itemExprs(items []*tipb.ByItem) ([]*tipb.Expr, error) {
	exprs := make([]*tipb.Expr, len(items))
	for i, item := range items {
		if exprs[i] = item.Expr; item.Expr == nil {
			return nil, &UnsupportedError{What: "ORDER BY without an expression"}
		}
	}
	return exprs, nil
}

func (s *sorted) Fields() []*tipb.FieldType { return s.in.Fields() }

func (s *sorted) Close() error {
	s.account.close()
	err := s.in.Close()
	if s.merge != nil {
		err = errors.Join(err, s.merge.close())
	}
	return errors.Join(err, removeRuns(s.runs))
}

// take keeps the rows of b that sel lists; the collector's eval has seen b.
func (s *sorted) take(ctx context.Context, b Batch, sel []int32) error {
	if s.dir != nil && !s.rows.fits(b) {
		if err := s.spill(ctx); err != nil {
			return err
		}
	}
	if err := s.rows.add(b, sel); err != nil {
		return err
	}
	tight, err := s.resize(s.size())
	if tight {
		return s.spill(ctx)
	}
	return err
}

// size is the memory to hold the rows and to sort them: words and row numbers take some 40 bytes a row.
func (s *sorted) size() int64 { return s.rows.bytes() + int64(40*s.rows.rows) }

// sort makes the order of the collected rows.
func (s *sorted) sort(ctx context.Context) error {
	s.order = rowNumbers(s.rows.rows)
	return sortRows(ctx, s.order, s.specs, s.rows.values())
}

// finish orders what was collected, once there is no more.
func (s *sorted) finish(ctx context.Context) (err error) {
	s.ready = true
	if len(s.runs) == 0 {
		if err := s.sort(ctx); err != nil {
			return err
		}
		return s.set(s.rows.bytes() + int64(4*len(s.order)))
	}
	if err = s.spill(ctx); err != nil {
		return err
	}
	s.runs, err = mergeDown(ctx, s.runs, s.layout(), s.fanIn())
	if err != nil {
		return err
	}
	s.merge, err = newMerger(s.runs, s.layout())
	return err
}

func rowNumbers(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// output puts out the next ordered rows.
func (s *sorted) output(ctx context.Context) (Batch, error) {
	if s.merge != nil {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		b, err := s.merge.nextBatch(min(column.BatchSize, s.limit-s.next))
		if err != nil {
			return Batch{}, err
		}
		s.next += b.Rows
		b.Cols = b.Cols[:s.rows.inputs]
		return b, nil
	}
	n := min(s.limit, len(s.order))
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
	if !s.ready {
		if err := s.consume(ctx); err != nil {
			return Batch{}, err
		}
	}
	return s.output(ctx)
}

func (s sortOp) consume(ctx context.Context) error {
	for {
		b, err := s.in.Next(ctx)
		if err == io.EOF {
			return s.finish(ctx)
		}
		if err != nil {
			return err
		}
		if err := s.rows.eval(b); err != nil {
			return err
		}
		if err := s.take(ctx, b, b.Sel); err != nil {
			return err
		}
	}
}

// topN keeps the first rows of an order. Rows are collected until there are twice as many as wanted; then they are sorted
// and the first ones kept. From the first cut on, the word of the last row kept is a bar for all that follow: a row whose
// word is beyond it cannot be among the first, so most rows of a long input are dropped by one comparison.
type topN struct {
	*sorted
	cutAt int // number of collected rows that makes a cut
	bar   uint64
	cut   bool    // bar is set
	pass  []int32 // never nil
}

const topNSlack = 1024

func newTopN(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	if len(e.TopN.PartitionBy) > 0 {
		return newPartitionTopN(e.TopN, inputs[0], env)
	}
	s, err := newSorted(e.TopN.OrderBy, inputs[0], env)
	if err != nil {
		return nil, err
	}
	s.limit = int(min(e.TopN.GetLimit(), 1<<30))
	return &topN{sorted: s, cutAt: 2*s.limit + topNSlack, pass: []int32{}}, nil
}

func (t *topN) Next(ctx context.Context) (Batch, error) {
	if !t.ready {
		if err := t.consume(ctx); err != nil {
			return Batch{}, err
		}
	}
	return t.output(ctx)
}

func (t *topN) consume(ctx context.Context) error {
	for t.limit > 0 {
		b, err := t.in.Next(ctx)
		if err == io.EOF {
			break
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
		if err := t.take(ctx, b, sel); err != nil {
			return err
		}
		if t.rows.rows >= t.cutAt {
			if err := t.prune(ctx); err != nil {
				return err
			}
		}
	}
	return t.finish(ctx)
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
func (t *topN) prune(ctx context.Context) error {
	if err := t.sort(ctx); err != nil {
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
