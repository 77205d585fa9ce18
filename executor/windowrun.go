package executor

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/executor/agg"
)

// runningTotal is the state at the last row of a span whose frames all begin with their partition: that of the rows
// [from, to), in a group of acc.
type runningTotal struct {
	from, to int64
	acc      agg.Accumulator // nil: there was no span yet
	group    int
}

// running reports whether frames only grow from row to row of a partition, and the function can go on from one to the next.
// Frames of whole partitions are all the same, and better made once.
func (a *frameAgg) running(acc agg.Accumulator) bool {
	_, runs := acc.(agg.Runner)
	return runs && a.frame.fixedStart() && a.frame.end.tp != boundUnbounded
}

// run aggregates growing frames in one pass: each row of the input belongs to the group of the first row that has it in its
// frame, and then each group is added to the next one.
func (a *frameAgg) run(ctx context.Context, s *span) (arrow.Array, error) {
	acc, err := a.newLeaves()
	if err != nil {
		return nil, err
	}
	n := s.batch.Rows
	acc.Resize(n + 1) // the last one is for rows that are in no frame
	before, row := a.total, s.to[n-1]
	if first := s.from[0]; before.acc != nil && before.from == first {
		row = before.to
	} else {
		before.acc, row = nil, first
	}
	next := 0
	err = a.rows.each(ctx, row, s.to[n-1], func(b Batch, i, j int) error {
		args, err := a.arguments(b, i, j)
		if err != nil {
			return err
		}
		next = a.groupRows(s, next, row, j-i)
		row += int64(j - i)
		a.rows.forget(row)
		return acc.Update(a.groups, args)
	})
	if err != nil {
		return nil, err
	}
	if err := acc.(agg.Runner).Run(a.restarts(s), before.acc, before.group); err != nil {
		return nil, err
	}
	a.low = s.to[n-1]
	a.total = runningTotal{from: s.from[n-1], to: s.to[n-1], acc: acc, group: n - 1}
	return acc.Final(0, n)
}

// groupRows fills groups with those of so many rows of the log: the first row of the span, from next on, whose frame reaches
// behind it. It returns the last of them.
func (a *frameAgg) groupRows(s *span, next int, row int64, rows int) int {
	a.groups = a.groups[:0]
	for end := row + int64(rows); row < end; row++ {
		for s.to[next] <= row {
			next++
		}
		group := uint32(next)
		if row < s.from[next] { // behind the last frame of its partition
			group = uint32(s.batch.Rows)
		}
		a.groups = append(a.groups, group)
	}
	return next
}

// restarts tells which rows of a span begin a partition.
func (a *frameAgg) restarts(s *span) []bool {
	a.begins = append(a.begins[:0], make([]bool, s.batch.Rows)...)
	for i := 1; i < len(a.begins); i++ {
		a.begins[i] = s.from[i] != s.from[i-1]
	}
	return a.begins
}
