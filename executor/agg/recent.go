package agg

// recentKeys remembers the numbers of keys that came last, one for each of 256 hashes. Where a few groups have most of the
// rows it answers without the table: an index that needs no bounds check, one comparison and no search.
//
// A slot without a key has one that belongs elsewhere, so that looking needs no other test.
type recentKeys struct {
	slots [256]recentKey
	met   int // slots that were taken when another key came
}

type recentKey struct {
	key uint64
	id  uint32
}

func newRecentKeys() *recentKeys {
	r := &recentKeys{}
	elsewhere := uint64(1)
	for recentSlot(elsewhere) == recentSlot(0) {
		elsewhere++
	}
	r.slots[recentSlot(0)].key = elsewhere
	return r
}

func recentSlot(k uint64) uint8 { return uint8(k * 0x9e3779b97f4a7c15 >> 56) }

// known writes the numbers of words to out as far as it knows them, and returns how far that is.
func (r *recentKeys) known(words []uint64, out []uint32) int {
	out = out[:len(words)]
	for i, k := range words {
		s := &r.slots[recentSlot(k)]
		if s.key != k {
			return i
		}
		out[i] = s.id
	}
	return len(words)
}

// note remembers the number of a key that was not known.
func (r *recentKeys) note(k uint64, id uint32) {
	s := &r.slots[recentSlot(k)]
	if recentSlot(s.key) == recentSlot(k) {
		r.met++
	}
	*s = recentKey{k, id}
}

// helps reports whether it is worth going on after so many rows.
func (r *recentKeys) helps(rows int) bool { return r.met < 64 || r.met < rows/16 }
