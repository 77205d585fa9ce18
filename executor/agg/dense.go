package agg

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/scree-db/scree/codec/column"
)

// Index is Group for an empty grouper that takes all of its keys at once and will then only be asked to Find. Integers
// that lie close together, as primary keys do, go to an array indexed by key instead of a hash table. Many keys are taken in
// pieces, between which stop is asked whether to go on: an error of it ends the work.
func (g *Grouper) Index(cols []arrow.Array, rows int, stop func() error) ([]uint32, error) {
	if d := g.denseFor(cols[0]); d != nil {
		g.table = d
	} else if rows > 2*indexPiece {
		return g.indexPieces(cols, rows, stop)
	}
	return g.Group(cols, rows, nil), stop()
}

// indexPiece is a number of keys that a table takes in some 20 ms, if they are long strings.
const indexPiece = 1 << 16

func (g *Grouper) indexPieces(cols []arrow.Array, rows int, stop func() error) ([]uint32, error) {
	if t, ok := g.table.(*wordTable); ok {
		t.reserve(rows)
	}
	ids := make([]uint32, 0, rows)
	piece, list := make([]arrow.Array, len(cols)), make([]int32, indexPiece)
	for from := 0; from < rows; from += indexPiece {
		list = list[:min(indexPiece, rows-from)]
		for i := range list {
			list[i] = int32(from + i)
		}
		for c, a := range cols {
			piece[c] = column.Gather(a, list)
		}
		ids = append(ids, g.Group(piece, len(list), nil)...)
		if err := stop(); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// denseFor makes the table for a single column of integers without NULLs, or returns nil.
func (g *Grouper) denseFor(a arrow.Array) *denseTable {
	if g.form != formWord || g.count > 0 || a.Len() == 0 || a.NullN() > 0 {
		return nil
	}
	var lo, span uint64
	switch a := a.(type) {
	case *array.Int64:
		vals := a.Int64Values()
		lo = uint64(slices.Min(vals))
		span = uint64(slices.Max(vals)) - lo
	case *array.Uint64:
		vals := a.Uint64Values()
		lo = slices.Min(vals)
		span = slices.Max(vals) - lo
	default:
		return nil
	}
	if span >= uint64(denseFactor*a.Len()+denseMin) {
		return nil
	}
	return &denseTable{lo: lo, ids: make([]uint32, span+1)}
}

// An array of 4 bytes a key value is no larger than a hash table of 16 bytes a slot, half full, up to this factor.
const (
	denseFactor = 8
	denseMin    = 1024
)

// denseTable has id+1 at key-lo, 0 for no key. Keys to insert lie inside; those to find may lie anywhere.
type denseTable struct {
	lo  uint64
	ids []uint32
}

func (t *denseTable) size() int64 { return int64(4 * len(t.ids)) }

func (t *denseTable) insert(keys *batchKeys, next int, out []uint32, fresh []int32) ([]uint32, []int32) {
	ids, id := t.ids, uint32(next)
	for i, k := range keys.words {
		at := k - t.lo
		if ids[at] == 0 {
			id++
			ids[at] = id
			fresh = append(fresh, int32(i))
		}
		out = append(out, ids[at]-1)
	}
	return out, fresh
}

func (t *denseTable) find(keys *batchKeys, out []int32) []int32 {
	ids, lo := t.ids, t.lo
	for _, k := range keys.words {
		id := int32(-1)
		if at := k - lo; at < uint64(len(ids)) {
			id = int32(ids[at]) - 1
		}
		out = append(out, id)
	}
	return out
}

func (t *denseTable) finder() table { return t }
