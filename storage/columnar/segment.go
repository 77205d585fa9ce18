package columnar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/scree-db/scree/codec/column"
)

// segment is a copy of a range by columns. Its blocks never change; what may is guarded by Store.mu.
type segment struct {
	from, to   []byte // plain keys
	start, end []byte // the same, encoded
	rows       rowBlocks
	builtAt    uint64 // the timestamp that it was read at

	// Guarded by Store.mu.
	ts      uint64 // the segment is right at all timestamps from builtAt to ts: nothing was committed in between
	columns map[ColumnKey]*columnFile
	bytes   int64
	refs    int // of plans, and one of the store until the segment is dropped
	dropped bool
	used    uint64 // by the store's count of uses
}

// rowBlocks are the blocks that all columns of a segment share.
type rowBlocks struct {
	keys  [][]byte // the encoded first key of each; ascending
	rows  []int32  // in each
	total int64    // of rows
}

func (r *rowBlocks) len() int { return len(r.keys) }

func (r *rowBlocks) add(key []byte, rows int) {
	r.keys, r.rows = append(r.keys, key), append(r.rows, int32(rows))
	r.total += int64(rows)
}

// has tells whether a block begins with the key and has so many rows.
func (r *rowBlocks) has(block int, key []byte, rows int) bool {
	return block < len(r.keys) && bytes.Equal(r.keys[block], key) && int(r.rows[block]) == rows
}

// of is the block whose span has the encoded key, or the first one if the key lies before that.
func (r *rowBlocks) of(key []byte) int {
	behind := sort.Search(len(r.keys), func(i int) bool { return bytes.Compare(r.keys[i], key) > 0 })
	return max(behind-1, 0)
}

// spanEnd is where a block's span ends: at the next block, or at the end of the segment.
func (g *segment) spanEnd(block int) []byte {
	if block+1 < len(g.rows.keys) {
		return g.rows.keys[block+1]
	}
	return g.end
}

// overlaps tells whether the segment has keys of [start, end), encoded; an empty end is open.
func overlaps(aStart, aEnd, bStart, bEnd []byte) bool {
	return (len(bEnd) == 0 || bytes.Compare(aStart, bEnd) < 0) && (len(aEnd) == 0 || bytes.Compare(bStart, aEnd) < 0)
}

// hasAll tells whether the segment has columns.
func (g *segment) hasAll(cols []ColumnKey) bool {
	for _, c := range cols {
		if g.columns[c] == nil {
			return false
		}
	}
	return true
}

// columnFile is a column of a segment.
type columnFile struct {
	kind   column.Kind
	name   string // path
	file   vfs.File
	blocks []blockPlace
	slots  []slot // decoded blocks
	bytes  int64
}

// blockPlace says where in the file a block is, and what is known of it.
type blockPlace struct {
	offset int64
	length int32
	// keeps tells that the decoded array needs the block's bytes.
	keeps bool
	zone  zone
}

// scratch has the bytes of blocks that decode into memory of their own.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// read returns a block's values, decoded.
func (f *columnFile) read(block, rows int) (arrow.Array, error) {
	at := &f.blocks[block]
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	if at.keeps {
		buf = new([]byte)
	}
	if cap(*buf) < int(at.length) {
		*buf = make([]byte, at.length)
	}
	raw := (*buf)[:at.length]
	if n, err := f.file.ReadAt(raw, at.offset); err != nil && !(errors.Is(err, io.EOF) && n == len(raw)) {
		return nil, fmt.Errorf("%w: read %s: %w", ErrDamaged, f.name, err)
	}
	a, err := decode(raw, f.kind, rows)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", f.name, at.offset, err)
	}
	return a, nil
}

// discard closes and removes the file.
func (f *columnFile) discard(fs vfs.FS) error {
	var err error
	if f.file != nil {
		err = f.file.Close()
	}
	return errors.Join(err, fs.Remove(f.name))
}
