package kvservice

import (
	"context"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// The transactional methods of tikvpb.TikvServer: one of the transaction manager each.

// KvGet implements tikvpb.TikvServer.
func (s *Service) KvGet(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	return unary(s, ctx, req, s.d.Txn.Get, func(e *errorpb.Error) *kvrpcpb.GetResponse {
		return &kvrpcpb.GetResponse{RegionError: e}
	})
}

// KvBatchGet implements tikvpb.TikvServer.
func (s *Service) KvBatchGet(ctx context.Context, req *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	return unary(s, ctx, req, s.d.Txn.BatchGet, func(e *errorpb.Error) *kvrpcpb.BatchGetResponse {
		return &kvrpcpb.BatchGetResponse{RegionError: e}
	})
}

// KvScan implements tikvpb.TikvServer.
func (s *Service) KvScan(ctx context.Context, req *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error) {
	return unary(s, ctx, req, s.d.Txn.Scan, func(e *errorpb.Error) *kvrpcpb.ScanResponse {
		return &kvrpcpb.ScanResponse{RegionError: e}
	})
}

// KvPrewrite implements tikvpb.TikvServer.
func (s *Service) KvPrewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	return unary(s, ctx, req, s.d.Txn.Prewrite, func(e *errorpb.Error) *kvrpcpb.PrewriteResponse {
		return &kvrpcpb.PrewriteResponse{RegionError: e}
	})
}

// KvCommit implements tikvpb.TikvServer.
func (s *Service) KvCommit(ctx context.Context, req *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	return unary(s, ctx, req, s.d.Txn.Commit, func(e *errorpb.Error) *kvrpcpb.CommitResponse {
		return &kvrpcpb.CommitResponse{RegionError: e}
	})
}

// KvBatchRollback implements tikvpb.TikvServer.
func (s *Service) KvBatchRollback(ctx context.Context, req *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error) {
	return unary(s, ctx, req, s.d.Txn.BatchRollback, func(e *errorpb.Error) *kvrpcpb.BatchRollbackResponse {
		return &kvrpcpb.BatchRollbackResponse{RegionError: e}
	})
}

// KvCleanup implements tikvpb.TikvServer.
func (s *Service) KvCleanup(ctx context.Context, req *kvrpcpb.CleanupRequest) (*kvrpcpb.CleanupResponse, error) {
	return unary(s, ctx, req, s.d.Txn.Cleanup, func(e *errorpb.Error) *kvrpcpb.CleanupResponse {
		return &kvrpcpb.CleanupResponse{RegionError: e}
	})
}

// KvTxnHeartBeat implements tikvpb.TikvServer.
func (s *Service) KvTxnHeartBeat(ctx context.Context, req *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error) {
	return unary(s, ctx, req, s.d.Txn.TxnHeartBeat, func(e *errorpb.Error) *kvrpcpb.TxnHeartBeatResponse {
		return &kvrpcpb.TxnHeartBeatResponse{RegionError: e}
	})
}

// KvCheckTxnStatus implements tikvpb.TikvServer.
func (s *Service) KvCheckTxnStatus(ctx context.Context, req *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error) {
	return unary(s, ctx, req, s.d.Txn.CheckTxnStatus, func(e *errorpb.Error) *kvrpcpb.CheckTxnStatusResponse {
		return &kvrpcpb.CheckTxnStatusResponse{RegionError: e}
	})
}

// KvCheckSecondaryLocks implements tikvpb.TikvServer.
func (s *Service) KvCheckSecondaryLocks(ctx context.Context, req *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error) {
	return unary(s, ctx, req, s.d.Txn.CheckSecondaryLocks, func(e *errorpb.Error) *kvrpcpb.CheckSecondaryLocksResponse {
		return &kvrpcpb.CheckSecondaryLocksResponse{RegionError: e}
	})
}

// KvResolveLock implements tikvpb.TikvServer.
func (s *Service) KvResolveLock(ctx context.Context, req *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error) {
	return unary(s, ctx, req, s.d.Txn.ResolveLock, func(e *errorpb.Error) *kvrpcpb.ResolveLockResponse {
		return &kvrpcpb.ResolveLockResponse{RegionError: e}
	})
}

// KvScanLock implements tikvpb.TikvServer.
func (s *Service) KvScanLock(ctx context.Context, req *kvrpcpb.ScanLockRequest) (*kvrpcpb.ScanLockResponse, error) {
	return unary(s, ctx, req, s.d.Txn.ScanLock, func(e *errorpb.Error) *kvrpcpb.ScanLockResponse {
		return &kvrpcpb.ScanLockResponse{RegionError: e}
	})
}

// KvDeleteRange implements tikvpb.TikvServer.
func (s *Service) KvDeleteRange(ctx context.Context, req *kvrpcpb.DeleteRangeRequest) (*kvrpcpb.DeleteRangeResponse, error) {
	return unary(s, ctx, req, s.d.Txn.DeleteRange, func(e *errorpb.Error) *kvrpcpb.DeleteRangeResponse {
		return &kvrpcpb.DeleteRangeResponse{RegionError: e}
	})
}

// MvccGetByKey implements tikvpb.TikvServer.
func (s *Service) MvccGetByKey(ctx context.Context, req *kvrpcpb.MvccGetByKeyRequest) (*kvrpcpb.MvccGetByKeyResponse, error) {
	return unary(s, ctx, req, s.d.Txn.MvccGetByKey, func(e *errorpb.Error) *kvrpcpb.MvccGetByKeyResponse {
		return &kvrpcpb.MvccGetByKeyResponse{RegionError: e}
	})
}

// MvccGetByStartTs implements tikvpb.TikvServer.
func (s *Service) MvccGetByStartTs(ctx context.Context, req *kvrpcpb.MvccGetByStartTsRequest) (*kvrpcpb.MvccGetByStartTsResponse, error) {
	return unary(s, ctx, req, s.d.Txn.MvccGetByStartTs, func(e *errorpb.Error) *kvrpcpb.MvccGetByStartTsResponse {
		return &kvrpcpb.MvccGetByStartTsResponse{RegionError: e}
	})
}

// KvPessimisticLock implements tikvpb.TikvServer.
func (s *Service) KvPessimisticLock(ctx context.Context, req *kvrpcpb.PessimisticLockRequest) (*kvrpcpb.PessimisticLockResponse, error) {
	return unary(s, ctx, req, s.d.Txn.PessimisticLock, func(e *errorpb.Error) *kvrpcpb.PessimisticLockResponse {
		return &kvrpcpb.PessimisticLockResponse{RegionError: e}
	})
}

// KVPessimisticRollback implements tikvpb.TikvServer.
func (s *Service) KVPessimisticRollback(ctx context.Context, req *kvrpcpb.PessimisticRollbackRequest) (*kvrpcpb.PessimisticRollbackResponse, error) {
	return unary(s, ctx, req, s.d.Txn.PessimisticRollback, func(e *errorpb.Error) *kvrpcpb.PessimisticRollbackResponse {
		return &kvrpcpb.PessimisticRollbackResponse{RegionError: e}
	})
}

// KvFlush implements tikvpb.TikvServer.
func (s *Service) KvFlush(ctx context.Context, req *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	return unary(s, ctx, req, s.d.Txn.Flush, func(e *errorpb.Error) *kvrpcpb.FlushResponse {
		return &kvrpcpb.FlushResponse{RegionError: e}
	})
}

// KvBufferBatchGet implements tikvpb.TikvServer.
func (s *Service) KvBufferBatchGet(ctx context.Context, req *kvrpcpb.BufferBatchGetRequest) (*kvrpcpb.BufferBatchGetResponse, error) {
	return unary(s, ctx, req, s.d.Txn.BufferBatchGet, func(e *errorpb.Error) *kvrpcpb.BufferBatchGetResponse {
		return &kvrpcpb.BufferBatchGetResponse{RegionError: e}
	})
}

// KvPrepareFlashbackToVersion implements tikvpb.TikvServer.
func (s *Service) KvPrepareFlashbackToVersion(ctx context.Context, req *kvrpcpb.PrepareFlashbackToVersionRequest) (*kvrpcpb.PrepareFlashbackToVersionResponse, error) {
	return unary(s, ctx, req, s.d.Txn.PrepareFlashbackToVersion, func(e *errorpb.Error) *kvrpcpb.PrepareFlashbackToVersionResponse {
		return &kvrpcpb.PrepareFlashbackToVersionResponse{RegionError: e}
	})
}

// KvFlashbackToVersion implements tikvpb.TikvServer.
func (s *Service) KvFlashbackToVersion(ctx context.Context, req *kvrpcpb.FlashbackToVersionRequest) (*kvrpcpb.FlashbackToVersionResponse, error) {
	return unary(s, ctx, req, s.d.Txn.FlashbackToVersion, func(e *errorpb.Error) *kvrpcpb.FlashbackToVersionResponse {
		return &kvrpcpb.FlashbackToVersionResponse{RegionError: e}
	})
}

// BroadcastTxnStatus implements tikvpb.TikvServer. What is told is about no region.
func (s *Service) BroadcastTxnStatus(_ context.Context, req *kvrpcpb.BroadcastTxnStatusRequest) (*kvrpcpb.BroadcastTxnStatusResponse, error) {
	if err := s.check(req.GetContext()); err != nil {
		return nil, err
	}
	s.d.Txn.Learn(req.TxnStatus)
	return &kvrpcpb.BroadcastTxnStatusResponse{}, nil
}
