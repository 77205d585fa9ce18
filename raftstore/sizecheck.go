package raftstore

import (
	"bytes"
	"errors"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
)

// bytesPerKey is the guess by which a size becomes a number of keys for the placement driver.
const bytesPerKey = 128

// autoSplitMax bounds the parts of one split by size; what is still too large is split again.
const autoSplitMax = 16

// sampleBytes is the distance of the keys among which split keys are chosen.
const sampleBytes = 256 << 10

// checkSize estimates the size of a region led here and splits it when it has grown too large.
func (s *Store) checkSize(p *peer) {
	region, r := p.region.Load(), p.role.Load()
	if region == nil || !r.isLeader {
		return
	}
	size, largest, err := s.regionBytes(region)
	if err != nil {
		s.log.Warn("size of region is not known", "region", region.Id, "err", err)
		return
	}
	p.size.Store(size)
	p.keys.Store(size / bytesPerKey)
	if size <= s.cfg.MaxBytes {
		return
	}
	parts := min(int((size+s.cfg.SplitBytes-1)/s.cfg.SplitBytes), autoSplitMax)
	if err := s.splitEvenly(p, region, r, largest, parts); err != nil && !errors.Is(err, s.ctx.Err()) {
		s.log.Warn("region was not split", "region", region.Id, "bytes", size, "err", err)
	}
}

// regionBytes estimates a region's size, and which family has most of it.
func (s *Store) regionBytes(region *metapb.Region) (total uint64, largest storage.CF, err error) {
	var most uint64
	for _, cf := range dataFamilies {
		n, err := s.data.ApproximateBytes(cf, region.StartKey, region.EndKey)
		if err != nil {
			return 0, 0, err
		}
		if total += n; n >= most {
			largest, most = cf, n
		}
	}
	return total, largest, nil
}

// splitEvenly splits a region into parts of like size.
func (s *Store) splitEvenly(p *peer, region *metapb.Region, r *role, cf storage.CF, parts int) error {
	keys, err := s.evenKeys(region, cf, parts)
	if err != nil || len(keys) == 0 {
		return err
	}
	at := storage.Region{ID: region.Id, Epoch: region.RegionEpoch, Term: r.term}
	regions, err := s.SplitRegion(s.ctx, at, keys)
	if err == nil {
		s.log.Info("region was split", "region", p.regionID, "parts", len(regions))
	}
	return err
}

// evenKeys chooses up to parts-1 keys that cut what cf holds of region into like parts. They are boundaries between user
// keys, in their encoded form. Raw keys of API V1 have no such form, so a region of them is not split by size.
func (s *Store) evenKeys(region *metapb.Region, cf storage.CF, parts int) ([][]byte, error) {
	if cf == storage.CFRaw || cf == storage.CFRawLock || cf == storage.CFRawWrite || parts < 2 {
		return nil, nil
	}
	samples, err := s.sampleKeys(region, cf)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	last := region.StartKey
	for i := 1; i < parts; i++ {
		at := i * len(samples) / parts
		if at < len(samples) && bytes.Compare(samples[at], last) > 0 {
			last = samples[at]
			keys = append(keys, last)
		}
	}
	return keys, nil
}

// sampleKeys walks cf and notes the boundary before the key at every sampleBytes.
func (s *Store) sampleKeys(region *metapb.Region, cf storage.CF) (samples [][]byte, err error) {
	it, err := s.data.NewIterator(storage.IterOptions{
		CF: cf, Lower: region.StartKey, Upper: region.EndKey, NoFillCache: true,
	})
	if err != nil {
		return nil, err
	}
	bytes, step := 0, int(min(sampleBytes, max(s.cfg.SplitBytes/16, 1)))
	for ok := it.First(); ok && s.ctx.Err() == nil; ok = it.Next() {
		if bytes += len(it.Key()) + len(it.Value()); bytes >= step {
			bytes = 0
			if k := userKeyBoundary(it.Key()); k != nil && contains(region, k) {
				samples = append(samples, append([]byte(nil), k...))
			}
		}
	}
	return samples, errors.Join(it.Error(), it.Close(), s.ctx.Err())
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
