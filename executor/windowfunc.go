package executor

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// compile makes the functions and learns how far they look.
func (w *window) compile(d *tipb.Window, env *Env) (err error) {
	in := w.in.Fields()
	w.eval = &windowColumns{inputs: len(in), in: in, exprs: exprSet{input: in, env: env}}
	if w.edges.partition, err = w.newKeys(d.PartitionBy); err != nil {
		return err
	}
	if w.edges.order, err = w.newKeys(d.OrderBy); err != nil {
		return err
	}
	w.fields = append(w.fields, in...)
	for _, f := range d.FuncDesc {
		if f == nil || f.FieldType == nil {
			return &UnsupportedError{What: "window function without a type"}
		}
		if w.frame == nil && hasFrame(f.Tp) {
			if w.frame, err = w.newFrame(d.Frame); err != nil {
				return err
			}
			w.ahead.join(w.frame.ahead())
		}
		fn, ahead, err := w.newFunc(f, env)
		if err != nil {
			return err
		}
		w.funcs = append(w.funcs, fn)
		w.fields = append(w.fields, f.FieldType)
		w.ahead.join(ahead)
	}
	return nil
}

func (w *window) newKeys(items []*tipb.ByItem) ([]windowKey, error) {
	keys, types := make([]windowKey, len(items)), make([]*tipb.FieldType, len(items))
	for i, item := range items {
		var err error
		if keys[i].place, types[i], err = w.eval.add(item.GetExpr()); err != nil {
			return nil, err
		}
	}
	specs, err := newSortSpecs(items, types)
	for i := range specs {
		keys[i].sortSpec = specs[i]
	}
	return keys, err
}

// hasFrame tells the functions of a frame from those of a partition.
func hasFrame(tp tipb.ExprType) bool {
	switch tp {
	case tipb.ExprType_RowNumber, tipb.ExprType_Rank, tipb.ExprType_DenseRank, tipb.ExprType_CumeDist, tipb.ExprType_PercentRank,
		tipb.ExprType_Ntile, tipb.ExprType_Lead, tipb.ExprType_Lag:
		return false
	}
	return true
}

func (w *window) newFunc(f *tipb.Expr, env *Env) (windowFunc, lookahead, error) {
	switch f.Tp {
	case tipb.ExprType_RowNumber, tipb.ExprType_Rank, tipb.ExprType_DenseRank:
		return w.newRank(f, lookahead{})
	case tipb.ExprType_CumeDist, tipb.ExprType_PercentRank, tipb.ExprType_Ntile:
		return w.newRank(f, lookahead{partition: true})
	case tipb.ExprType_Lead, tipb.ExprType_Lag, tipb.ExprType_FirstValue, tipb.ExprType_LastValue, tipb.ExprType_NthValue:
		return w.newRowValue(f)
	}
	fn, err := w.newFrameAgg(f, env)
	return fn, lookahead{}, err
}

// rankFunc is a function of a row's place alone.
type rankFunc struct {
	out     *column.Builder
	place   func(s *span, i int) int64
	share   func(s *span, i int) float64 // of CUME_DIST and PERCENT_RANK
	buckets int64                        // of NTILE
}

func (w *window) newRank(f *tipb.Expr, ahead lookahead) (windowFunc, lookahead, error) {
	r := &rankFunc{out: column.NewBuilder(f.FieldType, 0)}
	want := column.Int64
	switch f.Tp {
	case tipb.ExprType_RowNumber:
		r.place = func(s *span, i int) int64 { return s.base + int64(i) - s.partFrom[i] + 1 }
	case tipb.ExprType_Rank:
		r.place = func(s *span, i int) int64 { return s.peerFrom[i] - s.partFrom[i] + 1 }
	case tipb.ExprType_DenseRank:
		r.place = func(s *span, i int) int64 { return s.peerNo[i] }
	case tipb.ExprType_Ntile:
		n, err := constCount(f, 0, 0)
		if err != nil {
			return nil, ahead, err
		}
		if r.buckets = n; n == 0 {
			return nil, ahead, value.Errorf(codeWrongArguments, "Incorrect arguments to ntile")
		}
		r.place = r.bucket
	case tipb.ExprType_CumeDist:
		want, r.share = column.Float64, cumeDist
	case tipb.ExprType_PercentRank:
		want, r.share = column.Float64, percentRank
	}
	if kind := r.out.Kind; kind != want && (want != column.Int64 || kind != column.Uint64) {
		return nil, ahead, &UnsupportedError{What: fmt.Sprintf("%s as type %d", f.Tp, f.FieldType.Tp)}
	}
	return r, ahead, nil
}

// codeWrongArguments is MySQL's ER_WRONG_ARGUMENTS.
const codeWrongArguments = 1210

// constCount is a function's argument that is a constant number of rows; without the argument it is otherwise.
func constCount(f *tipb.Expr, arg int, otherwise int64) (int64, error) {
	if arg >= len(f.Children) {
		return otherwise, nil
	}
	e := f.Children[arg]
	if e == nil || e.Tp != tipb.ExprType_Int64 && e.Tp != tipb.ExprType_Uint64 {
		return 0, &UnsupportedError{What: f.Tp.String() + " of a count that is no constant"}
	}
	n, err := decodeCount(e)
	if err != nil || n < 0 {
		return 0, value.Errorf(codeWrongArguments, "Incorrect arguments to %s", f.Tp)
	}
	return n, nil
}

func decodeCount(e *tipb.Expr) (int64, error) {
	if e.Tp == tipb.ExprType_Int64 {
		n, _, err := memcmp.DecodeInt64(e.Val)
		return min(n, maxFrameRows), err
	}
	n, _, err := memcmp.DecodeUint64(e.Val)
	return int64(min(n, maxFrameRows)), err
}

// bucket numbers the buckets of NTILE, the first of which are larger by one where the rows cannot be dealt out evenly.
func (r *rankFunc) bucket(s *span, i int) int64 {
	row, size := s.base+int64(i)-s.partFrom[i], s.partTo[i]-s.partFrom[i]
	small, large := size/r.buckets, size%r.buckets
	if inLarge := large * (small + 1); row >= inLarge {
		return large + (row-inLarge)/small + 1
	}
	return row/(small+1) + 1
}

func cumeDist(s *span, i int) float64 {
	return float64(s.peerTo[i]-s.partFrom[i]) / float64(s.partTo[i]-s.partFrom[i])
}

func percentRank(s *span, i int) float64 {
	if s.partTo[i]-s.partFrom[i] == 1 {
		return 0
	}
	return float64(s.peerFrom[i]-s.partFrom[i]) / float64(s.partTo[i]-s.partFrom[i]-1)
}

func (r *rankFunc) keepFrom(next int64) int64 { return next }

func (r *rankFunc) eval(_ context.Context, s *span) (arrow.Array, error) {
	r.out.Reset()
	switch {
	case r.share != nil:
		for i := range s.batch.Rows {
			r.out.F64 = append(r.out.F64, r.share(s, i))
		}
	case r.out.Kind == column.Uint64:
		for i := range s.batch.Rows {
			r.out.U64 = append(r.out.U64, uint64(r.place(s, i)))
		}
	default:
		for i := range s.batch.Rows {
			r.out.I64 = append(r.out.I64, r.place(s, i))
		}
	}
	r.out.Appended(s.batch.Rows)
	return r.out.Array(), nil
}

// rowValue is a function whose result is a value of another row: LEAD and LAG, FIRST_VALUE and its like.
type rowValue struct {
	out       *column.Builder
	place     int // of the value's column
	otherwise int // of LEAD and LAG: the column of the default; -1: NULL
	target    func(s *span, i int) (row int64, ok bool)
	rows      *cursor
	picked    []int32
	// low is a row before which the rows to come have no targets. pinned: it is the target of its whole partition.
	low    int64
	pinned bool
}

func (w *window) newRowValue(f *tipb.Expr) (windowFunc, lookahead, error) {
	if len(f.Children) == 0 {
		return nil, lookahead{}, &UnsupportedError{What: f.Tp.String() + " without an argument"}
	}
	place, err := w.valueColumn(f, f.Children[0])
	if err != nil {
		return nil, lookahead{}, err
	}
	r := &rowValue{out: column.NewBuilder(f.FieldType, 0), place: place, otherwise: -1, rows: w.log.newCursor()}
	count, err := constCount(f, 1, 1)
	if err != nil {
		return nil, lookahead{}, err
	}
	if len(f.Children) > 2 {
		if r.otherwise, err = w.valueColumn(f, f.Children[2]); err != nil {
			return nil, lookahead{}, err
		}
	}
	ahead := lookahead{}
	switch f.Tp {
	case tipb.ExprType_Lead:
		ahead.rows = count
		r.target = r.offset(count)
	case tipb.ExprType_Lag:
		r.target = r.offset(-count)
	case tipb.ExprType_FirstValue:
		r.target, r.pinned = r.nth(0), w.frame.fixedStart()
	case tipb.ExprType_LastValue:
		r.target = r.lastOf
	case tipb.ExprType_NthValue:
		if count == 0 {
			return nil, ahead, value.Errorf(codeWrongArguments, "Incorrect arguments to nth_value")
		}
		r.target, r.pinned = r.nth(count-1), w.frame.fixedStart()
	}
	return r, ahead, nil
}

// valueColumn is the place of an expression whose values have the form of the function's.
func (w *window) valueColumn(f, e *tipb.Expr) (int, error) {
	place, ft, err := w.eval.add(e)
	if err == nil && !sameForm(ft, f.FieldType) {
		err = &UnsupportedError{What: f.Tp.String() + " of another type than its argument"}
	}
	return place, err
}

func (r *rowValue) offset(rows int64) func(s *span, i int) (int64, bool) {
	return func(s *span, i int) (int64, bool) {
		row := s.base + int64(i) + rows
		r.low = max(r.low, row)
		return row, row >= s.partFrom[i] && row < s.partTo[i]
	}
}

func (r *rowValue) nth(n int64) func(s *span, i int) (int64, bool) {
	return func(s *span, i int) (int64, bool) {
		row := s.from[i] + n
		r.low = max(r.low, row)
		return row, row < s.to[i]
	}
}

func (r *rowValue) lastOf(s *span, i int) (int64, bool) {
	row := s.to[i] - 1
	r.low = max(r.low, row)
	return row, row >= s.from[i]
}

func (r *rowValue) keepFrom(next int64) int64 {
	r.rows.forget(r.low)
	if r.pinned && r.rows.holds(r.low) {
		return next
	}
	return min(next, r.low)
}

// eval gathers the values batch by batch of the log.
func (r *rowValue) eval(_ context.Context, s *span) (arrow.Array, error) {
	r.out.Reset()
	from := logPiece{} // that picked lists rows of
	for i := range s.batch.Rows {
		row, ok := r.target(s, i)
		if ok && row >= from.base && row < from.end {
			r.picked = append(r.picked, int32(row-from.base))
			continue
		}
		if err := r.flush(from.batch); err != nil {
			return nil, err
		}
		if !ok {
			r.appendDefault(s, i)
			continue
		}
		b, at, err := r.rows.at(row)
		if err != nil {
			return nil, err
		}
		from = logPiece{base: row - int64(at), end: row - int64(at) + int64(b.Rows), batch: b}
		r.picked = append(r.picked, int32(at))
	}
	err := r.flush(from.batch)
	return r.out.Array(), err
}

// flush takes over the values that are picked from a batch.
func (r *rowValue) flush(from Batch) error {
	if len(r.picked) == 0 {
		return nil
	}
	err := appendBounded(r.out, from.Cols[r.place], r.picked)
	r.picked = r.picked[:0]
	return err
}

// appendDefault is for a row without a target.
func (r *rowValue) appendDefault(s *span, i int) {
	if r.otherwise < 0 {
		r.out.AppendNull()
	} else {
		r.out.AppendFrom(s.batch.Cols[r.otherwise], i)
	}
}
