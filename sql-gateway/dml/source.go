package dml

import (
	"context"
	"errors"
	"io"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// source is the rows of a query, all read before the first is handed out: what the statement then writes must not show up in
// what it reads.
type source struct {
	types   []*tipb.FieldType
	batches []column.Batch
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
	return readAll(ctx, env, q)
}

func readAll(ctx context.Context, env *Env, q *planner.Query) (_ *source, err error) {
	op, err := q.Open(ctx, env.Runtime)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.Close()) }()
	src := &source{types: op.Fields()}
	for {
		b, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return src, nil
		}
		if err != nil {
			return nil, err
		}
		src.batches = append(src.batches, column.Compact(b))
	}
}

// each hands out the batches, which may be dropped one by one.
func (s *source) each(ctx context.Context, f func(b rowBatch) error) error {
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
