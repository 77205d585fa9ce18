package agg

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
)

// distinct passes on to its function each combination of arguments once a group. The pairs of group and arguments are
// numbered by a Grouper of their own: a number never seen before is a combination never seen before.
type distinct struct {
	Accumulator
	args  int // that count: without a separator
	seen  *Grouper
	ids   []uint32
	fresh []int32
}

func newDistinct(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (Accumulator, error) {
	inner, err := newPlain(f, args, ctx)
	if err != nil {
		return nil, err
	}
	n := len(args)
	if c, ok := inner.(*concat); ok {
		n = len(c.in)
	}
	group := &tipb.FieldType{Tp: column.TypeLongLong, Flag: column.FlagUnsigned}
	seen, err := NewGrouper(append([]*tipb.FieldType{group}, args[:n]...))
	if err != nil {
		return nil, err
	}
	return &distinct{Accumulator: inner, args: n, seen: seen}, nil
}

func (d *distinct) Bytes() int64 { return d.Accumulator.Bytes() + d.seen.Bytes() }

func (d *distinct) Update(groups []uint32, args []arrow.Array) error {
	wide := make([]uint64, len(groups))
	for i, g := range groups {
		wide[i] = uint64(g)
	}
	group := column.Primitive(column.Uint64, len(wide), arrow.Uint64Traits.CastToBytes(wide), nil, 0)
	known := uint32(d.seen.Len())
	d.ids = d.seen.Group(append([]arrow.Array{group}, args[:d.args]...), len(groups), d.ids)
	d.fresh = d.fresh[:0]
	fresh := make([]uint32, 0, len(groups))
	for i, id := range d.ids {
		if id == known { // numbers are given in the order of rows
			known++
			d.fresh = append(d.fresh, int32(i))
			fresh = append(fresh, groups[i])
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	args = slices.Clone(args)
	for k, a := range args {
		args[k] = column.Gather(a, d.fresh)
	}
	return d.Accumulator.Update(fresh, args)
}
