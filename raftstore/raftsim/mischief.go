package raftsim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pingcap/kvproto/pkg/eraftpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/scree-db/scree/raftstore"
)

// Mischief is what a cluster suffers, by chance.
type Mischief struct {
	Replicas   int // voters of a region that has all
	RegionsMax int
	Pause      time.Duration // between two, at most
	SplitKey   func(rng *rand.Rand) []byte
	NewPeer    func() (id uint64) // nil: from the simulation's own ids
}

// Torment begins with the mischief. What it returns ends it: machines come back, and the network is well.
func (c *Cluster) Torment(o Mischief) (end func()) {
	if o.NewPeer == nil {
		o.NewPeer = c.driver.id
	}
	over := false
	acts := []func(*Cluster, Mischief){
		(*Cluster).isolate, (*Cluster).isolate, (*Cluster).cutLink, (*Cluster).crashOne, (*Cluster).crashAtSync, (*Cluster).crashAtSync,
		(*Cluster).stallOne, (*Cluster).flushOne, (*Cluster).moveLeader, (*Cluster).moveLeader, (*Cluster).split, (*Cluster).movePeer,
		(*Cluster).movePeer, (*Cluster).changeWeather,
	}
	pause := func() time.Duration { return time.Duration(c.w.rng.Int64N(int64(o.Pause))) }
	c.w.Every(pause, func() {
		if !over {
			acts[c.w.rng.IntN(len(acts))](c, o)
		}
	})
	return func() {
		over = true
		c.net.weather = Weather{}
		clear(c.net.cut)
		for _, m := range c.machines {
			m.disk.Spare()
			m.stalled = 0
		}
	}
}

func (c *Cluster) any() *Machine { return c.machines[c.w.rng.IntN(len(c.machines))] }

// isolate cuts a machine off for a while, both ways or one.
func (c *Cluster) isolate(Mischief) {
	m, way := c.any(), c.w.rng.IntN(3)
	c.w.Note("isolate %d, %d", m.ID, way)
	var links []link
	for _, other := range c.machines {
		if other != m && way != 1 {
			links = append(links, link{m.ID, other.ID})
		}
		if other != m && way != 2 {
			links = append(links, link{other.ID, m.ID})
		}
	}
	c.cut(links...)
}

func (c *Cluster) cutLink(Mischief) {
	a, b := c.any(), c.any()
	c.w.Note("cut %d>%d", a.ID, b.ID)
	c.cut(link{a.ID, b.ID})
}

// cut cuts links and mends them later.
func (c *Cluster) cut(links ...link) {
	for _, l := range links {
		c.net.cut[l] = true
	}
	c.w.After(time.Duration(c.w.rng.Int64N(int64(4*time.Second))), func() {
		for _, l := range links {
			delete(c.net.cut, l)
		}
	})
}

func (c *Cluster) crashOne(Mischief) {
	if m := c.any(); m.Up() {
		m.Crash()
	}
}

// crashAtSync cuts the power before one of the next writes of the log, or in the middle of a flush of the data, or of the
// compactions behind it.
func (c *Cluster) crashAtSync(Mischief) {
	m, n := c.any(), 1+c.w.rng.IntN(6)
	if !m.Up() {
		return
	}
	if c.w.rng.IntN(3) > 0 {
		c.w.Note("store %d: crash at sync %d of the log", m.ID, n)
		m.CutAtSync(n, "log")
		return
	}
	c.w.Note("store %d: crash at sync %d of a flush", m.ID, n)
	m.CutAtSync(n, "data")
	c.w.Fail(m.Flush())
	c.w.bubble.Wait() // for the compactions that it sets off
	m.disk.Spare()
}

func (c *Cluster) stallOne(Mischief) {
	m, d := c.any(), time.Duration(c.w.rng.Int64N(int64(3*time.Second)))
	c.w.Note("store %d: stalls for %v", m.ID, d)
	m.Stall(d)
}

func (c *Cluster) flushOne(Mischief) {
	if m := c.any(); m.Up() {
		c.w.Note("store %d: flush", m.ID)
		c.w.Fail(m.Flush())
	}
}

func (c *Cluster) changeWeather(Mischief) {
	c.net.weather = Weather{Loss: c.w.rng.IntN(100), Twice: c.w.rng.IntN(100), Late: c.w.rng.IntN(200), LateBy: 2 * time.Second}
	if c.w.rng.IntN(2) == 0 {
		c.net.weather = Weather{}
	}
	c.w.Note("weather %v", c.net.weather)
}

// order gives the leader of some region an order, as the placement driver does.
func (c *Cluster) order(what string, make func(raftstore.RegionStatus) *pdpb.RegionHeartbeatResponse) {
	led := c.Led()
	if len(led) == 0 {
		return
	}
	r := led[c.w.rng.IntN(len(led))]
	order := make(r)
	m, _ := c.Leader(r.Region.Id)
	if order == nil || m == nil {
		return
	}
	order.RegionId, order.RegionEpoch = r.Region.Id, r.Region.RegionEpoch
	c.w.Note("store %d: %s: %v", m.ID, what, order)
	m.Raft.Operator(order)
}

func (c *Cluster) moveLeader(Mischief) {
	c.order("move the leader", func(r raftstore.RegionStatus) *pdpb.RegionHeartbeatResponse {
		to := r.Region.Peers[c.w.rng.IntN(len(r.Region.Peers))]
		return &pdpb.RegionHeartbeatResponse{TransferLeader: &pdpb.TransferLeader{Peer: to}}
	})
}

func (c *Cluster) split(o Mischief) {
	if len(c.Led()) >= o.RegionsMax {
		return
	}
	key := o.SplitKey(c.w.rng)
	c.order(fmt.Sprintf("split at %q", key), func(raftstore.RegionStatus) *pdpb.RegionHeartbeatResponse {
		return &pdpb.RegionHeartbeatResponse{SplitRegion: &pdpb.SplitRegion{Policy: pdpb.CheckPolicy_USEKEY, Keys: [][]byte{key}}}
	})
}

// movePeer removes a peer of a region that has all, and gives one to another.
func (c *Cluster) movePeer(o Mischief) {
	c.order("change peers", func(r raftstore.RegionStatus) *pdpb.RegionHeartbeatResponse {
		change := &pdpb.ChangePeer{ChangeType: eraftpb.ConfChangeType_AddNode, Peer: c.missing(r.Region, o)}
		if len(r.Region.Peers) >= o.Replicas && change.Peer.Role != metapb.PeerRole_Learner {
			change = &pdpb.ChangePeer{ChangeType: eraftpb.ConfChangeType_RemoveNode, Peer: r.Region.Peers[c.w.rng.IntN(len(r.Region.Peers))]}
		}
		return &pdpb.RegionHeartbeatResponse{ChangePeer: change}
	})
}

// missing is a new peer on some machine without one, or the learner that there is.
func (c *Cluster) missing(r *metapb.Region, o Mischief) *metapb.Peer {
	for _, p := range r.Peers {
		if p.Role == metapb.PeerRole_Learner {
			return p
		}
	}
	for {
		if m := c.any(); peerOn(r, m.ID) == nil || len(r.Peers) >= len(c.machines) {
			return &metapb.Peer{Id: o.NewPeer(), StoreId: m.ID}
		}
	}
}
