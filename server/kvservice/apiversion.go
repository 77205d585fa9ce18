package kvservice

import (
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Who may ask a store of which API version for what, as TiKV has it:
//
//	store    transactional requests                             raw requests: see storage/raw
//	V1       V1                                                 V1
//	V1TTL    none                                               V1, V1TTL
//	V2       V2 with keys 'x' + keyspace, V1 with TiDB's keys   V2 with keys 'r' + keyspace
//
// TiDB's keys begin with 'm' or 't'. Keys are checked where TiKV does: on reads, and on what writes locks.
const (
	txnMode      = 'x'
	tidbMetaMode = 'm'
	tidbRowMode  = 't'
)

// refused says why this store does not take a transactional request; "" if it does.
func (s *Service) refused(req request) string {
	asked := req.GetContext().GetApiVersion()
	switch {
	case s.d.API == kvrpcpb.APIVersion_V1 && asked == kvrpcpb.APIVersion_V1:
		return ""
	case s.d.API == kvrpcpb.APIVersion_V2 && asked == kvrpcpb.APIVersion_V1:
		return s.wrongKey(req, tidbMetaMode, tidbRowMode)
	case s.d.API == kvrpcpb.APIVersion_V2 && asked == kvrpcpb.APIVersion_V2:
		return s.wrongKey(req, txnMode)
	}
	return fmt.Sprintf("Api version in request does not match with TiKV storage, cmd: %T, storage: %s, request: %s", req, s.d.API, asked)
}

// wrongKey names a key of the request that does not begin with one of the modes; "" if there is none.
func (s *Service) wrongKey(req request, modes ...byte) string {
	mode := func(key []byte) bool {
		return len(key) > 0 && (key[0] == modes[0] || key[0] == modes[len(modes)-1])
	}
	wrong := func(key []byte) string {
		return fmt.Sprintf("Key mode mismatched with the request mode, cmd: %T, storage: %s, key: %x", req, s.d.API, key)
	}
	switch r := req.(type) {
	case *kvrpcpb.GetRequest:
		if !mode(r.Key) {
			return wrong(r.Key)
		}
	case *kvrpcpb.BatchGetRequest:
		return wrongOf(r.Keys, mode, wrong)
	case *kvrpcpb.BufferBatchGetRequest:
		return wrongOf(r.Keys, mode, wrong)
	case *kvrpcpb.PrewriteRequest:
		return wrongMutation(r.Mutations, mode, wrong)
	case *kvrpcpb.FlushRequest:
		return wrongMutation(r.Mutations, mode, wrong)
	case *kvrpcpb.PessimisticLockRequest:
		return wrongMutation(r.Mutations, mode, wrong)
	case *kvrpcpb.ScanRequest:
		return s.wrongRange(r, mode)
	}
	return ""
}

func wrongOf(keys [][]byte, mode func([]byte) bool, wrong func([]byte) string) string {
	for _, k := range keys {
		if !mode(k) {
			return wrong(k)
		}
	}
	return ""
}

func wrongMutation(mutations []*kvrpcpb.Mutation, mode func([]byte) bool, wrong func([]byte) string) string {
	for _, m := range mutations {
		if !mode(m.GetKey()) {
			return wrong(m.GetKey())
		}
	}
	return ""
}

// wrongRange is wrongKey for a scan: both bounds are of one mode, or the end is the one behind all keys of it.
func (s *Service) wrongRange(r *kvrpcpb.ScanRequest, mode func([]byte) bool) string {
	start, end := r.StartKey, r.EndKey
	if r.Reverse {
		start, end = end, start
	}
	if mode(start) && len(end) > 0 && (end[0] == start[0] || len(end) == 1 && end[0] == start[0]+1) {
		return ""
	}
	return fmt.Sprintf("Key mode mismatched with the request mode, cmd: %T, storage: %s, range: %x..%x", r, s.d.API, start, end)
}

// refuse puts a text into the place where a response has room for it; where there is none the call fails.
func refuse[R any](text string) (*R, error) {
	resp, abort := new(R), &kvrpcpb.KeyError{Abort: text}
	switch r := any(resp).(type) {
	case *kvrpcpb.GetResponse:
		r.Error = abort
	case *kvrpcpb.BatchGetResponse:
		r.Error = abort
	case *kvrpcpb.ScanResponse:
		r.Error = abort
	case *kvrpcpb.PrewriteResponse:
		r.Errors = []*kvrpcpb.KeyError{abort}
	case *kvrpcpb.PessimisticLockResponse:
		r.Errors = []*kvrpcpb.KeyError{abort}
	case *kvrpcpb.FlushResponse:
		r.Errors = []*kvrpcpb.KeyError{abort}
	case *kvrpcpb.BufferBatchGetResponse:
		r.Error = abort
	case *kvrpcpb.CommitResponse:
		r.Error = abort
	case *kvrpcpb.BatchRollbackResponse:
		r.Error = abort
	case *kvrpcpb.TxnHeartBeatResponse:
		r.Error = abort
	case *kvrpcpb.CheckTxnStatusResponse:
		r.Error = abort
	case *kvrpcpb.CheckSecondaryLocksResponse:
		r.Error = abort
	case *kvrpcpb.ScanLockResponse:
		r.Error = abort
	case *kvrpcpb.ResolveLockResponse:
		r.Error = abort
	case *kvrpcpb.DeleteRangeResponse:
		r.Error = text
	case *kvrpcpb.PrepareFlashbackToVersionResponse:
		r.Error = text
	case *kvrpcpb.FlashbackToVersionResponse:
		r.Error = text
	default:
		return nil, status.Error(codes.InvalidArgument, text)
	}
	return resp, nil
}
