package kvclient

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/executor"
)

// Store is one storage node as the client calls it: tikvpb's unary methods, by direct call in the same process or over
// gRPC to another. Safe for concurrent use.
type Store interface {
	KvGet(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error)
	KvBatchGet(context.Context, *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error)
	KvScan(context.Context, *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error)
	KvPrewrite(context.Context, *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error)
	KvFlush(context.Context, *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error)
	KvBufferBatchGet(context.Context, *kvrpcpb.BufferBatchGetRequest) (*kvrpcpb.BufferBatchGetResponse, error)
	KvCommit(context.Context, *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error)
	KvBatchRollback(context.Context, *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error)
	KvPessimisticLock(context.Context, *kvrpcpb.PessimisticLockRequest) (*kvrpcpb.PessimisticLockResponse, error)
	KVPessimisticRollback(context.Context, *kvrpcpb.PessimisticRollbackRequest) (*kvrpcpb.PessimisticRollbackResponse, error)
	KvTxnHeartBeat(context.Context, *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error)
	KvCheckTxnStatus(context.Context, *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error)
	KvCheckSecondaryLocks(context.Context, *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error)
	KvResolveLock(context.Context, *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error)
	KvScanLock(context.Context, *kvrpcpb.ScanLockRequest) (*kvrpcpb.ScanLockResponse, error)
	KvDeleteRange(context.Context, *kvrpcpb.DeleteRangeRequest) (*kvrpcpb.DeleteRangeResponse, error)
	KvPrepareFlashbackToVersion(context.Context, *kvrpcpb.PrepareFlashbackToVersionRequest) (*kvrpcpb.PrepareFlashbackToVersionResponse, error)
	KvFlashbackToVersion(context.Context, *kvrpcpb.FlashbackToVersionRequest) (*kvrpcpb.FlashbackToVersionResponse, error)
	GetStoreSafeTS(context.Context, *kvrpcpb.StoreSafeTSRequest) (*kvrpcpb.StoreSafeTSResponse, error)
	MvccGetByKey(context.Context, *kvrpcpb.MvccGetByKeyRequest) (*kvrpcpb.MvccGetByKeyResponse, error)
	SplitRegion(context.Context, *kvrpcpb.SplitRegionRequest) (*kvrpcpb.SplitRegionResponse, error)
	Coprocessor(context.Context, *coprocessor.Request) (*coprocessor.Response, error)
	// Query runs a DAG request and hands each batch to sink, which may use it until it returns (column.Compact keeps
	// it). given are the rows of the plan's receivers, in its order. The response carries region_error, locked or
	// other_error, and in data a tipb.SelectResponse without chunks (error, warnings, execution summaries). Region errors
	// and locks are reported before the first batch. An error from sink stops the query and is returned;
	// executor.ErrNoRoom says that the store does not take what is given. With the error of a call that broke off may
	// come a response, whose range is what the batches so far answer for.
	Query(ctx context.Context, req *coprocessor.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*coprocessor.Response, error)
}

// Placement is what the client asks of the placement driver.
type Placement interface {
	// TS returns a new timestamp.
	TS(ctx context.Context) (uint64, error)
	// Region finds the region of an encoded key, with its leader (nil if unknown). A nil region means: not known now.
	Region(ctx context.Context, encodedKey []byte) (*metapb.Region, *metapb.Peer, error)
	// ScanRegions lists regions in order from the one that holds the encoded key start up to end (empty: unbounded), at most
	// limit. What is not known now is left out.
	ScanRegions(ctx context.Context, start, end []byte, limit int) ([]*pdpb.Region, error)
	// Store finds a store by id.
	Store(ctx context.Context, id uint64) (*metapb.Store, error)
}

// Dialer connects to a store. The client caches what it returns by address; closing connections is the dialer's business.
type Dialer interface {
	Dial(ctx context.Context, addr string) (Store, error)
}

// stores caches connections by store id.
type stores struct {
	placement Placement
	dialer    Dialer

	mu      sync.RWMutex
	byID    map[uint64]Store
	shunned map[uint64]time.Time // until when
}

func newStores(p Placement, d Dialer) *stores {
	return &stores{placement: p, dialer: d, byID: map[uint64]Store{}, shunned: map[uint64]time.Time{}}
}

func (s *stores) get(ctx context.Context, id uint64) (Store, error) {
	s.mu.RLock()
	st := s.byID[id]
	s.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	meta, err := s.placement.Store(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("find store %d: %w", id, err)
	}
	if st, err = s.dialer.Dial(ctx, meta.GetAddress()); err != nil {
		return nil, fmt.Errorf("dial store %d at %s: %w", id, meta.GetAddress(), err)
	}
	s.mu.Lock()
	s.byID[id] = st
	s.mu.Unlock()
	return st, nil
}

// all are the stores that are connected.
func (s *stores) all() []Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.byID))
}

// forget makes the next use of a store look up its address again.
func (s *stores) forget(id uint64) {
	s.mu.Lock()
	delete(s.byID, id)
	s.mu.Unlock()
}

// shun notes that a store cannot be reached, and forgets its address.
func (s *stores) shun(id uint64, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
	s.shunned[id] = until
}

// shuns tells whether reads that others can serve should leave the store alone.
func (s *stores) shuns(id uint64, now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return now.Before(s.shunned[id])
}
