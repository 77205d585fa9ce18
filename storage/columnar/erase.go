package columnar

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/scree-db/scree/storage"
)

// erasure is removals that some snapshots lack and some do not.
type erasure struct{ removals []storage.Modify }

// Erasing drops the segments that rely on records being removed from storage.CFWrite, and dooms such builds. removals are of
// kind storage.OpDelete or storage.OpDeleteRange (an empty end is open). It is called before snapshots lack them; erased, once
// all new ones do. removals may be reused after that.
//
// No build that relies on the records begins between the two, as its snapshot might have them or not.
func (s *Store) Erasing(removals []storage.Modify) (erased func()) {
	e := &erasure{removals}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erasing[e] = struct{}{}
	if len(s.segments)+len(s.builds) > 0 {
		var r removed
		for i := range removals {
			r.set(&removals[i])
			s.erase(&r)
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.erasing, e)
	}
}

func (s *Store) erase(r *removed) {
	for _, g := range slices.Clone(s.between(r.start, r.end)) {
		if g.ts < r.ts {
			s.drop(g)
			s.stats.Erased++
		}
	}
	for b := range s.builds {
		if b.ts < r.ts && overlaps(b.start, b.end, r.start, r.end) {
			b.doomed.Store(true)
		}
	}
}

// erases tells whether what a build would rely on is being removed.
func (s *Store) erases(b *Build) bool {
	var r removed
	for e := range s.erasing {
		for i := range e.removals {
			if r.set(&e.removals[i]); b.ts < r.ts && overlaps(b.start, b.end, r.start, r.end) {
				return true
			}
		}
	}
	return false
}

// removed is a removal in terms of user keys: what segments rely on it depends on their range, and on whether the newest
// record that goes was committed after they were read.
type removed struct {
	start, end []byte // encoded; an empty end is open
	ts         uint64 // no record that goes has a higher timestamp
	scratch    []byte
}

// timestampBytes follow the encoded user key in a key of CFWrite. Encoded keys are multiples of groupBytes long, so that keys
// with a timestamp can be told from those without: the bounds of a range may be either.
const (
	timestampBytes = 8
	groupBytes     = 9
)

func hasTimestamp(key []byte) bool {
	return len(key)%groupBytes == timestampBytes && len(key) > timestampBytes
}

// set makes r that of m. A key of another form, such as the bound of a region between raw keys, is taken for an encoded key,
// or for what is in front of one.
func (r *removed) set(m *storage.Modify) {
	r.start, r.end, r.ts = m.Key, m.EndKey, math.MaxUint64
	if hasTimestamp(m.Key) {
		r.start = m.Key[:len(m.Key)-timestampBytes]
	}
	if m.Op == storage.OpDelete {
		r.scratch = append(append(r.scratch[:0], r.start...), 0)
		r.end = r.scratch
	}
	// The records of one user key, newest first.
	if hasTimestamp(m.Key) && (m.Op == storage.OpDelete || bytes.HasPrefix(m.EndKey, r.start)) {
		r.ts = ^binary.BigEndian.Uint64(m.Key[len(r.start):])
	}
}
