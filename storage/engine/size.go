package engine

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/scree-db/scree/storage"
)

const (
	// sampleBytes is how much is written between two sampled keys, sampleDeletions how many keys are deleted.
	sampleBytes     = 16 << 10
	sampleDeletions = 256
)

// written counts changes that are in memtables: bytes put, and of CFWrite the records and deletions.
type written struct {
	bytes              int
	records, deletions uint64
}

func (w *written) add(o written) {
	w.bytes += o.bytes
	w.records += o.records
	w.deletions += o.deletions
}

func (w *written) enough() bool { return w.bytes >= sampleBytes || w.deletions >= sampleDeletions }

// sample stands for what was written between it and the sample before it.
type sample struct {
	key string // with the family byte
	written
}

// samples estimate how much of a key range is in memtables: every 16 KiB of writes one key is noted, and a flush
// forgets those noted before it began. Safe for concurrent use.
type samples struct {
	mu             sync.Mutex
	list           []sample // in the order of the writes
	flushing       int      // list[:flushing] is being flushed
	pending        written  // by batches too small for a sample of their own
	ranges         int      // range deletions; the first flushingRanges of them are being flushed
	flushingRanges int
}

// batchSamples collects the samples of one batch. The first key stands for a batch without samples.
type batchSamples struct {
	list    []sample
	pending written
	first   []byte
	ranges  int // range deletions
}

// put notes a key with n bytes, value included.
func (s *batchSamples) put(cf storage.CF, key []byte, n int) {
	w := written{bytes: n}
	if cf == storage.CFWrite {
		w.records = 1
	}
	s.add(cf, key, w)
}

// delete notes the deletion of a write record. Other deletions make no difference to what is estimated.
func (s *batchSamples) delete(cf storage.CF, key []byte) {
	if cf == storage.CFWrite {
		s.add(cf, key, written{deletions: 1})
	}
}

func (s *batchSamples) add(cf storage.CF, key []byte, w written) {
	if len(s.first) == 0 {
		s.first = familyKey(s.first, cf, key)
	}
	if s.pending.add(w); s.pending.enough() {
		s.list = append(s.list, sample{string(familyKey(nil, cf, key)), s.pending})
		s.pending = written{}
	}
}

func (s *batchSamples) reset() { *s = batchSamples{list: s.list[:0], first: s.first[:0]} }

func (s *samples) add(b *batchSamples) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, b.list...)
	s.ranges += b.ranges
	if s.pending.add(b.pending); s.pending.enough() {
		s.list = append(s.list, sample{string(b.first), s.pending})
		s.pending = written{}
	}
}

func (s *samples) flushBegin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushing, s.flushingRanges = len(s.list), s.ranges
}

func (s *samples) flushEnd(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.list = append(s.list[:0:0], s.list[s.flushing:]...)
		s.ranges -= s.flushingRanges
	}
	s.flushing, s.flushingRanges = 0, 0
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

// in counts the records and deletions of [start, end) of CFWrite. A sample of another family stands for the records that
// were written with it.
func (s *samples) in(start, end []byte) (w written) {
	lo, hi := string(start), string(end)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if k := s.list[i].key[1:]; k >= lo && (hi == "" || k < hi) {
			w.add(s.list[i].written)
		}
	}
	return w
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
