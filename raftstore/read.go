package raftstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/scree-db/scree/storage"
)

// read is a caller that waits until it may look at the data.
type read struct {
	replica  bool       // a peer that does not lead may serve
	question []byte     // for the leader's store; nil: none
	index    uint64     // to be applied before; 0: raft is to be asked
	done     chan error // of capacity 1
}

// readRound is reads that one question to the quorum serves.
type readRound struct {
	id      uint64
	issued  time.Time
	reads   []*read
	guarded bool   // the leader's store is asked too: no other round's answer will do
	index   uint64 // confirmed: to be applied before the data is looked at
	ticks   int    // since it was asked
}

// Snapshot implements storage.Store. A leader with a lease, or that is the only voter, takes the view without asking
// anyone; else raft's read index is asked first. Either way the view is taken before the right to it is checked a last
// time. A stale read is served at once if its timestamp is safe; else it is the leader's, like any other.
//
// What is acknowledged here is applied here. But other replicas may have shown their readers what is committed and not
// applied here yet, so a leader with other peers waits for that.
func (s *Store) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	p, err := s.peerFor(at)
	if err != nil {
		return nil, err
	}
	r := p.role.Load()
	if at.StaleReadTS > 0 && at.StaleReadTS <= p.safeTS() {
		return s.checkView(p, s.viewNow(p, r.term), at)
	}
	replica := at.ReplicaRead && !r.isLeader
	if !replica {
		if err := s.checkLeader(p, r, at); err != nil {
			return nil, err
		}
		if r.ready && s.holds(p, r) {
			if at.Lazy {
				return s.viewLater(ctx, p, r.term, at)
			}
			if err := s.awaitCommitted(ctx, p, r); err != nil {
				return nil, err
			}
			view := s.viewNow(p, r.term)
			if s.holds(p, r) {
				return s.checkView(p, view, at)
			}
			if err := view.Close(); err != nil {
				return nil, err
			}
		}
	}
	if err := s.awaitRead(ctx, p, newRead(at, replica)); err != nil {
		return nil, err
	}
	// The term is that of before: by now there may be a newer one, whose writes are not all in the view, and a write that
	// was checked on it must not pass for one of the newer term.
	return s.checkView(p, s.viewNow(p, r.term), at)
}

// holds tells whether r still stands and nobody else can be leader.
func (s *Store) holds(p *peer, r *role) bool {
	current := p.role.Load()
	if current.term != r.term || !current.isLeader {
		return false
	}
	if current.always {
		return true
	}
	left := current.lease.Sub(s.clock.Now())
	if left > 0 && left < s.cfg.leaseDuration()/2 && p.renewing.CompareAndSwap(false, true) {
		p.loop.box.put(event{p: p, read: &read{done: make(chan error, 1)}})
	}
	return left > 0
}

// awaitCommitted waits until all that other peers may have applied is applied here.
func (s *Store) awaitCommitted(ctx context.Context, p *peer, r *role) error {
	index := p.committed.Load()
	if r.alone || p.applied.Load() >= index {
		return nil
	}
	return s.awaitRead(ctx, p, &read{index: index, done: make(chan error, 1)})
}

// newRead is a read that waits until all writes acknowledged before it are applied here.
func newRead(at storage.Region, replica bool) *read {
	rd := &read{replica: replica, done: make(chan error, 1)}
	if replica {
		rd.question = at.Question
	}
	return rd
}

func (s *Store) awaitRead(ctx context.Context, p *peer, rd *read) error {
	p.loop.box.put(event{p: p, read: rd})
	s.letWait(ctx, rd.done)
	select {
	case err := <-rd.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return ErrStopped
	}
}

// askReads asks raft for the read index of the reads that have come.
func (p *peer) askReads() {
	if len(p.reads) == 0 {
		return
	}
	if p.stopped || p.rn == nil || !p.initialized() {
		p.failReads(errRegionNotFound(p.regionID))
		return
	}
	p.confirmKnown()
	if !p.isLeader {
		p.refuseReads()
	}
	if len(p.reads) == 0 {
		return
	}
	p.readSeq++
	round := &readRound{id: p.readSeq, issued: p.loop.now, reads: p.reads}
	p.reads = nil
	p.asked = append(p.asked, round)
	p.ask(round)
}

// confirmKnown takes out the reads that know their index.
func (p *peer) confirmKnown() {
	asking := p.reads[:0]
	for _, rd := range p.reads {
		if rd.index == 0 {
			asking = append(asking, rd)
			continue
		}
		p.confirmed = append(p.confirmed, &readRound{index: rd.index, reads: []*read{rd}})
	}
	p.reads = asking
	p.finishReads()
}

// ask puts the question of a round. Its name is unique in the group, also after a restart, when old answers may arrive:
// peer, time of opening and count.
func (p *peer) ask(round *readRound) {
	name := binary.BigEndian.AppendUint64(p.readName(), round.id)
	if p.leads() {
		p.answerHere(round)
	} else {
		name = appendQuestions(name, round.reads)
	}
	round.guarded = len(name) > readNameBytes
	p.rn.ReadIndex(name)
}

func (p *peer) readName() []byte {
	name := binary.BigEndian.AppendUint64(make([]byte, 0, readNameBytes), p.id)
	return binary.BigEndian.AppendUint64(name, uint64(p.store.openedAt.UnixNano()))
}

// refuseReads answers those that only a leader may serve, and all if there is none to ask.
func (p *peer) refuseReads() {
	err := errNotLeader(p.regionID, p.findPeer(p.leaderID))
	kept := p.reads[:0]
	for _, rd := range p.reads {
		if rd.replica && p.leaderID != raft.None {
			kept = append(kept, rd)
		} else {
			rd.done <- err
		}
	}
	p.reads = kept
}

// onReadStates takes raft's answers.
func (p *peer) onReadStates(states []raft.ReadState) {
	for _, st := range states {
		if len(st.RequestCtx) >= readNameBytes && bytes.Equal(st.RequestCtx[:16], p.readName()) {
			p.confirm(binary.BigEndian.Uint64(st.RequestCtx[16:]), st.Index, st.RequestCtx[readNameBytes:])
		}
	}
	if len(states) > 0 {
		p.finishReads()
	}
}

// confirm takes the answer to a round. It also holds for the rounds asked before, but not for questions to the leader's
// store in them.
func (p *peer) confirm(id, index uint64, payload []byte) {
	waiting := p.asked[:0]
	for _, round := range p.asked {
		if round.id > id || round.guarded && (round.id < id || !p.takeAnswers(round, payload)) {
			waiting = append(waiting, round)
			continue
		}
		round.index = index
		p.confirmed = append(p.confirmed, round)
		if round.id == id {
			p.extendLease(round.issued)
		}
	}
	clear(p.asked[len(waiting):])
	p.asked = waiting
}

// extendLease gives the leader the time in which no other can be elected, counted from when a quorum was asked: whoever
// answered has begun to wait for this leader anew after that.
func (p *peer) extendLease(asked time.Time) {
	p.renewing.Store(false)
	until := asked.Add(p.store.cfg.leaseDuration())
	if p.isLeader && p.noLeaseTerm != p.term && until.After(p.lease()) {
		p.publishRole(until)
	}
}

// finishReads lets the reads go whose index is applied.
func (p *peer) finishReads() {
	for len(p.confirmed) > 0 && p.confirmed[0].index <= p.appliedIndex {
		for _, rd := range p.confirmed[0].reads {
			rd.done <- nil
		}
		p.confirmed = p.confirmed[1:]
	}
}

// tickReads asks again what got no answer, and gives up after a few elections' time.
func (p *peer) tickReads() {
	if len(p.asked) == 0 {
		return
	}
	for _, round := range p.asked {
		round.ticks++
	}
	first := p.asked[0]
	switch {
	case first.ticks > 4*p.store.cfg.ElectionTicks:
		p.failReads(errReadIndexNotReady(p.regionID, "no answer to a read index"))
	case first.ticks%p.store.cfg.ElectionTicks == 0:
		for _, round := range p.asked {
			p.ask(round)
		}
	}
}

// failReads answers all reads that wait for raft.
func (p *peer) failReads(err error) {
	for _, rd := range p.reads {
		rd.done <- err
	}
	for _, round := range p.asked {
		for _, rd := range round.reads {
			rd.done <- err
		}
	}
	p.reads, p.asked = nil, nil
	p.renewing.Store(false)
}

// failConfirmed answers the reads that wait for the data, which will not come.
func (p *peer) failConfirmed(err error) {
	for _, round := range p.confirmed {
		for _, rd := range round.reads {
			rd.done <- err
		}
	}
	p.confirmed = nil
}
