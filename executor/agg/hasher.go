package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/codec/column"
)

// Hasher hashes keys: those that a Grouper takes for the same have the same hash. It splits rows between files, so its
// hashes have nothing in common with those of the tables that the rows will then meet.
type Hasher struct {
	cols  []keyColumn
	words []uint64
	key   []byte
}

// NewHasher makes a hasher for keys of the given types.
func NewHasher(types []*tipb.FieldType) (*Hasher, error) {
	h := &Hasher{}
	for _, ft := range types {
		c, err := newKeyColumn(ft)
		if err != nil {
			return nil, err
		}
		h.cols = append(h.cols, c)
	}
	return h, nil
}

const (
	hashSeed = 0x5851f42d4c957f2d
	nullWord = 0x14057b7ef767814f
)

// Hash returns the hashes of the rows of cols, dense columns, in out's memory.
func (h *Hasher) Hash(cols []arrow.Array, rows int, out []uint64) []uint64 {
	out = out[:0]
	for range rows {
		out = append(out, hashSeed)
	}
	for k := range h.cols {
		words := h.wordsOf(&h.cols[k], cols[k])
		valid := column.NullBits(cols[k])
		for i, w := range words {
			if !column.IsValid(valid, i) {
				w = nullWord
			}
			out[i] = hashWord(out[i] ^ w)
		}
	}
	return out
}

// wordsOf makes a word of each value; long ones are hashed into it.
func (h *Hasher) wordsOf(c *keyColumn, a arrow.Array) []uint64 {
	h.words = grow(h.words[:0], a.Len())
	switch a := a.(type) {
	case *array.Int64, *array.Uint64, *array.Float64:
		c.putWords(h.words, 1, a, false)
		return h.words
	case *array.Binary:
		if c.coll == nil || c.trimmed {
			c.hashStrings(h.words, a)
			return h.words
		}
	}
	for i := range h.words {
		h.key = c.appendKey(h.key[:0], a, i)
		h.words[i] = xxh3.Hash(h.key)
	}
	return h.words
}

// hashStrings hashes strings that compare bytewise.
func (c *keyColumn) hashStrings(out []uint64, a *array.Binary) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	for i := range out {
		from, to := c.bounds(offsets, data, i)
		out[i] = xxh3.Hash(data[from:to])
	}
}
