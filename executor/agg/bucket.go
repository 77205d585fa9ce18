package agg

import (
	"math/bits"
	"slices"
)

// indexTable finds keys of one word that came all at once. A large table's look-ups mostly wait for memory, and for the
// processor to notice that it took the wrong branch; so each bucket of keys has a byte of every key's hash in one word,
// which tells in a few steps without a branch which of its keys may be the one, or that none is. Half of a cache line is read
// for a key that is not there, and one entry more for one that is.
type indexTable struct {
	buckets []bucket
	entries []indexEntry // those of a bucket side by side

	probe *indexProbe // nil: nothing was looked for yet
}

// bucket has the entries [from, from+size); tags are the bytes of the first eight, 0 where there are fewer.
type bucket struct {
	tags       uint64
	from, size uint32
}

type indexEntry struct {
	key uint64
	id  uint32
}

const (
	bucketTags = 8
	// bucketKeys is how many keys a bucket has on average, at most: of 1,000 buckets 21 have more than eight then.
	bucketKeys = 4

	eachByte = 0x0101010101010101
	eachTop  = 0x8080808080808080
)

func (t *indexTable) size() int64 { return int64(16 * (len(t.buckets) + cap(t.entries))) }

func (t *indexTable) finder() finder { return &indexTable{buckets: t.buckets, entries: t.entries} }

// tagOf is a byte of the hash that the choice of the bucket leaves, never 0.
func tagOf(hash uint64) uint64 { return max(hash>>32&0xff, 1) }

// fill takes the keys into an empty table and returns their numbers. Between pieces it asks stop whether to go on.
func (t *indexTable) fill(words []uint64, stop func() error) ([]uint32, error) {
	t.buckets = make([]bucket, 1<<bits.Len(uint(len(words)/bucketKeys)))
	mask := uint64(len(t.buckets) - 1)
	for piece := range slices.Chunk(words, indexPiece) {
		for _, k := range piece {
			t.buckets[hashWord(k)&mask].size++
		}
		if err := stop(); err != nil {
			return nil, err
		}
	}
	from := uint32(0)
	for i := range t.buckets {
		b := &t.buckets[i]
		b.from, b.size, from = from, 0, from+b.size
	}
	t.entries = make([]indexEntry, len(words))
	ids, next := make([]uint32, len(words)), uint32(0)
	for from := 0; from < len(words); from += indexPiece {
		to := min(from+indexPiece, len(words))
		next = t.place(words[from:to], next, ids[from:to])
		if err := stop(); err != nil {
			return nil, err
		}
	}
	if int(next) < len(words) {
		t.close(int(next))
	}
	return ids, nil
}

// place puts keys into their buckets, new ones numbered from next on, and returns the next number.
func (t *indexTable) place(words []uint64, next uint32, ids []uint32) uint32 {
	mask := uint64(len(t.buckets) - 1)
	for i, k := range words {
		h := hashWord(k)
		b := &t.buckets[h&mask]
		if id := t.search(b, k); id >= 0 {
			ids[i] = uint32(id)
			continue
		}
		if b.size < bucketTags {
			b.tags |= tagOf(h) << (8 * b.size)
		}
		t.entries[b.from+b.size] = indexEntry{k, next}
		b.size++
		ids[i] = next
		next++
	}
	return next
}

// close gives the room back that keys took which came again.
func (t *indexTable) close(keys int) {
	entries := make([]indexEntry, 0, keys)
	for i := range t.buckets {
		b := &t.buckets[i]
		from := uint32(len(entries))
		entries = append(entries, t.entries[b.from:b.from+b.size]...)
		b.from = from
	}
	t.entries = entries
}

// search looks through a bucket.
func (t *indexTable) search(b *bucket, k uint64) int32 {
	for _, e := range t.entries[b.from : b.from+b.size] {
		if e.key == k {
			return int32(e.id)
		}
	}
	return -1
}

func (t *indexTable) find(keys *batchKeys, out []int32) []int32 {
	out = slices.Grow(out, len(keys.words))[:len(keys.words)]
	if len(t.entries) == 0 {
		for i := range out {
			out[i] = -1
		}
		return out
	}
	if t.probe == nil {
		t.probe = &indexProbe{}
	}
	for from := 0; from < len(out); from += len(t.probe.hashes) {
		to := min(from+len(t.probe.hashes), len(out))
		t.findSome(keys.words[from:to], out[from:to])
	}
	return out
}

// indexProbe is what find learns of some keys, step by step. Each step is a short loop without a branch: then the processor has
// as many reads of memory under way as it can.
type indexProbe struct {
	hashes  [512]uint64
	buckets [512]bucket
	at      [512]int32 // the first entry that may have the key, -1 if there is none
	entries [512]indexEntry
	others  [512]int32 // rows that need a search
}

func (t *indexTable) findSome(words []uint64, out []int32) {
	p := t.probe
	for i, k := range words {
		p.hashes[i&511] = hashWord(k)
	}
	mask := uint64(len(t.buckets) - 1)
	for i, h := range p.hashes[:len(words)] {
		p.buckets[i&511] = t.buckets[h&mask]
	}
	p.match(len(words))
	for i, at := range p.at[:len(words)] {
		p.entries[i&511] = t.entries[max(at, 0)]
	}
	for _, i := range p.others[:p.verify(words, out)] {
		out[i] = t.search(&p.buckets[i&511], words[i])
	}
}

// match looks for the tags in the buckets.
func (p *indexProbe) match(n int) {
	for i, h := range p.hashes[:n] {
		b := &p.buckets[i&511]
		differ := b.tags ^ tagOf(h)*eachByte
		same := (differ - eachByte) & ^differ & eachTop // the lowest bit is that of the first byte of 0
		at := int32(b.from) + int32(bits.TrailingZeros64(same)>>3)
		if same == 0 {
			at = -1
		}
		p.at[i&511] = at
	}
}

// verify writes the numbers of the entries that have the keys to out, -1 where there is none, and the rows to others whose
// entry has another key, or whose bucket has more entries than tags. It returns the number of these.
func (p *indexProbe) verify(words []uint64, out []int32) (n int) {
	for i, k := range words {
		e := &p.entries[i&511]
		id, wrong := int32(e.id), e.key^k
		if p.at[i&511] < 0 {
			id, wrong = -1, 0
		}
		wrong |= (bucketTags - uint64(p.buckets[i&511].size)) >> 63
		out[i] = id
		p.others[n&511] = int32(i)
		n += int((wrong | -wrong) >> 63)
	}
	return n
}
