package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// count counts the rows whose arguments are all not NULL.
type count struct {
	out    *tipb.FieldType
	counts []int64
	valid  []byte
}

func (c *count) Resize(groups int) { c.counts = grow(c.counts, groups) }
func (c *count) Bytes() int64      { return int64(8 * cap(c.counts)) }

func (c *count) Update(groups []uint32, args []arrow.Array) error {
	bits := c.common(args, len(groups))
	switch {
	case bits == nil && len(c.counts) == 1:
		c.counts[0] += int64(len(groups))
	case bits == nil:
		for _, g := range groups {
			c.counts[g]++
		}
	default:
		for i, g := range groups {
			if bitutil.BitIsSet(bits, i) {
				c.counts[g]++
			}
		}
	}
	return nil
}

// common is the bitmap of the rows where no argument is NULL, nil for all rows.
func (c *count) common(args []arrow.Array, rows int) []byte {
	var bits []byte
	for _, a := range args {
		b := column.NullBits(a)
		switch {
		case b == nil:
		case bits == nil:
			bits = b
		default:
			c.valid = grow(c.valid, len(b))
			bitutil.BitmapAnd(bits, b, 0, 0, c.valid, 0, int64(rows))
			bits = c.valid
		}
	}
	return bits
}

func (c *count) Merge(groups []uint32, state []arrow.Array) error {
	for i, g := range groups {
		if state[0].IsValid(i) {
			c.counts[g] += integerAt(state[0], i)
		}
	}
	return nil
}

func integerAt(a arrow.Array, i int) int64 {
	if u, ok := a.(*array.Uint64); ok {
		return int64(u.Value(i))
	}
	return a.(*array.Int64).Value(i)
}

func (c *count) Partial(from, to int) ([]arrow.Array, error) {
	a, err := c.Final(from, to)
	return []arrow.Array{a}, err
}

func (c *count) Final(from, to int) (arrow.Array, error) {
	return integers(c.out, c.counts[from:to]), nil
}

// integers is a column of counts. It aliases them.
func integers(ft *tipb.FieldType, vals []int64) arrow.Array {
	kind := column.Int64
	if column.KindOf(ft) == column.Uint64 {
		kind = column.Uint64
	}
	return column.Primitive(kind, len(vals), arrow.Int64Traits.CastToBytes(vals), nil, 0)
}
