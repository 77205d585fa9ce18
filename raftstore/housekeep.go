package raftstore

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/tracker"
)

const (
	// cutEntries and cutBytes are how much of a log is worth cutting; less waits for idleCutRuns runs. What is cut before
	// the log's memtable is full is never written to a table.
	cutEntries  = 1024
	cutBytes    = 8 << 20
	idleCutRuns = 30
	// keepEntries is what a follower keeps for others that are behind it when it becomes leader.
	keepEntries = 1024
	// surveyInterval is after how long the engine reads the keys of storage.CFLock again if it does not know them.
	surveyInterval = 10 * time.Second
	// replayRuns bounds how long compactions wait for the logs to be applied again after a start.
	replayRuns = 10
)

// housekeep is the goroutine for what nobody waits for: cutting logs, flushing for their sake, looking at sizes, telling
// the placement driver.
func (s *Store) housekeep() {
	ticks, stop := s.clock.NewTicker(s.cfg.HousekeepInterval)
	defer stop()
	h := newHousekeeper(s)
	for {
		select {
		case <-s.stopping:
			return
		case <-s.data.Flushed():
			h.flushed()
		case <-ticks:
			h.turn()
		}
	}
}

// housekeeper is what the goroutine remembers.
type housekeeper struct {
	s                *Store
	peers            func() []*peer
	beaten, surveyed time.Time
	run              int
	flushedAt        int64 // bytes of the logs at the last flush for their sake
}

func newHousekeeper(s *Store) *housekeeper {
	now := s.clock.Now()
	h := &housekeeper{s: s, peers: s.regions.all, beaten: now, surveyed: now}
	if s.rand != nil { // stores that start together shall not report together
		h.beaten = now.Add(-time.Duration(s.rand.Int64N(int64(s.cfg.PlacementInterval))))
	}
	s.survey()
	return h
}

// flushed cuts what can be cut after a flush, before it gets to the log's tables.
func (h *housekeeper) flushed() { h.s.cutLogs(h.peers(), cutEntries) }

// turn is what is done once an interval.
func (h *housekeeper) turn() {
	s, peers := h.s, h.peers()
	s.cutLogs(peers, s.worthCutting(h.run))
	h.run++
	if h.run >= replayRuns || replayed(peers) {
		s.data.StartCompactions()
		s.raftLog.StartCompactions()
	}
	h.flushedAt = s.flushForLog(h.flushedAt)
	s.checkSizes(peers)
	now := s.clock.Now()
	if now.Sub(h.surveyed) >= surveyInterval {
		h.surveyed = now
		s.survey()
	}
	if now.Sub(h.beaten) >= s.cfg.PlacementInterval {
		h.beaten = now
		reportAll(peers)
	}
}

// replayed tells whether the data has what is known to be committed. Of a peer that was loaded nothing may be known yet.
func replayed(peers []*peer) bool {
	return !slices.ContainsFunc(peers, func(p *peer) bool { return p.applied.Load() < p.committed.Load() })
}

// cutLogs has the logs cut below what of the data would survive a crash now, and the data flushed if they are too long.
// Logs with fewer than least entries stay, unless those are large.
func (s *Store) cutLogs(peers []*peer, least uint64) {
	for _, p := range peers {
		start := p.logStart.Load()
		worthIt := p.logEnd.Load() >= start+least || p.logBytes.Load() >= cutBytes
		if !worthIt || p.applied.Load() <= start {
			continue
		}
		raw, err := s.data.GetDurable(cfLocal, appliedKey(p.regionID))
		if err != nil {
			s.log.Warn("durable applied index is not known", "region", p.regionID, "err", err)
			return
		}
		if raw == nil {
			continue
		}
		at, err := decodeApplied(raw)
		if err != nil {
			s.fail(err)
			return
		}
		if at.index > p.logStart.Load() {
			p.loop.post(func(l *writeLoop) { l.compact(p, at.index) })
		}
	}
}

// worthCutting is how many entries are worth it in this run.
func (s *Store) worthCutting(run int) uint64 {
	if s.raftLog.Bytes() > s.cfg.LogBytesMax/2 || run%idleCutRuns == 0 {
		return 1
	}
	return cutEntries
}

// flushForLog has the data flushed when the logs have grown beyond their bound, and again after each further quarter of
// it: what stays although it is flushed is kept for peers that are behind. It returns the size at the last flush.
func (s *Store) flushForLog(last int64) int64 {
	bytes := s.raftLog.Bytes()
	switch {
	case bytes <= s.cfg.LogBytesMax:
		return 0
	case last > 0 && bytes < last+s.cfg.LogBytesMax/4:
		return min(last, bytes)
	}
	if err := s.data.AsyncFlush(); err != nil {
		s.log.Warn("flush to cut the raft log", "err", err)
	}
	return bytes
}

// compact cuts a region's log up to a durable index, sparing what other peers may need.
func (l *writeLoop) compact(p *peer, durable uint64) {
	if p.stopped || p.rn == nil || p.applying != nil || p.inbound != nil {
		return
	}
	index := durable
	if !p.sole && p.log.Bytes() < l.store.cfg.LogKeepBytes {
		index = p.spare(index)
	}
	if err := p.log.Compact(l.batch, min(index, p.appliedIndex)); err != nil {
		l.store.fail(err)
		return
	}
	p.publishLog()
}

// spare lowers index to what all peers have, or on a follower by some.
func (p *peer) spare(index uint64) uint64 {
	if !p.isLeader {
		return index - min(index, keepEntries)
	}
	p.rn.WithProgress(func(_ uint64, _ progressType, pr tracker.Progress) {
		if pr.State != tracker.StateSnapshot {
			index = min(index, pr.Match)
		}
	})
	return index
}

// checkSizes looks at the regions that have grown since they were looked at.
func (s *Store) checkSizes(peers []*peer) {
	for _, p := range peers {
		if p.written.Load() >= s.cfg.SplitBytes/8 && p.role.Load().isLeader && p.sizing.CompareAndSwap(false, true) {
			p.written.Store(0)
			s.do(func() {
				defer p.sizing.Store(false)
				s.checkSize(p)
			})
		}
	}
}

func reportAll(peers []*peer) {
	for _, p := range peers {
		if p.role.Load().isLeader {
			p.loop.post(func(*writeLoop) { p.heartbeat() })
		}
	}
}

// survey has the engine read again which keys of storage.CFLock there are, if it does not know.
func (s *Store) survey() {
	if !s.surveying.CompareAndSwap(false, true) {
		return
	}
	s.do(func() {
		defer s.surveying.Store(false)
		if err := s.data.Survey(); err != nil {
			s.log.Warn("keys of the lock family are not known", "err", err)
		}
	})
}
