package pd

import (
	"context"
	"time"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

// operator is one step ordered for a region. It is sent again with every heartbeat until the region's membership or
// leader has changed, or it is too old: orders may get lost, and carrying one out twice is refused by its epoch.
type operator struct {
	desc    string
	confVer uint64 // of the region when the step was chosen
	leader  uint64 // peer id
	to      uint64 // for transfers: the store that is to lead
	order   *pdpb.RegionHeartbeatResponse
	since   time.Time
}

// done reports whether the region no longer looks as it did when the step was chosen.
func (o *operator) done(r *regionInfo) bool {
	return r.meta.GetRegionEpoch().GetConfVer() != o.confVer || r.leader.GetId() != o.leader
}

// schedule decides what a region that has just spoken should do. The steps, in order of urgency:
//
//	a learner that has caught up      -> make it a voter
//	a voter too many                  -> remove it: down first, then the one on the fullest store, never the leader
//	too few replicas                  -> add a learner on the emptiest store
//	a voter whose store is gone       -> the same: its replacement makes it the one too many
//	its store leads too many regions  -> pass leadership on
func (c *Core) schedule(ctx context.Context, r *regionInfo) (*pdpb.RegionHeartbeatResponse, error) {
	if r.leader == nil {
		return nil, nil
	}
	id := r.meta.Id
	if op := c.operators[id]; op != nil {
		if !op.done(r) && c.now().Sub(op.since) < c.cfg.OperatorTimeout {
			return address(op.order, r), nil
		}
		delete(c.operators, id)
	}
	op, err := c.step(ctx, r)
	if op == nil || err != nil {
		return nil, err
	}
	op.confVer, op.leader, op.since = r.meta.GetRegionEpoch().GetConfVer(), r.leader.Id, c.now()
	c.operators[id] = op
	return address(op.order, r), nil
}

// address fills in whom an order is for, as the region stands now.
func address(order *pdpb.RegionHeartbeatResponse, r *regionInfo) *pdpb.RegionHeartbeatResponse {
	out := *order
	out.RegionId, out.RegionEpoch, out.TargetPeer = r.meta.Id, r.meta.RegionEpoch, r.leader
	return &out
}

func (c *Core) step(ctx context.Context, r *regionInfo) (*operator, error) {
	var voters int
	for _, p := range r.meta.Peers {
		switch {
		case p.Role == metapb.PeerRole_Voter:
			voters++
		case p.Role == metapb.PeerRole_Learner && c.lost(r, p):
			return changePeer("remove-lost-learner", p, eraftpb.ConfChangeType_RemoveNode), nil
		case p.Role == metapb.PeerRole_Learner && r.isPending(p.Id):
			return nil, nil // still receiving its data
		case p.Role == metapb.PeerRole_Learner:
			return changePeer("promote-learner", asVoter(p), eraftpb.ConfChangeType_AddNode), nil
		default:
			return nil, nil // between two configurations: the leader finishes that by itself
		}
	}
	want := c.wantedReplicas()
	switch {
	case voters > want:
		return c.removePeer(r), nil
	case voters < want || c.anyLost(r):
		return c.addPeer(ctx, r)
	}
	return c.balanceLeader(r), nil
}

// wantedReplicas is the configured number, or the greatest odd number of replicas that the stores have room for. A
// store that is down still counts: losing one must not make the others drop their replicas.
func (c *Core) wantedReplicas() int {
	members := 0
	for _, s := range c.stores {
		if s.serving() {
			members++
		}
	}
	want := min(c.cfg.MaxReplicas, members)
	if want < c.cfg.MaxReplicas && want%2 == 0 {
		want--
	}
	return max(want, 1)
}

func (c *Core) downTooLong(s *storeInfo) bool {
	return c.now().Sub(s.lastHeartbeat) > c.cfg.MaxStoreDownTime
}

func (c *Core) connected(s *storeInfo) bool {
	return s.serving() && c.now().Sub(s.lastHeartbeat) <= disconnectAfter
}

// lost reports whether a peer will not come back or has to move: its store is leaving, buried, unknown, or down for
// longer than is waited for.
func (c *Core) lost(r *regionInfo, p *metapb.Peer) bool {
	s := c.stores[p.StoreId]
	if s == nil || !s.serving() || c.downTooLong(s) {
		return true
	}
	for _, d := range r.down {
		if d.GetPeer().GetId() == p.Id {
			return time.Duration(d.DownSeconds)*time.Second > c.cfg.MaxStoreDownTime
		}
	}
	return false
}

func (c *Core) anyLost(r *regionInfo) bool {
	for _, p := range r.meta.Peers {
		if c.lost(r, p) {
			return true
		}
	}
	return false
}

// addPeer orders a learner on the connected store that holds the fewest replicas, if there is one without this region.
func (c *Core) addPeer(ctx context.Context, r *regionInfo) (*operator, error) {
	var best uint64
	for id, s := range c.stores {
		if !c.connected(s) || peerOn(r.meta, id) != nil {
			continue
		}
		if best == 0 || c.fewer(c.regions.peers, id, best) {
			best = id
		}
	}
	if best == 0 {
		return nil, nil
	}
	id, err := c.ids.next(ctx, 1)
	if err != nil {
		return nil, err
	}
	p := &metapb.Peer{Id: id, StoreId: best, Role: metapb.PeerRole_Learner}
	return changePeer("add-learner", p, eraftpb.ConfChangeType_AddLearnerNode), nil
}

// fewer orders stores by a count, then by id, so that the same knowledge always leads to the same decision.
func (c *Core) fewer(count map[uint64]int, a, b uint64) bool {
	return count[a] < count[b] || count[a] == count[b] && a < b
}

// removePeer chooses the voter too many. If only the leader would do, leadership moves first.
func (c *Core) removePeer(r *regionInfo) *operator {
	var worst *metapb.Peer
	for _, p := range r.meta.Peers {
		if worst == nil || c.worse(r, p, worst) {
			worst = p
		}
	}
	if worst.Id != r.leader.Id {
		return changePeer("remove-peer", worst, eraftpb.ConfChangeType_RemoveNode)
	}
	for _, p := range r.meta.Peers {
		if p.Id != worst.Id && c.mayLead(r, p) {
			return transferLeader("leave-store", p)
		}
	}
	return nil
}

// worse reports whether a should go rather than b.
func (c *Core) worse(r *regionInfo, a, b *metapb.Peer) bool {
	if la, lb := c.lost(r, a), c.lost(r, b); la != lb {
		return la
	}
	if aLeads := a.Id == r.leader.Id; aLeads || b.Id == r.leader.Id {
		return !aLeads
	}
	return c.fewer(c.regions.peers, b.StoreId, a.StoreId)
}

// mayLead reports whether a peer is a voter that is up to date on a connected store.
func (c *Core) mayLead(r *regionInfo, p *metapb.Peer) bool {
	s := c.stores[p.StoreId]
	if p.Role != metapb.PeerRole_Voter || r.isPending(p.Id) || s == nil || !c.connected(s) {
		return false
	}
	for _, d := range r.down {
		if d.GetPeer().GetId() == p.Id {
			return false
		}
	}
	return true
}

const (
	// leaderSlack is by how many more leaders than another store a store may have before one is moved.
	leaderSlack = 2
	// transfersMax is the greatest number of transfers for balance under way at a time.
	transfersMax = 4
)

// balanceLeader passes leadership to the voter whose store leads the fewest regions, if that is markedly fewer than
// the leader's store does. Transfers under way count as done.
func (c *Core) balanceLeader(r *regionInfo) *operator {
	if len(r.meta.Peers) < 2 {
		return nil
	}
	leads, transfers := c.expectedLeaders()
	if transfers >= transfersMax {
		return nil
	}
	var best *metapb.Peer
	for _, p := range r.meta.Peers {
		if p.Id != r.leader.Id && c.mayLead(r, p) && (best == nil || c.fewer(leads, p.StoreId, best.StoreId)) {
			best = p
		}
	}
	if best == nil || leads[r.leader.StoreId]-leads[best.StoreId] < leaderSlack {
		return nil
	}
	return transferLeader(balanceDesc, best)
}

const balanceDesc = "balance-leader"

// expectedLeaders is the number of leaders per store once the transfers under way are through, and their number.
func (c *Core) expectedLeaders() (leads map[uint64]int, transfers int) {
	leads = make(map[uint64]int, len(c.regions.leaders))
	for s, n := range c.regions.leaders {
		leads[s] = n
	}
	now := c.now()
	for id, op := range c.operators {
		r := c.regions.byID[id]
		if op.to == 0 || r == nil || op.done(r) || now.Sub(op.since) >= c.cfg.OperatorTimeout {
			continue
		}
		leads[r.leader.StoreId]--
		leads[op.to]++
		transfers++
	}
	return leads, transfers
}

func asVoter(p *metapb.Peer) *metapb.Peer {
	return &metapb.Peer{Id: p.Id, StoreId: p.StoreId, Role: metapb.PeerRole_Voter}
}

func changePeer(desc string, p *metapb.Peer, t eraftpb.ConfChangeType) *operator {
	return &operator{desc: desc, order: &pdpb.RegionHeartbeatResponse{ChangePeer: &pdpb.ChangePeer{Peer: p, ChangeType: t}}}
}

func transferLeader(desc string, p *metapb.Peer) *operator {
	return &operator{desc: desc, to: p.StoreId,
		order: &pdpb.RegionHeartbeatResponse{TransferLeader: &pdpb.TransferLeader{Peer: p}}}
}

// Order is an order and the store it is for.
type Order struct {
	Store   uint64
	Message *pdpb.RegionHeartbeatResponse
}

// patrolMax is how many regions one patrol looks at.
const patrolMax = 256

// Patrol looks at the next few regions in key order, whether they have spoken or not, and returns orders for them: what
// makes a change of the stores reach regions that have nothing to say.
func (c *Core) Patrol(ctx context.Context) ([]Order, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch []*regionInfo
	c.regions.ascend(c.patrolKey, func(r *regionInfo) bool {
		batch = append(batch, r)
		return len(batch) < patrolMax
	})
	c.patrolKey = nil
	if len(batch) == patrolMax {
		c.patrolKey = batch[patrolMax-1].meta.EndKey
	}
	var orders []Order
	for _, r := range batch {
		known := c.operators[r.meta.Id]
		msg, err := c.schedule(ctx, r)
		if err != nil {
			return orders, err
		}
		if msg != nil && c.operators[r.meta.Id] != known { // what is under way is repeated by heartbeats
			orders = append(orders, Order{r.leader.StoreId, msg})
		}
	}
	return orders, nil
}

// OperatorStatus describes the order under way for a region.
func (c *Core) OperatorStatus(region uint64) (desc string, status pdpb.OperatorStatus, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster == nil {
		return "", 0, errNotBootstrapped
	}
	r, op := c.regions.byID[region], c.operators[region]
	switch {
	case r == nil:
		return "", 0, refuse(pdpb.ErrorType_REGION_NOT_FOUND, "region %d is not known", region)
	case op == nil:
		return "", pdpb.OperatorStatus_SUCCESS, nil
	case op.done(r):
		return op.desc, pdpb.OperatorStatus_SUCCESS, nil
	case c.now().Sub(op.since) >= c.cfg.OperatorTimeout:
		return op.desc, pdpb.OperatorStatus_TIMEOUT, nil
	}
	return op.desc, pdpb.OperatorStatus_RUNNING, nil
}
