package executor

import (
	"context"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/agg"
	"github.com/scree-db/scree/executor/expr"
)

// partitionLimit passes the first rows of each partition. The input has the rows of a partition side by side, so no more is
// kept than the last partition's key.
type partitionLimit struct {
	Operator
	exprs  []expr.Expr
	types  []*tipb.FieldType
	limit  uint64
	cols   []arrow.Array
	dense  *compactor
	last   []arrow.Array // the key at hand, one row; nil: none
	passed uint64        // rows of that partition
	groups []uint32
	sel    []int32
}

func newPartitionLimit(items []*tipb.ByItem, limit uint64, in Operator, env *Env) (Operator, error) {
	keys, err := itemExprs(items)
	if err != nil {
		return nil, err
	}
	p := &partitionLimit{Operator: in, limit: limit, cols: make([]arrow.Array, len(items))}
	if p.exprs, err = compileAll(keys, in.Fields(), env); err != nil {
		return nil, err
	}
	p.types = typesOf(p.exprs)
	p.dense = newCompactor(p.types)
	_, err = agg.NewGrouper(p.types) // refuses what it cannot compare
	return p, err
}

func (p *partitionLimit) Next(ctx context.Context) (Batch, error) {
	for {
		b, err := p.Operator.Next(ctx)
		if err != nil {
			return Batch{}, err
		}
		if err := p.choose(b); err != nil {
			return Batch{}, err
		}
		if len(p.sel) > 0 {
			b.Sel = p.sel
			return b, nil
		}
	}
}

// choose fills sel. The keys are numbered in the order of rows, after that of the partition at hand: a new number is a new
// partition.
func (p *partitionLimit) choose(b Batch) error {
	if err := evalAll(p.exprs, b, p.cols); err != nil {
		return err
	}
	p.dense.compact(p.cols, b.Sel)
	g, err := agg.NewGrouper(p.types)
	if err != nil {
		return err
	}
	at := ^uint32(0)
	if p.last != nil {
		at = g.Group(p.last, 1, p.groups)[0]
	}
	p.groups = g.Group(p.cols, b.Len(), p.groups)
	p.sel = p.sel[:0]
	for i, group := range p.groups {
		if group != at {
			at, p.passed = group, 0
		}
		if p.passed < p.limit {
			p.sel = append(p.sel, int32(b.Row(i)))
			p.passed++
		}
	}
	p.last = gatherAll(nil, p.cols, []int32{int32(b.Len() - 1)})
	return nil
}

// newPartitionTopN gives the first rows of each partition in its order: a sort by partition and order, and a limit.
func newPartitionTopN(t *tipb.TopN, in Operator, env *Env) (Operator, error) {
	s, err := newSorted(slices.Concat(t.PartitionBy, t.OrderBy), in, env)
	if err != nil {
		return nil, err
	}
	return newPartitionLimit(t.PartitionBy, t.Limit, sortOp{s}, env)
}
