package agg

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor/expr"
)

// Distinct passes on to its function each combination of arguments once a group. The pairs of group and arguments are
// numbered by a Grouper of their own: a number never seen before is a combination never seen before.
//
// Where that set takes too much memory, a caller may Drain it of its pairs, as often as it likes, and put them aside. In the end it
// comes back with them, part by part: Add those of a part, then Count them. Equal pairs must be in the same part.
type Distinct struct {
	Accumulator
	types    []*tipb.FieldType // of the group and of the arguments that count: without a separator
	newInner func() (Accumulator, error)
	divides  bool
	groups   int
	seen     *Grouper
	drained  bool // the function sees what Count gives it, and nothing else
	ids      []uint32
	fresh    []int32
}

func newDistinct(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (*Distinct, error) {
	d := &Distinct{newInner: func() (Accumulator, error) { return newPlain(f, args, ctx) }, divides: isDivisible(f.Tp)}
	var err error
	if d.Accumulator, err = d.newInner(); err != nil {
		return nil, err
	}
	n := len(args)
	if c, ok := d.Accumulator.(*concat); ok {
		n = len(c.in)
	}
	group := &tipb.FieldType{Tp: column.TypeLongLong, Flag: column.FlagUnsigned}
	d.types = append([]*tipb.FieldType{group}, args[:n]...)
	return d, d.forget()
}

// isDivisible holds for functions that do not mind the order of values.
func isDivisible(tp tipb.ExprType) bool {
	switch tp {
	case tipb.ExprType_Count, tipb.ExprType_Sum, tipb.ExprType_Avg, tipb.ExprType_Agg_BitXor, tipb.ExprType_Std, tipb.ExprType_Stddev,
		tipb.ExprType_StddevPop, tipb.ExprType_StddevSamp, tipb.ExprType_VarPop, tipb.ExprType_VarSamp, tipb.ExprType_Variance:
		return true
	}
	return false
}

// Divisible tells whether the set may be drained: the function gives the same for values in whatever order.
func (d *Distinct) Divisible() bool { return d.divides }

// Types are the columns of pairs: the number of the group, and the arguments.
func (d *Distinct) Types() []*tipb.FieldType { return d.types }

// Drain empties the set and gives its pairs to use, which owns them, as if they had never come. Pairs that come from now on are not
// counted before Count.
func (d *Distinct) Drain(use func(pairs []arrow.Array, rows int) error) (err error) {
	if !d.drained {
		if d.Accumulator, err = d.newInner(); err != nil {
			return err
		}
		d.Accumulator.Resize(d.groups)
		d.drained = true
	}
	return d.empty(use)
}

// Add adds pairs, in columns of Types, to a set that was drained before.
func (d *Distinct) Add(pairs []arrow.Array, rows int) { d.ids = d.seen.Group(pairs, rows, d.ids) }

// Count empties a set that was drained before, passing its pairs to the function.
func (d *Distinct) Count() error {
	return d.empty(func(pairs []arrow.Array, rows int) error {
		groups := make([]uint32, rows)
		for i, n := range pairs[0].(*array.Uint64).Uint64Values() {
			groups[i] = uint32(n)
		}
		return d.Accumulator.Update(groups, pairs[1:])
	})
}

func (d *Distinct) empty(use func(pairs []arrow.Array, rows int) error) error {
	for from := 0; from < d.seen.Len(); from += column.BatchSize {
		to := min(from+column.BatchSize, d.seen.Len())
		if err := use(d.seen.Keys(from, to), to-from); err != nil {
			return err
		}
	}
	return d.forget()
}

func (d *Distinct) forget() (err error) {
	d.seen, err = NewGrouper(d.types)
	return err
}

// Resize implements Accumulator.
func (d *Distinct) Resize(groups int) {
	d.groups = groups
	d.Accumulator.Resize(groups)
}

// Bytes implements Accumulator.
func (d *Distinct) Bytes() int64 { return d.Accumulator.Bytes() + d.seen.Bytes() }

// Update implements Accumulator.
func (d *Distinct) Update(groups []uint32, args []arrow.Array) error {
	wide := make([]uint64, len(groups))
	for i, g := range groups {
		wide[i] = uint64(g)
	}
	group := column.Primitive(column.Uint64, len(wide), arrow.Uint64Traits.CastToBytes(wide), nil, 0)
	known := uint32(d.seen.Len())
	d.Add(append([]arrow.Array{group}, args[:len(d.types)-1]...), len(groups))
	if d.drained {
		return nil
	}
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
