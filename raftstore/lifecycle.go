package raftstore

import (
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// The life of a peer:
//
//	split applied, bootstrap --------------------------> initialized <--.
//	message for a region not here --> without data --snapshot--^        | newer snapshot
//	                                       |               |  '--------'
//	                     removed: tombstone mark, then the data is cleared
//
// The steps that must not be forgotten are marks in the synced raft log (see mark); the data follows and may be redone.

// recover brings data and log together after a stop or a crash, and loads the peers.
func (s *Store) recover() error {
	if err := s.finishMarks(); err != nil {
		return err
	}
	var ids []uint64
	it, err := s.data.NewIterator(storage.IterOptions{CF: cfLocal, Lower: []byte{'r'}, Upper: []byte{'r' + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		region, err := decodeRegionState(it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		ids = append(ids, region.Id)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.load(id); err != nil {
			return err
		}
	}
	return nil
}

// Unapplied calls fn for the changes in the logs that are not in the data yet, whether they are committed or not. Slices are
// valid during the call. It is for a store that is open and not started.
func (s *Store) Unapplied(fn func(m storage.Modify) error) error {
	return s.raftLog.EachEntry(func(region uint64, e *raftpb.Entry) error {
		if p := s.regions.get(region); p != nil && e.Index <= p.applied.Load() {
			return nil
		}
		h, ok := entryHeader(e)
		if !ok || h.kind != kindWrite {
			return nil
		}
		for body := e.Data[headerBytes:]; len(body) > 0; {
			m, rest, err := nextModify(body)
			if err == nil {
				err = fn(m)
			}
			if err != nil {
				return fmt.Errorf("region %d, entry %d: %w", region, e.Index, err)
			}
			body = rest
		}
		return nil
	})
}

// finishMarks does what was begun before the crash: replaces data by received snapshots and clears that of removed
// peers.
func (s *Store) finishMarks() error {
	marks := map[uint64]mark{}
	err := s.raftLog.Marks(func(region uint64, raw []byte) error {
		m, err := decodeMark(raw)
		marks[region] = m
		return err
	})
	if err != nil {
		return err
	}
	for id, m := range marks {
		switch {
		case m.state == markApplying:
			if err := s.finishApplying(id, m); err != nil {
				return err
			}
		case m.region != nil:
			if err := s.clearData(id, m); err != nil {
				return err
			}
		}
	}
	greatest, err := s.raftLog.DropChunks(nil)
	s.receipts.Store(greatest)
	return err
}

// load makes the peer of a region whose data is here.
func (s *Store) load(id uint64) error {
	region, at, err := loadState(s.data, id)
	if err != nil {
		return err
	}
	me := peerOnStore(region, s.cfg.StoreID)
	if me == nil {
		return s.finishRemoval(region)
	}
	p := s.newPeer(id, me.Id)
	p.at, p.current = at, region
	p.applier.p.applied.Store(at.index)
	s.regions.publish(shaped{p: p, region: region, isNew: true})
	log, err := s.raftLog.Open(id)
	if err == nil {
		err = s.beginLog(log, at)
	}
	if err != nil {
		return err
	}
	if err := p.initCore(log); err != nil {
		return err
	}
	p.loop.peers[id] = p
	return nil
}

// beginLog makes the log of a region that a split has created, if the crash came between the flush of the data and the first
// sync of the log.
func (s *Store) beginLog(log *raftlog.Storage, at applied) error {
	if last, _ := log.LastIndex(); last > 0 || at != (applied{initialIndex, initialTerm}) {
		return nil
	}
	b := s.raftLog.NewBatch()
	log.Reset(b, initialIndex, initialTerm)
	return errors.Join(b.Commit(), b.Close())
}

// finishRemoval buries a peer whose removal was applied before the crash. Its vote and its log go, so the tombstone must say
// who it was: a message on its way to it would bring it back, to vote again.
func (s *Store) finishRemoval(region *metapb.Region) error {
	state, err := s.data.Get(cfLocal, regionStateKey(region.Id))
	if err != nil {
		return err
	}
	_, removed, err := decodeRemoval(state)
	if err != nil {
		return err
	}
	m := mark{state: markTombstone, confVer: region.RegionEpoch.ConfVer, region: region}
	for _, p := range removed {
		m.peerID = max(m.peerID, p.Id)
	}
	raw, err := m.encode()
	if err != nil {
		return err
	}
	log, err := s.raftLog.Open(region.Id)
	if err != nil {
		return err
	}
	b := s.raftLog.NewBatch()
	log.Destroy(b)
	b.SetMark(region.Id, raw)
	if err := errors.Join(b.Commit(), b.Close()); err != nil {
		return err
	}
	return s.clearData(region.Id, m)
}

// wakeUp starts a peer that was loaded.
func (l *writeLoop) wakeUp(p *peer) {
	if p.stopped {
		return
	}
	l.setTicking(p)
	if p.onlyVoter() {
		p.campaign()
	}
	l.touch(p)
}

func (p *peer) campaign() {
	if err := p.rn.Campaign(); err != nil {
		p.store.log.Warn("campaign", "region", p.regionID, "err", err)
	}
}

// adopt takes over a region that a split created here. A peer without data may be here already, because others of the
// new region were faster: its vote counts on, as the log keeps it.
func (l *writeLoop) adopt(c *createdPeer) {
	p := c.p
	log, err := l.takeOverLog(p)
	if err == nil {
		if last, _ := log.LastIndex(); last == 0 {
			log.Reset(l.batch, initialIndex, initialTerm)
		}
		err = p.initCore(log)
	}
	if err != nil {
		l.store.fail(err)
		return
	}
	l.peers[p.regionID] = p
	l.setTicking(p)
	l.touch(p)
	if c.campaign {
		p.campaign()
	}
	if msg := l.early[p.regionID]; msg != nil {
		delete(l.early, p.regionID)
		l.onMessage(msg)
	}
}

func (l *writeLoop) takeOverLog(p *peer) (*raftlog.Storage, error) {
	old := l.peers[p.regionID]
	if old == nil {
		return l.store.raftLog.Open(p.regionID)
	}
	old.stopped = true
	l.setTicking(old)
	return old.log, nil
}

// onMessage gives a message from another store to its peer, after checking that both mean the same one.
func (l *writeLoop) onMessage(msg *raft_serverpb.RaftMessage) {
	p := l.peers[msg.RegionId]
	if p == nil {
		if p = l.createFor(msg); p == nil {
			return
		}
	}
	if p.stopped {
		return
	}
	switch to := msg.ToPeer.Id; {
	case to < p.id: // for a peer that is gone, and perhaps of one
		l.fromRemoved(p, msg)
		return
	case to > p.id: // this one was removed, and its store came back as another peer
		l.dismiss(p, msg.RegionEpoch.GetConfVer())
		return
	case msg.IsTombstone:
		l.onTombstone(p, msg)
		return
	case msg.Message == nil:
		return
	}
	if l.fromRemoved(p, msg) {
		return
	}
	m := fromWire(msg.Message)
	if isVote(&m) && l.mayHavePromised() {
		return
	}
	if m.Type == raftpb.MsgReadIndex {
		if err := p.answerQuestions(&m); err != nil {
			l.store.log.Warn("message dropped", "region", p.regionID, "from", msg.FromPeer, "err", err)
			return
		}
	}
	p.note(msg.FromPeer)
	p.step(m)
	l.touch(p)
}

// note remembers who speaks.
func (p *peer) note(from *metapb.Peer) {
	p.silence = 0
	if p.lastHeard != nil {
		p.lastHeard[from.Id] = p.loop.now
	}
	if peerByID(p.region.Load(), from.Id) != nil {
		delete(p.contacts, from.Id)
		return
	}
	if p.contacts == nil {
		p.contacts = map[uint64]*metapb.Peer{}
	}
	if len(p.contacts) < peersMax {
		p.contacts[from.Id] = from
	}
}

// mayHavePromised tells whether peers may have answered a leader shortly before the store was restarted: that leader
// counts on its not voting for another until the lease is over.
func (l *writeLoop) mayHavePromised() bool {
	return l.now.Sub(l.store.openedAt) < l.store.cfg.leaseDuration()
}

// onTombstone obeys a peer that knows of this one's removal.
func (l *writeLoop) onTombstone(p *peer, msg *raft_serverpb.RaftMessage) {
	if r := p.region.Load(); r == nil || msg.RegionEpoch.GetConfVer() > r.RegionEpoch.ConfVer {
		l.dismiss(p, msg.RegionEpoch.GetConfVer())
	}
}

// dismiss destroys a peer that was removed, by what others say, unless it has still to apply what it knows to be committed: as
// after a restart, which may have taken a split back. Others will say it again.
func (l *writeLoop) dismiss(p *peer, confVer uint64) {
	if !p.initialized() || p.appliedIndex >= p.log.HardState().Commit {
		l.destroy(p, confVer)
	}
}

// fromRemoved answers a vote request of a peer that was removed and does not know it.
func (l *writeLoop) fromRemoved(p *peer, msg *raft_serverpb.RaftMessage) bool {
	r := p.region.Load()
	if r == nil || msg.RegionEpoch == nil || msg.RegionEpoch.ConfVer >= r.RegionEpoch.ConfVer ||
		peerByID(r, msg.FromPeer.Id) != nil {
		return false
	}
	if t := raftpb.MessageType(msg.GetMessage().GetMsgType()); t == raftpb.MsgVote || t == raftpb.MsgPreVote {
		p.tellRemoved(msg.FromPeer)
	}
	return true
}

// tickSilence has a learner that nobody speaks to ask whether it was removed: it may have been away when it was told. Others
// ask by the votes that they want. This one wants none, and asks in the same form with a log that nobody would vote for.
func (p *peer) tickSilence() {
	if p.silence++; p.silence%(askElections*p.store.cfg.ElectionTicks) != 0 {
		return
	}
	region := p.region.Load()
	if peerByID(region, p.id).GetRole() != metapb.PeerRole_Learner {
		return
	}
	for _, m := range region.Peers {
		if m.Id != p.id {
			p.send(&raftpb.Message{Type: raftpb.MsgPreVote, From: p.id, To: m.Id, Term: p.term + 1})
		}
	}
}

// askElections is how many elections' time of silence make a learner ask.
const askElections = 4

// createFor makes a peer without data for a message to a region that is not here: a membership change put it here. Nil
// if the message is stale, or its range is not free: part of another region here that is about to split, or still being
// cleared of a removed peer.
func (l *writeLoop) createFor(msg *raft_serverpb.RaftMessage) *peer {
	if msg.Message == nil || msg.IsTombstone || msg.RegionEpoch == nil || !mayCreate(raftpb.MessageType(msg.Message.MsgType)) {
		return nil
	}
	if l.store.regions.overlaps(msg.StartKey, msg.EndKey, 0) {
		if len(l.early) >= earlyMax {
			clear(l.early)
		}
		l.early[msg.RegionId] = msg
		return nil
	}
	if stale, err := l.isTombstone(msg.RegionId, msg.ToPeer.Id); stale || err != nil {
		if err != nil {
			l.store.fail(err)
		}
		return nil
	}
	p := l.store.newPeer(msg.RegionId, msg.ToPeer.Id)
	log, err := l.store.raftLog.Open(msg.RegionId)
	if err == nil {
		err = p.initCore(log)
	}
	if err != nil {
		l.store.fail(err)
		return nil
	}
	l.peers[p.regionID] = p
	l.setTicking(p)
	l.store.regions.add(p)
	return p
}

// mayCreate tells whether a message of this type shows that its receiver belongs to the group.
func mayCreate(t raftpb.MessageType) bool {
	switch t {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgVote, raftpb.MsgPreVote, raftpb.MsgSnap:
		return true
	}
	return false
}

// isTombstone tells whether the peer was removed from here.
func (l *writeLoop) isTombstone(region, peerID uint64) (bool, error) {
	raw, err := l.store.raftLog.Mark(region)
	if err != nil || raw == nil {
		return false, err
	}
	m, err := decodeMark(raw)
	return m.state == markTombstone && peerID <= m.peerID, err
}

// destruction is a peer on its way out.
type destruction struct{ mark mark }

// destroy removes a peer. What it has already been told to apply comes first, for a split among it makes regions that
// live on, and is made durable, for nobody can repeat it once the log is gone:
//
//	apply loop: apply what waits -> flush the data -> write loop: bury -> clear the data -> give up the range
//
// A crash before it is buried brings the peer back, to be removed again.
func (l *writeLoop) destroy(p *peer, confVer uint64) {
	if p.stopped {
		return
	}
	p.stopped = true
	l.setTicking(p)
	gone := errRegionNotFound(p.regionID)
	p.failQueue(gone)
	p.failReads(gone)
	p.failConfirmed(gone)
	finishAll(p.proposals, fmt.Errorf("%w: the peer was removed", storage.ErrUndetermined))
	p.proposals = nil
	l.dropOutbound(p)
	p.role.Store(&role{term: p.term})
	l.store.regions.unlist(p)
	if p.isLeader {
		l.store.observer.OnLoss(p.regionID, nil)
	}
	m := mark{state: markTombstone, peerID: p.id, confVer: confVer}
	if !p.initialized() && p.applying == nil {
		l.bury(p, m)
		return
	}
	p.apply.box.put(applyTask{p: p, destroy: &destruction{m}})
}

// bury replaces log and vote by the tombstone in one synced batch, and has the data cleared in the background.
func (l *writeLoop) bury(p *peer, m mark) {
	raw, err := m.encode()
	if err == nil {
		p.log.Destroy(l.batch)
		l.batch.SetMark(p.regionID, raw)
		err = l.commit()
	}
	if err != nil {
		l.store.fail(err)
		return
	}
	delete(l.peers, p.regionID)
	if m.region == nil {
		l.store.regions.remove(p)
		return
	}
	l.store.do(func() {
		if err := l.store.clearData(p.regionID, m); err != nil {
			l.store.fail(err)
			return
		}
		l.store.regions.remove(p)
	})
}

// startDestroy ends the applying of a removed peer and has its last state flushed.
func (l *applyLoop) startDestroy(a *applier, d *destruction) error {
	if err := l.commit(); err != nil {
		return err
	}
	a.gone = true
	p, m := a.p, d.mark
	m.region = a.current
	l.store.do(func() {
		if err := l.store.data.Flush(); err != nil {
			l.store.fail(err)
			return
		}
		p.loop.post(func(w *writeLoop) { w.bury(p, m) })
	})
	return nil
}

// clearData removes a region's data and descriptor, durably, and then the region from its tombstone.
func (s *Store) clearData(id uint64, m mark) error {
	clear := append(dataRanges(m.region), localRanges(id)...)
	err := s.erasing(allRecords(m.region), func() error {
		return s.data.Ingest(func(func(storage.CF, []byte, []byte) error) error { return nil }, clear)
	})
	if err != nil {
		return fmt.Errorf("clear region %d: %w", id, err)
	}
	m.region = nil
	raw, err := m.encode()
	if err != nil {
		return err
	}
	b := s.raftLog.NewBatch()
	b.SetMark(id, raw)
	return errors.Join(b.Commit(), b.Close())
}

// dataFamilies are the families of regions' data, in the order of their bytes.
var dataFamilies = []storage.CF{
	storage.CFRawLock, storage.CFRawV2, storage.CFRawWrite, storage.CFDefault, storage.CFLock, storage.CFRaw, storage.CFWrite,
}

func dataRanges(region *metapb.Region) []engine.Range {
	ranges := make([]engine.Range, 0, len(dataFamilies))
	for _, cf := range dataFamilies {
		ranges = append(ranges, engine.Range{CF: cf, Start: region.StartKey, End: region.EndKey})
	}
	return ranges
}

func localRanges(id uint64) []engine.Range {
	a, r := appliedKey(id), regionStateKey(id)
	return []engine.Range{
		{CF: cfLocal, Start: a, End: append(appliedKey(id), 0)},
		{CF: cfLocal, Start: r, End: append(regionStateKey(id), 0)},
	}
}
