package coprocessor

import (
	"bytes"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/storage/columnar"
)

// zoneFilter tells by the zones of blocks which of them may have rows that a selection keeps.
//
// It has no comparisons of its own. From each condition that compares a column with constants it makes one about the column's
// bounds in a block, which holds wherever the condition could: a < 5 becomes min(a) <= 5, and a = 5 becomes min(a) <= 5 AND
// max(a) >= 5. The bounds of many blocks are a batch, one row a block, and the conditions about them an expr.Filter: so
// signs, scales and collations mean what they mean to the rows, and a bound that is NULL, as there are no values, keeps nothing.
//
// A selection runs its conditions one after another, and what a block is skipped by must not hide that another condition
// would have failed or warned. So conditions behind one that is not understood are left out, but for comparisons of numbers and times:
// expr.Filter runs those first.
type zoneFilter struct {
	filter *expr.Filter
	inputs []zoneInput
	types  []*tipb.FieldType // of inputs
}

// zoneInput is a column of the batch of bounds.
type zoneInput struct {
	col  int // of the scan
	side zoneSide
	// padded: the bound is for comparisons that ignore trailing spaces.
	padded bool
}

type zoneSide uint8

const (
	zoneMin zoneSide = iota
	zoneMax
	zoneNulls // how many values are NULL
)

// newZoneFilter makes the filter for the scan of a selection; nil where no condition helps.
func newZoneFilter(conditions []*tipb.Expr, fields []*tipb.FieldType, ctx *expr.Context) *zoneFilter {
	z := &zoneFilter{}
	c := zoneCompiler{z, fields}
	var tests []*tipb.Expr
	understood := true
	for _, e := range conjuncts(conditions, zoneDepthMax) {
		test := c.test(e, zoneDepthMax)
		switch {
		case test == nil:
			understood = understood && isPlain(e)
		case understood || runsFirst(e):
			tests = append(tests, test)
		}
	}
	if len(tests) == 0 {
		return nil
	}
	own := *ctx
	own.Warnings = &expr.Warnings{}
	var err error
	if z.filter, err = expr.NewFilter(tests, z.types, &own); err != nil {
		return nil // whatever is wrong with the conditions, the selection will say so
	}
	return z
}

// keep returns the blocks that may have rows for the selection.
func (z *zoneFilter) keep(blocks []*columnar.Block) ([]*columnar.Block, error) {
	if z == nil {
		return blocks, nil
	}
	kept := make([]bool, len(blocks))
	tested := z.bounds(blocks, kept)
	passed, err := z.filter.Apply(tested.batch)
	if err != nil {
		return nil, err
	}
	tested.batch.Sel = passed
	for i := range tested.batch.Len() {
		kept[tested.blocks[tested.batch.Row(i)]] = true
	}
	var out []*columnar.Block
	for i, b := range blocks {
		if kept[i] {
			out = append(out, b)
		}
	}
	return out, nil
}

// zoneBatch is a batch of bounds, and the blocks that its rows are of.
type zoneBatch struct {
	batch  executor.Batch
	blocks []int
}

// bounds puts together the bounds of blocks, and notes in unknown those that have none.
func (z *zoneFilter) bounds(blocks []*columnar.Block, unknown []bool) (out zoneBatch) {
	builders := make([]*column.Builder, len(z.inputs))
	for i, ft := range z.types {
		builders[i] = column.NewBuilder(ft, len(blocks))
	}
	for i, b := range blocks {
		if unknown[i] = !z.isBounded(b); unknown[i] {
			continue
		}
		out.blocks = append(out.blocks, i)
		for k, in := range z.inputs {
			in.append(b.Zone(in.col), builders[k])
		}
	}
	out.batch = executor.Batch{Rows: len(out.blocks), Cols: make([]arrow.Array, len(builders))}
	for i, b := range builders {
		out.batch.Cols[i] = b.Array()
	}
	return out
}

func (z *zoneFilter) isBounded(b *columnar.Block) bool {
	for _, in := range z.inputs {
		if !in.isKnown(b.Zone(in.col), b.Rows()) {
			return false
		}
	}
	return true
}

// isKnown tells whether a zone has the bound. That of values that are all NULL is NULL.
//
// Zones order strings by their bytes. Where trailing spaces do not count, "a\t" is below "a " as bytes, and above it as
// strings: then a lower bound must not have a byte below the space, and an upper bound must not end with a space.
func (in zoneInput) isKnown(zone columnar.Zone, rows int) bool {
	switch {
	case in.side == zoneNulls || zone.Nulls == rows:
		return true
	case !zone.Bounded:
		return false
	case zone.Kind != column.Bytes:
		return true
	case in.side == zoneMax:
		return zone.Max.Bytes != nil && !(in.padded && bytes.HasSuffix(zone.Max.Bytes, []byte(" ")))
	}
	return !in.padded || !slices.ContainsFunc(zone.Min.Bytes, func(b byte) bool { return b < ' ' })
}

// append adds the bound of a zone to its column.
func (in zoneInput) append(zone columnar.Zone, to *column.Builder) {
	bound := zone.Min
	if in.side == zoneMax {
		bound = zone.Max
	}
	switch {
	case in.side == zoneNulls:
		to.AppendInt64(int64(zone.Nulls))
	case !zone.Bounded:
		to.AppendNull()
	case to.Kind == column.Uint64:
		to.AppendUint64(bound.Uint64)
	case to.Kind == column.Float64:
		to.AppendFloat64(bound.Float64)
	case to.Kind == column.Bytes:
		to.AppendBytes(bound.Bytes)
	default:
		to.AppendInt64(bound.Int64)
	}
}
