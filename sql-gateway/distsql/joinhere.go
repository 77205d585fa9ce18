package distsql

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// joinHere answers a task whose store has no room for the rows that are given: the store is asked for what is below the joins, and
// the rest of the task's plan runs here.
func (s *selector) joinHere(t kvclient.Task, out *stream) (err error) {
	below, above := splitBelowJoins(s.req.DAG.Executors)
	env := &executor.Env{Partial: true, Memory: s.req.Env.Memory, Spill: s.req.Env.Spill, Expr: s.taskExpr()}
	root, err := executor.Tree(above)
	if err != nil {
		return err
	}
	stats := new(Stats)
	leaf := func(*tipb.Executor) (executor.Operator, error) { return s.selectBelow(t, below, env.Expr, stats) }
	op, err := executor.BuildOutput(root, s.req.DAG.OutputOffsets, executor.WithGiven(s.req.Given, leaf), env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, op.Close()) }()
	if err := s.deliverAll(op, out); err != nil {
		return err
	}
	s.warn(env.Expr.Warnings.List)
	if s.req.Stats != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.req.Stats.addBelow(stats, len(s.req.DAG.Executors))
	}
	return nil
}

// taskExpr is the expressions' context for the goroutine of a task.
func (s *selector) taskExpr() *expr.Context {
	c := *s.req.Env.Expr
	c.Random, c.Err = nil, s.ctx.Err
	c.Warnings = &expr.Warnings{Limit: c.Warnings.Limit}
	return &c
}

// splitBelowJoins splits a list of executors before its first receiver. In the upper list a scan stands for the lower one.
func splitBelowJoins(list []*tipb.Executor) (below, above []*tipb.Executor) {
	n := slices.IndexFunc(list, func(e *tipb.Executor) bool { return e.Tp == tipb.ExecType_TypeExchangeReceiver })
	below = slices.Clone(list[:n])
	top := *list[n-1]
	top.ParentIdx = nil
	below[n-1] = &top
	above = append(above, &tipb.Executor{Tp: list[0].Tp, ParentIdx: list[n-1].ParentIdx})
	above = append(above, list[n:]...)
	for i, e := range above {
		if e.ParentIdx != nil {
			moved, parent := *e, *e.ParentIdx-uint32(n-1)
			moved.ParentIdx = &parent
			above[i] = &moved
		}
	}
	return below, above
}

// selectBelow asks for what the lower list gives of a task.
func (s *selector) selectBelow(t kvclient.Task, below []*tipb.Executor, ctx *expr.Context, stats *Stats) (executor.Operator, error) {
	fields, err := fieldsOf(below, ctx)
	if err != nil {
		return nil, err
	}
	dag := *s.req.DAG
	dag.Executors, dag.OutputOffsets = below, nil
	for i := range fields {
		dag.OutputOffsets = append(dag.OutputOffsets, uint32(i))
	}
	req := *s.req
	req.DAG, req.Fields, req.Given, req.Ranges, req.Concurrency, req.Stats = &dag, fields, nil, t.Ranges, 1, stats
	req.Warn = s.warn
	return Select(s.ctx, s.client, &req)
}

// fieldsOf are the columns of a list of executors, whose operators are built over nothing and asked.
func fieldsOf(list []*tipb.Executor, ctx *expr.Context) ([]*tipb.FieldType, error) {
	root, err := executor.Tree(list)
	if err != nil {
		return nil, err
	}
	op, err := executor.Build(root, func(scan *tipb.Executor) (executor.Operator, error) {
		switch {
		case scan.TblScan != nil:
			return executor.NewTableScan(scan.TblScan, nil, ctx)
		case scan.IdxScan != nil:
			return executor.NewIndexScan(scan.IdxScan, nil, ctx)
		}
		return nil, fmt.Errorf("executor %s below a join", scan.Tp)
	}, &executor.Env{Partial: true, Expr: ctx})
	if err != nil {
		return nil, err
	}
	return op.Fields(), op.Close()
}

// deliverAll puts the output columns of op's batches into a stream.
func (s *selector) deliverAll(op executor.Operator, out *stream) error {
	for {
		b, err := op.Next(s.ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		cols := make([]arrow.Array, len(s.req.DAG.OutputOffsets))
		for i, at := range s.req.DAG.OutputOffsets {
			cols[i] = b.Cols[at]
		}
		if err := s.deliver(executor.Batch{Cols: cols, Sel: b.Sel, Rows: b.Rows}, out); err != nil {
			return err
		}
	}
}
