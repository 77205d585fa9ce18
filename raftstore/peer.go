package raftstore

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/raftstore/raftlog"
)

// peer is one replica of a region on this store. Its parts have one owner each, so there is no mutex:
//
//	published  written by the loop named, read by anyone
//	core       the raft node and what it needs: the region's write loop
//	applier    the data: the region's apply loop
type peer struct {
	store    *Store
	regionID uint64
	id       uint64 // of the peer
	loop     *writeLoop
	apply    *applyLoop

	// region is the descriptor as applied, nil until the peer has data. It is stored under the registry's lock, after
	// the data is visible. Apply loop.
	region atomic.Pointer[metapb.Region]
	// applied is the index up to which the data is visible. Apply loop.
	applied atomic.Uint64
	// written counts the bytes applied since the size was last looked at. Apply loop; reset by the size check.
	written atomic.Uint64
	// committed is what other peers may have applied: it is raised before they hear of it. Write loop.
	committed atomic.Uint64
	// role is what the peer is to its group. Write loop.
	role atomic.Pointer[role]
	// logEnd and logStart bracket the log for the housekeeper, logBytes is its size: it looks only where something can be
	// cut. Write loop.
	logEnd, logStart atomic.Uint64
	logBytes         atomic.Int64
	// renewing is set while a lease renewal is under way, by the reader that asks for it.
	renewing atomic.Bool
	// sizing is set while a size check is queued or running: two would split at keys chosen for one.
	sizing atomic.Bool
	// safe is what stale reads are served by.
	safe safeTS
	// size and keys are the last estimate. Size check.
	size, keys atomic.Uint64

	core
	applier
}

// role is a peer's place in its group. It is replaced, never changed.
type role struct {
	term     uint64
	leader   *metapb.Peer // nil: not known
	isLeader bool
	// ready: an entry of the leader's term is applied here, so all that former leaders acknowledged is.
	ready bool
	// always: the only voter; nobody else can be elected.
	always bool
	// alone: there are no other peers, so nobody else serves reads.
	alone bool
	// lease: nobody else can be elected before.
	lease time.Time
}

// core is the part of a peer that its write loop owns.
type core struct {
	rn       *raft.RawNode
	log      *raftlog.Storage
	term     uint64
	leaderID uint64
	isLeader bool
	touched  bool // in the loop's list of peers to look at
	silence  int  // ticks since somebody of the group spoke
	ticksAt  int  // place in the loop's list of those that need ticks, from 1 on; 0: not in it
	stopped  bool // on its way out: nothing is stepped any more
	sole     bool // the only voter, and no learners: needs no ticks while it leads

	queue     []*proposal // not yet proposed
	proposals []*proposal // in the log, by (term, sequence number)
	seq       uint64
	orphaned  int // ticks since the peer lost leadership with proposals unanswered

	reads        []*read      // to be asked about
	asked        []*readRound // waiting for raft, in order
	confirmed    []*readRound // waiting to be applied
	readSeq      uint64
	noLeaseTerm  uint64 // in this term leadership was offered to another: leases are not safe
	preparing    bool   // to offer it: the observer is told
	offered      bool   // leadership is offered to another peer
	handed       uint64 // index of the last entry given to the apply loop
	splitIndex   uint64 // applied index at which a split was seen that may not be durable; 0: none
	appliedIndex uint64
	appliedTerm  uint64
	changing     uint64 // the term in which a membership change is under way; 0: none

	contacts    map[uint64]*metapb.Peer // senders that are not in the region as known here
	lastHeard   map[uint64]time.Time    // leader: by peer id
	promoting   map[uint64]bool         // leader: learners to make voters once they have caught up
	pendingNow  int                     // leader: peers in the last heartbeat's pending list
	ticksToBeat int

	inbound  *receivedSnapshot   // received whole, not yet accepted by raft
	applying *metapb.Region      // of the snapshot accepted last, until it is the data
	outbound []*outboundSnapshot // made for raft, not yet sent
}

// newPeer returns the handle of a peer. Its core is made by its write loop, its applier by the maker.
func (s *Store) newPeer(regionID, peerID uint64) *peer {
	p := &peer{store: s, regionID: regionID, id: peerID}
	p.loop = s.writeLoops[regionID%uint64(len(s.writeLoops))]
	p.apply = s.applyLoops[regionID%uint64(len(s.applyLoops))]
	p.applier.p = p
	p.role.Store(&role{})
	return p
}

// progressType is raft's distinction of voters and learners.
type progressType = raft.ProgressType

// initCore makes the raft node from log, whose storage is loaded, and what is applied.
func (p *peer) initCore(log *raftlog.Storage) error {
	p.log = log
	p.appliedIndex, p.appliedTerm = p.applied.Load(), p.at.term
	log.Conf = confState(p.region.Load())
	log.MakeSnapshot = p.makeSnapshot
	log.RaiseCommit(p.appliedIndex)
	if last, _ := log.LastIndex(); last < p.appliedIndex {
		return fmt.Errorf("region %d: applied index %d is beyond the log, which ends at %d", p.regionID, p.appliedIndex, last)
	}
	cfg := &p.store.cfg
	rn, err := raft.NewRawNode(&raft.Config{
		ID:                        p.id,
		ElectionTick:              cfg.ElectionTicks,
		HeartbeatTick:             cfg.HeartbeatTicks,
		Storage:                   log,
		Applied:                   p.appliedIndex,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  32 << 20,
		MaxUncommittedEntriesSize: uint64(cfg.PendingBytesMax),
		MaxInflightMsgs:           256,
		MaxInflightBytes:          64 << 20,
		CheckQuorum:               true,
		PreVote:                   true,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    raftLogger{p.store.log, p.regionID},
	})
	if err != nil {
		return fmt.Errorf("region %d: %w", p.regionID, err)
	}
	p.rn = rn
	p.term = log.HardState().Term
	p.setSole()
	p.publishLog()
	return nil
}

// initialized tells whether the peer has data.
func (p *peer) initialized() bool { return p.region.Load() != nil }

// descriptor is the region, for a leader: as applied, or, of one whose first data is on its way from log to engine, as in the
// snapshot that raft has accepted.
func (p *peer) descriptor() *metapb.Region {
	if r := p.region.Load(); r != nil {
		return r
	}
	return p.applying
}

// setSole notes whether the peer is alone in its group.
func (p *peer) setSole() {
	r := p.region.Load()
	p.sole = r != nil && len(r.Peers) == 1 && r.Peers[0].Id == p.id
}

// onlyVoter tells whether no other peer can be elected, or is asked.
func (p *peer) onlyVoter() bool {
	cs := confState(p.region.Load())
	return len(cs.Voters) == 1 && cs.Voters[0] == p.id
}

// needsTicks tells whether time matters to the peer. The only peer of a region, once elected, needs none. One without data
// does: it may be a voter all the same, and would never find out that the leader it has once heard of is gone.
func (p *peer) needsTicks() bool { return !p.stopped && !(p.sole && p.isLeader) }

// publishLog tells the housekeeper the extent of the log.
func (p *peer) publishLog() {
	last, _ := p.log.LastIndex()
	p.logEnd.Store(last)
	p.logStart.Store(p.log.Truncated())
	p.logBytes.Store(p.log.Bytes())
}

// publishRole makes the peer's place known, keeping the lease while it leads in the same term.
func (p *peer) publishRole(lease time.Time) {
	r := &role{term: p.term, leader: p.findPeer(p.leaderID), isLeader: p.isLeader}
	if p.isLeader {
		r.ready = p.appliedTerm == p.term
		r.always = p.onlyVoter()
		r.alone = p.sole
		r.lease = lease
	}
	p.role.Store(r)
}

// lease is the current lease, if the peer still leads in the term it was given in.
func (p *peer) lease() time.Time {
	if r := p.role.Load(); r.isLeader && r.term == p.term {
		return r.lease
	}
	return time.Time{}
}

// findPeer returns the descriptor of a peer of the group, nil if unknown.
func (p *peer) findPeer(id uint64) *metapb.Peer {
	if id == raft.None {
		return nil
	}
	if m := peerByID(p.region.Load(), id); m != nil {
		return m
	}
	return p.contacts[id]
}

// self is the descriptor of this peer.
func (p *peer) self() *metapb.Peer {
	if m := peerByID(p.region.Load(), p.id); m != nil {
		return m
	}
	return &metapb.Peer{Id: p.id, StoreId: p.store.cfg.StoreID}
}

// raftState is raft's view of the group, without what allocates.
func (p *peer) raftState() raft.BasicStatus { return p.rn.BasicStatus() }

// raftLogger passes raft's messages on. What it calls information is for debugging a region.
type raftLogger struct {
	log    *slog.Logger
	region uint64
}

var _ raft.Logger = raftLogger{}

func (l raftLogger) Debug(v ...any)            {}
func (l raftLogger) Debugf(_ string, _ ...any) {}
func (l raftLogger) Info(v ...any)             {}
func (l raftLogger) Infof(f string, v ...any)  {}
func (l raftLogger) Warning(v ...any)          { l.log.Warn(fmt.Sprint(v...), "region", l.region) }
func (l raftLogger) Warningf(f string, v ...any) {
	l.log.Warn(fmt.Sprintf(f, v...), "region", l.region)
}
func (l raftLogger) Error(v ...any)            { l.log.Error(fmt.Sprint(v...), "region", l.region) }
func (l raftLogger) Errorf(f string, v ...any) { l.log.Error(fmt.Sprintf(f, v...), "region", l.region) }
func (l raftLogger) Fatal(v ...any)            { l.Panic(v...) }
func (l raftLogger) Fatalf(f string, v ...any) { l.Panicf(f, v...) }

// Panic and Panicf report what only a bug can cause; raft relies on their not returning.
func (l raftLogger) Panic(v ...any) {
	panic(fmt.Sprintf("raft of region %d: %s", l.region, fmt.Sprint(v...)))
}
func (l raftLogger) Panicf(f string, v ...any) {
	panic(fmt.Sprintf("raft of region %d: %s", l.region, fmt.Sprintf(f, v...)))
}

// isVote tells whether m asks for a vote that the receiver's contact with its leader should prevent.
func isVote(m *raftpb.Message) bool {
	return (m.Type == raftpb.MsgVote || m.Type == raftpb.MsgPreVote) && string(m.Context) != "CampaignTransfer"
}
