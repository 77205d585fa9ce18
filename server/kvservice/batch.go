package kvservice

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// inFlightMax bounds the commands of one stream that run at a time. When it is reached the stream is not read any
	// further, and flow control holds the client back.
	inFlightMax = 1024
	// batchMax bounds the answers of one message: their number, and roughly their bytes.
	batchMax      = 128
	batchBytesMax = 4 << 20
	// emptyDelayMax bounds the delay that an empty command may ask for.
	emptyDelayMax = time.Minute
)

// task is a command to run.
type task struct {
	id  uint64
	cmd *tikvpb.BatchCommandsRequest_Request
}

// answer is a finished command.
type answer struct {
	id   uint64
	resp *tikvpb.BatchCommandsResponse_Response
}

// BatchCommands implements tikvpb.TikvServer: many commands on one stream, answered as they finish, in any order.
//
// One goroutine reads, as many work as there are commands under way at a time, and one sends whatever has finished meanwhile
// as one message. Workers stay until the stream ends: the stack that a command needs is grown once.
func (s *Service) BatchCommands(stream tikvpb.Tikv_BatchCommandsServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	b := &batchStream{s: s, stream: stream, answers: make(chan answer, inFlightMax), slots: make(chan struct{}, inFlightMax), tasks: make(chan task)}
	sent := make(chan error, 1)
	go func() {
		err := b.send(ctx)
		cancel() // commands of a broken stream are not worth finishing
		sent <- err
	}()
	err := b.receive(ctx)
	if err != nil {
		cancel()
	}
	close(b.tasks)
	b.workers.Wait()
	close(b.answers)
	return errors.Join(err, <-sent)
}

type batchStream struct {
	s       *Service
	stream  tikvpb.Tikv_BatchCommandsServer
	slots   chan struct{}
	tasks   chan task // for workers that are idle
	workers sync.WaitGroup
	// answers has room for one of every command that may run, so workers never block on it.
	answers chan answer
}

// receive starts commands until the client ends the stream.
func (b *batchStream) receive(ctx context.Context) error {
	for {
		req, err := b.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(req.Requests) != len(req.RequestIds) {
			return status.Errorf(codes.InvalidArgument, "%d requests with %d ids", len(req.Requests), len(req.RequestIds))
		}
		for i, cmd := range req.Requests {
			select {
			case b.slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			b.start(ctx, task{req.RequestIds[i], cmd})
		}
	}
}

// start gives a command to a worker that is idle, or to a new one. Slots bound how many there are.
func (b *batchStream) start(ctx context.Context, t task) {
	select {
	case b.tasks <- t:
	default:
		b.workers.Go(func() {
			for more := true; more; t, more = <-b.tasks {
				b.work(ctx, t)
			}
		})
	}
}

func (b *batchStream) work(ctx context.Context, t task) {
	resp, err := b.s.command(ctx, t.cmd)
	if err != nil && ctx.Err() == nil {
		b.s.d.Logger.Debug("command of a batch failed", "err", err)
	}
	b.answers <- answer{t.id, resp} // has a slot, see answers
}

// send passes answers on until there are no more.
func (b *batchStream) send(ctx context.Context) error {
	for first := range b.answers {
		out := &tikvpb.BatchCommandsResponse{}
		size := b.collect(out, first)
		for len(out.Responses) < batchMax && size < batchBytesMax {
			next, ok := b.tryNext()
			if !ok {
				break
			}
			size += b.collect(out, next)
		}
		if ctx.Err() != nil {
			continue // nobody is there; the rest only has to be drained
		}
		if err := b.stream.Send(out); err != nil {
			go b.drain()
			return err
		}
	}
	return nil
}

func (b *batchStream) tryNext() (answer, bool) {
	select {
	case a, ok := <-b.answers:
		return a, ok
	default:
		return answer{}, false
	}
}

// collect adds an answer to a message, frees its slot, and returns its size.
func (b *batchStream) collect(out *tikvpb.BatchCommandsResponse, a answer) int {
	<-b.slots
	out.Responses = append(out.Responses, a.resp)
	out.RequestIds = append(out.RequestIds, a.id)
	if h := a.resp.GetGetHealthFeedback(); h != nil {
		out.HealthFeedback = h.HealthFeedback // where clients look for it
	}
	return a.resp.Size()
}

// drain lets the workers of a broken stream finish.
func (b *batchStream) drain() {
	for range b.answers {
		<-b.slots
	}
}

// empty answers a probe after the delay it asks for, in milliseconds.
func empty(ctx context.Context, req *tikvpb.BatchCommandsEmptyRequest) (*tikvpb.BatchCommandsEmptyResponse, error) {
	if delay := min(time.Duration(min(req.GetDelayTime(), 1<<32))*time.Millisecond, emptyDelayMax); delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &tikvpb.BatchCommandsEmptyResponse{TestId: req.GetTestId()}, nil
}
