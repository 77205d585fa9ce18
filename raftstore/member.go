package raftstore

import (
	"fmt"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/scree-db/scree/storage"
)

// Operator carries out an order of the placement driver, asynchronously and as far as it fits: the driver sees the
// result in the next region heartbeat and repeats what is still to do. Orders for another epoch or peer are ignored.
func (s *Store) Operator(resp *pdpb.RegionHeartbeatResponse) {
	p := s.regions.get(resp.GetRegionId())
	if p == nil {
		return
	}
	p.loop.post(func(l *writeLoop) {
		region := p.region.Load()
		if p.stopped || !p.isLeader || region == nil || !sameEpoch(region.RegionEpoch, resp.RegionEpoch) ||
			(resp.TargetPeer != nil && resp.TargetPeer.Id != p.id) {
			return
		}
		p.obey(region, resp)
		l.touch(p)
	})
}

func sameEpoch(a, b *metapb.RegionEpoch) bool {
	return b == nil || (a.Version == b.Version && a.ConfVer == b.ConfVer)
}

func (p *peer) obey(region *metapb.Region, resp *pdpb.RegionHeartbeatResponse) {
	switch {
	case resp.TransferLeader != nil:
		p.transferLeader(resp.TransferLeader.Peer.GetId())
	case resp.ChangePeer != nil:
		p.changePeer(region, resp.ChangePeer)
	case resp.ChangePeerV2 != nil:
		if changes := resp.ChangePeerV2.Changes; len(changes) == 1 {
			p.changePeer(region, changes[0])
		} else {
			p.store.log.Warn("joint membership changes are not supported", "region", p.regionID, "changes", len(changes))
		}
	case resp.SplitRegion != nil:
		p.splitOnOrder(region, resp.SplitRegion)
	}
}

// transferLeader offers leadership to another voter, after the observer has had its time.
func (p *peer) transferLeader(to uint64) {
	region, term := p.region.Load(), p.term
	m := peerByID(region, to)
	if m == nil || m.Role != metapb.PeerRole_Voter || to == p.id || p.preparing {
		return
	}
	p.preparing = true
	p.store.goRun(func() {
		p.store.observer.BeforeTransfer(region, term)
		p.loop.post(func(l *writeLoop) {
			p.preparing = false
			if !p.stopped && p.isLeader && p.term == term {
				p.offer(to)
				l.touch(p)
			}
		})
	})
}

// offer has another voter hold an election. From then on this term has no leases: the other may be elected although this
// leader has been heard of.
func (p *peer) offer(to uint64) {
	p.noLeaseTerm = p.term
	p.publishRole(p.loop.now)
	p.rn.TransferLeader(to)
	p.offered = true
}

// tickOffer finds out that an offer came to nothing: raft gives up after an election's time.
func (p *peer) tickOffer() {
	if p.offered && p.raftState().LeadTransferee == raft.None {
		p.offered = false
		p.store.notifyLeader(p.descriptor(), p.term)
	}
}

// changePeer takes one step of membership. A new voter begins as a learner, so that it does not count in the quorum
// while it has no data; it is made a voter when it has caught up.
func (p *peer) changePeer(region *metapb.Region, c *pdpb.ChangePeer) {
	target := c.GetPeer()
	if target == nil || target.Id == 0 || target.StoreId == 0 {
		return
	}
	known := peerByID(region, target.Id)
	change := memberChange{peerID: target.Id, storeID: target.StoreId}
	switch c.ChangeType {
	case eraftpb.ConfChangeType_AddNode:
		if known != nil && known.Role == metapb.PeerRole_Voter {
			return
		}
		p.promoting[target.Id] = true
		if known != nil {
			return // tickLeader promotes it
		}
		change.change = addLearner
	case eraftpb.ConfChangeType_AddLearnerNode:
		if known != nil {
			return
		}
		change.change = addLearner
	case eraftpb.ConfChangeType_RemoveNode:
		if known == nil || !p.mayRemove(region, known) {
			return
		}
		change.change = removePeer
	default:
		return
	}
	p.proposeChange(region, change)
}

// mayRemove tells whether a peer can be removed now. A leader gives up leadership first; the order will come again.
func (p *peer) mayRemove(region *metapb.Region, m *metapb.Peer) bool {
	if m.Id != p.id {
		return true
	}
	for _, other := range region.Peers {
		if other.Id != p.id && other.Role == metapb.PeerRole_Voter {
			p.transferLeader(other.Id)
			break
		}
	}
	return false
}

// proposeChange asks for a membership change. A region in flashback keeps its peers; the driver's order will come again.
func (p *peer) proposeChange(region *metapb.Region, c memberChange) {
	if region.IsInFlashback {
		return
	}
	types := map[changeType]raftpb.ConfChangeType{
		addVoter: raftpb.ConfChangeAddNode, removePeer: raftpb.ConfChangeRemoveNode, addLearner: raftpb.ConfChangeAddLearnerNode,
	}
	epoch := region.RegionEpoch
	pr := &proposal{
		payload: encodeMember(c, epoch.Version, epoch.ConfVer), kind: kindMember, version: epoch.Version, done: make(chan error, 1),
		change: &raftpb.ConfChangeV2{Changes: []raftpb.ConfChangeSingle{{Type: types[c.change], NodeID: c.peerID}}},
	}
	p.queue = append(p.queue, pr)
	p.propose()
}

// admitChange lets one membership change be under way: raft would replace a second one by nothing.
func (p *peer) admitChange() error {
	if p.appliedTerm != p.term || p.changing == p.term {
		return fmt.Errorf("raftstore: a membership change of region %d is under way", p.regionID)
	}
	p.changing = p.term
	return nil
}

// tickLeader looks after the other peers.
func (p *peer) tickLeader() {
	p.tickOffer()
	if len(p.promoting) > 0 {
		p.promoteLearners()
	}
	if p.ticksToBeat--; p.ticksToBeat <= 0 {
		p.ticksToBeat = p.store.cfg.ElectionTicks
		if pending := len(p.pendingPeers()); pending != p.pendingNow {
			p.heartbeat()
		}
	}
}

// promoteSlack is how many entries a learner may lack to become a voter.
const promoteSlack = 64

func (p *peer) promoteLearners() {
	last := p.logEnd.Load()
	var ready []uint64
	p.rn.WithProgress(func(id uint64, _ progressType, pr tracker.Progress) {
		if p.promoting[id] && pr.State == tracker.StateReplicate && pr.Match+promoteSlack >= last {
			ready = append(ready, id)
		}
	})
	region := p.region.Load()
	for _, id := range ready {
		switch m := peerByID(region, id); {
		case m == nil || p.changing == p.term:
		case m.Role == metapb.PeerRole_Voter:
			delete(p.promoting, id)
		default:
			p.proposeChange(region, memberChange{peerID: id, storeID: m.StoreId, change: addVoter})
		}
	}
}

// splitOnOrder splits at the keys given, or in the middle.
func (p *peer) splitOnOrder(region *metapb.Region, order *pdpb.SplitRegion) {
	s, r := p.store, p.role.Load()
	s.do(func() {
		var err error
		if order.Policy == pdpb.CheckPolicy_USEKEY {
			_, err = s.SplitRegion(s.ctx, storage.Region{ID: region.Id, Epoch: region.RegionEpoch}, order.Keys)
		} else {
			var largest storage.CF
			if _, largest, err = s.regionBytes(region); err == nil {
				err = s.splitEvenly(p, region, r, largest, 2)
			}
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Warn("split order failed", "region", region.Id, "err", err)
		}
	})
}

// tellRemoved tells a peer that it has left the group: it may not hear it by the log.
func (p *peer) tellRemoved(to *metapb.Peer) {
	if to.Id == p.id {
		return
	}
	p.store.transport.Send(&raft_serverpb.RaftMessage{
		RegionId: p.regionID, FromPeer: p.self(), ToPeer: to, IsTombstone: true, RegionEpoch: p.region.Load().GetRegionEpoch(),
	})
}
