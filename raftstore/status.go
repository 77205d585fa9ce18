package raftstore

import (
	"bytes"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"
)

// RegionStatus is what a store knows of one of its regions.
type RegionStatus struct {
	Region          *metapb.Region // as applied here; nil: no data yet. Read only
	PeerID          uint64
	IsLeader        bool
	Leader          *metapb.Peer // nil: not known
	Term            uint64
	AppliedIndex    uint64
	FirstIndex      uint64 // of the log
	LastIndex       uint64
	SafeTS          uint64 // stale reads at or below it are served here; 0: none
	ApproximateSize uint64 // bytes; on the leader
	ApproximateKeys uint64
}

// StoreStats sums a store up.
type StoreStats struct {
	RegionCount   int
	LeaderCount   int
	LogBytes      int64  // of the raft logs
	PendingBytes  int64  // of writes under way
	SnapshotsSent int    // under way
	Bytes         uint64 // of the regions led here, by their last estimate
}

// Regions lists the store's regions in key order, those without data first.
func (s *Store) Regions() []RegionStatus {
	peers := s.regions.all()
	out := make([]RegionStatus, len(peers))
	for i, p := range peers {
		out[i] = p.status()
	}
	slices.SortFunc(out, func(a, b RegionStatus) int {
		return bytes.Compare(a.Region.GetStartKey(), b.Region.GetStartKey())
	})
	return out
}

// SharedRegions lists the regions led here that other stores have peers of, in no order.
func (s *Store) SharedRegions() (out []RegionStatus) {
	for _, p := range s.regions.all() {
		if r := p.role.Load(); r.isLeader && !r.alone {
			out = append(out, p.status())
		}
	}
	return out
}

// Region returns a region of the store; false if it is not here.
func (s *Store) Region(id uint64) (RegionStatus, bool) {
	p := s.regions.get(id)
	if p == nil {
		return RegionStatus{}, false
	}
	return p.status(), true
}

// RegionAt returns the region of the store that contains an encoded key; false if it is not here.
func (s *Store) RegionAt(key []byte) (RegionStatus, bool) {
	region := s.regions.at(key)
	if region == nil {
		return RegionStatus{}, false
	}
	return s.Region(region.Id)
}

// Stats sums the store up.
func (s *Store) Stats() StoreStats {
	st := StoreStats{LogBytes: s.raftLog.Bytes(), PendingBytes: s.admission.pending.Load(), SnapshotsSent: len(s.sending)}
	for _, p := range s.regions.all() {
		st.RegionCount++
		if p.role.Load().isLeader {
			st.LeaderCount++
			st.Bytes += p.size.Load()
		}
	}
	return st
}

func (p *peer) status() RegionStatus {
	r := p.role.Load()
	return RegionStatus{
		Region: p.region.Load(), PeerID: p.id, IsLeader: r.isLeader, Leader: r.leader, Term: r.term,
		AppliedIndex: p.applied.Load(), FirstIndex: p.logStart.Load() + 1, LastIndex: p.logEnd.Load(),
		SafeTS:          p.safeTS(),
		ApproximateSize: p.size.Load(), ApproximateKeys: p.keys.Load(),
	}
}
