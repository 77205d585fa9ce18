package executor

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

// runLayout is what sorted runs have in common.
type runLayout struct {
	dir    *spill.Dir
	types  []*tipb.FieldType
	specs  []sortSpec
	places []int // of the sort keys among the columns
	limit  int   // rows beyond it are of no use
}

// mergeDown merges neighbours until no more than fanIn runs are left. The result is the caller's to remove, after errors
// too; runs that were merged are gone.
func mergeDown(ctx context.Context, runs []*spill.Run, l runLayout, fanIn int) ([]*spill.Run, error) {
	for len(runs) > fanIn {
		var merged []*spill.Run
		for from := 0; from < len(runs); from += fanIn {
			group := runs[from:min(from+fanIn, len(runs))]
			run, err := mergeRuns(ctx, group, l)
			if err == nil {
				err = removeRuns(group)
				merged = append(merged, run)
			}
			if err != nil {
				return append(merged, runs[from:]...), err
			}
		}
		runs = merged
	}
	return runs, nil
}

func mergeRuns(ctx context.Context, runs []*spill.Run, l runLayout) (run *spill.Run, err error) {
	m, err := newMerger(runs, l)
	if err != nil {
		return nil, err
	}
	w := l.dir.NewWriter(l.types)
	for left := l.limit; ; {
		if err = ctx.Err(); err != nil {
			break
		}
		var b Batch
		if b, err = m.nextBatch(min(left, column.BatchSize)); err != nil {
			break
		}
		left -= b.Rows
		if err = w.Write(b); err != nil {
			break
		}
	}
	if err != io.EOF {
		return nil, errors.Join(err, m.close(), w.Abort())
	}
	if err = m.close(); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w.Finish()
}

// merger puts sorted runs together. Rows that are equal come in the order of the runs. The next row of each run stands in a
// heap; an output batch is a list of rows picked from the batches at hand, so it ends where one of them does.
type merger struct {
	runLayout
	all   []*mergeRun
	heap  []*mergeRun
	stage []*column.Builder
	from  []int32 // of each picked row, its run's number
}

// mergeRun is a run with a batch at hand.
type mergeRun struct {
	reader *spill.Reader
	number int32
	batch  Batch
	at     int
	words  [][]uint64 // of each sort key
	exact  []bool
	picked []int32
}

func newMerger(runs []*spill.Run, l runLayout) (*merger, error) {
	m := &merger{runLayout: l}
	for _, ft := range l.types {
		m.stage = append(m.stage, column.NewBuilder(ft, 0))
	}
	for i, run := range runs {
		reader, err := run.Open()
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		r := &mergeRun{reader: reader, number: int32(i)}
		m.all = append(m.all, r)
		more, err := m.load(r)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		if more {
			m.heap = append(m.heap, r)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

func (m *merger) close() error {
	var errs []error
	for _, r := range m.all {
		errs = append(errs, r.reader.Close())
	}
	m.all, m.heap = nil, nil
	return errors.Join(errs...)
}

// load reads a run's next batch.
func (m *merger) load(r *mergeRun) (more bool, err error) {
	if r.batch, err = r.reader.Next(); err != nil {
		if err == io.EOF {
			return false, nil
		}
		return false, err
	}
	r.at = 0
	r.words, r.exact = make([][]uint64, len(m.specs)), make([]bool, len(m.specs))
	for k := range m.specs {
		r.words[k], r.exact[k] = m.specs[k].prefixes(r.batch.Cols[m.places[k]])
	}
	return true, nil
}

// nextBatch gives the next rows, at most n; io.EOF ends.
func (m *merger) nextBatch(n int) (Batch, error) {
	if len(m.heap) == 0 || n <= 0 {
		return Batch{}, io.EOF
	}
	m.from = m.from[:0]
	var spent *mergeRun
	for spent == nil && len(m.from) < n {
		r := m.heap[0]
		r.picked = append(r.picked, int32(r.at))
		m.from = append(m.from, r.number)
		if r.at++; r.at == r.batch.Rows {
			spent = r
		} else {
			m.sink(0)
		}
	}
	out := m.gather()
	if spent == nil {
		return out, nil
	}
	more, err := m.load(spent)
	if !more {
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
	}
	if len(m.heap) > 0 {
		m.sink(0)
	}
	return out, err
}

// gather copies the picked rows, first run by run and then into their order.
func (m *merger) gather() Batch {
	start := make([]int32, len(m.all))
	n := int32(0)
	for i, r := range m.all {
		start[i] = n
		n += int32(len(r.picked))
	}
	order := make([]int32, len(m.from))
	for i, number := range m.from {
		order[i] = start[number]
		start[number]++
	}
	out := Batch{Cols: make([]arrow.Array, len(m.stage)), Rows: len(order)}
	for c, stage := range m.stage {
		stage.Reset()
		for _, r := range m.all {
			if len(r.picked) > 0 {
				stage.AppendRows(r.batch.Cols[c], r.picked)
			}
		}
		out.Cols[c] = column.Gather(stage.Array(), order)
	}
	for _, r := range m.all {
		r.picked = r.picked[:0]
	}
	return out
}

// sink moves the i-th run of the heap down to its place.
func (m *merger) sink(i int) {
	h := m.heap
	for {
		kid := 2*i + 1
		if kid >= len(h) {
			return
		}
		if kid+1 < len(h) && m.before(h[kid+1], h[kid]) {
			kid++
		}
		if m.before(h[i], h[kid]) {
			return
		}
		h[i], h[kid] = h[kid], h[i]
		i = kid
	}
}

// before reports whether the next row of a comes before that of b.
func (m *merger) before(a, b *mergeRun) bool {
	for k := range m.specs {
		if c := cmp.Compare(a.words[k][a.at], b.words[k][b.at]); c != 0 {
			return c < 0
		}
		if a.exact[k] && b.exact[k] {
			continue
		}
		at := m.places[k]
		if c := m.specs[k].compareAt(a.batch.Cols[at], a.at, b.batch.Cols[at], b.at); c != 0 {
			return c < 0
		}
	}
	return a.number < b.number
}

// compareAt compares values of two columns: NULL first, or last where the order descends.
func (s *sortSpec) compareAt(a arrow.Array, i int, b arrow.Array, j int) int {
	c := 0
	switch na, nb := a.IsNull(i), b.IsNull(j); {
	case na && nb:
	case na:
		c = -1
	case nb:
		c = 1
	default:
		c = s.compareValues(a, i, b, j)
	}
	if s.desc {
		return -c
	}
	return c
}

func (s *sortSpec) compareValues(a arrow.Array, i int, b arrow.Array, j int) int {
	switch a := a.(type) {
	case *array.Int64:
		return cmp.Compare(a.Value(i), b.(*array.Int64).Value(j))
	case *array.Uint64:
		return cmp.Compare(a.Value(i), b.(*array.Uint64).Value(j))
	case *array.Float64:
		return cmp.Compare(a.Value(i), b.(*array.Float64).Value(j))
	case *array.Decimal128:
		return a.Value(i).Cmp(b.(*array.Decimal128).Value(j))
	case *array.Decimal256:
		return a.Value(i).Cmp(b.(*array.Decimal256).Value(j))
	case *array.Binary:
		return s.compareBytes(a.Value(i), b.(*array.Binary).Value(j))
	default:
		panic("executor: no such physical type " + a.DataType().String())
	}
}
