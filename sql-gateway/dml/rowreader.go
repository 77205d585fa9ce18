package dml

import (
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// rowReader decodes stored rows to datums, one at a time.
type rowReader struct {
	dec   *row.Decoder
	cols  []*catalog.Column
	build []*column.Builder
}

func newRowReader(tg *target) (*rowReader, error) {
	rr := &rowReader{cols: tg.table.Columns}
	var cols []row.Column
	for i, c := range tg.table.Columns {
		cols = append(cols, row.Column{ID: c.ID, Type: c.Type, Default: c.OrigDefault, PKHandle: i == tg.table.IntHandle})
		rr.build = append(rr.build, column.NewBuilder(c.Type, 1))
	}
	var primary []int64
	if tg.table.CommonHandle {
		for _, c := range tg.handles {
			primary = append(primary, tg.table.Columns[c].ID)
		}
	}
	var err error
	rr.dec, err = row.NewDecoder(cols, primary, tg.env.location())
	return rr, err
}

// read decodes one row into memory of its own.
func (rr *rowReader) read(handle, val []byte) ([]datum.Datum, error) {
	for _, b := range rr.build {
		b.Reset()
	}
	if err := rr.dec.Decode(handle, val, rr.build); err != nil {
		return nil, err
	}
	out := make([]datum.Datum, len(rr.cols))
	for i, c := range rr.cols {
		out[i] = ownDatum(datum.FromColumn(rr.build[i].Array(), 0, c.Type))
	}
	return out, nil
}

// read decodes a stored row of the table.
func (tg *target) read(handle, val []byte) ([]datum.Datum, error) {
	if tg.reader == nil {
		rr, err := newRowReader(tg)
		if err != nil {
			return nil, err
		}
		tg.reader = rr
	}
	return tg.reader.read(handle, val)
}
