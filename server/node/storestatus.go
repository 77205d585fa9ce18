package node

import (
	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/storage/engine"
)

// StoreStatus is what a store tells of itself.
type StoreStatus struct {
	Version   string                    `json:"version"`
	ClusterID uint64                    `json:"cluster_id"`
	StoreID   uint64                    `json:"store_id"`
	Address   string                    `json:"address"`
	Directory string                    `json:"directory"`
	Raft      raftstore.StoreStats      `json:"raft"`
	Regions   []raftstore.RegionStatus  `json:"regions"`
	Data      *engine.Metrics           `json:"data_engine"`
	Log       *engine.Metrics           `json:"log_engine"`
	Columns   coprocessor.ColumnsStatus `json:"columns"`
	GC        garbage.Status            `json:"gc"`
}

// Status reads the store's state.
func (s *Store) Status() *StoreStatus {
	return &StoreStatus{
		Version: s.opts.Release, ClusterID: s.ident.ClusterID, StoreID: s.ident.StoreID, Address: s.Addr(),
		Directory: s.opts.Dir, Raft: s.raft.Stats(), Regions: s.raft.Regions(),
		Data: s.data.Metrics(), Log: s.logs.Metrics(), Columns: s.endpoint.Columns(), GC: s.collector.Status(),
	}
}
