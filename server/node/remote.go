package node

import (
	"context"
	"fmt"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tipb/go-tipb"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// remote is a store in another process.
type remote struct {
	rpc    tikvpb.TikvClient
	encode tipb.EncodeType
}

var _ kvclient.Store = remote{}

func newRemote(conn *grpc.ClientConn, encode tipb.EncodeType) remote {
	return remote{tikvpb.NewTikvClient(conn), encode}
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

func (r remote) KvDeleteRange(ctx context.Context, req *kvrpcpb.DeleteRangeRequest) (*kvrpcpb.DeleteRangeResponse, error) {
	return r.rpc.KvDeleteRange(ctx, req)
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

// Query asks for encoded rows and hands them on as batches. Those of receivers go into the request.
func (r remote) Query(ctx context.Context, req *copb.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*copb.Response, error) {
	asked, fields, err := r.encoded(req, given)
	if err != nil {
		return nil, err
	}
	resp, err := r.rpc.Coprocessor(ctx, asked)
	if err != nil || resp.RegionError != nil || resp.Locked != nil || resp.OtherError != "" {
		return resp, err
	}
	rows := new(tipb.SelectResponse)
	if err := rows.Unmarshal(resp.Data); err != nil {
		return nil, fmt.Errorf("decode rows: %w", err)
	}
	decode := chunk.DecodeChunk
	if rows.EncodeType != tipb.EncodeType_TypeChunk {
		decode = chunk.DecodeDefault
	}
	for _, c := range rows.Chunks {
		batch, err := decode(c.RowsData, fields)
		if err != nil {
			return nil, fmt.Errorf("decode rows: %w", err)
		}
		if err := sink(batch); err != nil {
			return nil, err
		}
	}
	rows.Chunks = nil
	resp.Data, err = rows.Marshal()
	return resp, err
}

// encoded is the request with the rows that it is given, which asks for others in r's encoding, and the types of their columns.
func (r remote) encoded(req *copb.Request, given []*executor.Broadcast) (*copb.Request, []*tipb.FieldType, error) {
	dag := new(tipb.DAGRequest)
	if err := dag.Unmarshal(req.Data); err != nil {
		return nil, nil, fmt.Errorf("decode DAG request: %w", err)
	}
	fields, err := coprocessor.Fields(dag)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range dag.Executors {
		if e.Tp != tipb.ExecType_TypeExchangeReceiver || len(given) == 0 {
			continue
		}
		if err := given[0].Fill(e.ExchangeReceiver); err != nil {
			return nil, nil, err
		}
		given = given[1:]
	}
	dag.EncodeType = r.encode
	asked := *req
	asked.Data, err = dag.Marshal()
	return &asked, fields, err
}
