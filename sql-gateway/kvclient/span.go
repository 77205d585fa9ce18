package kvclient

import (
	"bytes"
	"context"
	"sync"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"golang.org/x/sync/errgroup"
)

// flushed asks the stores what the transaction that began at the snapshot has flushed of ascending keys. Deleted ones have an
// empty value.
func (s *Snapshot) flushed(ctx context.Context, keys [][]byte) (map[string][]byte, error) {
	var mu sync.Mutex
	found := make(map[string][]byte, len(keys))
	var get func(context.Context, *Backoff, batch) error
	get = func(ctx context.Context, bo *Backoff, b batch) error {
		var resp *kvrpcpb.BufferBatchGetResponse
		done, err := s.c.sendTo(ctx, bo, b.region, func(st Store, r *Region) (*errorpb.Error, error) {
			var err error
			resp, err = st.KvBufferBatchGet(ctx, &kvrpcpb.BufferBatchGetRequest{Context: r.Context(), Keys: b.keys, Version: s.ts})
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return unavailable(b.keys[0], err)
		case !done:
			return s.c.eachRegion(ctx, bo, b.keys, batchGetMax, get)
		case resp.Error != nil:
			return keyError(resp.Error)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, p := range resp.Pairs {
			found[string(p.Key)] = p.Value
		}
		return nil
	}
	err := s.c.eachRegion(ctx, s.c.newBackoff(s.c.opts.ReadBudget), sortedSet(keys), batchGetMax, get)
	return found, err
}

// rollbackPrimary rolls back the key that decides a transaction.
func (c *Client) rollbackPrimary(ctx context.Context, startTS uint64, primary []byte) error {
	return c.sendKeys(ctx, [][]byte{primary}, func(ctx context.Context, st Store, r *Region, keys [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error) {
		resp, err := st.KvBatchRollback(ctx, &kvrpcpb.BatchRollbackRequest{Context: r.Context(), StartVersion: startTS, Keys: keys})
		return resp.GetRegionError(), resp.GetError(), err
	})
}

// resolveSpan commits all locks of a decided transaction in a range, or rolls them back if commitTS is 0, in the regions of the
// range concurrently.
func (c *Client) resolveSpan(ctx context.Context, startTS, commitTS uint64, span KeyRange) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Concurrency)
	bo := c.newBackoff(c.opts.WriteBudget)
	for more := true; more; {
		r, err := c.regions.locateFirst(ctx, bo, span)
		if err != nil {
			_ = g.Wait() // ends because of err, at the latest
			return err
		}
		part := span.intersect(r.Range)
		more = len(part.End) > 0 && !bytes.Equal(part.End, span.End)
		span.Start = part.End
		g.Go(func() error { return c.resolvePart(ctx, startTS, commitTS, part) })
	}
	return g.Wait()
}

// resolvePart resolves a range that has been one region, and may have been split since.
func (c *Client) resolvePart(ctx context.Context, startTS, commitTS uint64, part KeyRange) error {
	for {
		var served KeyRange
		var resp *kvrpcpb.ResolveLockResponse
		err := c.send(ctx, c.newBackoff(c.opts.WriteBudget), part.Start, func(st Store, r *Region) (*errorpb.Error, error) {
			served = r.Range
			var err error
			resp, err = st.KvResolveLock(ctx, &kvrpcpb.ResolveLockRequest{Context: r.Context(), StartVersion: startTS, CommitVersion: commitTS})
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return err
		case resp.Error != nil:
			return keyError(resp.Error)
		case len(served.End) == 0, len(part.End) > 0 && bytes.Compare(served.End, part.End) >= 0:
			return nil
		}
		part.Start = served.End
	}
}
