package engine

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/scree-db/scree/storage"
)

// presence knows which keys storage.CFLock has. Nearly always the family is empty, or has the few keys that transactions
// are about to commit, but to find that out from tables costs a search in each memtable, which every small transaction would
// pay for.
//
// What it knows is complete with respect to batches whose Commit has returned: changes enter when their batch is committed,
// before anyone hears of it. It may have keys that are gone: those deleted while Survey was reading them.
//
// With more than presenceMax keys it forgets all of them until the next Survey, and so it does after an ingestion.
type presence struct {
	none  atomic.Bool // it is known that there are no keys
	knows atomic.Bool // there is a set: batches collect their changes

	mu       sync.RWMutex
	keys     map[string]struct{} // nil: nothing is known
	complete bool                // it has all keys, not only those put since Survey began
}

// presenceMax bounds the keys in mind, to some 10 MiB. It is a variable for tests.
var presenceMax = 64 << 10

// presenceChange is one change of the family, in a batch.
type presenceChange struct {
	key string
	end string // of a deleted range [key, end)
	op  storage.Op
}

// presenceChanges are those of a batch.
type presenceChanges struct {
	list   []presenceChange
	missed bool // there were others
}

func (c *presenceChanges) reset() {
	clear(c.list)
	c.list, c.missed = c.list[:0], false
}

// collect notes a change for settle.
func (p *presence) collect(c *presenceChanges, op storage.Op, key, end []byte) {
	if c.missed || !p.knows.Load() || len(c.list) == presenceMax {
		c.missed = true
		return
	}
	c.list = append(c.list, presenceChange{string(key), string(end), op})
}

// settle takes in what a batch has changed, after its commit and before anyone hears of that.
func (p *presence) settle(c *presenceChanges) {
	if len(c.list) == 0 && !c.missed {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.missed {
		p.forget()
	}
	if p.keys == nil {
		return
	}
	for i := range c.list {
		p.change(&c.list[i])
	}
	p.judge()
}

func (p *presence) change(c *presenceChange) {
	switch c.op {
	case storage.OpPut:
		p.keys[c.key] = struct{}{}
	case storage.OpDelete:
		delete(p.keys, c.key)
	case storage.OpDeleteRange:
		for k := range p.keys {
			if k >= c.key && (c.end == "" || k < c.end) {
				delete(p.keys, k)
			}
		}
	}
}

// forget and judge want mu held.
func (p *presence) forget() {
	p.keys, p.complete = nil, false
	p.knows.Store(false)
	p.none.Store(false)
}

func (p *presence) judge() {
	if len(p.keys) > presenceMax {
		p.forget()
		return
	}
	p.none.Store(p.complete && len(p.keys) == 0)
}

// Absent is storage.Snapshot's, of the present.
func (e *Engine) Absent(cf storage.CF, key []byte) bool {
	return cf == storage.CFLock && e.presence.absent(key)
}

// absent tells that a key is not there.
func (p *presence) absent(key []byte) bool {
	if p.none.Load() {
		return true
	}
	if !p.knows.Load() {
		return false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, there := p.keys[string(key)]
	return p.complete && !there
}

// Survey reads the keys of storage.CFLock to keep them in mind for Snapshot.Absent, if that is not so already. It is to be
// called from time to time, one call after the other.
func (e *Engine) Survey() error {
	p := &e.presence
	if p.knows.Load() {
		return nil
	}
	p.begin()
	err := e.readLocks(p)
	p.end(err == nil)
	return err
}

func (e *Engine) readLocks(p *presence) error {
	it, err := e.NewIterator(storage.IterOptions{CF: storage.CFLock, NoFillCache: true})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && p.found(it.Key()); ok = it.Next() {
	}
	return errors.Join(it.Error(), it.Close())
}

func (p *presence) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = make(map[string]struct{})
	p.knows.Store(true)
}

func (p *presence) end(ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !ok {
		p.forget()
		return
	}
	p.complete = p.keys != nil // or there were too many
	p.judge()
}

// found enters a key that Survey has read; false if that came to nothing.
func (p *presence) found(key []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		return false
	}
	p.keys[string(key)] = struct{}{}
	p.judge()
	return p.keys != nil
}
