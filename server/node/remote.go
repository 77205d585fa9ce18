package node

import (
	"context"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/server/flight"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// remote is a store in another process.
type remote struct {
	rpc    tikvpb.TikvClient
	flight *flight.Client
}

var _ kvclient.Store = remote{}

func newRemote(conn *grpc.ClientConn) remote {
	return remote{tikvpb.NewTikvClient(conn), flight.NewClient(conn)}
}

func (r remote) KvGet(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	return r.rpc.KvGet(ctx, req)
}

func (r remote) KvBatchGet(ctx context.Context, req *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	return r.rpc.KvBatchGet(ctx, req)
}

func (r remote) KvScan(ctx context.Context, req *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error) {
	return r.rpc.KvScan(ctx, req)
}

func (r remote) KvPrewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	return r.rpc.KvPrewrite(ctx, req)
}

func (r remote) KvFlush(ctx context.Context, req *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	return r.rpc.KvFlush(ctx, req)
}

func (r remote) KvBufferBatchGet(ctx context.Context, req *kvrpcpb.BufferBatchGetRequest) (*kvrpcpb.BufferBatchGetResponse, error) {
	return r.rpc.KvBufferBatchGet(ctx, req)
}

func (r remote) KvCommit(ctx context.Context, req *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	return r.rpc.KvCommit(ctx, req)
}

func (r remote) KvBatchRollback(ctx context.Context, req *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error) {
	return r.rpc.KvBatchRollback(ctx, req)
}

func (r remote) KvPessimisticLock(ctx context.Context, req *kvrpcpb.PessimisticLockRequest) (*kvrpcpb.PessimisticLockResponse, error) {
	return r.rpc.KvPessimisticLock(ctx, req)
}

func (r remote) KVPessimisticRollback(ctx context.Context, req *kvrpcpb.PessimisticRollbackRequest) (*kvrpcpb.PessimisticRollbackResponse, error) {
	return r.rpc.KVPessimisticRollback(ctx, req)
}

func (r remote) KvTxnHeartBeat(ctx context.Context, req *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error) {
	return r.rpc.KvTxnHeartBeat(ctx, req)
}

func (r remote) KvCheckTxnStatus(ctx context.Context, req *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error) {
	return r.rpc.KvCheckTxnStatus(ctx, req)
}

func (r remote) KvCheckSecondaryLocks(ctx context.Context, req *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error) {
	return r.rpc.KvCheckSecondaryLocks(ctx, req)
}

func (r remote) KvResolveLock(ctx context.Context, req *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error) {
	return r.rpc.KvResolveLock(ctx, req)
}

func (r remote) KvScanLock(ctx context.Context, req *kvrpcpb.ScanLockRequest) (*kvrpcpb.ScanLockResponse, error) {
	return r.rpc.KvScanLock(ctx, req)
}

func (r remote) GetStoreSafeTS(ctx context.Context, req *kvrpcpb.StoreSafeTSRequest) (*kvrpcpb.StoreSafeTSResponse, error) {
	return r.rpc.GetStoreSafeTS(ctx, req)
}

func (r remote) GetLockWaitInfo(ctx context.Context, req *kvrpcpb.GetLockWaitInfoRequest) (*kvrpcpb.GetLockWaitInfoResponse, error) {
	return r.rpc.GetLockWaitInfo(ctx, req)
}

func (r remote) KvDeleteRange(ctx context.Context, req *kvrpcpb.DeleteRangeRequest) (*kvrpcpb.DeleteRangeResponse, error) {
	return r.rpc.KvDeleteRange(ctx, req)
}

func (r remote) KvPrepareFlashbackToVersion(ctx context.Context, req *kvrpcpb.PrepareFlashbackToVersionRequest) (*kvrpcpb.PrepareFlashbackToVersionResponse, error) {
	return r.rpc.KvPrepareFlashbackToVersion(ctx, req)
}

func (r remote) KvFlashbackToVersion(ctx context.Context, req *kvrpcpb.FlashbackToVersionRequest) (*kvrpcpb.FlashbackToVersionResponse, error) {
	return r.rpc.KvFlashbackToVersion(ctx, req)
}

func (r remote) MvccGetByKey(ctx context.Context, req *kvrpcpb.MvccGetByKeyRequest) (*kvrpcpb.MvccGetByKeyResponse, error) {
	return r.rpc.MvccGetByKey(ctx, req)
}

func (r remote) SplitRegion(ctx context.Context, req *kvrpcpb.SplitRegionRequest) (*kvrpcpb.SplitRegionResponse, error) {
	return r.rpc.SplitRegion(ctx, req)
}

func (r remote) Coprocessor(ctx context.Context, req *copb.Request) (*copb.Response, error) {
	return r.rpc.Coprocessor(ctx, req)
}

// Query streams batches over Arrow Flight.
func (r remote) Query(ctx context.Context, req *copb.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*copb.Response, error) {
	return r.flight.Query(ctx, req, given, sink)
}
