package raftstore

import (
	"bytes"
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/metapb"
)

// registry finds the peers of a store by region and by range. Ranges of different regions never overlap: that of a
// region is entered before its data, and leaves after it. Safe for concurrent use.
type registry struct {
	mu     sync.RWMutex
	byID   map[uint64]*peer
	ranges []*metapb.Region          // by start key
	held   map[uint64]*metapb.Region // the same, by id
}

func newRegistry() *registry {
	return &registry{byID: map[uint64]*peer{}, held: map[uint64]*metapb.Region{}}
}

func (r *registry) get(id uint64) *peer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// all lists the peers in no order.
func (r *registry) all() []*peer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	peers := make([]*peer, 0, len(r.byID))
	for _, p := range r.byID {
		peers = append(peers, p)
	}
	return peers
}

// add enters a peer, replacing one of the same region.
func (r *registry) add(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[p.regionID] = p
}

// unlist takes p out, but not its range.
func (r *registry) unlist(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[p.regionID] == p {
		delete(r.byID, p.regionID)
	}
}

// remove takes p out, if it is still the peer of its region, and its range.
func (r *registry) remove(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[p.regionID] == p {
		delete(r.byID, p.regionID)
	}
	r.dropRange(p.regionID)
}

// reserve enters region's range in place of its former one, unless another region's overlaps.
func (r *registry) reserve(region *metapb.Region) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.overlapping(region.StartKey, region.EndKey, region.Id) != nil {
		return false
	}
	r.putRange(region)
	return true
}

// release takes back a reservation: the region's range is region's again, or none if nil.
func (r *registry) release(id uint64, region *metapb.Region) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropRange(id)
	if region != nil {
		r.putRange(region)
	}
}

// shaped is a peer with its new descriptor.
type shaped struct {
	p      *peer
	region *metapb.Region
	isNew  bool // to be listed
}

// publish makes the descriptors current together: of the peers, and of the ranges.
func (r *registry) publish(list ...shaped) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range list {
		r.dropRange(c.p.regionID)
		c.p.region.Store(c.region)
		if c.isNew {
			r.byID[c.p.regionID] = c.p
		}
	}
	for _, c := range list {
		r.putRange(c.region)
	}
}

// overlaps tells whether a region other than id has a part of [start, end).
func (r *registry) overlaps(start, end []byte, id uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.overlapping(start, end, id) != nil
}

// at returns the region that contains an encoded key, nil if it is not here.
func (r *registry) at(key []byte) *metapb.Region {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, found := r.search(key)
	if !found {
		i--
	}
	if i < 0 || !contains(r.ranges[i], key) {
		return nil
	}
	return r.ranges[i]
}

// siblings returns region and up to n regions that end where it begins, the next to the left and so on: where a split
// may have left keys that region had.
func (r *registry) siblings(region *metapb.Region, n int) []*metapb.Region {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []*metapb.Region{region}
	at, _ := r.search(region.StartKey)
	for start := region.StartKey; at > 0 && n > 0 && len(start) > 0; n-- {
		at--
		left := r.ranges[at]
		if !bytes.Equal(left.EndKey, start) {
			break
		}
		out, start = append(out, left), left.StartKey
	}
	return out
}

func (r *registry) search(start []byte) (int, bool) {
	return slices.BinarySearchFunc(r.ranges, start, func(e *metapb.Region, k []byte) int {
		return bytes.Compare(e.StartKey, k)
	})
}

func (r *registry) overlapping(start, end []byte, id uint64) *metapb.Region {
	at, _ := r.search(start)
	for at = max(0, at-1); at < len(r.ranges); at++ {
		e := r.ranges[at]
		if len(end) > 0 && bytes.Compare(e.StartKey, end) >= 0 {
			break
		}
		if e.Id != id && (len(e.EndKey) == 0 || bytes.Compare(start, e.EndKey) < 0) {
			return e
		}
	}
	return nil
}

func (r *registry) putRange(region *metapb.Region) {
	r.dropRange(region.Id)
	at, _ := r.search(region.StartKey)
	r.ranges = slices.Insert(r.ranges, at, region)
	r.held[region.Id] = region
}

func (r *registry) dropRange(id uint64) {
	region := r.held[id]
	if region == nil {
		return
	}
	delete(r.held, id)
	if at, found := r.search(region.StartKey); found {
		r.ranges = slices.Delete(r.ranges, at, at+1)
	}
}

// contains tells whether an encoded key is in region.
func contains(region *metapb.Region, key []byte) bool {
	return bytes.Compare(key, region.StartKey) >= 0 && (len(region.EndKey) == 0 || bytes.Compare(key, region.EndKey) < 0)
}
