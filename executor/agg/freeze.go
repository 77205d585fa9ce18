package agg

import (
	"math"

	"github.com/scree-db/scree/codec/column"
)

// Freeze prepares a grouper that will only be asked to Find. Keys of one word that lie close together, as integer primary
// keys do, move from the hash table to an array indexed by key.
func (g *Grouper) Freeze() {
	t, ok := g.table.(*wordTable)
	if !ok || t.used == 0 || g.cols[0].kind == column.Float64 || g.cols[0].kind == column.Bytes {
		return
	}
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	for _, s := range t.slots {
		if s.id != 0 {
			lo, hi = min(lo, int64(s.key)), max(hi, int64(s.key))
		}
	}
	span := uint64(hi) - uint64(lo)
	if span >= uint64(denseFactor*t.used+denseMin) {
		return
	}
	d := &denseTable{lo: uint64(lo), ids: make([]uint32, span+1)}
	for _, s := range t.slots {
		if s.id != 0 {
			d.ids[s.key-d.lo] = s.id
		}
	}
	g.table = d
}

// An array of 4 bytes a key value is no larger than a hash table of 16 bytes a slot, half full, up to this factor.
const (
	denseFactor = 8
	denseMin    = 1024
)

// denseTable has id+1 at key-lo, 0 for no key. It takes no new keys.
type denseTable struct {
	lo  uint64
	ids []uint32
}

func (t *denseTable) size() int64 { return int64(4 * len(t.ids)) }

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

func (t *denseTable) insert(*batchKeys, int, []uint32, []int32) ([]uint32, []int32) {
	panic("agg: a frozen grouper takes no new keys")
}
