package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// concat is GROUP_CONCAT: the texts of its arguments, row after row, with a separator between rows. A row with a NULL
// argument does not count. The separator is the last argument, a constant; rows come in the order of arrival.
type concat struct {
	in     []*tipb.FieldType // without the separator
	out    *tipb.FieldType
	sep    []byte
	limit  uint64
	groups [][]byte // nil: no rows yet
	size   int64
}

func newConcat(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (Accumulator, error) {
	if len(f.OrderBy) > 0 {
		return nil, unsupported(f, "with ORDER BY")
	}
	c := &concat{in: args, out: f.FieldType, sep: []byte{','}}
	if ctx != nil {
		c.limit = ctx.MaxAllowedPacket
	}
	if n := len(f.Children); n > 1 {
		last := f.Children[n-1]
		if last.Tp != tipb.ExprType_String && last.Tp != tipb.ExprType_Bytes {
			return nil, unsupported(f, "with a separator that is no constant")
		}
		c.sep, c.in = last.Val, args[:n-1]
	}
	return c, nil
}

func (c *concat) Resize(groups int) { c.groups = grow(c.groups, groups) }
func (c *concat) Bytes() int64      { return c.size + int64(24*cap(c.groups)) }

func (c *concat) Update(groups []uint32, args []arrow.Array) error {
	args = args[:len(c.in)]
rows:
	for i, g := range groups {
		for _, a := range args {
			if a.IsNull(i) {
				continue rows
			}
		}
		if err := c.appendRow(g, args, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *concat) appendRow(g uint32, args []arrow.Array, row int) error {
	b := c.groups[g]
	before := len(b)
	if b == nil {
		b = make([]byte, 0, 16)
	} else {
		b = append(b, c.sep...)
	}
	for k, a := range args {
		b = datum.FromColumn(a, row, c.in[k]).AppendText(b, c.in[k])
	}
	if len(b) > column.MaxData || (c.limit > 0 && uint64(len(b)) > c.limit) {
		return value.Errorf(value.CodeDataOutOfRange, "GROUP_CONCAT value is out of range in '%d bytes'", len(b))
	}
	c.size += int64(len(b) - before)
	c.groups[g] = b
	return nil
}

func (c *concat) Merge(groups []uint32, state []arrow.Array) error { return c.Update(groups, state) }

func (c *concat) Partial(from, to int) ([]arrow.Array, error) {
	a, err := c.Final(from, to)
	return []arrow.Array{a}, err
}

func (c *concat) Final(from, to int) (arrow.Array, error) {
	return stringColumn(c.out, c.groups[from:to]), nil
}
