package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/codec/column"
)

// Broadcast is a small build side that the joins of many operator trees share: the trees that run the same plan over
// different regions. Its rows are gathered once, and the first join that needs a table over their keys makes it for all.
// The joins are those of one executor, and so have the same keys. Safe for concurrent use, until Close.
//
// In a plan it is an ExchangeReceiver, whose operator is Source. Where a plan travels to another process, the rows go there
// once (CopyAt) for all requests; they can also be in the receiver itself (ReadBroadcast).
type Broadcast struct {
	fields  []*tipb.FieldType
	batches []Batch
	memory  *Memory

	mu    sync.Mutex // guards all below
	held  int64      // bytes charged to memory
	spare int64      // of these, kept for the table
	table *joinTable // nil: nobody has asked for it yet

	copies copies
}

// ErrNoRoom says that there is not enough memory for a Broadcast, where it was made or where a copy was wanted.
var ErrNoRoom = errors.New("executor: no room for the rows that go to all stores")

// NewBroadcast makes one of dense batches, which belong to it from now on and are charged to memory.
func NewBroadcast(fields []*tipb.FieldType, batches []Batch, memory *Memory) (*Broadcast, error) {
	b := &Broadcast{fields: fields, batches: batches, memory: memory}
	size := int64(0)
	for _, batch := range batches {
		size += column.Size(batch)
	}
	return b, b.charge(size)
}

// tableCost is what a join's table takes beside the rows, in sizes of the rows: a copy of them, and of their keys, with an index.
const tableCost = 3

// Reserve keeps memory for the table, and reports whether there is enough: neither rows nor table can go to files.
func (b *Broadcast) Reserve() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.memory.GrowSpare(tableCost * b.held) {
		return false
	}
	b.spare = tableCost * b.held
	b.held += b.spare
	return true
}

// ReadBroadcast takes the rows out of a receiver: field_types are those of its columns, and each encoded_task_meta is a
// batch of rows in the encoding of TypeChunk.
func ReadBroadcast(r *tipb.ExchangeReceiver, memory *Memory) (*Broadcast, error) {
	fields := r.GetFieldTypes()
	if len(fields) == 0 {
		return nil, errors.New("executor: a receiver without columns")
	}
	for i, ft := range fields {
		if ft == nil {
			return nil, fmt.Errorf("executor: column %d of a receiver has no type", i)
		}
	}
	var batches []Batch
	for i, data := range r.GetEncodedTaskMeta() {
		batch, err := chunk.DecodeChunk(data, fields)
		if err != nil {
			return nil, fmt.Errorf("executor: rows %d of a receiver: %w", i, err)
		}
		batches = append(batches, batch)
	}
	return NewBroadcast(fields, batches, memory)
}

// Add appends a dense batch, which belongs to the Broadcast from now on, before anyone uses it.
func (b *Broadcast) Add(batch Batch) error {
	if err := b.charge(column.Size(batch)); err != nil {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	b.batches = append(b.batches, batch)
	return nil
}

// Source hands out the rows to one operator tree. A join that has it for its build side takes the table instead.
func (b *Broadcast) Source() Operator {
	return &broadcastSource{Operator: NewValues(b.fields, b.batches...), of: b}
}

// WithGiven makes a leaf function for Build that gives receivers the rows of given, one after another in the order of the plan,
// and leaves everything else, and receivers when there are no more, to leaf.
func WithGiven(given []*Broadcast, leaf func(*tipb.Executor) (Operator, error)) func(*tipb.Executor) (Operator, error) {
	return func(e *tipb.Executor) (Operator, error) {
		if e.Tp != tipb.ExecType_TypeExchangeReceiver || len(given) == 0 {
			return leaf(e)
		}
		b := given[0]
		given = given[1:]
		return b.Source(), nil
	}
}

// tableFor is the table for a join in the caller's goroutine. If there is none yet, it is made of what side reads.
func (b *Broadcast) tableFor(ctx context.Context, side *buildSide) (joinTable, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.table == nil {
		b.memory.Shrink(b.spare)
		b.held, b.spare = b.held-b.spare, 0
		if err := side.make(ctx); err != nil {
			return joinTable{}, err
		}
		size := side.account.held
		if err := errors.Join(side.account.set(0), b.charge(size)); err != nil {
			return joinTable{}, err
		}
		t := side.joinTable
		b.table = &t
	}
	return b.table.forAnother(), nil
}

func (b *Broadcast) charge(n int64) error {
	if err := b.memory.Grow(n); err != nil {
		return err
	}
	b.held += n
	return nil
}

// Close gives the memory back and closes the copies, when no tree uses it any more.
func (b *Broadcast) Close() {
	b.copies.close()
	b.memory.Shrink(b.held)
	b.held = 0
}

// broadcastSource is the leaf of a Broadcast.
type broadcastSource struct {
	Operator
	of *Broadcast
}

// broadcastOf is what a join's build side comes from, if it is a Broadcast.
func broadcastOf(in Operator) *Broadcast {
	if o, ok := in.(*observed); ok {
		in = o.Operator
	}
	if s, ok := in.(*broadcastSource); ok {
		return s.of
	}
	return nil
}
