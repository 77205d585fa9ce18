package raftstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"golang.org/x/sync/errgroup"

	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// Store is the regions of one node. Safe for concurrent use.
type Store struct {
	cfg       Config
	data      *engine.Engine
	raftLog   *raftlog.Log
	transport Transport
	placement Placement
	observer  Observer
	writes    WriteObserver
	guard     ReadGuard
	clock     Clock
	tasks     Tasks      // nil: goroutines
	rand      *rand.Rand // of the housekeeper
	log       *slog.Logger
	metrics   *metrics

	regions    *registry
	writeLoops []*writeLoop
	applyLoops []*applyLoop
	receipts   atomic.Uint64 // numbers received snapshots
	admission  admission
	openedAt   time.Time

	leaders  *mailbox[leaderNotice]
	jobs     chan func()   // for the workers: snapshots, clearing, size checks
	sending  chan struct{} // a slot for each snapshot under way
	stopping chan struct{}
	ctx      context.Context // ends with stopping
	cancel   context.CancelFunc
	started  atomic.Bool
	stopOnce sync.Once
	wg       sync.WaitGroup

	surveying atomic.Bool // a job of the workers is

	failMu sync.Mutex
	failed error
}

var _ storage.Store = (*Store)(nil)

type leaderNotice struct {
	region *metapb.Region
	term   uint64
}

const (
	workers        = 2
	jobsMax        = 4096
	snapshotsOut   = 3
	chunkBytes     = 1 << 20
	shutdownNotice = "raft store stops"
)

// Open loads the regions of a store: descriptors and applied indexes as far as the data is durable, and the logs, which
// hold what comes after. Entries are applied again once Start has found out that they are committed.
func Open(cfg Config, d Deps) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if d.Data == nil || d.Log == nil {
		return nil, errors.New("raftstore: Data and Log are required")
	}
	d = d.withDefaults()
	s := &Store{
		cfg: cfg, data: d.Data, raftLog: d.Log, transport: d.Transport, placement: d.Placement, observer: d.Observer, writes: d.Writes,
		guard: d.Guard, clock: d.Clock, tasks: d.Tasks, rand: d.Rand, log: d.Logger.With("store", cfg.StoreID),
		metrics: newMetrics(), regions: newRegistry(), leaders: newMailbox[leaderNotice](),
		jobs: make(chan func(), jobsMax), sending: make(chan struct{}, snapshotsOut), stopping: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.openedAt = s.clock.Now()
	for range cfg.WriteLoops {
		s.writeLoops = append(s.writeLoops, newWriteLoop(s))
	}
	for range cfg.ApplyLoops {
		s.applyLoops = append(s.applyLoops, newApplyLoop(s))
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("raftstore: open: %w", err), s.closeBatches())
	}
	s.transport.Bind(s)
	return s, nil
}

// Bootstrap creates the first region of a new cluster, durably. It must come before Start.
func (s *Store) Bootstrap(region *metapb.Region) error {
	me := peerOnStore(region, s.cfg.StoreID)
	if me == nil || region.RegionEpoch == nil {
		return fmt.Errorf("raftstore: bootstrap: region %d has no epoch, or no peer on store %d", region.GetId(), s.cfg.StoreID)
	}
	if s.regions.get(region.Id) != nil {
		return fmt.Errorf("raftstore: bootstrap: region %d exists", region.Id)
	}
	if err := s.createDurably(region); err != nil {
		return fmt.Errorf("raftstore: bootstrap: %w", err)
	}
	return s.load(region.Id)
}

// createDurably writes a region without data. The log comes first: data without a log cannot be opened.
func (s *Store) createDurably(region *metapb.Region) error {
	log, err := s.raftLog.Open(region.Id)
	if err != nil {
		return err
	}
	lb := s.raftLog.NewBatch()
	log.Reset(lb, initialIndex, initialTerm)
	if err := errors.Join(lb.Commit(), lb.Close()); err != nil {
		return err
	}
	b := s.data.NewBatch()
	if err := putRegion(b, region, applied{initialIndex, initialTerm}); err != nil {
		return errors.Join(err, b.Close())
	}
	return errors.Join(b.Commit(false), b.Close(), s.data.Flush())
}

func putRegion(b *engine.Batch, region *metapb.Region, at applied) error {
	raw, err := encodeRegionState(region)
	if err != nil {
		return err
	}
	b.Put(cfLocal, regionStateKey(region.Id), raw)
	b.Put(cfLocal, appliedKey(region.Id), encodeApplied(nil, at))
	return nil
}

// Start runs the store's goroutines. Regions without other voters are served at once; others hold an election first.
func (s *Store) Start() error {
	if err := s.begin(); err != nil {
		return err
	}
	for _, l := range s.writeLoops {
		s.goRun(l.run)
		s.goRun(l.syncLog)
	}
	for _, l := range s.applyLoops {
		s.goRun(l.run)
	}
	for range workers {
		s.goRun(s.work)
	}
	s.goRun(s.tell)
	s.goRun(s.keepTime)
	s.goRun(s.housekeep)
	s.goRun(s.watch)
	s.wakeAll()
	return nil
}

func (s *Store) begin() error {
	if s.started.Swap(true) {
		return errors.New("raftstore: started twice")
	}
	return nil
}

// wakeAll starts the peers that were loaded, in order: elections are drawn by lot.
func (s *Store) wakeAll() {
	for _, p := range s.sortedPeers() {
		p.loop.post(func(l *writeLoop) { l.wakeUp(p) })
	}
}

func (s *Store) sortedPeers() []*peer {
	peers := s.regions.all()
	slices.SortFunc(peers, func(a, b *peer) int { return cmp.Compare(a.regionID, b.regionID) })
	return peers
}

func (s *Store) goRun(f func()) {
	if s.tasks != nil {
		s.tasks.Go(f)
		return
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// Stop ends the goroutines and waits for them. Writes under way end with ErrUndetermined. It returns what made the store
// fail, if anything did.
func (s *Store) Stop() error {
	s.halt()
	s.wg.Wait()
	for _, l := range s.writeLoops {
		for _, p := range l.peers {
			l.dropOutbound(p)
		}
	}
	return errors.Join(s.failure(), s.closeBatches())
}

// halt has all goroutines end.
func (s *Store) halt() {
	s.stopOnce.Do(func() {
		s.log.Info(shutdownNotice)
		s.cancel()
		close(s.stopping)
	})
}

func (s *Store) closeBatches() error {
	var errs []error
	for _, l := range s.writeLoops {
		if l.batch != nil {
			errs = append(errs, l.closeWrites(), l.batch.Close())
			l.batch = nil
		}
	}
	for _, l := range s.applyLoops {
		if l.batch != nil {
			errs = append(errs, l.batch.Close())
			l.batch = nil
		}
	}
	return errors.Join(errs...)
}

// fail stops the store after an error that leaves memory and disk apart.
func (s *Store) fail(err error) {
	s.failMu.Lock()
	if s.failed == nil {
		s.failed = fmt.Errorf("raftstore: store %d failed: %w", s.cfg.StoreID, err)
	}
	s.failMu.Unlock()
	s.log.Error("raft store failed", "err", err)
	s.stopOnce.Do(func() {
		s.cancel()
		close(s.stopping)
	})
}

// failure is what made the store fail, nil if nothing did.
func (s *Store) failure() error {
	s.failMu.Lock()
	defer s.failMu.Unlock()
	return s.failed
}

// Receive takes a message from another store. It does not block; under overload messages are lost, which raft repairs.
// The caller must not change the message afterwards.
func (s *Store) Receive(msg *raft_serverpb.RaftMessage) {
	if !s.started.Load() || msg.GetToPeer().GetStoreId() != s.cfg.StoreID || msg.RegionId == 0 || msg.FromPeer == nil {
		return
	}
	if msg.Message != nil && (!travels(msg.Message.MsgType) || msg.Message.Snapshot != nil) {
		return // snapshots come by ReceiveSnapshot
	}
	s.loopOf(msg.RegionId).receive(msg)
}

func (s *Store) loopOf(region uint64) *writeLoop {
	return s.writeLoops[region%uint64(len(s.writeLoops))]
}

// ReportUnreachable tells that a message to a peer was lost because its store cannot be reached.
func (s *Store) ReportUnreachable(region, peerID uint64) {
	if p := s.regions.get(region); p != nil {
		p.loop.post(func(l *writeLoop) {
			if !p.stopped && p.rn != nil {
				p.rn.ReportUnreachable(peerID)
				l.touch(p)
			}
		})
	}
}

// peerFor finds the peer that a caller addresses and checks what does not depend on who leads.
func (s *Store) peerFor(at storage.Region) (*peer, error) {
	if !s.started.Load() {
		return nil, ErrStopped
	}
	select {
	case <-s.stopping:
		return nil, errors.Join(ErrStopped, s.failure())
	default:
	}
	if at.Peer != nil && at.Peer.StoreId != s.cfg.StoreID {
		return nil, errStoreNotMatch(at.Peer.StoreId, s.cfg.StoreID)
	}
	p := s.regions.get(at.ID)
	if p == nil {
		return nil, errRegionNotFound(at.ID)
	}
	if at.Peer != nil && at.Peer.Id != p.id {
		return nil, errMismatchPeerID(at.Peer.Id, p.id)
	}
	region := p.region.Load()
	if region == nil {
		return nil, errRegionNotInitialized(at.ID)
	}
	return p, s.checkEpoch(region, at)
}

// checkEpoch compares the version: keys are where the caller believes. Who else has a replica does not matter to it.
func (s *Store) checkEpoch(region *metapb.Region, at storage.Region) error {
	if at.Epoch != nil && at.Epoch.Version != region.RegionEpoch.Version {
		return s.epochNotMatch(region, at.Epoch.Version)
	}
	return nil
}

func (s *Store) checkLeader(p *peer, r *role, at storage.Region) error {
	switch {
	case !r.isLeader && at.StaleReadTS > 0:
		return errDataIsNotReady(p.regionID, p.id, p.safeTS())
	case !r.isLeader:
		return errNotLeader(p.regionID, r.leader)
	case at.Term != 0 && at.Term != r.term:
		return errStaleCommand()
	}
	return nil
}

// leaderFor finds the peer for a write, with its descriptor.
func (s *Store) leaderFor(at storage.Region) (*peer, *metapb.Region, error) {
	p, err := s.peerFor(at)
	if err != nil {
		return nil, nil, err
	}
	return p, p.region.Load(), s.checkLeader(p, p.role.Load(), at)
}

// keepTime delivers ticks to the loops that have use for them.
func (s *Store) keepTime() {
	ticks, stop := s.clock.NewTicker(s.cfg.TickInterval)
	defer stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-ticks:
			s.tick()
		}
	}
}

func (s *Store) tick() {
	for _, l := range s.writeLoops {
		if l.ticking.Load() > 0 {
			l.ticks.Store(true)
			l.box.poke()
		}
	}
}

// observersMax is how many calls of the observer are under way together.
const observersMax = 16

// tell passes news of leadership to the observer: for each region the last of what has gathered, a batch at a time.
func (s *Store) tell() {
	var spare []leaderNotice
	for {
		select {
		case <-s.stopping:
			return
		case <-s.leaders.wake:
		}
		notices := s.leaders.take(spare)
		var calls errgroup.Group
		calls.SetLimit(observersMax)
		for _, n := range latestNotices(notices) {
			calls.Go(func() error {
				s.observer.OnLeader(n.region, n.term)
				return nil
			})
		}
		_ = calls.Wait() // they return no errors
		spare = notices
	}
}

func (s *Store) notifyLeader(region *metapb.Region, term uint64) {
	s.leaders.put(leaderNotice{region, term})
}

// work is a worker's goroutine, for what takes long.
func (s *Store) work() {
	for {
		select {
		case <-s.stopping:
			return
		case job := <-s.jobs:
			job()
		}
	}
}

// do gives a job to the workers. If none can take it, a goroutine of its own waits to hand it over.
func (s *Store) do(job func()) {
	if s.tasks != nil {
		s.tasks.Go(job)
		return
	}
	select {
	case s.jobs <- job:
		return
	default:
	}
	s.goRun(func() {
		select {
		case s.jobs <- job:
		case <-s.stopping:
		}
	})
}
