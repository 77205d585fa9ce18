package row

import (
	"fmt"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/tablekey"
)

// Column is a column that a decoder is asked for.
type Column struct {
	ID   int64
	Type *tipb.FieldType
	// Default is the encoded datum (datum.AppendValue) that a row without the column reads; nil is NULL. TIMESTAMPs are
	// in UTC.
	Default []byte
	// PKHandle: the column is the integer handle. So is the one with id ColumnHandle.
	PKHandle bool
	// Skip: the caller fills this column itself.
	Skip bool
}

func (c Column) isHandle() bool { return c.PKHandle || c.ID == ColumnHandle }

// Decoder turns records into columns, row by row (Decode) or, for scans, column by column (Start and Load). One goroutine.
type Decoder struct {
	cols    []wanted // by output
	layouts layouts
	cells   [][]byte // of the last v1 row of Decode, by output
	batch   rowBatch
}

// wanted is an output and where it comes from.
type wanted struct {
	id     int64
	source source
	cellDecoder
	missing filler
}

type source uint8

const (
	fromValue  source = iota // the row's value; where that lacks the column, missing tells
	fromHandle               // the integer handle
	fromCaller
)

// NewDecoder compiles a decoder for cols, whose order is the order of the builders given to Decode. primaryIDs are the
// ids of the clustered primary key's columns of a table with common handles, else empty: such columns come from the
// handle where the row does not have them. loc is the session's time zone, to which TIMESTAMPs are converted.
func NewDecoder(cols []Column, primaryIDs []int64, loc *time.Location) (*Decoder, error) {
	d := &Decoder{cols: make([]wanted, len(cols)), cells: make([][]byte, len(cols))}
	for i, c := range cols {
		w := &d.cols[i]
		w.id = c.ID
		switch {
		case c.Skip:
			w.source = fromCaller
		case c.isHandle() && len(primaryIDs) == 0:
			if k := column.KindOf(c.Type); k != column.Int64 && k != column.Uint64 {
				return nil, fmt.Errorf("%w: an integer handle as %s", ErrInvalid, k)
			}
			w.source = fromHandle
		default:
			w.cellDecoder = newCellDecoder(c.Type, loc)
			var err error
			if w.missing, err = newFiller(c, primaryIDs, w.cellDecoder); err != nil {
				return nil, err
			}
		}
	}
	d.layouts = newLayouts(d.cols)
	return d, nil
}

// Decode appends one row to out, a builder for each column of NewDecoder. After an error the builders are to be thrown
// away: some columns may have the row and others not.
func (d *Decoder) Decode(handle, val []byte, out []*column.Builder) error {
	d.layouts.forget()
	l, err := d.layouts.of(val)
	if err == nil && l == nil {
		err = d.splitV1(val, d.cells)
	}
	for k := 0; k < len(d.cols) && err == nil; k++ {
		switch d.cols[k].source {
		case fromHandle:
			err = appendIntHandle(handle, out[k])
		case fromValue:
			err = d.appendCell(k, l, handle, val, d.cells, out[k])
		}
	}
	return err
}

func appendIntHandle(handle []byte, b *column.Builder) error {
	h, err := tablekey.DecodeIntHandle(handle)
	if err != nil {
		return err
	}
	appendInteger(b, h)
	return nil
}

// appendInteger appends a handle, whose bits an unsigned column reads as unsigned.
func appendInteger(b *column.Builder, v int64) {
	if b.Kind == column.Uint64 {
		b.AppendUint64(uint64(v))
	} else {
		b.AppendInt64(v)
	}
}

// appendCell appends output k of a row: a v2 row of layout l, or, where that is nil, a v1 row that splitV1 has cut into cells.
func (d *Decoder) appendCell(k int, l *layout, handle, val []byte, cells [][]byte, b *column.Builder) error {
	w := &d.cols[k]
	if l == nil {
		if cells[k] == nil {
			return w.missing.fill(handle, b)
		}
		_, err := w.decodeDatum(cells[k], b)
		return w.located(err)
	}
	switch place := l.places[k]; place {
	case placeNull:
		b.AppendNull()
		return nil
	case placeMissing:
		return w.missing.fill(handle, b)
	default:
		cell, err := l.cell(val, int(place))
		if err == nil {
			err = w.decode(cell, b)
		}
		return w.located(err)
	}
}

func (w *wanted) located(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("column %d: %w", w.id, err)
}
