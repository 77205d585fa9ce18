package spill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/scree-db/scree/codec/column"
)

// The body of a frame, before compression. All numbers are 8 bytes, little-endian, and all parts are padded to 8 bytes, so
// that a body in memory is a set of Arrow buffers as it stands:
//
//	rows
//	per column: number of NULLs; validity bitmap if there are any; values
//	            of a Bytes column: rows+1 offsets of 4 bytes; length of the data; data

// appendFrame appends the body of a dense batch.
func appendFrame(dst []byte, b column.Batch) []byte {
	dst = appendWord(dst, b.Rows)
	for _, c := range b.Cols {
		valid := column.NullBits(c)
		dst = appendWord(dst, c.NullN())
		if valid != nil {
			dst = appendPadded(dst, valid[:bitutil.BytesForBits(int64(b.Rows))])
		}
		buffers := c.Data().Buffers()
		if c.DataType().ID() == arrow.BINARY {
			offsets := arrow.Int32Traits.CastFromBytes(buffers[1].Bytes())[:b.Rows+1]
			dst = appendPadded(dst, arrow.Int32Traits.CastToBytes(offsets))
			size := int(offsets[b.Rows])
			dst = appendWord(dst, size)
			if size > 0 {
				dst = appendPadded(dst, buffers[2].Bytes()[:size])
			}
			continue
		}
		dst = appendPadded(dst, buffers[1].Bytes()[:b.Rows*c.DataType().(arrow.FixedWidthDataType).Bytes()])
	}
	return dst
}

func appendWord(dst []byte, n int) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(n)) }

func appendPadded(dst, part []byte) []byte {
	dst = append(dst, part...)
	for len(dst)%8 != 0 {
		dst = append(dst, 0)
	}
	return dst
}

var errFrame = errors.New("damaged frame")

// frame is what is left of a body to decode.
type frame []byte

// word takes a number of at most max.
func (f *frame) word(max int) (int, error) {
	if len(*f) < 8 {
		return 0, errFrame
	}
	n := binary.LittleEndian.Uint64(*f)
	if n > uint64(max) {
		return 0, fmt.Errorf("%w: %d where at most %d can be", errFrame, n, max)
	}
	*f = (*f)[8:]
	return int(n), nil
}

// part takes n bytes and their padding.
func (f *frame) part(n int) ([]byte, error) {
	padded := (n + 7) &^ 7
	if len(*f) < padded {
		return nil, errFrame
	}
	p := (*f)[:n:n]
	*f = (*f)[padded:]
	return p, nil
}

// decodeFrame makes a batch of a body, which it aliases. Whatever the bytes, the batch is sound or there is an error.
func decodeFrame(body []byte, kinds []column.Kind) (column.Batch, error) {
	f := frame(body)
	rows, err := f.word(len(body))
	if err != nil {
		return column.Batch{}, err
	}
	b := column.Batch{Cols: make([]arrow.Array, len(kinds)), Rows: rows}
	for i, k := range kinds {
		if b.Cols[i], err = f.column(k, rows); err != nil {
			return column.Batch{}, fmt.Errorf("column %d: %w", i, err)
		}
	}
	if len(f) > 0 {
		return column.Batch{}, errFrame
	}
	return b, nil
}

func (f *frame) column(k column.Kind, rows int) (arrow.Array, error) {
	nulls, err := f.word(rows)
	if err != nil {
		return nil, err
	}
	var valid []byte
	if nulls > 0 {
		if valid, err = f.part(int(bitutil.BytesForBits(int64(rows)))); err != nil {
			return nil, err
		}
		if rows-bitutil.CountSetBits(valid, 0, rows) != nulls {
			return nil, errFrame
		}
	}
	if k == column.Bytes {
		return f.strings(rows, nulls, valid)
	}
	hi, size := bits.Mul64(uint64(rows), uint64(column.ArrowType(k).(arrow.FixedWidthDataType).Bytes()))
	if hi > 0 || size > uint64(len(*f)) {
		return nil, errFrame
	}
	values, err := f.part(int(size))
	if err != nil {
		return nil, err
	}
	return column.Primitive(k, rows, values, valid, nulls), nil
}

func (f *frame) strings(rows, nulls int, valid []byte) (arrow.Array, error) {
	raw, err := f.part(4 * (rows + 1))
	if err != nil {
		return nil, err
	}
	offsets := arrow.Int32Traits.CastFromBytes(raw)
	size, err := f.word(len(*f))
	if err != nil {
		return nil, err
	}
	data, err := f.part(size)
	if err != nil {
		return nil, err
	}
	last := int32(0)
	for _, o := range offsets {
		if o < last {
			return nil, errFrame
		}
		last = o
	}
	if offsets[0] != 0 || int(last) != size {
		return nil, errFrame
	}
	return column.Binary(rows, offsets, data, valid, nulls), nil
}
