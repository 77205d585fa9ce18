package raftstore

import (
	"fmt"

	"github.com/pingcap/kvproto/pkg/metapb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
)

// applyEntries applies the entries of a task in order. What an entry says may be rejected, by all replicas alike; what
// cannot be read is fatal.
func (l *applyLoop) applyEntries(a *applier, t *applyTask) error {
	l.mark(a)
	claimed := t.proposals
	for i := range t.entries {
		e := &t.entries[i]
		if e.Index <= a.at.index {
			continue // replayed: in the data already
		}
		if e.Index != a.at.index+1 {
			return fmt.Errorf("region %d: entry %d follows %d", a.p.regionID, e.Index, a.at.index)
		}
		h, outcome, regions, err := l.applyEntry(a, e)
		if err != nil {
			return fmt.Errorf("region %d, entry %d: %w", a.p.regionID, e.Index, err)
		}
		a.at = applied{e.Index, e.Term}
		claimed = l.settle(claimed, e.Term, h, outcome, regions)
		if l.batch.Len() > batchBytesMax && i+1 < len(t.entries) {
			if err := l.commit(); err != nil {
				return err
			}
			l.mark(a)
		}
	}
	for _, pr := range claimed {
		l.settled = append(l.settled, settled{pr, errStaleCommand()})
	}
	a.report.responses = append(a.report.responses, t.responses...)
	return nil
}

// settle notes the outcome of the proposals in an entry, and that those before them are lost.
func (l *applyLoop) settle(claimed []*proposal, term uint64, h header, outcome error, regions []*metapb.Region) []*proposal {
	end := h.seq + uint64(h.count)
	for len(claimed) > 0 {
		pr := claimed[0]
		switch {
		case pr.term < term, pr.term == term && pr.seq < h.seq:
			l.settled = append(l.settled, settled{pr, errStaleCommand()})
		case pr.term == term && pr.seq < end:
			pr.result = regions
			l.settled = append(l.settled, settled{pr, outcome})
		default:
			return claimed
		}
		claimed = claimed[1:]
	}
	return claimed
}

// applyEntry applies one entry. outcome is the answer to its proposals.
func (l *applyLoop) applyEntry(a *applier, e *raftpb.Entry) (h header, outcome error, regions []*metapb.Region, err error) {
	if e.Type != raftpb.EntryNormal {
		return l.applyChange(a, e)
	}
	if len(e.Data) == 0 {
		return header{}, nil, nil, nil
	}
	h, body, err := decodeHeader(e.Data)
	if err != nil {
		return h, nil, nil, err
	}
	epoch := a.current.RegionEpoch
	switch {
	case h.version != epoch.Version, !h.kind.isWrite() && h.confVer != epoch.ConfVer:
		return h, l.rejected(a, h.version), nil, nil
	}
	if refusal := flashbackRefuses(a.current, h.kind); refusal != nil {
		return h, refusal, nil, nil
	}
	switch h.kind {
	case kindWrite, kindFlashbackWrite:
		return h, nil, nil, l.applyWrite(a, body)
	case kindSplit:
		regions, outcome, err = l.applySplit(a, e.Term, body)
		return h, outcome, regions, err
	case kindPrepareFlashback, kindFinishFlashback:
		return h, nil, nil, l.applyFlashback(a, h.kind, body)
	}
	return h, nil, nil, fmt.Errorf("%w: kind %d", errBadCommand, h.kind)
}

// rejected is the answer to a command for another epoch. The descriptors told are those published; they are good for
// routing even while a newer batch is under way.
func (l *applyLoop) rejected(a *applier, version uint64) error {
	return l.store.epochNotMatch(a.current, version)
}

// applyWrite puts the changes into the batch. Their bytes go from the entry straight into it.
func (l *applyLoop) applyWrite(a *applier, body []byte) error {
	a.bytes += uint64(len(body))
	for len(body) > 0 {
		m, rest, err := nextModify(body)
		if err != nil {
			return err
		}
		switch m.Op {
		case storage.OpPut:
			l.batch.Put(m.CF, m.Key, m.Value)
			if l.shown {
				l.store.writes.ObservePut(m.CF, m.Key, m.Value)
			}
		case storage.OpDelete:
			l.batch.Delete(m.CF, m.Key)
			l.noteErased(m)
		case storage.OpDeleteRange:
			l.deleteRange(a, m)
		}
		body = rest
	}
	return nil
}

// deleteRange clips the range to the region: an empty end means the region's.
func (l *applyLoop) deleteRange(a *applier, m storage.Modify) {
	end := m.EndKey
	if len(end) == 0 {
		end = a.current.EndKey
	}
	l.batch.DeleteRange(m.CF, m.Key, end)
	m.EndKey = end
	l.noteErased(m)
}

// noteErased keeps a deletion for the observer. Its bytes are those of the entry, which outlasts the batch.
func (l *applyLoop) noteErased(m storage.Modify) {
	if m.CF == storage.CFWrite {
		l.erased = append(l.erased, m)
	}
}

// setRegion changes the region's descriptor, to be published with the batch. If it removes the peer here, that is noted: a
// crash may come before its tombstone, which has to name it.
func (l *applyLoop) setRegion(a *applier, region *metapb.Region) error {
	var removed []*metapb.Peer
	if a.report.removed = peerByID(region, a.p.id) == nil; a.report.removed {
		removed = append(removed, &metapb.Peer{Id: a.p.id, StoreId: l.store.cfg.StoreID})
	}
	raw, err := encodeRegionState(region, removed...)
	if err != nil {
		return err
	}
	l.batch.Put(cfLocal, regionStateKey(region.Id), raw)
	a.current = region
	a.report.reshaped = true
	return nil
}

// applyChange applies a membership change, or rejects it.
func (l *applyLoop) applyChange(a *applier, e *raftpb.Entry) (h header, outcome error, regions []*metapb.Region, err error) {
	cc, err := decodeChange(e)
	if err != nil {
		return h, nil, nil, err
	}
	h, body, err := decodeHeader(cc.Context)
	if err != nil {
		return h, nil, nil, err
	}
	member, err := decodeMember(body)
	if err != nil {
		return h, nil, nil, err
	}
	o := changeOutcome{change: cc, member: member}
	epoch := a.current.RegionEpoch
	if h.kind != kindMember || h.version != epoch.Version || h.confVer != epoch.ConfVer {
		a.report.changes = append(a.report.changes, o)
		return h, l.rejected(a, h.version), nil, nil
	}
	if refusal := flashbackRefuses(a.current, h.kind); refusal != nil {
		a.report.changes = append(a.report.changes, o)
		return h, refusal, nil, nil
	}
	region := changedRegion(a.current, member)
	o.accepted = region != nil
	a.report.changes = append(a.report.changes, o)
	if region == nil {
		return h, fmt.Errorf("raftstore: peer %d cannot be changed in region %d", member.peerID, a.current.Id), nil, nil
	}
	if err := l.setRegion(a, region); err != nil {
		return h, nil, nil, err
	}
	return h, nil, []*metapb.Region{region}, nil
}

// decodeChange reads a membership change, of either of raft's two entry types.
func decodeChange(e *raftpb.Entry) (cc raftpb.ConfChangeV2, err error) {
	if e.Type == raftpb.EntryConfChangeV2 {
		return cc, cc.Unmarshal(e.Data)
	}
	var v1 raftpb.ConfChange
	if err := v1.Unmarshal(e.Data); err != nil {
		return cc, err
	}
	return v1.AsV2(), nil
}

// changedRegion is region after the change, nil if it makes no sense.
func changedRegion(region *metapb.Region, c memberChange) *metapb.Region {
	next := cloneRegion(region)
	next.RegionEpoch.ConfVer++
	role := metapb.PeerRole_Voter
	if c.change == addLearner {
		role = metapb.PeerRole_Learner
	}
	for i, m := range next.Peers {
		if m.StoreId != c.storeID && m.Id != c.peerID {
			continue
		}
		switch {
		case m.Id != c.peerID || m.StoreId != c.storeID:
			return nil // another peer of this store, or this peer elsewhere
		case c.change == removePeer:
			next.Peers = append(next.Peers[:i:i], next.Peers[i+1:]...)
		case m.Role == role || c.change == addLearner:
			return nil // nothing to do, or a demotion
		default:
			next.Peers[i] = &metapb.Peer{Id: c.peerID, StoreId: c.storeID, Role: role}
		}
		return next
	}
	if c.change == removePeer {
		return nil
	}
	next.Peers = append(next.Peers, &metapb.Peer{Id: c.peerID, StoreId: c.storeID, Role: role})
	return next
}

// onApplied takes the apply loop's report.
func (p *peer) onApplied(ev *appliedEvent) {
	if p.stopped || p.rn == nil {
		return
	}
	p.appliedIndex, p.appliedTerm = ev.at.index, ev.at.term
	if ev.split {
		p.splitIndex = ev.at.index
	}
	for i := range ev.changes {
		p.onChange(&ev.changes[i])
		p.changing = 0
	}
	for _, m := range ev.responses {
		p.step(m)
	}
	if ev.removed {
		p.loop.destroy(p, p.region.Load().RegionEpoch.ConfVer)
		return
	}
	if ev.snapshot {
		p.log.Conf = confState(p.region.Load())
	}
	if ev.reshaped {
		p.setSole()
		p.loop.setTicking(p)
		if p.isLeader {
			p.publishRole(p.lease())
			p.heartbeat()
			p.written.Store(p.store.cfg.MaxBytes) // have the size looked at
		}
	}
	if r := p.role.Load(); p.isLeader && !r.ready && p.appliedTerm == p.term {
		p.publishRole(p.lease())
	}
	p.log.TrimCache(p.appliedIndex, p.cacheBytes())
	p.finishReads()
}

// cacheBytes is how much of the applied log is kept in memory for followers that are a little behind.
func (p *peer) cacheBytes() int {
	if p.sole {
		return 0
	}
	return 128 << 10
}

// onChange activates an accepted membership change in raft.
func (p *peer) onChange(o *changeOutcome) {
	if !o.accepted {
		return
	}
	p.rn.ApplyConfChange(o.change)
	m := o.member
	if p.isLeader {
		p.publishRole(p.loop.now) // leases given by another quorum end
		switch m.change {
		case removePeer:
			delete(p.lastHeard, m.peerID)
			delete(p.promoting, m.peerID)
			p.tellRemoved(&metapb.Peer{Id: m.peerID, StoreId: m.storeID})
		default:
			p.lastHeard[m.peerID] = p.loop.now
		}
	}
}
