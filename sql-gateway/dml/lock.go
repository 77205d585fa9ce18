package dml

import (
	"context"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/planner"
)

// LockedRows are the rows that a SELECT ... FOR UPDATE has found.
type LockedRows struct {
	// Keys are the record keys to lock, some perhaps twice.
	Keys [][]byte
	src  *source
}

// FindRows runs a locking query. What it found is charged to the statement's memory until Close.
func FindRows(ctx context.Context, env *Env, q *planner.LockingQuery) (*LockedRows, error) {
	src, err := readAll(ctx, env, q.Query)
	if err != nil {
		return nil, err
	}
	rows := &LockedRows{src: src}
	for _, t := range q.Tables {
		if err := rows.add(env, t); err != nil {
			src.release()
			return nil, err
		}
	}
	return rows, nil
}

// Batches are the rows of the query.
func (l *LockedRows) Batches() []column.Batch { return l.src.batches }

// Close gives the memory back.
func (l *LockedRows) Close() { l.src.release() }

// add appends the record keys of one table's rows.
func (l *LockedRows) add(env *Env, t planner.LockedTable) error {
	reader, err := newKeyReader(env, t)
	if err != nil {
		return err
	}
	for _, b := range l.src.batches {
		rb := rowBatch{b, l.src.types, b.Rows}
		for i := range b.Rows {
			key, err := reader.key(rb, i)
			if err != nil {
				return err
			}
			if key != nil {
				l.Keys = append(l.Keys, key)
			}
		}
	}
	return nil
}

// keyReader makes the record keys of one table's rows.
type keyReader struct {
	*target
	first int
	row   []datum.Datum
}

func newKeyReader(env *Env, t planner.LockedTable) (*keyReader, error) {
	tg, err := newTarget(env, t.Table)
	if err != nil {
		return nil, err
	}
	return &keyReader{tg, t.First, make([]datum.Datum, len(tg.fields))}, nil
}

// key is that of row i, or nil where an outer join has found no row of the table.
func (k *keyReader) key(b rowBatch, i int) ([]byte, error) {
	if b.Cols[k.first].IsNull(i) {
		return nil, nil
	}
	var rowID int64
	for n, c := range k.handles {
		k.row[c] = b.datum(i, k.first+n)
	}
	if len(k.handles) == 0 {
		rowID = b.datum(i, k.first).Int64()
	}
	handle, err := k.handleOf(k.row, rowID)
	if err != nil {
		return nil, err
	}
	return k.recordKey(handle), nil
}

// NeedsLock returns a test for the keys that a pessimistic transaction locks when it writes them: those of records, and those
// of unique indexes. The entries of other indexes are guarded by their row's.
func NeedsLock(byID func(id int64) *catalog.Table) func(key []byte) bool {
	unique := map[int64]map[int64]bool{} // by table and index
	return func(key []byte) bool {
		k, err := tablekey.Decode(key)
		if err != nil || !k.Index {
			return true
		}
		if unique[k.TableID] == nil {
			unique[k.TableID] = uniqueIndexes(byID(k.TableID))
		}
		return unique[k.TableID][k.IndexID]
	}
}

func uniqueIndexes(t *catalog.Table) map[int64]bool {
	ids := map[int64]bool{}
	if t == nil {
		return ids
	}
	for _, ix := range t.Indexes {
		if ix.Unique {
			ids[ix.ID] = true
		}
	}
	return ids
}
