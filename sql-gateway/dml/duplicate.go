package dml

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// duplicate is error 1062 for a row and the index that has its values already; -1 is the clustered primary key.
func (tg *target) duplicate(ix int, r []datum.Datum) *value.Error {
	index := tg.primary()
	if ix >= 0 {
		index = tg.indexes[ix].Index
	}
	var text []byte
	for i, part := range index.Columns {
		if i > 0 {
			text = append(text, '-')
		}
		text = appendEntryText(text, r[part.Offset], tg.fields[part.Offset].ft)
	}
	return duplicateError(tg.table, index, text)
}

func appendEntryText(dst []byte, d datum.Datum, ft *tipb.FieldType) []byte {
	if d.IsNull() {
		return append(dst, "NULL"...)
	}
	return d.AppendText(dst, ft)
}

// duplicateError is error 1062 in MySQL's words.
func duplicateError(t *catalog.Table, ix *catalog.Index, text []byte) *value.Error {
	name := "PRIMARY"
	if ix != nil && !ix.Primary {
		name = ix.Name
	}
	const most = 64
	if len(text) > most {
		text = append(text[:most:most], "..."...)
	}
	return value.Errorf(value.CodeDupEntry, "Duplicate entry '%s' for key '%s.%s'", text, t.Name, name)
}

// DuplicateError tells the client about a key that a store reported to exist at COMMIT. t is the table with the key's table id;
// val is what the transaction wanted to write there, or nil, in which case text is shown as its sort key. Times are in UTC.
func DuplicateError(t *catalog.Table, key, val []byte) *value.Error {
	k, err := tablekey.Decode(key)
	if err != nil {
		return duplicateError(t, nil, printable(key))
	}
	if !k.Index {
		ix := clusteredIndex(t)
		text, err := recordText(t, k.Rest, val)
		if err != nil {
			text = printable(k.Rest)
		}
		return duplicateError(t, ix, text)
	}
	for _, ix := range t.Indexes {
		if ix.ID != k.IndexID {
			continue
		}
		text, err := indexText(t, ix, key, val)
		if err != nil {
			text = printable(k.Rest)
		}
		return duplicateError(t, ix, text)
	}
	return duplicateError(t, nil, printable(key))
}

func clusteredIndex(t *catalog.Table) *catalog.Index {
	for _, ix := range t.Indexes {
		if ix.Primary {
			return ix
		}
	}
	return nil
}

// recordText shows the primary key of a record.
func recordText(t *catalog.Table, handle, val []byte) ([]byte, error) {
	var cols []row.Column
	var ids []int64
	for _, c := range t.HandleColumns() {
		col := t.Columns[c]
		cols = append(cols, row.Column{ID: col.ID, Type: col.Type, PKHandle: t.IntHandle >= 0})
		if t.CommonHandle {
			ids = append(ids, col.ID)
		}
	}
	if val == nil {
		var enc row.Encoder
		var err error
		if val, err = enc.Encode(nil); err != nil {
			return nil, err
		}
	}
	dec, err := row.NewDecoder(cols, ids, utcZone)
	if err != nil {
		return nil, err
	}
	out := builders(cols)
	if err := dec.Decode(handle, val, out); err != nil {
		return nil, err
	}
	return builtText(out), nil
}

// indexText shows the columns of an index entry.
func indexText(t *catalog.Table, ix *catalog.Index, key, val []byte) ([]byte, error) {
	var cols []row.Column
	for _, part := range ix.Columns {
		col := t.Columns[part.Offset]
		cols = append(cols, row.Column{ID: col.ID, Type: col.Type})
	}
	dec, err := row.NewIndexDecoder(cols, nil, utcZone)
	if err != nil {
		return nil, err
	}
	out := builders(cols)
	if err := dec.Decode(key, val, out); err != nil {
		return nil, err
	}
	return builtText(out), nil
}

func builders(cols []row.Column) []*column.Builder {
	out := make([]*column.Builder, len(cols))
	for i, c := range cols {
		out[i] = column.NewBuilder(c.Type, 1)
	}
	return out
}

func builtText(out []*column.Builder) (text []byte) {
	for i, b := range out {
		if i > 0 {
			text = append(text, '-')
		}
		text = appendEntryText(text, datum.FromColumn(b.Array(), 0, b.Type), b.Type)
	}
	return text
}
