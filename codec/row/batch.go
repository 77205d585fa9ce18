package row

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/kvbatch"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
)

// rowBatch is a batch of records between Start and the next one.
type rowBatch struct {
	*kvbatch.Pairs
	// same is the layout of all rows, if they have the same; else each of them has its own, nil for v1 rows.
	same    *layout
	layouts []*layout
	v1      map[int][][]byte // cells of the v1 rows
}

// Start makes the records of p the rows that Load reads. They are in the order of their keys, or against it, and stay as
// they are until the next Start.
func (d *Decoder) Start(p *kvbatch.Pairs) error {
	d.layouts.forget()
	d.batch = rowBatch{Pairs: p, layouts: d.batch.layouts[:0]}
	if err := checkRecordKeys(&p.Keys); err != nil || p.Len() == 0 || len(d.layouts.ids) == 0 {
		return err
	}
	if first, err := d.layouts.of(p.Values.At(0)); err == nil && first != nil && d.batch.allAre(first) {
		d.batch.same = first
		return nil
	}
	return d.tellApart(p)
}

func (b *rowBatch) allAre(l *layout) bool {
	data, start := b.Values.Data, 0
	for _, end := range b.Values.Ends[1:] {
		if !l.describes(data[start:end]) {
			return false
		}
		start = end
	}
	return true
}

// tellApart finds the layout of each row.
func (d *Decoder) tellApart(p *kvbatch.Pairs) error {
	for i := range p.Len() {
		val := p.Values.At(i)
		l, err := d.layouts.of(val)
		if err != nil {
			return fmt.Errorf("key %x: %w", p.Keys.At(i), err)
		}
		d.batch.layouts = append(d.batch.layouts, l)
		if l != nil {
			continue
		}
		if d.batch.v1 == nil {
			d.batch.v1 = map[int][][]byte{}
		}
		cells := make([][]byte, len(d.cols))
		if err := d.splitV1(val, cells); err != nil {
			return err
		}
		d.batch.v1[i] = cells
	}
	return nil
}

// checkRecordKeys makes sure that keys are keys of records. They are sorted, so if the first and the last are in one table,
// all of them are.
func checkRecordKeys(keys *kvbatch.Strings) error {
	n := keys.Len()
	if n == 0 {
		return nil
	}
	first, last := keys.At(0), keys.At(n-1)
	step := 1
	if len(last) >= tablekey.RecordPrefixLen && bytes.HasPrefix(first, last[:tablekey.RecordPrefixLen]) {
		step = n
	}
	for i := 0; i < n; i += step {
		if _, err := tablekey.RecordHandle(keys.At(i)); err != nil {
			return err
		}
	}
	return nil
}

// Load appends output k of the rows to b, which is empty: of the rows in sel, ascending, or of all rows if that is nil. b
// has values for the other rows too, which mean nothing.
func (d *Decoder) Load(k int, sel []int32, b *column.Builder) error {
	w := &d.cols[k]
	switch {
	case w.source == fromHandle:
		return d.batch.loadHandles(sel, b)
	case w.source == fromCaller:
		return fmt.Errorf("row: output %d is the caller's", k)
	case d.batch.same == nil || d.batch.same.big:
		return d.loadMixed(k, sel, b)
	case d.batch.same.places[k] < 0:
		if d.batch.same.places[k] == placeMissing && d.batch.loadHandlePart(w, sel, b) {
			return nil
		}
		b.Reset()
		return d.loadMixed(k, sel, b)
	}
	in := window{rows: &d.batch.Values, sel: sel, layout: d.batch.same, place: int(d.batch.same.places[k])}
	if in.load(&w.cellDecoder, b) {
		return nil
	}
	b.Reset()
	return d.loadMixed(k, sel, b)
}

// loadMixed is Load for rows of different layouts, for types that are rare, and for damaged rows, about which it knows what to say.
func (d *Decoder) loadMixed(k int, sel []int32, b *column.Builder) error {
	l, next := d.batch.same, 0
	for i := range d.batch.Len() {
		if sel != nil {
			if next == len(sel) || int(sel[next]) != i {
				b.AppendZero()
				continue
			}
			next++
		}
		if d.batch.same == nil {
			l = d.batch.layouts[i]
		}
		key := d.batch.Keys.At(i)
		if err := d.appendCell(k, l, key[tablekey.RecordPrefixLen:], d.batch.Values.At(i), d.batch.v1[i], b); err != nil {
			return fmt.Errorf("key %x: %w", key, err)
		}
	}
	return nil
}

func (b *rowBatch) loadHandles(sel []int32, out *column.Builder) error {
	rows := b.Len()
	dst := out.ExtendInts(rows)
	for j := range count(sel, rows) {
		i := at(sel, j)
		handle := b.Keys.At(i)[tablekey.RecordPrefixLen:]
		if len(handle) != tablekey.IntHandleLen {
			return fmt.Errorf("%w: an integer handle of %d bytes", ErrInvalid, len(handle))
		}
		v, _, _ := memcmp.DecodeInt64(handle) // the length is checked
		dst[i] = v
	}
	return nil
}

// loadHandlePart is Load for an integer of a common handle, with nothing but integers before it. ok is false if that is not what
// the column is: out is to be thrown away then.
func (b *rowBatch) loadHandlePart(w *wanted, sel []int32, out *column.Builder) (ok bool) {
	const partLen = 1 + 8
	flag := byte(datum.FlagInt)
	switch {
	case w.missing.part < 0:
		return false
	case w.form == formUint:
		flag = datum.FlagUint
	case w.form != formInt:
		return false
	}
	rows, first := b.Len(), tablekey.RecordPrefixLen
	at0 := first + w.missing.part*partLen
	dst := out.ExtendInts(rows)
	for j := range count(sel, rows) {
		i := at(sel, j)
		key := b.Keys.At(i)
		if len(key) < at0+partLen || key[at0] != flag {
			return false
		}
		for p := first; p < at0; p += partLen {
			if key[p] != datum.FlagInt && key[p] != datum.FlagUint {
				return false
			}
		}
		bits := binary.BigEndian.Uint64(key[at0+1:])
		if flag == datum.FlagInt {
			bits ^= 1 << 63
		}
		dst[i] = int64(bits)
	}
	return true
}
