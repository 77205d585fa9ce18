package dml

import (
	"context"
	"errors"
	"io"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// source is the rows of a query. All are read before the first is handed out: what the statement then writes must not show
// up in what it reads. Scans of a bulk write never show that, so that its rows come as they are read.
type source struct {
	types   []*tipb.FieldType
	batches []column.Batch
	op      executor.Operator // of a bulk write: where batches come from
	memory  *executor.Memory  // charged for the batches
	held    int64
}

// rowBatch is a dense batch with its types.
type rowBatch struct {
	column.Batch
	types []*tipb.FieldType
	rows  int
}

// datum is the value of a column in row i; bytes alias the batch.
func (b *rowBatch) datum(i, col int) datum.Datum {
	return datum.FromColumn(b.Cols[col], i, b.types[col])
}

func openQuery(ctx context.Context, env *Env, sel ast.ResultSetNode) (*source, error) {
	q, err := planner.PlanQuery(env.Plan, sel)
	if err != nil {
		return nil, err
	}
	return openPlan(ctx, env, q)
}

// openPlan begins to run a query, and unless it is for a bulk write, runs it to its end.
func openPlan(ctx context.Context, env *Env, q *planner.Query) (*source, error) {
	if !env.Txn.Bulk() {
		return readAll(ctx, env, q)
	}
	op, err := q.Open(ctx, env.Runtime)
	if err != nil {
		return nil, err
	}
	return &source{types: op.Fields(), op: op}, nil
}

// readAll runs a query to its end. The batches are charged to the statement's memory until close.
func readAll(ctx context.Context, env *Env, q *planner.Query) (src *source, err error) {
	op, err := q.Open(ctx, env.Runtime)
	if err != nil {
		return nil, err
	}
	src = &source{types: op.Fields(), memory: env.Runtime.Env().Memory}
	if err = errors.Join(src.fill(ctx, op), op.Close()); err != nil {
		src.release()
		return nil, err
	}
	return src, nil
}

func (s *source) fill(ctx context.Context, op executor.Operator) error {
	for {
		b, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.add(column.Compact(b)); err != nil {
			return err
		}
	}
}

// add takes over a dense batch.
func (s *source) add(b column.Batch) error {
	size := batchBytes(b)
	if err := s.memory.Grow(size); err != nil {
		return err
	}
	s.held += size
	s.batches = append(s.batches, b)
	return nil
}

// batchBytes is the memory of a dense batch.
func batchBytes(b column.Batch) (n int64) {
	for _, c := range b.Cols {
		for _, buf := range c.Data().Buffers() {
			if buf != nil {
				n += int64(buf.Len())
			}
		}
	}
	return n
}

// close ends the query, or gives its memory back.
func (s *source) close() error {
	if s.op != nil {
		return s.op.Close()
	}
	s.release()
	return nil
}

// release gives back the memory of rows that were all read.
func (s *source) release() {
	s.memory.Shrink(s.held)
	s.held, s.batches = 0, nil
}

// each hands out the batches, once.
func (s *source) each(ctx context.Context, f func(b rowBatch) error) error {
	if s.op != nil {
		return s.eachRead(ctx, f)
	}
	for i, b := range s.batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(rowBatch{b, s.types, b.Rows}); err != nil {
			return err
		}
		s.batches[i] = column.Batch{}
	}
	return nil
}

// eachRead hands out the batches as they are read.
func (s *source) eachRead(ctx context.Context, f func(b rowBatch) error) error {
	for {
		b, err := s.op.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			b = column.Compact(b)
			err = f(rowBatch{b, s.types, b.Rows})
		}
		if err != nil {
			return err
		}
	}
}
