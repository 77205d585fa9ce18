package session

import "github.com/scree-db/scree/executor"

// memory is the account that a statement's operators share, bounded by tidb_mem_quota_query.
func (s *Session) memory() *executor.Memory {
	return executor.NewMemory(s.intVar("tidb_mem_quota_query"))
}
