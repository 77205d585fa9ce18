package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
)

// evenKeys chooses up to parts-1 keys that cut what cf holds of region into like parts. They are boundaries between user
// keys, in their encoded form. Raw keys of API V1 have none and are bounds themselves, with fences around them, see fence.
func (s *Store) evenKeys(region *metapb.Region, cf storage.CF, parts int) ([][]byte, error) {
	if parts < 2 {
		return nil, nil
	}
	total, err := s.data.ApproximateBytes(cf, region.StartKey, region.EndKey)
	if err != nil {
		return nil, err
	}
	it, err := s.data.NewIterator(storage.IterOptions{CF: cf, Lower: region.StartKey, Upper: region.EndKey, NoFillCache: true})
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	last := region.StartKey
	for i := 1; i < parts && err == nil && s.ctx.Err() == nil; i++ {
		var k []byte
		if k, err = s.keyAt(it, region, cf, last, total/uint64(parts)*uint64(i), total/uint64(parts)/16); k != nil {
			keys, last = append(keys, k), k
		}
	}
	if err = errors.Join(err, it.Error(), it.Close(), s.ctx.Err()); err != nil || !isPlain(cf) {
		return keys, err
	}
	return s.fence(region, cf, keys)
}

// keyAtSteps bounds the search of keyAt: more than enough to tell 2^32 keys apart.
const keyAtSteps = 64

// keyAt searches the boundary between user keys in front of which region has about want bytes in cf, give or take
// tolerance. It lies behind after; nil if there is none.
//
// Between two keys that are known it looks at those around their midpoint, taking keys for numbers, and asks the engine for
// the size before them: so it reads some tens of blocks, where counting would read all of the region.
func (s *Store) keyAt(it storage.Iterator, region *metapb.Region, cf storage.CF, after []byte, want, tolerance uint64) (best []byte, err error) {
	low, off := after, uint64(math.MaxUint64)
	if !it.Last() {
		return nil, nil
	}
	high := bytes.Clone(it.Key())
	for range keyAtSteps {
		mid := midpoint(low, high)
		if bytes.Compare(mid, low) <= 0 || !it.SeekGE(mid) {
			break
		}
		k := bytes.Clone(boundary(cf, it.Key()))
		if k == nil {
			break // a key of another form: nothing to cut by
		}
		if bytes.Compare(k, after) <= 0 {
			low = mid // versions of after itself
			continue
		}
		n, err := s.data.ApproximateBytes(cf, region.StartKey, k)
		if err != nil {
			return nil, err
		}
		if d := max(n, want) - min(n, want); d < off {
			best, off = k, d
		}
		if off <= tolerance {
			break
		}
		if n < want {
			low = bytes.Clone(it.Key())
			continue
		}
		if !it.SeekLT(mid) {
			break
		}
		high = append(high[:0], it.Key()...)
	}
	return best, nil
}

// midpoint is a key between a and b, a < b, or not greater than a if they are too close. It takes the 16 bytes behind the
// common prefix for the digits of a number.
func midpoint(a, b []byte) []byte {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	ah, al := digits(a[n:])
	bh, bl := digits(b[n:])
	lo, carry := bits.Add64(al, bl, 0)
	hi, carry := bits.Add64(ah, bh, carry)
	mid := append(make([]byte, 0, n+16), a[:n]...)
	mid = binary.BigEndian.AppendUint64(mid, hi>>1|carry<<63)
	return binary.BigEndian.AppendUint64(mid, lo>>1|hi<<63)
}

func digits(b []byte) (hi, lo uint64) {
	var d [16]byte
	copy(d[:], b)
	return binary.BigEndian.Uint64(d[:8]), binary.BigEndian.Uint64(d[8:])
}

// boundary is where a region may end, and the next begin, in front of a key of a family; nil if it is nowhere near.
func boundary(cf storage.CF, key []byte) []byte {
	if b := userKeyBoundary(key); b != nil || !isPlain(cf) {
		return b // also of a raw key that looks like one of a transaction: no bound parts the versions of a user key
	}
	return key
}

// userKeyBoundary is the memory-comparable user key that key begins with: groups of eight bytes with a marker, the last
// of which is not 0xFF. Nil if there is none.
func userKeyBoundary(key []byte) []byte {
	for n := 9; n <= len(key); n += 9 {
		switch marker := key[n-1]; {
		case marker == 0xFF:
		case marker < 0xF7:
			return nil
		default:
			return key[:n]
		}
	}
	return nil
}
