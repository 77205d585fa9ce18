package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/scree-db/scree/server/transport"
)

// inbox is a store that keeps what it receives.
type inbox struct {
	mu          sync.Mutex
	messages    []*raft_serverpb.RaftMessage
	unreachable int
	snapshot    []string
}

func (i *inbox) Receive(msg *raft_serverpb.RaftMessage) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.messages = append(i.messages, msg)
}

func (i *inbox) ReceiveSnapshot(msg *raft_serverpb.RaftMessage, next func() ([]byte, error)) error {
	if msg.RegionId == 666 {
		return errors.New("not wanted")
	}
	for {
		chunk, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i.mu.Lock()
		i.snapshot = append(i.snapshot, string(chunk))
		i.mu.Unlock()
	}
}

func (i *inbox) ReportUnreachable(uint64, uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.unreachable++
}

func (i *inbox) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.messages)
}

func (i *inbox) lost() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.unreachable
}

// service is a store's gRPC service as far as raft goes.
type service struct {
	tikvpb.TikvServer
	t *transport.Transport
}

func (s service) Raft(stream tikvpb.Tikv_RaftServer) error           { return s.t.Raft(stream) }
func (s service) BatchRaft(stream tikvpb.Tikv_BatchRaftServer) error { return s.t.BatchRaft(stream) }
func (s service) Snapshot(stream tikvpb.Tikv_SnapshotServer) error   { return s.t.Snapshot(stream) }

// listen serves a transport on addr and returns where.
func listen(t *testing.T, addr string, tr *transport.Transport) (string, *grpc.Server) {
	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	server := grpc.NewServer(transport.ServerOptions()...)
	tikvpb.RegisterTikvServer(server, service{t: tr})
	go server.Serve(ln)
	t.Cleanup(server.Stop)
	return ln.Addr().String(), server
}

// pair is a sender and a receiver, store 2.
func pair(t *testing.T) (send *transport.Transport, sender, receiver *inbox, restart func(), stop func()) {
	receiver, sender = &inbox{}, &inbox{}
	receiving := transport.New(nil, transport.Options{})
	receiving.Bind(receiver)
	addr, server := listen(t, "127.0.0.1:0", receiving)
	send = transport.New(func(context.Context, uint64) (string, error) { return addr, nil }, transport.Options{})
	send.Bind(sender)
	t.Cleanup(func() {
		require.NoError(t, send.Close())
		require.NoError(t, receiving.Close())
	})
	restart = func() { _, server = listen(t, addr, receiving) }
	return send, sender, receiver, restart, func() { server.Stop() }
}

func message(i int) *raft_serverpb.RaftMessage {
	return &raft_serverpb.RaftMessage{
		RegionId: 1, FromPeer: &metapb.Peer{Id: 1, StoreId: 1}, ToPeer: &metapb.Peer{Id: 2, StoreId: 2},
		Message: &eraftpb.Message{Index: uint64(i), Entries: []*eraftpb.Entry{{Data: fmt.Appendf(nil, "data %d", i)}}},
	}
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	require.Eventually(t, f, 10*time.Second, time.Millisecond)
}

func TestMessagesArriveInOrder(t *testing.T) {
	send, _, receiver, _, _ := pair(t)
	for i := range 1000 {
		send.Send(message(i))
	}
	eventually(t, func() bool { return receiver.count() == 1000 })
	for i, msg := range receiver.messages {
		require.Equal(t, message(i), msg)
	}
}

// Streams of another cluster's stores, whose ids may be the same, are refused.
func TestForeignClusterIsRefused(t *testing.T) {
	receiver, sender := &inbox{}, &inbox{}
	receiving := transport.New(nil, transport.Options{ClusterID: 1})
	receiving.Bind(receiver)
	addr, _ := listen(t, "127.0.0.1:0", receiving)
	resolve := func(context.Context, uint64) (string, error) { return addr, nil }
	foreign := transport.New(resolve, transport.Options{ClusterID: 2})
	foreign.Bind(sender)
	own := transport.New(resolve, transport.Options{ClusterID: 1})
	own.Bind(&inbox{})
	done := make(chan error, 1)
	foreign.SendSnapshot(message(1), &chunks{closed: make(chan struct{})}, func(err error) { done <- err })
	require.ErrorContains(t, <-done, "cluster")
	eventually(t, func() bool {
		foreign.Send(message(1))
		return sender.lost() > 0
	})
	own.Send(message(2))
	eventually(t, func() bool { return receiver.count() > 0 })
	require.Equal(t, []*raft_serverpb.RaftMessage{message(2)}, receiver.messages)
	for _, tr := range []*transport.Transport{foreign, own, receiving} {
		require.NoError(t, tr.Close())
	}
}

// Messages to a store that is away are lost and reported; when it is back they arrive again.
func TestReconnect(t *testing.T) {
	send, sender, receiver, restart, stop := pair(t)
	send.Send(message(0))
	eventually(t, func() bool { return receiver.count() == 1 })
	stop()
	eventually(t, func() bool {
		send.Send(message(1))
		return sender.lost() > 0
	})
	restart()
	eventually(t, func() bool {
		send.Send(message(2))
		return receiver.count() > 1
	})
}

// chunks is a snapshot of text.
type chunks struct {
	left   []string
	closed chan struct{}
}

func (c *chunks) Next() ([]byte, error) {
	if len(c.left) == 0 {
		return nil, io.EOF
	}
	next := c.left[0]
	c.left = c.left[1:]
	return []byte(next), nil
}

func (c *chunks) Close() error {
	close(c.closed)
	return nil
}

func TestSnapshot(t *testing.T) {
	send, _, receiver, _, _ := pair(t)
	done := make(chan error, 1)
	src := &chunks{[]string{"one", "two", "three"}, make(chan struct{})}
	send.SendSnapshot(message(7), src, func(err error) { done <- err })
	require.NoError(t, <-done)
	require.Equal(t, []string{"one", "two", "three"}, receiver.snapshot)
	<-src.closed

	refused := message(8)
	refused.RegionId = 666
	send.SendSnapshot(refused, &chunks{[]string{"one"}, make(chan struct{})}, func(err error) { done <- err })
	require.ErrorContains(t, <-done, "not wanted")
}

func TestClosedTransportDrops(t *testing.T) {
	send, _, _, _, _ := pair(t)
	require.NoError(t, send.Close())
	send.Send(message(1))
	done := make(chan error, 1)
	send.SendSnapshot(message(1), &chunks{nil, make(chan struct{})}, func(err error) { done <- err })
	require.Error(t, <-done)
}

// A decoded message does not share memory with gRPC's buffers.
func TestCodecOwnsItsBytes(t *testing.T) {
	c := transport.Codec()
	require.Equal(t, "proto", c.Name())
	raw, err := (&coprocessor.Response{Data: []byte("payload")}).Marshal()
	require.NoError(t, err)
	var resp coprocessor.Response
	require.NoError(t, c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, &resp))
	clear(raw)
	require.Equal(t, "payload", string(resp.Data))

	out, err := c.Marshal(&resp)
	require.NoError(t, err)
	var again coprocessor.Response
	require.NoError(t, again.Unmarshal(out.Materialize()))
	require.Equal(t, resp.Data, again.Data)
	_, err = c.Marshal(struct{}{})
	require.Error(t, err)
}
