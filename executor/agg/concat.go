package agg

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// concat is GROUP_CONCAT: the texts of its arguments, row after row, with a separator between rows. A row with a NULL
// argument does not count. The separator is the last of the function's children, a constant. With ORDER BY the values of
// its expressions follow as further arguments; without, rows come in the order of arrival.
type concat struct {
	in     []*tipb.FieldType // without the separator
	order  []sortItem
	from   int // the first argument of the order
	out    *tipb.FieldType
	sep    []byte
	ctx    *expr.Context // nil: there is none
	limit  uint64
	groups []concatGroup
	size   int64
}

// concatGroup is what a group has so far: its text, or, with an order, its rows apart.
type concatGroup struct {
	text []byte // nil: no rows yet
	rows []concatRow
}

// concatRow is a row's text, a key whose byte order is the ORDER BY's, and how many rows came before.
type concatRow struct {
	text, key []byte
	at        int
}

const concatRowBytes = 56

type sortItem struct {
	ft   *tipb.FieldType
	desc bool
}

func newConcat(f *tipb.Expr, args []*tipb.FieldType, ctx *expr.Context) (Accumulator, error) {
	n := len(f.Children)
	if len(args) != n+len(f.OrderBy) || n == 0 {
		return nil, unsupported(f, "without the values of its ORDER BY")
	}
	if len(f.OrderBy) > 0 && merges(f) {
		return nil, unsupported(f, "with ORDER BY in parts")
	}
	c := &concat{in: args[:n], from: n, out: f.FieldType, ctx: ctx, sep: []byte{','}}
	if ctx != nil {
		c.limit = ctx.MaxAllowedPacket
	}
	if n > 1 {
		last := f.Children[n-1]
		if last.Tp != tipb.ExprType_String && last.Tp != tipb.ExprType_Bytes {
			return nil, unsupported(f, "with a separator that is no constant")
		}
		c.sep, c.in = last.Val, args[:n-1]
	}
	for i, item := range f.OrderBy {
		if args[n+i].Tp == column.TypeJSON {
			return nil, unsupported(f, "with ORDER BY of JSON")
		}
		c.order = append(c.order, sortItem{ft: args[n+i], desc: item.Desc})
	}
	return c, nil
}

func (c *concat) Resize(groups int) { c.groups = grow(c.groups, groups) }
func (c *concat) Bytes() int64      { return c.size + int64(48*cap(c.groups)) }

func (c *concat) Update(groups []uint32, args []arrow.Array) error {
	in := args[:len(c.in)]
rows:
	for i, g := range groups {
		for _, a := range in {
			if a.IsNull(i) {
				continue rows
			}
		}
		if err := c.addRow(&c.groups[g], args, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *concat) addRow(g *concatGroup, args []arrow.Array, row int) error {
	if len(c.order) == 0 {
		before := len(g.text)
		if g.text == nil {
			g.text = make([]byte, 0, 16)
		} else {
			g.text = append(g.text, c.sep...)
		}
		g.text = c.appendText(g.text, args, row)
		c.size += int64(len(g.text) - before)
		return c.checkLen(len(g.text))
	}
	r := concatRow{text: c.appendText(nil, args, row), at: len(g.rows)}
	for k, item := range c.order {
		from := len(r.key)
		var err error
		if r.key, err = datum.AppendKey(r.key, datum.FromColumn(args[c.from+k], row, item.ft), item.ft); err != nil {
			return err
		}
		if item.desc { // no key is a prefix of another, so its complement sorts the other way round
			for i := range r.key[from:] {
				r.key[from+i] ^= 0xFF
			}
		}
	}
	g.rows = append(g.rows, r)
	c.size += int64(len(r.text) + len(r.key) + concatRowBytes)
	return nil
}

func (c *concat) appendText(dst []byte, args []arrow.Array, row int) []byte {
	for k, ft := range c.in {
		dst = datum.FromColumn(args[k], row, ft).AppendText(dst, ft)
	}
	return dst
}

func (c *concat) checkLen(n int) error {
	if n > column.MaxData || (c.limit > 0 && uint64(n) > c.limit) {
		return value.Errorf(value.CodeDataOutOfRange, "GROUP_CONCAT value is out of range in '%d bytes'", n)
	}
	return nil
}

func (c *concat) Merge(groups []uint32, state []arrow.Array) error { return c.Update(groups, state) }

func (c *concat) Partial(from, to int) ([]arrow.Array, error) {
	a, err := c.Final(from, to)
	return []arrow.Array{a}, err
}

func (c *concat) Final(from, to int) (arrow.Array, error) {
	texts := make([][]byte, 0, to-from)
	for i := range c.groups[from:to] {
		g := &c.groups[from+i]
		if len(g.rows) > 0 {
			if err := c.join(g); err != nil {
				return nil, err
			}
		}
		texts = append(texts, g.text)
	}
	return stringColumn(c.out, texts), nil
}

// join makes the text of a group of rows in their order.
func (c *concat) join(g *concatGroup) error {
	if err := c.sort(g.rows); err != nil {
		return err
	}
	g.text = make([]byte, 0, 16)
	for i, r := range g.rows {
		if i > 0 {
			g.text = append(g.text, c.sep...)
		}
		g.text = append(g.text, r.text...)
		if err := c.checkLen(len(g.text)); err != nil {
			return err
		}
	}
	return nil
}

// endEvery is how many comparisons of a sort are made before a look at whether the query has ended.
const endEvery = 4096

// sort sorts rows. Once the query has ended they are all the same, so that it comes to its end soon.
func (c *concat) sort(rows []concatRow) (err error) {
	calls := 0
	slices.SortFunc(rows, func(a, b concatRow) int {
		if calls++; calls%endEvery == 0 && err == nil {
			err = c.ctx.Ended()
		}
		if err != nil {
			return 0
		}
		return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(a.at, b.at))
	})
	return err
}
