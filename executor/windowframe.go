package executor

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// frame places the frame of each row: rows counted from it (ROWS), or rows whose key is in a range about its own (RANGE).
type frame struct {
	start, end frameBound
	places     []int64 // scratch of place
}

// frameBound is one end of a frame.
type frameBound struct {
	tp     boundType
	follow bool // FOLLOWING, else PRECEDING
	rows   int64
	// RANGE: value is the place of what the keys are compared with; keys are read by a cursor that never goes back.
	key   *windowKey
	value int
	keys  *cursor
	row   int64 // all rows of its partition before it lie before the bound
}

type boundType uint8

const (
	boundUnbounded boundType = iota
	boundCurrent             // ROWS: the row itself
	boundRows                // ROWS n
	boundPeers               // RANGE: the row's peers
	boundValue               // RANGE n
)

// maxFrameRows stands for any larger number of rows.
const maxFrameRows = math.MaxInt64 / 4

// newFrame compiles a frame; nil is MySQL's default: up to the row's peers.
func (w *window) newFrame(d *tipb.WindowFrame) (*frame, error) {
	f := &frame{end: frameBound{tp: boundPeers, follow: true}}
	if d == nil {
		return f, nil
	}
	if d.Type != tipb.WindowFrameType_Rows && d.Type != tipb.WindowFrameType_Ranges || d.Start == nil {
		return nil, &UnsupportedError{What: "window frame of " + d.Type.String()}
	}
	end := d.End
	if end == nil {
		end = &tipb.WindowFrameBound{Type: tipb.WindowBoundType_CurrentRow}
	}
	rows := d.Type == tipb.WindowFrameType_Rows
	if err := w.newBound(&f.start, d.Start, rows); err != nil {
		return nil, err
	}
	if err := w.newBound(&f.end, end, rows); err != nil {
		return nil, err
	}
	if f.start.tp == boundUnbounded && f.start.follow || f.end.tp == boundUnbounded && !f.end.follow {
		return nil, &UnsupportedError{What: "window frame that begins at its end"}
	}
	return f, nil
}

func (w *window) newBound(b *frameBound, d *tipb.WindowFrameBound, rows bool) error {
	b.follow = d.Type == tipb.WindowBoundType_Following
	switch {
	case d.Type == tipb.WindowBoundType_CurrentRow && rows:
		b.tp = boundCurrent
	case d.Type == tipb.WindowBoundType_CurrentRow:
		b.tp = boundPeers
	case d.Unbounded:
		b.tp = boundUnbounded
	case rows && d.Offset != nil:
		b.tp, b.rows = boundRows, int64(min(*d.Offset, maxFrameRows))
	case !rows && d.FrameRange != nil && len(w.edges.order) == 1:
		return w.newValueBound(b, d.FrameRange)
	default:
		return &UnsupportedError{What: "window frame bound"}
	}
	return nil
}

// newValueBound is for a bound like 5 PRECEDING of a RANGE: e is what the keys of the frame's rows are compared with.
func (w *window) newValueBound(b *frameBound, e *tipb.Expr) error {
	place, ft, err := w.eval.add(e)
	if err != nil {
		return err
	}
	b.tp, b.key, b.value = boundValue, &w.edges.order[0], place
	if !sameForm(ft, b.key.ft) {
		return &UnsupportedError{What: "window frame of a range of another type than its order"}
	}
	b.keys = w.log.newCursor()
	return nil
}

// sameForm reports whether columns of two types hold values in the same form.
func sameForm(a, b *tipb.FieldType) bool {
	kind := column.KindOf(a)
	if kind != column.KindOf(b) {
		return false
	}
	if kind == column.Decimal64 || kind == column.Decimal128 || kind == column.Decimal256 {
		return column.Scale(a) == column.Scale(b)
	}
	return true
}

func (f *frame) ahead() lookahead {
	start, end := f.start.ahead(), f.end.ahead()
	start.join(end)
	return start
}

func (b *frameBound) ahead() lookahead {
	switch {
	case b.tp == boundPeers, b.tp == boundValue && !b.follow:
		return lookahead{peers: true}
	case b.tp == boundUnbounded, b.tp == boundValue:
		return lookahead{partition: b.follow}
	case b.tp == boundRows && b.follow:
		return lookahead{rows: b.rows}
	}
	return lookahead{}
}

// fixedStart reports whether all rows of a partition have frames that begin where it does.
func (f *frame) fixedStart() bool { return f.start.tp == boundUnbounded }

// place fills in the frames of a span.
func (f *frame) place(ctx context.Context, s *span) error {
	n := s.batch.Rows
	f.places = slices.Grow(f.places[:0], 2*n)[:2*n]
	s.from, s.to = f.places[:n], f.places[n:]
	if err := f.start.place(ctx, s, s.from, false); err != nil {
		return err
	}
	return f.end.place(ctx, s, s.to, true)
}

// place finds the bounds of a span's rows: the first row of the frame, or, of an end, the first row behind it.
func (b *frameBound) place(ctx context.Context, s *span, out []int64, end bool) error {
	behind := int64(0)
	if end {
		behind = 1
	}
	for i := range out {
		row, from, to := s.base+int64(i), s.partFrom[i], s.partTo[i]
		switch b.tp {
		case boundUnbounded:
			out[i] = pick(end, to, from)
		case boundPeers:
			out[i] = pick(end, s.peerTo[i], s.peerFrom[i])
		case boundCurrent:
			out[i] = row + behind
		case boundRows:
			out[i] = min(max(row+pick(b.follow, b.rows, -b.rows)+behind, from), to)
		case boundValue:
			at, err := b.search(ctx, s, i, end)
			if err != nil {
				return err
			}
			out[i] = at
		}
	}
	return nil
}

func pick(second bool, a, b int64) int64 {
	if second {
		return a
	}
	return b
}

// search finds the first row of i's partition whose key is not before the bound, or, of an end, is behind it. A row whose
// key is NULL has its peers as its frame; a bound that is NULL is beyond all values.
func (b *frameBound) search(ctx context.Context, s *span, i int, end bool) (int64, error) {
	values := s.batch.Cols[b.value]
	switch {
	case s.batch.Cols[b.key.place].IsNull(i):
		return pick(end, s.peerTo[i], s.peerFrom[i]), nil
	case values.IsNull(i):
		return pick(b.follow, s.partTo[i], s.partFrom[i]), nil
	}
	stop := s.partTo[i]
	if !b.follow {
		stop = s.peerTo[i] // the rest may not be known
	}
	for b.row = max(b.row, s.partFrom[i]); b.row < stop; b.row++ {
		batch, at, err := b.keys.at(b.row)
		if b.row%interruptEvery == 0 {
			err = errors.Join(err, ctx.Err())
		}
		if err != nil {
			return 0, err
		}
		if c := b.key.compareAt(batch.Cols[b.key.place], at, values, i); c > 0 || c == 0 && !end {
			break
		}
	}
	return b.row, nil
}

// keepFrom is the first row that a bound may look at from now on.
func (f *frame) keepFrom(next int64) int64 {
	for _, b := range [2]*frameBound{&f.start, &f.end} {
		if b.tp == boundValue {
			b.keys.forget(b.row)
			next = min(next, b.row)
		}
	}
	return next
}
