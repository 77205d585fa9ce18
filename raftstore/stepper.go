package raftstore

import (
	"cmp"
	"context"
	"slices"
)

// Tasks runs what a store would give to goroutines of its own, and lets callers wait. A simulation implements it to have
// one of them run at a time; see Stepper.
type Tasks interface {
	// Go runs f at some time after the call. f may call Await.
	Go(f func())
	// Await lets the running task, or the caller of the store, wait: it returns when ready says so, or ctx is done. Ready is
	// cheap, and may be called by anyone while the store takes no step.
	Await(ctx context.Context, ready func() bool)
}

// Stepper runs a store without goroutines: each of its loops is a step function, and the owner says which one takes its
// turn, and when it is time for what is periodic. The store's methods can be called as ever; those that wait do so by
// Deps.Tasks, and snapshots, size checks and calls of the observer become tasks there. A Stepper belongs to one goroutine,
// and no task runs while it does something.
//
// It exists for simulations: the same steps in the same order have the same effects. Admission of writes by the engines'
// pressure is left out, as that depends on how far Pebble's own goroutines are.
type Stepper struct {
	s     *Store
	house *housekeeper
}

// Step is what a loop can do next.
type Step struct {
	Kind StepKind
	Loop int // of that kind
}

// StepKind says what a step is about.
type StepKind uint8

// The kinds of steps.
const (
	WriteStep  StepKind = iota // a turn of a write loop
	SyncStep                   // a batch of a write loop's log becomes durable
	ApplyStep                  // a turn of an apply loop
	LeaderStep                 // the observer is told of new leaders
)

// StartStepped starts the store, which must have been opened with Deps.Tasks, without goroutines.
func (s *Store) StartStepped() (*Stepper, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	st := &Stepper{s: s, house: newHousekeeper(s)}
	st.house.peers = s.sortedPeers
	s.wakeAll()
	return st, nil
}

// Due appends the steps that have something to do to dst.
func (st *Stepper) Due(dst []Step) []Step {
	for i, l := range st.s.writeLoops {
		if len(l.box.wake) > 0 {
			dst = append(dst, Step{WriteStep, i})
		}
		if l.awaitsSync() {
			dst = append(dst, Step{SyncStep, i})
		}
	}
	for i, l := range st.s.applyLoops {
		if len(l.box.wake) > 0 {
			dst = append(dst, Step{ApplyStep, i})
		}
	}
	if len(st.s.leaders.wake) > 0 {
		dst = append(dst, Step{Kind: LeaderStep})
	}
	return dst
}

// Do takes a step that is due. An error is fatal to the store.
func (st *Stepper) Do(step Step) error {
	s := st.s
	switch step.Kind {
	case WriteStep:
		l := s.writeLoops[step.Loop]
		<-l.box.wake
		return l.turn(s.clock.Now(), l.box.take(nil))
	case SyncStep:
		return cmp.Or(s.writeLoops[step.Loop].syncNext(), s.failure())
	case ApplyStep:
		l := s.applyLoops[step.Loop]
		<-l.box.wake
		return cmp.Or(l.turn(l.box.take(nil)), s.failure())
	case LeaderStep:
		<-s.leaders.wake
		for _, n := range latestNotices(s.leaders.take(nil)) {
			s.goRun(func() { s.observer.OnLeader(n.region, n.term) })
		}
	}
	return s.failure()
}

// Tick is a tick of raft's clock: one each Config.TickInterval.
func (st *Stepper) Tick() { st.s.tick() }

// Housekeep cuts logs and looks at sizes: once each Config.HousekeepInterval, and after flushes of the data.
func (st *Stepper) Housekeep() {
	select {
	case <-st.s.data.Flushed():
		st.house.flushed()
	default:
		st.house.turn()
	}
}

// Stop ends the store like Store.Stop. Who waits for something gets an error, when it runs.
func (st *Stepper) Stop() error {
	st.s.halt()
	for _, l := range st.s.writeLoops {
		l.abandon()
	}
	for _, l := range st.s.applyLoops {
		l.abandon(nil)
	}
	return st.s.Stop()
}

// latestNotices is the last of what has gathered for each region, in the order of regions.
func latestNotices(notices []leaderNotice) []leaderNotice {
	latest := map[uint64]leaderNotice{}
	for _, n := range notices {
		latest[n.region.Id] = n
	}
	list := make([]leaderNotice, 0, len(latest))
	for _, n := range latest {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b leaderNotice) int { return cmp.Compare(a.region.Id, b.region.Id) })
	return list
}

// letWait has Tasks pass the time until outcome is there, or the store stops.
func (s *Store) letWait(ctx context.Context, outcome <-chan error) {
	if s.tasks != nil {
		s.tasks.Await(ctx, func() bool { return len(outcome) > 0 || s.ctx.Err() != nil })
	}
}
