package txn

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// ManagerOptions configure a Manager. Zero values stand for the defaults named.
type ManagerOptions struct {
	// LockWait is the longest that a pessimistic lock request waits, and the time for one that leaves it to the store:
	// DefaultLockWait by default.
	LockWait time.Duration
	// LockMemory is how many bytes of pessimistic locks are kept in memory instead of being replicated, 64 MiB by default.
	// Negative: none.
	LockMemory int64
	// Detector finds deadlocks; by default one that knows the waits of this store alone.
	Detector Detector
	// After returns a channel that receives when the duration has passed, time.After by default.
	After func(time.Duration) <-chan time.Time
	// Now is the clock by which waits are measured, time.Now by default.
	Now func() time.Time
	// ResponseBytesMax bounds the pairs of one response: beyond it reads fail, 512 MiB by default.
	ResponseBytesMax int
	// Logger is slog.Default() by default.
	Logger *slog.Logger
}

// Manager runs transactional commands. Safe for concurrent use.
type Manager struct {
	store   storage.Store
	conc    *Concurrency
	latches *latches
	memory  *memoryLocks
	recent  *recentWrites
	waits   *lockWaits
	opts    ManagerOptions
	metrics metrics
}

// NewManager returns a manager on store. All users of the store share c.
func NewManager(store storage.Store, c *Concurrency, o ManagerOptions) *Manager {
	o = o.withDefaults()
	return &Manager{
		store: store, conc: c, latches: newLatches(o.Now), memory: newMemoryLocks(o.LockMemory), recent: newRecentWrites(recentBits),
		waits: newLockWaits(), opts: o, metrics: newMetrics(),
	}
}

// DefaultLockWait is the longest wait of a pessimistic lock request.
const DefaultLockWait = time.Second

func (o ManagerOptions) withDefaults() ManagerOptions {
	o.LockWait = cmp.Or(o.LockWait, DefaultLockWait)
	o.LockMemory = cmp.Or(o.LockMemory, 64<<20)
	if o.After == nil {
		o.After = time.After
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Detector == nil {
		o.Detector = loneDetector{NewWaitGraph(o.LockWait, o.Now)}
	}
	if o.ResponseBytesMax == 0 {
		o.ResponseBytesMax = 512 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// RegionOf returns the region a request is meant for: at its leader. What other replicas may serve goes by ReadRegion.
func RegionOf(ctx *kvrpcpb.Context) storage.Region {
	return storage.Region{
		ID: ctx.GetRegionId(), Epoch: ctx.GetRegionEpoch(), Peer: ctx.GetPeer(), Term: ctx.GetTerm(), DiskFullOpt: ctx.GetDiskFullOpt(),
	}
}

// command is the run of one writing request: what it sees, and the changes it asks for.
type command struct {
	m      *Manager
	snap   storage.Snapshot
	reader *mvcc.Reader
	at     storage.Region
	mods   []storage.Modify
	arena  []byte // keys and values of mods
	guard  *guard // in-memory locks, to be withdrawn once mods are applied
	latch  latchSet

	leads   leadership
	changes []memoryChange // of pessimistic locks in memory, to be made once mods are applied

	synced   bool   // max_ts is right for this leadership
	syncedTS uint64 // if so, former leaders have written nothing above it

	// Room for what small commands need.
	latchRoom  [1]uint64
	modRoom    [1]storage.Modify
	readerRoom mvcc.Reader
}

// sortedKeysMin is the number of keys from which on one walk over them beats looking each up.
const sortedKeysMin = 8

// write runs build under the latches of keys (user keys, ascending, not empty) and writes the changes it collects. An
// error of build is returned as it is, and nothing is written.
func (m *Manager) write(ctx context.Context, pb *kvrpcpb.Context, keys [][]byte, build func(c *command) error) error {
	return m.writeAt(ctx, RegionOf(pb), keys, build)
}

func (m *Manager) writeAt(ctx context.Context, at storage.Region, keys [][]byte, build func(c *command) error) error {
	c := &command{m: m, at: at}
	c.latch = newLatchSet(c.latchRoom[:], keys)
	waited, err := m.latches.acquire(ctx, c.latch)
	if err != nil {
		return err
	}
	m.metrics.latchWait.Observe(waited.Seconds())
	if err = c.begin(ctx, keys); err == nil {
		err = join(build(c), c.endReads())
	}
	if err != nil {
		c.end()
		return err
	}
	if len(c.mods) == 0 {
		if !m.memory.apply(c.leads, c.changes) {
			err = staleCommand(c.at.ID)
		}
		c.end()
		return err
	}
	return c.apply(ctx)
}

// begin takes the snapshot of a command.
func (c *command) begin(ctx context.Context, keys [][]byte) (err error) {
	c.at.Lazy = true // most small commands need not look at the data
	if c.snap, err = c.m.store.Snapshot(ctx, c.at); err != nil {
		return err
	}
	// What was checked on this snapshot holds for a write under the same leader and the same bounds only.
	c.at.Term, c.at.Epoch = c.snap.Term(), c.snap.Region().GetRegionEpoch()
	c.leads = leadershipOf(c.snap)
	c.syncedTS, c.synced = c.m.conc.syncedTS(c.at.ID, c.at.Term)
	if err = c.openReader(keys); err != nil {
		return join(err, c.snap.Close())
	}
	return nil
}

// openReader makes the reader for keys, which must lie in the region.
func (c *command) openReader(keys [][]byte) error {
	least, most := keys[0], keys[len(keys)-1]
	first := mvcc.EncodeKey(least)
	last := first
	if len(keys) > 1 {
		last = mvcc.EncodeKey(most)
	}
	if err := join(inRegion(c.snap, least, first), inRegion(c.snap, most, last)); err != nil {
		return err
	}
	if len(keys) < sortedKeysMin {
		c.readerRoom.Init(c.snap)
		c.reader = &c.readerRoom
	} else {
		c.reader = mvcc.NewSortedReader(c.snap, first, last)
	}
	return nil
}

func (c *command) endReads() error { return join(c.reader.Close(), c.snap.Close()) }

// apply writes the changes. Latches and in-memory locks stay until the store knows what became of the write, also if
// the caller goes before: a write applied behind the back of a later command on the same keys would undo its checks.
func (c *command) apply(ctx context.Context) error {
	outcome, err := c.m.store.Submit(c.at, c.mods)
	if err != nil {
		return c.applied(err)
	}
	select {
	case err := <-outcome:
		return c.applied(err)
	case <-ctx.Done():
		go func() { _ = c.applied(<-outcome) }() // nobody is left to tell
		return fmt.Errorf("%w: %w", storage.ErrUndetermined, ctx.Err())
	}
}

// applied ends a command whose write has the outcome err.
func (c *command) applied(err error) error {
	switch {
	case err == nil && !c.m.memory.apply(c.leads, c.changes):
		err = staleCommand(c.at.ID) // what is written is so already when the request is repeated
	case errors.Is(err, storage.ErrUndetermined):
		c.m.memory.apply(c.leads, c.forgotten())
	}
	c.end()
	return err
}

// forgotten takes out of memory what the command would have changed there: what replaces it may be in the store or not.
func (c *command) forgotten() []memoryChange {
	changes := slices.Clone(c.changes)
	for i := range changes {
		changes[i].lock = nil
	}
	return changes
}

func (c *command) end() {
	if c.guard != nil {
		c.m.conc.withdraw(c.guard)
	}
	c.m.latches.release(c.latch)
}

// Retain drops what is kept of regions that have left this store, and the pessimistic locks of leaderships that are over. here
// returns the term that a region's group is in; ok is false if the region has left. It is asked with locks held, and must
// tell the present.
func (m *Manager) Retain(here func(regionID uint64) (term uint64, ok bool)) {
	m.conc.retain(func(id uint64) bool { _, ok := here(id); return ok })
	m.memory.retain(here)
}

// staleCommand is for a command that was overtaken by a change of its region.
func staleCommand(regionID uint64) error {
	return &storage.RegionError{Pb: &errorpb.Error{
		Message:      fmt.Sprintf("region %d has changed under the command", regionID),
		StaleCommand: &errorpb.StaleCommand{},
	}}
}

// inRegion checks a key against the bounds of a snapshot.
func inRegion(snap storage.Snapshot, userKey, encoded []byte) error {
	r := snap.Region()
	if bytes.Compare(encoded, r.StartKey) >= 0 && (len(r.EndKey) == 0 || bytes.Compare(encoded, r.EndKey) < 0) {
		return nil
	}
	return &storage.RegionError{Pb: &errorpb.Error{
		Message: fmt.Sprintf("key %x is not in region %d", userKey, r.Id),
		KeyNotInRegion: &errorpb.KeyNotInRegion{
			Key: encoded, RegionId: r.Id, StartKey: r.StartKey, EndKey: r.EndKey,
		},
	}}
}

// sortedKeys returns the keys in ascending order, without duplicates.
func sortedKeys(keys [][]byte) [][]byte {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, bytes.Compare)
	return slices.CompactFunc(sorted, bytes.Equal)
}

// keyError splits an error into what the response carries and what the method returns.
func keyError(err error) (*kvrpcpb.KeyError, error) {
	if pb, ok := mvcc.KeyError(err); ok {
		return pb, nil
	}
	return nil, err
}

// join keeps a single error as it is, for callers that look at its type.
func join(err, second error) error {
	switch {
	case second == nil:
		return err
	case err == nil:
		return second
	default:
		return errors.Join(err, second)
	}
}
