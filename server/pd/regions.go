package pd

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/btree"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// regionInfo is what is known of one region; it is replaced by heartbeats, never changed.
type regionInfo struct {
	meta    *metapb.Region
	leader  *metapb.Peer // nil until a leader has spoken
	term    uint64
	down    []*pdpb.PeerStats
	pending []*metapb.Peer
	size    uint64 // bytes, approximate
	keys    uint64
}

// describe is the region as pdpb tells it.
func (r *regionInfo) describe() *pdpb.Region {
	return &pdpb.Region{Region: r.meta, Leader: r.leader, DownPeers: r.down, PendingPeers: r.pending}
}

func (r *regionInfo) isPending(peer uint64) bool {
	for _, p := range r.pending {
		if p.Id == peer {
			return true
		}
	}
	return false
}

// regionTree holds regions by id and by start key. Regions in it never overlap: put drops what the new one covers.
type regionTree struct {
	byID  map[uint64]*regionInfo
	byKey *btree.BTreeG[*regionInfo]
	// leaders and peers count per store.
	leaders, peers map[uint64]int
}

func newRegionTree() *regionTree {
	less := func(a, b *regionInfo) bool { return bytes.Compare(a.meta.StartKey, b.meta.StartKey) < 0 }
	return &regionTree{
		byID: make(map[uint64]*regionInfo), byKey: btree.NewG(32, less),
		leaders: make(map[uint64]int), peers: make(map[uint64]int),
	}
}

// find returns the region that holds key, or nil.
func (t *regionTree) find(key []byte) *regionInfo {
	var found *regionInfo
	t.byKey.DescendLessOrEqual(pivot(key), func(r *regionInfo) bool {
		found = r
		return false
	})
	if found == nil || !endsAfter(found.meta.EndKey, key) {
		return nil
	}
	return found
}

// findPrev returns the region before the one that holds key, or nil.
func (t *regionTree) findPrev(key []byte) *regionInfo {
	at := t.find(key)
	if at == nil {
		return nil
	}
	var prev *regionInfo
	t.byKey.DescendLessOrEqual(pivot(at.meta.StartKey), func(r *regionInfo) bool {
		if r == at {
			return true
		}
		prev = r
		return false
	})
	if prev == nil || !bytes.Equal(prev.meta.EndKey, at.meta.StartKey) {
		return nil
	}
	return prev
}

// ascend visits regions from the one that holds start on, or follows it, until visit returns false.
func (t *regionTree) ascend(start []byte, visit func(*regionInfo) bool) {
	if r := t.find(start); r != nil {
		start = r.meta.StartKey
	}
	t.byKey.AscendGreaterOrEqual(pivot(start), visit)
}

// overlaps lists the regions that share keys with [start, end).
func (t *regionTree) overlaps(start, end []byte) []*regionInfo {
	var out []*regionInfo
	t.ascend(start, func(r *regionInfo) bool {
		if !endsAfter(end, r.meta.StartKey) {
			return false
		}
		out = append(out, r)
		return true
	})
	return out
}

// put inserts r in place of its former self and of all regions it overlaps; it returns the ids of those others.
func (t *regionTree) put(r *regionInfo) (dropped []uint64) {
	if old := t.byID[r.meta.Id]; old != nil {
		t.remove(old)
	}
	for _, o := range t.overlaps(r.meta.StartKey, r.meta.EndKey) {
		t.remove(o)
		dropped = append(dropped, o.meta.Id)
	}
	t.byID[r.meta.Id] = r
	t.byKey.ReplaceOrInsert(r)
	t.count(r, 1)
	return dropped
}

func (t *regionTree) remove(r *regionInfo) {
	delete(t.byID, r.meta.Id)
	t.byKey.Delete(r)
	t.count(r, -1)
}

func (t *regionTree) count(r *regionInfo, by int) {
	if r.leader != nil {
		t.leaders[r.leader.StoreId] += by
	}
	for _, p := range r.meta.Peers {
		t.peers[p.StoreId] += by
	}
}

func pivot(start []byte) *regionInfo { return &regionInfo{meta: &metapb.Region{StartKey: start}} }

// endsAfter reports whether a region or range that ends before end holds key or goes on past it.
func endsAfter(end, key []byte) bool { return len(end) == 0 || bytes.Compare(end, key) > 0 }

func (c *Core) loadRegions(ctx context.Context) error {
	pairs, err := c.state.Load(ctx, keyRegions)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		meta := new(metapb.Region)
		if err := meta.Unmarshal(p.Value); err != nil {
			return fmt.Errorf("stored %s: %w", p.Key, err)
		}
		r := &regionInfo{meta: meta}
		if c.stale(r) == nil {
			c.accept(r)
		}
	}
	return nil
}

// stale says why r is older than what is known, or nil.
func (c *Core) stale(r *regionInfo) error {
	epoch := r.meta.GetRegionEpoch()
	if old := c.regions.byID[r.meta.Id]; old != nil {
		known := old.meta.GetRegionEpoch()
		if epoch.GetVersion() < known.GetVersion() || epoch.GetConfVer() < known.GetConfVer() ||
			r.term > 0 && r.term < old.term && epoch.GetConfVer() == known.GetConfVer() {
			return refuse(pdpb.ErrorType_UNKNOWN, "region is stale: region %v origin %v", r.meta, old.meta)
		}
	}
	for _, o := range c.regions.overlaps(r.meta.StartKey, r.meta.EndKey) {
		if o.meta.Id != r.meta.Id && epoch.GetVersion() < o.meta.GetRegionEpoch().GetVersion() {
			return refuse(pdpb.ErrorType_UNKNOWN, "region is stale: region %v overlaps %v", r.meta, o.meta)
		}
	}
	return nil
}

// accept takes in a region that is not stale, and notes what has to be written.
func (c *Core) accept(r *regionInfo) {
	old := c.regions.byID[r.meta.Id]
	dropped := c.regions.put(r)
	for _, id := range dropped {
		c.dirty[id] = struct{}{}
		delete(c.operators, id)
	}
	if old == nil || !sameEpoch(old.meta, r.meta) {
		c.dirty[r.meta.Id] = struct{}{}
	}
}

func sameEpoch(a, b *metapb.Region) bool {
	x, y := a.GetRegionEpoch(), b.GetRegionEpoch()
	return x.GetVersion() == y.GetVersion() && x.GetConfVer() == y.GetConfVer()
}

// flushRegions writes the regions that changed since the last call. Heartbeats would bring them back after a crash:
// the copy only spares the first minute after a restart.
func (c *Core) flushRegions(ctx context.Context) error {
	for {
		pairs, ids, err := c.takeDirty()
		if err != nil || len(pairs) == 0 {
			return err
		}
		if err := c.state.Save(ctx, pairs...); err != nil {
			c.mu.Lock()
			for _, id := range ids {
				c.dirty[id] = struct{}{}
			}
			c.mu.Unlock()
			return fmt.Errorf("save regions: %w", err)
		}
	}
}

func (c *Core) takeDirty() (pairs []Pair, ids []uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.dirty {
		if len(pairs) == saveMax {
			break
		}
		p := Pair{Key: regionKey(id)}
		if r := c.regions.byID[id]; r != nil {
			if p.Value, err = r.meta.Marshal(); err != nil {
				return nil, nil, fmt.Errorf("marshal region %d: %w", id, err)
			}
		}
		pairs, ids = append(pairs, p), append(ids, id)
	}
	for _, id := range ids {
		delete(c.dirty, id)
	}
	return pairs, ids, nil
}

// RegionHeartbeat takes in what a leader says of its region and returns an order for it, or nil.
func (c *Core) RegionHeartbeat(ctx context.Context, req *pdpb.RegionHeartbeatRequest) (*pdpb.RegionHeartbeatResponse, error) {
	if req.GetRegion().GetId() == 0 || req.GetLeader().GetId() == 0 {
		return nil, refuse(pdpb.ErrorType_INVALID_VALUE, "invalid region heartbeat: %v", req)
	}
	r := &regionInfo{
		meta: req.Region, leader: req.Leader, term: req.Term, down: req.DownPeers, pending: req.PendingPeers,
		size: req.ApproximateSize, keys: req.ApproximateKeys,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return nil, errNotBootstrapped
	}
	if err := c.stale(r); err != nil {
		return nil, err
	}
	c.accept(r)
	return c.schedule(ctx, r)
}

// Region finds a region by a key in it. It returns nil, nil where no region is known.
func (c *Core) Region(key []byte) (*pdpb.Region, error) {
	return c.lookup(func(t *regionTree) *regionInfo { return t.find(key) })
}

// PrevRegion finds the region before the one that holds key.
func (c *Core) PrevRegion(key []byte) (*pdpb.Region, error) {
	return c.lookup(func(t *regionTree) *regionInfo { return t.findPrev(key) })
}

// RegionByID finds a region by its id.
func (c *Core) RegionByID(id uint64) (*pdpb.Region, error) {
	return c.lookup(func(t *regionTree) *regionInfo { return t.byID[id] })
}

func (c *Core) lookup(find func(*regionTree) *regionInfo) (*pdpb.Region, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return nil, errNotBootstrapped
	}
	if r := find(c.regions); r != nil {
		return r.describe(), nil
	}
	return nil, nil
}

// ScanRegions lists regions with a known leader, in order from the one that holds start up to end (empty: unbounded),
// at most limit of them if limit > 0.
func (c *Core) ScanRegions(start, end []byte, limit int) ([]*pdpb.Region, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return nil, errNotBootstrapped
	}
	var out []*pdpb.Region
	c.regions.ascend(start, func(r *regionInfo) bool {
		if !endsAfter(end, r.meta.StartKey) || limit > 0 && len(out) == limit {
			return false
		}
		if r.leader != nil {
			out = append(out, r.describe())
		}
		return true
	})
	return out, nil
}

// BatchScanRegions is ScanRegions for several ranges in order, without repetitions. With wholeRange it refuses ranges
// that the known regions do not cover.
func (c *Core) BatchScanRegions(ranges []*pdpb.KeyRange, limit int, wholeRange bool) ([]*pdpb.Region, error) {
	var out []*pdpb.Region
	for _, kr := range ranges {
		if limit > 0 && len(out) >= limit {
			break
		}
		regions, err := c.ScanRegions(kr.StartKey, kr.EndKey, 0)
		if err != nil {
			return nil, err
		}
		if wholeRange && !covers(regions, kr) {
			return nil, refuse(pdpb.ErrorType_REGIONS_NOT_CONTAIN_ALL_KEY_RANGE,
				"found a hole in regions of [%x, %x)", kr.StartKey, kr.EndKey)
		}
		if n := len(out); n > 0 && len(regions) > 0 && regions[0].Region.Id == out[n-1].Region.Id {
			regions = regions[1:]
		}
		out = append(out, regions...)
	}
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

// covers reports whether regions, in order, hold all keys of kr.
func covers(regions []*pdpb.Region, kr *pdpb.KeyRange) bool {
	at := kr.StartKey
	for i, r := range regions {
		if bytes.Compare(r.Region.StartKey, at) > 0 {
			return false
		}
		at = r.Region.EndKey
		if len(at) == 0 {
			return i == len(regions)-1
		}
	}
	return len(regions) > 0 && len(kr.EndKey) > 0 && bytes.Compare(at, kr.EndKey) >= 0
}

// splitMax is the greatest number of new regions of one AskBatchSplit.
const splitMax = 10

// AskBatchSplit allocates ids for count new regions, each with as many peers as region has.
func (c *Core) AskBatchSplit(ctx context.Context, region *metapb.Region, count int) ([]*pdpb.SplitID, error) {
	if count < 1 || count > splitMax {
		return nil, refuse(pdpb.ErrorType_INVALID_VALUE, "invalid split count %d, want 1 to %d", count, splitMax)
	}
	known, err := c.RegionByID(region.GetId())
	if err != nil {
		return nil, err
	}
	if known != nil && region.GetRegionEpoch().GetVersion() < known.Region.GetRegionEpoch().GetVersion() {
		return nil, refuse(pdpb.ErrorType_UNKNOWN, "region is stale: region %v origin %v", region, known.Region)
	}
	per := 1 + len(region.GetPeers())
	last, err := c.ids.next(ctx, uint32(count*per))
	if err != nil {
		return nil, err
	}
	next := last - uint64(count*per) + 1
	out := make([]*pdpb.SplitID, count)
	for i := range out {
		out[i] = &pdpb.SplitID{NewRegionId: next}
		next++
		for range region.GetPeers() {
			out[i].NewPeerIds = append(out[i].NewPeerIds, next)
			next++
		}
	}
	return out, nil
}

// ReportSplit takes in regions that a split has just made, ahead of their heartbeats. The leader of the region that
// was split is taken to lead the new ones too until they say otherwise.
func (c *Core) ReportSplit(regions []*metapb.Region) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return errNotBootstrapped
	}
	leaderStore := c.leaderStore(regions)
	for _, meta := range regions {
		r := &regionInfo{meta: meta, leader: peerOn(meta, leaderStore)}
		if old := c.regions.byID[meta.GetId()]; old != nil {
			if sameEpoch(old.meta, meta) {
				continue // its own heartbeat came first and says more
			}
			r.term = old.term
		}
		if c.stale(r) == nil {
			c.accept(r)
		}
	}
	return nil
}

// leaderStore is the store that leads the one of regions that was known before; 0 if there is none.
func (c *Core) leaderStore(regions []*metapb.Region) uint64 {
	for _, meta := range regions {
		if old := c.regions.byID[meta.GetId()]; old != nil && old.leader != nil {
			return old.leader.StoreId
		}
	}
	return 0
}

func peerOn(region *metapb.Region, store uint64) *metapb.Peer {
	for _, p := range region.Peers {
		if p.StoreId == store {
			return p
		}
	}
	return nil
}
