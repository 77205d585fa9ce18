package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// TableStats are what the planner knows of a table's contents.
type TableStats struct {
	TableID int64 `json:"table_id"`
	Rows    int64 `json:"rows"`
	// Changed counts the rows changed since the last ANALYZE.
	Changed int64 `json:"changed"`
	// Distinct maps column ids to the number of distinct values, as ANALYZE found it.
	Distinct map[int64]float64 `json:"distinct,omitempty"`
	Analyzed int64             `json:"analyzed,omitempty"` // unix seconds of the last ANALYZE
}

// statsInterval is how often changed row counts are made persistent. A crash loses at most that much of them; ANALYZE
// counts anew.
const statsInterval = 3 * time.Second

type statsCache struct {
	mu     sync.Mutex
	tables map[int64]*TableStats
	dirty  map[int64]struct{}
}

func (s *statsCache) init() {
	s.tables = make(map[int64]*TableStats)
	s.dirty = make(map[int64]struct{})
}

func (c *Catalog) loadStats(ctx context.Context) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	return scanJSON(ctx, txn, statsPrefix, func(t *TableStats) { c.stats.tables[t.TableID] = t })
}

// AddRows counts rows that came or went, by table id.
func (c *Catalog) AddRows(delta map[int64]int64) {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	for id, n := range delta {
		t := c.stats.tables[id]
		if t == nil {
			t = &TableStats{TableID: id}
			c.stats.tables[id] = t
		}
		t.Rows = max(t.Rows+n, 0)
		t.Changed += max(n, -n)
		c.stats.dirty[id] = struct{}{}
	}
}

// SetStats replaces a table's statistics with what ANALYZE found, and persists them.
func (c *Catalog) SetStats(ctx context.Context, st *TableStats) error {
	st.Analyzed = c.opts.Now().Unix()
	c.stats.mu.Lock()
	c.stats.tables[st.TableID] = st
	c.stats.dirty[st.TableID] = struct{}{}
	c.stats.mu.Unlock()
	return c.FlushStats(ctx)
}

// Stats returns a copy of a table's statistics; ok is false if nothing is known.
func (c *Catalog) Stats(table int64) (_ TableStats, ok bool) {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	t := c.stats.tables[table]
	if t == nil {
		return TableStats{}, false
	}
	out := *t
	out.Distinct = maps.Clone(t.Distinct)
	return out, true
}

// RowCount is the estimated number of rows of t, -1 if unknown.
func (c *Catalog) RowCount(t *Table) float64 {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	if st := c.stats.tables[t.ID]; st != nil {
		return float64(st.Rows)
	}
	return -1
}

// NDV is the estimated number of distinct values of the column at offset col, 0 if unknown. A column that is unique by
// itself has as many as the table has rows.
func (c *Catalog) NDV(t *Table, col int) float64 {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	st := c.stats.tables[t.ID]
	if st == nil {
		return 0
	}
	for _, ix := range t.Indexes {
		if ix.Unique && len(ix.Columns) == 1 && ix.Columns[0].Offset == col {
			return float64(st.Rows)
		}
	}
	return st.Distinct[t.Columns[col].ID]
}

func (c *Catalog) dropStats(table int64) {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	delete(c.stats.tables, table)
	delete(c.stats.dirty, table)
}

// Run persists row counts from time to time until ctx ends.
func (c *Catalog) Run(ctx context.Context) {
	tick := time.NewTicker(statsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := c.FlushStats(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("table statistics were not saved; trying again", "err", err)
			}
			if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("schema was not checked for changes; trying again", "err", err)
			}
		}
	}
}

// FlushStats persists what changed since the last time.
func (c *Catalog) FlushStats(ctx context.Context) error {
	batch := c.takeDirty()
	if len(batch) == 0 {
		return nil
	}
	err := c.writeStats(ctx, batch)
	if err != nil {
		c.stats.mu.Lock()
		for id := range batch {
			c.stats.dirty[id] = struct{}{}
		}
		c.stats.mu.Unlock()
	}
	return err
}

// takeDirty encodes the changed statistics and forgets that they changed.
func (c *Catalog) takeDirty() map[int64][]byte {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	batch := make(map[int64][]byte, len(c.stats.dirty))
	for id := range c.stats.dirty {
		if b, err := json.Marshal(c.stats.tables[id]); err == nil {
			batch[id] = b
		}
	}
	clear(c.stats.dirty)
	return batch
}

func (c *Catalog) writeStats(ctx context.Context, batch map[int64][]byte) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	for id, b := range batch {
		if c.Current().ByID(id) == nil {
			continue // dropped meanwhile
		}
		if err := txn.Set(metaKey(statsPrefix, id), b); err != nil {
			return err
		}
	}
	err = txn.Commit(ctx)
	var conflict *kvclient.WriteConflictError
	if errors.As(err, &conflict) {
		return nil // another gateway counts too; its value is as good an estimate
	}
	return err
}
