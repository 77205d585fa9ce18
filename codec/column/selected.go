package column

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
)

// Run is the rows from Start to End, without that.
type Run struct{ Start, End int32 }

// Runs appends to dst the runs that a selection is made of.
func Runs(dst []Run, sel []int32) []Run {
	for i := 0; i < len(sel); {
		first := i
		for i++; i < len(sel) && sel[i] == sel[i-1]+1; i++ {
		}
		dst = append(dst, Run{sel[first], sel[i-1] + 1})
	}
	return dst
}

// AppendRuns appends runs of rows of a, a column of the same kind: AppendRows for selections of most rows. The caller sees to
// it that a Bytes column stays below MaxData.
func (b *Builder) AppendRuns(a arrow.Array, runs []Run) {
	switch a := a.(type) {
	case *array.Int64:
		b.I64 = appendRuns(b.I64, a.Int64Values(), runs)
	case *array.Uint64:
		b.U64 = appendRuns(b.U64, a.Uint64Values(), runs)
	case *array.Float64:
		b.F64 = appendRuns(b.F64, a.Float64Values(), runs)
	case *array.Decimal128:
		b.D128 = appendRuns(b.D128, a.Values(), runs)
	case *array.Decimal256:
		b.D256 = appendRuns(b.D256, a.Values(), runs)
	case *array.Binary:
		b.appendByteRuns(a, runs)
	}
	bits := NullBits(a)
	for _, r := range runs {
		if bits == nil {
			b.Appended(int(r.End - r.Start))
			continue
		}
		for i := r.Start; i < r.End; i++ {
			b.noteValid(bitutil.BitIsSet(bits, int(i)))
		}
	}
}

func appendRuns[T any](dst, in []T, runs []Run) []T {
	for _, r := range runs {
		dst = append(dst, in[r.Start:r.End]...)
	}
	return dst
}

func (b *Builder) appendByteRuns(a *array.Binary, runs []Run) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	for _, r := range runs {
		from := offsets[r.Start] - offsets[0]
		move := int32(len(b.Data)) - offsets[r.Start]
		b.Data = append(b.Data, data[from:offsets[r.End]-offsets[0]]...)
		at := len(b.Ends)
		b.Ends = slices.Grow(b.Ends, int(r.End-r.Start))[:at+int(r.End-r.Start)]
		ends := b.Ends[at:]
		for i, end := range offsets[r.Start+1 : r.End+1] {
			ends[i] = end + move
		}
	}
}

// noteValid counts one value that is appended, or the placeholder of a NULL.
func (b *Builder) noteValid(valid bool) {
	if valid {
		b.Appended(1)
	} else {
		b.NoteNull()
	}
}
