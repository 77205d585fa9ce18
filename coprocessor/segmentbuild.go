package coprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/expr"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/mvcc"
)

// buildOrder is a segment to build.
type buildOrder struct {
	context    *kvrpcpb.Context
	table      int64
	start, end []byte
	keys       []columnar.ColumnKey
	// addsTo is the timestamp of the segment that gets the columns; 0: one is built anew.
	addsTo uint64
}

// keyRange is the order's range, as a request has it.
func (o *buildOrder) keyRange() *coprocessor.KeyRange {
	return &coprocessor.KeyRange{Start: o.start, End: o.end}
}

// build builds the segments of parts in the queue until ctx is done.
func (s *segments) build(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-s.queue:
			order := s.order(id)
			rows, err := s.e.buildSegment(ctx, order)
			s.built(id, order, rows, err)
		}
	}
}

// order decides what to build of a part: columns that its segment lacks, at the segment's timestamp, or, where there is
// nothing to add to, a segment that also has the columns of those that it replaces.
func (s *segments) order(id partID) buildOrder {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[id]
	o := buildOrder{context: p.context, table: id.table, start: p.start, end: p.end}
	for key := range p.wanted {
		o.keys = append(o.keys, key)
	}
	slices.Sort(o.keys)
	present := s.store.Segments(p.start, p.end)
	if len(present) == 1 && bytes.Equal(present[0].Start, p.start) && bytes.Equal(present[0].End, p.end) {
		lacks := missing(o.keys, present[0].Columns)
		if ts := present[0].TS; len(lacks) > 0 && ts >= s.e.locks.SafePoint() {
			o.keys, o.addsTo = lacks, ts
			return o
		}
	}
	for _, segment := range present {
		o.keys = append(o.keys, missing(segment.Columns, o.keys)...)
	}
	o.keys = o.keys[:min(len(o.keys), wantedMax)]
	return o
}

// built notes how a build ended, having met so many rows.
func (s *segments) built(id partID, o buildOrder, rows int64, err error) {
	log := s.e.opts.Logger.With("region", id.region, "table", id.table, "columns", len(o.keys), "rows", rows)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[id]
	p.pending = false
	var locked *mvcc.LockedError
	switch {
	case errors.As(err, &locked):
		s.counts.BuildsFailed++ // the next scan tries again: by then the lock is gone, or its timestamp is above
		log.Debug("a lock is in the way of a columnar segment", "err", err)
		return
	case err != nil:
		s.counts.BuildsFailed++
		p.patience = min(2*p.patience, patienceMax)
		log.Info("columnar segment not built", "err", err)
	case o.addsTo == 0 && p.rows > 0 && p.served < p.rows:
		p.patience = min(2*p.patience, patienceMax)
	case o.addsTo == 0:
		p.patience = 1
	}
	p.rows = max(rows, 1)
	p.lacked, p.changed = 0, 0
	clear(p.wanted)
	if o.addsTo == 0 {
		p.served = 0
	}
}

// errNotBuilt says that segments are not built there now.
var errNotBuilt = errors.New("no build is possible there now")

// buildSegment copies what an ordinary read finds, and returns the number of rows that it has met.
func (e *Endpoint) buildSegment(ctx context.Context, o buildOrder) (rows int64, err error) {
	defer func() {
		if r := recover(); r != nil { // as for a request
			e.opts.Logger.Error("the build of a columnar segment panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	scan, keys, err := scanOf(o.table, o.keys)
	if err != nil {
		return 0, err
	}
	types := make([]*tipb.FieldType, len(keys))
	for i, c := range scan.Columns {
		types[i] = executor.ColumnType(c)
	}
	ts := o.addsTo
	if ts == 0 {
		if ts, err = e.opts.TS(ctx); err != nil {
			return 0, fmt.Errorf("timestamp of a columnar segment: %w", err)
		}
	}
	build := e.segments.store.Begin(o.start, o.end, ts, keys, types)
	if build == nil {
		return 0, errNotBuilt
	}
	defer build.Abort()
	view, err := e.openToBuild(ctx, o, ts)
	if err != nil {
		return 0, err
	}
	reader := &blockReader{rangeReader: newRangeReader(view.snap, []*coprocessor.KeyRange{o.keyRange()}, 0, view.opts)}
	defer func() { err = errors.Join(err, reader.close(), view.snap.Close()) }()
	b := segmentBuilder{build: build, reader: reader, columns: make([]*column.Builder, len(types))}
	for i, ft := range types {
		b.columns[i] = column.NewBuilder(ft, column.BatchSize)
	}
	if b.scan, err = executor.NewTableScan(scan, reader, &expr.Context{Location: time.UTC, Warnings: &expr.Warnings{}}); err != nil {
		return 0, err
	}
	if b.slot, err = e.slots.queue(o.context); err != nil {
		return 0, err
	}
	defer b.slot.give()
	if err = b.run(ctx); err == nil {
		err = build.Finish()
	}
	return b.rows, err
}

// openToBuild opens the region for a build. A lock that a read at the timestamp would have to wait for ends it: its
// transaction may yet commit at or below.
func (e *Endpoint) openToBuild(ctx context.Context, o buildOrder, ts uint64) (*view, error) {
	req := &coprocessor.Request{Context: o.context, Ranges: []*coprocessor.KeyRange{o.keyRange()}, StartTs: ts}
	v, err := e.open(ctx, req, ts)
	if err != nil {
		return nil, err
	}
	v.opts.Known = nil
	if err := mvcc.CheckLocks(v.snap, o.start, o.end, func([]byte) bool { return true }, v.opts); err != nil {
		return nil, errors.Join(err, v.snap.Close())
	}
	return v, nil
}

// segmentBuilder cuts rows into blocks.
type segmentBuilder struct {
	build   *columnar.Build
	reader  *blockReader
	scan    executor.Scan
	slot    *slot
	columns []*column.Builder // of the block under way
	rows    int64             // in the blocks before
}

// turnsPassed is how many turns of its slot a build leaves to requests that wait, for each that it takes.
const turnsPassed = 3

func (b *segmentBuilder) run(ctx context.Context) error {
	if err := b.slot.take(ctx); err != nil {
		return err
	}
	for {
		batch, err := b.scan.Next(ctx)
		if errors.Is(err, io.EOF) {
			return b.flush()
		}
		if err != nil {
			return err
		}
		if err := b.add(batch); err != nil {
			return err
		}
		for range 1 + turnsPassed {
			if err := b.slot.yield(ctx); err != nil {
				return err
			}
		}
	}
}

// blockBytesMax bounds the memory of a block that is built. Rows so large are slow to read for other reasons than their form.
const blockBytesMax = 64 << 20

var errTooLarge = fmt.Errorf("%d rows together are larger than %d bytes", column.BatchSize, blockBytesMax)

// add appends a batch, which does not reach over the end of the block.
func (b *segmentBuilder) add(batch executor.Batch) error {
	var size int64
	for i, col := range b.columns {
		col.AppendRows(batch.Cols[i], nil)
		size += col.Bytes()
	}
	if size > blockBytesMax {
		return errTooLarge
	}
	if b.reader.rows == column.BatchSize {
		return b.flush()
	}
	return nil
}

// flush writes the block, if it has rows.
func (b *segmentBuilder) flush() error {
	if b.reader.rows == 0 {
		return nil
	}
	cols := make([]arrow.Array, len(b.columns))
	for i, col := range b.columns {
		cols[i] = col.Array()
	}
	if err := b.build.Add(b.reader.first, cols, b.reader.rows); err != nil {
		return fmt.Errorf("write a columnar segment: %w", err)
	}
	for _, col := range b.columns {
		col.Reset()
	}
	b.rows += int64(b.reader.rows)
	b.reader.rows = 0
	return nil
}

// blockReader gives no batch that reaches over the end of a block, and remembers where the block begins.
type blockReader struct {
	*rangeReader
	rows  int // read of the block
	first []byte
}

// NextBatch implements executor.BatchIterator.
func (r *blockReader) NextBatch(b *kvbatch.Pairs, rows int) (more bool, err error) {
	had := b.Len()
	more, err = r.rangeReader.NextBatch(b, min(rows, had+column.BatchSize-r.rows))
	if got := b.Len() - had; got > 0 {
		if r.rows == 0 {
			r.first = append(r.first[:0], b.Keys.At(had)...)
		}
		r.rows += got
	}
	return more, err
}
