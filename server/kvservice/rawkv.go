package kvservice

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// The raw methods of tikvpb.TikvServer: one of the raw service each.

// RawGet implements tikvpb.TikvServer.
func (s *Service) RawGet(ctx context.Context, req *kvrpcpb.RawGetRequest) (*kvrpcpb.RawGetResponse, error) {
	return serve(s, ctx, req, s.d.Raw.Get, func(e *errorpb.Error) *kvrpcpb.RawGetResponse {
		return &kvrpcpb.RawGetResponse{RegionError: e}
	})
}

// RawBatchGet implements tikvpb.TikvServer.
func (s *Service) RawBatchGet(ctx context.Context, req *kvrpcpb.RawBatchGetRequest) (*kvrpcpb.RawBatchGetResponse, error) {
	return serve(s, ctx, req, s.d.Raw.BatchGet, func(e *errorpb.Error) *kvrpcpb.RawBatchGetResponse {
		return &kvrpcpb.RawBatchGetResponse{RegionError: e}
	})
}

// RawGetKeyTTL implements tikvpb.TikvServer.
func (s *Service) RawGetKeyTTL(ctx context.Context, req *kvrpcpb.RawGetKeyTTLRequest) (*kvrpcpb.RawGetKeyTTLResponse, error) {
	return serve(s, ctx, req, s.d.Raw.GetKeyTTL, func(e *errorpb.Error) *kvrpcpb.RawGetKeyTTLResponse {
		return &kvrpcpb.RawGetKeyTTLResponse{RegionError: e}
	})
}

// RawPut implements tikvpb.TikvServer.
func (s *Service) RawPut(ctx context.Context, req *kvrpcpb.RawPutRequest) (*kvrpcpb.RawPutResponse, error) {
	return serve(s, ctx, req, s.d.Raw.Put, func(e *errorpb.Error) *kvrpcpb.RawPutResponse {
		return &kvrpcpb.RawPutResponse{RegionError: e}
	})
}

// RawBatchPut implements tikvpb.TikvServer.
func (s *Service) RawBatchPut(ctx context.Context, req *kvrpcpb.RawBatchPutRequest) (*kvrpcpb.RawBatchPutResponse, error) {
	return serve(s, ctx, req, s.d.Raw.BatchPut, func(e *errorpb.Error) *kvrpcpb.RawBatchPutResponse {
		return &kvrpcpb.RawBatchPutResponse{RegionError: e}
	})
}

// RawDelete implements tikvpb.TikvServer.
func (s *Service) RawDelete(ctx context.Context, req *kvrpcpb.RawDeleteRequest) (*kvrpcpb.RawDeleteResponse, error) {
	return serve(s, ctx, req, s.d.Raw.Delete, func(e *errorpb.Error) *kvrpcpb.RawDeleteResponse {
		return &kvrpcpb.RawDeleteResponse{RegionError: e}
	})
}

// RawBatchDelete implements tikvpb.TikvServer.
func (s *Service) RawBatchDelete(ctx context.Context, req *kvrpcpb.RawBatchDeleteRequest) (*kvrpcpb.RawBatchDeleteResponse, error) {
	return serve(s, ctx, req, s.d.Raw.BatchDelete, func(e *errorpb.Error) *kvrpcpb.RawBatchDeleteResponse {
		return &kvrpcpb.RawBatchDeleteResponse{RegionError: e}
	})
}

// RawScan implements tikvpb.TikvServer.
func (s *Service) RawScan(ctx context.Context, req *kvrpcpb.RawScanRequest) (*kvrpcpb.RawScanResponse, error) {
	return serve(s, ctx, req, s.d.Raw.Scan, func(e *errorpb.Error) *kvrpcpb.RawScanResponse {
		return &kvrpcpb.RawScanResponse{RegionError: e}
	})
}

// RawBatchScan implements tikvpb.TikvServer.
func (s *Service) RawBatchScan(ctx context.Context, req *kvrpcpb.RawBatchScanRequest) (*kvrpcpb.RawBatchScanResponse, error) {
	return serve(s, ctx, req, s.d.Raw.BatchScan, func(e *errorpb.Error) *kvrpcpb.RawBatchScanResponse {
		return &kvrpcpb.RawBatchScanResponse{RegionError: e}
	})
}

// RawDeleteRange implements tikvpb.TikvServer.
func (s *Service) RawDeleteRange(ctx context.Context, req *kvrpcpb.RawDeleteRangeRequest) (*kvrpcpb.RawDeleteRangeResponse, error) {
	return serve(s, ctx, req, s.d.Raw.DeleteRange, func(e *errorpb.Error) *kvrpcpb.RawDeleteRangeResponse {
		return &kvrpcpb.RawDeleteRangeResponse{RegionError: e}
	})
}

// RawCompareAndSwap implements tikvpb.TikvServer.
func (s *Service) RawCompareAndSwap(ctx context.Context, req *kvrpcpb.RawCASRequest) (*kvrpcpb.RawCASResponse, error) {
	return serve(s, ctx, req, s.d.Raw.CompareAndSwap, func(e *errorpb.Error) *kvrpcpb.RawCASResponse {
		return &kvrpcpb.RawCASResponse{RegionError: e}
	})
}

// RawChecksum implements tikvpb.TikvServer.
func (s *Service) RawChecksum(ctx context.Context, req *kvrpcpb.RawChecksumRequest) (*kvrpcpb.RawChecksumResponse, error) {
	return serve(s, ctx, req, s.d.Raw.Checksum, func(e *errorpb.Error) *kvrpcpb.RawChecksumResponse {
		return &kvrpcpb.RawChecksumResponse{RegionError: e}
	})
}

// RawCoprocessor implements tikvpb.TikvServer as a store without plugins does.
func (s *Service) RawCoprocessor(_ context.Context, req *kvrpcpb.RawCoprocessorRequest) (*kvrpcpb.RawCoprocessorResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	return &kvrpcpb.RawCoprocessorResponse{Error: fmt.Sprintf("No registered coprocessor with name '%s'", req.CoprName)}, nil
}
