package executor

import (
	"sync/atomic"

	"github.com/scree-db/scree/codec/value"
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

// account is one operator's part of the query's memory.
type account struct {
	memory *Memory
	held   int64
	peak   int64
}

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

func (a *account) close() {
	a.memory.Shrink(a.held)
	a.held = 0
}

// memoryMax lets the statistics ask an operator for its peak.
func (a *account) memoryMax() int64 { return a.peak }
