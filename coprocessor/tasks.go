package coprocessor

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"golang.org/x/sync/errgroup"
)

// tasksMax bounds the tasks of one request.
const tasksMax = 4096

// handleTasks answers a request that carries tasks for other regions of this store. Each has its own place in the response,
// errors too, so one that is locked or has moved does not concern the others. All share the query, its timestamp and its
// deadline; a response has a page for the request itself alone, so tasks run to their end.
func (e *Endpoint) handleTasks(ctx context.Context, req *coprocessor.Request) *coprocessor.Response {
	if len(req.Tasks) > tasksMax {
		return &coprocessor.Response{OtherError: fmt.Sprintf("%d batched tasks are more than %d", len(req.Tasks), tasksMax)}
	}
	var resp *coprocessor.Response
	answers := make([]*coprocessor.StoreBatchTaskResponse, len(req.Tasks))
	var running errgroup.Group
	running.SetLimit(e.opts.Concurrency + 1) // one may wait for its snapshot while others compute
	running.Go(func() error { resp = e.handleOne(ctx, withoutTasks(req)); return nil })
	for i, task := range req.Tasks {
		running.Go(func() error { answers[i] = e.handleTask(ctx, req, task); return nil })
	}
	_ = running.Wait() // answers carry their errors
	resp.BatchResponses = answers
	return resp
}

func withoutTasks(req *coprocessor.Request) *coprocessor.Request {
	own := *req
	own.Tasks = nil
	return &own
}

// handleTask runs the request's query for one task.
func (e *Endpoint) handleTask(ctx context.Context, req *coprocessor.Request, task *coprocessor.StoreBatchTask) *coprocessor.StoreBatchTaskResponse {
	rc := kvrpcpb.Context{}
	if req.Context != nil {
		rc = *req.Context
	}
	rc.RegionId, rc.RegionEpoch, rc.Peer = task.GetRegionId(), task.GetRegionEpoch(), task.GetPeer()
	rc.Term, rc.BucketsVersion = 0, 0 // these are of the request's own region
	resp := e.handleOne(ctx, &coprocessor.Request{
		Context: &rc, Tp: req.Tp, Data: req.Data, StartTs: req.StartTs,
		Ranges: task.GetRanges(), VersionedRanges: task.GetVersionedRanges(),
	})
	return &coprocessor.StoreBatchTaskResponse{
		TaskId: task.GetTaskId(), Data: resp.Data, RegionError: resp.RegionError, Locked: resp.Locked,
		OtherError: resp.OtherError, ExecDetailsV2: resp.ExecDetailsV2,
	}
}
