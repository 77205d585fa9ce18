package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

const (
	// idBatch is how many values one transaction reserves. What is reserved and not used is lost when the gateway stops.
	idBatch    = 30_000
	idAttempts = 20
)

// idCache holds the reserved ranges of every table's two counters.
type idCache struct {
	mu     sync.Mutex
	ranges map[idKey]*idRange
}

type idKey struct {
	prefix string
	table  int64
}

// idRange is [next, end), reserved and not given out. Its mutex is held while more is reserved, so that one transaction
// serves all who wait.
type idRange struct {
	mu        sync.Mutex
	next, end uint64
}

func (c *idCache) init() { c.ranges = make(map[idKey]*idRange) }

func (c *idCache) get(prefix string, table int64) *idRange {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := idKey{prefix, table}
	r := c.ranges[key]
	if r == nil {
		r = &idRange{}
		c.ranges[key] = r
	}
	return r
}

func (c *idCache) drop(table int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ranges, idKey{autoIncPrefix, table})
	delete(c.ranges, idKey{rowIDPrefix, table})
}

// NextAutoInc returns the first of n consecutive AUTO_INCREMENT values of t.
func (c *Catalog) NextAutoInc(ctx context.Context, t *Table, n uint64) (uint64, error) {
	return c.nextIDs(ctx, autoIncPrefix, t, n, max(t.AutoIncStart, 1))
}

// NextRowID returns the first of n consecutive hidden row ids of t.
func (c *Catalog) NextRowID(ctx context.Context, t *Table, n uint64) (int64, error) {
	id, err := c.nextIDs(ctx, rowIDPrefix, t, n, 1)
	return int64(id), err
}

// BumpAutoInc makes the AUTO_INCREMENT values of t that are yet to come greater than v.
func (c *Catalog) BumpAutoInc(ctx context.Context, t *Table, v uint64) error {
	r := c.ids.get(autoIncPrefix, t.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case v < r.next:
		return nil
	case v < r.end:
		r.next = v + 1
		return nil
	}
	// After the greatest value nothing can follow: the next allocation says so.
	least := min(v, math.MaxInt64-1) + 1
	return c.reserve(ctx, r, autoIncPrefix, t.ID, 0, max(least, t.AutoIncStart))
}

func (c *Catalog) nextIDs(ctx context.Context, prefix string, t *Table, n, start uint64) (uint64, error) {
	if n == 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%d ids at once", n)
	}
	r := c.ids.get(prefix, t.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end-r.next < n {
		if err := c.reserve(ctx, r, prefix, t.ID, n, start); err != nil {
			return 0, err
		}
	}
	first := r.next
	r.next += n
	return first, nil
}

// reserve persists a new range of n values and a batch more, none of them less than least.
func (c *Catalog) reserve(ctx context.Context, r *idRange, prefix string, table int64, n, least uint64) error {
	for attempt := 1; ; attempt++ {
		err := c.tryReserve(ctx, r, prefix, table, n, least)
		var conflict *kvclient.WriteConflictError
		if err == nil || attempt == idAttempts || !errors.As(err, &conflict) {
			return err
		}
	}
}

func (c *Catalog) tryReserve(ctx context.Context, r *idRange, prefix string, table int64, n, least uint64) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	key := metaKey(prefix, table)
	old, err := txn.Get(ctx, key)
	if err != nil {
		return err
	}
	first := least
	if old != nil {
		if len(old) != 8 {
			return fmt.Errorf("meta key %q: %d bytes", key, len(old))
		}
		first = max(first, binary.BigEndian.Uint64(old))
	}
	if first > math.MaxInt64-n {
		return errCode(mysql.ErrAutoincReadFailed)
	}
	end := min(first+n+idBatch, math.MaxInt64)
	if err := txn.Set(key, binary.BigEndian.AppendUint64(nil, end)); err != nil {
		return err
	}
	if err := txn.Commit(ctx); err != nil {
		return err
	}
	// What is left of the old range is used up first only if the new one continues it.
	if r.end != first || r.next == r.end {
		r.next = first
	}
	r.next, r.end = max(r.next, least), end
	return nil
}

// PeekAutoInc is the next AUTO_INCREMENT value as SHOW CREATE TABLE shows it, or 0 for a table without such a column.
func (c *Catalog) PeekAutoInc(ctx context.Context, t *Table) (uint64, error) {
	if !slices.ContainsFunc(t.Columns, func(c *Column) bool { return c.Type.Flag&column.FlagAutoIncr != 0 }) {
		return 0, nil
	}
	r := c.ids.get(autoIncPrefix, t.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next < r.end {
		return r.next, nil
	}
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer txn.Rollback()
	b, err := txn.Get(ctx, metaKey(autoIncPrefix, t.ID))
	if err != nil || len(b) != 8 {
		return t.AutoIncStart, err
	}
	return max(binary.BigEndian.Uint64(b), t.AutoIncStart), nil
}
