package coprocessor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
)

const (
	// samplesMax bounds the rows of a sample, and sketchMax the hashes that one sketch keeps.
	samplesMax    = 1 << 20
	sketchMax     = 1 << 20
	sketchDefault = 10_000
)

// analyze answers an analyze request with full sampling: in one walk over the rows a sample of them, and for each column
// and each group of columns the number of NULLs, the bytes, and a sketch of how many values differ. Statistics of regions
// add up: samples carry weights to choose among them, and sketches of equal hashes merge.
func (e *Endpoint) analyze(ctx context.Context, req *coprocessor.Request) (*coprocessor.Response, error) {
	if err := checkMessage(req.Data, analyzeType); err != nil {
		return nil, err
	}
	in := new(tipb.AnalyzeReq)
	if err := in.Unmarshal(req.Data); err != nil {
		return nil, fmt.Errorf("decode analyze request: %w", err)
	}
	if in.Tp != tipb.AnalyzeType_TypeFullSampling || in.ColReq == nil {
		return nil, fmt.Errorf("analyze requests of %s are not supported", in.Tp)
	}
	location, err := timeZone("", in.TimeZoneOffset)
	if err != nil {
		return nil, err
	}
	v, err := e.open(ctx, req, in.GetStartTsFallback())
	if err != nil {
		return nil, err
	}
	reader := newRangeReader(v.snap, req.Ranges, 0, v.opts)
	out, err := e.sample(ctx, in.ColReq, reader, &expr.Context{Flags: in.Flags, Location: location, Warnings: &expr.Warnings{}}, req)
	if err := errors.Join(err, reader.close(), v.snap.Close()); err != nil {
		return nil, err
	}
	data, err := (&tipb.AnalyzeColumnsResp{RowCollector: out}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode analyze response: %w", err)
	}
	return &coprocessor.Response{Data: data}, nil
}

// sample reads all rows into a collector.
func (e *Endpoint) sample(ctx context.Context, in *tipb.AnalyzeColumnsReq, kv executor.KVIterator, env *expr.Context, req *coprocessor.Request) (*tipb.RowSampleCollector, error) {
	op, err := executor.NewTableScan(&tipb.TableScan{
		Columns: in.ColumnsInfo, PrimaryColumnIds: in.PrimaryColumnIds, PrimaryPrefixColumnIds: in.PrimaryPrefixColumnIds,
	}, kv, env)
	if err != nil {
		return nil, err
	}
	s, err := newSampler(in, op.Fields(), req.StartTs^req.GetContext().GetRegionId(), e.opts.ResponseMax)
	if err != nil {
		return nil, err
	}
	turn, err := e.slots.queue(req.GetContext())
	if err != nil {
		return nil, err
	}
	if err := turn.take(ctx); err != nil {
		return nil, err
	}
	defer turn.give()
	for {
		b, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return s.collector(), op.Close()
		}
		if err != nil {
			return nil, err
		}
		for i := range b.Len() {
			if err := s.add(b, b.Row(i)); err != nil {
				return nil, err
			}
		}
		if err := turn.yield(ctx); err != nil {
			return nil, err
		}
	}
}
