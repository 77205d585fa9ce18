package executor

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
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

// scan is a leaf over key-value pairs.
type scan struct {
	fields  []*tipb.FieldType
	kv      KVIterator
	decode  func(key, val []byte, out []*column.Builder) error
	table   []int // outputs that take the physical table id
	out     []*column.Builder
	cols    []arrow.Array
	size    int
	drained bool
}

// NewTableScan decodes record key-value pairs to the columns of scan. Handles may be int or common; missing columns take
// default values; TIMESTAMPs become session time. A descending scan is the iterator's business.
func NewTableScan(ts *tipb.TableScan, kv KVIterator, ctx *expr.Context) (Operator, error) {
	s, cols, err := newScan(ts.Columns, kv)
	if err != nil {
		return nil, err
	}
	dec, err := row.NewDecoder(cols, ts.PrimaryColumnIds, ctx.Location)
	if err != nil {
		return nil, err
	}
	s.decode = func(key, val []byte, out []*column.Builder) error {
		handle, err := tablekey.RecordHandle(key)
		if err != nil {
			return err
		}
		return dec.Decode(handle, val, out)
	}
	return s, nil
}

// NewIndexScan decodes index entries to the columns of scan: the index's columns, then the handle, then virtual ones. See
// NewTableScan for the rest.
func NewIndexScan(is *tipb.IndexScan, kv KVIterator, ctx *expr.Context) (Operator, error) {
	s, cols, err := newScan(is.Columns, kv)
	if err != nil {
		return nil, err
	}
	dec, err := row.NewIndexDecoder(cols, is.PrimaryColumnIds, ctx.Location)
	if err != nil {
		return nil, err
	}
	s.decode = dec.Decode
	return s, nil
}

func newScan(infos []*tipb.ColumnInfo, kv KVIterator) (*scan, []row.Column, error) {
	s := &scan{kv: kv, size: scanBatchMin}
	cols := make([]row.Column, len(infos))
	for i, c := range infos {
		ft := ColumnType(c)
		cols[i] = row.Column{ID: c.ColumnId, Type: ft, Default: c.DefaultVal, PKHandle: c.PkHandle}
		switch {
		case c.ColumnId == columnPartitionID || c.ColumnId == columnPhysicalTableID:
			cols[i].Skip = true
			s.table = append(s.table, i)
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

func (s *scan) Next(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	for _, b := range s.out {
		b.Reset()
	}
	rows := 0
	for ; rows < s.size && !s.drained; rows++ {
		key, val, ok, err := s.kv.Next()
		if err != nil {
			return Batch{}, err
		}
		if !ok {
			s.drained = true
			break
		}
		if err := s.appendRow(key, val); err != nil {
			return Batch{}, err
		}
	}
	if rows == 0 {
		return Batch{}, io.EOF
	}
	s.size = min(2*s.size, column.BatchSize)
	for i, b := range s.out {
		s.cols[i] = b.Array()
	}
	return Batch{Cols: s.cols, Rows: rows}, nil
}

func (s *scan) appendRow(key, val []byte) error {
	if err := s.decode(key, val, s.out); err != nil {
		return fmt.Errorf("key %x: %w", key, err)
	}
	if len(s.table) == 0 {
		return nil
	}
	k, err := tablekey.Decode(key)
	if err != nil {
		return err
	}
	for _, i := range s.table {
		s.out[i].AppendInt64(k.TableID)
	}
	return nil
}
