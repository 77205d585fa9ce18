package dml

import (
	"bytes"
	"errors"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// encoded is a row ready to be written: its record, and an entry for each of the target's indexes.
type encoded struct {
	handle  []byte
	record  entry
	indexes []entry
}

// encode makes all keys and values of a row.
func (tg *target) encode(r []datum.Datum, rowID int64) (e encoded, err error) {
	if e.handle, err = tg.handleOf(r, rowID); err != nil {
		return e, err
	}
	e.record.key = tg.recordKey(e.handle)
	e.record.distinct = len(tg.handles) > 0 // hidden row ids are new by themselves
	if e.record.val, err = tg.record(r); err != nil {
		return e, err
	}
	if len(tg.indexes) == 0 {
		return e, nil
	}
	e.indexes = make([]entry, len(tg.indexes))
	for i, ix := range tg.indexes {
		if e.indexes[i], err = tg.indexEntry(ix, r, e.handle); err != nil {
			return e, err
		}
	}
	return e, nil
}

// insert writes a new row. The store is asked to check, at COMMIT, that distinct keys are free; one that this
// transaction wrote itself is found here.
func (tg *target) insert(e *encoded, r []datum.Datum) error {
	if err := tg.insertEntry(e.record, -1, r); err != nil {
		return err
	}
	for i, x := range e.indexes {
		if err := tg.insertEntry(x, i, r); err != nil {
			return err
		}
	}
	return nil
}

func (tg *target) insertEntry(x entry, index int, r []datum.Datum) error {
	if !x.distinct {
		return tg.env.Txn.Set(x.key, x.val)
	}
	err := tg.env.Txn.Insert(x.key, x.val)
	if exists := (*kvclient.KeyExistsError)(nil); errors.As(err, &exists) {
		return tg.duplicate(index, r)
	}
	return err
}

// put writes a new row whose distinct keys are known to be free.
func (tg *target) put(e *encoded) error {
	if err := tg.env.Txn.Set(e.record.key, e.record.val); err != nil {
		return err
	}
	for _, x := range e.indexes {
		if err := tg.env.Txn.Set(x.key, x.val); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a row and its entries.
func (tg *target) remove(e *encoded) error {
	if err := tg.env.Txn.Delete(e.record.key); err != nil {
		return err
	}
	for _, x := range e.indexes {
		if err := tg.env.Txn.Delete(x.key); err != nil {
			return err
		}
	}
	return nil
}

// replace changes a row: keys that stay are overwritten where the value differs, others deleted and written anew.
func (tg *target) replace(old, now *encoded) error {
	if err := tg.replaceEntry(old.record, now.record); err != nil {
		return err
	}
	for i := range now.indexes {
		if err := tg.replaceEntry(old.indexes[i], now.indexes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (tg *target) replaceEntry(old, now entry) error {
	if bytes.Equal(old.key, now.key) {
		if bytes.Equal(old.val, now.val) {
			return nil
		}
		return tg.env.Txn.Set(now.key, now.val)
	}
	if err := tg.env.Txn.Delete(old.key); err != nil {
		return err
	}
	return tg.env.Txn.Set(now.key, now.val)
}

// sameRow compares two rows value by value; text by bytes, so that a change of case is a change.
func (tg *target) sameRow(a, b []datum.Datum) bool {
	for i, f := range tg.fields {
		if !sameDatum(f, a[i], b[i]) {
			return false
		}
	}
	return true
}

func sameDatum(f *field, a, b datum.Datum) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	switch a.Kind() {
	case datum.Bytes, datum.JSON:
		return bytes.Equal(a.Bytes(), b.Bytes())
	case datum.Decimal:
		return a.Decimal().Cmp(b.Decimal()) == 0
	case datum.Float64:
		return a.Float64() == b.Float64()
	default:
		return a.Uint64() == b.Uint64()
	}
}
