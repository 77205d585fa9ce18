package txn

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// memoryLocks are the pessimistic locks that are kept here alone, not replicated: what makes taking one as cheap as a
// read. A lock is in memory or in CFLock, never in both.
//
// They belong to one leadership of their region: all commands on their keys pass by here as long as that lasts. A new
// leader knows nothing of them, nor does a region that was split off. A lost lock is no lost guarantee: it only kept others
// from writing. Prewrite finds it missing, and goes on if nobody has written since the transaction began, or else aborts.
//
// A lock is read and changed under the latch of its key.
type memoryLocks struct {
	bytes     atomic.Int64 // of all
	bytesMax  int64
	regionMax int64

	mu      sync.Mutex
	regions map[uint64]*regionLocks
}

// regionLocks are the locks of one region. Under memoryLocks.mu.
type regionLocks struct {
	term    uint64 // of the leadership in which they were taken
	version uint64 // of the region's epoch: it changes with the bounds
	bytes   int64
	locks   map[string]*mvcc.Lock // by encoded key; never changed in place
}

// regionLocksMax is the memory that the locks of one region may take, by memoryLockBytes. A transaction with more of them
// is a large one, for which a lost lock is a great loss; it has its locks replicated.
const regionLocksMax = 512 << 10

func newMemoryLocks(bytesMax int64) *memoryLocks {
	return &memoryLocks{bytesMax: bytesMax, regionMax: regionLocksMax, regions: make(map[uint64]*regionLocks)}
}

func memoryLockBytes(key string, l *mvcc.Lock) int64 {
	const fixed = 320 // the lock, its place in the map
	return int64(len(key)+len(l.Primary)) + fixed
}

// leadership is what locks in memory belong to.
type leadership struct {
	region, term, version uint64
	start, end            []byte // encoded bounds
}

func leadershipOf(snap storage.Snapshot) leadership {
	r := snap.Region()
	return leadership{r.GetId(), snap.Term(), r.GetRegionEpoch().GetVersion(), r.GetStartKey(), r.GetEndKey()}
}

// of returns the locks of a leadership, nil if there are none. Those of an earlier one are dropped, and those that a split
// has taken out of the region.
func (m *memoryLocks) of(at leadership) *regionLocks {
	r := m.regions[at.region]
	switch {
	case r == nil || at.term < r.term || at.term == r.term && at.version < r.version:
		return nil // the snapshot is from before
	case at.term > r.term:
		m.drop(at.region, r)
		return nil
	case at.version > r.version:
		r.version = at.version
		for key, l := range r.locks {
			if !within([]byte(key), at.start, at.end) {
				m.remove(r, key, l)
			}
		}
	}
	return r
}

func (m *memoryLocks) drop(region uint64, r *regionLocks) {
	delete(m.regions, region)
	m.bytes.Add(-r.bytes)
}

func (m *memoryLocks) remove(r *regionLocks, key string, l *mvcc.Lock) {
	delete(r.locks, key)
	n := memoryLockBytes(key, l)
	r.bytes -= n
	m.bytes.Add(-n)
}

// get returns a copy of the lock of an encoded key, nil if there is none in memory.
func (m *memoryLocks) get(at leadership, key []byte) *mvcc.Lock {
	if m.bytes.Load() == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(at)
	if r == nil || r.locks[string(key)] == nil {
		return nil
	}
	l := *r.locks[string(key)]
	return &l
}

// hasRoom tells whether a further lock may be kept.
func (m *memoryLocks) hasRoom(at leadership) bool {
	if m.bytes.Load() >= m.bytesMax {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(at)
	return r == nil || r.bytes < m.regionMax
}

// apply makes a command's changes; false if the region has changed since its snapshot.
func (m *memoryLocks) apply(at leadership, changes []memoryChange) (ok bool) {
	if len(changes) == 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(at)
	if r == nil {
		if m.regions[at.region] != nil {
			return false
		}
		r = &regionLocks{term: at.term, version: at.version, locks: make(map[string]*mvcc.Lock)}
		m.regions[at.region] = r
	}
	for _, c := range changes {
		if old := r.locks[string(c.key)]; old != nil {
			m.remove(r, string(c.key), old)
		}
		if c.lock != nil {
			n := memoryLockBytes(string(c.key), c.lock)
			r.locks[string(c.key)] = c.lock
			r.bytes += n
			m.bytes.Add(n)
		}
	}
	if len(r.locks) == 0 {
		delete(m.regions, at.region)
	}
	return true
}

// memoryChange puts a lock into memory, or takes out that of the key if lock is nil.
type memoryChange struct {
	key  []byte // encoded
	lock *mvcc.Lock
}

// memoryLock is a lock and its encoded key.
type memoryLock struct {
	key  []byte
	lock *mvcc.Lock
}

// between lists the locks of a region on encoded keys in [start, end), an empty end being open, in key order, and the term
// of their leadership: whether that lasts is for a snapshot to tell. One that is taken after this call has what went from
// memory into the store meanwhile.
func (m *memoryLocks) between(region uint64, start, end []byte) (list []memoryLock, term uint64) {
	if m.bytes.Load() == 0 {
		return nil, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.regions[region]
	if r == nil {
		return nil, 0
	}
	for key, l := range r.locks {
		if k := []byte(key); within(k, start, end) {
			list = append(list, memoryLock{k, l})
		}
	}
	slices.SortFunc(list, func(a, b memoryLock) int { return bytes.Compare(a.key, b.key) })
	return list, r.term
}

// within tells whether a key is in [start, end), an empty end being open.
func within(key, start, end []byte) bool {
	return bytes.Compare(key, start) >= 0 && (len(end) == 0 || bytes.Compare(key, end) < 0)
}

// retain drops the locks of regions that this store does not lead any more.
func (m *memoryLocks) retain(leads func(regionID, term uint64) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.regions {
		if !leads(id, r.term) {
			m.drop(id, r)
		}
	}
}
