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
	tg, err := newTarget(env, t.Table)
	if err != nil {
		return err
	}
	row := make([]datum.Datum, len(tg.fields))
	for _, b := range l.src.batches {
		rb := rowBatch{b, l.src.types, b.Rows}
		for i := range b.Rows {
			if b.Cols[t.First].IsNull(i) {
				continue // an outer join found none
			}
			var rowID int64
			for k, c := range tg.handles {
				row[c] = rb.datum(i, t.First+k)
			}
			if len(tg.handles) == 0 {
				rowID = rb.datum(i, t.First).Int64()
			}
			handle, err := tg.handleOf(row, rowID)
			if err != nil {
				return err
			}
			l.Keys = append(l.Keys, tg.recordKey(handle))
		}
	}
	return nil
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
