package kvclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/codec/memcmp"
)

// KeyRange is [Start, End) of plain user keys; an empty End is unbounded.
type KeyRange struct{ Start, End []byte }

// contains reports whether key lies in r.
func (r KeyRange) contains(key []byte) bool {
	return bytes.Compare(key, r.Start) >= 0 && (len(r.End) == 0 || bytes.Compare(key, r.End) < 0)
}

// Region is what the client knows of one region. Immutable: news replaces it in the cache.
type Region struct {
	Meta   *metapb.Region
	Leader *metapb.Peer
	// Range is in plain user keys; Meta's bounds are encoded.
	Range KeyRange
	// Leader is another replica, which is to serve a read; see ReadFrom. Regions in the cache are not such.
	replicaRead, staleRead bool
	since                  time.Time // when the cache learned of it
}

// errNoKeys is for a region without keys of transactions: its bounds cut raw keys.
var errNoKeys = errors.New("the region has no keys of transactions")

func newRegion(meta *metapb.Region, leader *metapb.Peer) (*Region, error) {
	r := &Region{Meta: meta, Leader: leader, Range: KeyRange{userBound(meta.StartKey), userBound(meta.EndKey)}}
	if len(meta.EndKey) > 0 && bytes.Compare(r.Range.Start, r.Range.End) >= 0 {
		return nil, errNoKeys
	}
	if r.Leader.GetId() == 0 && len(meta.Peers) > 0 {
		r.Leader = meta.Peers[0]
	}
	return r, nil
}

// userBound is the first user key behind a region's bound, nil for an open one. It is what the bound encodes, unless that was
// made to split raw keys.
func userBound(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return memcmp.Ceil(b)
}

// Context fills what every request to the region carries.
func (r *Region) Context() *kvrpcpb.Context {
	ctx := new(kvrpcpb.Context)
	r.fill(ctx)
	return ctx
}

func (r *Region) fill(ctx *kvrpcpb.Context) {
	ctx.RegionId, ctx.RegionEpoch, ctx.Peer = r.Meta.Id, r.Meta.RegionEpoch, r.Leader
	ctx.ReplicaRead, ctx.StaleRead = r.replicaRead, r.staleRead
}

// regionCache maps keys to regions: a slice ordered by start key without overlaps, replaced piecewise by fresher news.
type regionCache struct {
	placement Placement
	now       func() time.Time

	mu     sync.RWMutex
	sorted []*Region
}

func newRegionCache(p Placement, now func() time.Time) *regionCache {
	return &regionCache{placement: p, now: now}
}

// errNoRegion says that PD does not know a region for a key at the moment.
var errNoRegion = errors.New("no region is known for the key")

// locate finds the region of key, asking PD if it is not cached.
func (c *regionCache) locate(ctx context.Context, bo *Backoff, key []byte) (*Region, error) {
	if r := c.cached(key); r != nil {
		return r, nil
	}
	for {
		r, err := c.load(ctx, key)
		if err == nil {
			c.insert(r)
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := bo.wait(ctx, backoffPD, err); err != nil {
			return nil, unavailable(key, err)
		}
	}
}

// regionsMax bounds the regions that are asked for at once.
const regionsMax = 128

// locateFirst finds the region of r's start. One that is not cached comes with those behind it in r: whoever reads or writes
// a range wants them next.
func (c *regionCache) locateFirst(ctx context.Context, bo *Backoff, r KeyRange) (*Region, error) {
	if reg := c.cached(r.Start); reg != nil {
		return reg, nil
	}
	var end []byte
	if len(r.End) > 0 {
		end = memcmp.AppendBytes(nil, r.End)
	}
	// Of what cannot be had so, the first is asked for by itself, until there is an answer.
	list, err := c.placement.ScanRegions(ctx, memcmp.AppendBytes(nil, r.Start), end, regionsMax)
	for _, found := range list {
		if reg, invalid := newRegion(found.Region, found.Leader); err == nil && invalid == nil {
			c.insert(reg)
		}
	}
	return c.locate(ctx, bo, r.Start)
}

func (c *regionCache) load(ctx context.Context, key []byte) (*Region, error) {
	meta, leader, err := c.placement.Region(ctx, memcmp.AppendBytes(nil, key))
	if err != nil {
		return nil, err
	}
	if meta == nil {
		return nil, errNoRegion
	}
	return newRegion(meta, leader)
}

func (c *regionCache) cached(key []byte) *Region {
	c.mu.RLock()
	defer c.mu.RUnlock()
	i := sort.Search(len(c.sorted), func(i int) bool { return bytes.Compare(c.sorted[i].Range.Start, key) > 0 })
	if i == 0 || !c.sorted[i-1].Range.contains(key) {
		return nil
	}
	return c.sorted[i-1]
}

// insert replaces all that overlaps r, unless the cache has newer news of the same region.
func (c *regionCache) insert(r *Region) {
	r.since = c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	from := sort.Search(len(c.sorted), func(i int) bool {
		end := c.sorted[i].Range.End
		return len(end) == 0 || bytes.Compare(end, r.Range.Start) > 0
	})
	to := from
	for to < len(c.sorted) && (len(r.Range.End) == 0 || bytes.Compare(c.sorted[to].Range.Start, r.Range.End) < 0) {
		if old := c.sorted[to].Meta; old.Id == r.Meta.Id && newer(old.RegionEpoch, r.Meta.RegionEpoch) {
			return
		}
		to++
	}
	c.sorted = slices.Replace(c.sorted, from, to, r)
}

func newer(a, b *metapb.RegionEpoch) bool {
	return a.GetVersion() > b.GetVersion() || a.GetVersion() == b.GetVersion() && a.GetConfVer() > b.GetConfVer()
}

// find is the place of r in the cache, -1 if it is not there any more.
func (c *regionCache) find(r *Region) int {
	i := sort.Search(len(c.sorted), func(i int) bool { return bytes.Compare(c.sorted[i].Range.Start, r.Range.Start) >= 0 })
	if i < len(c.sorted) && c.sorted[i] == r {
		return i
	}
	return -1
}

// drop forgets r, if it is still what the cache holds.
func (c *regionCache) drop(r *Region) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.find(r); i >= 0 {
		c.sorted = slices.Delete(c.sorted, i, i+1)
	}
}

// setLeader replaces r by one with another leader.
func (c *regionCache) setLeader(r *Region, leader *metapb.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.find(r); i >= 0 {
		c.sorted[i] = &Region{Meta: r.Meta, Leader: leader, Range: r.Range, since: r.since}
	}
}

// nextPeer guesses another leader where the present one cannot be reached.
func (c *regionCache) nextPeer(r *Region) {
	peers := r.Meta.Peers
	i := slices.IndexFunc(peers, func(p *metapb.Peer) bool { return p.Id == r.Leader.GetId() })
	if len(peers) < 2 || i < 0 {
		c.drop(r)
		return
	}
	c.setLeader(r, peers[(i+1)%len(peers)])
}

// onError mends the cache after a region error and waits where the error asks for time. The caller locates again.
func (c *Client) onRegionError(ctx context.Context, bo *Backoff, r *Region, e *errorpb.Error) error {
	c.metrics.regionErrors.WithLabelValues(regionErrorName(e)).Inc()
	cause := fmt.Errorf("region %d: %s", r.Meta.Id, e)
	switch {
	case e.NotLeader != nil:
		if e.NotLeader.Leader.GetId() != 0 {
			c.regions.setLeader(r, e.NotLeader.Leader)
			return bo.hint(ctx, backoffLeader, cause)
		}
		c.regions.drop(r)
		return bo.wait(ctx, backoffLeader, cause)
	case e.EpochNotMatch != nil:
		return c.onEpochNotMatch(ctx, bo, r, e.EpochNotMatch, cause)
	case e.ServerIsBusy != nil, e.DiskFull != nil:
		return bo.wait(ctx, backoffBusy, cause)
	case e.StoreNotMatch != nil:
		c.stores.forget(r.Leader.GetStoreId())
	case e.RaftEntryTooLarge != nil:
		return cause
	case e.FlashbackInProgress != nil:
		return fmt.Errorf("%w: %w", ErrInFlashback, cause)
	case e.FlashbackNotPrepared != nil:
		return fmt.Errorf("%w: %w", errNotInFlashback, cause)
	case e.StaleCommand != nil, e.MaxTimestampNotSynced != nil, e.ReadIndexNotReady != nil,
		e.ProposalInMergingMode != nil, e.DataIsNotReady != nil, e.RegionNotInitialized != nil:
		return bo.wait(ctx, backoffRegion, cause)
	}
	c.regions.drop(r)
	return bo.wait(ctx, backoffRegion, cause)
}

// onEpochNotMatch takes over the regions that the store says cover the old range.
func (c *Client) onEpochNotMatch(ctx context.Context, bo *Backoff, r *Region, e *errorpb.EpochNotMatch, cause error) error {
	c.regions.drop(r)
	if len(e.CurrentRegions) == 0 {
		return bo.wait(ctx, backoffRegion, cause)
	}
	for _, meta := range e.CurrentRegions {
		fresh, err := newRegion(meta, leaderOn(meta, r.Leader.GetStoreId()))
		if err == nil {
			c.regions.insert(fresh)
		}
	}
	// A store that answers with the very epoch it refused would spin without a wait.
	return bo.wait(ctx, backoffLeader, cause)
}

func leaderOn(meta *metapb.Region, store uint64) *metapb.Peer {
	for _, p := range meta.Peers {
		if p.StoreId == store {
			return p
		}
	}
	return nil
}

func unavailable(key []byte, err error) error {
	if err == nil {
		return nil
	}
	var spent *budgetError
	if errors.As(err, &spent) {
		return &RegionUnavailableError{Key: key, Cause: err}
	}
	return err
}

// send runs one request against the region of key until it gets through: do returns the region error of the response,
// or the error of the call, which is tried again unless it is permanent.
func (c *Client) send(ctx context.Context, bo *Backoff, key []byte, do func(Store, *Region) (*errorpb.Error, error)) error {
	for {
		r, err := c.regions.locate(ctx, bo, key)
		if err != nil {
			return err
		}
		if done, err := c.sendTo(ctx, bo, r, do); done || err != nil {
			return unavailable(key, err)
		}
	}
}

// sendTo tries r once. It returns done if the request got through; not done without an error asks to locate again.
func (c *Client) sendTo(ctx context.Context, bo *Backoff, r *Region, do func(Store, *Region) (*errorpb.Error, error)) (done bool, err error) {
	st, err := c.stores.get(ctx, r.Leader.GetStoreId())
	if err != nil {
		return false, c.onStoreError(ctx, bo, r, err)
	}
	begin := c.opts.Now()
	regionErr, err := do(st, r)
	c.took(c.metrics.requests, begin)
	switch {
	case err != nil:
		return false, c.onStoreError(ctx, bo, r, err)
	case regionErr != nil:
		return false, c.onRegionError(ctx, bo, r, regionErr)
	}
	return true, nil
}

// permanent marks an error that trying again cannot mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

func (c *Client) onStoreError(ctx context.Context, bo *Backoff, r *Region, err error) error {
	if p, ok := err.(permanent); ok {
		return p.error
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.stores.forget(r.Leader.GetStoreId())
	c.regions.nextPeer(r)
	return bo.wait(ctx, backoffStore, err)
}

// batch is the part of an operation that concerns one region.
type batch struct {
	region *Region
	keys   [][]byte
}

// prefix is the number of ascending keys, the first of which lies in r, before the first beyond it.
func (r *Region) prefix(keys [][]byte) int {
	end := r.Range.End
	if len(end) == 0 {
		return len(keys)
	}
	return sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], end) >= 0 })
}

// group cuts ascending keys by region.
func (c *Client) group(ctx context.Context, bo *Backoff, keys [][]byte) ([]batch, error) {
	var out []batch
	for len(keys) > 0 {
		r, err := c.regions.locateFirst(ctx, bo, KeyRange{keys[0], keys[len(keys)-1]})
		if err != nil {
			return nil, err
		}
		n := r.prefix(keys)
		out = append(out, batch{r, keys[:n]})
		keys = keys[n:]
	}
	return out, nil
}

// Do runs one request of the caller's own against key's region: for tools and tests that speak to stores themselves. f
// returns the response's region error, on which it is called again.
func (c *Client) Do(ctx context.Context, key []byte, f func(Store, *kvrpcpb.Context) (*errorpb.Error, error)) error {
	return c.send(ctx, c.newBackoff(c.opts.WriteBudget), key, func(st Store, r *Region) (*errorpb.Error, error) {
		return f(st, r.Context())
	})
}
