package column

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
)

// Batch is a set of columns of equal length and the rows among them that count.
//
// Invariants: every column has Rows values and Offset 0; Sel, when not nil, lists physical row numbers in ascending
// order. What a column holds at an unselected row is undefined. The receiver of a batch must not change it, and may
// read it only until it asks its producer for the next one; who needs it longer makes a copy with Compact.
type Batch struct {
	Cols []arrow.Array
	// Sel lists the selected rows; nil selects all of them.
	Sel []int32
	// Rows is the physical number of rows, also where there are no columns.
	Rows int
}

// BatchSize is the number of rows that producers aim at.
const BatchSize = 4096

// Len is the number of selected rows.
func (b Batch) Len() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return b.Rows
}

// Row maps the i-th selected row to its physical number.
func (b Batch) Row(i int) int {
	if b.Sel != nil {
		return int(b.Sel[i])
	}
	return i
}

// NullBits is the validity bitmap of a column (bit 1 = not NULL), or nil where it has no NULLs.
func NullBits(a arrow.Array) []byte {
	if a.NullN() == 0 {
		return nil
	}
	return a.NullBitmapBytes()
}

// IsValid reports whether row i is not NULL in a bitmap from NullBits.
func IsValid(bits []byte, i int) bool { return bits == nil || bitutil.BitIsSet(bits, i) }

// Size is the memory of b's columns in bytes.
func Size(b Batch) int64 {
	var n int64
	for _, c := range b.Cols {
		for _, buf := range c.Data().Buffers() {
			if buf != nil {
				n += int64(buf.Len())
			}
		}
	}
	return n
}
