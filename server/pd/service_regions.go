package pd

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// GetRegion implements pdpb.PDServer.
func (s *Service) GetRegion(_ context.Context, req *pdpb.GetRegionRequest) (*pdpb.GetRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return s.region(s.core.Region(req.RegionKey)), nil
}

// GetPrevRegion implements pdpb.PDServer.
func (s *Service) GetPrevRegion(_ context.Context, req *pdpb.GetRegionRequest) (*pdpb.GetRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return s.region(s.core.PrevRegion(req.RegionKey)), nil
}

// GetRegionByID implements pdpb.PDServer.
func (s *Service) GetRegionByID(_ context.Context, req *pdpb.GetRegionByIDRequest) (*pdpb.GetRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return s.region(s.core.RegionByID(req.RegionId)), nil
}

// region answers one region; none is an empty answer, on which clients back off.
func (s *Service) region(r *pdpb.Region, err error) *pdpb.GetRegionResponse {
	out := &pdpb.GetRegionResponse{Header: s.header(err)}
	if r != nil {
		out.Region, out.Leader, out.DownPeers, out.PendingPeers = r.Region, r.Leader, r.DownPeers, r.PendingPeers
	}
	return out
}

// ScanRegions implements pdpb.PDServer, for old clients too, who read metas and leaders.
func (s *Service) ScanRegions(_ context.Context, req *pdpb.ScanRegionsRequest) (*pdpb.ScanRegionsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	regions, err := s.core.ScanRegions(req.StartKey, req.EndKey, int(req.Limit))
	out := &pdpb.ScanRegionsResponse{Header: s.header(err), Regions: regions}
	for _, r := range regions {
		out.RegionMetas = append(out.RegionMetas, r.Region)
		out.Leaders = append(out.Leaders, r.Leader)
	}
	return out, nil
}

// BatchScanRegions implements pdpb.PDServer.
func (s *Service) BatchScanRegions(_ context.Context, req *pdpb.BatchScanRegionsRequest) (*pdpb.BatchScanRegionsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if err := checkRanges(req.Ranges); err != nil {
		return &pdpb.BatchScanRegionsResponse{Header: s.header(err)}, nil
	}
	regions, err := s.core.BatchScanRegions(req.Ranges, int(req.Limit), req.ContainAllKeyRange)
	return &pdpb.BatchScanRegionsResponse{Header: s.header(err), Regions: regions}, nil
}

// checkRanges refuses ranges that are reversed or out of order.
func checkRanges(ranges []*pdpb.KeyRange) error {
	for i, r := range ranges {
		if len(r.EndKey) > 0 && bytes.Compare(r.StartKey, r.EndKey) > 0 {
			return refuse(pdpb.ErrorType_INVALID_VALUE, "invalid key range: start %x lies after end %x", r.StartKey, r.EndKey)
		}
		if i > 0 && (len(ranges[i-1].EndKey) == 0 || bytes.Compare(ranges[i-1].EndKey, r.StartKey) > 0) {
			return refuse(pdpb.ErrorType_INVALID_VALUE, "invalid key ranges: not in order")
		}
	}
	return nil
}

// QueryRegion implements pdpb.PDServer: many look-ups in one message.
func (s *Service) QueryRegion(stream pdpb.PD_QueryRegionServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return endOfStream(err)
		}
		if err := s.check(req.GetHeader()); err != nil {
			return err
		}
		if err := stream.Send(s.queryRegions(req)); err != nil {
			return err
		}
	}
}

func (s *Service) queryRegions(req *pdpb.QueryRegionRequest) *pdpb.QueryRegionResponse {
	out := &pdpb.QueryRegionResponse{RegionsById: make(map[uint64]*pdpb.RegionResponse)}
	var failed error
	// add notes one answer and returns its id, 0 where there is no region.
	add := func(r *pdpb.Region, err error) uint64 {
		if err != nil {
			failed = err
		}
		if r == nil {
			return 0
		}
		out.RegionsById[r.Region.Id] = &pdpb.RegionResponse{
			Region: r.Region, Leader: r.Leader, DownPeers: r.DownPeers, PendingPeers: r.PendingPeers,
		}
		return r.Region.Id
	}
	for _, key := range req.Keys {
		out.KeyIdMap = append(out.KeyIdMap, add(s.core.Region(key)))
	}
	for _, key := range req.PrevKeys {
		out.PrevKeyIdMap = append(out.PrevKeyIdMap, add(s.core.PrevRegion(key)))
	}
	for _, id := range req.Ids {
		add(s.core.RegionByID(id))
	}
	out.Header = s.header(failed)
	return out
}

// AskBatchSplit implements pdpb.PDServer.
func (s *Service) AskBatchSplit(ctx context.Context, req *pdpb.AskBatchSplitRequest) (*pdpb.AskBatchSplitResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ids, err := s.core.AskBatchSplit(ctx, req.Region, int(req.SplitCount))
	return &pdpb.AskBatchSplitResponse{Header: s.header(err), Ids: ids}, nil
}

// AskSplit implements pdpb.PDServer, for one new region.
func (s *Service) AskSplit(ctx context.Context, req *pdpb.AskSplitRequest) (*pdpb.AskSplitResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ids, err := s.core.AskBatchSplit(ctx, req.Region, 1)
	if err != nil {
		return &pdpb.AskSplitResponse{Header: s.header(err)}, nil
	}
	return &pdpb.AskSplitResponse{Header: s.header(nil), NewRegionId: ids[0].NewRegionId, NewPeerIds: ids[0].NewPeerIds}, nil
}

// ReportBatchSplit implements pdpb.PDServer.
func (s *Service) ReportBatchSplit(_ context.Context, req *pdpb.ReportBatchSplitRequest) (*pdpb.ReportBatchSplitResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.ReportBatchSplitResponse{Header: s.header(s.core.ReportSplit(req.Regions))}, nil
}

// ReportSplit implements pdpb.PDServer.
func (s *Service) ReportSplit(_ context.Context, req *pdpb.ReportSplitRequest) (*pdpb.ReportSplitResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	err := s.core.ReportSplit([]*metapb.Region{req.Left, req.Right})
	return &pdpb.ReportSplitResponse{Header: s.header(err)}, nil
}

// ScatterRegion implements pdpb.PDServer. Leaders are balanced all the time, so there is nothing to wait for.
func (s *Service) ScatterRegion(_ context.Context, req *pdpb.ScatterRegionRequest) (*pdpb.ScatterRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	out := &pdpb.ScatterRegionResponse{Header: s.header(nil), FinishedPercentage: 100}
	for _, id := range req.RegionsId {
		r, err := s.core.RegionByID(id)
		if err != nil {
			return &pdpb.ScatterRegionResponse{Header: s.header(err)}, nil
		}
		if r == nil {
			out.FailedRegionsId = append(out.FailedRegionsId, id)
		}
	}
	if n := len(req.RegionsId); n > 0 {
		out.FinishedPercentage = uint64(100 * (n - len(out.FailedRegionsId)) / n)
	}
	return out, nil
}

// GetOperator implements pdpb.PDServer.
func (s *Service) GetOperator(_ context.Context, req *pdpb.GetOperatorRequest) (*pdpb.GetOperatorResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	desc, status, err := s.core.OperatorStatus(req.RegionId)
	return &pdpb.GetOperatorResponse{
		Header: s.header(err), RegionId: req.RegionId, Desc: []byte(desc), Kind: []byte("region"), Status: status,
	}, nil
}
