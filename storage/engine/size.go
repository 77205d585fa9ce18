package engine

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/scree-db/scree/storage"
)

// sampleBytes is how much is written between two sampled keys.
const sampleBytes = 16 << 10

// sample stands for the bytes written between it and the sample before it.
type sample struct {
	key   string // with the family byte
	bytes int
}

// samples estimate how many bytes of a key range are in memtables: every 16 KiB of writes one key is noted, and a
// flush forgets those noted before it began. Safe for concurrent use.
type samples struct {
	mu       sync.Mutex
	list     []sample // in the order of the writes
	flushing int      // list[:flushing] is being flushed
	pending  int      // bytes of batches too small for a sample of their own
}

// batchSamples collects the samples of one batch. The first key stands for a batch without samples.
type batchSamples struct {
	list    []sample
	pending int
	first   []byte
}

func (s *batchSamples) add(cf storage.CF, key []byte, n int) {
	if len(s.first) == 0 {
		s.first = familyKey(s.first, cf, key)
	}
	if s.pending += n; s.pending >= sampleBytes {
		s.list = append(s.list, sample{string(familyKey(nil, cf, key)), s.pending})
		s.pending = 0
	}
}

func (s *batchSamples) reset() { *s = batchSamples{list: s.list[:0], first: s.first[:0]} }

func (s *samples) add(b *batchSamples) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, b.list...)
	if s.pending += b.pending; s.pending >= sampleBytes {
		s.list = append(s.list, sample{string(b.first), s.pending})
		s.pending = 0
	}
}

func (s *samples) flushBegin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushing = len(s.list)
}

func (s *samples) flushEnd(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.list = append(s.list[:0:0], s.list[s.flushing:]...)
	}
	s.flushing = 0
}

func (s *samples) bytesIn(lower, upper []byte) (n uint64) {
	lo, hi := string(lower), string(upper)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].key >= lo && s.list[i].key < hi {
			n += uint64(s.list[i].bytes)
		}
	}
	return n
}

// ApproximateBytes estimates the size of [start, end) of a family: compressed blocks on disk, all versions, and a
// sampled share of what is still in memory. Good to about a block and 16 KiB for each batch writer.
func (e *Engine) ApproximateBytes(cf storage.CF, start, end []byte) (uint64, error) {
	lower, upper := familyBounds(cf, start, end)
	if bytes.Compare(lower, upper) >= 0 {
		return 0, nil
	}
	n, err := e.db.EstimateDiskUsage(lower, upper)
	if err != nil {
		return 0, fmt.Errorf("estimate size: %w", err)
	}
	return n + e.unflushed.bytesIn(lower, upper), nil
}
