package coprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/mvcc"
)

// columnScan is the leaf of a table scan that may find rows in columnar segments. A plan says which parts of the ranges come
// from there: of those it hands out the blocks' columns as they are, and leaves the parts in between to the scan of rows.
// Blocks that can have no row for the selection above are passed over.
//
// Where there is no segment, all is left to the scan of rows. When the scan is closed, the endpoint's segments learn what it
// has read, and perhaps have a segment built for the next one.
type columnScan struct {
	executor.ResumableScan // of the rows, through reader
	run                    *dagRun
	reader                 *rangeReader // of what is not in columns, once planned
	scan                   *tipb.Executor
	keys                   []columnar.ColumnKey
	zones                  *zoneFilter
	planned                bool
	plans                  []*columnar.Plan
	pieces                 []piece         // that are yet to be read
	block                  *columnar.Block // the last batch; nil: that came from rows
	start, blockEnd        []byte          // of the first range, and of block; see scanned
	cols                   []arrow.Array
	counts                 columnCounts
}

var _ executor.Scan = (*columnScan)(nil)

// piece is a part of what a scan reads: a block, or, where that is nil, the reader's ranges before the one numbered until.
type piece struct {
	block *columnar.Block
	end   []byte // of the block, if the reader is tracked
	until int
}

// columnCounts is what a scan has had from columns.
type columnCounts struct {
	rows, skipped int64
	bytes         uint64
	metNewer      bool // see mvcc.ScanStats
	unplanned     int  // ranges without a segment that was worth the while
}

// rangesMax bounds the ranges of a scan that looks for segments: where there are more, they are short.
const rangesMax = 64

// newColumnScan makes the leaf of e over what reader would read; nil where columns are of no use.
func (r *dagRun) newColumnScan(e *tipb.Executor, reader *rangeReader) (executor.Scan, error) {
	if r.e.segments == nil || !r.readsMany(e, reader) {
		return nil, nil
	}
	keys, ok := columnKeys(e.TblScan)
	if !ok {
		return nil, nil
	}
	rows, err := executor.NewTableScan(e.TblScan, reader, r.env.Expr)
	if err != nil {
		return nil, err
	}
	s := &columnScan{ResumableScan: rows, run: r, reader: reader, scan: e, keys: keys, cols: make([]arrow.Array, len(keys)),
		start: reader.ranges[0].Start}
	if above := parentOf(r.root, e); above != nil && above.Tp == tipb.ExecType_TypeSelection {
		s.zones = newZoneFilter(above.Selection.GetConditions(), rows.Fields(), r.env.Expr)
	}
	r.columns = append(r.columns, s)
	return s, nil
}

// readsMany tells scans that may read whole blocks, and do so from a copy: forward, to the end, in snapshot isolation, at a
// timestamp that says which version that is.
func (r *dagRun) readsMany(e *tipb.Executor, reader *rangeReader) bool {
	o := &reader.opts
	switch {
	case e.GetTp() != tipb.ExecType_TypeTableScan || e.TblScan == nil,
		o.Desc || o.Isolation != kvrpcpb.IsolationLevel_SI || o.TS == mvcc.TSMax,
		reader.paged || r.dag.GetCollectRangeCounts(),
		len(reader.ranges) > rangesMax || r.readsFew(e):
		return false
	}
	all := tablekey.RecordRange(e.TblScan.TableId)
	points := 0
	for _, kr := range reader.ranges {
		if bytes.Compare(kr.Start, all.Start) < 0 || len(kr.End) == 0 || bytes.Compare(kr.End, all.End) > 0 {
			return false
		}
		if isPoint(kr, reader.keyLen) {
			points++
		}
	}
	return points < len(reader.ranges)
}

// readsFew tells plans that are done with the first rows of their scan.
func (r *dagRun) readsFew(scan *tipb.Executor) bool {
	return rowLimit(r.root) < column.BatchSize && r.root.Limit.Child == scan
}

// parentOf is the executor that reads from e, nil for the root.
func parentOf(root, e *tipb.Executor) *tipb.Executor {
	for _, x := range executor.PostOrder(root) {
		for _, kid := range executor.Children(x) {
			if kid == e {
				return x
			}
		}
	}
	return nil
}

// plan divides the ranges into pieces, and leaves the reader those that are to be read as rows.
func (s *columnScan) plan() error {
	ranges := s.reader.ranges
	s.planned, s.reader.ranges = true, nil
	for _, kr := range ranges {
		p, ok, err := s.run.e.segments.store.Plan(s.run.view.snap, kr.Start, kr.End, s.keys, s.reader.opts.TS)
		if err != nil {
			return fmt.Errorf("plan a scan of columns: %w", err)
		}
		if !ok {
			s.counts.unplanned++
			s.addRows(kr)
			continue
		}
		p.Advance(s.run.view.horizon)
		s.plans = append(s.plans, p)
		s.counts.metNewer = s.counts.metNewer || p.MetNewer
		for _, span := range p.Spans {
			if err := s.addSpan(span); err != nil {
				return err
			}
		}
	}
	s.reader.counts = make([]int64, len(s.reader.ranges))
	return nil
}

func (s *columnScan) addSpan(span columnar.Span) error {
	if span.Blocks == nil {
		s.addRows(&coprocessor.KeyRange{Start: span.Start, End: span.End})
		return nil
	}
	kept, err := s.zones.keep(span.Blocks)
	if err != nil {
		return err
	}
	for _, b := range span.Blocks {
		s.counts.skipped += int64(b.Rows())
	}
	for _, b := range kept {
		s.counts.skipped -= int64(b.Rows())
		p := piece{block: b}
		if s.reader.tracked {
			if p.end, err = b.End(); err != nil {
				return err
			}
		}
		s.pieces = append(s.pieces, p)
	}
	return nil
}

// addRows adds a range for the reader. Ones without blocks between them are one piece.
func (s *columnScan) addRows(kr *coprocessor.KeyRange) {
	s.reader.ranges = append(s.reader.ranges, kr)
	until := len(s.reader.ranges)
	if last := len(s.pieces) - 1; last >= 0 && s.pieces[last].block == nil {
		s.pieces[last].until = until
		return
	}
	s.pieces = append(s.pieces, piece{until: until})
}

// NextRows implements executor.Scan.
func (s *columnScan) NextRows(ctx context.Context) (executor.Batch, error) {
	if err := ctx.Err(); err != nil {
		return executor.Batch{}, err
	}
	if !s.planned {
		if err := s.plan(); err != nil {
			return executor.Batch{}, err
		}
	}
	for ; len(s.pieces) > 0; s.pieces = s.pieces[1:] {
		p := s.pieces[0]
		if p.block != nil {
			s.pieces, s.blockEnd = s.pieces[1:], p.end
			return s.open(p.block), nil
		}
		s.block, s.reader.until = nil, p.until
		b, err := s.ResumableScan.NextRows(ctx)
		if !errors.Is(err, io.EOF) {
			return b, err
		}
		s.Resume()
	}
	return executor.Batch{}, io.EOF
}

// open makes a block the batch; its columns are yet to be loaded.
func (s *columnScan) open(b *columnar.Block) executor.Batch {
	s.block = b
	s.counts.rows += int64(b.Rows())
	clear(s.cols)
	return executor.Batch{Cols: s.cols, Rows: b.Rows()}
}

// scanned is the interval that the batches so far have all rows of, see rangeReader.scanned.
func (s *columnScan) scanned() *coprocessor.KeyRange {
	switch {
	case s.block != nil:
		return &coprocessor.KeyRange{Start: s.start, End: s.blockEnd}
	case s.reader.reached == nil:
		return nil
	}
	return &coprocessor.KeyRange{Start: s.start, End: bytes.Clone(s.reader.reached)}
}

// Load implements executor.Scan. Of a block, it loads all rows: they are there.
func (s *columnScan) Load(col int, sel []int32) (err error) {
	if s.block == nil {
		return s.ResumableScan.Load(col, sel)
	}
	if s.cols[col], err = s.block.Column(col); err != nil {
		return fmt.Errorf("load a column: %w", err)
	}
	s.counts.bytes += uint64(column.Size(executor.Batch{Cols: s.cols[col : col+1]}))
	return nil
}

// Next implements executor.Operator.
func (s *columnScan) Next(ctx context.Context) (executor.Batch, error) {
	b, err := s.NextRows(ctx)
	if err != nil {
		return executor.Batch{}, err
	}
	for i := range b.Cols {
		if err := s.Load(i, nil); err != nil {
			return executor.Batch{}, err
		}
	}
	return b, nil
}

// Close implements executor.Operator.
func (s *columnScan) Close() error {
	s.run.e.segments.note(s)
	for _, p := range s.plans {
		p.Close()
	}
	return s.ResumableScan.Close()
}

// stats are the counts as those of a scan of rows.
func (c *columnCounts) stats() mvcc.ScanStats {
	return mvcc.ScanStats{ProcessedKeys: int(c.rows), TotalKeys: int(c.rows), MetNewer: c.metNewer}
}

// summary is what EXPLAIN ANALYZE shows of the columns.
func (c *columnCounts) summary() *tipb.ExecutorExecutionSummary_TiflashScanContext {
	rows, skipped := uint64(c.rows), uint64(c.skipped)
	return &tipb.ExecutorExecutionSummary_TiflashScanContext{TiflashScanContext: &tipb.TiFlashScanContext{
		DmfileDataScannedRows: &rows, DmfileDataSkippedRows: &skipped,
	}}
}
