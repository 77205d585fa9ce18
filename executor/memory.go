package executor

import (
	"sync/atomic"

	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/spill"
)

// Memory is the account of one query. Several operator trees of the query may share it. A nil account is unbounded.
type Memory struct {
	limit int64
	used  atomic.Int64
	peak  atomic.Int64
}

// NewMemory makes an account of limit bytes; 0 or less is unbounded.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Grow charges n bytes. Beyond the limit it fails with MySQL error 8175 and charges nothing.
func (m *Memory) Grow(n int64) error {
	if m == nil || n == 0 {
		return nil
	}
	used := m.used.Add(n)
	if m.limit > 0 && used > m.limit && n > 0 {
		m.used.Add(-n)
		return value.Errorf(value.CodeMemoryQuota,
			"Your query has been cancelled due to exceeding the allowed memory limit for a single SQL query: %d bytes", m.limit)
	}
	for {
		peak := m.peak.Load()
		if used <= peak || m.peak.CompareAndSwap(peak, used) {
			return nil
		}
	}
}

// Shrink gives n bytes back.
func (m *Memory) Shrink(n int64) {
	if m != nil {
		m.used.Add(-n)
	}
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

// Operators that can, put what they hold into files when the query has used half of its memory, so that those that cannot
// have the rest. Who holds less than a small share of it has little to give and waits for others to.
const (
	spillAbove = 2  // the part of the limit, 1/2, that is used before anyone spills
	spillShare = 32 // the part, 1/32, that an operator holds before it does
)

// tight reports whether an operator that holds n bytes is to spill.
func (m *Memory) tight(n int64) bool {
	return m != nil && m.limit > 0 && n >= m.limit/spillShare && m.used.Load() > m.limit/spillAbove
}

// share is the n-th part of the limit, at most max bytes.
func (m *Memory) share(n, max int64) int64 {
	if m == nil || m.limit <= 0 {
		return max
	}
	return min(m.limit/n, max)
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
		if !a.memory.tight(n) { // others hold it all
			return false, err
		}
		return true, nil
	}
	return a.memory.tight(n), nil
}

func (a *account) close() {
	a.memory.Shrink(a.held)
	a.held = 0
}

// memoryMax lets the statistics ask an operator for its peak.
func (a *account) memoryMax() int64 { return a.peak }
