package kvclient

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"golang.org/x/sync/errgroup"
)

// Snapshot reads what was committed at or before one timestamp. Safe for concurrent use.
type Snapshot struct {
	c    *Client
	ts   uint64
	from ReadFrom

	mu sync.Mutex
	// seen are transactions whose locks this snapshot need not wait for any more.
	seen bypass
}

// bypass lists transactions by what a reader may do with their locks: ignore those that will commit later or were
// rolled back, read through those that committed before.
type bypass struct{ ignore, read []uint64 }

func (b *bypass) addTo(ctx *kvrpcpb.Context) {
	ctx.ResolvedLocks, ctx.CommittedLocks = b.ignore, b.read
}

// TS is the snapshot's timestamp.
func (s *Snapshot) TS() uint64 { return s.ts }

// Resolve deals with locks that a read at this snapshot met: finished transactions are resolved, others waited for a
// little. The read is to be tried again with the locks that Bypass adds.
func (s *Snapshot) Resolve(ctx context.Context, bo *Backoff, locks ...*kvrpcpb.LockInfo) error {
	found, wait, err := s.c.resolver.resolve(ctx, bo, s.ts, locks, false)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.seen.ignore = addNew(s.seen.ignore, found.ignore)
	s.seen.read = addNew(s.seen.read, found.read)
	s.mu.Unlock()
	if !wait {
		return nil
	}
	return lockTimeout(bo.wait(ctx, backoffLock, &LockTimeoutError{Lock: locks[0]}))
}

// addNew returns a new slice: requests under way may still read the old one.
func addNew(have, more []uint64) []uint64 {
	out := slices.Clip(have)
	for _, ts := range more {
		if !slices.Contains(out, ts) {
			out = append(out, ts)
		}
	}
	return out
}

// Bypass puts what earlier Resolve calls found into a request's context.
func (s *Snapshot) Bypass(ctx *kvrpcpb.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.addTo(ctx)
}

func (s *Snapshot) context(r *Region) *kvrpcpb.Context {
	ctx := new(kvrpcpb.Context)
	s.fill(ctx, r)
	return ctx
}

// fill makes a request's context one for r.
func (s *Snapshot) fill(ctx *kvrpcpb.Context, r *Region) {
	r.fill(ctx)
	s.Bypass(ctx)
}

// getCall is what a get needs, in one piece of memory.
type getCall struct {
	req kvrpcpb.GetRequest
	ctx kvrpcpb.Context
	bo  Backoff
}

// Get returns nil if the key does not exist.
func (s *Snapshot) Get(ctx context.Context, key []byte) ([]byte, error) {
	call := &getCall{bo: Backoff{c: s.c, left: s.c.opts.ReadBudget}}
	bo := &call.bo
	call.req = kvrpcpb.GetRequest{Context: &call.ctx, Key: key, Version: s.ts}
	for {
		var resp *kvrpcpb.GetResponse
		err := s.send(ctx, bo, key, func(st Store, r *Region) (*errorpb.Error, error) {
			s.fill(&call.ctx, r)
			var err error
			resp, err = st.KvGet(ctx, &call.req)
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return nil, err
		case resp.Error.GetLocked() != nil:
			if err := s.Resolve(ctx, bo, resp.Error.Locked); err != nil {
				return nil, err
			}
		case resp.Error != nil:
			return nil, keyError(resp.Error)
		case resp.NotFound:
			return nil, nil
		default:
			return resp.Value, nil
		}
	}
}

// batchGetMax bounds the keys of one request.
const batchGetMax = 4096

// BatchGet returns the existing ones of keys, in parallel over regions.
func (s *Snapshot) BatchGet(ctx context.Context, keys [][]byte) (map[string][]byte, error) {
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		keys = slices.Clone(keys)
		slices.SortFunc(keys, bytes.Compare)
	}
	keys = slices.CompactFunc(slices.Clone(keys), bytes.Equal)
	var mu sync.Mutex
	out := make(map[string][]byte, len(keys))
	bo := s.c.newBackoff(s.c.opts.ReadBudget)
	err := s.c.eachRegion(ctx, bo, keys, batchGetMax, func(ctx context.Context, bo *Backoff, b batch) error {
		return s.batchGet(ctx, bo, b, func(p *kvrpcpb.KvPair) {
			mu.Lock()
			out[string(p.Key)] = p.Value
			mu.Unlock()
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eachRegion cuts ascending keys by region, and further into pieces of at most most keys, and runs do on the pieces
// concurrently. do deals with region errors itself, by calling eachRegion again for its keys.
func (c *Client) eachRegion(ctx context.Context, bo *Backoff, keys [][]byte, most int, do func(context.Context, *Backoff, batch) error) error {
	groups, err := c.group(ctx, bo, keys)
	if err != nil {
		return err
	}
	if len(groups) == 1 && len(keys) <= most {
		return do(ctx, bo, groups[0])
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Concurrency)
	for _, b := range groups {
		for piece := range slices.Chunk(b.keys, most) {
			g.Go(func() error { return do(ctx, bo.Fork(), batch{b.region, piece}) })
		}
	}
	return g.Wait()
}

func (s *Snapshot) batchGet(ctx context.Context, bo *Backoff, b batch, found func(*kvrpcpb.KvPair)) error {
	again := func(keys [][]byte) error {
		return s.c.eachRegion(ctx, bo, keys, batchGetMax, func(ctx context.Context, bo *Backoff, b batch) error {
			return s.batchGet(ctx, bo, b, found)
		})
	}
	var resp *kvrpcpb.BatchGetResponse
	done, err := s.sendTo(ctx, bo, b.region, func(st Store, r *Region) (*errorpb.Error, error) {
		var err error
		resp, err = st.KvBatchGet(ctx, &kvrpcpb.BatchGetRequest{Context: s.context(r), Keys: b.keys, Version: s.ts})
		return resp.GetRegionError(), err
	})
	if err != nil {
		return unavailable(b.keys[0], err)
	}
	if !done {
		return again(b.keys)
	}
	if e := resp.Error; e != nil && e.Locked == nil {
		return keyError(e)
	}
	locks, locked, err := splitLocked(resp.Pairs, found)
	if err != nil || len(locks) == 0 {
		return err
	}
	if resp.Error != nil { // the request failed as a whole
		locked = b.keys
	}
	if err := s.Resolve(ctx, bo, locks...); err != nil {
		return err
	}
	return again(locked)
}

// splitLocked hands the pairs that were read to found and returns the others' locks and keys.
func splitLocked(pairs []*kvrpcpb.KvPair, found func(*kvrpcpb.KvPair)) (locks []*kvrpcpb.LockInfo, keys [][]byte, err error) {
	for _, p := range pairs {
		switch {
		case p.Error.GetLocked() != nil:
			locks = append(locks, p.Error.Locked)
			keys = append(keys, p.Error.Locked.Key)
		case p.Error != nil:
			return nil, nil, keyError(p.Error)
		default:
			found(p)
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return locks, keys, nil
}
