package insight

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Summary is what is known of the statements of one kind in one database. Sums, and Max beside them, are over Count executions.
type Summary struct {
	Since            time.Time // the summary begins
	Type, DB, User   string
	Digest           *Digest
	Count            uint64
	Errors, Warnings uint64
	Latency          Spread
	Parse, Compile   Spread
	Process, Wait    Spread
	Tasks            Total
	TotalKeys        Total
	ProcessedKeys    Total
	Memory           Total
	Affected, Rows   Total
	Prepared         bool
	First, Last      time.Time
	Sample           string // the text of the slowest
	Plan             string // of the slowest, as far as it was slower than planAfter
}

// Spread is a sum of times and their bounds.
type Spread struct{ Sum, Min, Max time.Duration }

func (s *Spread) add(d time.Duration, first bool) {
	s.Sum += d
	s.Max = max(s.Max, d)
	if first || d < s.Min {
		s.Min = d
	}
}

// Total is a sum and the greatest of what it is made of.
type Total struct{ Sum, Max uint64 }

func (t *Total) add(n uint64) {
	t.Sum += n
	t.Max = max(t.Max, n)
}

const (
	// summariesMax bounds the kinds that are known. Beyond it, those that were not seen for longest make room.
	summariesMax = 3000
	// evicted is the part that makes room at a time.
	evicted = 8
	// sampleMax bounds a sample's text, in bytes.
	sampleMax = 4096
	// planAfter: plans of quicker statements are not worth the time to print them.
	planAfter = time.Millisecond
)

// summary holds the kinds by digest and database.
type summary struct {
	mu    sync.Mutex
	since time.Time
	kinds map[kindKey]*Summary
}

type kindKey struct{ hash, db string }

func (s *summary) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.kinds = time.Now(), make(map[kindKey]*Summary)
}

func (s *summary) add(st *Statement) {
	key := kindKey{st.Digest.Hash, st.DB}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[key]
	if k == nil {
		if len(s.kinds) >= summariesMax {
			s.evict()
		}
		k = &Summary{Since: s.since, Type: st.Type, DB: strings.Clone(st.DB), Digest: st.Digest, First: st.Begin}
		s.kinds[key] = k
	}
	k.add(st)
}

func (k *Summary) add(st *Statement) {
	first := k.Count == 0
	if first || st.Took > k.Latency.Max {
		k.Sample, k.User = clip(st.Text), strings.Clone(st.User)
		if st.Plan != nil && st.Took >= planAfter && st.Took > 2*k.Latency.Max {
			k.Plan = st.Plan()
		}
	}
	k.Count++
	if st.Code != 0 {
		k.Errors++
	}
	k.Warnings += uint64(st.Warnings)
	k.Latency.add(st.Took, first)
	k.Parse.add(st.Parse, first)
	k.Compile.add(st.Compile, first)
	k.Process.add(st.Stores.Process, first)
	k.Wait.add(st.Stores.Wait, first)
	k.Tasks.add(uint64(st.Stores.Tasks))
	k.TotalKeys.add(st.Stores.TotalKeys)
	k.ProcessedKeys.add(st.Stores.ProcessedKeys)
	k.Memory.add(uint64(max(st.MemoryMax, 0)))
	k.Affected.add(st.Affected)
	k.Rows.add(st.Rows)
	k.Prepared = st.Prepared
	k.Last = st.Begin
}

// evict forgets the kinds that were not seen for longest.
func (s *summary) evict() {
	all := make([]kindKey, 0, len(s.kinds))
	for key := range s.kinds {
		all = append(all, key)
	}
	slices.SortFunc(all, func(a, b kindKey) int { return s.kinds[a].Last.Compare(s.kinds[b].Last) })
	for _, key := range all[:len(all)/evicted] {
		delete(s.kinds, key)
	}
}

func (s *summary) list() []Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Summary, 0, len(s.kinds))
	for _, k := range s.kinds {
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(b.Latency.Sum, a.Latency.Sum), cmp.Compare(a.Digest.Hash, b.Digest.Hash))
	})
	return out
}

// clip copies a text, as far as a sample goes.
func clip(text string) string {
	if len(text) > sampleMax {
		return strings.ToValidUTF8(text[:sampleMax], "") + " ..."
	}
	return strings.Clone(text)
}
