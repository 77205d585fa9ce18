package columnar

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/storage"
)

// Plan says how to read a range: which part from columns, which part from rows. It holds on to its segments until Close.
// One goroutine.
type Plan struct {
	// Spans cover the range in key order.
	Spans []Span
}

// Span is a part of a plan's range.
type Span struct {
	Start, End []byte   // plain keys
	Blocks     []*Block // all rows of the span, in key order; nil: they are to be read from the row store
}

// Plan cuts [start, end), plain record keys, for a read at ts, in snapshot isolation, of cols in snap. ok is false where
// it is not worth the while: no segment has all of cols, or most of it has changed.
func (s *Store) Plan(snap storage.Snapshot, start, end []byte, cols []ColumnKey, ts uint64) (p *Plan, ok bool, err error) {
	return nil, false, nil
}

// Close releases the segments. Arrays of columns must not be used after it.
func (p *Plan) Close() {}

// Block is up to column.BatchSize rows in key order. Columns are numbered as in the call of Plan.
type Block struct{}

// ErrDamaged is in the chain of errors about files that cannot be read back. The segment has been dropped by then: the same
// plan made again reads rows.
var ErrDamaged = errors.New("columnar segment is damaged")

// Rows is the number of rows.
func (b *Block) Rows() int { return 0 }

// Zone describes the values of a column.
func (b *Block) Zone(col int) Zone { return Zone{} }

// Column returns the values of a column: not to be changed, valid until Plan.Close.
func (b *Block) Column(col int) (arrow.Array, error) { return nil, errors.ErrUnsupported }

// Zone bounds the values of a column in a block.
type Zone struct {
	Kind  column.Kind
	Nulls int // rows that are NULL
	// Bounded tells that Min <= v <= Max holds for all values that are not NULL, and that there are such. It is false for
	// kinds Decimal128 and Decimal256.
	Bounded  bool
	Min, Max Bound
}

// Bound is a value, in the field of its kind: Int64 for Decimal64, too.
type Bound struct {
	Int64   int64
	Uint64  uint64
	Float64 float64
	// Bytes is at most 16 bytes long, perhaps cut, in the order of bytes. A Max that is nil is no bound.
	Bytes []byte
}
