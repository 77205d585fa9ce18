package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// bitwise is BIT_AND, BIT_OR or BIT_XOR over 64 bits. Groups without values have all ones, or zero.
type bitwise struct {
	op    tipb.ExprType
	out   *tipb.FieldType
	state []uint64
}

func newBits(f *tipb.Expr, in *tipb.FieldType) (Accumulator, error) {
	if k := column.KindOf(in); k != column.Int64 && k != column.Uint64 {
		return nil, unsupported(f, "of anything but integers")
	}
	return &bitwise{op: f.Tp, out: f.FieldType}, nil
}

func (b *bitwise) Bytes() int64 { return int64(8 * cap(b.state)) }

func (b *bitwise) Resize(groups int) {
	from := len(b.state)
	b.state = grow(b.state, groups)
	if b.op == tipb.ExprType_Agg_BitAnd {
		for i := from; i < len(b.state); i++ {
			b.state[i] = ^uint64(0)
		}
	}
}

func (b *bitwise) Update(groups []uint32, args []arrow.Array) error {
	valid := column.NullBits(args[0])
	for i, g := range groups {
		if !column.IsValid(valid, i) {
			continue
		}
		v := uint64(integerAt(args[0], i))
		switch b.op {
		case tipb.ExprType_Agg_BitAnd:
			b.state[g] &= v
		case tipb.ExprType_Agg_BitOr:
			b.state[g] |= v
		default:
			b.state[g] ^= v
		}
	}
	return nil
}

func (b *bitwise) Merge(groups []uint32, state []arrow.Array) error { return b.Update(groups, state) }

func (b *bitwise) Partial(from, to int) ([]arrow.Array, error) {
	a, err := b.Final(from, to)
	return []arrow.Array{a}, err
}

func (b *bitwise) Final(from, to int) (arrow.Array, error) {
	vals := b.state[from:to]
	kind := column.Uint64
	if column.KindOf(b.out) == column.Int64 {
		kind = column.Int64
	}
	return column.Primitive(kind, len(vals), arrow.Uint64Traits.CastToBytes(vals), nil, 0), nil
}
