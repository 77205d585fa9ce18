package row

import (
	"fmt"
	"slices"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// splitV1 cuts a v1 row, alternating datums of column id and value, into the datums of the outputs; nil where there is
// none. A row without columns is empty or one NULL datum.
func (d *Decoder) splitV1(val []byte, cells [][]byte) error {
	clear(cells)
	if len(val) == 1 && val[0] == datum.FlagNull {
		val = nil
	}
	for len(val) > 0 {
		id, rest, err := datum.Decode(val)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if val, err = datum.Skip(rest); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		for _, w := range d.layouts.ids { // the same id may be wanted twice
			if id.Kind() == datum.Int64 && w.id == id.Int64() {
				cells[w.out] = rest[:len(rest)-len(val)]
			}
		}
	}
	return nil
}

// filler fills a column that a row does not have: from the handle, with the default, or with NULL.
type filler struct {
	id   int64
	part int // of a common handle; -1: not there either
	cell cellDecoder
	val  datum.Datum
	fail bool // NOT NULL without a default: the row is damaged
}

func newFiller(c Column, primaryIDs []int64, decode cellDecoder) (filler, error) {
	f := filler{id: c.ID, cell: decode, part: slices.Index(primaryIDs, c.ID)}
	if f.part >= 0 {
		return f, nil
	}
	if c.Default == nil {
		f.fail = c.Type.Flag&column.FlagNotNull != 0
		return f, nil
	}
	d, _, err := datum.Decode(c.Default)
	if err != nil {
		return f, fmt.Errorf("default of column %d: %w", c.ID, err)
	}
	f.val = d.Of(c.Type)
	f.val, err = decode.localDatum(f.val)
	return f, err
}

func (f *filler) fill(handle []byte, b *column.Builder) error {
	switch {
	case f.part >= 0:
		return f.fillPart(handle, b)
	case f.fail:
		return fmt.Errorf("%w: no value for NOT NULL column %d", ErrInvalid, f.id)
	}
	return f.val.AppendTo(b)
}

// fillPart takes the datum of a primary key's column out of a common handle.
func (f *filler) fillPart(handle []byte, b *column.Builder) (err error) {
	for i := range f.part {
		if handle, err = datum.Skip(handle); err != nil {
			return fmt.Errorf("%w: part %d of a handle: %w", ErrInvalid, i, err)
		}
	}
	_, err = f.cell.decodeDatum(handle, b)
	return err
}
