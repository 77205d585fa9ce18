package dml

import (
	"encoding/binary"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

var utcZone = time.UTC

// entry is a key to write with its value. distinct: at most one row can have the key.
type entry struct {
	key, val []byte
	distinct bool
}

// handleOf encodes the handle of a row; rowID is the hidden one of tables without a clustered key.
func (tg *target) handleOf(r []datum.Datum, rowID int64) ([]byte, error) {
	if tg.table.CommonHandle {
		return tg.commonHandle(r)
	}
	if tg.table.IntHandle >= 0 {
		rowID = r[tg.table.IntHandle].Int64()
	}
	return tg.mem.keep(memcmp.AppendInt64(tg.mem.take(), rowID)), nil
}

func (tg *target) commonHandle(r []datum.Datum) (_ []byte, err error) {
	b := tg.mem.take()
	for _, part := range tg.primary().Columns {
		if b, err = tg.appendKeyPart(b, r, part); err != nil {
			return nil, err
		}
	}
	return tg.mem.keep(b), nil
}

// appendKeyPart appends a column, or its prefix, in key form.
func (tg *target) appendKeyPart(b []byte, r []datum.Datum, part catalog.IndexColumn) ([]byte, error) {
	f := tg.fields[part.Offset]
	d, err := tg.stored(f, r[part.Offset])
	if err != nil {
		return nil, err
	}
	if part.Length >= 0 && d.Kind() == datum.Bytes {
		d = datum.NewBytes(f.cutPrefix(d.Bytes(), part.Length))
	}
	return datum.AppendKey(b, d, f.ft)
}

// cutPrefix is the first n characters of text, or bytes of a binary string.
func (f *field) cutPrefix(s []byte, n int) []byte {
	if len(s) <= n {
		return s
	}
	if f.isBinary() {
		return s[:n]
	}
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return s[:at]
}

func (tg *target) recordKey(handle []byte) []byte {
	return tg.mem.keep(append(append(tg.mem.take(), tg.prefix...), handle...))
}

// record encodes the row's value.
func (tg *target) record(r []datum.Datum) ([]byte, error) {
	tg.enc.Reset()
	for i, f := range tg.fields {
		if !f.inRow {
			continue
		}
		d := &r[i]
		if f.toUTC {
			utc, err := tg.stored(f, *d)
			if err != nil {
				return nil, err
			}
			d = &utc
		}
		if err := tg.enc.AppendDatum(f.ID, *d, f.ft); err != nil {
			return nil, err
		}
	}
	b, err := tg.enc.Encode(tg.mem.take())
	if err != nil {
		return nil, err
	}
	return tg.mem.keep(b), nil
}

// indexKey encodes the key of the row's entry; distinct tells that the handle is not in it.
func (tg *target) indexKey(ix *index, r []datum.Datum, handle []byte) (key []byte, distinct bool, err error) {
	b := append(tg.mem.take(), ix.prefix...)
	distinct = ix.Unique
	for _, part := range ix.Columns {
		if r[part.Offset].IsNull() {
			distinct = false // NULLs are not equal to each other
		}
		if b, err = tg.appendKeyPart(b, r, part); err != nil {
			return nil, false, err
		}
	}
	switch {
	case distinct:
	case tg.table.CommonHandle:
		b = append(b, handle...)
	default:
		b = append(append(b, datum.FlagInt), handle...)
	}
	return tg.mem.keep(b), distinct, nil
}

// indexEntry encodes the row's entry of an index.
func (tg *target) indexEntry(ix *index, r []datum.Datum, handle []byte) (e entry, err error) {
	if e.key, e.distinct, err = tg.indexKey(ix, r, handle); err != nil {
		return e, err
	}
	restored, err := tg.restoredData(ix, r)
	if err != nil {
		return e, err
	}
	b := tg.mem.take()
	if !tg.table.CommonHandle {
		e.val = tg.mem.keep(row.AppendIndexValue(b, e.distinct, intHandle(handle), restored))
		return e, nil
	}
	inValue := handle
	if !e.distinct {
		inValue = nil
	}
	b, err = row.AppendCommonIndexValue(b, inValue, restored)
	if err != nil {
		return e, err
	}
	e.val = tg.mem.keep(b)
	return e, nil
}

// restoredData is a small row with the strings that their sort keys do not give back: as they are, or with version 1 of the value
// and padded binary collations the number of trailing spaces that the key has not. It is nil where nothing is lost.
func (tg *target) restoredData(ix *index, r []datum.Datum) ([]byte, error) {
	if !ix.restored {
		return nil, nil
	}
	tg.scratch.Reset()
	var done []int
	add := func(col int) {
		if !slices.Contains(done, col) && tg.restore(tg.fields[col], r[col]) {
			done = append(done, col)
		}
	}
	for _, part := range ix.Columns {
		if part.Length < 0 {
			add(part.Offset)
		}
	}
	if tg.table.CommonHandle {
		for _, c := range tg.handles {
			add(c)
		}
	}
	if len(done) == 0 {
		return nil, nil
	}
	return tg.scratch.Encode(nil)
}

// restore adds what a sort key loses of a value to the restored data, and reports whether that is anything.
func (tg *target) restore(f *field, d datum.Datum) bool {
	if f.keyIsValue() || d.IsNull() {
		return false
	}
	spaces := tailSpaces(d.Bytes())
	switch {
	case f.coll.CaseInsensitive() || spaces > 0 && !tg.table.CommonHandle:
		tg.scratch.AppendBytes(f.ID, d.Bytes())
	case spaces > 0:
		tg.scratch.AppendUint64(f.ID, uint64(spaces))
	default:
		return false
	}
	return true
}

func tailSpaces(s []byte) (n int) {
	for n < len(s) && s[len(s)-1-n] == ' ' {
		n++
	}
	return n
}

func intHandle(handle []byte) int64 {
	return int64(binary.BigEndian.Uint64(handle) ^ 1<<63)
}

// handleOfEntry reads the handle from the value of a distinct index entry.
func (tg *target) handleOfEntry(val []byte) ([]byte, bool) {
	if tg.table.CommonHandle {
		const commonHandle = 127
		if len(val) < 6 || val[3] != commonHandle {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(val[4:]))
		if len(val) < 6+n {
			return nil, false
		}
		return val[6 : 6+n], true
	}
	at := 0
	switch n := len(val); {
	case n < 8:
		return nil, false
	case n >= 10:
		if at = n - int(val[0]); at < 1 || n-at < 8 {
			return nil, false
		}
	}
	return memcmp.AppendInt64(nil, int64(binary.BigEndian.Uint64(val[at:]))), true
}
