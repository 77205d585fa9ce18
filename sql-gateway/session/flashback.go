package session

import (
	"context"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// flashback is FLASHBACK CLUSTER TO. What is read of the past is held against garbage collection, as for a transaction.
func (r *run) flashback(ctx context.Context, stmt *ast.FlashBackToTimestampStmt) error {
	if len(stmt.Tables) > 0 || stmt.DBName.O != "" {
		return errNotSupported("FLASHBACK of single databases and tables")
	}
	s, ts := r.s, stmt.FlashbackTSO
	if stmt.FlashbackTS != nil {
		var err error
		if ts, err = r.timestamp(stmt.FlashbackTS); err != nil {
			return err
		}
	}
	s.startTS.Store(ts)
	defer s.startTS.Store(0)
	then, err := s.lookBack(ctx, ts)
	if err != nil {
		return err
	}
	return s.srv.catalog.Flashback(ctx, ts, then.schema)
}
