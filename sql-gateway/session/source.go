package session

import (
	"context"
	"time"

	"github.com/pingcap/kvproto/pkg/deadlock"

	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/infoschema"
	"github.com/scree-db/scree/sql-gateway/insight"
)

// What the tables of information_schema tell of.
var _ infoschema.Source = (*run)(nil)

// Schema implements infoschema.Source.
func (r *run) Schema() *catalog.Snapshot { return r.s.schema() }

// Stats implements infoschema.Source.
func (r *run) Stats(table int64) (catalog.TableStats, bool) { return r.s.srv.catalog.Stats(table) }

// Processes implements infoschema.Source.
func (r *run) Processes() []infoschema.Process {
	var out []infoschema.Process
	for _, s := range r.s.srv.all() {
		out = append(out, s.process())
	}
	return out
}

// Variables implements infoschema.Source.
func (r *run) Variables(global bool) [][2]string { return r.s.variables(global) }

// Grantee implements infoschema.Source.
func (r *run) Grantee() string { return "'" + r.s.user() + "'@'%'" }

// Statements implements infoschema.Activity.
func (r *run) Statements() []insight.Summary { return r.s.srv.insight.Summaries() }

// slowLogRead is how much of the slow log a query reads, from its end, in bytes.
const slowLogRead = 32 << 20

// Slow implements infoschema.Activity.
func (r *run) Slow() ([]insight.SlowQuery, error) { return r.s.srv.insight.Slow(slowLogRead) }

// Location implements infoschema.Activity.
func (r *run) Location() *time.Location { return r.s.location }

// Cluster implements infoschema.Source.
func (r *run) Cluster() infoschema.Cluster { return r.s.srv.cfg.Cluster }

// LockWaits implements infoschema.Source.
func (r *run) LockWaits(ctx context.Context) ([]*deadlock.WaitForEntry, error) {
	return r.s.srv.client.LockWaits(ctx)
}

// Gateway implements infoschema.Activity.
func (r *run) Gateway() infoschema.Gateway {
	s := r.s.srv
	return infoschema.Gateway{
		Addr: s.Addr().String(), StatusAddr: s.cfg.StatusAddr, Version: s.Version(), Revision: s.cfg.Revision, Started: s.started,
		MemoryUsed: s.cfg.Memory.Used(), MemoryMax: s.cfg.Memory.Peak(), MemoryLimit: s.cfg.Memory.Limit(),
	}
}
