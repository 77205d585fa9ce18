package planner

import (
	"context"
	"errors"
	"io"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
)

// broadcastOp runs a reader whose pushed plan has joins. First it gathers their build sides, from the join above down, so that
// the keys of each can filter the ones below; then the stores are sent the plan, and the rows to join with.
//
// A build side that turns out to be too large cuts the plan in two below its join. What is below goes to the stores; what is
// above, described by the same tipb, runs here over their rows: it makes partial aggregates as they would, so that nobody
// above sees a difference.
type broadcastOp struct {
	o      *opener
	p      *physReader
	fields []*tipb.FieldType
	op     executor.Operator // nil: not started
	done   bool              // there is nothing to read
	// what to close in the end
	sides []*gatherer
	given []*executor.Broadcast
}

func (o *opener) broadcastRead(p *physReader) executor.Operator {
	return &broadcastOp{o: o, p: p, fields: p.Types()}
}

func (b *broadcastOp) Fields() []*tipb.FieldType { return b.fields }

func (b *broadcastOp) Close() error {
	var errs []error
	if b.op != nil {
		errs = append(errs, b.op.Close())
	}
	for _, s := range b.sides {
		errs = append(errs, s.Close())
	}
	for _, g := range b.given {
		g.Close()
	}
	return errors.Join(errs...)
}

func (b *broadcastOp) Next(ctx context.Context) (executor.Batch, error) {
	if b.op == nil && !b.done {
		if err := b.start(ctx); err != nil {
			return executor.Batch{}, err
		}
	}
	if b.done {
		return executor.Batch{}, io.EOF
	}
	return b.op.Next(ctx)
}

// start gathers the build sides and asks the stores.
func (b *broadcastOp) start(ctx context.Context) error {
	sub := *b.o
	sub.leaves = map[*tipb.Executor]func() (executor.Operator, error){}
	sub.received = map[*physJoin]*executor.Broadcast{}
	large := map[*physJoin]*gatherer{}
	limits := broadcastLimitsOf(sub.plan.Vars) // the bytes are those of all sides together
	cut := b.p.child                           // all of this goes to the stores
	for _, j := range b.p.joins() {
		side, all, err := b.gather(ctx, &sub, j, &limits)
		switch {
		case err != nil:
			return err
		case !all:
			large[j], cut = side, j.left
		case side.rows == 0 && (j.kind == joinInner || j.kind == joinSemi):
			b.done = true
			return nil
		}
	}
	read := func() (executor.Operator, error) { return sub.readPlan(b.p, cut, b.p.cols, nil) }
	if cut == b.p.child {
		op, err := read()
		b.op = op
		return err
	}
	op, err := sub.above(b.p, cut, large)
	b.op = op
	return err
}

// gather evaluates the build side of a join. If that is all of it, the rows are what its receiver gets.
func (b *broadcastOp) gather(ctx context.Context, sub *opener, j *physJoin, limits *broadcastLimits) (side *gatherer, all bool, err error) {
	op, err := sub.open(j.right)
	if err != nil {
		return nil, false, err
	}
	side = &gatherer{o: b.o, outer: &onceOp{Operator: op}, fields: j.right.Types(), padding: wirePadding(j.right.Types()), yields: true}
	b.sides = append(b.sides, side)
	if all, err = side.gather(ctx, limits.rows, limits.bytes); err != nil || !all {
		return side, false, err
	}
	rows, err := executor.NewBroadcast(side.fields, side.batches, b.o.env.Memory)
	if err != nil || !rows.Reserve() {
		rows.Close()
		return side, false, nil // a join here finds files for its build side
	}
	limits.bytes -= side.size()
	sub.addLists(j.filters, side.batches, j.right.base().cols)
	b.given = append(b.given, rows)
	sub.received[j] = rows
	side.batches = nil
	return side, true, side.Close() // the rows are charged to the Broadcast from here on
}

// wireDecimal is the size of a decimal in TypeChunk, whatever its digits.
const wireDecimal = 40

// wirePadding is what a row may take more on its way to a store than in memory.
func wirePadding(fields []*tipb.FieldType) (n int64) {
	for _, ft := range fields {
		if evalOf(ft) == evalDecimal {
			n += wireDecimal - 8
		}
	}
	return n
}

// above builds what a reader's plan has above cut, over what the stores give of cut.
func (o *opener) above(p *physReader, cut physical, large map[*physJoin]*gatherer) (executor.Operator, error) {
	root, err := o.fragment(p.child, cut, p, large)
	if err != nil {
		return nil, err
	}
	env := *o.env
	env.Partial = true
	places := placesOf(p.cols, p.child)
	op, err := executor.BuildOutput(root, places, func(e *tipb.Executor) (executor.Operator, error) { return o.leaves[e]() }, &env)
	if err != nil {
		return nil, err
	}
	pick := &pickOp{Operator: op, fields: p.Types()}
	for _, at := range places {
		pick.offsets = append(pick.offsets, int(at))
	}
	return pick, nil
}

// fragment describes plan down to cut.
func (o *opener) fragment(plan, cut physical, p *physReader, large map[*physJoin]*gatherer) (*tipb.Executor, error) {
	if plan == cut {
		return o.leaf(nil, func() (executor.Operator, error) { return o.readPlan(p, cut, cut.base().cols, nil) }), nil
	}
	child, err := o.fragment(plan.inputs()[0], cut, p, large)
	if err != nil {
		return nil, err
	}
	j, ok := plan.(*physJoin)
	if !ok {
		return o.describe(plan, child)
	}
	build := o.leaf(nil, func() (executor.Operator, error) {
		if side := large[j]; side != nil {
			return &gatheredOp{Operator: side.outer, batches: side.batches}, nil
		}
		return o.received[j].Source(), nil
	})
	return o.joinOf(j, child, build)
}

// pushedJoin lists a join of a pushed plan: what it reads, a receiver for its build side, itself.
func (o *opener) pushedJoin(p *physJoin) ([]*tipb.Executor, error) {
	list, err := o.pushed(p.left)
	if err != nil {
		return nil, err
	}
	join, err := o.joinOf(p, nil, nil)
	if err != nil {
		return nil, err
	}
	join.Join.Children = nil // the list says
	receiver := o.executor(nil, tipb.ExecType_TypeExchangeReceiver)
	receiver.ExchangeReceiver = &tipb.ExchangeReceiver{FieldTypes: p.right.Types()}
	parent := uint32(len(list) + 1)
	list[len(list)-1].ParentIdx = &parent
	return append(list, receiver, join), nil
}
