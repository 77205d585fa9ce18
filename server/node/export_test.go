package node

import "github.com/scree-db/scree/raftstore"

// Raft is the store's replication, for tests to give orders to.
func (s *Store) Raft() *raftstore.Store { return s.raft }
