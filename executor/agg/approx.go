package agg

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// approxDistinct is APPROX_COUNT_DISTINCT: the number of distinct rows of arguments without a NULL, exact up to sampleMax
// and within some 1.3 % beyond.
//
// A group keeps the hashes of its values. When they are too many it keeps those with one more zero bit at the end: half of
// all values, chosen the same way whoever sees them, so that the samples of two parts merge into the sample of the whole.
// (Wegman's adaptive sampling; P. Flajolet, "On adaptive sampling", Computing 34, 1990.)
type approxDistinct struct {
	hasher *Hasher // nil when merging
	out    *tipb.FieldType
	groups []sample
	hashes []uint64
	bytes  int64
}

// sampleMax is the number of hashes that a group keeps.
const sampleMax = 8192

// sampleType is the type of a sample as a column: the level, one byte, and the hashes in ascending order, 8 bytes each,
// little-endian.
func sampleType() *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeBlob, Flen: 1 + 8*sampleMax, Flag: column.FlagBinary, Collate: -63}
}

func newApproxDistinct(f *tipb.Expr, args []*tipb.FieldType) (Accumulator, error) {
	a := &approxDistinct{out: f.FieldType}
	if column.KindOf(f.FieldType) != column.Int64 {
		return nil, unsupported(f, "with a result that is not BIGINT")
	}
	if merges(f) {
		return a, nil
	}
	var err error
	a.hasher, err = NewHasher(args)
	return a, err
}

func (a *approxDistinct) Resize(groups int) { a.groups = grow(a.groups, groups) }

func (a *approxDistinct) Bytes() int64 { return a.bytes + int64(40*cap(a.groups)) }

func (a *approxDistinct) Update(groups []uint32, args []arrow.Array) error {
	a.hashes = a.hasher.Hash(args, len(groups), a.hashes)
	for i, g := range groups {
		if !anyNull(args, i) {
			a.bytes += a.groups[g].add(a.hashes[i])
		}
	}
	return nil
}

func anyNull(args []arrow.Array, i int) bool {
	return slices.ContainsFunc(args, func(a arrow.Array) bool { return a.IsNull(i) })
}

func (a *approxDistinct) Merge(groups []uint32, state []arrow.Array) error {
	col, ok := state[0].(*array.Binary)
	if !ok {
		return fmt.Errorf("agg: samples in a column of %s", state[0].DataType())
	}
	for i, g := range groups {
		if col.IsNull(i) {
			continue
		}
		b := col.Value(i)
		if len(b)%8 != 1 || len(b) > 1+8*sampleMax || b[0] >= 64 {
			return fmt.Errorf("agg: a sample of %d bytes", len(b))
		}
		s := &a.groups[g]
		a.bytes += s.raise(b[0])
		for b = b[1:]; len(b) > 0; b = b[8:] {
			a.bytes += s.add(binary.LittleEndian.Uint64(b))
		}
	}
	return nil
}

func (a *approxDistinct) Partial(from, to int) ([]arrow.Array, error) {
	b := column.NewBuilder(sampleType(), to-from)
	var cell []byte
	for i := range a.groups[from:to] {
		s := &a.groups[from+i]
		cell = append(cell[:0], s.level)
		for _, h := range s.sorted() {
			cell = binary.LittleEndian.AppendUint64(cell, h)
		}
		b.AppendBytes(cell)
	}
	return []arrow.Array{b.Detach()}, nil
}

func (a *approxDistinct) Final(from, to int) (arrow.Array, error) {
	b := column.NewBuilder(a.out, to-from)
	for _, s := range a.groups[from:to] {
		b.AppendInt64(s.estimate())
	}
	return b.Detach(), nil
}

// sample is the set of the hashes of a group that end in level zero bits: open addressing, a power of two of slots, at
// most three quarters of them taken. 0 is a free slot; a hash of 0 counts as its opposite.
type sample struct {
	slots []uint64
	n     int
	level uint8
}

// estimate is what the sample stands for: each hash for itself and those that the levels dropped.
func (s *sample) estimate() int64 {
	if s.n > math.MaxInt64>>s.level {
		return math.MaxInt64
	}
	return int64(s.n) << s.level
}

// add takes a hash in and returns by how many bytes the sample has grown.
func (s *sample) add(h uint64) (grown int64) {
	if h == 0 {
		h = 1 << 63
	}
	if bits.TrailingZeros64(h) < int(s.level) {
		return 0
	}
	if 4*(s.n+1) > 3*len(s.slots) {
		grown = s.rehash(max(8, 2*len(s.slots)))
	}
	if !s.put(h) {
		return grown
	}
	if s.n++; s.n > sampleMax {
		grown += s.raise(s.level + 1)
	}
	return grown
}

// put reports whether h is new. There is a free slot.
func (s *sample) put(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for i := h >> 32 & mask; ; i = (i + 1) & mask { // the low bits are those that the level has fixed
		switch s.slots[i] {
		case 0:
			s.slots[i] = h
			return true
		case h:
			return false
		}
	}
}

// raise drops the hashes that do not reach level, and goes on until there are few enough.
func (s *sample) raise(level uint8) (grown int64) {
	if level <= s.level {
		return 0
	}
	s.level = level
	if grown = s.rehash(len(s.slots)); s.n > sampleMax {
		return grown + s.raise(level+1)
	}
	return grown
}

// rehash moves what belongs to the level into size slots.
func (s *sample) rehash(size int) (grown int64) {
	old := s.slots
	s.slots, s.n = make([]uint64, size), 0
	for _, h := range old {
		if h != 0 && bits.TrailingZeros64(h) >= int(s.level) {
			s.put(h)
			s.n++
		}
	}
	return int64(8 * (len(s.slots) - len(old)))
}

func (s *sample) sorted() []uint64 {
	out := make([]uint64, 0, s.n)
	for _, h := range s.slots {
		if h != 0 {
			out = append(out, h)
		}
	}
	slices.Sort(out)
	return out
}
