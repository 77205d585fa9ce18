package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
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
	// written has when tables were last changed that Stale has not looked at since then.
	written map[int64]time.Time
}

func (s *statsCache) init() {
	s.tables = make(map[int64]*TableStats)
	s.dirty = make(map[int64]struct{})
	s.written = make(map[int64]time.Time)
}

func (c *Catalog) loadStats(ctx context.Context) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	return scanJSON(ctx, txn, statsPrefix, func(t *TableStats) {
		c.stats.tables[t.TableID] = t
		c.stats.written[t.TableID] = time.Time{}
	})
}

// AddRows counts rows that came or went, by table id.
func (c *Catalog) AddRows(delta map[int64]int64) {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	now := c.opts.Now()
	for id, n := range delta {
		t := c.stats.tables[id]
		if t == nil {
			t = &TableStats{TableID: id}
			c.stats.tables[id] = t
		}
		t.Rows = max(t.Rows+n, 0)
		t.Changed += max(n, -n)
		c.stats.dirty[id] = struct{}{}
		c.stats.written[id] = now
	}
}

// SetStats replaces a table's statistics with what ANALYZE found, and persists them. before is what Stats said when
// ANALYZE began to read: rows that were counted since then are counted on top.
func (c *Catalog) SetStats(ctx context.Context, st *TableStats, before TableStats) error {
	st.Analyzed = c.opts.Now().Unix()
	c.stats.mu.Lock()
	if now := c.stats.tables[st.TableID]; now != nil {
		st.Rows = max(st.Rows+now.Rows-before.Rows, 0)
		st.Changed = max(now.Changed-before.Changed, 0)
	}
	c.stats.tables[st.TableID] = st
	c.stats.dirty[st.TableID] = struct{}{}
	c.stats.mu.Unlock()
	return c.FlushStats(ctx)
}

// A table's statistics are stale when so many rows changed, and that part of all rows, since the last ANALYZE.
const (
	staleChanges = 100
	staleShare   = 0.5
)

// Stale lists tables whose statistics want a new ANALYZE and that nobody has written to for quiet. It does not look at a
// table again before the next write to it.
func (c *Catalog) Stale(quiet time.Duration) []*Table {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	if len(c.stats.written) == 0 {
		return nil
	}
	now, schema := c.opts.Now(), c.Current()
	var out []*Table
	for id, at := range c.stats.written {
		if now.Sub(at) < quiet {
			continue
		}
		delete(c.stats.written, id)
		st, t := c.stats.tables[id], schema.ByID(id)
		if st == nil || t == nil || st.Changed < staleChanges || float64(st.Changed) < staleShare*float64(st.Rows) {
			continue
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Table) int { return cmp.Compare(a.ID, b.ID) })
	return out
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

// Analyzed reports whether ANALYZE has seen the table's rows.
func (c *Catalog) Analyzed(t *Table) bool {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	st := c.stats.tables[t.ID]
	return st != nil && st.Analyzed > 0
}

func (c *Catalog) dropStats(table int64) {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	delete(c.stats.tables, table)
	delete(c.stats.dirty, table)
	delete(c.stats.written, table)
}

// Run persists row counts from time to time, and keeps step with other gateways, until ctx ends.
func (c *Catalog) Run(ctx context.Context) {
	if c.members != nil {
		var attending sync.WaitGroup
		attending.Go(func() { c.attendAlways(ctx) })
		defer attending.Wait()
	}
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
