package executor

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor/expr"
)

// KVIterator yields the key-value pairs of a scan in order. Slices are valid until the next call.
type KVIterator interface {
	// Next returns the next pair; ok is false at the end.
	Next() (key, val []byte, ok bool, err error)
}

// The ids of virtual columns.
const (
	columnPartitionID     = -2
	columnPhysicalTableID = -3
)

// scanBatchMin is the size of a scan's first batch. Sizes double up to column.BatchSize, so that a query that is content
// with a few rows does not pay for thousands.
const scanBatchMin = 32

// BatchIterator is a KVIterator that gives many pairs at a time.
type BatchIterator interface {
	KVIterator
	// NextBatch appends the next pairs to b until it has as many as rows or is full; more is false at the end.
	NextBatch(b *kvbatch.Pairs, rows int) (more bool, err error)
}

// Scan is a leaf over key-value pairs. Next decodes all columns of all rows; an operator that will not look at all of
// them calls NextRows, and then Load for what it needs.
type Scan interface {
	Operator
	// NextRows reads the rows of the next batch. The columns of the batch are nil, but for those that were needed to tell
	// which rows it has.
	NextRows(ctx context.Context) (Batch, error)
	// Load decodes a column of the last batch, at the rows of sel, or all if that is nil, and sets it in the batch.
	Load(col int, sel []int32) error
}

// ResumableScan is a Scan that goes on after its end.
type ResumableScan interface {
	Scan
	// Resume has the iterator asked again after it was at its end: it has more pairs by now.
	Resume()
}

// scan implements ResumableScan.
type scan struct {
	fields []*tipb.FieldType
	kv     BatchIterator
	rows   kvbatch.Pairs
	// start readies rows for load, which appends a column of them to b. load is nil where start fills all of out.
	start   func(rows *kvbatch.Pairs) error
	load    func(col int, sel []int32, b *column.Builder) error
	table   []bool // the columns that take the physical table id
	out     []*column.Builder
	cols    []arrow.Array
	size    int
	drained bool
}

var _ ResumableScan = (*scan)(nil)

// NewTableScan decodes record key-value pairs to the columns of scan. Handles may be int or common; missing columns take
// default values; TIMESTAMPs become session time. A descending scan is the iterator's business.
func NewTableScan(ts *tipb.TableScan, kv KVIterator, ctx *expr.Context) (ResumableScan, error) {
	s, cols, err := newScan(ts.Columns, kv)
	if err != nil {
		return nil, err
	}
	dec, err := row.NewDecoder(cols, ts.PrimaryColumnIds, ctx.Location)
	if err != nil {
		return nil, err
	}
	s.start, s.load = dec.Start, dec.Load
	return s, nil
}

// NewIndexScan decodes index entries to the columns of scan: the index's columns, then the handle, then virtual ones. See
// NewTableScan for the rest.
func NewIndexScan(is *tipb.IndexScan, kv KVIterator, ctx *expr.Context) (Scan, error) {
	s, cols, err := newScan(is.Columns, kv)
	if err != nil {
		return nil, err
	}
	dec, err := row.NewIndexDecoder(cols, is.PrimaryColumnIds, ctx.Location)
	if err != nil {
		return nil, err
	}
	s.start = func(rows *kvbatch.Pairs) error {
		for _, b := range s.out {
			b.Reset()
		}
		for i := range rows.Len() {
			if err := dec.Decode(rows.Keys.At(i), rows.Values.At(i), s.out); err != nil {
				return fmt.Errorf("key %x: %w", rows.Keys.At(i), err)
			}
		}
		return nil
	}
	return s, nil
}

func newScan(infos []*tipb.ColumnInfo, kv KVIterator) (*scan, []row.Column, error) {
	s := &scan{kv: batched(kv), size: scanBatchMin, table: make([]bool, len(infos))}
	cols := make([]row.Column, len(infos))
	for i, c := range infos {
		ft := ColumnType(c)
		cols[i] = row.Column{ID: c.ColumnId, Type: ft, Default: c.DefaultVal, PKHandle: c.PkHandle}
		switch {
		case c.ColumnId == columnPartitionID || c.ColumnId == columnPhysicalTableID:
			cols[i].Skip = true
			s.table[i] = true
		case c.ColumnId < row.ColumnHandle:
			return nil, nil, &UnsupportedError{What: fmt.Sprintf("column %d", c.ColumnId)}
		}
		s.fields = append(s.fields, ft)
		s.out = append(s.out, column.NewBuilder(ft, scanBatchMin))
	}
	s.cols = make([]arrow.Array, len(infos))
	return s, cols, nil
}

// ColumnType is the field type of a scanned column.
func ColumnType(c *tipb.ColumnInfo) *tipb.FieldType {
	return &tipb.FieldType{Tp: c.Tp, Flag: uint32(c.Flag), Flen: c.ColumnLen, Decimal: c.Decimal, Collate: c.Collation,
		Elems: c.Elems, Array: c.Array}
}

func (s *scan) Fields() []*tipb.FieldType { return s.fields }
func (s *scan) Close() error              { return nil }

// Resume implements ResumableScan.
func (s *scan) Resume() { s.drained = false }

// Next implements Operator.
func (s *scan) Next(ctx context.Context) (Batch, error) {
	b, err := s.NextRows(ctx)
	if err != nil {
		return Batch{}, err
	}
	for i := range s.cols {
		if err := s.Load(i, nil); err != nil {
			return Batch{}, err
		}
	}
	return b, nil
}

// NextRows implements Scan.
func (s *scan) NextRows(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	s.rows.Reset()
	if !s.drained {
		more, err := s.kv.NextBatch(&s.rows, s.size)
		if err != nil {
			return Batch{}, err
		}
		s.drained = !more
	}
	if s.rows.Len() == 0 {
		return Batch{}, io.EOF
	}
	s.size = min(2*s.size, column.BatchSize)
	clear(s.cols)
	if err := s.start(&s.rows); err != nil {
		return Batch{}, err
	}
	return Batch{Cols: s.cols, Rows: s.rows.Len()}, nil
}

// Load implements Scan.
func (s *scan) Load(col int, sel []int32) (err error) {
	b := s.out[col]
	switch {
	case s.table[col]:
		b.Reset()
		err = loadTableIDs(&s.rows.Keys, b)
	case s.load != nil:
		b.Reset()
		err = s.load(col, sel, b)
	}
	s.cols[col] = b.Array()
	return err
}

func loadTableIDs(keys *kvbatch.Strings, b *column.Builder) error {
	for i := range keys.Len() {
		k, err := tablekey.Decode(keys.At(i))
		if err != nil {
			return err
		}
		b.AppendInt64(k.TableID)
	}
	return nil
}

// batched makes batches of an iterator's pairs.
func batched(kv KVIterator) BatchIterator {
	if b, ok := kv.(BatchIterator); ok {
		return b
	}
	return pairwise{kv}
}

type pairwise struct{ KVIterator }

func (p pairwise) NextBatch(b *kvbatch.Pairs, rows int) (more bool, err error) {
	for b.Len() < rows && !b.Full() {
		key, val, ok, err := p.Next()
		if err != nil || !ok {
			return false, err
		}
		b.Append(key, val)
	}
	return true, nil
}
