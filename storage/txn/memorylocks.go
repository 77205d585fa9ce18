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
// They belong to one leadership of their region: all commands on their keys pass by here as long as that lasts. A split
// takes them along to the regions that come of it, and before leadership is given away they are stored: see handover.go. A
// leader that dies takes them with it. A lost lock is no lost guarantee: it only kept others from writing. Prewrite finds it
// missing, and goes on if nobody has written since the transaction began, or else aborts.
//
// A lock is read and changed under the latch of its key.
type memoryLocks struct {
	bytes     atomic.Int64 // of all
	bytesMax  int64
	regionMax int64

	known   atomic.Int64 // len(regions), for commands to see without the mutex that there is nothing
	mu      sync.Mutex
	regions map[uint64]*regionLocks
}

// regionLocks are the locks of one region. Under memoryLocks.mu. They stay while there are none, for what version says.
type regionLocks struct {
	term    uint64 // of the leadership in which they were taken, or to which a split gave them
	version uint64 // of the region's epoch: it changes with the bounds
	sealed  bool   // the leadership is about to be given away: no more of them
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

// of returns the locks of a leadership, nil if there are none. Those of an earlier one are dropped. stale says that a
// later one is known, or other bounds: a command that saw the earlier ones must not conclude anything.
func (m *memoryLocks) of(at leadership) (r *regionLocks, stale bool) {
	r = m.regions[at.region]
	switch {
	case r == nil:
		return nil, false
	case at.term < r.term || at.term == r.term && at.version < r.version:
		return nil, true
	case at.term > r.term:
		m.drop(at.region, r)
		return nil, false
	case at.version > r.version:
		m.confine(r, at)
	}
	return r, false
}

// confine drops the locks outside of the bounds that the region has now.
func (m *memoryLocks) confine(r *regionLocks, at leadership) {
	r.version = at.version
	for key, l := range r.locks {
		if !within([]byte(key), at.start, at.end) {
			m.remove(r, key, l)
		}
	}
}

// enter makes the place for the locks of a region.
func (m *memoryLocks) enter(region, term, version uint64) *regionLocks {
	r := &regionLocks{term: term, version: version, locks: make(map[string]*mvcc.Lock)}
	m.regions[region] = r
	m.known.Store(int64(len(m.regions)))
	return r
}

func (m *memoryLocks) drop(region uint64, r *regionLocks) {
	delete(m.regions, region)
	m.known.Store(int64(len(m.regions)))
	m.bytes.Add(-r.bytes)
}

func (m *memoryLocks) add(r *regionLocks, key string, l *mvcc.Lock) {
	n := memoryLockBytes(key, l)
	r.locks[key] = l
	r.bytes += n
	m.bytes.Add(n)
}

func (m *memoryLocks) remove(r *regionLocks, key string, l *mvcc.Lock) {
	delete(r.locks, key)
	n := memoryLockBytes(key, l)
	r.bytes -= n
	m.bytes.Add(-n)
}

// get returns a copy of the lock of an encoded key, nil if there is none in memory. stale is that of.
func (m *memoryLocks) get(at leadership, key []byte) (l *mvcc.Lock, stale bool) {
	if m.known.Load() == 0 {
		return nil, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, stale := m.of(at)
	if r == nil || r.locks[string(key)] == nil {
		return nil, stale
	}
	found := *r.locks[string(key)]
	return &found, false
}

// holds tells whether the lock of an encoded key is in memory.
func (m *memoryLocks) holds(at leadership, key []byte) bool {
	l, _ := m.get(at, key)
	return l != nil
}

// hasRoom tells whether a further lock may be kept.
func (m *memoryLocks) hasRoom(at leadership) bool {
	if m.bytes.Load() >= m.bytesMax {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, stale := m.of(at)
	return !stale && (r == nil || r.bytes < m.regionMax && !r.sealed)
}

// apply makes a command's changes. False if there is no place any more for a further lock: the region has changed since the
// command's snapshot, or its leadership is being given away.
func (m *memoryLocks) apply(at leadership, changes []memoryChange) (ok bool) {
	if len(changes) == 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	ok = true
	for _, c := range changes {
		if r := m.holder(at, c.key); r != nil {
			m.replace(r, c)
		} else if c.lock != nil {
			ok = m.keep(at, c) && ok
		}
	}
	return ok
}

// holder finds the lock of a key whose latch the caller holds: it is the one that the caller saw, wherever a split has
// taken it since.
func (m *memoryLocks) holder(at leadership, key []byte) *regionLocks {
	r := m.regions[at.region]
	if r != nil && (r.locks[string(key)] != nil || r.version == at.version) {
		return r.with(key)
	}
	for _, r := range m.regions {
		if r.with(key) != nil {
			return r
		}
	}
	return nil
}

// with is r if it has a lock of the key.
func (r *regionLocks) with(key []byte) *regionLocks {
	if r.locks[string(key)] == nil {
		return nil
	}
	return r
}

func (m *memoryLocks) replace(r *regionLocks, c memoryChange) {
	m.remove(r, string(c.key), r.locks[string(c.key)])
	if c.lock != nil {
		m.add(r, string(c.key), c.lock)
	}
}

// keep takes in a further lock.
func (m *memoryLocks) keep(at leadership, c memoryChange) bool {
	r, stale := m.of(at)
	switch {
	case stale || r != nil && r.sealed:
		return false
	case r == nil:
		r = m.enter(at.region, at.term, at.version)
	}
	m.add(r, string(c.key), c.lock)
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
	if m.known.Load() == 0 {
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

// retain drops the locks of leaderships that are over: here tells the present term of a region. A region that has none has no
// place here until it has some again.
func (m *memoryLocks) retain(here func(regionID uint64) (term uint64, ok bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.regions {
		if term, ok := here(id); !ok || term > r.term || len(r.locks) == 0 && !r.sealed {
			m.drop(id, r)
		}
	}
}
