// Package chunk is the form in which rows travel in coprocessor responses to TiKV's clients: batches to bytes
// (AppendChunk, AppendDefault) and back (DecodeChunk, DecodeDefault).
//
// TypeChunk is column after column:
//
//	rows u32 | nulls u32 | [validity, ceil(rows/8) bytes, bit 1 = not NULL, if nulls > 0] | [rows+1 offsets i64] | cells
//
// all little-endian, offsets only for variable-length cells:
//
//	integers, YEAR, DOUBLE, TIME (ns)    8 bytes
//	FLOAT                                4 bytes
//	DECIMAL                              40 bytes, see decimal.go
//	DATE, DATETIME, TIMESTAMP            8 bytes of bit fields, see number.go
//	strings, JSON (type byte first)      variable
//	BIT                                  variable: big-endian bytes, as many as the column's length needs
//	ENUM, SET                            variable: number u64, then the name
//
// TypeDefault is row after row, one datum per column.
package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// ErrInvalid is in the chain of every decoding error of this package.
var ErrInvalid = errors.New("invalid chunk")

// cellForm is how a type's cells look.
type cellForm uint8

const (
	cell8 cellForm = iota // the column's 8 bytes as they are
	cellFloat
	cellDecimal
	cellTime
	cellBytes
	cellBit
	cellNamed // ENUM, SET
)

// fixedWidth is the length of a cell, 0 for variable-length ones.
func (f cellForm) fixedWidth() int { return [...]int{8, 4, decimalSize, 8, 0, 0, 0}[f] }

func formOf(ft *tipb.FieldType) cellForm {
	switch ft.Tp {
	case column.TypeFloat:
		return cellFloat
	case column.TypeDecimal:
		return cellDecimal
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		return cellTime
	case column.TypeBit:
		return cellBit
	case column.TypeEnum, column.TypeSet:
		return cellNamed
	}
	if column.KindOf(ft) == column.Bytes {
		return cellBytes
	}
	return cell8
}

// AppendChunk appends the selected rows of b in TypeChunk: of its columns, whose types are fields, those at offsets.
func AppendChunk(dst []byte, b column.Batch, offsets []uint32, fields []*tipb.FieldType) ([]byte, error) {
	for _, off := range offsets {
		if int(off) >= len(b.Cols) {
			return nil, fmt.Errorf("chunk: output offset %d of %d columns", off, len(b.Cols))
		}
		var err error
		if dst, err = appendColumn(dst, b.Cols[off], b, fields[off]); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendColumn(dst []byte, a arrow.Array, b column.Batch, ft *tipb.FieldType) ([]byte, error) {
	rows := b.Len()
	dst = binary.LittleEndian.AppendUint32(dst, uint32(rows))
	nullsAt := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	if bits := column.NullBits(a); bits != nil {
		var nulls int
		if dst, nulls = appendValidity(dst, bits, b); nulls > 0 {
			binary.LittleEndian.PutUint32(dst[nullsAt:], uint32(nulls))
		} else {
			dst = dst[:nullsAt+4]
		}
	}
	switch form := formOf(ft); form {
	case cell8:
		return append8(dst, a, b), nil
	case cellFloat:
		return appendFloats(dst, a.(*array.Float64), b), nil
	case cellDecimal:
		return appendDecimals(dst, a, b, column.Scale(ft))
	case cellTime:
		return appendTimes(dst, a.(*array.Uint64), b, ft), nil
	case cellBytes:
		return appendVariable(dst, a, b, a.(*array.Binary).Value), nil
	default:
		return appendNumbers(dst, a.(*array.Uint64), b, form, ft), nil
	}
}

// appendValidity appends the bitmap of the selected rows and counts the NULLs among them.
func appendValidity(dst, bits []byte, b column.Batch) (_ []byte, nulls int) {
	rows, from := b.Len(), len(dst)
	dst = append(dst, make([]byte, bitutil.BytesForBits(int64(rows)))...)
	out := dst[from:]
	for i := range rows {
		if bitutil.BitIsSet(bits, b.Row(i)) {
			bitutil.SetBit(out, i)
		} else {
			nulls++
		}
	}
	return dst, nulls
}

// append8 appends 8-byte cells; memory order and wire order are both little-endian.
func append8(dst []byte, a arrow.Array, b column.Batch) []byte {
	raw := a.Data().Buffers()[1].Bytes()
	bits := column.NullBits(a)
	if b.Sel == nil && bits == nil {
		return append(dst, raw[:8*b.Rows]...)
	}
	for i := range b.Len() {
		if r := b.Row(i); column.IsValid(bits, r) {
			dst = append(dst, raw[8*r:8*r+8]...)
		} else {
			dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
		}
	}
	return dst
}

// appendVariable appends offsets and the cells that value gives for the rows that are not NULL.
func appendVariable(dst []byte, a arrow.Array, b column.Batch, value func(row int) []byte) []byte {
	rows, from := b.Len(), len(dst)
	dst = append(dst, make([]byte, 8*(rows+1))...)
	dataAt := len(dst)
	bits := column.NullBits(a)
	for i := range rows {
		if r := b.Row(i); column.IsValid(bits, r) {
			dst = append(dst, value(r)...)
		}
		binary.LittleEndian.PutUint64(dst[from+8*(i+1):], uint64(len(dst)-dataAt))
	}
	return dst
}

// AppendDefault appends the selected rows of b in TypeDefault.
func AppendDefault(dst []byte, b column.Batch, offsets []uint32, fields []*tipb.FieldType) ([]byte, error) {
	for _, off := range offsets {
		if int(off) >= len(b.Cols) {
			return nil, fmt.Errorf("chunk: output offset %d of %d columns", off, len(b.Cols))
		}
	}
	var err error
	for i := range b.Len() {
		for _, off := range offsets {
			d := datum.FromColumn(b.Cols[off], b.Row(i), fields[off])
			if dst, err = datum.AppendResponse(dst, d, fields[off]); err != nil {
				return nil, err
			}
		}
	}
	return dst, nil
}

// DecodeDefault reads rows in TypeDefault into columns of the given types.
func DecodeDefault(data []byte, fields []*tipb.FieldType) (column.Batch, error) {
	out := make([]*column.Builder, len(fields))
	for i, ft := range fields {
		out[i] = column.NewBuilder(ft, 0)
	}
	rows := 0
	for ; len(data) > 0 && len(fields) > 0; rows++ {
		for i, ft := range fields {
			d, rest, err := datum.Decode(data)
			if err != nil {
				return column.Batch{}, fmt.Errorf("%w: row %d, column %d: %w", ErrInvalid, rows, i, err)
			}
			if err := d.Of(ft).AppendTo(out[i]); err != nil {
				return column.Batch{}, fmt.Errorf("%w: row %d, column %d: %w", ErrInvalid, rows, i, err)
			}
			data = rest
		}
	}
	b := column.Batch{Rows: rows}
	for _, c := range out {
		b.Cols = append(b.Cols, c.Detach())
	}
	return b, nil
}
