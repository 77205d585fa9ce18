package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
)

// connections a client of TiKV opens to a store; each has one stream of batches.
const connections = 4

// cluster is a playground in a process of its own, and its first region as long as that has all keys.
type cluster struct {
	cmd    *exec.Cmd
	mysql  string // host:port
	pd     *pdclient.Client
	region *kvrpcpb.Context
	conns  []*grpc.ClientConn
	lanes  []*lane
}

// startScree starts a playground of one store.
func startScree(ctx context.Context, binary, dir string, flags ...string) (c *cluster, err error) {
	offset, err := freeOffset()
	if err != nil {
		return nil, err
	}
	c = &cluster{}
	c.cmd = exec.Command(binary, append([]string{"playground", "--data-dir", dir, "--port-offset", strconv.Itoa(offset)}, flags...)...)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
			c = nil
		}
	}()
	var pd string
	for lines := bufio.NewScanner(out); !strings.HasPrefix(lines.Text(), "ready in"); {
		if !lines.Scan() {
			return c, fmt.Errorf("%s ended before it was ready", binary)
		}
		label, text, _ := strings.Cut(lines.Text(), ":")
		switch words := strings.Fields(text); label {
		case "Connect":
			c.mysql = net.JoinHostPort(words[2], words[4]) // mysql --host H --port P
		case "PD (TiKV client)":
			pd = words[0]
		}
	}
	return c, c.connect(ctx, pd)
}

func (c *cluster) connect(ctx context.Context, pd string) (err error) {
	c.pd, err = pdclient.Connect(ctx, []string{pd}, pdclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(transport.Codec()))},
	})
	if err != nil {
		return err
	}
	region, leader, err := c.pd.Region(ctx, nil)
	if err != nil {
		return err
	}
	c.region = &kvrpcpb.Context{RegionId: region.Id, RegionEpoch: region.RegionEpoch, Peer: leader}
	store, err := c.pd.Store(ctx, leader.StoreId)
	if err != nil {
		return err
	}
	for range connections {
		conn, err := transport.Dial(store.Address)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
		l, err := openLane(conn)
		if err != nil {
			return err
		}
		c.lanes = append(c.lanes, l)
	}
	return nil
}

func (c *cluster) stop() error {
	var err error
	for _, conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	if c.pd != nil {
		err = errors.Join(err, c.pd.Close())
	}
	return errors.Join(err, c.cmd.Process.Signal(syscall.SIGTERM), c.cmd.Wait())
}

// unary is a client that makes a call of each request.
func (c *cluster) unary(client int) tikvpb.TikvClient {
	return tikvpb.NewTikvClient(c.conns[client%len(c.conns)])
}

// batched sends a request as TiKV's clients do, among others on one of the streams.
func (c *cluster) batched(ctx context.Context, client int, req *tikvpb.BatchCommandsRequest_Request) (*tikvpb.BatchCommandsResponse_Response, error) {
	return c.lanes[client%len(c.lanes)].call(ctx, req)
}

// laneBatch is how many requests go in one message at the most.
const laneBatch = 128

// lane is a BatchCommands stream with a goroutine for each direction.
type lane struct {
	stream tikvpb.Tikv_BatchCommandsClient
	queue  chan *pending
	broken chan struct{} // closed when err is set

	mu      sync.Mutex
	err     error
	waiting map[uint64]*pending
}

type pending struct {
	req  *tikvpb.BatchCommandsRequest_Request
	resp *tikvpb.BatchCommandsResponse_Response
	done chan struct{}
}

func openLane(conn *grpc.ClientConn) (*lane, error) {
	stream, err := tikvpb.NewTikvClient(conn).BatchCommands(context.Background())
	if err != nil {
		return nil, err
	}
	l := &lane{stream: stream, queue: make(chan *pending, laneBatch), broken: make(chan struct{}), waiting: make(map[uint64]*pending)}
	go l.send()
	go l.receive()
	return l, nil
}

func (l *lane) call(ctx context.Context, req *tikvpb.BatchCommandsRequest_Request) (*tikvpb.BatchCommandsResponse_Response, error) {
	p := &pending{req: req, done: make(chan struct{})}
	select {
	case l.queue <- p:
	case <-l.broken:
		return nil, l.err
	}
	select {
	case <-p.done:
		return p.resp, nil
	case <-l.broken:
		return nil, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *lane) send() {
	for id := uint64(0); ; {
		var batch tikvpb.BatchCommandsRequest
		select {
		case p := <-l.queue:
			l.mu.Lock()
			for more := true; more; {
				id++
				l.waiting[id] = p
				batch.Requests, batch.RequestIds = append(batch.Requests, p.req), append(batch.RequestIds, id)
				if more = len(batch.Requests) < laneBatch && len(l.queue) > 0; more {
					p = <-l.queue
				}
			}
			l.mu.Unlock()
		case <-l.broken:
			return
		}
		if err := l.stream.Send(&batch); err != nil {
			return // receive finds out why
		}
	}
}

func (l *lane) receive() {
	for {
		batch, err := l.stream.Recv()
		if err != nil {
			l.err = err
			close(l.broken)
			return
		}
		l.mu.Lock()
		for i, id := range batch.RequestIds {
			p := l.waiting[id]
			delete(l.waiting, id)
			p.resp = batch.Responses[i]
			close(p.done)
		}
		l.mu.Unlock()
	}
}

// freeOffset is a port offset that moves the default ports to free ones.
func freeOffset() (int, error) {
	for offset := 1000; offset < 30000; offset += 50 {
		free := true
		for _, port := range []int{2379, 2380, 4000, 10080, 20160, 20180} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)))
			if err != nil {
				free = false
				break
			}
			if err := l.Close(); err != nil {
				return 0, err
			}
		}
		if free {
			return offset, nil
		}
	}
	return 0, errors.New("no ports are free")
}
