package executor

import (
	"context"
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/executor/agg"
)

// overflow has the values of a DISTINCT function for which there was no memory. They wait in files, with the numbers of their
// groups, split by a hash of both: equal ones are in the same file. When all rows are read, each file is read into a set of its
// own, split further if that gets too large as well, and counted. So a single group, or none to group by, may have more distinct
// values than fit in memory.
type overflow struct {
	set     *agg.Distinct
	among   int64       // how many there are, which share the memory for files
	parts   *partitions // of the values being read; nil: all fit so far
	pending []part      // to be counted
}

func (o *overflow) close() error { return errors.Join(o.parts.abort(), removeAll(o.pending)) }

// drain moves what the set has into files. Its values have been split depth times before.
func (o *overflow) drain(ctx context.Context, acc *account, depth int) (err error) {
	if o.parts == nil {
		if o.parts, err = newPartitions(acc, o.set.Types(), o.set.Types(), depth); err != nil {
			return err
		}
		o.parts.frame /= o.among
	}
	return o.set.Drain(func(pairs []arrow.Array, rows int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return o.parts.add(Batch{Cols: pairs, Rows: rows}, pairs)
	})
}

// finish ends values that were split depth times: they are counted, or all in files.
func (o *overflow) finish(ctx context.Context, acc *account, depth int) error {
	if o.parts == nil {
		return o.set.Count()
	}
	if err := o.drain(ctx, acc, depth); err != nil {
		return err
	}
	runs, err := o.parts.finish()
	o.parts, o.pending = nil, appendParts(o.pending, runs, depth+1)
	return err
}

// drainSets moves the DISTINCT values of the table's functions into files.
func (a *aggregation) drainSets(ctx context.Context) error {
	if a.overflows == nil {
		sets := a.table.divisible()
		for _, set := range sets {
			a.overflows = append(a.overflows, &overflow{set: set, among: int64(len(sets))})
		}
	}
	for _, o := range a.overflows {
		if err := o.drain(ctx, &a.account, 0); err != nil {
			return err
		}
	}
	return nil
}

// settle counts the values that are in files.
func (a *aggregation) settle(ctx context.Context) error {
	for _, o := range a.overflows {
		if err := o.finish(ctx, &a.account, 0); err != nil {
			return err
		}
	}
	for _, o := range a.overflows {
		for len(o.pending) > 0 {
			if err := a.settlePart(ctx, o); err != nil {
				return err
			}
		}
	}
	a.overflows = nil
	return a.set(a.bytes())
}

func (a *aggregation) settlePart(ctx context.Context, o *overflow) error {
	last := len(o.pending) - 1
	p := o.pending[last]
	o.pending = o.pending[:last]
	err := readRun(ctx, p.run, func(b Batch) error {
		o.set.Add(b.Cols, b.Rows)
		if tight, err := a.resize(a.bytes()); !tight {
			return err
		}
		if p.depth < maxSplits {
			if err := o.drain(ctx, &a.account, p.depth); err != nil {
				return err
			}
		}
		return a.set(a.bytes())
	})
	if err = errors.Join(err, p.run.Remove()); err != nil {
		return err
	}
	return o.finish(ctx, &a.account, p.depth)
}
