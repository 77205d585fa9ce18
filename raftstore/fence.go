package raftstore

import (
	"bytes"
	"errors"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/storage"
)

// Raw keys of API V1 share the space of encoded keys with transactional data, in families of their own. Regions that are
// large by raw pairs are split at raw keys, which transactional clients cannot read as bounds. So that they need not, the
// bounds that they can read nearest to the raw pairs are made too, and nothing transactional lies between these fences:
//
//	.. transactional | raw pairs    | raw pairs     | transactional ..
//	                 fence          cut             fence
//
// What comes to lie there later is served, but such clients cannot find it; the gateway of this project can.

// isPlain tells whether a family has keys as raw clients give them.
func isPlain(cf storage.CF) bool {
	return cf == storage.CFRaw || cf == storage.CFRawLock || cf == storage.CFRawWrite
}

// txnFamilies hold transactional data.
var txnFamilies = []storage.CF{storage.CFWrite, storage.CFLock, storage.CFDefault}

// fence adds the fences to keys that cut raw pairs of region. The result ascends.
func (s *Store) fence(region *metapb.Region, cf storage.CF, keys [][]byte) (fenced [][]byte, err error) {
	f := fencer{region: region}
	defer func() { err = errors.Join(err, f.close()) }()
	if f.raw, err = s.regionIterator(region, cf); err != nil {
		return nil, err
	}
	for _, family := range txnFamilies {
		it, err := s.regionIterator(region, family)
		if err != nil {
			return nil, err
		}
		f.txn = append(f.txn, it)
	}
	for _, k := range keys {
		fenced = append(fenced, k)
		if !isEncoded(k) {
			fenced = append(fenced, f.below(k), f.above(k))
		}
	}
	slices.SortFunc(fenced, bytes.Compare)
	fenced = slices.CompactFunc(fenced, bytes.Equal)
	return slices.DeleteFunc(fenced, func(k []byte) bool { return len(k) == 0 }), nil
}

func (s *Store) regionIterator(region *metapb.Region, cf storage.CF) (storage.Iterator, error) {
	return s.data.NewIterator(storage.IterOptions{CF: cf, Lower: region.StartKey, Upper: region.EndKey, NoFillCache: true})
}

// fencer looks at what is around a cut.
type fencer struct {
	region *metapb.Region
	raw    storage.Iterator
	txn    []storage.Iterator
}

// close returns what the iterators have met, too.
func (f *fencer) close() (err error) {
	for _, it := range append(f.txn, f.raw) {
		if it != nil {
			err = errors.Join(err, it.Error(), it.Close())
		}
	}
	return err
}

// below returns the fence below a cut, nil if none is needed: the region begins there.
func (f *fencer) below(cut []byte) []byte {
	limit, own := f.region.StartKey, false
	for _, it := range f.txn {
		if it.SeekLT(cut) {
			behind := memcmp.AppendBytes(nil, append(memcmp.Ceil(userKeyBoundary(it.Key())), 0))
			if bytes.Compare(behind, limit) > 0 {
				limit, own = behind, true
			}
		}
	}
	if (own || isEncoded(limit)) && f.raw.SeekGE(limit) {
		if k := encodedBelow(f.raw.Key()); bytes.Compare(k, limit) > 0 {
			return k
		}
	}
	if own {
		return limit
	}
	return nil
}

// above returns the fence above a cut, nil if none is needed: the region ends there.
func (f *fencer) above(cut []byte) []byte {
	limit, own := f.region.EndKey, false
	for _, it := range f.txn {
		if it.SeekGE(cut) {
			if k := bytes.Clone(userKeyBoundary(it.Key())); len(limit) == 0 || bytes.Compare(k, limit) < 0 {
				limit, own = k, true
			}
		}
	}
	if (own || isEncoded(limit)) && f.lastRaw(limit) {
		if k := encodedAbove(f.raw.Key()); k != nil && (len(limit) == 0 || bytes.Compare(k, limit) < 0) {
			return k
		}
	}
	if own {
		return limit
	}
	return nil
}

// lastRaw goes to the last raw key below limit, an empty one being open.
func (f *fencer) lastRaw(limit []byte) bool {
	if len(limit) == 0 {
		return f.raw.Last()
	}
	return f.raw.SeekLT(limit)
}

// isEncoded tells whether a bound is an encoded key, or open.
func isEncoded(bound []byte) bool { return len(userKeyBoundary(bound)) == len(bound) }

// isReadable tells whether a transactional client can read the bounds of a region.
func isReadable(r *metapb.Region) bool { return isEncoded(r.StartKey) && isEncoded(r.EndKey) }

// fencePrefix is how much of a raw key a fence shares with it: an encoded key has a marker behind eight bytes.
const fencePrefix = 7

// encodedBelow returns an encoded key that is not above a raw key, and close to it; nil if there is none.
func encodedBelow(key []byte) []byte {
	for n := min(fencePrefix, len(key)); n >= 0; n-- {
		if k := memcmp.AppendBytes(nil, key[:n]); bytes.Compare(k, key) <= 0 {
			return k
		}
	}
	return nil
}

// encodedAbove returns an encoded key above a raw key, and close to it; nil if there is none.
func encodedAbove(key []byte) []byte {
	prefix := bytes.TrimRight(key[:min(fencePrefix, len(key))], "\xff")
	if len(prefix) == 0 {
		return nil
	}
	next := bytes.Clone(prefix)
	next[len(next)-1]++
	return memcmp.AppendBytes(nil, next)
}
