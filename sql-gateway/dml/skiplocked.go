package dml

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// FreeRows runs a locking query under SKIP LOCKED: it locks rows as they come and keeps those that no other transaction holds,
// until LIMIT has been reached. They are charged to the statement's memory until Close; Keys stays empty. A row of several
// tables is free if all of its rows are.
func FreeRows(ctx context.Context, env *Env, q *planner.LockingQuery) (*LockedRows, error) {
	f := &freeRows{env: env, offset: q.Offset, count: q.Count}
	for _, t := range q.Tables {
		reader, err := newKeyReader(env, t)
		if err != nil {
			return nil, err
		}
		f.tables = append(f.tables, reader)
	}
	op, err := q.Open(ctx, env.Runtime)
	if err != nil {
		return nil, err
	}
	f.src = &source{types: op.Fields(), memory: env.Runtime.Env().Memory}
	if err := errors.Join(f.read(ctx, op), op.Close()); err != nil {
		f.src.close()
		return nil, err
	}
	return &LockedRows{src: f.src}, nil
}

// freeRows collects rows that could be locked.
type freeRows struct {
	env    *Env
	tables []*keyReader
	src    *source
	// offset rows are still to be left out, count to be kept.
	offset, count uint64
}

// lockRowsMax is about how many rows are locked at a time.
const lockRowsMax = 1024

// read takes no more rows from op than LIMIT needs.
func (f *freeRows) read(ctx context.Context, op executor.Operator) error {
	for f.count > 0 {
		b, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b = column.Compact(b)
		for from := 0; from < b.Rows && f.count > 0; {
			to := min(from+f.wanted(), b.Rows)
			if err := f.keep(ctx, b, from, to); err != nil {
				return err
			}
			from = to
		}
	}
	return nil
}

// wanted is the number of rows to lock next: no more than LIMIT has use for.
func (f *freeRows) wanted() int {
	return int(min(f.offset, lockRowsMax) + min(f.count, lockRowsMax))
}

// keep locks rows [from, to) of a dense batch and keeps those that were free.
func (f *freeRows) keep(ctx context.Context, b column.Batch, from, to int) error {
	keys, err := f.keys(rowBatch{b, f.src.types, b.Rows}, from, to)
	if err != nil {
		return err
	}
	held, err := f.lock(ctx, keys)
	if err != nil {
		return err
	}
	b.Sel = make([]int32, 0, to-from)
	for i := from; i < to && f.count > 0; i++ {
		switch {
		case slices.ContainsFunc(keys[i-from], func(key []byte) bool { return held[string(key)] }):
		case f.offset > 0:
			f.offset--
		default:
			f.count--
			b.Sel = append(b.Sel, int32(i))
		}
	}
	if len(b.Sel) == 0 {
		return nil
	}
	return f.src.add(column.Compact(b))
}

// keys are the record keys of each of the rows [from, to).
func (f *freeRows) keys(b rowBatch, from, to int) ([][][]byte, error) {
	out := make([][][]byte, to-from)
	all := make([][]byte, 0, (to-from)*len(f.tables))
	for i := from; i < to; i++ {
		first := len(all)
		for _, t := range f.tables {
			key, err := t.key(b, i)
			if err != nil {
				return nil, err
			}
			if key != nil {
				all = append(all, key)
			}
		}
		out[i-from] = all[first:len(all):len(all)]
	}
	return out, nil
}

// lock locks the keys of rows and tells which ones others hold.
func (f *freeRows) lock(ctx context.Context, rows [][][]byte) (map[string]bool, error) {
	held, err := f.env.Txn.TryLock(ctx, slices.Concat(rows...))
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(held))
	for _, key := range held {
		out[string(key)] = true
	}
	return out, nil
}
