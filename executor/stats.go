package executor

import (
	"context"
	"time"

	"github.com/pingcap/tipb/go-tipb"
)

// Summary is what one executor did; times include children.
type Summary struct {
	Rows, Batches uint64
	Time          time.Duration
	MemoryMax     int64
	// FromColumns are rows that a scan on a store has read from columns, Skipped ones that it need not look at there.
	FromColumns, Skipped uint64
}

// Add adds up what an executor did in several places.
func (s *Summary) Add(o Summary) {
	s.Rows += o.Rows
	s.Batches += o.Batches
	s.Time += o.Time
	s.MemoryMax = max(s.MemoryMax, o.MemoryMax)
	s.FromColumns += o.FromColumns
	s.Skipped += o.Skipped
}

// Stats maps executors to what they did. One goroutine at a time. A nil Stats collects nothing.
type Stats struct {
	now func() time.Time
	m   map[*tipb.Executor]*Summary
}

// NewStats makes a collector that takes times from now; nil leaves them zero.
func NewStats(now func() time.Time) *Stats { return &Stats{now: now} }

// Get returns what e did, zero if it did not run.
func (s *Stats) Get(e *tipb.Executor) Summary {
	if s == nil || s.m[e] == nil {
		return Summary{}
	}
	return *s.m[e]
}

// Summaries returns tipb's form of what the executors of a tree did, in the order of PostOrder.
func (s *Stats) Summaries(root *tipb.Executor) []*tipb.ExecutorExecutionSummary {
	var list []*tipb.ExecutorExecutionSummary
	for _, e := range PostOrder(root) {
		sum := s.Get(e)
		ns, concurrency := uint64(sum.Time), uint64(1)
		list = append(list, &tipb.ExecutorExecutionSummary{TimeProcessedNs: &ns, NumProducedRows: &sum.Rows,
			NumIterations: &sum.Batches, ExecutorId: e.ExecutorId, Concurrency: &concurrency})
	}
	return list
}

// observe wraps the operator of e to count what it does.
func (s *Stats) observe(e *tipb.Executor, op Operator) Operator {
	if s == nil {
		return op
	}
	if s.m == nil {
		s.m = map[*tipb.Executor]*Summary{}
	}
	sum := &Summary{}
	s.m[e] = sum
	o := observed{Operator: op, now: s.now, sum: sum}
	if scan, ok := op.(Scan); ok {
		return &observedScan{observed: o, scan: scan}
	}
	return &o
}

type observed struct {
	Operator
	now func() time.Time
	sum *Summary
}

func (o *observed) Next(ctx context.Context) (b Batch, err error) {
	o.measure(func() { b, err = o.Operator.Next(ctx) })
	o.count(b)
	return b, err
}

// measure adds the time of f.
func (o *observed) measure(f func()) {
	if o.now == nil {
		f()
		return
	}
	start := o.now()
	f()
	o.sum.Time += o.now().Sub(start)
}

// count adds up what came out.
func (o *observed) count(b Batch) {
	o.sum.Batches++
	o.sum.Rows += uint64(b.Len())
	if m, ok := o.Operator.(interface{ memoryMax() int64 }); ok {
		o.sum.MemoryMax = m.memoryMax()
	}
}

// observedScan observes a Scan.
type observedScan struct {
	observed
	scan Scan
}

func (o *observedScan) NextRows(ctx context.Context) (b Batch, err error) {
	o.measure(func() { b, err = o.scan.NextRows(ctx) })
	o.count(b)
	return b, err
}

func (o *observedScan) Load(col int, sel []int32) (err error) {
	o.measure(func() { err = o.scan.Load(col, sel) })
	return err
}
