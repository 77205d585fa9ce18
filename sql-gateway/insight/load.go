package insight

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Load counts statements since the start by how long they took: the i-th bucket those of less than 2^i microseconds that are not
// in one before it, the last one all others.
type Load struct {
	Count, Errors uint64
	Buckets       [loadBuckets]uint64
}

const loadBuckets = 28 // to a good two minutes

// Since is what has come on top of an earlier reading.
func (l Load) Since(earlier Load) Load {
	l.Count -= earlier.Count
	l.Errors -= earlier.Errors
	for i := range l.Buckets {
		l.Buckets[i] -= earlier.Buckets[i]
	}
	return l
}

// Quantile is the time within which the share q of the statements was done, as exact as buckets are; 0 without statements.
func (l Load) Quantile(q float64) time.Duration {
	rank := q * float64(l.Count)
	below := 0.0
	for i, n := range l.Buckets {
		if n == 0 {
			continue
		}
		if below+float64(n) >= rank {
			low, high := 0.0, float64(time.Microsecond)*float64(uint64(1)<<i)
			if i > 0 {
				low = high / 2
			}
			return time.Duration(low + (high-low)*(rank-below)/float64(n))
		}
		below += float64(n)
	}
	return 0
}

// load is a Load that grows. Safe for concurrent use.
type load struct {
	errors  atomic.Uint64
	buckets [loadBuckets]atomic.Uint64
}

func (l *load) add(st *Statement) {
	if st.Code != 0 {
		l.errors.Add(1)
	}
	l.buckets[min(bits.Len64(uint64(max(st.Took, 0)/time.Microsecond)), loadBuckets-1)].Add(1)
}

func (l *load) read() Load {
	out := Load{Errors: l.errors.Load()}
	for i := range l.buckets {
		out.Buckets[i] = l.buckets[i].Load()
		out.Count += out.Buckets[i]
	}
	return out
}
