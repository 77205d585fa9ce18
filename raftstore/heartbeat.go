package raftstore

import (
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"go.etcd.io/raft/v3/tracker"
)

// heartbeat reports the region to the placement driver.
func (p *peer) heartbeat() {
	region := p.region.Load()
	if !p.isLeader || region == nil {
		return
	}
	pending := p.pendingPeers()
	p.pendingNow = len(pending)
	p.store.placement.RegionHeartbeat(&pdpb.RegionHeartbeatRequest{
		Region:          region,
		Leader:          p.self(),
		Term:            p.term,
		PendingPeers:    pending,
		DownPeers:       p.downPeers(region),
		ApproximateSize: p.size.Load(),
		ApproximateKeys: p.keys.Load(),
	})
}

// pendingPeers are those that lack what the log no longer has.
func (p *peer) pendingPeers() []*metapb.Peer {
	if p.sole {
		return nil
	}
	region, truncated := p.region.Load(), p.log.Truncated()
	var pending []*metapb.Peer
	p.rn.WithProgress(func(id uint64, _ progressType, pr tracker.Progress) {
		if m := peerByID(region, id); m != nil && id != p.id && (pr.State == tracker.StateSnapshot || pr.Match < truncated) {
			pending = append(pending, m)
		}
	})
	slices.SortFunc(pending, func(a, b *metapb.Peer) int { return int(int64(a.Id) - int64(b.Id)) })
	return pending
}

// downElections is after how many elections' time of silence a peer is reported down.
const downElections = 10

func (p *peer) downPeers(region *metapb.Region) []*pdpb.PeerStats {
	limit := p.store.cfg.TickInterval * time.Duration(downElections*p.store.cfg.ElectionTicks)
	var down []*pdpb.PeerStats
	for _, m := range region.Peers {
		heard, ok := p.lastHeard[m.Id]
		if m.Id == p.id || !ok {
			continue
		}
		if silent := p.loop.now.Sub(heard); silent > limit {
			down = append(down, &pdpb.PeerStats{Peer: m, DownSeconds: uint64(silent.Seconds())})
		}
	}
	return down
}
