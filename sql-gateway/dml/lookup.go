package dml

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// lookup is what a chunk of rows knows of the keys that it may collide with: the state of the transaction, read for the
// whole chunk at once, with the chunk's own changes on top. A key that is not in state, or with nil, is free.
type lookup struct {
	tg    *target
	state map[string][]byte
	// fresh: no row of the chunk can collide with any other. State is not kept.
	fresh bool
}

// errUnsettled: what a lookup has to know may be in a commit under way; see Env.Settle.
var errUnsettled = errors.New("commits are under way")

// newLookup reads the distinct keys of rows, and then the records that index entries lead to.
func newLookup(ctx context.Context, tg *target, rows []encoded) (*lookup, error) {
	l := &lookup{tg: tg, fresh: true}
	if len(tg.handles) > 0 {
		keys := make([][]byte, len(rows))
		for i := range rows {
			keys[i] = rows[i].record.key
		}
		if err := l.fetch(ctx, keys, &tg.written[0]); err != nil {
			return nil, err
		}
	}
	for i := range tg.indexes {
		var keys [][]byte
		for j := range rows {
			if x := rows[j].indexes[i]; x.distinct {
				keys = append(keys, x.key)
			}
		}
		if err := l.fetch(ctx, keys, &tg.written[1+i]); err != nil {
			return nil, err
		}
		if err := l.fetch(ctx, l.recordsOf(keys), nil); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// recordsOf lists the records that taken index keys lead to.
func (l *lookup) recordsOf(keys [][]byte) (records [][]byte) {
	for _, k := range keys {
		if val := l.state[string(k)]; val != nil {
			if handle, ok := l.tg.handleOfEntry(val); ok {
				records = append(records, l.tg.recordKey(handle))
			}
		}
	}
	return records
}

// fetch reads keys. Those of rows that come in the order of their keys, and go where no rows are, take a single step of a scan.
// written is the greatest key of this kind that the statement may have written so far; nil for keys all over the table.
func (l *lookup) fetch(ctx context.Context, keys [][]byte, written *[]byte) error {
	if len(keys) == 0 {
		return nil
	}
	if written != nil {
		if free, err := l.allFree(ctx, keys, written); free || err != nil {
			return err
		}
	}
	if l.tg.unsettled {
		return errUnsettled
	}
	l.fresh = false
	unknown := keys
	if len(l.state) > 0 {
		unknown = slices.DeleteFunc(slices.Clone(keys), func(k []byte) bool { _, ok := l.state[string(k)]; return ok })
	}
	found, err := l.tg.env.Txn.BatchGet(ctx, unknown)
	if err != nil {
		return err
	}
	if l.state == nil {
		l.state = make(map[string][]byte, len(keys)*(1+len(l.tg.indexes)))
	}
	for _, k := range unknown {
		l.state[string(k)] = found[string(k)]
	}
	return nil
}

// allFree reports whether there is nothing from the least to the greatest key, in the store and among the statement's own
// writes. It may say no where there is nothing.
func (l *lookup) allFree(ctx context.Context, keys [][]byte, written *[]byte) (bool, error) {
	lo, hi := keys[0], keys[0]
	for _, k := range keys[1:] {
		if bytes.Compare(k, hi) > 0 {
			hi = k
			continue
		}
		l.fresh = false // they may be equal
		if bytes.Compare(k, lo) < 0 {
			lo = k
		}
	}
	above := bytes.Compare(lo, *written) > 0
	if bytes.Compare(hi, *written) > 0 {
		*written = hi
	}
	const worthIt = 16
	if len(keys) < worthIt || !above || !l.tg.alone {
		return false, nil
	}
	it := l.tg.env.Txn.Snapshot().Scan(ctx, kvclient.KeyRange{Start: lo, End: append(bytes.Clone(hi), 0)}, false)
	defer it.Close()
	_, _, ok, err := it.Next()
	return !ok, err
}

// conflict is a row in the way of another.
type conflict struct {
	index  int // of the target, -1 for the clustered key
	handle []byte
	record []byte // the row's value
}

// find returns the first conflict of a row. not is the key of a record that does not count: the row itself before a change.
func (l *lookup) find(e *encoded, not []byte) (*conflict, error) {
	if l.fresh {
		return nil, nil
	}
	if e.record.distinct && !bytes.Equal(e.record.key, not) {
		if val := l.state[string(e.record.key)]; val != nil {
			return &conflict{-1, e.handle, val}, nil
		}
	}
	for i, x := range e.indexes {
		val := l.state[string(x.key)]
		if !x.distinct || val == nil {
			continue
		}
		handle, ok := l.tg.handleOfEntry(val)
		if !ok {
			return nil, errCorruptEntry
		}
		key := l.tg.recordKey(handle)
		if bytes.Equal(key, not) {
			continue
		}
		return &conflict{i, handle, l.state[string(key)]}, nil
	}
	return nil, nil
}

// write and forget keep the state in step with what is written.
func (l *lookup) write(e *encoded) {
	l.note(e.record.key, e.record.val)
	for _, x := range e.indexes {
		if x.distinct {
			l.note(x.key, x.val)
		}
	}
}

func (l *lookup) forget(e *encoded) {
	l.note(e.record.key, nil)
	for _, x := range e.indexes {
		if x.distinct {
			l.note(x.key, nil)
		}
	}
}

func (l *lookup) note(key, val []byte) {
	if l.fresh {
		return
	}
	if l.state == nil {
		l.state = map[string][]byte{}
	}
	l.state[string(key)] = val
}

// row decodes the row in the way and encodes it again, to have its entries.
func (l *lookup) row(c *conflict) ([]datum.Datum, encoded, error) {
	if c.record == nil {
		return nil, encoded{}, errCorruptEntry
	}
	r, err := l.tg.read(c.handle, c.record)
	if err != nil {
		return nil, encoded{}, err
	}
	var rowID int64
	if !l.tg.table.CommonHandle {
		rowID = intHandle(c.handle)
	}
	e, err := l.tg.encode(r, rowID)
	return r, e, err
}
