package raftstore

import (
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// admission decides which writes may enter, before Pebble makes all of them wait and while there is room on the disk. A
// goroutine looks at the engines and keeps the flags; writes look at the flags.
//
//	disk        below the reserve: DiskFull. The reserve is for what the store does by itself: flushes, compactions, logs.
//	            Writes that may go on when the disk is almost full have half of it
//	level 0     too deep, or compactions far behind: ServerIsBusy. Reads suffer from both
//	memtables   nearly full: ServerIsBusy beyond an eighth of the usual queue, so that what waits for a stalled engine
//	            does not wait long
//
// Writes that delete are let in, but for the length of the queue: they end transactions that hold others up, and bring
// space back.
type admission struct {
	pending  atomic.Int64 // bytes of writes under way
	admitted atomic.Uint64
	strained atomic.Bool
	overload atomic.Pointer[string] // why writes are refused; nil: they are not
	full     atomic.Int32           // the kvrpcpb.DiskFullOpt that a write needs
}

const (
	admissionInterval = 100 * time.Millisecond
	// spaceEvery is how many intervals pass between looks at the disk.
	spaceEvery = 10
	// sublevelsMax is how deep level 0 may get. At this depth a read looks at as many tables there as in all the rest.
	sublevelsMax = 20
	debtBytesMax = 64 << 30
	// memTablesStrained is how full memory for memtables may get before the queue of writes is cut short.
	memTablesStrained = 0.75
	strainedShare     = 8
	// proposalBytes is what a write under way takes beside its payload.
	proposalBytes = 512
	// busyFor is how long clients are told to stay away.
	busyFor = 100 * time.Millisecond
	// reserveShare is the part of a small disk that the reserve takes at most.
	reserveShare = 20
)

// enter admits a write of so many bytes. It counts among those under way until what enter returned is taken off pending.
func (s *Store) enter(size int, mods []storage.Modify, opt kvrpcpb.DiskFullOpt) (charged int64, err error) {
	a := &s.admission
	if !deletes(mods) {
		if a.full.Load() > int32(opt) {
			return 0, errDiskFull(s.cfg.StoreID)
		}
		if reason := a.overload.Load(); reason != nil {
			return 0, errServerIsBusy(*reason)
		}
	}
	limit := s.cfg.PendingBytesMax
	if a.strained.Load() {
		limit /= strainedShare
	}
	n := int64(size) + proposalBytes
	if a.pending.Add(n) > limit && a.pending.Load() > n { // one write, however large, has to get through
		a.pending.Add(-n)
		return 0, errServerIsBusy("too many writes are pending")
	}
	a.admitted.Add(1)
	return n, nil
}

func deletes(mods []storage.Modify) bool {
	for i := range mods {
		if mods[i].Op != storage.OpPut {
			return true
		}
	}
	return false
}

// watch is the goroutine that looks at the engines: at their pressure only while writes come in.
func (s *Store) watch() {
	ticks, stop := s.clock.NewTicker(admissionInterval)
	defer stop()
	seen := uint64(0)
	for n := 0; ; n++ {
		if n%spaceEvery == 0 {
			s.lookAtSpace()
		}
		a := &s.admission
		if admitted := a.admitted.Load(); admitted != seen || a.pending.Load() > 0 || a.strained.Load() || a.overload.Load() != nil {
			seen = admitted
			s.judge(s.data.Pressure(), s.raftLog.Pressure())
		}
		select {
		case <-s.stopping:
			return
		case <-ticks:
		}
	}
}

// judge sets the flags by the pressure on the two engines.
func (s *Store) judge(data, log engine.Pressure) {
	var reason *string
	for _, p := range []engine.Pressure{data, log} {
		switch {
		case p.Sublevels >= sublevelsMax:
			reason = &tooDeep
		case p.DebtBytes >= debtBytesMax:
			reason = &tooMuchDebt
		}
	}
	if was := s.admission.overload.Swap(reason); reason != nil && was == nil {
		s.log.Warn("writes are refused", "reason", *reason)
	}
	s.admission.strained.Store(max(data.MemTables, log.MemTables) >= memTablesStrained)
}

var (
	tooDeep     = "level 0 of the storage engine is too deep"
	tooMuchDebt = "compactions of the storage engine are far behind"
)

// lookAtSpace sets the flag for a full disk.
func (s *Store) lookAtSpace() {
	space, known, err := s.data.Space()
	if err != nil {
		s.log.Warn("free space is not known", "err", err)
	}
	if !known {
		return
	}
	reserve := min(s.cfg.DiskReserveBytes, space.Total/reserveShare)
	needed := kvrpcpb.DiskFullOpt_NotAllowedOnFull
	switch {
	case space.Free < reserve/2:
		needed = kvrpcpb.DiskFullOpt_AllowedOnAlreadyFull
	case space.Free < reserve:
		needed = kvrpcpb.DiskFullOpt_AllowedOnAlmostFull
	}
	if was := s.admission.full.Swap(int32(needed)); was != int32(needed) {
		s.log.Warn("free space on the disk", "writes", needed, "bytes", space.Free)
	}
}
