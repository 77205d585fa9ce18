package mvcc

import (
	"encoding/binary"

	"github.com/scree-db/scree/codec/kvbatch"
)

// NextBatch appends the next visible pairs to b until it has as many as rows or is full; more false is the end. An error
// is as of Next; the pairs before it are in b.
//
// Most of a table is rows with one version, put long ago: a loop of its own takes them, and leaves the rest to Next.
func (s *Scanner) NextBatch(b *kvbatch.Pairs, rows int) (more bool, err error) {
	for b.Len() < rows && !b.Full() {
		if s.behind && !s.locks.pending && !s.opts.Desc {
			s.takePlain(b, rows)
			if b.Len() == rows {
				break
			}
		}
		key, val, ok, err := s.Next()
		if err != nil || !ok {
			return false, err
		}
		b.Append(key, val)
	}
	return true, nil
}

// takePlain appends pairs for as long as each key's newest version is a plain put that is visible. It begins behind a
// key, like nextForward, and ends behind one, or at the first version of a key that takes more care.
func (s *Scanner) takePlain(b *kvbatch.Pairs, rows int) {
	count, old := b.Len(), 0
	last, err := DecodeKey(s.key[:0], s.encoded)
	for left := rows - count; err == nil && left > 0 && !b.Full() && old <= nearSteps; {
		k, record, ok := s.it.NextEntry()
		if s.behind = ok; !ok {
			break
		}
		n := max(len(k)-tsSize, 0)
		had := len(b.Keys.Data)
		var keys []byte
		if keys, err = DecodeKey(b.Keys.Data, k[:n]); err != nil {
			s.behind = false
			break
		}
		key := keys[had:]
		if sameBytes(key, last) {
			old++
			s.stats.TotalKeys++
			continue
		}
		ts := ^binary.BigEndian.Uint64(k[n:])
		val, ok := plainPut(record)
		if !ok || ts > s.opts.TS {
			s.behind = false
			break
		}
		b.Keys.Data = keys
		b.Keys.End()
		b.Values.Append(s.emit(val))
		last, old, s.ts = key, 0, ts
		left--
	}
	s.stats.ProcessedKeys += b.Len() - count
	s.stats.TotalKeys += b.Len() - count
	s.encoded = AppendKey(s.encoded[:0], last)
}

// sameBytes looks at the ends first, where keys of a table differ. Comparing all of a key right after it was written in
// smaller pieces makes the processor wait for them.
func sameBytes(a, b []byte) bool {
	n := len(a)
	return n == len(b) && (n == 0 || a[n-1] == b[n-1]) && string(a) == string(b)
}
