package executor

import (
	"sync/atomic"

	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/spill"
)

// Memory is an account of memory. A process has one; each query has one that draws on it, and several operator trees of the
// query may share that. A nil account is unbounded.
type Memory struct {
	limit  int64 // 0: none
	within *Memory
	used   atomic.Int64
	peak   atomic.Int64
	active atomic.Int64 // accounts that draw on this one and have something charged
}

// NewMemory makes an account of limit bytes; 0 or less is unbounded.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Query makes an account that draws on m and has a limit of its own; 0 or less is none. There is nothing to close: what is
// charged to it must be given back.
func (m *Memory) Query(limit int64) *Memory { return &Memory{limit: limit, within: m} }

// Grow charges n bytes. Beyond a limit it fails with MySQL error 8175 and charges nothing.
func (m *Memory) Grow(n int64) error {
	if m == nil || n == 0 {
		return nil
	}
	used := m.charge(n)
	if m.limit > 0 && used > m.limit && n > 0 {
		m.charge(-n)
		return m.exceeded()
	}
	if err := m.within.Grow(n); err != nil {
		m.charge(-n)
		return err
	}
	m.notePeak(used)
	return nil
}

// GrowSpare charges n bytes for what cannot go to files, if that leaves the operators that can as much as they use before they
// do: half of the query's memory, and of that of all queries.
func (m *Memory) GrowSpare(n int64) bool {
	if m == nil {
		return true
	}
	used := m.charge(n)
	if m.limit > 0 && used > m.limit/spillAbove || !m.within.GrowSpare(n) {
		m.charge(-n)
		return false
	}
	m.notePeak(used)
	return true
}

// charge counts n bytes here alone, and this account among those that are in use.
func (m *Memory) charge(n int64) (used int64) {
	used = m.used.Add(n)
	switch {
	case m.within == nil || n == 0:
	case used == n && n > 0:
		m.within.active.Add(1)
	case used == 0:
		m.within.active.Add(-1)
	}
	return used
}

func (m *Memory) notePeak(used int64) {
	for {
		peak := m.peak.Load()
		if used <= peak || m.peak.CompareAndSwap(peak, used) {
			return
		}
	}
}

func (m *Memory) exceeded() error {
	if m.within == nil && m.active.Load() > 0 {
		return value.Errorf(value.CodeMemoryQuota,
			"Your query has been cancelled due to exceeding the allowed memory limit for all queries together: %d bytes", m.limit)
	}
	return value.Errorf(value.CodeMemoryQuota,
		"Your query has been cancelled due to exceeding the allowed memory limit for a single SQL query: %d bytes", m.limit)
}

// Overdraw charges n bytes whatever the limits say: for what is there already, and little.
func (m *Memory) Overdraw(n int64) {
	if m != nil && n != 0 {
		m.notePeak(m.charge(n))
		m.within.Overdraw(n)
	}
}

// Shrink gives n bytes back.
func (m *Memory) Shrink(n int64) {
	if m != nil && n != 0 {
		m.charge(-n)
		m.within.Shrink(n)
	}
}

// Limit is the account's own bound in bytes; 0: it has none.
func (m *Memory) Limit() int64 {
	if m == nil {
		return 0
	}
	return m.limit
}

// Used is what is charged now.
func (m *Memory) Used() int64 {
	if m == nil {
		return 0
	}
	return m.used.Load()
}

// Peak is the most that was charged at one time.
func (m *Memory) Peak() int64 {
	if m == nil {
		return 0
	}
	return m.peak.Load()
}

// Operators that can, put what they hold into files when the query, or all queries together, have used half of their
// memory, so that those that cannot have the rest. Who holds less than a small share of it has little to give and waits for
// others to: of the query's memory a fixed share, of the process's one that is the smaller the more queries there are.
const (
	spillAbove = 2  // the part of the limit, 1/2, that is used before anyone spills
	spillShare = 32 // the part, 1/32, that an operator holds before it does
	queryShare = 4  // the part, 1/4, of what each query could have of the process's memory
)

// Tight reports whether an operator that holds n bytes is to spill.
func (m *Memory) Tight(n int64) bool {
	if m == nil {
		return false
	}
	if m.limit > 0 && n >= m.limit/spillShare && m.used.Load() > m.limit/spillAbove {
		return true
	}
	p := m.within
	return p != nil && p.limit > 0 && n >= p.limit/(queryShare*max(p.active.Load(), spillShare/queryShare)) &&
		p.used.Load() > p.limit/spillAbove
}

// bound is what a query can hope for: its limit, or an even part of the process's memory; 0: there is no bound.
func (m *Memory) bound() int64 {
	if m == nil {
		return 0
	}
	if p := m.within; p != nil && p.limit > 0 {
		if even := p.limit / max(p.active.Load(), 1); m.limit <= 0 || even < m.limit {
			return even
		}
	}
	return m.limit
}

// Share is the n-th part of what a query can hope for, at most max bytes.
func (m *Memory) Share(n, max int64) int64 {
	limit := m.bound()
	if limit <= 0 {
		return max
	}
	return min(limit/n, max)
}

// account is one operator's part of the query's memory, and its way out when that is full.
type account struct {
	memory *Memory
	dir    *spill.Dir // nil: no spilling
	held   int64
	peak   int64
}

func newAccount(env *Env) account { return account{memory: env.Memory, dir: env.Spill} }

// set brings the charge to n bytes.
func (a *account) set(n int64) error {
	if n < a.held {
		a.memory.Shrink(a.held - n)
	} else if err := a.memory.Grow(n - a.held); err != nil {
		return err
	}
	a.held = n
	a.peak = max(a.peak, n)
	return nil
}

// resize is set for an operator that can spill, and reports whether it is to do so now. Then what was not to be had is not
// charged either: the operator gives its memory back at once.
func (a *account) resize(n int64) (spill bool, err error) {
	err = a.set(n)
	if a.dir == nil {
		return false, err
	}
	if err != nil {
		if !a.memory.Tight(n) { // others hold it all
			return false, err
		}
		return true, nil
	}
	return a.memory.Tight(n), nil
}

func (a *account) close() {
	a.memory.Shrink(a.held)
	a.held = 0
}

// memoryMax lets the statistics ask an operator for its peak.
func (a *account) memoryMax() int64 { return a.peak }
