package kvservice

import (
	"context"
	"errors"
	"time"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage/txn"
)

// Coprocessor implements tikvpb.TikvServer.
func (s *Service) Coprocessor(ctx context.Context, req *copb.Request) (*copb.Response, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	if text := s.refused(req); text != "" {
		return &copb.Response{OtherError: text}, nil
	}
	begin := time.Now()
	resp := s.d.Coprocessor.Handle(ctx, req)
	s.metrics.of(req).done(begin, resp.RegionError == nil && resp.OtherError == "")
	return resp, nil
}

// CoprocessorStream implements tikvpb.TikvServer: Coprocessor for a DAG, a message at a time. What the client does not read is
// not computed any further.
func (s *Service) CoprocessorStream(req *copb.Request, stream tikvpb.Tikv_CoprocessorStreamServer) error {
	if err := s.check(req.GetContext()); err != nil {
		return err
	}
	if text := s.refused(req); text != "" {
		return stream.Send(&copb.Response{OtherError: text})
	}
	begin, ok := time.Now(), true
	err := s.d.Coprocessor.HandleStream(stream.Context(), req, func(resp *copb.Response) error {
		ok = ok && resp.RegionError == nil && resp.OtherError == ""
		return stream.Send(resp)
	})
	s.metrics.of(req).done(begin, err == nil && ok)
	return err
}

// Query is Coprocessor with batches and the rows of receivers by reference, for callers in the same process: see kvclient.Store.
func (s *Service) Query(ctx context.Context, req *copb.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*copb.Response, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	if text := s.refused(req); text != "" {
		return &copb.Response{OtherError: text}, nil
	}
	begin := time.Now()
	resp, err := s.d.Coprocessor.Stream(ctx, req, given, sink)
	s.metrics.of(req).done(begin, err == nil && resp.RegionError == nil && resp.OtherError == "")
	return resp, err
}

// splitKeysMax bounds the keys of one SplitRegion.
const splitKeysMax = 4096

// SplitRegion implements tikvpb.TikvServer. Transactional clients read bounds that are encoded keys. Who splits raw keys of API
// V1 gets them as bounds, and so does everybody where there is nothing else, under V1 with TTL.
func (s *Service) SplitRegion(ctx context.Context, req *kvrpcpb.SplitRegionRequest) (*kvrpcpb.SplitRegionResponse, error) {
	return serve(s, ctx, req, s.splitRegion, func(e *errorpb.Error) *kvrpcpb.SplitRegionResponse {
		return &kvrpcpb.SplitRegionResponse{RegionError: e}
	})
}

func (s *Service) splitRegion(ctx context.Context, req *kvrpcpb.SplitRegionRequest) (*kvrpcpb.SplitRegionResponse, error) {
	keys := req.SplitKeys
	if len(keys) == 0 && len(req.SplitKey) > 0 {
		keys = [][]byte{req.SplitKey}
	}
	if len(keys) == 0 || len(keys) > splitKeysMax {
		return nil, errors.New("SplitRegion needs 1 to 4096 keys")
	}
	plain := s.d.API == kvrpcpb.APIVersion_V1TTL || s.d.API == kvrpcpb.APIVersion_V1 && req.IsRawKv
	encoded := make([][]byte, len(keys))
	for i, k := range keys {
		if encoded[i] = k; !plain {
			encoded[i] = memcmp.AppendBytes(nil, k)
		}
	}
	regions, err := s.d.Splitter.SplitRegion(ctx, txn.RegionOf(req.Context), encoded)
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.SplitRegionResponse{Regions: regions}
	if len(regions) == 2 {
		resp.Left, resp.Right = regions[0], regions[1] // where older clients look
	}
	return resp, nil
}

// GetStoreSafeTS implements tikvpb.TikvServer.
func (s *Service) GetStoreSafeTS(_ context.Context, req *kvrpcpb.StoreSafeTSRequest) (*kvrpcpb.StoreSafeTSResponse, error) {
	start, end := req.GetKeyRange().GetStartKey(), req.GetKeyRange().GetEndKey()
	if len(start) > 0 {
		start = memcmp.AppendBytes(nil, start)
	}
	if len(end) > 0 {
		end = memcmp.AppendBytes(nil, end)
	}
	return &kvrpcpb.StoreSafeTSResponse{SafeTs: s.d.SafeTimestamps.StoreSafeTS(start, end)}, nil
}

// ReadIndex implements tikvpb.TikvServer.
func (s *Service) ReadIndex(ctx context.Context, req *kvrpcpb.ReadIndexRequest) (*kvrpcpb.ReadIndexResponse, error) {
	return unary(s, ctx, req, s.d.Txn.ReadIndex, func(e *errorpb.Error) *kvrpcpb.ReadIndexResponse {
		return &kvrpcpb.ReadIndexResponse{RegionError: e}
	})
}

// checkLeaderMax bounds the regions of one CheckLeader.
const checkLeaderMax = 1 << 16

// CheckLeader implements tikvpb.TikvServer, for other stores.
func (s *Service) CheckLeader(_ context.Context, req *kvrpcpb.CheckLeaderRequest) (*kvrpcpb.CheckLeaderResponse, error) {
	if len(req.Regions) > checkLeaderMax {
		return nil, status.Errorf(codes.InvalidArgument, "CheckLeader of %d regions, at most %d are possible", len(req.Regions), checkLeaderMax)
	}
	return &kvrpcpb.CheckLeaderResponse{Regions: s.d.SafeTimestamps.CheckLeaders(req.Regions), Ts: req.Ts}, nil
}

// GetLockWaitInfo implements tikvpb.TikvServer: the pessimistic lock requests that wait on this store.
func (s *Service) GetLockWaitInfo(context.Context, *kvrpcpb.GetLockWaitInfoRequest) (*kvrpcpb.GetLockWaitInfoResponse, error) {
	return &kvrpcpb.GetLockWaitInfoResponse{Entries: s.d.Txn.LockWaits()}, nil
}

// GetHealthFeedback implements tikvpb.TikvServer: the store is as fast as it can be.
func (s *Service) GetHealthFeedback(_ context.Context, req *kvrpcpb.GetHealthFeedbackRequest) (*kvrpcpb.GetHealthFeedbackResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	const bestScore = 1
	return &kvrpcpb.GetHealthFeedbackResponse{
		HealthFeedback: &kvrpcpb.HealthFeedback{StoreId: s.d.StoreID, FeedbackSeqNo: 1, SlowScore: bestScore},
	}, nil
}
