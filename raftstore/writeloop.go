package raftstore

import (
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/raftstore/raftlog"
)

// writeLoop owns the raft nodes of its regions and writes their logs. All of its work happens in turn, a step function
// that one goroutine calls; nothing else touches a peer's core. A turn takes what the mailbox holds, steps the raft
// nodes, and then repeats rounds until no node has work:
//
//	collect Ready of all touched peers -> send what may leave before it is durable (appends to followers)
//	                                   -> hand committed entries to the apply loops
//	one raft log batch, at most one sync
//
// The loop does not wait for the sync: the log syncer does, a goroutine that hands the batch back to the mailbox. Then what had
// to wait is delivered: votes, acknowledgements, the leader's own. Raft is told of syncs in their order, and nothing that it
// wants to say after an append is said before all batches up to that one are durable. Changes that take effect elsewhere, of
// memberships and by snapshots, are written through: the round waits for the disk (see logWrite for all of it).
//
// While the log syncs, events gather in the mailbox: they share the next batch.
type writeLoop struct {
	store   *Store
	box     *mailbox[event]
	ticks   atomic.Bool  // a tick is due
	ticking atomic.Int32 // peers that need ticks
	inbound atomic.Int64 // messages in the mailbox

	peers   map[uint64]*peer
	active  []*peer // those that need ticks, see peer.ticksAt
	batch   *raftlog.Batch
	now     time.Time
	touched []*peer
	spare   []*peer
	waiting []delivery // for the sync of this round

	inFlight    []*logWrite // batches that are not known to be durable, in the order of their start
	spareWrites []*logWrite
	events      int                 // taken since the last batch was started
	syncs       *mailbox[*logWrite] // to the log syncer
	barrier     bool                // this round's batch is to be written through
	accepted    []applyTask         // for when this round's batch is durable: snapshots, and changes of members and bounds

	early map[uint64]*raft_serverpb.RaftMessage
}

// event is an item of a write loop's mailbox: a function to run in the loop, or the frequent kinds, spelled out.
type event struct {
	p        *peer
	proposal *proposal
	read     *read
	applied  *appliedEvent
	msg      *raft_serverpb.RaftMessage
	synced   *logWrite
	call     func(l *writeLoop)
}

// inboundMax bounds the messages from other stores that a mailbox holds; raft repeats what is lost.
const inboundMax = 1 << 14

// earlyMax bounds the messages kept for regions that a split here is about to create.
const earlyMax = 1024

func newWriteLoop(s *Store) *writeLoop {
	return &writeLoop{
		store: s,
		box:   newMailbox[event](),
		peers: map[uint64]*peer{},
		batch: s.raftLog.NewBatch(),
		syncs: newMailbox[*logWrite](),
		early: map[uint64]*raft_serverpb.RaftMessage{},
	}
}

// run is the loop's goroutine.
func (l *writeLoop) run() {
	defer l.abandon()
	var spare []event
	for {
		select {
		case <-l.store.stopping:
			return
		case <-l.box.wake:
		}
		events := l.box.take(spare)
		if err := l.turn(l.store.clock.Now(), events); err != nil {
			l.store.fail(err)
			return
		}
		spare = events
	}
}

// abandon tells who waits for a proposal that the store has stopped.
func (l *writeLoop) abandon() {
	err := l.store.stoppedError()
	for _, e := range l.box.close() {
		if e.proposal != nil {
			e.proposal.finish(err)
		}
	}
	for _, p := range l.peers {
		abandonAll(p.queue, err)
		abandonAll(p.proposals, err)
	}
}

// receive takes a message from another store, dropping it when the mailbox is full.
func (l *writeLoop) receive(msg *raft_serverpb.RaftMessage) {
	if l.inbound.Add(1) > inboundMax {
		l.inbound.Add(-1)
		return
	}
	l.box.put(event{msg: msg})
}

// post runs fn in the loop.
func (l *writeLoop) post(fn func(l *writeLoop)) { l.box.put(event{call: fn}) }

// turn is one step of the loop. An error is fatal to the store.
func (l *writeLoop) turn(now time.Time, events []event) error {
	l.now = now
	l.events += len(events)
	for i := range events {
		l.dispatch(&events[i])
	}
	if l.ticks.Swap(false) {
		l.tick()
	}
	for i := 0; i < len(l.touched); i++ {
		p := l.touched[i]
		p.propose()
		p.askReads()
	}
	for len(l.touched) > 0 {
		if err := l.round(); err != nil {
			return err
		}
	}
	l.box.await(l.enough())
	return l.store.failure()
}

func (l *writeLoop) dispatch(e *event) {
	switch {
	case e.proposal != nil:
		e.p.queue = append(e.p.queue, e.proposal)
		l.touch(e.p)
	case e.read != nil:
		e.p.reads = append(e.p.reads, e.read)
		l.touch(e.p)
	case e.applied != nil:
		e.p.onApplied(e.applied)
		l.touch(e.p)
	case e.msg != nil:
		l.inbound.Add(-1)
		l.onMessage(e.msg)
	case e.synced != nil:
		l.onSynced(e.synced)
	case e.call != nil:
		e.call(l)
	}
}

// touch has the peer looked at in this turn.
func (l *writeLoop) touch(p *peer) {
	if !p.touched {
		p.touched = true
		l.touched = append(l.touched, p)
	}
}

// round handles what the touched peers have ready.
func (l *writeLoop) round() error {
	peers := l.touched
	l.touched = l.spare[:0]
	for _, p := range peers {
		p.touched = false
		if p.stopped || p.rn == nil {
			continue
		}
		if p.rn.HasReady() {
			if err := l.handleReady(p, p.rn.Ready()); err != nil {
				return err
			}
		}
		if p.inbound != nil { // raft had no use for it
			l.dropInbound(p)
		}
	}
	l.spare = peers
	return l.write()
}

// deliver hands out messages whose time has come: to the peer itself or to other stores.
func (l *writeLoop) deliver(p *peer, msgs []raftpb.Message) {
	if p.stopped {
		return
	}
	for i := range msgs {
		if msgs[i].To == p.id {
			p.step(msgs[i])
		} else {
			p.send(&msgs[i])
		}
	}
	l.touch(p)
}

func (l *writeLoop) handleReady(p *peer, rd raft.Ready) error {
	if rd.SoftState != nil || (!raft.IsEmptyHardState(rd.HardState) && rd.HardState.Term != p.term) {
		p.onStateChange()
	}
	if rd.HardState.Commit > p.committed.Load() {
		p.committed.Store(rd.HardState.Commit)
	}
	p.onReadStates(rd.ReadStates)
	for i := range rd.Messages {
		m := &rd.Messages[i]
		var err error
		switch m.To {
		case raft.LocalAppendThread:
			err = l.append(p, m)
		case raft.LocalApplyThread:
			p.handToApply(m)
		default:
			p.send(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// append collects what a storage append message asks for.
func (l *writeLoop) append(p *peer, m *raftpb.Message) error {
	if m.Snapshot != nil {
		if err := l.acceptSnapshot(p, m.Snapshot); err != nil {
			return err
		}
	}
	if err := p.log.Append(l.batch, m.Entries); err != nil {
		return err
	}
	if hs := (raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}); !raft.IsEmptyHardState(hs) {
		p.log.SetHardState(l.batch, hs)
	}
	if len(m.Entries) > 0 || m.Snapshot != nil {
		p.publishLog()
	}
	if len(m.Responses) > 0 {
		l.waiting = append(l.waiting, delivery{p, m.Responses})
	}
	return nil
}

// step feeds the raft node. Errors say that the message is of no use, which raft's own retries make good.
func (p *peer) step(m raftpb.Message) { _ = p.rn.Step(m) }

// setTicking enters the peer among those that need ticks, or removes it.
func (l *writeLoop) setTicking(p *peer) {
	switch needs := p.needsTicks(); {
	case needs && p.ticksAt == 0:
		l.active = append(l.active, p)
		p.ticksAt = len(l.active)
	case !needs && p.ticksAt > 0:
		last := len(l.active) - 1
		l.active[p.ticksAt-1] = l.active[last]
		l.active[p.ticksAt-1].ticksAt = p.ticksAt
		l.active[last], l.active, p.ticksAt = nil, l.active[:last], 0
	}
	l.ticking.Store(int32(len(l.active)))
}

// tick ticks the peers that need it. None of them leaves or enters the list meanwhile: that takes messages, or a Ready.
func (l *writeLoop) tick() {
	for _, p := range l.active {
		p.tick()
	}
}

// onStateChange follows raft's term, leader and role.
func (p *peer) onStateChange() {
	st := p.raftState()
	wasLeader, wasTerm := p.isLeader, p.term
	p.term, p.leaderID = st.Term, st.Lead
	p.isLeader = st.RaftState == raft.StateLeader
	p.publishRole(p.lease())
	if wasLeader && (!p.isLeader || p.term != wasTerm) {
		p.store.observer.OnLoss(p.regionID, nil)
	}
	switch {
	case p.isLeader && (!wasLeader || p.term != wasTerm):
		p.onBecomeLeader()
	case !p.isLeader && wasLeader:
		p.onLoseLeadership()
	}
	p.loop.setTicking(p)
}

func (p *peer) onBecomeLeader() {
	p.lastHeard = map[uint64]time.Time{}
	for _, m := range p.descriptor().GetPeers() {
		p.lastHeard[m.Id] = p.loop.now
	}
	p.promoting = map[uint64]bool{}
	p.changing, p.offered = 0, false
	p.written.Store(p.store.cfg.MaxBytes) // have the size looked at
	p.store.notifyLeader(p.descriptor(), p.term)
	p.heartbeat()
}

func (p *peer) onLoseLeadership() {
	p.lastHeard, p.promoting = nil, nil
	p.orphaned = 0
	p.failQueue(errNotLeader(p.regionID, p.findPeer(p.leaderID)))
	p.failReads(errNotLeader(p.regionID, p.findPeer(p.leaderID)))
}

// tick advances raft's clock by one.
func (p *peer) tick() {
	p.rn.Tick()
	p.tickReads()
	p.tickProposals()
	if p.isLeader {
		p.tickLeader()
	} else {
		p.tickSilence()
	}
	p.loop.touch(p)
}

// send gives a message to the transport.
func (p *peer) send(m *raftpb.Message) {
	to := p.findPeer(m.To)
	if to == nil {
		return // left the group; raft will learn of it
	}
	msg := &raft_serverpb.RaftMessage{
		RegionId: p.regionID, FromPeer: p.self(), ToPeer: to, Message: toWire(m),
	}
	if r := p.region.Load(); r != nil {
		msg.RegionEpoch = r.RegionEpoch
		if len(m.Entries) == 0 { // the receiver may have to create its peer, and looks for others in the way
			msg.StartKey, msg.EndKey = r.StartKey, r.EndKey
		}
	}
	if m.Type == raftpb.MsgSnap {
		p.sendSnapshot(m, msg)
		return
	}
	p.store.transport.Send(msg)
}
