package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/raftstore/raftsim"
	"github.com/scree-db/scree/server/kvservice"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// client is the gateway's client on the simulated network. At some request it dies: from then on nothing that it sends
// arrives, and it just stops between two steps of the protocols.
type client struct {
	*kvclient.Client
	c     *cluster
	name  string
	tasks *raftsim.Tasks
	rng   *rand.Rand
	left  int // requests to live; negative: for ever
	lossy bool
	dead  bool
}

var (
	errDead = errors.New("the client is dead")
	errLost = errors.New("the message got lost")
)

func newClient(c *cluster, name string, tasks *raftsim.Tasks, rng *rand.Rand, left int) *client {
	cl := &client{c: c, name: name, tasks: tasks, rng: rng, left: left, lossy: left >= 0}
	cl.Client = kvclient.New(cl, cl, kvclient.Options{
		Sleep: cl.sleep, Rand: func() float64 { return 0.5 }, Concurrency: 4, Logger: quiet,
	})
	return cl
}

// travel is the way of a message.
func (cl *client) travel(ctx context.Context, what string) error {
	cl.tasks.Await(raftsim.WithName(ctx, cl.name+" "+what), always)
	if cl.dead {
		return errDead
	}
	return context.Cause(ctx)
}

func (cl *client) sleep(ctx context.Context, d time.Duration) error {
	if !cl.dead {
		cl.tasks.Sleep(raftsim.WithName(ctx, fmt.Sprintf("%s sleeps %v", cl.name, d)), d)
	}
	if cl.dead {
		return errDead
	}
	return context.Cause(ctx)
}

// TS implements kvclient.Placement.
func (cl *client) TS(ctx context.Context) (uint64, error) {
	if err := cl.travel(ctx, "timestamp"); err != nil {
		return 0, err
	}
	ts, err := cl.c.pd.Oracle().Next(ctx, 1)
	return uint64(ts), err
}

// Region implements kvclient.Placement.
func (cl *client) Region(ctx context.Context, key []byte) (*metapb.Region, *metapb.Peer, error) {
	if err := cl.travel(ctx, fmt.Sprintf("region of %x", key)); err != nil {
		return nil, nil, err
	}
	r, err := cl.c.pd.Region(key)
	return r.GetRegion(), r.GetLeader(), err
}

// ScanRegions implements kvclient.Placement.
func (cl *client) ScanRegions(ctx context.Context, start, end []byte, limit int) ([]*pdpb.Region, error) {
	if err := cl.travel(ctx, fmt.Sprintf("regions from %x", start)); err != nil {
		return nil, err
	}
	return cl.c.pd.ScanRegions(start, end, limit)
}

// Store implements kvclient.Placement.
func (cl *client) Store(_ context.Context, id uint64) (*metapb.Store, error) { return meta(id), nil }

// Dial implements kvclient.Dialer.
func (cl *client) Dial(_ context.Context, addr string) (kvclient.Store, error) {
	id, err := strconv.ParseUint(addr, 10, 64)
	return &remote{cl: cl, store: id}, err
}

// fate is what happens to a request.
type fate uint8

const (
	through fate = iota
	lostBefore
	lostAfter
	deadBefore
	deadAfter
)

func (cl *client) fate() fate {
	switch {
	case cl.left == 0:
		cl.dead = true
		return deadBefore + fate(cl.rng.IntN(2))
	case cl.lossy:
		cl.left--
		if n := cl.rng.IntN(60); n < 2 {
			return lostBefore + fate(n)
		}
	}
	return through
}

// remote is a store as the client calls it. What is not here is not used.
type remote struct {
	kvclient.Store
	cl    *client
	store uint64
}

type request interface{ Marshal() ([]byte, error) }

// call takes a request to the store, and its answer back. The store does not learn of what becomes of its client.
func call[Q request, R any](r *remote, ctx context.Context, method string, req Q, do func(*kvservice.Service, context.Context, Q) (*R, error)) (*R, error) {
	raw, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	h := fnv.New64a()
	_, _ = h.Write(raw)
	what := fmt.Sprintf("%s on %d, %x", method, r.store, h.Sum64())
	if err := r.cl.travel(ctx, what); err != nil {
		return nil, err
	}
	f := r.cl.fate()
	n := r.cl.c.nodes[r.store]
	if f == lostBefore || f == deadBefore || n == nil || !n.m.Up() {
		return nil, errors.Join(errLost, r.cl.sleep(ctx, 100*time.Millisecond))
	}
	over := n.m.Life()
	resp, err := do(n.service, raftsim.WithName(context.WithoutCancel(ctx), r.cl.name+" "+what), req)
	if e := r.cl.travel(ctx, "answer to "+what); e != nil {
		return nil, e
	}
	if f != through || over() {
		return nil, errLost
	}
	return resp, err
}

func (r *remote) KvGet(ctx context.Context, q *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	return call(r, ctx, "get", q, (*kvservice.Service).KvGet)
}

func (r *remote) KvBatchGet(ctx context.Context, q *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	return call(r, ctx, "batch get", q, (*kvservice.Service).KvBatchGet)
}

func (r *remote) KvPrewrite(ctx context.Context, q *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	return call(r, ctx, "prewrite", q, (*kvservice.Service).KvPrewrite)
}

func (r *remote) KvFlush(ctx context.Context, q *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	return call(r, ctx, "flush", q, (*kvservice.Service).KvFlush)
}

func (r *remote) KvBufferBatchGet(ctx context.Context, q *kvrpcpb.BufferBatchGetRequest) (*kvrpcpb.BufferBatchGetResponse, error) {
	return call(r, ctx, "buffer get", q, (*kvservice.Service).KvBufferBatchGet)
}

func (r *remote) KvCommit(ctx context.Context, q *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	return call(r, ctx, "commit", q, (*kvservice.Service).KvCommit)
}

func (r *remote) KvBatchRollback(ctx context.Context, q *kvrpcpb.BatchRollbackRequest) (*kvrpcpb.BatchRollbackResponse, error) {
	return call(r, ctx, "roll back", q, (*kvservice.Service).KvBatchRollback)
}

func (r *remote) KvPessimisticLock(ctx context.Context, q *kvrpcpb.PessimisticLockRequest) (*kvrpcpb.PessimisticLockResponse, error) {
	return call(r, ctx, "lock", q, (*kvservice.Service).KvPessimisticLock)
}

func (r *remote) KVPessimisticRollback(ctx context.Context, q *kvrpcpb.PessimisticRollbackRequest) (*kvrpcpb.PessimisticRollbackResponse, error) {
	return call(r, ctx, "unlock", q, (*kvservice.Service).KVPessimisticRollback)
}

func (r *remote) KvTxnHeartBeat(ctx context.Context, q *kvrpcpb.TxnHeartBeatRequest) (*kvrpcpb.TxnHeartBeatResponse, error) {
	return call(r, ctx, "heartbeat", q, (*kvservice.Service).KvTxnHeartBeat)
}

func (r *remote) KvCheckTxnStatus(ctx context.Context, q *kvrpcpb.CheckTxnStatusRequest) (*kvrpcpb.CheckTxnStatusResponse, error) {
	return call(r, ctx, "check", q, (*kvservice.Service).KvCheckTxnStatus)
}

func (r *remote) KvCheckSecondaryLocks(ctx context.Context, q *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error) {
	return call(r, ctx, "check secondaries", q, (*kvservice.Service).KvCheckSecondaryLocks)
}

func (r *remote) KvResolveLock(ctx context.Context, q *kvrpcpb.ResolveLockRequest) (*kvrpcpb.ResolveLockResponse, error) {
	return call(r, ctx, "resolve", q, (*kvservice.Service).KvResolveLock)
}
