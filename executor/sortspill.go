package executor

import (
	"context"
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

const (
	fanInMax   = 32      // runs merged at a time
	frameBytes = 1 << 20 // aimed at in batches of a run
)

// spill writes the collected rows in their order as a run and forgets them.
func (s *sorted) spill(ctx context.Context) error {
	if s.rows.rows == 0 {
		return nil
	}
	if err := s.sort(ctx); err != nil {
		return err
	}
	run, err := s.writeRun(ctx, s.order[:min(s.limit, len(s.order))])
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run)
	s.rows.reset()
	s.order = nil
	return s.set(0)
}

func (s *sorted) writeRun(ctx context.Context, order []int32) (*spill.Run, error) {
	w := s.dir.NewWriter(s.rows.types())
	cols := arrays(s.rows.out)
	perFrame := rowsOf(s.memory.Share(16*fanInMax, frameBytes), s.rows.bytes(), s.rows.rows)
	for from := 0; from < len(order); from += perFrame {
		rows := order[from:min(from+perFrame, len(order))]
		b := Batch{Cols: gatherAll(make([]arrow.Array, 0, len(cols)), cols, rows), Rows: len(rows)}
		if err := errors.Join(w.Write(b), ctx.Err()); err != nil {
			return nil, errors.Join(err, w.Abort())
		}
	}
	return w.Finish()
}

// rowsOf is how many rows take so many bytes, where total bytes are those of a number of rows: a batch of them.
func rowsOf(bytes, total int64, rows int) int {
	each := total/int64(max(rows, 1)) + 1
	return int(min(max(bytes/each, 16), column.BatchSize))
}

// layout tells the merger what the runs hold.
func (s *sorted) layout() runLayout {
	return runLayout{dir: s.dir, types: s.rows.types(), specs: s.specs, places: s.rows.places, limit: s.limit}
}

// fanIn is how many runs have a batch in memory at a time, each twice: packed and not.
func (s *sorted) fanIn() int {
	frame := int64(1)
	for _, r := range s.runs {
		frame = max(frame, 2*r.FrameBytes())
	}
	return int(max(2, s.memory.Share(4, fanInMax*frame)/frame))
}

func removeRuns(runs []*spill.Run) error {
	var errs []error
	for _, r := range runs {
		if r != nil {
			errs = append(errs, r.Remove())
		}
	}
	return errors.Join(errs...)
}
