package pd

import (
	"context"

	"github.com/pingcap/kvproto/pkg/pdpb"
)

// GetGCSafePoint implements pdpb.PDServer.
func (s *Service) GetGCSafePoint(_ context.Context, req *pdpb.GetGCSafePointRequest) (*pdpb.GetGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.GetGCSafePointResponse{Header: s.header(nil), SafePoint: s.core.GCSafePoint()}, nil
}

// UpdateGCSafePoint implements pdpb.PDServer.
func (s *Service) UpdateGCSafePoint(ctx context.Context, req *pdpb.UpdateGCSafePointRequest) (*pdpb.UpdateGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	_, ts, err := s.core.UpdateGCSafePoint(ctx, req.SafePoint)
	return &pdpb.UpdateGCSafePointResponse{Header: s.header(err), NewSafePoint: ts}, nil
}

// UpdateServiceGCSafePoint implements pdpb.PDServer.
func (s *Service) UpdateServiceGCSafePoint(ctx context.Context, req *pdpb.UpdateServiceGCSafePointRequest) (*pdpb.UpdateServiceGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	service, ttl, least, err := s.core.UpdateServiceGCSafePoint(ctx, string(req.ServiceId), req.SafePoint, req.TTL)
	return &pdpb.UpdateServiceGCSafePointResponse{
		Header: s.header(err), ServiceId: []byte(service), TTL: ttl, MinSafePoint: least,
	}, nil
}

// AdvanceGCSafePoint implements pdpb.PDServer.
func (s *Service) AdvanceGCSafePoint(ctx context.Context, req *pdpb.AdvanceGCSafePointRequest) (*pdpb.AdvanceGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	old, ts, err := s.core.AdvanceGCSafePoint(ctx, req.Target)
	return &pdpb.AdvanceGCSafePointResponse{Header: s.header(err), OldGcSafePoint: old, NewGcSafePoint: ts}, nil
}

// AdvanceTxnSafePoint implements pdpb.PDServer.
func (s *Service) AdvanceTxnSafePoint(ctx context.Context, req *pdpb.AdvanceTxnSafePointRequest) (*pdpb.AdvanceTxnSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	old, ts, blocker, err := s.core.AdvanceTxnSafePoint(ctx, req.Target)
	return &pdpb.AdvanceTxnSafePointResponse{
		Header: s.header(err), OldTxnSafePoint: old, NewTxnSafePoint: ts, BlockerDescription: blocker,
	}, nil
}

// SetGCBarrier implements pdpb.PDServer.
func (s *Service) SetGCBarrier(ctx context.Context, req *pdpb.SetGCBarrierRequest) (*pdpb.SetGCBarrierResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	info, err := s.core.SetGCBarrier(ctx, req.BarrierId, req.BarrierTs, req.TtlSeconds)
	return &pdpb.SetGCBarrierResponse{Header: s.header(err), NewBarrierInfo: info}, nil
}

// DeleteGCBarrier implements pdpb.PDServer.
func (s *Service) DeleteGCBarrier(ctx context.Context, req *pdpb.DeleteGCBarrierRequest) (*pdpb.DeleteGCBarrierResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	info, err := s.core.DeleteGCBarrier(ctx, req.BarrierId)
	return &pdpb.DeleteGCBarrierResponse{Header: s.header(err), DeletedBarrierInfo: info}, nil
}

// GetGCState implements pdpb.PDServer.
func (s *Service) GetGCState(_ context.Context, req *pdpb.GetGCStateRequest) (*pdpb.GetGCStateResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	state := s.core.GCState(!req.ExcludeGcBarriers)
	state.KeyspaceScope = req.KeyspaceScope
	return &pdpb.GetGCStateResponse{Header: s.header(nil), GcState: state}, nil
}
