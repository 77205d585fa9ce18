package raftsim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// observe checks what must hold after each step: a term of a region has one leader, and a peer goes on.
func (m *Machine) observe() {
	for _, r := range m.Raft.Regions() {
		if r.IsLeader {
			at := leadership{r.Region.GetId(), r.Term}
			if other := m.c.leaders[at]; other != 0 && other != r.PeerID {
				m.c.w.Fail(fmt.Errorf("region %d has two leaders in term %d: peers %d and %d", at.region, at.term, other, r.PeerID))
			}
			m.c.leaders[at] = r.PeerID
		}
		peer := [2]uint64{r.Region.GetId(), r.PeerID}
		if before := m.applied[peer]; r.AppliedIndex < before {
			m.c.w.Fail(fmt.Errorf("store %d, region %d: applied index went back from %d to %d", m.ID, peer[0], before, r.AppliedIndex))
		}
		if r.Region != nil {
			m.applied[peer] = r.AppliedIndex
		}
	}
}

// checkRecovered checks what must hold after a boot: the log has all that the data has lost.
func (m *Machine) checkRecovered() {
	for _, r := range m.Raft.Regions() {
		if r.Region != nil && (r.AppliedIndex+1 < r.FirstIndex || r.AppliedIndex > r.LastIndex) {
			m.c.w.Fail(fmt.Errorf("store %d, region %d: applied up to %d, but the log is [%d, %d]",
				m.ID, r.Region.Id, r.AppliedIndex, r.FirstIndex, r.LastIndex))
		}
	}
}

// Leader is the machine that leads a region with the highest term, with what it says of it; nil if none does.
func (c *Cluster) Leader(region uint64) (*Machine, raftstore.RegionStatus) {
	var best *Machine
	var status raftstore.RegionStatus
	for _, m := range c.machines {
		if !m.Up() {
			continue
		}
		if r, ok := m.Raft.Region(region); ok && r.IsLeader && r.Term > status.Term {
			best, status = m, r
		}
	}
	return best, status
}

// Led are the regions that have leaders, in key order.
func (c *Cluster) Led() []raftstore.RegionStatus {
	seen := map[uint64]bool{}
	var led []raftstore.RegionStatus
	for _, m := range c.machines {
		if !m.Up() {
			continue
		}
		for _, r := range m.Raft.Regions() {
			if id := r.Region.GetId(); id != 0 && !seen[id] {
				seen[id] = true
				if _, status := c.Leader(id); status.Region != nil {
					led = append(led, status)
				}
			}
		}
	}
	slices.SortFunc(led, func(a, b raftstore.RegionStatus) int { return bytes.Compare(a.Region.StartKey, b.Region.StartKey) })
	return led
}

// Agree tells what is still missing until all replicas are the same, and nothing else is anywhere: nil if nothing is.
func (c *Cluster) Agree() error {
	for _, m := range c.machines {
		if !m.Up() {
			return fmt.Errorf("store %d is down", m.ID)
		}
	}
	led := c.Led()
	end := []byte{}
	for i, r := range led {
		if !bytes.Equal(r.Region.StartKey, end) || i > 0 && len(end) == 0 {
			return fmt.Errorf("regions do not meet at %q", end)
		}
		end = r.Region.EndKey
		if err := c.replicasAgree(r); err != nil {
			return fmt.Errorf("region %d: %w", r.Region.Id, err)
		}
	}
	if len(led) == 0 || len(end) > 0 {
		return fmt.Errorf("no region with a leader at %q", end)
	}
	return c.nothingElse(led)
}

func (c *Cluster) replicasAgree(leader raftstore.RegionStatus) error {
	want := uint64(0)
	for i, p := range leader.Region.Peers {
		m := c.machine(p.StoreId)
		r, ok := m.Raft.Region(leader.Region.Id)
		if !ok || r.PeerID != p.Id || r.Region == nil || r.Region.String() != leader.Region.String() {
			return fmt.Errorf("store %d has peer %d of %v, the leader has %v", m.ID, r.PeerID, r.Region, leader.Region)
		}
		if r.AppliedIndex != leader.LastIndex || r.LastIndex != leader.LastIndex {
			return fmt.Errorf("store %d has applied %d of %d, of %d", m.ID, r.AppliedIndex, r.LastIndex, leader.LastIndex)
		}
		sum, err := m.sum(r.Region)
		if err != nil {
			return err
		}
		if i > 0 && sum != want {
			return fmt.Errorf("store %d has other data than store %d", m.ID, leader.Region.Peers[0].StoreId)
		}
		want = sum
	}
	return nil
}

// nothingElse checks that stores have no peers, and no data, but those of the regions led.
func (c *Cluster) nothingElse(led []raftstore.RegionStatus) error {
	for _, m := range c.machines {
		if err := m.noOtherData(led); err != nil {
			return err
		}
		for _, r := range m.Raft.Regions() {
			isLed := func(l raftstore.RegionStatus) bool {
				return l.Region.Id == r.Region.Id && peerOn(l.Region, m.ID) != nil
			}
			if r.Region != nil && !slices.ContainsFunc(led, isLed) {
				return fmt.Errorf("store %d still has peer %d of %v", m.ID, r.PeerID, r.Region)
			}
		}
	}
	return nil
}

// noOtherData looks between the regions that the machine has a peer of.
func (m *Machine) noOtherData(led []raftstore.RegionStatus) error {
	var at []byte
	for _, r := range led {
		if peerOn(r.Region, m.ID) == nil {
			continue
		}
		if len(r.Region.StartKey) > 0 {
			if err := m.empty(at, r.Region.StartKey); err != nil {
				return err
			}
		}
		if at = r.Region.EndKey; len(at) == 0 {
			return nil
		}
	}
	return m.empty(at, nil)
}

func peerOn(r *metapb.Region, store uint64) *metapb.Peer {
	for _, p := range r.GetPeers() {
		if p.StoreId == store {
			return p
		}
	}
	return nil
}

// families are those of regions' data.
var families = []storage.CF{
	storage.CFRawLock, storage.CFRawV2, storage.CFRawWrite, storage.CFDefault, storage.CFLock, storage.CFRaw, storage.CFWrite,
}

// empty tells whether a store has no data in [start, end).
func (m *Machine) empty(start, end []byte) error {
	return m.each(start, end, func(key, _ []byte) error {
		return fmt.Errorf("store %d still has data at %q, which it has no region for", m.ID, key)
	})
}

// sum is a hash of a region's data.
func (m *Machine) sum(region *metapb.Region) (uint64, error) {
	h := fnv.New64a()
	err := m.each(region.StartKey, region.EndKey, func(key, value []byte) error {
		_, err := fmt.Fprintf(h, "%q=%q,", key, value)
		return err
	})
	return h.Sum64(), err
}

func (m *Machine) each(start, end []byte, fn func(key, value []byte) error) error {
	for _, cf := range families {
		it, err := m.Data.NewIterator(storage.IterOptions{CF: cf, Lower: start, Upper: end})
		if err != nil {
			return err
		}
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			err = fn(it.Key(), it.Value())
		}
		if err = errors.Join(err, it.Error(), it.Close()); err != nil {
			return err
		}
	}
	return nil
}
