package coprocessor

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/chunk"
	"github.com/scree-db/scree/executor"
)

// output takes the rows of a run: into the response, or to a sink.
type output struct {
	response *tipb.SelectResponse
	fields   []*tipb.FieldType            // of all columns
	offsets  []uint32                     // of those to output
	sink     *batchSink                   // nil: into the response
	scanned  func() *coprocessor.KeyRange // what the rows so far are the answer to; nil: not known before the end
	slot     *slot
	bytes    int
	max      int
}

// newOutput chooses the encoding: TypeDefault where TypeChunk is not asked for or not possible.
func (r *dagRun) newOutput() *output {
	o := r.newChannel(r.op.Fields(), r.offsets)
	o.sink, o.slot = r.sink, r.slot
	if r.tracks() {
		o.scanned = r.scanned
	}
	if o.sink != nil && o.sink.begin != nil {
		o.sink.begin(o.projectFields())
	}
	for range r.dag.IntermediateOutputChannels {
		o.response.IntermediateOutputs = append(o.response.IntermediateOutputs, &tipb.IntermediateOutput{EncodeType: o.response.EncodeType})
	}
	return o
}

// newChannel is an output without a sink.
func (r *dagRun) newChannel(fields []*tipb.FieldType, offsets []uint32) *output {
	o := &output{fields: fields, offsets: offsets, max: r.e.opts.ResponseMax}
	o.response = &tipb.SelectResponse{EncodeType: r.dag.EncodeType}
	if r.dag.EncodeType != tipb.EncodeType_TypeChunk || !o.chunkable() {
		o.response.EncodeType = tipb.EncodeType_TypeDefault
	}
	return o
}

// chunkable reports whether all output types have a layout in TypeChunk.
func (o *output) chunkable() bool {
	for _, at := range o.offsets {
		switch o.fields[at].GetTp() {
		case typeVector, typeGeometry:
			return false
		}
	}
	return true
}

// The MySQL types that TypeChunk has no layout for here.
const (
	typeVector   = 0xe1
	typeGeometry = 0xff
)

// add takes one batch. A sink may take its time, so it is called without the slot.
func (o *output) add(ctx context.Context, b executor.Batch) error {
	if o.sink != nil {
		o.slot.give()
		var scanned *coprocessor.KeyRange
		if o.scanned != nil {
			scanned = o.scanned()
		}
		if err := o.sink.take(o.project(b), scanned); err != nil {
			return sinkError{err}
		}
		return o.slot.take(ctx)
	}
	return o.encode(b)
}

// encode appends a batch to the response.
func (o *output) encode(b executor.Batch) error {
	var data []byte
	var err error
	if o.response.EncodeType == tipb.EncodeType_TypeChunk {
		data, err = chunk.AppendChunk(nil, b, o.offsets, o.fields)
	} else {
		data, err = chunk.AppendDefault(nil, b, o.offsets, o.fields)
	}
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	if o.bytes += len(data); o.bytes > o.max {
		return fmt.Errorf("the response exceeds %d bytes: ask for pages, or for less", o.max)
	}
	o.response.Chunks = append(o.response.Chunks, tipb.Chunk{RowsData: data})
	return nil
}

// projectFields picks the types of the output columns.
func (o *output) projectFields() []*tipb.FieldType {
	fields := make([]*tipb.FieldType, len(o.offsets))
	for i, at := range o.offsets {
		fields[i] = o.fields[at]
	}
	return fields
}

// project picks the output columns.
func (o *output) project(b executor.Batch) executor.Batch {
	cols := make([]arrow.Array, len(o.offsets))
	for i, at := range o.offsets {
		cols[i] = b.Cols[at]
	}
	return executor.Batch{Cols: cols, Sel: b.Sel, Rows: b.Rows}
}
