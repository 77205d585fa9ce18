package coprocessor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"

	"log/slog"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/spill"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/txn"
)

// Options tune an Endpoint; the zero value is right for most.
type Options struct {
	// Concurrency is how many requests compute at a time; default GOMAXPROCS.
	Concurrency int
	// Memory is what all requests draw on, perhaps with others of the process; nil: there is no such bound.
	Memory *executor.Memory
	// MemoryMax bounds what one request's operators hold, in bytes; default 1 GiB.
	MemoryMax int64
	// Spill is where requests put rows that exceed their share of MemoryMax; nil: they fail then.
	Spill *spill.Dir
	// ResponseMax bounds an encoded response, in bytes; default 512 MiB.
	ResponseMax int
	// Columns is where copies of tables by columns are kept for scans that read many rows; nil: there are none. The endpoint
	// builds them, until it is closed.
	Columns *columnar.Store
	// TS hands out the timestamps that Columns are built at; needed with these.
	TS func(ctx context.Context) (uint64, error)
	// ColumnsRowsMin is how many rows a scan reads of a region for columns to be worth the while; default 16384.
	ColumnsRowsMin int64
	// Now is the clock of execution summaries; default time.Now.
	Now    func() time.Time
	Logger *slog.Logger // nil: discard
}

// Endpoint answers coprocessor requests of one store. Safe for concurrent use.
type Endpoint struct {
	store    storage.Store
	locks    *txn.Concurrency
	opts     Options
	slots    *slots
	segments *segments // nil where there are no columns
	metrics

	running atomic.Int64
}

// NewEndpoint serves the regions of store; c has the locks that are only in memory.
func NewEndpoint(store storage.Store, c *txn.Concurrency, o Options) *Endpoint {
	if o.Concurrency <= 0 {
		o.Concurrency = runtime.GOMAXPROCS(0)
	}
	if o.MemoryMax <= 0 {
		o.MemoryMax = 1 << 30
	}
	if o.ResponseMax <= 0 {
		o.ResponseMax = 512 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ColumnsRowsMin <= 0 {
		o.ColumnsRowsMin = 16 << 10
	}
	e := &Endpoint{store: store, locks: c, opts: o, slots: newSlots(o.Concurrency, o.Now)}
	e.metrics = newMetrics(e.Running)
	if o.Columns != nil {
		e.segments = newSegments(e, o.Columns, o.ColumnsRowsMin)
	}
	return e
}

// Close ends the work in the background. It is called before the store of regions and that of columns are closed.
func (e *Endpoint) Close() error {
	if e.segments != nil {
		e.segments.stop()
	}
	return nil
}

// Columns tells what there is of columns.
func (e *Endpoint) Columns() ColumnsStatus {
	if e.segments == nil {
		return ColumnsStatus{}
	}
	return e.segments.status()
}

// The request types.
const (
	tpDAG      = 103
	tpAnalyze  = 104
	tpChecksum = 105
)

// Handle answers a request, and the tasks that come with it, with one message. It never returns nil.
func (e *Endpoint) Handle(ctx context.Context, req *coprocessor.Request) *coprocessor.Response {
	if len(req.GetTasks()) > 0 {
		return e.handleTasks(ctx, req)
	}
	return e.handleOne(ctx, req)
}

func (e *Endpoint) handleOne(ctx context.Context, req *coprocessor.Request) *coprocessor.Response {
	resp, err := e.run(ctx, req, nil, nil)
	if err != nil {
		return &coprocessor.Response{OtherError: err.Error()}
	}
	return resp
}

// Stream answers a DAG request by handing each batch to sink, which may use it until it returns. given are the rows of the
// plan's receivers, one for each; nil if the request has them itself. The response is like
// Handle's, but its data has no rows. An error is sink's, or the context's.
func (e *Endpoint) Stream(ctx context.Context, req *coprocessor.Request, given []*executor.Broadcast, sink func(executor.Batch) error) (*coprocessor.Response, error) {
	return e.stream(ctx, req, given, &batchSink{take: func(b executor.Batch, _ *coprocessor.KeyRange) error { return sink(b) }})
}

// StreamScanned is Stream for who may have to go on elsewhere: sink also learns which keys the batches so far are the whole
// answer to. It is nil where that cannot be said, as the plan keeps rows back.
func (e *Endpoint) StreamScanned(ctx context.Context, req *coprocessor.Request, given []*executor.Broadcast, sink func(b executor.Batch, scanned *coprocessor.KeyRange) error) (*coprocessor.Response, error) {
	return e.stream(ctx, req, given, &batchSink{take: sink, tracks: true})
}

// batchSink is where the batches of a stream go. Where the plan allows it, one that tracks is told with each how far the scan has
// come.
type batchSink struct {
	begin  func(fields []*tipb.FieldType) // nil: nobody asks for the types of what comes
	take   func(b executor.Batch, scanned *coprocessor.KeyRange) error
	tracks bool
}

func (e *Endpoint) stream(ctx context.Context, req *coprocessor.Request, given []*executor.Broadcast, sink *batchSink) (*coprocessor.Response, error) {
	if req.GetTp() != tpDAG {
		return &coprocessor.Response{OtherError: fmt.Sprintf("request type %d has no batches", req.GetTp())}, nil
	}
	if len(req.Tasks) > 0 {
		return &coprocessor.Response{OtherError: "a stream answers one task"}, nil
	}
	return e.run(ctx, req, given, sink)
}

// Running is the number of requests under way, those that wait for others among them.
func (e *Endpoint) Running() int { return int(e.running.Load()) }

// run does the work of all entrances: sink is nil for Handle.
func (e *Endpoint) run(ctx context.Context, req *coprocessor.Request, given []*executor.Broadcast, sink *batchSink) (resp *coprocessor.Response, err error) {
	e.running.Add(1)
	defer e.running.Add(-1)
	begin := e.opts.Now()
	defer func() {
		// One query that meets a bug must not take the store's other regions down.
		if r := recover(); r != nil {
			e.opts.Logger.Error("coprocessor request panicked", "panic", r, "stack", string(debug.Stack()))
			resp, err = &coprocessor.Response{OtherError: fmt.Sprintf("internal error: %v", r)}, nil
		}
		e.note(req.GetTp(), e.opts.Now().Sub(begin), resp)
	}()
	outer := ctx
	if ms := req.GetContext().GetMaxExecutionDurationMs(); ms > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(ms)*time.Millisecond, errDeadline)
		defer cancel()
	}
	switch req.GetTp() {
	case tpDAG:
		resp, err = e.runDAG(ctx, req, given, sink)
	case tpChecksum:
		resp, err = e.checksum(ctx, req)
	case tpAnalyze:
		resp, err = e.analyze(ctx, req)
	default:
		err = fmt.Errorf("unsupported request type %d", req.GetTp())
	}
	if err == nil {
		return resp, nil
	}
	return answerError(outer, ctx, err)
}

// DeadlineExceeded is the message of the region error that ends a request at its MaxExecutionDurationMs.
const DeadlineExceeded = "Deadline is exceeded"

var errDeadline = errors.New(DeadlineExceeded) //nolint:staticcheck // clients look for this spelling

// sinkError is an error that a sink returned: it goes back to the sink's owner as it was.
type sinkError struct{ error }

// answerError finds an error's place in the response. What comes back as an error is the caller's own doing.
func answerError(outer, inner context.Context, err error) (*coprocessor.Response, error) {
	var region *storage.RegionError
	var locked *mvcc.LockedError
	var sink sinkError
	switch {
	case errors.As(err, &sink):
		return nil, sink.error
	case errors.As(err, &region):
		return &coprocessor.Response{RegionError: region.Pb}, nil
	case errors.As(err, &locked):
		return &coprocessor.Response{Locked: locked.Info}, nil
	case outer.Err() != nil:
		return nil, context.Cause(outer)
	case inner.Err() != nil:
		return &coprocessor.Response{RegionError: &errorpb.Error{Message: errDeadline.Error()}}, nil
	}
	return &coprocessor.Response{OtherError: err.Error()}, nil
}

// view is a region as a request sees it.
type view struct {
	snap storage.Snapshot
	opts mvcc.ReadOptions
	// horizon is columnar.Store.Horizon from before the snapshot, 0 without columns.
	horizon uint64
	wait    time.Duration // for the snapshot
}

// open checks the locks in memory, of the request's ranges and of others, and takes the snapshot: in this order, so that a prewrite that is only in memory now
// is met here, and one that is already in the store is met in the snapshot.
func (e *Endpoint) open(ctx context.Context, req *coprocessor.Request, ts uint64, others ...*coprocessor.KeyRange) (*view, error) {
	if len(req.VersionedRanges) > 0 {
		return nil, errors.New("ranges with versions of their own are not supported")
	}
	if req.StartTs != 0 {
		ts = req.StartTs
	}
	rc := req.GetContext()
	v := &view{opts: mvcc.ReadOptions{
		TS: ts, Isolation: rc.GetIsolationLevel(), ReplicaRead: rc.GetReplicaRead(),
		BypassLocks: rc.GetResolvedLocks(), AccessLocks: rc.GetCommittedLocks(), NoFillCache: rc.GetNotFillCache(),
		Known: e.locks.Known,
	}}
	var span *txn.Span
	if rc.GetIsolationLevel() == kvrpcpb.IsolationLevel_SI {
		span = spanOf(append(others, req.Ranges...))
	}
	if err := e.locks.CheckSpan(ts, span, rc.GetResolvedLocks()); err != nil {
		return nil, err
	}
	at, err := txn.ReadRegion(rc, ts, span)
	if err != nil {
		return nil, err
	}
	if e.segments != nil {
		v.horizon = e.segments.store.Horizon()
	}
	begin := e.opts.Now()
	snap, err := e.store.Snapshot(ctx, at)
	if err != nil {
		return nil, err
	}
	v.snap, v.wait = snap, e.opts.Now().Sub(begin)
	if err := errors.Join(checkRanges(req.Ranges, snap.Region()), e.locks.CheckSafePoint(ts)); err != nil {
		return nil, errors.Join(err, snap.Close())
	}
	return v, nil
}

func spanOf(ranges []*coprocessor.KeyRange) *txn.Span {
	span := &txn.Span{Ranges: make([]*kvrpcpb.KeyRange, len(ranges))}
	for i, r := range ranges {
		span.Ranges[i] = &kvrpcpb.KeyRange{StartKey: r.Start, EndKey: r.End}
	}
	return span
}
