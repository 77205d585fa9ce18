package executor

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/agg"
	"github.com/scree-db/scree/executor/expr"
)

// frameAgg is an aggregate function over each row's frame. Frames of neighbours overlap, and an accumulator cannot take
// rows back, so results are put together from partial states:
//
//   - The rows that all frames of a span have in common, if they are many, are folded into one state. A frame that begins
//     where those before did (a running total, a whole partition) has that state extended, not made again.
//   - The other rows of the frames, those at the edges, are the leaves of a tree: each node of a level is the state of
//     treeFan nodes of the level below. A frame is the fold and O(log rows) nodes.
//
// Frames that only grow, those of running totals, need neither, see run.
//
// Each step is an Update or a Merge for all rows of the span at once. Simpler ways were to aggregate every frame from
// nothing, which takes the rows times the width, and to subtract what leaves the frame, which only sums can.
type frameAgg struct {
	fn     funcPlan
	state  []*tipb.FieldType
	types  []*tipb.FieldType // of the arguments
	merge  *tipb.Expr        // the function over states
	env    *expr.Context
	frame  *frame
	rows   *cursor
	fold   foldedRows
	args   []*column.Builder
	levels [][]arrow.Array // states by level, leaves first
	low    int64

	runs   bool // frames only grow, see run
	total  runningTotal
	groups []uint32
	begins []bool
}

// foldedRows is the state of the rows [from, to) as one group.
type foldedRows struct {
	from, to int64
	acc      agg.Accumulator // nil: no rows
}

const (
	treeBits = 2
	treeFan  = 1 << treeBits
	// foldMin is how many rows frames have in common before these are folded.
	foldMin = 1024
)

func (w *window) newFrameAgg(f *tipb.Expr, env *Env) (windowFunc, error) {
	plain := *f
	plain.AggFuncMode = nil // states come and go within the function
	if f.HasDistinct || len(f.OrderBy) > 0 || f.Tp == tipb.ExprType_GroupConcat {
		return nil, &expr.UnsupportedError{What: "aggregate " + f.Tp.String() + " with DISTINCT or an order over a window"}
	}
	a := &frameAgg{fn: funcPlan{f: &plain}, env: env.Expr, frame: w.frame, rows: w.log.newCursor()}
	for _, arg := range f.Children {
		place, ft, err := w.eval.add(arg)
		if err != nil {
			return nil, err
		}
		a.fn.args, a.types = append(a.fn.args, place), append(a.types, ft)
		a.args = append(a.args, column.NewBuilder(ft, 0))
	}
	var err error
	if a.state, err = agg.PartialTypes(&plain); err != nil {
		return nil, err
	}
	a.merge = merging(&plain, false, a.state)
	leaves, err := a.newLeaves()
	if err != nil {
		return nil, err
	}
	a.runs = a.running(leaves)
	_, err = a.newMerged()
	return a, err
}

func (a *frameAgg) newLeaves() (agg.Accumulator, error) { return agg.New(a.fn.f, a.types, a.env) }
func (a *frameAgg) newMerged() (agg.Accumulator, error) { return agg.New(a.merge, a.state, a.env) }

func (a *frameAgg) keepFrom(next int64) int64 {
	a.rows.forget(a.low)
	return min(next, a.low)
}

// eval aggregates the frames of a span.
func (a *frameAgg) eval(ctx context.Context, s *span) (arrow.Array, error) {
	if a.runs {
		return a.run(ctx, s)
	}
	out, err := a.newMerged()
	if err != nil {
		return nil, err
	}
	if p := wholeSpan(s); p.from == p.lo && p.to == p.hi {
		return a.one(ctx, out, &p)
	}
	out.Resize(s.batch.Rows)
	first, last := filledFrames(s)
	a.low = s.from[s.batch.Rows-1]
	if first <= last {
		if err := a.aggregate(ctx, out, s, first, last); err != nil {
			return nil, err
		}
	}
	return out.Final(0, s.batch.Rows)
}

// wholeSpan is a span as one part. Where its bounds of the fold are those of the rows, all frames are the same, and large.
func wholeSpan(s *span) framePart {
	last := s.batch.Rows - 1
	p := framePart{span: s, last: last, lo: s.from[0], from: s.from[last], to: s.to[0], hi: s.to[last]}
	if p.to-p.from < foldMin {
		p.from = -1
	}
	return p
}

// one is the result for rows that have the same frame: a whole partition, or a group of peers.
func (a *frameAgg) one(ctx context.Context, out agg.Accumulator, p *framePart) (arrow.Array, error) {
	if err := a.foldTo(ctx, p.from, p.to); err != nil {
		return nil, err
	}
	if a.low = p.from; a.frame.fixedStart() {
		a.low = p.to
	}
	state, err := a.fold.acc.Partial(0, 1)
	if err != nil {
		return nil, err
	}
	out.Resize(1)
	if err := out.Merge([]uint32{0}, state); err != nil {
		return nil, err
	}
	result, err := out.Final(0, 1)
	if err != nil {
		return nil, err
	}
	return column.Gather(result, make([]int32, p.batch.Rows)), nil
}

// filledFrames are the first and the last row whose frames are not empty.
func filledFrames(s *span) (first, last int) {
	last = s.batch.Rows - 1
	for first <= last && s.from[first] >= s.to[first] {
		first++
	}
	for first <= last && s.from[last] >= s.to[last] {
		last--
	}
	return first, last
}

// aggregate merges the states of the frames of rows [first, last] into out.
func (a *frameAgg) aggregate(ctx context.Context, out agg.Accumulator, s *span, first, last int) error {
	p := framePart{span: s, first: first, last: last, lo: s.from[first], hi: s.to[last]}
	p.from, p.to = s.from[last], s.to[first] // what all have in common
	folds := p.to-p.from >= foldMin
	if !folds {
		p.from, p.to = p.hi, p.hi
	}
	if p.leaves() > leavesMax && first < last { // the frames jump: halves have more in common
		mid := (first + last) / 2
		if err := a.aggregate(ctx, out, s, first, mid); err != nil {
			return err
		}
		return a.aggregate(ctx, out, s, mid+1, last)
	}
	if err := a.makeTree(ctx, &p); err != nil {
		return err
	}
	if err := a.mergeTree(out, &p); err != nil || !folds {
		return err
	}
	if a.frame.fixedStart() {
		a.low = p.to
	}
	return a.mergeFold(ctx, out, &p)
}

// framePart is a part of a span whose frames are made from one fold, of the rows [from, to), and one tree, whose leaves are
// the rows [lo, from) and [to, hi) side by side.
type framePart struct {
	*span
	first, last      int // rows of the span
	lo, from, to, hi int64
}

// leavesMax bounds the leaves of a tree.
const leavesMax = 4 * column.BatchSize

func (p *framePart) leaves() int64 { return p.from - p.lo + p.hi - p.to }

// leaf is the place among the leaves of a bound of a frame.
func (p *framePart) leaf(row int64) int {
	if row <= p.from {
		return int(row - p.lo)
	}
	return int(p.from - p.lo + row - p.to)
}

// mergeFold brings the fold up to date and merges it into all frames.
func (a *frameAgg) mergeFold(ctx context.Context, out agg.Accumulator, p *framePart) error {
	if err := a.foldTo(ctx, p.from, p.to); err != nil {
		return err
	}
	state, err := a.fold.acc.Partial(0, 1)
	if err != nil {
		return err
	}
	n := p.last - p.first + 1
	groups, same := make([]uint32, n), make([]int32, n)
	for i := range groups {
		groups[i] = uint32(p.first + i)
	}
	return out.Merge(groups, gatherAll(nil, state, same))
}

// foldTo makes the fold of the rows [from, to), if it can from the one at hand.
func (a *frameAgg) foldTo(ctx context.Context, from, to int64) (err error) {
	f := &a.fold
	if f.acc == nil || f.from != from || f.to > to {
		if f.acc, err = a.newLeaves(); err != nil {
			return err
		}
		f.acc.Resize(1)
		f.from, f.to = from, from
	}
	err = a.rows.each(ctx, f.to, to, func(b Batch, i, j int) error {
		args, err := a.arguments(b, i, j)
		if err != nil {
			return err
		}
		if f.to += int64(j - i); a.frame.fixedStart() {
			a.rows.forget(f.to)
		}
		return f.acc.Update(make([]uint32, j-i), args)
	})
	return err
}

// arguments are those of the rows [i, j) of b. They may use memory of args.
func (a *frameAgg) arguments(b Batch, i, j int) ([]arrow.Array, error) {
	if i > 0 || j < b.Rows {
		for _, arg := range a.args {
			arg.Reset()
		}
		if err := a.gather(b, i, j); err != nil {
			return nil, err
		}
		return arrays(a.args), nil
	}
	out := make([]arrow.Array, len(a.args))
	for k, place := range a.fn.args {
		out[k] = b.Cols[place]
	}
	return out, nil
}

// gather appends the arguments of the rows [i, j) of b to args.
func (a *frameAgg) gather(b Batch, i, j int) error {
	var rows []int32
	if i > 0 || j < b.Rows {
		rows = rowNumbers(j)[i:]
	}
	for k, place := range a.fn.args {
		if err := appendBounded(a.args[k], b.Cols[place], rows); err != nil {
			return err
		}
	}
	return nil
}

// makeTree fills the levels: the states of single rows, and then of treeFan of the level below each.
func (a *frameAgg) makeTree(ctx context.Context, p *framePart) error {
	for _, b := range a.args {
		b.Reset()
	}
	take := func(b Batch, i, j int) error { return a.gather(b, i, j) }
	if err := a.rows.each(ctx, p.lo, p.from, take); err != nil {
		return err
	}
	if err := a.rows.each(ctx, p.to, p.hi, take); err != nil {
		return err
	}
	a.levels = a.levels[:0]
	n := int(p.leaves())
	leaves, err := a.newLeaves()
	if err != nil {
		return err
	}
	leaves.Resize(n)
	if err := leaves.Update(numbered(n, 0), arrays(a.args)); err != nil {
		return err
	}
	for acc := leaves; ; {
		state, err := acc.Partial(0, n)
		if err != nil {
			return err
		}
		a.levels = append(a.levels, state)
		if n <= treeFan {
			return nil
		}
		if acc, err = a.newMerged(); err != nil {
			return err
		}
		groups := numbered(n, treeBits)
		n = (n + treeFan - 1) >> treeBits
		acc.Resize(n)
		if err := acc.Merge(groups, state); err != nil {
			return err
		}
	}
}

// numbered are the numbers 0 to n-1, each without its last bits.
func numbered(n, bits int) []uint32 {
	groups := make([]uint32, n)
	for i := range groups {
		groups[i] = uint32(i >> bits)
	}
	return groups
}

// mergeTree merges into each frame the nodes that make up its leaves: from both ends of the frame those that the next
// level's nodes are too large for, level by level.
func (a *frameAgg) mergeTree(out agg.Accumulator, p *framePart) error {
	n := p.last - p.first + 1
	from, to := make([]int32, n), make([]int32, n)
	for i := range from {
		at := p.first + i
		from[i] = int32(p.leaf(p.span.from[at]))
		to[i] = max(from[i], int32(p.leaf(max(p.span.to[at], p.span.from[at]))))
	}
	var groups []uint32
	var nodes []int32
	for level, state := range a.levels {
		top := level == len(a.levels)-1
		groups, nodes = groups[:0], nodes[:0]
		for i := range from {
			l, r := from[i], to[i]
			for ; l < r && (top || l%treeFan != 0); l++ {
				groups, nodes = append(groups, uint32(p.first+i)), append(nodes, l)
			}
			for ; l < r && r%treeFan != 0; r-- {
				groups, nodes = append(groups, uint32(p.first+i)), append(nodes, r-1)
			}
			from[i], to[i] = l>>treeBits, r>>treeBits
		}
		if len(groups) == 0 {
			continue
		}
		if err := out.Merge(groups, gatherAll(nil, state, nodes)); err != nil {
			return err
		}
	}
	return nil
}
