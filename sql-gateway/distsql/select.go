// Package distsql runs a pushed DAG over the regions of its key ranges and gives the batches that come back as an
// operator: cut by region, ask the stores concurrently, mend routing errors and locks, merge.
package distsql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Request is one pushed DAG over key ranges.
type Request struct {
	// DAG is sent as it is. Executors are in list form.
	DAG *tipb.DAGRequest
	// Given are the rows of the DAG's receivers, in their order.
	Given []*executor.Broadcast
	// Fields are the types of the DAG's output columns.
	Fields []*tipb.FieldType
	// Ranges are ascending and disjoint.
	Ranges []kvclient.KeyRange
	TS     uint64
	// From are the replicas to ask.
	From kvclient.ReadFrom
	// KeepOrder delivers region after region in key order (Desc: backwards); else batches come as they are ready.
	KeepOrder, Desc bool
	// Concurrency is the number of region requests in flight; 0 means the client's default.
	Concurrency int
	// Stats, when not nil, is filled for EXPLAIN ANALYZE.
	Stats *Stats
	// Tally, when not nil, counts what the stores do, also of other requests at the same time.
	Tally *Tally
	// Memory accounts for batches that wait to be read.
	Memory *executor.Memory
	// Env is for joins that a store has no room for, and so run here; nil: then they fail with executor.ErrNoRoom.
	Env *executor.Env
	// Warn receives the stores' warnings, in no particular order, one call at a time.
	Warn func([]*tipb.Error)
}

// tpDAG is the request type of a DAG.
const tpDAG = 103

// Select starts the request. Region errors and locks make a task be cut and asked again; what has been delivered is
// never asked for twice. Close cancels what is under way.
func Select(ctx context.Context, c *kvclient.Client, req *Request) (executor.Operator, error) {
	data, err := req.DAG.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode DAG: %w", err)
	}
	tasks, err := c.Tasks(ctx, c.NewBackoff(), req.Ranges)
	if err != nil {
		return nil, err
	}
	if req.Desc {
		slices.Reverse(tasks)
	}
	workers := req.Concurrency
	if workers <= 0 {
		workers = c.Concurrency()
	}
	s := &selector{req: req, data: data, taken: make(chan struct{}, 1), snap: c.Snapshot(req.TS).From(req.From), client: c, workers: min(workers, len(tasks))}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.start(tasks)
	return s, nil
}

// selector is the operator: workers take tasks from a queue in order and put batches into the task's stream; the reader
// takes the streams in order, or, where order does not matter, all tasks share one.
type selector struct {
	req     *Request
	data    []byte
	snap    *kvclient.Snapshot
	client  *kvclient.Client
	workers int
	ctx     context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup

	// streams that the reader has still to drain, the current one first.
	streams []*stream
	held    int64 // bytes of the batch that the reader looks at
	// taken tells workers that wait for memory that the reader has given some back.
	taken chan struct{}

	mu sync.Mutex // guards Stats, Warn and what the streams have queued
}

var _ executor.Operator = (*selector)(nil)

// stream carries the batches of one task, or of all; closed when they are complete. err is set before.
type stream struct {
	batches chan executor.Batch
	queued  int // batches that are there or on their way; guarded by selector.mu
	err     error
}

// streamDepth is the number of batches that wait in a stream before its worker does.
const streamDepth = 4

func (s *selector) start(tasks []kvclient.Task) {
	if len(tasks) == 0 {
		return
	}
	if s.req.KeepOrder {
		s.startOrdered(tasks)
		return
	}
	shared := &stream{batches: make(chan executor.Batch, streamDepth*s.workers)}
	s.streams = []*stream{shared}
	queue := make(chan kvclient.Task, len(tasks))
	for _, t := range tasks {
		queue <- t
	}
	close(queue)
	var running sync.WaitGroup
	var once sync.Once
	for range s.workers {
		running.Add(1)
		s.spawn(func() {
			defer running.Done()
			for t := range queue {
				if err := s.run(t, shared); err != nil {
					once.Do(func() { shared.err = err })
					s.cancel()
					return
				}
			}
		})
	}
	s.spawn(func() { running.Wait(); close(shared.batches) })
}

// startOrdered gives each task a stream of its own. At most workers tasks run, started in order, so that the first
// unread one is always among them.
func (s *selector) startOrdered(tasks []kvclient.Task) {
	type job struct {
		task kvclient.Task
		out  *stream
	}
	queue := make(chan job, len(tasks))
	for _, t := range tasks {
		out := &stream{batches: make(chan executor.Batch, streamDepth)}
		s.streams = append(s.streams, out)
		queue <- job{t, out}
	}
	close(queue)
	for range s.workers {
		s.spawn(func() {
			for j := range queue {
				j.out.err = s.run(j.task, j.out)
				close(j.out.batches)
			}
		})
	}
}

func (s *selector) spawn(f func()) {
	s.done.Add(1)
	go func() { defer s.done.Done(); f() }()
}

// run asks for t until all of it was answered, cutting it anew where its region changed.
func (s *selector) run(t kvclient.Task, out *stream) error {
	bo := s.client.NewBackoff()
	for todo := []kvclient.Task{t}; len(todo) > 0; {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		rest, err := s.ask(bo, todo[0], out)
		if err != nil {
			return err
		}
		if len(rest) == 0 {
			todo = todo[1:]
			continue
		}
		fresh, err := s.client.Tasks(s.ctx, bo, rest)
		if err != nil {
			return err
		}
		if s.req.Desc {
			slices.Reverse(fresh)
		}
		todo = append(fresh, todo[1:]...)
	}
	return nil
}

// ask sends the request for t. rest is what has still to be asked for.
func (s *selector) ask(bo *kvclient.Backoff, t kvclient.Task, out *stream) (rest []kvclient.KeyRange, err error) {
	copReq := &coprocessor.Request{Tp: tpDAG, Data: s.data}
	resp, rest, err := s.snap.Query(s.ctx, bo, t, copReq, s.req.Given, func(b executor.Batch) error { return s.deliver(b, out) })
	if errors.Is(err, executor.ErrNoRoom) && s.req.Env != nil {
		return nil, s.joinHere(t, out)
	}
	if err != nil || len(rest) > 0 {
		return rest, err
	}
	return nil, s.finish(resp)
}

// deliver copies a batch, which is the store's, and queues it.
func (s *selector) deliver(b executor.Batch, out *stream) error {
	own := column.Compact(b)
	size := column.Size(own)
	if err := s.reserve(size, out); err != nil {
		return err
	}
	select {
	case out.batches <- own:
		return nil
	case <-s.ctx.Done():
		s.leave(out)
		s.req.Memory.Shrink(size)
		return context.Cause(s.ctx)
	}
}

// reserve charges a batch of a stream. Where memory is short, a batch waits for the reader to take those before it; one
// that has none before it is what the reader waits for, and comes in any case.
func (s *selector) reserve(size int64, out *stream) error {
	for !s.admit(size, out) {
		select {
		case <-s.taken:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	return nil
}

func (s *selector) admit(size int64, out *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.queued == 0 {
		s.req.Memory.Overdraw(size)
	} else if s.req.Memory.Grow(size) != nil {
		return false
	}
	out.queued++
	return true
}

// leave counts a batch that is no longer in a stream.
func (s *selector) leave(out *stream) {
	s.mu.Lock()
	out.queued--
	s.mu.Unlock()
}

// release gives back what the reader had, and lets a worker try again.
func (s *selector) release() {
	s.req.Memory.Shrink(s.held)
	s.held = 0
	select {
	case s.taken <- struct{}{}:
	default:
	}
}

// finish reads what the store says after the last batch of a task.
func (s *selector) finish(resp *coprocessor.Response) error {
	var sel tipb.SelectResponse
	if err := sel.Unmarshal(resp.Data); err != nil {
		return fmt.Errorf("decode the store's response: %w", err)
	}
	s.req.Tally.add(resp.ExecDetailsV2)
	if e := sel.Error; e != nil {
		return &value.Error{Code: uint16(e.Code), Message: e.Msg}
	}
	s.warn(sel.Warnings)
	if s.req.Stats != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.req.Stats.add(&sel, resp.ExecDetailsV2)
	}
	return nil
}

func (s *selector) warn(list []*tipb.Error) {
	if len(list) > 0 && s.req.Warn != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.req.Warn(list)
	}
}

func (s *selector) Fields() []*tipb.FieldType { return s.req.Fields }

func (s *selector) Next(ctx context.Context) (executor.Batch, error) {
	s.release()
	for len(s.streams) > 0 {
		select {
		case b, ok := <-s.streams[0].batches:
			if ok {
				s.leave(s.streams[0])
				s.held = column.Size(b)
				return b, nil
			}
			if err := s.streams[0].err; err != nil {
				return executor.Batch{}, err
			}
			s.streams = s.streams[1:]
		case <-ctx.Done():
			return executor.Batch{}, context.Cause(ctx)
		}
	}
	return executor.Batch{}, io.EOF
}

// Close cancels the tasks and waits for their goroutines.
func (s *selector) Close() error {
	s.cancel()
	s.done.Wait()
	for _, st := range s.streams {
		for b := range st.batches {
			s.req.Memory.Shrink(column.Size(b))
		}
	}
	s.req.Memory.Shrink(s.held)
	s.streams, s.held = nil, 0
	return nil
}
