package raftstore

import (
	"bytes"
	"math"
	"sync"

	"github.com/pingcap/kvproto/pkg/metapb"
)

// safeTS is the timestamp up to which a peer may serve reads without asking anyone: all that is committed at or below it
// is applied here. It is told together with an index of the log: it holds once that is applied. Safe for concurrent use.
type safeTS struct {
	mu       sync.Mutex
	ts       uint64
	pending  uint64 // holds from index on; 0: none
	awaiting uint64 // the index
}

// advance takes news: all that is committed at or below ts is in the log up to index. While older news wait for their
// index, newer ones are dropped: a peer that is always a little behind would never come to the end of them.
func (s *safeTS) advance(index, ts, applied uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(applied)
	switch {
	case ts <= s.ts || s.pending > 0:
	case index <= applied:
		s.ts = ts
	default:
		s.pending, s.awaiting = ts, index
	}
}

// read returns what holds for data of which applied was the index at the time of the call or before.
func (s *safeTS) read(applied uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(applied)
	return s.ts
}

func (s *safeTS) settle(applied uint64) {
	if s.pending > 0 && s.awaiting <= applied {
		s.ts, s.pending = max(s.ts, s.pending), 0
	}
}

// safeTS is the peer's, for a view taken after the call.
func (p *peer) safeTS() uint64 { return p.safe.read(p.applied.Load()) }

// AdvanceSafeTS tells a region that all that is committed in it at or below ts is in its log up to index, and that
// nothing more will be committed there. Who says so must have been its leader after ts was handed out. Whether this peer
// believes in another leader or epoch by now does not matter: what is committed stays.
func (s *Store) AdvanceSafeTS(region, index, ts uint64) {
	if p := s.regions.get(region); p != nil && p.initialized() {
		p.safe.advance(index, ts, p.applied.Load())
	}
}

// LeastSafeTS is the timestamp at which all regions here that overlap [start, end), encoded keys, serve stale reads;
// MaxUint64 if there are none that were told of any. An empty end is no bound.
func (s *Store) LeastSafeTS(start, end []byte) uint64 {
	least := uint64(math.MaxUint64)
	for _, p := range s.regions.all() {
		if ts := p.safeTS(); ts > 0 && ts < least && overlap(p.region.Load(), start, end) {
			least = ts
		}
	}
	return least
}

func overlap(r *metapb.Region, start, end []byte) bool {
	return r != nil && (len(r.EndKey) == 0 || bytes.Compare(start, r.EndKey) < 0) &&
		(len(end) == 0 || bytes.Compare(r.StartKey, end) < 0)
}

// Follows tells whether this store's peer of a region takes a peer for its leader, in this term and at this epoch.
func (s *Store) Follows(region, leader, term uint64, epoch *metapb.RegionEpoch) bool {
	p := s.regions.get(region)
	if p == nil {
		return false
	}
	r, descriptor := p.role.Load(), p.region.Load()
	return descriptor != nil && r.term == term && r.leader.GetId() == leader &&
		descriptor.RegionEpoch.Version == epoch.GetVersion() && descriptor.RegionEpoch.ConfVer == epoch.GetConfVer()
}
