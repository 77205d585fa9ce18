package session

import "github.com/scree-db/scree/executor"

// memory is the account that a statement's operators share, bounded by tidb_mem_quota_query and by what all statements have
// together.
func (s *Session) memory() *executor.Memory {
	return s.srv.cfg.Memory.Query(s.intVar("tidb_mem_quota_query"))
}
