package kvservice

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/tikvpb"
)

// command runs one entry of a batch. A command that this store does not have is answered with an empty response, which
// fails that call alone.
func (s *Service) command(ctx context.Context, req *tikvpb.BatchCommandsRequest_Request) (*tikvpb.BatchCommandsResponse_Response, error) {
	out := new(tikvpb.BatchCommandsResponse_Response)
	var err error
	switch cmd := req.GetCmd().(type) {
	case *tikvpb.BatchCommandsRequest_Request_Get:
		r := new(tikvpb.BatchCommandsResponse_Response_Get)
		r.Get, err = s.KvGet(ctx, cmd.Get)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Scan:
		r := new(tikvpb.BatchCommandsResponse_Response_Scan)
		r.Scan, err = s.KvScan(ctx, cmd.Scan)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Prewrite:
		r := new(tikvpb.BatchCommandsResponse_Response_Prewrite)
		r.Prewrite, err = s.KvPrewrite(ctx, cmd.Prewrite)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Commit:
		r := new(tikvpb.BatchCommandsResponse_Response_Commit)
		r.Commit, err = s.KvCommit(ctx, cmd.Commit)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Cleanup:
		r := new(tikvpb.BatchCommandsResponse_Response_Cleanup)
		r.Cleanup, err = s.KvCleanup(ctx, cmd.Cleanup)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_BatchGet:
		r := new(tikvpb.BatchCommandsResponse_Response_BatchGet)
		r.BatchGet, err = s.KvBatchGet(ctx, cmd.BatchGet)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_BatchRollback:
		r := new(tikvpb.BatchCommandsResponse_Response_BatchRollback)
		r.BatchRollback, err = s.KvBatchRollback(ctx, cmd.BatchRollback)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_ScanLock:
		r := new(tikvpb.BatchCommandsResponse_Response_ScanLock)
		r.ScanLock, err = s.KvScanLock(ctx, cmd.ScanLock)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_ResolveLock:
		r := new(tikvpb.BatchCommandsResponse_Response_ResolveLock)
		r.ResolveLock, err = s.KvResolveLock(ctx, cmd.ResolveLock)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_DeleteRange:
		r := new(tikvpb.BatchCommandsResponse_Response_DeleteRange)
		r.DeleteRange, err = s.KvDeleteRange(ctx, cmd.DeleteRange)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Coprocessor:
		r := new(tikvpb.BatchCommandsResponse_Response_Coprocessor)
		r.Coprocessor, err = s.Coprocessor(ctx, cmd.Coprocessor)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_PessimisticLock:
		r := new(tikvpb.BatchCommandsResponse_Response_PessimisticLock)
		r.PessimisticLock, err = s.KvPessimisticLock(ctx, cmd.PessimisticLock)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_PessimisticRollback:
		r := new(tikvpb.BatchCommandsResponse_Response_PessimisticRollback)
		r.PessimisticRollback, err = s.KVPessimisticRollback(ctx, cmd.PessimisticRollback)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_CheckTxnStatus:
		r := new(tikvpb.BatchCommandsResponse_Response_CheckTxnStatus)
		r.CheckTxnStatus, err = s.KvCheckTxnStatus(ctx, cmd.CheckTxnStatus)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_TxnHeartBeat:
		r := new(tikvpb.BatchCommandsResponse_Response_TxnHeartBeat)
		r.TxnHeartBeat, err = s.KvTxnHeartBeat(ctx, cmd.TxnHeartBeat)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_CheckSecondaryLocks:
		r := new(tikvpb.BatchCommandsResponse_Response_CheckSecondaryLocks)
		r.CheckSecondaryLocks, err = s.KvCheckSecondaryLocks(ctx, cmd.CheckSecondaryLocks)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Flush:
		r := new(tikvpb.BatchCommandsResponse_Response_Flush)
		r.Flush, err = s.KvFlush(ctx, cmd.Flush)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_BufferBatchGet:
		r := new(tikvpb.BatchCommandsResponse_Response_BufferBatchGet)
		r.BufferBatchGet, err = s.KvBufferBatchGet(ctx, cmd.BufferBatchGet)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_BroadcastTxnStatus:
		r := new(tikvpb.BatchCommandsResponse_Response_BroadcastTxnStatus)
		r.BroadcastTxnStatus, err = s.BroadcastTxnStatus(ctx, cmd.BroadcastTxnStatus)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_PrepareFlashbackToVersion:
		r := new(tikvpb.BatchCommandsResponse_Response_PrepareFlashbackToVersion)
		r.PrepareFlashbackToVersion, err = s.KvPrepareFlashbackToVersion(ctx, cmd.PrepareFlashbackToVersion)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_FlashbackToVersion:
		r := new(tikvpb.BatchCommandsResponse_Response_FlashbackToVersion)
		r.FlashbackToVersion, err = s.KvFlashbackToVersion(ctx, cmd.FlashbackToVersion)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_GetHealthFeedback:
		r := new(tikvpb.BatchCommandsResponse_Response_GetHealthFeedback)
		r.GetHealthFeedback, err = s.GetHealthFeedback(ctx, cmd.GetHealthFeedback)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_Empty:
		r, emptyErr := empty(ctx, cmd.Empty)
		out.Cmd, err = &tikvpb.BatchCommandsResponse_Response_Empty{Empty: r}, emptyErr
	default:
		return s.rawCommand(ctx, req)
	}
	if err != nil {
		return new(tikvpb.BatchCommandsResponse_Response), err
	}
	return out, nil
}

// rawCommand runs one entry of a batch that belongs to the raw API.
func (s *Service) rawCommand(ctx context.Context, req *tikvpb.BatchCommandsRequest_Request) (*tikvpb.BatchCommandsResponse_Response, error) {
	out := new(tikvpb.BatchCommandsResponse_Response)
	var err error
	switch cmd := req.GetCmd().(type) {
	case *tikvpb.BatchCommandsRequest_Request_RawGet:
		r := new(tikvpb.BatchCommandsResponse_Response_RawGet)
		r.RawGet, err = s.RawGet(ctx, cmd.RawGet)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawBatchGet:
		r := new(tikvpb.BatchCommandsResponse_Response_RawBatchGet)
		r.RawBatchGet, err = s.RawBatchGet(ctx, cmd.RawBatchGet)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawPut:
		r := new(tikvpb.BatchCommandsResponse_Response_RawPut)
		r.RawPut, err = s.RawPut(ctx, cmd.RawPut)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawBatchPut:
		r := new(tikvpb.BatchCommandsResponse_Response_RawBatchPut)
		r.RawBatchPut, err = s.RawBatchPut(ctx, cmd.RawBatchPut)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawDelete:
		r := new(tikvpb.BatchCommandsResponse_Response_RawDelete)
		r.RawDelete, err = s.RawDelete(ctx, cmd.RawDelete)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawBatchDelete:
		r := new(tikvpb.BatchCommandsResponse_Response_RawBatchDelete)
		r.RawBatchDelete, err = s.RawBatchDelete(ctx, cmd.RawBatchDelete)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawScan:
		r := new(tikvpb.BatchCommandsResponse_Response_RawScan)
		r.RawScan, err = s.RawScan(ctx, cmd.RawScan)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawBatchScan:
		r := new(tikvpb.BatchCommandsResponse_Response_RawBatchScan)
		r.RawBatchScan, err = s.RawBatchScan(ctx, cmd.RawBatchScan)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawCoprocessor:
		r := new(tikvpb.BatchCommandsResponse_Response_RawCoprocessor)
		r.RawCoprocessor, err = s.RawCoprocessor(ctx, cmd.RawCoprocessor)
		out.Cmd = r
	case *tikvpb.BatchCommandsRequest_Request_RawDeleteRange:
		r := new(tikvpb.BatchCommandsResponse_Response_RawDeleteRange)
		r.RawDeleteRange, err = s.RawDeleteRange(ctx, cmd.RawDeleteRange)
		out.Cmd = r
	default:
		err = fmt.Errorf("command %T is not supported", cmd)
	}
	if err != nil {
		return new(tikvpb.BatchCommandsResponse_Response), err
	}
	return out, nil
}
