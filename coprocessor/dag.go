package coprocessor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/storage/mvcc"
)

// dagRun is one DAG request under way. One goroutine.
type dagRun struct {
	e        *Endpoint
	req      *coprocessor.Request
	dag      *tipb.DAGRequest
	view     *view
	env      *executor.Env
	root     *tipb.Executor
	scans    int                   // that the request's ranges are for
	readers  []*rangeReader        // of these, in the order of the plan
	columns  []*columnScan         // of the scans that may read columns
	looked   looked                // beside them
	given    []*executor.Broadcast // the rows of receivers that came beside the request
	received []*executor.Broadcast // rows that came in receivers
	channels []*channel
	sink     *batchSink // nil: rows go into the response
	op       executor.Operator
	slot     *slot
	offsets  []uint32
	begin    time.Time
	// rows that were output, of them the page counts.
	rows uint64
}

// runDAG executes a DAG request, given the rows of its receivers or not. Rows go to sink, or into the response where that is nil.
func (e *Endpoint) runDAG(ctx context.Context, req *coprocessor.Request, given []*executor.Broadcast, sink *batchSink) (*coprocessor.Response, error) {
	dag, err := DecodeDAG(req.Data)
	if err != nil {
		return nil, err
	}
	r := &dagRun{e: e, req: req, dag: dag, given: given, sink: sink, offsets: dag.OutputOffsets, begin: e.opts.Now()}
	view, err := e.open(ctx, req, dag.GetStartTsFallback(), recordRanges(dag.Executors)...)
	if err != nil {
		return nil, err
	}
	r.view = view
	resp, err := r.execute(ctx)
	return resp, errors.Join(err, r.close())
}

// close gives everything back, also after a failed start.
func (r *dagRun) close() error {
	r.slot.give()
	var err error
	if r.op != nil {
		err = r.op.Close()
	}
	for _, b := range r.received {
		b.Close()
	}
	return errors.Join(err, r.closeReaders(), r.view.snap.Close())
}

func (r *dagRun) execute(ctx context.Context) (*coprocessor.Response, error) {
	if r.unchanged() {
		return &coprocessor.Response{IsCacheHit: true, CacheLastVersion: r.view.snap.DataVersion()}, nil
	}
	if err := r.build(ctx); err != nil {
		return nil, err
	}
	if !r.isSmall() {
		var err error
		if r.slot, err = r.e.slots.queue(r.req.GetContext()); err != nil {
			return nil, err
		}
		if err := r.checkLocks(); err != nil {
			return nil, err
		}
	}
	out := r.newOutput()
	finished, err := r.pull(ctx, out)
	evaluation := new(value.Error)
	if err != nil && !errors.As(err, &evaluation) {
		return nil, err
	}
	if err != nil {
		out.response.Error = &tipb.Error{Code: int32(evaluation.Code), Msg: evaluation.Message}
		finished = true
	}
	return r.respond(out, finished)
}

// unchanged reports whether the client has the answer for this very version of the region.
func (r *dagRun) unchanged() bool {
	return r.req.IsCacheEnabled && r.req.CacheIfMatchVersion != 0 &&
		r.req.CacheIfMatchVersion == r.view.snap.DataVersion()
}

// isSmall reports whether the request reads so few keys that it need not queue.
func (r *dagRun) isSmall() bool {
	const few = 16
	if len(r.req.Ranges) > few || r.scans > 1 {
		return false
	}
	for _, kr := range r.req.Ranges {
		if !isPoint(kr, r.main().keyLen) {
			return false
		}
	}
	return true
}

// checkLocks looks for locks in all ranges before the first row goes to a sink: a lock that turned up later would be met
// by a client that cannot ask for the same rows again. A small request gives all its rows at once.
func (r *dagRun) checkLocks() error {
	ranges := r.req.Ranges
	if r.sink == nil || len(ranges) == 0 {
		return nil
	}
	for _, kr := range recordRanges(r.dag.Executors) {
		if err := mvcc.CheckLocks(r.view.snap, kr.Start, kr.End, func([]byte) bool { return true }, r.view.opts); err != nil {
			return err
		}
	}
	concerns := func(key []byte) bool { return covers(ranges, key) }
	return mvcc.CheckLocks(r.view.snap, ranges[0].Start, ranges[len(ranges)-1].End, concerns, r.view.opts)
}

// build assembles the operators over the region's data.
func (r *dagRun) build(ctx context.Context) error {
	location, err := timeZone(r.dag.TimeZoneName, r.dag.TimeZoneOffset)
	if err != nil {
		return err
	}
	r.env = &executor.Env{
		Partial: true, Memory: r.e.opts.Memory.Query(r.e.opts.MemoryMax), Spill: r.e.opts.Spill,
		Expr: &expr.Context{
			Flags: r.dag.Flags, SQLMode: r.dag.GetSqlMode(), Location: location,
			DivPrecisionIncrement: divPrecisionIncrement(r.dag), MaxAllowedPacket: r.dag.GetMaxAllowedPacket(),
			Warnings: &expr.Warnings{Limit: int(min(r.dag.GetMaxWarningCount(), warningsMax))},
			Now:      r.statementTime, Err: ctx.Err,
		},
	}
	if r.dag.GetCollectExecutionSummaries() {
		r.env.Stats = executor.NewStats(r.e.opts.Now)
	}
	if r.root, err = executor.Tree(r.dag.Executors); err != nil {
		return err
	}
	if err := checkCapabilities(r.root, r.dag.Flags); err != nil {
		return err
	}
	if r.scans = scansOf(r.root); r.scans < 1 {
		return errors.New("a DAG without a scan is not supported")
	}
	if r.op, err = executor.BuildOutput(r.root, r.offsets, executor.WithGiven(r.given, r.leaf), r.env); err != nil {
		return err
	}
	return checkOffsets(r.offsets, len(r.op.Fields()))
}

// statementTime is the physical part of the timestamp that the request reads at, so that all regions of a statement have the
// same; the present where a request reads the newest of everything.
func (r *dagRun) statementTime() time.Time {
	if ts := r.view.opts.TS; ts != math.MaxUint64 {
		const logicalBits = 18
		return time.UnixMilli(int64(ts >> logicalBits))
	}
	return r.e.opts.Now()
}

// warningsMax bounds the list of warnings that a client may ask for.
const warningsMax = 65535

// pull drains the operators into out. finished is false if a page ended first.
func (r *dagRun) pull(ctx context.Context, out *output) (finished bool, err error) {
	if err := r.slot.take(ctx); err != nil {
		return false, err
	}
	page, limit := r.pageSize(), rowLimit(r.root)
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		b, err := r.op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return !r.main().stopped, nil
		}
		if err != nil {
			return false, err
		}
		r.rows += uint64(b.Len())
		if err := out.add(ctx, b); err != nil {
			return false, err
		}
		if r.rows >= limit {
			return true, nil
		}
		if r.rows >= page {
			return false, nil
		}
		if err := r.slot.yield(ctx); err != nil {
			return false, err
		}
	}
}

// pageSize is the number of rows after which a page may end. Where an executor keeps rows back, what was read is not what
// was put out, and the rest would be lost: such a plan runs to its end, or to where the reader stops.
func (r *dagRun) pageSize() uint64 {
	if r.req.PagingSize == 0 || !passesRows(r.root) {
		return math.MaxUint64
	}
	return r.req.PagingSize
}

// tracks reports whether batches go out with how far the scan has come.
func (r *dagRun) tracks() bool {
	return r.sink != nil && r.sink.tracks && r.scans == 1 && passesRows(r.root)
}

// scanned is what has been read so far by the only scan of a plan that tracks.
func (r *dagRun) scanned() *coprocessor.KeyRange {
	if len(r.columns) > 0 {
		return r.columns[0].scanned()
	}
	return r.main().scanned()
}

// passesRows reports whether the executors hand on the rows of each batch before they read the next. A Limit does so at
// the root; below it could be at its end without the root's knowing.
func passesRows(root *tipb.Executor) bool {
	if rowLimit(root) < math.MaxUint64 {
		root = root.Limit.Child
	}
	for {
		switch root.GetTp() {
		case tipb.ExecType_TypeTableScan, tipb.ExecType_TypeIndexScan:
			return true
		case tipb.ExecType_TypeSelection:
			root = root.Selection.Child
		case tipb.ExecType_TypeProjection:
			root = root.Projection.Child
		default:
			return false
		}
	}
}

// rowLimit is the number of rows that a plan gives at most.
func rowLimit(root *tipb.Executor) uint64 {
	if root.Tp == tipb.ExecType_TypeLimit && len(root.Limit.PartitionBy) == 0 {
		return root.Limit.Limit
	}
	return math.MaxUint64
}

// respond completes the response after the last row.
func (r *dagRun) respond(out *output, finished bool) (*coprocessor.Response, error) {
	r.complete(out.response)
	for _, c := range r.channels {
		out.response.IntermediateOutputs[c.at] = &tipb.IntermediateOutput{EncodeType: c.response.EncodeType, Chunks: c.response.Chunks}
	}
	data, err := out.response.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	stats, bytes := r.readStats()
	resp := &coprocessor.Response{Data: data}
	if !finished {
		resp.Range = r.main().scanned()
	}
	if r.req.IsCacheEnabled {
		resp.CanBeCached = !stats.MetNewer && out.response.Error == nil
		resp.CacheLastVersion = r.view.snap.DataVersion()
	}
	took := uint64(max(r.e.opts.Now().Sub(r.begin), 0))
	wait := uint64(max(r.view.wait, 0))
	resp.ExecDetailsV2 = &kvrpcpb.ExecDetailsV2{
		TimeDetailV2: &kvrpcpb.TimeDetailV2{WaitWallTimeNs: wait, ProcessWallTimeNs: took - min(took, wait), TotalRpcWallTimeNs: took},
		ScanDetailV2: &kvrpcpb.ScanDetailV2{
			ProcessedVersions: uint64(stats.ProcessedKeys), ProcessedVersionsSize: bytes,
			TotalVersions: uint64(stats.TotalKeys), GetSnapshotNanos: wait,
		},
	}
	resp.ExecDetailsV2.TimeDetail = &kvrpcpb.TimeDetail{
		WaitWallTimeMs: wait / 1e6, ProcessWallTimeMs: took / 1e6, TotalRpcWallTimeNs: took,
	}
	return resp, nil
}

// complete fills in everything but the rows.
func (r *dagRun) complete(s *tipb.SelectResponse) {
	w := r.env.Expr.Warnings
	if w.Count > 0 {
		count := int64(w.Count)
		s.Warnings, s.WarningCount = w.List, &count
		if r.dag.MaxWarningCount != nil && *r.dag.MaxWarningCount == 0 {
			s.Warnings = nil // the count is asked for alone
		}
	}
	if r.dag.GetCollectRangeCounts() && r.scans == 1 {
		s.OutputCounts = r.main().counts
	}
	if r.env.Stats != nil {
		s.ExecutionSummaries = r.summaries()
	}
}

// summaries are what the executors did; those of scans tell how many rows came from columns, if any did.
func (r *dagRun) summaries() []*tipb.ExecutorExecutionSummary {
	list := r.env.Stats.Summaries(r.root)
	for i, e := range executor.PostOrder(r.root) {
		for _, s := range r.columns {
			if s.scan == e && len(s.plans) > 0 {
				list[i].DetailInfo = s.counts.summary()
			}
		}
	}
	return list
}
