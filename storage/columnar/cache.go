package columnar

import (
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/scree-db/scree/codec/column"
)

// cache keeps decoded blocks, within a budget. Each block has a slot, which a hit reads without a lock.
//
// What goes is chosen by a clock: a hand walks round the entries and takes the first that was not used since it last came
// by. A table larger than the cache, scanned again and again, would so lose each block just before it is wanted. Hence
// only one of admitEvery misses gets in once the cache is full: a part of the table stays, and is hit.
type cache struct {
	max          int64
	hits, misses atomic.Uint64

	mu      sync.Mutex
	entries []*cached // the clock's face, in no order
	hand    int
	bytes   int64
	refused int // misses since the last that was let in
}

const admitEvery = 4

// slot is a block's place for its entry. The zero value is empty.
type slot = atomic.Pointer[cached]

type cached struct {
	array arrow.Array
	bytes int64
	used  atomic.Bool
	slot  *slot
	at    int // in entries
}

// get returns what is in a slot; nil if nothing is.
func (c *cache) get(s *slot) arrow.Array {
	e := s.Load()
	if e == nil {
		c.misses.Add(1)
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	c.hits.Add(1)
	return e.array
}

// put offers an array for an empty slot.
func (c *cache) put(s *slot, a arrow.Array) {
	e := &cached{array: a, bytes: column.Size(column.Batch{Cols: []arrow.Array{a}}), slot: s}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Load() != nil || e.bytes > c.max || !c.admits(e) {
		return
	}
	for c.bytes+e.bytes > c.max {
		c.evict()
	}
	e.at = len(c.entries)
	c.entries = append(c.entries, e)
	c.bytes += e.bytes
	s.Store(e)
}

func (c *cache) admits(e *cached) bool {
	if c.bytes+e.bytes <= c.max {
		return true
	}
	c.refused = (c.refused + 1) % admitEvery
	return c.refused == 0
}

// evict takes out one entry; there is one. An entry in use gets a second turn.
func (c *cache) evict() {
	for {
		if c.hand >= len(c.entries) {
			c.hand = 0
		}
		e := c.entries[c.hand]
		if !e.used.Swap(false) {
			c.remove(e)
			return
		}
		c.hand++
	}
}

func (c *cache) remove(e *cached) {
	e.slot.Store(nil)
	last := c.entries[len(c.entries)-1]
	c.entries[e.at], last.at = last, e.at
	c.entries[len(c.entries)-1] = nil
	c.entries = c.entries[:len(c.entries)-1]
	c.bytes -= e.bytes
}

// drop empties slots that nobody will read again.
func (c *cache) drop(slots []slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range slots {
		if e := slots[i].Load(); e != nil {
			c.remove(e)
		}
	}
}

func (c *cache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
