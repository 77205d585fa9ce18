package session

import (
	"context"
	"time"

	"github.com/scree-db/scree/sql-gateway/catalog"
)

const (
	// analyzeTick is how often the server looks for tables with stale statistics.
	analyzeTick = time.Second
	// analyzeQuiet is how long a table must have been left alone: its load is over then, probably.
	analyzeQuiet = 3 * time.Second
)

// autoAnalyze analyzes tables that changed much, one after another, until ctx ends. A table for which it fails waits for
// its next write.
func (s *Server) autoAnalyze(ctx context.Context) {
	tick := time.NewTicker(analyzeTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if on, ok := s.globals.get("tidb_enable_auto_analyze"); ok && on != "ON" {
			continue
		}
		for _, t := range s.catalog.Stale(analyzeQuiet) {
			if err := s.analyzeQuietly(ctx, t); err != nil && ctx.Err() == nil {
				s.log.Warn("table was not analyzed", "db", t.DB, "table", t.Name, "err", err)
			}
		}
	}
}

// analyzeQuietly analyzes a table in a session of the server's own, with one request to the stores at a time, so that
// most of the machine is left to the clients.
func (s *Server) analyzeQuietly(ctx context.Context, t *catalog.Table) error {
	ses := newSession(s, nil)
	defer ses.Close()
	ses.vars["tidb_distsql_scan_concurrency"] = "1"
	start := time.Now()
	if err := ses.newRun(ctx, nil, "", nil).analyzeTable(t); err != nil {
		return err
	}
	st, _ := s.catalog.Stats(t.ID)
	s.log.Info("table analyzed", "db", t.DB, "table", t.Name, "rows", st.Rows, "took", time.Since(start))
	return nil
}
