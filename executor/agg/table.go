package agg

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// minSlots is the size of an empty table. Sizes are powers of two; tables are at most half full.
const minSlots = 64

// wordTable has keys of one word, inside its slots: a look-up touches one cache line.
type wordTable struct {
	slots  []wordSlot
	used   int
	recent *recentKeys // nil: there are too many keys for it
	rows   int         // that were looked for in recent
}

// wordSlot is free where id is 0; else id-1 is the key's number.
type wordSlot struct {
	key uint64
	id  uint32
}

func newWordTable() *wordTable {
	return &wordTable{slots: make([]wordSlot, minSlots), recent: newRecentKeys()}
}

func (t *wordTable) size() int64 { return int64(16 * len(t.slots)) }

func (t *wordTable) insert(keys *batchKeys, next int, out []uint32, fresh []int32) ([]uint32, []int32) {
	out = slices.Grow(out, keys.rows)[:keys.rows]
	if keys.valid != nil {
		return out, t.insertNullable(keys, uint32(next), out, fresh)
	}
	i, id := 0, uint32(next)
	if t.recent != nil {
		i, id, fresh = t.insertRecent(keys.words, id, out, fresh)
	}
	return out, t.insertRest(keys.words, i, id, out, fresh)
}

// insertRecent is insert as long as most keys are those that came last. It returns how far it went and the next number.
func (t *wordTable) insertRecent(words []uint64, id uint32, out []uint32, fresh []int32) (int, uint32, []int32) {
	for i := 0; ; i++ {
		i += t.recent.known(words[i:], out[i:])
		if i == len(words) {
			t.rows += i
			return i, id, fresh
		}
		k := words[i]
		if out[i] = t.number(k, id); out[i] == id {
			id++
			fresh = append(fresh, int32(i))
		}
		if t.recent.note(k, out[i]); !t.recent.helps(t.rows + i) {
			t.recent = nil
			return i + 1, id, fresh
		}
	}
}

// insertRest inserts the words from the i-th on.
func (t *wordTable) insertRest(words []uint64, i int, id uint32, out []uint32, fresh []int32) []int32 {
	slots, mask := t.slots, uint64(len(t.slots)-1)
	for ; i < len(words); i++ {
		k := words[i]
		s := &slots[hashWord(k)&mask]
		if s.key == k && s.id != 0 {
			out[i] = s.id - 1
			continue
		}
		if out[i] = t.number(k, id); out[i] == id {
			id++
			fresh = append(fresh, int32(i))
			slots, mask = t.slots, uint64(len(t.slots)-1)
		}
	}
	return fresh
}

func (t *wordTable) insertNullable(keys *batchKeys, id uint32, out []uint32, fresh []int32) []int32 {
	for i, k := range keys.words[:len(out)] {
		if column.IsValid(keys.valid, i) {
			out[i] = t.number(k, id)
		} else {
			if *keys.null < 0 {
				*keys.null = int32(id)
			}
			out[i] = uint32(*keys.null)
		}
		if out[i] == id {
			id++
			fresh = append(fresh, int32(i))
		}
	}
	return fresh
}

// number returns the number of k, which is next if k is new.
func (t *wordTable) number(k uint64, next uint32) uint32 {
	slots, mask := t.slots, uint64(len(t.slots)-1)
	h := hashWord(k) & mask
	for slots[h].id != 0 {
		if slots[h].key == k {
			return slots[h].id - 1
		}
		h = (h + 1) & mask
	}
	slots[h] = wordSlot{key: k, id: next + 1}
	if t.used++; 2*t.used > len(slots) {
		t.resize(2 * len(slots))
	}
	return next
}

func (t *wordTable) resize(size int) {
	old := t.slots
	t.slots = make([]wordSlot, size)
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.id == 0 {
			continue
		}
		h := hashWord(s.key) & mask
		for t.slots[h].id != 0 {
			h = (h + 1) & mask
		}
		t.slots[h] = s
	}
}

func (t *wordTable) find(keys *batchKeys, out []int32) []int32 {
	slots, mask := t.slots, uint64(len(t.slots)-1)
	for _, k := range keys.words {
		h := hashWord(k) & mask
		for slots[h].id != 0 && slots[h].key != k {
			h = (h + 1) & mask
		}
		out = append(out, int32(slots[h].id)-1)
	}
	return out
}

func (t *wordTable) finder() finder { return t }

// hashSlots is an open-addressing table of key numbers; the keys are elsewhere. A slot keeps half of the hash, so that
// most probes of other keys end without a look at the key.
type hashSlots struct {
	slots  []hashSlot
	hashes []uint64 // by key number, for growing

	hash  []uint64   // of each key of the batch at hand
	first []hashSlot // and the slot where the search for it begins
}

// hashSlot is free where id is 0; else id-1 is the key's number.
type hashSlot struct{ tag, id uint32 }

// withoutScratch is the same table without what it keeps of the batch at hand.
func (t hashSlots) withoutScratch() hashSlots { return hashSlots{slots: t.slots, hashes: t.hashes} }

func newHashSlots() hashSlots { return hashSlots{slots: make([]hashSlot, minSlots)} }

// lookup returns the number of the key with hash h, or the free slot where it belongs.
func (t *hashSlots) lookup(h uint64, equal func(id uint32) bool) (id uint32, slot int, found bool) {
	mask := uint64(len(t.slots) - 1)
	tag := uint32(h >> 32)
	for at := h & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s.id == 0 {
			return 0, int(at), false
		}
		if s.tag == tag && equal(s.id-1) {
			return s.id - 1, 0, true
		}
	}
}

// begin makes room for the hashes of a batch.
func (t *hashSlots) begin(rows int) []uint64 {
	t.hash = slices.Grow(t.hash[:0], rows)[:rows]
	return t.hash
}

// fetch gets the first slot of each key of the batch: without a branch in between the processor has many of these look-ups
// under way at a time.
func (t *hashSlots) fetch() {
	t.first = slices.Grow(t.first[:0], len(t.hash))[:len(t.hash)]
	slots, mask := t.slots, uint64(len(t.slots)-1)
	for i, h := range t.hash {
		t.first[i] = slots[h&mask]
	}
}

// add puts the next key number into a free slot.
func (t *hashSlots) add(h uint64, slot int) {
	t.hashes = append(t.hashes, h)
	t.slots[slot] = hashSlot{tag: uint32(h >> 32), id: uint32(len(t.hashes))}
	if 2*len(t.hashes) > len(t.slots) {
		t.rehash(2 * len(t.slots))
	}
}

func (t *hashSlots) rehash(size int) {
	t.slots = make([]hashSlot, size)
	mask := uint64(size - 1)
	for i, h := range t.hashes {
		at := h & mask
		for t.slots[at].id != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = hashSlot{tag: uint32(h >> 32), id: uint32(i + 1)}
	}
}

func (t *hashSlots) size() int64 { return int64(8*len(t.slots) + 8*cap(t.hashes)) }

// tupleTable has keys of stride words.
type tupleTable struct {
	hashSlots
	stride int
	keys   []uint64 // stride words a key, by number
}

func newTupleTable(stride int) *tupleTable {
	return &tupleTable{hashSlots: newHashSlots(), stride: stride}
}

func (t *tupleTable) size() int64 { return t.hashSlots.size() + int64(8*cap(t.keys)) }

// tupleFactors spread the words of a key before they are added up and mixed.
var tupleFactors = [maxWords + 1]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93, 0xff51afd7ed558ccd}

// look hashes the keys of a batch and fetches their slots.
func (t *tupleTable) look(words []uint64, rows int) {
	hash := t.begin(rows)
	for i := range hash {
		sum := uint64(0)
		for k, w := range words[i*t.stride:][:t.stride] {
			sum += w * tupleFactors[k]
		}
		hash[i] = hashWord(sum)
	}
	t.fetch()
}

func (t *tupleTable) equal(id uint32, key []uint64) bool {
	have := t.keys[int(id)*t.stride:][:len(key):len(key)]
	for i, w := range key {
		if have[i] != w {
			return false
		}
	}
	return true
}

// number returns the number of the i-th key of the batch that look has seen, or the free slot where it belongs.
func (t *tupleTable) number(key []uint64, i int) (id uint32, slot int, found bool) {
	h, s := t.hash[i], t.first[i]
	if s.id != 0 && s.tag == uint32(h>>32) && t.equal(s.id-1, key) {
		return s.id - 1, 0, true
	}
	return t.lookup(h, func(id uint32) bool { return t.equal(id, key) })
}

func (t *tupleTable) insert(keys *batchKeys, _ int, out []uint32, fresh []int32) ([]uint32, []int32) {
	t.look(keys.words, keys.rows)
	for i := range keys.rows {
		key := keys.words[i*t.stride:][:t.stride]
		id, slot, found := t.number(key, i)
		if !found {
			id = uint32(len(t.hashes))
			t.keys = append(t.keys, key...)
			t.add(t.hash[i], slot)
			fresh = append(fresh, int32(i))
		}
		out = append(out, id)
	}
	return out, fresh
}

func (t *tupleTable) find(keys *batchKeys, out []int32) []int32 {
	t.look(keys.words, keys.rows)
	for i := range keys.rows {
		id, _, found := t.number(keys.words[i*t.stride:][:t.stride], i)
		if !found {
			out = append(out, -1)
			continue
		}
		out = append(out, int32(id))
	}
	return out
}

func (t *tupleTable) finder() finder {
	return &tupleTable{hashSlots: t.hashSlots.withoutScratch(), stride: t.stride, keys: t.keys}
}

// byteTable has serialized keys.
type byteTable struct {
	hashSlots
	data []byte
	ends []int // of each key in data, by number
}

func newByteTable() *byteTable { return &byteTable{hashSlots: newHashSlots()} }

func (t *byteTable) size() int64 { return t.hashSlots.size() + int64(cap(t.data)+8*cap(t.ends)) }

func (t *byteTable) equal(id uint32, key []byte) bool {
	from := 0
	if id > 0 {
		from = t.ends[id-1]
	}
	return bytes.Equal(t.data[from:t.ends[id]], key)
}

// look hashes the keys of a batch and fetches their slots.
func (t *byteTable) look(keys *byteKeys) {
	hash := t.begin(len(keys.ends))
	for i := range hash {
		hash[i] = xxh3.Hash(keys.at(i))
	}
	t.fetch()
}

// number returns the number of the i-th key of the batch that look has seen, or the free slot where it belongs.
func (t *byteTable) number(keys *byteKeys, i int) (id uint32, slot int, found bool) {
	h, key, s := t.hash[i], keys.at(i), t.first[i]
	if s.id != 0 && s.tag == uint32(h>>32) && t.equal(s.id-1, key) {
		return s.id - 1, 0, true
	}
	return t.lookup(h, func(id uint32) bool { return t.equal(id, key) })
}

func (t *byteTable) insert(keys *batchKeys, _ int, out []uint32, fresh []int32) ([]uint32, []int32) {
	t.look(keys.bytes)
	for i := range keys.rows {
		id, slot, found := t.number(keys.bytes, i)
		if !found {
			id = uint32(len(t.hashes))
			t.data = append(t.data, keys.bytes.at(i)...)
			t.ends = append(t.ends, len(t.data))
			t.add(t.hash[i], slot)
			fresh = append(fresh, int32(i))
		}
		out = append(out, id)
	}
	return out, fresh
}

func (t *byteTable) find(keys *batchKeys, out []int32) []int32 {
	t.look(keys.bytes)
	for i := range keys.rows {
		id, _, found := t.number(keys.bytes, i)
		if !found {
			out = append(out, -1)
			continue
		}
		out = append(out, int32(id))
	}
	return out
}

func (t *byteTable) finder() finder {
	return &byteTable{hashSlots: t.hashSlots.withoutScratch(), data: t.data, ends: t.ends}
}

// byteKeys are serialized keys of a batch: per column a byte 1 and the value, or a byte 0 for NULL; strings as sort keys
// after their length. No key is a prefix of another.
type byteKeys struct {
	data []byte
	ends []int
}

func (k *byteKeys) at(i int) []byte {
	from := 0
	if i > 0 {
		from = k.ends[i-1]
	}
	return k.data[from:k.ends[i]]
}

func (k *byteKeys) encode(cols []keyColumn, in []arrow.Array, rows int) {
	k.data, k.ends = k.data[:0], k.ends[:0]
	if a, ok := in[0].(*array.Binary); ok && len(cols) == 1 && (cols[0].coll == nil || cols[0].trimmed) && a.NullN() == 0 {
		k.encodeStrings(a, cols[0].trimmed)
		return
	}
	for i := range rows {
		for c := range cols {
			k.data = cols[c].appendKey(k.data, in[c], i)
		}
		k.ends = append(k.ends, len(k.data))
	}
}

// encodeStrings is encode for a single column of strings, compared as they are or without trailing spaces.
func (k *byteKeys) encodeStrings(a *array.Binary, trim bool) {
	offsets, data := a.ValueOffsets(), a.ValueBytes()
	for i := range a.Len() {
		v := data[offsets[i]:offsets[i+1]]
		if trim && len(v) > 0 && v[len(v)-1] == ' ' {
			v = value.TrimSpaces(v)
		}
		k.data = binary.LittleEndian.AppendUint32(append(k.data, 1), uint32(len(v)))
		k.data = append(k.data, v...)
		k.ends = append(k.ends, len(k.data))
	}
}

func (c *keyColumn) appendKey(dst []byte, a arrow.Array, row int) []byte {
	if a.IsNull(row) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	switch a := a.(type) {
	case *array.Int64:
		return binary.LittleEndian.AppendUint64(dst, uint64(a.Value(row)))
	case *array.Uint64:
		return binary.LittleEndian.AppendUint64(dst, a.Value(row))
	case *array.Float64:
		return binary.LittleEndian.AppendUint64(dst, floatWord(a.Value(row)))
	case *array.Decimal128:
		v := a.Value(row)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v.HighBits()))
		return binary.LittleEndian.AppendUint64(dst, v.LowBits())
	case *array.Decimal256:
		for _, w := range a.Value(row).Array() {
			dst = binary.LittleEndian.AppendUint64(dst, w)
		}
		return dst
	case *array.Binary:
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		if c.coll == nil {
			dst = append(dst, a.Value(row)...)
		} else {
			dst = c.coll.AppendKey(dst, a.Value(row))
		}
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
		return dst
	}
	return dst
}
