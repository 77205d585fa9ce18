package kvservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/txn"
)

// destroyTries is how often UnsafeDestroyRange lists the regions anew because one has split or moved meanwhile.
const destroyTries = 5

// UnsafeDestroyRange implements tikvpb.TikvServer: all versions and locks of a range go, without regard to transactions, and
// so do raw pairs with keys in it.
// Clients send it to every store. Each deletes what it leads, by replication: a deletion behind its back would come undone
// when the log is replayed, or leave replicas that differ.
func (s *Service) UnsafeDestroyRange(ctx context.Context, req *kvrpcpb.UnsafeDestroyRangeRequest) (*kvrpcpb.UnsafeDestroyRangeResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	if len(req.EndKey) > 0 && bytes.Compare(req.StartKey, req.EndKey) >= 0 {
		return &kvrpcpb.UnsafeDestroyRangeResponse{}, nil
	}
	err := s.destroyRange(ctx, req)
	for try := 1; try < destroyTries && isRegionError(err); try++ {
		err = s.destroyRange(ctx, req)
	}
	if err != nil && ctx.Err() == nil {
		return &kvrpcpb.UnsafeDestroyRangeResponse{Error: err.Error()}, nil
	}
	return &kvrpcpb.UnsafeDestroyRangeResponse{}, ctx.Err()
}

func isRegionError(err error) bool {
	var region *storage.RegionError
	return errors.As(err, &region)
}

func (s *Service) destroyRange(ctx context.Context, req *kvrpcpb.UnsafeDestroyRangeRequest) error {
	for _, r := range s.d.Splitter.Regions() {
		if !r.IsLeader {
			continue
		}
		err := s.destroyRaw(ctx, &r, req)
		if err == nil && overlaps(r.Region, req.StartKey, req.EndKey) {
			_, err = s.d.Txn.DeleteRange(ctx, &kvrpcpb.DeleteRangeRequest{
				Context: contextOf(&r), StartKey: req.StartKey, EndKey: req.EndKey,
			})
		}
		if err != nil {
			return fmt.Errorf("region %d: %w", r.Region.Id, err)
		}
	}
	return nil
}

// destroyRaw deletes the raw pairs of the range in a region.
func (s *Service) destroyRaw(ctx context.Context, r *raftstore.RegionStatus, req *kvrpcpb.UnsafeDestroyRangeRequest) error {
	if !s.d.Raw.Overlaps(r.Region, req.StartKey, req.EndKey) {
		return nil
	}
	return s.d.Raw.Destroy(ctx, txn.RegionOf(contextOf(r)), req.StartKey, req.EndKey)
}

// overlaps says whether a region has keys of a range of user keys.
func overlaps(r *metapb.Region, start, end []byte) bool {
	return (len(r.EndKey) == 0 || bytes.Compare(memcmp.AppendBytes(nil, start), r.EndKey) < 0) &&
		(len(end) == 0 || bytes.Compare(r.StartKey, memcmp.AppendBytes(nil, end)) < 0)
}

// contextOf addresses a region of this store as it was listed.
func contextOf(r *raftstore.RegionStatus) *kvrpcpb.Context {
	return &kvrpcpb.Context{RegionId: r.Region.Id, RegionEpoch: r.Region.RegionEpoch, Term: r.Term}
}
