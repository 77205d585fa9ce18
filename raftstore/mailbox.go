package raftstore

import "sync"

// mailbox is a queue of many senders and one receiver, who takes all that is there at once. It has no bound of its own:
// what enters is bounded by its senders (see Config.PendingBytesMax and writeLoop.receive).
type mailbox[T any] struct {
	mu     sync.Mutex
	items  []T
	enough int // items that the receiver waits for, at least 1
	closed bool
	wake   chan struct{} // of capacity 1: full while there may be enough items
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{enough: 1, wake: make(chan struct{}, 1)} }

// put adds an item; false if nobody will receive it.
func (m *mailbox[T]) put(item T) bool { return m.add(item, false) }

// hasten adds an item for which the receiver is woken, however few there are.
func (m *mailbox[T]) hasten(item T) { m.add(item, true) }

func (m *mailbox[T]) add(item T, urgent bool) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.items = append(m.items, item)
	urgent = urgent || len(m.items) == m.enough
	m.mu.Unlock()
	if urgent {
		m.poke()
	}
	return true
}

// await has the receiver woken when there are as many items, as there may be already.
func (m *mailbox[T]) await(enough int) {
	m.mu.Lock()
	m.enough = enough
	here := len(m.items) >= enough
	m.mu.Unlock()
	if here {
		m.poke()
	}
}

// close is the receiver's last call. It returns what was left.
func (m *mailbox[T]) close() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items, m.closed = nil, true
	return items
}

// poke wakes the receiver.
func (m *mailbox[T]) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take returns all items, giving spare, which the receiver is done with, as the next queue.
func (m *mailbox[T]) take(spare []T) []T {
	clear(spare)
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = spare[:0]
	return items
}
