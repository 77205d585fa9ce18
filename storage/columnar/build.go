package columnar

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
)

// Build is a segment being written. One goroutine; Finish or Abort ends it.
type Build struct{}

// Errors that end a build. Neither is a failure.
var (
	// ErrDoomed: records that the segment would rely on have been removed meanwhile.
	ErrDoomed = errors.New("versions were removed while the segment was built")
	// ErrNoSpace: the segment is larger than all segments together may be.
	ErrNoSpace = errors.New("no space for the segment")
)

// Begin registers a build of the record keys in [start, end), neither of them empty, at ts, before the builder takes the
// snapshot that it reads. nil says that it must not be: another build is under way there, records are being removed, or the
// store is closed. A segment with the same range and timestamp gets the columns in addition; all others in the range are
// replaced.
func (s *Store) Begin(start, end []byte, ts uint64, cols []ColumnKey, types []*tipb.FieldType) *Build {
	return nil
}

// Add writes a block: rows rows with the columns of Begin, column.BatchSize of them but in the last block. firstKey is the record key
// of the first. All is copied.
func (b *Build) Add(firstKey []byte, cols []arrow.Array, rows int) error {
	return errors.ErrUnsupported
}

// Finish makes the segment available. On an error it is as after Abort.
func (b *Build) Finish() error { return errors.ErrUnsupported }

// Abort removes what has been written. It does nothing after Finish.
func (b *Build) Abort() {}
