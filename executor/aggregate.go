package executor

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/spill"
)

// aggregation groups its input by the values of the group-by expressions and aggregates each group. Groups come out in
// the order of their first rows while all of them fit in memory. The output has the aggregates' columns, final or partial,
// and then the group-by columns.
//
// Each batch is evaluated, brought to dense columns, and its rows get group numbers; the accumulators see group numbers
// and argument columns alone. Equal arguments of several aggregates are evaluated once.
//
// When memory is tight the partial state of all groups goes to files, split by a hash of the group, and the table starts
// again from nothing. In the end the state of one file after another is merged; a file whose groups do not fit either is
// split further, by other bits of the hash. Functions without a state that can be merged see to it that the table gets no new
// groups: see frozenGroups.
type aggregation struct {
	in    Operator
	eval  *evaluator
	plan  *groupPlan
	state *groupPlan // what merges spilled state; nil: there is none, or some aggregate's cannot be merged
	table *groupTable
	next  int // the group to put out
	ready bool

	frozen    *frozenGroups
	overflows []*overflow
	parts     *partitions // of the groups being read; nil: all fit so far
	pending   []part      // to be merged
	account
}

// part is a file of groups' state; it was split from others depth times.
type part struct {
	run   *spill.Run
	depth int
}

func newAggregation(e *tipb.Executor, inputs []Operator, env *Env) (Operator, error) {
	eval, plan, err := compileGroups(e.Aggregation, inputs[0], env)
	if err != nil {
		return nil, err
	}
	a := &aggregation{in: inputs[0], eval: eval, plan: plan, account: newAccount(env)}
	if a.table, err = plan.newTable(); err != nil {
		return nil, err
	}
	switch {
	case plan.groupBy == 0 && len(a.table.divisible()) == 0:
		a.dir = nil
	case a.dir != nil && plan.groupBy > 0 && plan.mergeable():
		a.state, err = plan.overState()
	}
	return a, err
}

func (a *aggregation) Fields() []*tipb.FieldType { return a.plan.fields }

func (a *aggregation) Close() error {
	a.account.close()
	errs := []error{a.in.Close(), a.parts.abort(), removeAll(a.pending)}
	for _, o := range a.overflows {
		errs = append(errs, o.close())
	}
	return errors.Join(errs...)
}

func (a *aggregation) Next(ctx context.Context) (Batch, error) {
	if !a.ready {
		if err := a.consume(ctx); err != nil {
			return Batch{}, err
		}
		a.ready = true
	}
	for a.next >= a.table.count {
		if len(a.pending) == 0 {
			return Batch{}, io.EOF
		}
		if err := a.mergePart(ctx); err != nil {
			return Batch{}, err
		}
	}
	from := a.next
	a.next = min(from+column.BatchSize, a.table.count)
	return a.table.output(from, a.next, false)
}

func (a *aggregation) consume(ctx context.Context) error {
	for {
		b, err := a.in.Next(ctx)
		if err == io.EOF {
			return a.finish(ctx, 0)
		}
		if err != nil {
			return err
		}
		cols, err := a.eval.dense(b)
		if err != nil {
			return err
		}
		if err := a.add(ctx, cols, b.Len(), 0); err != nil {
			return err
		}
	}
}

// add takes dense rows of what the table aggregates, which was split depth times.
func (a *aggregation) add(ctx context.Context, cols []arrow.Array, rows, depth int) error {
	if a.frozen != nil {
		var err error
		if cols, rows, err = a.setAside(cols, rows); err != nil {
			return err
		}
	}
	if err := a.table.add(cols, rows); err != nil {
		return err
	}
	if tight, err := a.resize(a.bytes()); !tight {
		return err
	}
	return a.relieve(ctx, depth)
}

func (a *aggregation) bytes() int64 {
	n := a.table.bytes() + a.parts.bytes() + a.frozen.bytes()
	for _, o := range a.overflows {
		n += o.parts.bytes()
	}
	return n
}

// relieve takes memory from the table, whose rows were split depth times, or keeps it from growing, as far as there is a way.
func (a *aggregation) relieve(ctx context.Context, depth int) error {
	switch {
	case a.state != nil && depth < maxSplits:
		return a.split(ctx, depth)
	case a.state == nil && a.plan.groupBy > 0 && a.frozen == nil && depth < maxSplits:
		if err := a.freeze(depth); err != nil {
			return err
		}
	}
	if err := a.drainSets(ctx); err != nil {
		return err
	}
	return a.set(a.bytes())
}

// split moves the table's groups to files.
func (a *aggregation) split(ctx context.Context, depth int) (err error) {
	if a.parts == nil {
		if a.parts, err = newPartitions(&a.account, a.plan.stateTypes, a.plan.keys(), depth); err != nil {
			return err
		}
	}
	t := a.table
	for from := 0; from < t.count; from += column.BatchSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := t.output(from, min(from+column.BatchSize, t.count), true)
		if err != nil {
			return err
		}
		if err := a.parts.add(b, b.Cols[len(b.Cols)-t.plan.groupBy:]); err != nil {
			return err
		}
	}
	if a.table, err = t.plan.newTable(); err != nil {
		return err
	}
	return a.set(a.parts.bytes())
}

// finish ends the rows that were split depth times. If some of their groups are in files, all are, and it is their turn; but
// for frozen ones, which come first.
func (a *aggregation) finish(ctx context.Context, depth int) error {
	a.next = 0
	if err := a.finishParts(ctx, depth); err != nil {
		return err
	}
	return a.settle(ctx)
}

func (a *aggregation) finishParts(ctx context.Context, depth int) error {
	if a.parts == nil {
		return nil
	}
	if a.frozen == nil {
		if err := a.split(ctx, depth); err != nil {
			return err
		}
	}
	runs, err := a.parts.finish()
	a.pending = appendParts(a.pending, runs, depth+1)
	a.parts, a.frozen = nil, nil
	return err
}

func appendParts(parts []part, runs []*spill.Run, depth int) []part {
	for _, r := range runs {
		parts = append(parts, part{run: r, depth: depth})
	}
	return parts
}

func removeAll(parts []part) error {
	var errs []error
	for _, p := range parts {
		errs = append(errs, p.run.Remove())
	}
	return errors.Join(errs...)
}

// mergePart fills the table with the groups of the last file pending.
func (a *aggregation) mergePart(ctx context.Context) (err error) {
	last := len(a.pending) - 1
	p := a.pending[last]
	a.pending = a.pending[:last]
	if a.table, err = a.pendingPlan().newTable(); err == nil {
		err = a.readPart(ctx, p)
	}
	if err = errors.Join(err, p.run.Remove()); err != nil {
		return err
	}
	return a.finish(ctx, p.depth)
}

// pendingPlan is what aggregates the rows of files: states, or the rows themselves.
func (a *aggregation) pendingPlan() *groupPlan {
	if a.state == nil {
		return a.plan
	}
	return a.state
}

func (a *aggregation) readPart(ctx context.Context, p part) error {
	if err := a.set(0); err != nil {
		return err
	}
	return readRun(ctx, p.run, func(b Batch) error { return a.add(ctx, b.Cols, b.Rows, p.depth) })
}
