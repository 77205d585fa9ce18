package row

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
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

// Decoder turns records into columns. One goroutine.
//
// Rows of one table nearly always list the same columns, so the decoder keeps the head of the last row (version, flags,
// counts and id lists: a prefix of the row) with the place of each wanted column in it. A row that begins with the same
// bytes is decoded by place; only another head costs a walk over the two sorted id lists.
type Decoder struct {
	cols    []wanted // those in the row's value, ascending by id
	handles []int    // outputs that take the integer handle
	common  *handleDecoder
	width   int

	head   []byte // of the rows that layout describes; empty: none yet
	layout layout
	raw    [][]byte // values of a v1 row, by position in cols
}

// wanted is a column that is looked for in the row's value.
type wanted struct {
	id  int64
	out int
	cellDecoder
	missing filler
}

// layout is what the head of a row says.
type layout struct {
	big       bool
	offsetsAt int
	dataAt    int
	places    []int32 // of each wanted column among the not-NULL values, or below
}

const (
	placeNull    = -1
	placeMissing = -2
)

// NewDecoder compiles a decoder for cols, whose order is the order of the builders given to Decode. primaryIDs are the
// ids of the clustered primary key's columns of a table with common handles, else empty: such columns come from the
// handle where the row does not have them. loc is the session's time zone, to which TIMESTAMPs are converted.
func NewDecoder(cols []Column, primaryIDs []int64, loc *time.Location) (*Decoder, error) {
	d := &Decoder{width: len(cols), common: newHandleDecoder(cols, primaryIDs)}
	for i, c := range cols {
		switch {
		case c.Skip:
		case c.isHandle() && len(primaryIDs) == 0:
			d.handles = append(d.handles, i)
		default:
			w := wanted{id: c.ID, out: i, cellDecoder: newCellDecoder(c.Type, loc)}
			var err error
			if w.missing, err = newFiller(c, d.common, w.cellDecoder); err != nil {
				return nil, err
			}
			d.cols = append(d.cols, w)
		}
	}
	slices.SortStableFunc(d.cols, func(a, b wanted) int { return cmp.Compare(a.id, b.id) })
	d.layout.places = make([]int32, len(d.cols))
	d.raw = make([][]byte, len(d.cols))
	return d, nil
}

// Decode appends one row to out, a builder for each column of NewDecoder. After an error the builders are to be thrown
// away: some columns may have the row and others not.
func (d *Decoder) Decode(handle, val []byte, out []*column.Builder) error {
	if len(d.handles) > 0 {
		if err := d.decodeIntHandle(handle, out); err != nil {
			return err
		}
	}
	if d.common != nil {
		if err := d.common.load(handle); err != nil {
			return err
		}
	}
	if len(d.cols) == 0 {
		return nil
	}
	if len(d.head) > 0 && len(val) >= d.layout.dataAt && string(val[:len(d.head)]) == string(d.head) {
		return d.decodePlaced(val, out)
	}
	if len(val) == 0 || val[0] != version2 {
		return d.decodeV1(val, out)
	}
	if err := d.plan(val); err != nil {
		return err
	}
	return d.decodePlaced(val, out)
}

func (d *Decoder) decodeIntHandle(handle []byte, out []*column.Builder) error {
	h, err := tablekey.DecodeIntHandle(handle)
	if err != nil {
		return err
	}
	for _, i := range d.handles {
		appendInteger(out[i], h)
	}
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

// plan reads the head of a row and finds the wanted columns in it.
func (d *Decoder) plan(val []byte) error {
	d.head = d.head[:0]
	if len(val) < headerLen {
		return fmt.Errorf("%w: %d bytes", ErrInvalid, len(val))
	}
	n := int(binary.LittleEndian.Uint16(val[2:]))
	m := int(binary.LittleEndian.Uint16(val[4:]))
	d.layout.big = val[1]&flagBig != 0
	idLen, offLen := 1, 2
	if d.layout.big {
		idLen, offLen = 4, 4
	}
	d.layout.offsetsAt = headerLen + (n+m)*idLen
	d.layout.dataAt = d.layout.offsetsAt + n*offLen
	if len(val) < d.layout.dataAt {
		return fmt.Errorf("%w: %d bytes where the lists of %d+%d columns take %d", ErrInvalid, len(val), n, m, d.layout.dataAt)
	}
	d.place(idList{val[headerLen:], idLen, n}, idList{val[headerLen+n*idLen:], idLen, m})
	d.head = append(d.head, val[:d.layout.offsetsAt]...)
	return nil
}

// place walks the wanted ids and both lists of the row, all ascending.
func (d *Decoder) place(present, null idList) {
	i, j := 0, 0
	for k, w := range d.cols {
		for i < present.n && present.at(i) < w.id {
			i++
		}
		for j < null.n && null.at(j) < w.id {
			j++
		}
		switch {
		case i < present.n && present.at(i) == w.id:
			d.layout.places[k] = int32(i)
		case j < null.n && null.at(j) == w.id:
			d.layout.places[k] = placeNull
		default:
			d.layout.places[k] = placeMissing
		}
	}
}

// idList is a list of ids inside a row.
type idList struct {
	b        []byte
	width, n int
}

func (l idList) at(i int) int64 {
	if l.width == 1 {
		return int64(l.b[i])
	}
	return int64(binary.LittleEndian.Uint32(l.b[4*i:]))
}

// decodePlaced appends the values of a v2 row whose head d.layout describes.
func (d *Decoder) decodePlaced(val []byte, out []*column.Builder) error {
	offsets, data := val[d.layout.offsetsAt:d.layout.dataAt], val[d.layout.dataAt:]
	for k := range d.cols {
		w := &d.cols[k]
		place := d.layout.places[k]
		if place < 0 {
			if err := w.fill(place, out[w.out]); err != nil {
				return err
			}
			continue
		}
		from, to := span(offsets, int(place), d.layout.big)
		if from > to || to > uint32(len(data)) {
			return fmt.Errorf("%w: column %d lies at [%d, %d) of %d bytes", ErrInvalid, w.id, from, to, len(data))
		}
		if err := w.decode(data[from:to], out[w.out]); err != nil {
			return fmt.Errorf("column %d: %w", w.id, err)
		}
	}
	return nil
}

// span reads where the i-th value begins and ends.
func span(offsets []byte, i int, big bool) (from, to uint32) {
	if big {
		if i > 0 {
			from = binary.LittleEndian.Uint32(offsets[4*i-4:])
		}
		return from, binary.LittleEndian.Uint32(offsets[4*i:])
	}
	if i > 0 {
		from = uint32(binary.LittleEndian.Uint16(offsets[2*i-2:]))
	}
	return from, uint32(binary.LittleEndian.Uint16(offsets[2*i:]))
}

func (w *wanted) fill(place int32, b *column.Builder) error {
	if place == placeNull {
		b.AppendNull()
		return nil
	}
	return w.missing.fill(b)
}

// decodeV1 decodes alternating datums: column id, value. A row without columns is empty or one NULL datum.
func (d *Decoder) decodeV1(val []byte, out []*column.Builder) error {
	clear(d.raw)
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
		for k := range d.cols { // the same id may be wanted twice
			if id.Kind() == datum.Int64 && d.cols[k].id == id.Int64() {
				d.raw[k] = rest[:len(rest)-len(val)]
			}
		}
	}
	for k := range d.cols {
		w := &d.cols[k]
		if d.raw[k] == nil {
			if err := w.missing.fill(out[w.out]); err != nil {
				return err
			}
		} else if _, err := w.decodeDatum(d.raw[k], out[w.out]); err != nil {
			return fmt.Errorf("column %d: %w", w.id, err)
		}
	}
	return nil
}

// filler fills a column that a row does not have: from the handle, with the default, or with NULL.
type filler struct {
	id     int64
	common *handleDecoder
	part   int // of the common handle
	cell   cellDecoder
	val    datum.Datum
	fail   bool // NOT NULL without a default: the row is damaged
}

func newFiller(c Column, common *handleDecoder, decode cellDecoder) (filler, error) {
	f := filler{id: c.ID, cell: decode}
	if common != nil {
		if part := slices.Index(common.ids, c.ID); part >= 0 {
			f.common, f.part = common, part
			return f, nil
		}
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

func (f *filler) fill(b *column.Builder) error {
	if f.common != nil {
		_, err := f.cell.decodeDatum(f.common.parts[f.part], b)
		return err
	}
	if f.fail {
		return fmt.Errorf("%w: no value for NOT NULL column %d", ErrInvalid, f.id)
	}
	return f.val.AppendTo(b)
}
