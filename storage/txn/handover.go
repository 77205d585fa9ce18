package txn

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage/mvcc"
)

// What becomes of the pessimistic locks in memory when their region changes.
//
// Before leadership is given away they are written through the log, as the last thing that depends on this leader: from
// HandOver on further ones are stored too, until another leads or Resume says that the offer came to nothing. So it is before
// a split, as the new regions may be led elsewhere.
//
// What a hand-over has not reached, a split gives to the regions that come of it, in the step that makes those known. A new
// region's locks are good for its first leader if that is on this store: in this term nobody else can have led it, so nobody
// has written behind the locks. In a later one somebody may have, and they are dropped.

// Split takes the locks of a region along to the regions that its split resulted in, in key order. term is that in which
// the split was proposed, and firstTerm the first in which the new regions can have a leader. It is called before anything is
// read or written under the new descriptors, and does not wait.
func (m *Manager) Split(region, term uint64, regions []*metapb.Region, firstTerm uint64) {
	m.memory.split(region, term, regions, firstTerm)
}

func (m *memoryLocks) split(id, term uint64, regions []*metapb.Region, firstTerm uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent := m.regions[id]
	if parent == nil || parent.term != term {
		return // of a leadership that was over when the split was proposed, and with it the locks
	}
	for _, r := range regions {
		if r.GetId() == id {
			parent.version = r.GetRegionEpoch().GetVersion()
		}
	}
	for key, l := range parent.locks {
		r := regionOfKey(regions, []byte(key))
		if r == nil || r.GetId() == id {
			continue
		}
		child := m.regions[r.GetId()]
		if child == nil {
			child = m.enter(r.GetId(), firstTerm, r.GetRegionEpoch().GetVersion())
		}
		m.remove(parent, key, l)
		m.add(child, key, l)
	}
}

// regionOfKey finds the region of an encoded key among regions in key order, nil if there is none.
func regionOfKey(regions []*metapb.Region, key []byte) *metapb.Region {
	i, found := slices.BinarySearchFunc(regions, key, func(r *metapb.Region, k []byte) int { return bytes.Compare(r.GetStartKey(), k) })
	if !found {
		i--
	}
	if i < 0 || !within(key, regions[i].GetStartKey(), regions[i].GetEndKey()) {
		return nil
	}
	return regions[i]
}

// HandOver stores the locks of a region whose leadership in term is about to be given away, or that is about to be split, and has further ones stored from
// now on. After an error some may be in memory still, and are lost if the leadership ends.
func (m *Manager) HandOver(ctx context.Context, region *metapb.Region, term uint64) error {
	id := region.GetId()
	m.memory.seal(id, term, region.GetRegionEpoch().GetVersion())
	list, at := m.memory.between(id, nil, nil)
	if at != term {
		return nil
	}
	for batch := range slices.Chunk(list, resolveBatch) {
		if err := m.storeLocks(ctx, &kvrpcpb.Context{RegionId: id, Term: term}, batch); err != nil {
			return fmt.Errorf("hand over the pessimistic locks of region %d: %w", id, err)
		}
	}
	return nil
}

// storeLocks moves locks from memory to the store, as far as they are still there.
func (m *Manager) storeLocks(ctx context.Context, pb *kvrpcpb.Context, list []memoryLock) error {
	keys := make([][]byte, len(list))
	for i, l := range list {
		var err error
		if keys[i], err = mvcc.DecodeKey(nil, l.key); err != nil {
			return err
		}
	}
	return m.writeKeys(ctx, pb, keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			l, stale := m.memory.get(c.leads, k.encoded)
			switch {
			case stale:
				return staleCommand(c.at.ID)
			case l != nil:
				c.changes = append(c.changes, memoryChange{key: k.encoded})
				c.storeLock(k.encoded, l)
			}
		}
		return nil
	})
}

// Lose has the requests that wait for locks of a region try again, but for those of keys in left, which may be nil: they
// are to be told where the keys are now. It is called once reads of these keys are refused here, and does not wait.
func (m *Manager) Lose(regionID uint64, left *metapb.Region) {
	m.waits.lose(regionID, left)
}

// Resume keeps locks in memory again: the leadership in term lasts after all, or the split is done.
func (m *Manager) Resume(regionID, term uint64) {
	m.memory.unseal(regionID, term)
}

// seal lets no further locks in. A leadership later than the one known ends that.
func (m *memoryLocks) seal(region, term, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.regions[region]
	if r != nil && r.term < term {
		m.drop(region, r)
		r = nil
	}
	if r == nil {
		r = m.enter(region, term, version)
	}
	r.sealed = r.sealed || r.term == term
}

func (m *memoryLocks) unseal(region, term uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.regions[region]; r != nil && r.term == term {
		r.sealed = false
	}
}
