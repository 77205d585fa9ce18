package kvclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// Split cuts regions at the given user keys and returns once the stores serve the new ones.
func (c *Client) Split(ctx context.Context, keys [][]byte) error {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, bytes.Compare)
	for _, key := range keys {
		bo := c.newBackoff(c.opts.WriteBudget)
		err := c.send(ctx, bo, key, func(st Store, r *Region) (*errorpb.Error, error) {
			if bytes.Equal(r.Range.Start, key) {
				return nil, nil
			}
			resp, err := st.SplitRegion(ctx, &kvrpcpb.SplitRegionRequest{Context: r.Context(), SplitKeys: [][]byte{key}})
			if err == nil && resp.RegionError == nil {
				c.regions.drop(r)
			}
			return resp.GetRegionError(), err
		})
		if err != nil {
			return fmt.Errorf("split at %x: %w", key, err)
		}
	}
	return nil
}

// DeleteRange removes all versions of all keys in r: for ranges that nobody reads any more, such as a dropped table's.
func (c *Client) DeleteRange(ctx context.Context, r KeyRange) error {
	for rest := r; ; {
		bo := c.newBackoff(c.opts.WriteBudget)
		var part KeyRange
		var resp *kvrpcpb.DeleteRangeResponse
		err := c.send(ctx, bo, rest.Start, func(st Store, reg *Region) (*errorpb.Error, error) {
			part = rest.intersect(reg.Range)
			var err error
			resp, err = st.KvDeleteRange(ctx, &kvrpcpb.DeleteRangeRequest{Context: reg.Context(), StartKey: part.Start, EndKey: part.End})
			return resp.GetRegionError(), err
		})
		if err == nil && resp.Error != "" {
			err = errors.New(resp.Error)
		}
		if err != nil {
			return fmt.Errorf("delete range [%x, %x): %w", part.Start, part.End, err)
		}
		if len(part.End) == 0 || bytes.Equal(part.End, r.End) {
			return nil
		}
		rest.Start = part.End
	}
}
