package planner

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
)

// sharedQuery is a common table expression or view that groups, and so is worth reading once where a statement refers to it
// more than once: all references read the same gathered rows. With one reference it is as if it stood there itself.
type sharedQuery struct {
	name string
	rel  *rel
	uses int
	plan physical // of more than one use
}

// sharedNode is a reference to a shared query; out are the query's columns by position.
type sharedNode struct {
	q   *sharedQuery
	out []*Column
}

func (n *sharedNode) columns() []*Column { return n.out }
func (n *sharedNode) inputs() []logical  { return nil }

// share builds what key stands for, or refers to what was built before.
func (b *builder) share(key any, name string, build func() (*rel, error)) (*rel, error) {
	q := b.shared[key]
	if q == nil {
		r, err := build()
		if err != nil || !b.sharing || !worthSharing(r.node) {
			return r, err
		}
		q = &sharedQuery{name: name, rel: r}
		b.shared[key] = q
	}
	q.uses++
	n := &sharedNode{q: q, out: q.rel.cols}
	if q.uses > 1 {
		n.out = make([]*Column, len(q.rel.cols))
		for i, c := range q.rel.cols {
			n.out[i] = b.newColumn(c.Type, c.Name)
		}
	}
	return &rel{node: n, cols: n.out, fields: slices.Clone(q.rel.fields)}, nil
}

// worthSharing: what groups gives few rows for much work, and conditions from outside rarely go far into it.
func worthSharing(n logical) bool { return groups(n) && len(freeColumns(n)) == 0 }

func groups(n logical) bool {
	if _, ok := n.(*aggNode); ok {
		return true
	}
	return slices.ContainsFunc(n.inputs(), groups)
}

// placeShared puts shared queries with one reference in its place, and plans the others.
func (b *builder) placeShared(n logical) (logical, error) {
	if s, ok := n.(*sharedNode); ok {
		if s.q.uses == 1 {
			return b.placeShared(s.q.rel.node)
		}
		if s.q.plan == nil {
			var err error
			if s.q.plan, err = b.optimize(s.q.rel.node, s.q.rel.cols); err != nil {
				return nil, err
			}
			b.planned = append(b.planned, s.q)
		}
		return n, nil
	}
	var err error
	mapInputs(n, func(c logical) logical {
		if err == nil {
			c, err = b.placeShared(c)
		}
		return c
	})
	return n, err
}

func (b *builder) estimateShared(n *sharedNode) *estimate {
	of := b.estimate(n.q.rel.node)
	e := &estimate{rows: n.q.plan.base().rows, ndv: make(map[*Column]float64, len(n.out))}
	for i, c := range n.q.rel.cols {
		e.ndv[n.out[i]] = of.ndvOf(c)
	}
	return e
}

// physShared reads the rows of a shared query.
type physShared struct {
	physBase
	q *sharedQuery
}

func (p *physShared) inputs() []physical { return nil }
func (p *physShared) Children() []Plan   { return nil }

// Explain names the query, whose plan stands behind the main one.
func (p *physShared) Explain() Explain {
	e := p.line("data:" + sharedID(p.q))
	e.Access = "CTE:" + p.q.name
	return e
}

func sharedID(q *sharedQuery) string { return "CTE_" + itoa(q.plan.base().id) }

// sharedRows are the rows of a shared query in one run of a plan.
type sharedRows struct {
	mu      sync.Mutex
	loaded  bool
	batches []executor.Batch
	held    int64 // bytes charged to the query
}

// load runs the query, unless that was done.
func (s *sharedRows) load(ctx context.Context, o *opener, q *sharedQuery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded {
		return nil
	}
	op, err := o.open(q.plan)
	if err != nil {
		return err
	}
	err = s.drain(ctx, o, op)
	if cerr := op.Close(); err == nil {
		err = cerr
	}
	if s.loaded = err == nil; !s.loaded {
		s.release(o)
	}
	return err
}

func (s *sharedRows) release(o *opener) {
	o.env.Memory.Shrink(s.held)
	s.batches, s.held = nil, 0
}

func (s *sharedRows) drain(ctx context.Context, o *opener, op executor.Operator) error {
	for {
		b, err := op.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		own := column.Compact(b)
		size := column.Size(own)
		if err := o.env.Memory.Grow(size); err != nil {
			return err
		}
		s.held += size
		s.batches = append(s.batches, own)
	}
}

// sharedOp is one reader of shared rows.
type sharedOp struct {
	executor.Operator // no rows: fields and Close
	o                 *opener
	q                 *sharedQuery
	rows              *sharedRows
	at                int
}

func (o *opener) sharedReader(p *physShared) executor.Operator {
	rows := o.shared[p.q]
	if rows == nil {
		rows = &sharedRows{}
		o.shared[p.q] = rows
	}
	return &sharedOp{Operator: executor.NewValues(p.Types()), o: o, q: p.q, rows: rows}
}

func (s *sharedOp) Next(ctx context.Context) (executor.Batch, error) {
	if err := s.rows.load(ctx, s.o, s.q); err != nil {
		return executor.Batch{}, err
	}
	if s.at == len(s.rows.batches) {
		return executor.Batch{}, io.EOF
	}
	s.at++
	return s.rows.batches[s.at-1], nil
}

// releaseOp gives the memory of shared rows back at the end of the run.
type releaseOp struct {
	executor.Operator
	o *opener
}

func (r *releaseOp) Close() error {
	r.o.releaseShared()
	return r.Operator.Close()
}

func (o *opener) releaseShared() {
	for _, rows := range o.shared {
		rows.release(o)
	}
	clear(o.shared)
}
