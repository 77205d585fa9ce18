package planner

import (
	"context"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
)

// skipOp drops rows at the beginning and stops after a count.
type skipOp struct {
	executor.Operator
	skip, left uint64
	sel        []int32
}

func (s *skipOp) Next(ctx context.Context) (executor.Batch, error) {
	for s.left > 0 {
		b, err := s.Operator.Next(ctx)
		if err != nil {
			return b, err
		}
		n := uint64(b.Len())
		if n <= s.skip {
			s.skip -= n
			continue
		}
		from, to := s.skip, min(n, s.skip+s.left)
		s.skip, s.left = 0, s.left-(to-from)
		if from == 0 && to == n {
			return b, nil
		}
		s.sel = s.sel[:0]
		for i := from; i < to; i++ {
			s.sel = append(s.sel, int32(b.Row(int(i))))
		}
		b.Sel = s.sel
		return b, nil
	}
	return executor.Batch{}, io.EOF
}

// singleOp passes the only row of its input; a second one is error 1242. No row becomes a row of NULLs.
type singleOp struct {
	executor.Operator
	done bool
}

func (s *singleOp) Next(ctx context.Context) (executor.Batch, error) {
	if s.done {
		return executor.Batch{}, io.EOF
	}
	s.done = true
	b, err := s.Operator.Next(ctx)
	if err == io.EOF {
		return nullRow(s.Fields()), nil
	}
	if err != nil {
		return b, err
	}
	first := column.Compact(b)
	if first.Rows == 1 {
		_, err = s.Operator.Next(ctx)
		if err == io.EOF {
			return first, nil
		}
		if err != nil {
			return executor.Batch{}, err
		}
	}
	return executor.Batch{}, errCode(mysql.ErrSubqueryNo1Row)
}

func nullRow(fields []*tipb.FieldType) executor.Batch {
	b := executor.Batch{Rows: 1, Cols: make([]arrow.Array, len(fields))}
	for i, ft := range fields {
		cb := column.NewBuilder(ft, 1)
		cb.AppendNull()
		b.Cols[i] = cb.Detach()
	}
	return b
}

// pickOp gives some columns of its input.
type pickOp struct {
	executor.Operator
	offsets []int
	fields  []*tipb.FieldType
	cols    []arrow.Array
}

func (p *pickOp) Fields() []*tipb.FieldType { return p.fields }

func (p *pickOp) Next(ctx context.Context) (executor.Batch, error) {
	b, err := p.Operator.Next(ctx)
	if err != nil {
		return b, err
	}
	p.cols = p.cols[:0]
	for _, off := range p.offsets {
		p.cols = append(p.cols, b.Cols[off])
	}
	b.Cols = p.cols
	return b, nil
}
