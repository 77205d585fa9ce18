package chunk

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// DecodeChunk reads columns of the given types in TypeChunk. The batch does not alias data.
func DecodeChunk(data []byte, fields []*tipb.FieldType) (column.Batch, error) {
	var b column.Batch
	for i, ft := range fields {
		c, rest, err := readCells(data, formOf(ft).fixedWidth())
		if err != nil {
			return column.Batch{}, fmt.Errorf("column %d: %w", i, err)
		}
		if i > 0 && c.rows != b.Rows {
			return column.Batch{}, fmt.Errorf("%w: columns of %d and %d rows", ErrInvalid, b.Rows, c.rows)
		}
		out := column.NewBuilder(ft, c.rows)
		if err := c.appendTo(out, formOf(ft)); err != nil {
			return column.Batch{}, fmt.Errorf("column %d: %w", i, err)
		}
		b.Cols = append(b.Cols, out.Detach())
		b.Rows, data = c.rows, rest
	}
	if len(data) > 0 {
		return column.Batch{}, fmt.Errorf("%w: %d bytes after the last column", ErrInvalid, len(data))
	}
	return b, nil
}

// cells is one column on the wire, its lengths checked.
type cells struct {
	rows    int
	valid   []byte // nil: no NULLs
	width   int    // 0: variable
	offsets []byte
	data    []byte
}

func readCells(b []byte, width int) (c cells, rest []byte, err error) {
	if len(b) < 8 {
		return c, nil, fmt.Errorf("%w: %d bytes of a column", ErrInvalid, len(b))
	}
	rows, nulls := int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])
	if rows > math.MaxInt32 || int(nulls) > rows {
		return c, nil, fmt.Errorf("%w: %d NULLs in %d rows", ErrInvalid, nulls, rows)
	}
	c, b = cells{rows: rows, width: width}, b[8:]
	if nulls > 0 {
		if c.valid, b, err = cut(b, int(bitutil.BytesForBits(int64(rows)))); err != nil {
			return c, nil, err
		}
	}
	if width > 0 {
		c.data, b, err = cut(b, rows*width)
		return c, b, err
	}
	if c.offsets, b, err = cut(b, 8*(rows+1)); err != nil {
		return c, nil, err
	}
	size := binary.LittleEndian.Uint64(c.offsets[8*rows:])
	if size > math.MaxInt32 { // what a column's 32-bit offsets can hold
		return c, nil, fmt.Errorf("%w: a column of %d bytes", ErrInvalid, size)
	}
	c.data, b, err = cut(b, int(size))
	return c, b, err
}

func cut(b []byte, n int) (head, rest []byte, err error) {
	if n > len(b) {
		return nil, nil, fmt.Errorf("%w: %d bytes where %d are announced", ErrInvalid, len(b), n)
	}
	return b[:n], b[n:], nil
}

// at is the i-th cell.
func (c *cells) at(i int) ([]byte, error) {
	if c.width > 0 {
		return c.data[i*c.width : (i+1)*c.width], nil
	}
	from, to := binary.LittleEndian.Uint64(c.offsets[8*i:]), binary.LittleEndian.Uint64(c.offsets[8*i+8:])
	if from > to || to > uint64(len(c.data)) {
		return nil, fmt.Errorf("%w: a cell at [%d, %d) of %d bytes", ErrInvalid, from, to, len(c.data))
	}
	return c.data[from:to], nil
}

func (c *cells) appendTo(out *column.Builder, form cellForm) error {
	for i := range c.rows {
		if c.valid != nil && !bitutil.BitIsSet(c.valid, i) {
			out.AppendNull()
			continue
		}
		cell, err := c.at(i)
		if err != nil {
			return err
		}
		if err := appendCell(out, cell, form); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}

func appendCell(out *column.Builder, cell []byte, form cellForm) error {
	switch form {
	case cell8:
		append8To(out, binary.LittleEndian.Uint64(cell))
	case cellFloat:
		out.AppendFloat64(float64(math.Float32frombits(binary.LittleEndian.Uint32(cell))))
	case cellTime:
		out.AppendUint64(uint64(timeFromCell(binary.LittleEndian.Uint64(cell))))
	case cellBytes:
		out.AppendBytes(cell)
	case cellDecimal:
		d, err := getDecimal(cell)
		if err != nil {
			return err
		}
		return appendDecimal(out, d)
	case cellBit:
		if len(cell) > 8 {
			return fmt.Errorf("%w: %d bytes of a BIT", ErrInvalid, len(cell))
		}
		v := uint64(0)
		for _, b := range cell {
			v = v<<8 | uint64(b)
		}
		out.AppendUint64(v)
	case cellNamed:
		if len(cell) < 8 {
			return fmt.Errorf("%w: %d bytes of an ENUM or SET", ErrInvalid, len(cell))
		}
		out.AppendUint64(binary.LittleEndian.Uint64(cell))
	}
	return nil
}

func append8To(out *column.Builder, v uint64) {
	switch out.Kind {
	case column.Int64:
		out.AppendInt64(int64(v))
	case column.Uint64:
		out.AppendUint64(v)
	default:
		out.AppendFloat64(math.Float64frombits(v))
	}
}

// appendDecimal appends d at the column's scale, at which it must still be a decimal.
func appendDecimal(out *column.Builder, d value.Decimal) error {
	if widen := column.Scale(out.Type) - int(d.Scale); widen > 0 && d.Precision()+widen > column.MaxPrecision {
		return fmt.Errorf("%w: a decimal of %d digits in a column of scale %d", ErrInvalid, d.Precision(), column.Scale(out.Type))
	}
	if err := datum.NewDecimal(d).AppendTo(out); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
