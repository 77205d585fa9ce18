package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/raftstore"
)

// lane is the way to one store: a bounded queue, and a goroutine that empties it into a BatchRaft stream. After an error
// the stream is made anew, with a pause that grows from backoffMin to backoffMax; what waits meanwhile is dropped and
// reported, for old messages are of little use.
type lane struct {
	t       *Transport
	storeID uint64
	wake    chan struct{} // of capacity 1: full while there may be messages

	mu    sync.Mutex
	queue []*raft_serverpb.RaftMessage
	bytes int

	connMu sync.Mutex
	addr   string
	conn   *grpc.ClientConn // nil: not connected
}

const (
	backoffMin = 20 * time.Millisecond
	backoffMax = 500 * time.Millisecond
	// batchBytes is about how much goes into one message of the stream.
	batchBytes = 4 << 20
)

func newLane(t *Transport, storeID uint64) *lane {
	return &lane{t: t, storeID: storeID, wake: make(chan struct{}, 1)}
}

// put queues a message; false if there is no room.
func (l *lane) put(msg *raft_serverpb.RaftMessage) bool {
	n := messageBytes(msg)
	l.mu.Lock()
	if len(l.queue) >= l.t.opts.QueueMessages || (l.bytes+n > l.t.opts.QueueBytes && len(l.queue) > 0) {
		l.mu.Unlock()
		return false
	}
	l.queue = append(l.queue, msg)
	l.bytes += n
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

func (l *lane) take() []*raft_serverpb.RaftMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	msgs := l.queue
	l.queue, l.bytes = nil, 0
	return msgs
}

// messageBytes is the size of a message but for what is small in any.
func messageBytes(msg *raft_serverpb.RaftMessage) int {
	n := 128
	for _, e := range msg.GetMessage().GetEntries() {
		n += len(e.Data) + 16
	}
	return n
}

func (l *lane) run() {
	backoff := backoffMin
	for l.t.ctx.Err() == nil {
		err := l.stream(func() { backoff = backoffMin })
		if l.t.ctx.Err() != nil {
			return
		}
		l.t.log.Debug("raft stream ended", "to", l.storeID, "err", err)
		for _, msg := range l.take() {
			l.t.lost(msg)
		}
		l.t.sleep(backoff)
		backoff = min(2*backoff, backoffMax)
	}
}

// stream sends what is queued until the stream breaks. It calls ok when a message has left. No stream is made before there
// is something to send.
func (l *lane) stream(ok func()) error {
	select {
	case <-l.t.ctx.Done():
		return l.t.ctx.Err()
	case <-l.wake:
	}
	ctx, cancel := context.WithCancel(l.t.outgoing(l.t.ctx))
	defer cancel()
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	stream, err := tikvpb.NewTikvClient(conn).BatchRaft(ctx)
	if err != nil {
		return err
	}
	for {
		for msgs := l.take(); len(msgs) > 0; {
			n := batchEnd(msgs)
			if err := stream.Send(&tikvpb.BatchRaftMessage{Msgs: msgs[:n]}); err != nil {
				for _, msg := range msgs {
					l.t.lost(msg)
				}
				return streamError(stream, err)
			}
			msgs = msgs[n:]
			ok()
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-l.wake:
		}
	}
}

// batchEnd is how many messages go together.
func batchEnd(msgs []*raft_serverpb.RaftMessage) int {
	bytes := 0
	for i, msg := range msgs {
		if bytes += messageBytes(msg); bytes > batchBytes && i > 0 {
			return i
		}
	}
	return len(msgs)
}

// streamError is the reason behind the io.EOF of a broken stream's Send.
func streamError(stream tikvpb.Tikv_BatchRaftClient, err error) error {
	if errors.Is(err, io.EOF) {
		if _, reason := stream.CloseAndRecv(); reason != nil {
			return reason
		}
	}
	return err
}

// connect returns the connection to where the store is now.
func (l *lane) connect(ctx context.Context) (*grpc.ClientConn, error) {
	addr, err := l.t.resolve(ctx, l.storeID)
	if err != nil {
		return nil, fmt.Errorf("address of store %d: %w", l.storeID, err)
	}
	l.connMu.Lock()
	defer l.connMu.Unlock()
	if l.conn != nil && l.addr == addr {
		return l.conn, nil
	}
	conn, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	if l.conn != nil {
		if err := l.conn.Close(); err != nil {
			l.t.log.Debug("closing a connection", "to", l.addr, "err", err)
		}
	}
	l.conn, l.addr = conn, addr
	return conn, nil
}

func (l *lane) close() error {
	l.connMu.Lock()
	defer l.connMu.Unlock()
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// sendSnapshot streams a snapshot and waits until the receiver has taken it.
func (l *lane) sendSnapshot(msg *raft_serverpb.RaftMessage, src raftstore.SnapshotSource) error {
	ctx, cancel := context.WithCancel(l.t.outgoing(l.t.ctx))
	defer cancel()
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	stream, err := tikvpb.NewTikvClient(conn).Snapshot(ctx)
	if err != nil {
		return err
	}
	if err := sendChunks(stream, msg, src); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.CloseAndRecv() // tells why, if a chunk met a broken stream
	return err
}

// sendChunks sends the message and the chunks; io.EOF if the receiver has ended the stream.
func sendChunks(stream tikvpb.Tikv_SnapshotClient, msg *raft_serverpb.RaftMessage, src raftstore.SnapshotSource) error {
	if err := stream.Send(&raft_serverpb.SnapshotChunk{Message: msg}); err != nil {
		return err
	}
	for {
		chunk, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&raft_serverpb.SnapshotChunk{Data: chunk}); err != nil {
			return err
		}
	}
}
