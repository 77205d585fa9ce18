package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// flashbackRanges are the keys that a flashback puts back: databases, statistics, tables, and rows. It leaves alone what only
// moves forward (ids given out, the schema's version) and what tells gateways of each other.
func flashbackRanges() []kvclient.KeyRange {
	return []kvclient.KeyRange{
		{Start: []byte(databasePrefix), End: []byte("m_e")},
		{Start: []byte(statsPrefix), End: []byte("m_u")},
		{Start: []byte("t"), End: []byte("u")},
	}
}

// Flashback puts all tables of the cluster, rows and definitions, back to ts, when the schema was then. All tables are taken
// from all transactions for that; those that cannot end in time are waited for as by other DDL.
//
// What a table's DROP deletes is gone, so tables and indexes that have been dropped since then are refused.
func (c *Catalog) Flashback(ctx context.Context, ts uint64, then *Snapshot) error {
	release, err := c.excludeAll(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := lost(then, c.Current()); err != nil {
		return err
	}
	if err := PutBack(ctx, c.store, ts); err != nil {
		return fmt.Errorf("flashback to %d: %w", ts, err)
	}
	if err := errors.Join(c.reload(ctx), c.loadStats(ctx)); err != nil {
		return fmt.Errorf("the flashback is done, but the schema was not read: %w", err)
	}
	if err := c.untilKnown(ctx, c.Current().Version); err != nil {
		c.log.Warn("the cluster was put back; not waiting for other gateways to know it", "err", err)
	}
	return nil
}

// excludeAll takes all tables, as they are when it returns.
func (c *Catalog) excludeAll(ctx context.Context) (release func(), err error) {
	for {
		ids := c.Current().tableIDs()
		if release, err = c.exclude(ctx, ids...); err != nil {
			return nil, err
		}
		if err = c.reload(ctx); err == nil && slices.Equal(ids, c.Current().tableIDs()) {
			return release, nil
		}
		release()
		if err != nil {
			return nil, err
		}
	}
}

// tableIDs lists the ids of all tables in ascending order.
func (s *Snapshot) tableIDs() (ids []int64) {
	for _, db := range s.Databases() {
		ids = append(ids, tableIDs(s.Tables(db.Name))...)
	}
	slices.Sort(ids)
	return ids
}

// lost names a table or an index that was there then, and is not now; its data is gone.
func lost(then, now *Snapshot) error {
	for _, id := range then.tableIDs() {
		old := then.ByID(id)
		if old.View != nil {
			continue
		}
		t := now.ByID(id)
		if t == nil {
			return errLost("table %s.%s has been dropped or truncated", old.DB, old.Name)
		}
		for _, ix := range old.Indexes {
			if !slices.ContainsFunc(t.Indexes, func(i *Index) bool { return i.ID == ix.ID }) {
				return errLost("index %s of table %s.%s has been dropped", ix.Name, old.DB, old.Name)
			}
		}
	}
	return nil
}

func errLost(format string, args ...any) error {
	return &mysql.SQLError{
		Code: mysql.ErrUnknown, State: mysql.DefaultMySQLState,
		Message: "FLASHBACK is not possible: " + fmt.Sprintf(format, args...) + " since that time, and its data is not kept",
	}
}

// PutBack puts the tables of a cluster back to ts, for who knows that no transactions are in the way. Gateways learn of it by
// a new version of the schema. It is written while the tables are closed and after the timestamp of the flashback was
// taken: a change of the schema that has begun before conflicts with it, and what begins later sees what is put back.
func PutBack(ctx context.Context, store Store, ts uint64) error {
	return store.Flashback(ctx, kvclient.Flashback{Ranges: flashbackRanges(), Version: ts, Prepared: func(ctx context.Context) error {
		for attempt := 1; ; attempt++ {
			err := raiseVersion(ctx, store)
			var conflict *kvclient.WriteConflictError
			if !errors.As(err, &conflict) || attempt == changeAttempts {
				return err
			}
		}
	}})
}

func raiseVersion(ctx context.Context, store Store) error {
	txn, err := store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	version, err := getInt(ctx, txn, versionKey)
	if err != nil {
		return err
	}
	if err := txn.Set(versionKey, strconv.AppendInt(nil, version+1, 10)); err != nil {
		return err
	}
	return txn.Commit(ctx)
}
