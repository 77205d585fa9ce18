package dml

import (
	"context"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// BackfillIndex writes the entries of ix for all rows that env.Txn sees in batches, through env.Flush. Nobody else may write to the
// table meanwhile. Two rows with the same values in a unique index are error 1062; what was flushed before stays and is to be
// removed with the index's range.
func BackfillIndex(ctx context.Context, env *Env, t *catalog.Table, ix *catalog.Index) (err error) {
	tg, err := newTarget(env, t)
	if err != nil {
		return err
	}
	entries := tg.newIndex(ix)
	tg.indexes = []*index{entries}
	rng := tablekey.RecordRange(t.ID)
	it := env.Txn.Snapshot().Scan(ctx, kvclient.KeyRange{Start: rng.Start, End: rng.End}, false)
	defer it.Close()
	var done, pending uint64
	for {
		key, val, ok, err := it.Next()
		if err != nil || !ok {
			return finishBackfill(ctx, env, pending, err)
		}
		if err := tg.backfillRow(entries, key, val); err != nil {
			return err
		}
		done, pending = done+1, pending+1
		if env.Flush != nil && (pending >= flushRows || env.Txn.Bytes() >= flushBytes) {
			if err := env.flushNow(ctx); err != nil {
				return err
			}
			pending = 0
		}
		if env.Progress != nil && done%chunkRows == 0 {
			env.Progress(done)
		}
	}
}

func finishBackfill(ctx context.Context, env *Env, pending uint64, err error) error {
	if err != nil || env.Flush == nil || pending == 0 {
		return err
	}
	return env.flushNow(ctx)
}

// backfillRow writes the entry of one row.
func (tg *target) backfillRow(ix *index, key, val []byte) error {
	handle, err := tablekey.RecordHandle(key)
	if err != nil {
		return err
	}
	r, err := tg.read(handle, val)
	if err != nil {
		return err
	}
	e, err := tg.indexEntry(ix, r, handle)
	if err != nil {
		return err
	}
	return tg.insertEntry(e, 0, r)
}
