package agg

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/scree-db/scree/codec/column"
)

// Index is Group for an empty grouper that takes all of its keys at once and will then only be asked to Find: Keys has
// nothing to give. Keys of one word go to a table for that purpose, an array indexed by key where they are integers that lie
// close together, as primary keys do. Many keys are taken in pieces, between which stop is asked whether to go on: an error
// of it ends the work.
func (g *Grouper) Index(cols []arrow.Array, rows int, stop func() error) ([]uint32, error) {
	for g.form == formWord || g.form == formLanes {
		keys, ok := g.encode(cols, rows)
		if !ok {
			g.promote()
			continue
		}
		if keys.valid != nil {
			break
		}
		g.words = nil // the keys are all that there will be
		if d := g.denseFor(cols[0]); d != nil {
			g.index = d
			return d.fill(keys.words, &g.count), stop()
		}
		t := &indexTable{}
		g.index = t
		ids, err := t.fill(keys.words, stop)
		g.count = len(t.entries)
		return ids, err
	}
	return g.indexPieces(cols, rows, stop)
}

// indexPiece is a number of keys that a table takes in some 20 ms, if they are long strings.
const indexPiece = 1 << 16

func (g *Grouper) indexPieces(cols []arrow.Array, rows int, stop func() error) ([]uint32, error) {
	if rows <= 2*indexPiece {
		return g.Group(cols, rows, nil), stop()
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

// denseFor makes the table for a single column of integers, or returns nil.
func (g *Grouper) denseFor(a arrow.Array) *denseTable {
	if g.form != formWord || a.Len() == 0 {
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

// An array of 4 bytes a key value needs no comparison: it may be this much larger than the keys are many.
const (
	denseFactor = 8
	denseMin    = 1024
)

// denseTable has id+1 at key-lo, 0 for no key. Keys to find may lie anywhere.
type denseTable struct {
	lo  uint64
	ids []uint32
}

func (t *denseTable) size() int64 { return int64(4 * len(t.ids)) }

// fill takes the keys into an empty table and returns their numbers; count becomes that of different keys.
func (t *denseTable) fill(words []uint64, count *int) []uint32 {
	out, next := make([]uint32, len(words)), uint32(0)
	for i, k := range words {
		id := &t.ids[k-t.lo]
		if *id == 0 {
			next++
			*id = next
		}
		out[i] = *id - 1
	}
	*count = int(next)
	return out
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

func (t *denseTable) finder() finder { return t }
