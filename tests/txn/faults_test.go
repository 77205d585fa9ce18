package txn

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// mortal is a client of a cluster that suffers: requests and answers get lost, stores answer with region errors, and at some
// request of a transaction it dies. From then on nothing that it sends arrives; it just stops between two steps of the
// protocol, before or after the last one was carried out. Its locks live shortly, so that others need not wait for long.
type mortal struct {
	*kvclient.Client
	dialer kvclient.Dialer
	ctx    context.Context // ends at its death
	die    context.CancelFunc

	mu  sync.Mutex
	rng *rand.Rand
	// left is the number of requests to live; negative: for ever.
	left  int
	steps map[string]int // at which requests clients died, by name
}

var (
	errDead = errors.New("the client is dead")
	errLost = errors.New("the message got lost")
)

// newMortal makes a client that dies at its left-th request that is part of a transaction's end or locks.
func newMortal(c cluster, seed uint64, left int, steps map[string]int) *mortal {
	m := &mortal{dialer: c.Dialer(), rng: rand.New(rand.NewPCG(seed, 1)), left: left, steps: steps}
	m.ctx, m.die = context.WithCancel(context.Background())
	m.Client = kvclient.New(c.Placement(), m, kvclient.Options{Sleep: m.sleep, Logger: slog.New(slog.DiscardHandler)})
	return m
}

// cluster is what a client needs to know of one.
type cluster interface {
	Placement() kvclient.Placement
	Dialer() kvclient.Dialer
}

func (m *mortal) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d / 8)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-m.ctx.Done():
		return errDead
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *mortal) Dial(ctx context.Context, addr string) (kvclient.Store, error) {
	s, err := m.dialer.Dial(ctx, addr)
	return &faultyStore{Store: s, m: m}, err
}

// fate is what happens to a request.
type fate uint8

const (
	through fate = iota
	deadBefore
	deadAfter
	lostBefore
	lostAfter
	refused
)

// next decides about a request. Reads do not kill.
func (m *mortal) next(name string, deadly bool) fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil:
		return deadBefore
	case deadly && m.left == 0:
		m.die()
		if m.rng.IntN(2) == 0 {
			m.steps["before "+name]++
			return deadBefore
		}
		m.steps["after "+name]++
		return deadAfter
	case deadly:
		m.left--
	}
	switch m.rng.IntN(60) {
	case 0:
		return lostBefore
	case 1:
		return lostAfter
	case 2, 3:
		return refused
	}
	return through
}

// regionError is one that leads the client around.
func (m *mortal) regionError() *errorpb.Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch m.rng.IntN(4) {
	case 0:
		return &errorpb.Error{NotLeader: &errorpb.NotLeader{}}
	case 1:
		return &errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{}}
	case 2:
		return &errorpb.Error{StaleCommand: &errorpb.StaleCommand{}}
	}
	return &errorpb.Error{RegionNotFound: &errorpb.RegionNotFound{}}
}

// faultyStore is a store as a mortal sees it.
type faultyStore struct {
	kvclient.Store
	m *mortal
}

// call sends a request through a mortal's faults.
func call[Req, Resp any](s *faultyStore, ctx context.Context, req *Req, deadly bool, name string,
	do func(context.Context, *Req) (*Resp, error), refuse func(*errorpb.Error) *Resp) (*Resp, error) {
	f := s.m.next(name, deadly)
	switch f {
	case deadBefore:
		return nil, errDead
	case lostBefore:
		return nil, errLost
	case refused:
		return refuse(s.m.regionError()), nil
	}
	// The store does not learn of its client's death.
	resp, err := do(context.WithoutCancel(ctx), req)
	switch f {
	case deadAfter:
		return nil, errDead
	case lostAfter:
		return nil, errLost
	}
	return resp, err
}

func (s *faultyStore) KvGet(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	return call(s, ctx, req, false, "get", s.Store.KvGet, func(e *errorpb.Error) *kvrpcpb.GetResponse {
		return &kvrpcpb.GetResponse{RegionError: e}
	})
}

func (s *faultyStore) KvBatchGet(ctx context.Context, req *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	return call(s, ctx, req, false, "batch get", s.Store.KvBatchGet, func(e *errorpb.Error) *kvrpcpb.BatchGetResponse {
		return &kvrpcpb.BatchGetResponse{RegionError: e}
	})
}

// shortLife is how long locks live beyond what the transaction has lasted.
const shortLife = 60 * time.Millisecond

func (s *faultyStore) KvPrewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	short := *req
	short.LockTtl -= uint64((3*time.Second - shortLife) / time.Millisecond)
	name := "prewrite in two phases"
	switch {
	case req.TryOnePc:
		name = "prewrite in one phase"
	case req.UseAsyncCommit:
		name = "prewrite of an async commit"
	}
	return call(s, ctx, &short, true, name, s.Store.KvPrewrite, func(e *errorpb.Error) *kvrpcpb.PrewriteResponse {
		return &kvrpcpb.PrewriteResponse{RegionError: e}
	})
}

func (s *faultyStore) KvFlush(ctx context.Context, req *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	short := *req
	short.LockTtl -= uint64((20*time.Second - shortLife) / time.Millisecond)
	return call(s, ctx, &short, true, "flush", s.Store.KvFlush, func(e *errorpb.Error) *kvrpcpb.FlushResponse {
		return &kvrpcpb.FlushResponse{RegionError: e}
	})
}

func (s *faultyStore) KvBufferBatchGet(ctx context.Context, req *kvrpcpb.BufferBatchGetRequest) (*kvrpcpb.BufferBatchGetResponse, error) {
	return call(s, ctx, req, false, "get of what was flushed", s.Store.KvBufferBatchGet, func(e *errorpb.Error) *kvrpcpb.BufferBatchGetResponse {
		return &kvrpcpb.BufferBatchGetResponse{RegionError: e}
	})
}

func (s *faultyStore) KvCommit(ctx context.Context, req *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	return call(s, ctx, req, true, "commit", s.Store.KvCommit, func(e *errorpb.Error) *kvrpcpb.CommitResponse {
		return &kvrpcpb.CommitResponse{RegionError: e}
	})
}

func (s *faultyStore) KvBatchRollback(ctx context.Context, req *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error) {
	return call(s, ctx, req, true, "rollback", s.Store.KvBatchRollback, func(e *errorpb.Error) *kvrpcpb.BatchRollbackResponse {
		return &kvrpcpb.BatchRollbackResponse{RegionError: e}
	})
}

func (s *faultyStore) KvPessimisticLock(ctx context.Context, req *kvrpcpb.PessimisticLockRequest) (*kvrpcpb.PessimisticLockResponse, error) {
	short := *req
	short.LockTtl -= uint64((20*time.Second - shortLife) / time.Millisecond)
	short.WaitTimeout = min(short.WaitTimeout, 10)
	return call(s, ctx, &short, true, "pessimistic lock", s.Store.KvPessimisticLock, func(e *errorpb.Error) *kvrpcpb.PessimisticLockResponse {
		return &kvrpcpb.PessimisticLockResponse{RegionError: e}
	})
}

// A transaction that is stalled beats before it dies: its locks are not to live for longer than others wait.
func (s *faultyStore) KvTxnHeartBeat(ctx context.Context, req *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error) {
	short := *req
	short.AdviseLockTtl -= uint64((20*time.Second - shortLife) / time.Millisecond)
	return call(s, ctx, &short, false, "heartbeat", s.Store.KvTxnHeartBeat, func(e *errorpb.Error) *kvrpcpb.TxnHeartBeatResponse {
		return &kvrpcpb.TxnHeartBeatResponse{RegionError: e}
	})
}

func (s *faultyStore) KVPessimisticRollback(ctx context.Context, req *kvrpcpb.PessimisticRollbackRequest) (*kvrpcpb.PessimisticRollbackResponse, error) {
	return call(s, ctx, req, true, "pessimistic rollback", s.Store.KVPessimisticRollback, func(e *errorpb.Error) *kvrpcpb.PessimisticRollbackResponse {
		return &kvrpcpb.PessimisticRollbackResponse{RegionError: e}
	})
}

func (s *faultyStore) KvCheckTxnStatus(ctx context.Context, req *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error) {
	return call(s, ctx, req, true, "check of a transaction", s.Store.KvCheckTxnStatus, func(e *errorpb.Error) *kvrpcpb.CheckTxnStatusResponse {
		return &kvrpcpb.CheckTxnStatusResponse{RegionError: e}
	})
}

func (s *faultyStore) KvCheckSecondaryLocks(ctx context.Context, req *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error) {
	return call(s, ctx, req, true, "check of secondary locks", s.Store.KvCheckSecondaryLocks, func(e *errorpb.Error) *kvrpcpb.CheckSecondaryLocksResponse {
		return &kvrpcpb.CheckSecondaryLocksResponse{RegionError: e}
	})
}

func (s *faultyStore) KvResolveLock(ctx context.Context, req *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error) {
	return call(s, ctx, req, true, "resolution of a lock", s.Store.KvResolveLock, func(e *errorpb.Error) *kvrpcpb.ResolveLockResponse {
		return &kvrpcpb.ResolveLockResponse{RegionError: e}
	})
}
