package executor

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// collector keeps the selected rows of many batches as one, with the values of some expressions over them beside it.
type collector struct {
	exprs  []expr.Expr
	out    []*column.Builder // the input's columns, then those of exprs
	places []int             // of each expression's values in out
	inputs int
	rows   int
	evals  []arrow.Array
}

// newCollector makes a collector for rows of the given types. An expression that is a column of the input already has
// no column of its own: refs tells its place, or -1.
func newCollector(types []*tipb.FieldType, exprs []expr.Expr, refs []int) *collector {
	c := &collector{exprs: exprs, inputs: len(types), evals: make([]arrow.Array, len(exprs))}
	for _, ft := range types {
		c.out = append(c.out, column.NewBuilder(ft, 0))
	}
	for i, x := range exprs {
		if refs[i] >= 0 {
			c.places = append(c.places, refs[i])
			continue
		}
		c.places = append(c.places, len(c.out))
		c.out = append(c.out, column.NewBuilder(x.Type(), 0))
	}
	return c
}

// columnRefs tells which expressions are plain references to columns of the input, -1 for the others.
func columnRefs(exprs []*tipb.Expr, inputs int) []int {
	refs := make([]int, len(exprs))
	for i, e := range exprs {
		refs[i] = -1
		if e.Tp != tipb.ExprType_ColumnRef || len(e.Val) != 8 {
			continue
		}
		if at := columnOffset(e.Val); at >= 0 && at < inputs {
			refs[i] = at
		}
	}
	return refs
}

// eval computes the expressions that have columns of their own.
func (c *collector) eval(b Batch) (err error) {
	for i, x := range c.exprs {
		if c.places[i] < c.inputs {
			c.evals[i] = b.Cols[c.places[i]]
		} else if c.evals[i], err = x.Eval(b); err != nil {
			return err
		}
	}
	return nil
}

// add keeps the rows of b that sel lists (nil: all); eval has seen b.
func (c *collector) add(b Batch, sel []int32) error {
	for i, a := range b.Cols {
		if err := appendBounded(c.out[i], a, sel); err != nil {
			return err
		}
	}
	for i, a := range c.evals {
		if c.places[i] >= c.inputs {
			if err := appendBounded(c.out[c.places[i]], a, sel); err != nil {
				return err
			}
		}
	}
	if sel == nil {
		c.rows += b.Rows
	} else {
		c.rows += len(sel)
	}
	return nil
}

// fits reports whether the strings of b have room in the columns. It may say no too early.
func (c *collector) fits(b Batch) bool {
	for i, a := range b.Cols {
		if s, ok := a.(*array.Binary); ok && len(c.out[i].Data)+len(s.ValueBytes()) > column.MaxData {
			return false
		}
	}
	return true
}

// types are those of all columns: the input's, then those of expressions.
func (c *collector) types() []*tipb.FieldType {
	types := make([]*tipb.FieldType, len(c.out))
	for i, b := range c.out {
		types[i] = b.Type
	}
	return types
}

// reset forgets the rows and gives their memory back.
func (c *collector) reset() {
	for i, b := range c.out {
		c.out[i] = column.NewBuilder(b.Type, 0)
	}
	c.rows = 0
}

// appendBounded refuses strings beyond what one column can hold.
func appendBounded(b *column.Builder, a arrow.Array, sel []int32) error {
	if s, ok := a.(*array.Binary); ok && len(b.Data)+len(s.ValueBytes()) > column.MaxData {
		size := 0
		offsets := s.ValueOffsets()
		for _, r := range sel {
			size += int(offsets[r+1] - offsets[r])
		}
		if sel == nil || len(b.Data)+size > column.MaxData {
			return value.Errorf(value.CodeMemoryQuota,
				"Your query has been cancelled due to exceeding the allowed memory limit: 2 GiB of strings in one column")
		}
	}
	b.AppendRows(a, sel)
	return nil
}

func (c *collector) bytes() int64 {
	n := int64(0)
	for _, b := range c.out {
		n += b.Bytes()
	}
	return n
}

// columns are the collected input columns; they alias the collector.
func (c *collector) columns() []arrow.Array { return arrays(c.out[:c.inputs]) }

// values are the collected values of the expressions.
func (c *collector) values() []arrow.Array {
	out := make([]arrow.Array, len(c.places))
	for i, at := range c.places {
		out[i] = c.out[at].Array()
	}
	return out
}

// keep throws all rows away but the listed ones, which come in that order.
func (c *collector) keep(rows []int32) {
	for i, b := range c.out {
		kept := column.NewBuilder(b.Type, 0)
		kept.AppendRows(b.Array(), rows)
		c.out[i] = kept
	}
	c.rows = len(rows)
}

func arrays(builders []*column.Builder) []arrow.Array {
	out := make([]arrow.Array, len(builders))
	for i, b := range builders {
		out[i] = b.Array()
	}
	return out
}

// gatherAll gathers rows of all columns.
func gatherAll(out, cols []arrow.Array, rows []int32) []arrow.Array {
	for _, c := range cols {
		out = append(out, column.Gather(c, rows))
	}
	return out
}
