package pdclient

import (
	"context"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
)

const (
	// heartbeatQueue is how many region heartbeats may wait; more are dropped, and come again with the next round.
	heartbeatQueue = 4096
	// heartbeatRetry is how long a broken stream rests before it is opened again.
	heartbeatRetry = 500 * time.Millisecond
)

// Heartbeats is the stream of a store's region heartbeats, reopened as often as it breaks.
type Heartbeats struct {
	c       *Client
	queue   chan *pdpb.RegionHeartbeatRequest
	onOrder func(*pdpb.RegionHeartbeatResponse)
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// Heartbeats opens the stream. onOrder receives the placement driver's orders, one at a time; it must not block, for
// Close waits for it.
func (c *Client) Heartbeats(onOrder func(*pdpb.RegionHeartbeatResponse)) *Heartbeats {
	ctx, cancel := context.WithCancel(context.Background())
	h := &Heartbeats{c: c, queue: make(chan *pdpb.RegionHeartbeatRequest, heartbeatQueue), onOrder: onOrder, cancel: cancel}
	h.done.Add(1)
	go h.run(ctx)
	return h
}

// Send queues a heartbeat and fills in its header. It never blocks; a heartbeat too many is dropped.
func (h *Heartbeats) Send(req *pdpb.RegionHeartbeatRequest) {
	req.Header = h.c.header()
	select {
	case h.queue <- req:
	default:
		h.c.log.Warn("region heartbeat dropped: queue full", "region", req.GetRegion().GetId())
	}
}

// Close ends the stream.
func (h *Heartbeats) Close() {
	h.cancel()
	h.done.Wait()
}

func (h *Heartbeats) run(ctx context.Context) {
	defer h.done.Done()
	for {
		err := h.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		h.c.log.Warn("region heartbeat stream broke", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(heartbeatRetry):
		}
	}
}

// stream sends and receives until the stream breaks.
func (h *Heartbeats) stream(ctx context.Context) error {
	rpc, err := h.c.leader()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	s, err := rpc.RegionHeartbeat(ctx)
	if err != nil {
		cancel()
		return err
	}
	received := make(chan error, 1)
	go func() { received <- h.receive(s) }()
	err = h.send(ctx, s, received)
	cancel()
	if err == nil {
		err = <-received // send stopped because of ctx: the receiver follows
	}
	return err
}

// send forwards the queue until ctx is done (nil) or the stream breaks.
func (h *Heartbeats) send(ctx context.Context, s pdpb.PD_RegionHeartbeatClient, received <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-received:
			return err
		case req := <-h.queue:
			if err := s.Send(req); err != nil {
				return <-received // carries the stream's status
			}
		}
	}
}

func (h *Heartbeats) receive(s pdpb.PD_RegionHeartbeatClient) error {
	for {
		resp, err := s.Recv()
		if err != nil {
			return err
		}
		if e := resp.GetHeader().GetError(); e != nil {
			h.c.log.Debug("region heartbeat refused", "err", e.Message)
			continue
		}
		h.onOrder(resp)
	}
}
