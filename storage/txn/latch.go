package txn

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
)

// latchShards is a power of two. A command takes each shard's mutex once, as long as it need not wait.
const (
	latchShards     = 64
	latchShardShift = 64 - 6
)

// latches make commands on the same key follow one another, from their snapshot until their write is applied. A latch
// is held by one command; others queue in order of arrival. Latches belong to the hashes of keys and are taken in
// ascending order, all of a command's at once, so commands cannot wait for each other in a circle.
type latches struct {
	shards [latchShards]latchShard
	now    func() time.Time
}

type latchShard struct {
	mu   sync.Mutex
	held map[uint64][]chan struct{} // hash -> commands waiting behind the holder; one is woken by closing its channel
}

func newLatches(now func() time.Time) *latches {
	l := &latches{now: now}
	for i := range l.shards {
		l.shards[i].held = make(map[uint64][]chan struct{})
	}
	return l
}

// latchSet is the hashes of a command's keys, ascending and distinct.
type latchSet []uint64

// newLatchSet makes a set in place of room, or elsewhere if it is too large.
func newLatchSet(room latchSet, keys [][]byte) latchSet {
	set := slices.Grow(room[:0], len(keys))
	for _, k := range keys {
		set = append(set, xxh3.Hash(k))
	}
	slices.Sort(set)
	return slices.Compact(set)
}

func (l *latches) shard(hash uint64) *latchShard { return &l.shards[hash>>latchShardShift] }

// acquire takes all latches of the set and tells how long it has waited for them. It gives up, holding none, when ctx ends.
func (l *latches) acquire(ctx context.Context, set latchSet) (waited time.Duration, err error) {
	for i := 0; i < len(set); {
		s := l.shard(set[i])
		n, wait := s.take(set[i:], set[i]>>latchShardShift)
		i += n
		if wait == nil {
			continue
		}
		asked := l.now()
		select {
		case <-wait:
			waited += l.now().Sub(asked)
			i++
		case <-ctx.Done():
			if s.abandon(set[i], wait) {
				i++
			}
			l.release(set[:i])
			return waited, ctx.Err()
		}
	}
	return waited, nil
}

// take takes latches of set that lie in the shard, up to the first that is held. There it queues and returns what to
// wait for.
func (s *latchShard) take(set latchSet, shard uint64) (n int, wait chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; n < len(set) && set[n]>>latchShardShift == shard; n++ {
		waiters, held := s.held[set[n]]
		if held {
			wait = make(chan struct{})
			s.held[set[n]] = append(waiters, wait)
			return n, wait
		}
		s.held[set[n]] = nil
	}
	return n, nil
}

// abandon leaves the queue. It returns true if the latch has been handed over meanwhile.
func (s *latchShard) abandon(hash uint64, wait chan struct{}) (owned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiters := s.held[hash]
	i := slices.Index(waiters, wait)
	if i < 0 {
		return true
	}
	s.held[hash] = slices.Delete(waiters, i, i+1)
	return false
}

// release hands each latch to the command that has waited longest.
func (l *latches) release(set latchSet) {
	for i := 0; i < len(set); {
		i += l.shard(set[i]).release(set[i:], set[i]>>latchShardShift)
	}
}

func (s *latchShard) release(set latchSet, shard uint64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; n < len(set) && set[n]>>latchShardShift == shard; n++ {
		waiters := s.held[set[n]]
		if len(waiters) == 0 {
			delete(s.held, set[n])
			continue
		}
		s.held[set[n]] = waiters[1:]
		close(waiters[0])
	}
	return n
}
