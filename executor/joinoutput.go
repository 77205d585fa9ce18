package executor

import (
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// joinOutput makes the columns that a join puts out: copies of rows, in memory that the next batch uses again, and blanks, zeros
// that all batches share, where nobody looks.
type joinOutput struct {
	need   neededColumns
	cols   []*column.Builder
	blanks []arrow.Array // as many zeros as were ever asked for; nil: not yet
}

func newJoinOutput(types []*tipb.FieldType) joinOutput {
	o := joinOutput{blanks: make([]arrow.Array, len(types))}
	for _, ft := range types {
		o.cols = append(o.cols, column.NewBuilder(ft, 0))
	}
	return o
}

// blank is n rows of column i.
func (o *joinOutput) blank(i, n int) arrow.Array {
	if o.blanks[i] == nil || o.blanks[i].Len() < n {
		zeros := column.NewBuilder(o.cols[i].Type, max(n, column.BatchSize))
		for range max(n, column.BatchSize) {
			zeros.AppendZero()
		}
		o.blanks[i] = zeros.Detach()
	}
	return array.NewSlice(o.blanks[i], 0, int64(n))
}

// gather appends to out rows of cols, which are the output's next columns.
func (o *joinOutput) gather(out, cols []arrow.Array, rows []int32) []arrow.Array {
	for _, c := range cols {
		at := len(out)
		if !o.need.needs(at) {
			out = append(out, o.blank(at, len(rows)))
			continue
		}
		o.cols[at].Reset()
		o.cols[at].AppendRows(c, rows)
		out = append(out, o.cols[at].Array())
	}
	return out
}

// pairColumns appends a side's columns of the pairs at hand: those of the probe side as they are, where that is the same.
func (j *hashJoin) pairColumns(out []arrow.Array, left bool, rows []int32) []arrow.Array {
	cols := j.columnsOf(left)
	if left != j.buildLeft && j.probe.allPaired() {
		return append(out, cols...)
	}
	return j.output.gather(out, cols, rows)
}

// probeRows puts out rows of the probe side's batch by their state: all with a mark, or those that the kind asks for.
func (j *hashJoin) probeRows() Batch {
	b := j.probe.batch
	if j.kind.mark {
		cols := append(slices.Clone(b.Cols), j.marks(0, b.Rows))
		return Batch{Cols: cols, Sel: b.Sel, Rows: b.Rows}
	}
	sel := j.probe.sel[:0]
	for i := range b.Len() {
		if r := b.Row(i); j.wanted(j.state[r]) {
			sel = append(sel, int32(r))
		}
	}
	if j.probe.sel = sel; len(sel) == 0 { // nil would select all
		return Batch{}
	}
	if !j.kind.pairs {
		return Batch{Cols: b.Cols, Sel: sel, Rows: b.Rows}
	}
	return j.padded(b.Cols, sel, j.buildLeft)
}

// padded makes rows of an outer join whose other side, the left one if leftNull, is NULL.
func (j *hashJoin) padded(cols []arrow.Array, rows []int32, leftNull bool) Batch {
	if len(rows) == 0 {
		return Batch{}
	}
	out := make([]arrow.Array, 0, len(j.fields))
	if leftNull {
		out = append(out, nulls(j.left.Fields(), len(rows))...)
	}
	out = j.output.gather(out, cols, rows)
	if !leftNull {
		out = append(out, nulls(j.right.Fields(), len(rows))...)
	}
	return Batch{Cols: out, Rows: len(rows)}
}

func nulls(types []*tipb.FieldType, rows int) []arrow.Array {
	out := make([]arrow.Array, len(types))
	for i, ft := range types {
		b := column.NewBuilder(ft, rows)
		for range rows {
			b.AppendNull()
		}
		out[i] = b.Detach()
	}
	return out
}

// marks is the column that tells whether rows [from, to) matched.
func (j *hashJoin) marks(from, to int) arrow.Array {
	b := column.NewBuilder(j.fields[len(j.fields)-1], to-from)
	for _, s := range j.state[from:to] {
		matched := s&rowMatched != 0
		switch {
		case !matched && s&rowUnknown != 0:
			b.AppendNull()
		case matched != j.kind.anti:
			b.AppendInt64(1)
		default:
			b.AppendInt64(0)
		}
	}
	return b.Detach()
}

// nextTail puts out rows of the build side by their state.
func (j *hashJoin) nextTail() (Batch, error) {
	if !j.buildKept() {
		return Batch{}, io.EOF
	}
	var rows []int32
	for ; j.tail < len(j.state) && len(rows) < column.BatchSize; j.tail++ {
		if j.wanted(j.state[j.tail]) {
			rows = append(rows, int32(j.tail))
		}
	}
	if len(rows) == 0 {
		return Batch{}, io.EOF
	}
	if j.kind.pairs {
		return j.padded(j.build.cols, rows, !j.buildLeft), nil
	}
	cols := j.output.gather(make([]arrow.Array, 0, len(j.fields)), j.build.cols, rows)
	if j.kind.mark { // all rows are wanted: they are consecutive
		cols = append(cols, j.marks(int(rows[0]), int(rows[0])+len(rows)))
	}
	return Batch{Cols: cols, Rows: len(rows)}, nil
}
