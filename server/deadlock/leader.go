package deadlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	deadlockpb "github.com/pingcap/kvproto/pkg/deadlock"
	"google.golang.org/grpc"
)

// redialAfter is how long a leader that could not be reached is not tried again: reports are dropped meanwhile.
const redialAfter = 50 * time.Millisecond

var errNotConnected = errors.New("the deadlock detector could not be reached a moment ago")

// leader is the stream of reports to the store that keeps the graph.
type leader struct {
	conn   *grpc.ClientConn
	stream deadlockpb.Deadlock_DetectClient
	cancel context.CancelFunc
	ended  chan struct{} // closed when the stream has ended
}

// report sends to the leader. A stream that turns out broken is made anew once, to the leader by then.
func (d *Detector) report(t task) {
	var err error
	for range 2 {
		if err = d.connect(); err != nil {
			break
		}
		if err = d.leader.stream.Send(&deadlockpb.DeadlockRequest{Tp: t.kind, Entry: *t.wait}); err == nil {
			return
		}
		d.disconnect()
	}
	if d.ctx.Err() == nil {
		d.opts.Logger.Debug("a lock wait is not reported", "txn", t.wait.Txn, "for", t.wait.WaitForTxn, "err", err)
	}
}

// connect makes sure of a stream to the leader.
func (d *Detector) connect() error {
	if d.leader != nil {
		select {
		case <-d.leader.ended:
			d.disconnect()
		default:
			return nil
		}
	}
	if time.Since(d.failed) < redialAfter {
		return errNotConnected
	}
	if err := d.dial(); err != nil {
		d.failed = time.Now()
		return err
	}
	return nil
}

func (d *Detector) dial() error {
	id, err := d.findLeader()
	if err != nil {
		return err
	}
	conn, err := d.opts.Dial(d.ctx, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(d.ctx)
	stream, err := deadlockpb.NewDeadlockClient(conn).Detect(ctx)
	if err != nil {
		cancel()
		return errors.Join(err, conn.Close())
	}
	d.leader = &leader{conn: conn, stream: stream, cancel: cancel, ended: make(chan struct{})}
	go d.receive(d.leader)
	return nil
}

// findLeader does not look longer than what it is found for lasts.
func (d *Detector) findLeader() (storeID uint64, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.opts.TTL)
	defer cancel()
	id, err := d.opts.Roles.Leader(ctx)
	switch {
	case err != nil:
		return 0, fmt.Errorf("find the deadlock detector: %w", err)
	case id == 0 || id == d.opts.StoreID:
		return 0, errors.New("no store is the deadlock detector")
	}
	return id, nil
}

func (d *Detector) disconnect() {
	l := d.leader
	if l == nil {
		return
	}
	d.leader = nil
	l.cancel()
	<-l.ended
	if err := l.conn.Close(); err != nil {
		d.opts.Logger.Debug("closing the connection to the deadlock detector", "err", err)
	}
}

// receive passes the leader's findings on until the stream ends.
func (d *Detector) receive(l *leader) {
	defer close(l.ended)
	for {
		resp, err := l.stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) && d.ctx.Err() == nil {
				d.opts.Logger.Debug("the stream to the deadlock detector ended", "err", err)
			}
			return
		}
		d.answer(&resp.Entry, resp.WaitChain)
	}
}
