package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// first is FIRST: the value of a group's first row, NULL or not.
type first struct {
	in, out *tipb.FieldType
	values  *column.Builder // in order of arrival
	at      []int32         // 1 + the group's position in values; 0: no row yet
	fresh   []int32
}

func (f *first) Resize(groups int) { f.at = grow(f.at, groups) }
func (f *first) Bytes() int64      { return f.values.Bytes() + int64(4*cap(f.at)) }

func (f *first) Update(groups []uint32, args []arrow.Array) error {
	f.fresh = f.fresh[:0]
	for i, g := range groups {
		if f.at[g] == 0 {
			f.fresh = append(f.fresh, int32(i))
			f.at[g] = int32(f.values.Len() + len(f.fresh))
		}
	}
	if len(f.fresh) > 0 {
		f.values.AppendRows(args[0], f.fresh)
	}
	return nil
}

func (f *first) Merge(groups []uint32, state []arrow.Array) error { return f.Update(groups, state) }

func (f *first) Partial(from, to int) ([]arrow.Array, error) {
	a, err := f.Final(from, to)
	return []arrow.Array{a}, err
}

func (f *first) Final(from, to int) (arrow.Array, error) {
	rows := make([]int32, 0, to-from)
	for _, at := range f.at[from:to] {
		rows = append(rows, at-1)
	}
	return retype(column.Gather(f.values.Array(), rows), f.in, f.out)
}
