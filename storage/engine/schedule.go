package engine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets as many compactions run as Pebble wants for its backlog, as Pebble's own scheduler does, but none before
// release. While it opens a database Pebble flushes what it has replayed, begins to compact, and then waits for
// compactions under way before it looks for leftover files: after a crash that took longer than everything else.
//
// Pebble calls with its own mutex held but for Done and Unregister; db is called without mu, but for what needs no lock.
type compactions struct {
	mu       sync.Mutex
	db       pebble.DBForCompaction
	running  int
	released bool
	closed   bool
	granting bool       // a goroutine calls db
	idle     *sync.Cond // of mu: granting has ended
}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)

func newCompactions() *compactions {
	c := &compactions{}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// release lets compactions begin. It comes after Open.
func (c *compactions) release() {
	c.mu.Lock()
	before := c.released
	c.released = true
	c.mu.Unlock()
	if !before {
		c.grant()
	}
}

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler: db is not called any more after the return.
func (c *compactions) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.granting {
		c.idle.Wait()
	}
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mayStart() {
		return false, nil
	}
	c.running++
	return true, c
}

func (c *compactions) mayStart() bool {
	return c.released && !c.closed && c.running < c.db.GetAllowedWithoutPermission()
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. It is followed by a TrySchedule, unless Pebble knows
// of one that was refused.
func (c *compactions) UpdateGetAllowedWithoutPermission() { go c.grant() }

// grant starts compactions that were refused before, as far as they may run now.
func (c *compactions) grant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.granting {
		c.idle.Wait()
	}
	for c.mayStart() {
		c.running++
		c.granting = true
		c.mu.Unlock()
		waiting, _ := c.db.GetWaitingCompaction()
		started := waiting && c.db.Schedule(c)
		c.mu.Lock()
		c.granting = false
		c.idle.Broadcast()
		if !started {
			c.running--
			return
		}
	}
}

// Done implements pebble.CompactionGrantHandle.
func (c *compactions) Done() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.grant()
}

// Started implements pebble.CompactionGrantHandle.
func (c *compactions) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
