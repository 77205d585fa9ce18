package catalog

import (
	"context"
	"fmt"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// At is the schema as it was at a timestamp of the past: the records of the schema keep their versions as all others do, and
// what garbage collection may have taken is refused (*kvclient.GCTooEarlyError). Rows and index entries of what has been
// dropped since are another matter, see Kept.
func (c *Catalog) At(ctx context.Context, ts uint64) (*Snapshot, error) {
	txn := c.store.BeginAt(ts)
	defer txn.Rollback()
	version, err := getInt(ctx, txn, versionKey)
	if err != nil {
		return nil, fmt.Errorf("schema version at %d: %w", ts, err)
	}
	if now := c.Current(); version == now.Version {
		return now, nil
	}
	if s := c.past.get(version); s != nil {
		return s, nil
	}
	s, err := readFrom(ctx, txn, c.opts.Virtual)
	if err != nil {
		return nil, fmt.Errorf("schema at %d: %w", ts, err)
	}
	c.past.put(s)
	return s, nil
}

// Kept is a table of a past schema as it can be read today: without the indexes that were dropped since, whose entries are
// gone. The rows of a table are gone with it (error 1146). The caller keeps changes of the table away (Locks).
func (c *Catalog) Kept(t *Table) (*Table, error) {
	now := c.Current().ByID(t.ID)
	if now == nil {
		return nil, &mysql.SQLError{
			Code: mysql.ErrNoSuchTable, State: mysql.MySQLState[mysql.ErrNoSuchTable],
			Message: fmt.Sprintf("Table '%s.%s' has been dropped or truncated since the time that is read; its rows of then are not kept", t.DB, t.Name),
		}
	}
	if now == t {
		return t, nil
	}
	ids := make(map[int64]bool, len(now.Indexes))
	for _, ix := range now.Indexes {
		ids[ix.ID] = true
	}
	out := *t
	out.Indexes = nil
	for _, ix := range t.Indexes {
		if ids[ix.ID] {
			out.Indexes = append(out.Indexes, ix)
		}
	}
	return &out, nil
}

// pastSchemasMax bounds how many schemas of the past are remembered.
const pastSchemasMax = 8

// pastSchemas are schemas that were read before, by version.
type pastSchemas struct {
	mu        sync.Mutex
	byVersion map[int64]*Snapshot
}

func (p *pastSchemas) get(version int64) *Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byVersion[version]
}

func (p *pastSchemas) put(s *Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byVersion) >= pastSchemasMax || p.byVersion == nil {
		p.byVersion = make(map[int64]*Snapshot)
	}
	p.byVersion[s.Version] = s
}
