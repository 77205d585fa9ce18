package raftstore

import (
	"errors"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
)

// bytesPerKey is the guess by which a size becomes a number of keys for the placement driver.
const bytesPerKey = 128

// autoSplitMax bounds the parts of one split by size; what is still too large is split again.
const autoSplitMax = 16

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
