package transport

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/scree-db/scree/raftstore"
)

// Resolver finds the address of a store.
type Resolver func(ctx context.Context, storeID uint64) (addr string, err error)

// Options of a Transport. Zero values stand for the defaults named.
type Options struct {
	ClusterID     uint64       // goes with all streams; those of other clusters are refused. 0: not checked
	QueueMessages int          // that wait for one store, 8192; more are dropped
	QueueBytes    int          // of them, 128 MiB
	Logger        *slog.Logger // slog.Default()
}

// Transport carries raft messages between stores over gRPC. Safe for concurrent use.
type Transport struct {
	resolve Resolver
	opts    Options
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	lanes    map[uint64]*lane
	receiver raftstore.Receiver // nil until bound
}

var _ raftstore.Transport = (*Transport)(nil)

// New returns a transport. The caller closes it after the store that it is bound to has stopped.
func New(resolve Resolver, o Options) *Transport {
	o.QueueMessages = cmp.Or(o.QueueMessages, 8192)
	o.QueueBytes = cmp.Or(o.QueueBytes, 128<<20)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	t := &Transport{resolve: resolve, opts: o, log: o.Logger, lanes: map[uint64]*lane{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Bind implements raftstore.Transport.
func (t *Transport) Bind(r raftstore.Receiver) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receiver = r
}

func (t *Transport) bound() raftstore.Receiver {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.receiver
}

// Close ends all streams and waits for them.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.wg.Wait()
	var errs []error
	for _, l := range t.lanes {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// lane returns the lane to a store, nil after Close.
func (t *Transport) lane(storeID uint64) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	l := t.lanes[storeID]
	if l == nil {
		l = newLane(t, storeID)
		t.lanes[storeID] = l
		t.goRun(l.run)
	}
	return l
}

// goRun starts a goroutine that Close waits for. The caller holds mu, and closed is not set.
func (t *Transport) goRun(f func()) {
	t.wg.Add(1)
	go func() {
		defer t.wg.Done()
		f()
	}()
}

// Send implements raftstore.Transport.
func (t *Transport) Send(msg *raft_serverpb.RaftMessage) {
	l := t.lane(msg.GetToPeer().GetStoreId())
	if l != nil && !l.put(msg) {
		t.lost(msg)
	}
}

// Conn returns the connection to a store, which the transport keeps and closes.
func (t *Transport) Conn(ctx context.Context, storeID uint64) (*grpc.ClientConn, error) {
	l := t.lane(storeID)
	if l == nil {
		return nil, errClosed
	}
	return l.connect(ctx)
}

// lost tells raft that a message did not leave. The report is queued there, so a send may be what causes it.
func (t *Transport) lost(msg *raft_serverpb.RaftMessage) {
	if r := t.bound(); r != nil {
		r.ReportUnreachable(msg.RegionId, msg.GetToPeer().GetId())
	}
}

var errClosed = errors.New("transport is closed")

// SendSnapshot implements raftstore.Transport.
func (t *Transport) SendSnapshot(msg *raft_serverpb.RaftMessage, src raftstore.SnapshotSource, done func(error)) {
	l := t.lane(msg.GetToPeer().GetStoreId())
	t.mu.Lock()
	defer t.mu.Unlock()
	if l == nil || t.closed {
		go func() { done(errors.Join(errClosed, src.Close())) }()
		return
	}
	t.goRun(func() { done(errors.Join(l.sendSnapshot(msg, src), src.Close())) })
}

// clusterKey names the sender's cluster in a stream's metadata: messages themselves tell stores and peers, whose ids other
// clusters have too.
const clusterKey = "scree-cluster-id"

// outgoing is the context of a stream to another store.
func (t *Transport) outgoing(ctx context.Context) context.Context {
	if t.opts.ClusterID == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, clusterKey, strconv.FormatUint(t.opts.ClusterID, 10))
}

// checkCluster refuses streams of stores that say they belong to another cluster.
func (t *Transport) checkCluster(ctx context.Context) error {
	for _, id := range metadata.ValueFromIncomingContext(ctx, clusterKey) {
		if t.opts.ClusterID != 0 && id != strconv.FormatUint(t.opts.ClusterID, 10) {
			return status.Errorf(codes.FailedPrecondition, "messages of cluster %s, this store belongs to %d", id, t.opts.ClusterID)
		}
	}
	return nil
}

// Raft serves the stream of single messages.
func (t *Transport) Raft(stream tikvpb.Tikv_RaftServer) error {
	if err := t.checkCluster(stream.Context()); err != nil {
		return err
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&raft_serverpb.Done{})
		}
		if err != nil {
			return err
		}
		if err := t.receive(msg); err != nil {
			return err
		}
	}
}

// BatchRaft serves the stream of batched messages.
func (t *Transport) BatchRaft(stream tikvpb.Tikv_BatchRaftServer) error {
	if err := t.checkCluster(stream.Context()); err != nil {
		return err
	}
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&raft_serverpb.Done{})
		}
		if err != nil {
			return err
		}
		for _, msg := range batch.Msgs {
			if err := t.receive(msg); err != nil {
				return err
			}
		}
	}
}

func (t *Transport) receive(msg *raft_serverpb.RaftMessage) error {
	r := t.bound()
	if r == nil {
		return status.Error(codes.Unavailable, "the store is not open yet")
	}
	r.Receive(msg)
	return nil
}

// Snapshot serves the stream of one snapshot: the message first, then the chunks.
func (t *Transport) Snapshot(stream tikvpb.Tikv_SnapshotServer) error {
	if err := t.checkCluster(stream.Context()); err != nil {
		return err
	}
	r := t.bound()
	if r == nil {
		return status.Error(codes.Unavailable, "the store is not open yet")
	}
	head, err := stream.Recv()
	if err != nil {
		return err
	}
	if head.Message == nil {
		return status.Error(codes.InvalidArgument, "a snapshot begins with its message")
	}
	err = r.ReceiveSnapshot(head.Message, func() ([]byte, error) {
		chunk, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return chunk.Data, nil
	})
	if err != nil {
		return status.Error(codes.Aborted, err.Error())
	}
	return stream.SendAndClose(&raft_serverpb.Done{})
}

// sleep waits for d, or until the transport is closed.
func (t *Transport) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.ctx.Done():
	case <-timer.C:
	}
}
