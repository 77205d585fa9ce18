package agg

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/scree-db/scree/codec/column"
)

// Runner is an accumulator whose groups can become running totals.
type Runner interface {
	Accumulator
	// Run adds to each of the first groups, one for each entry of restart, what the group before it has, unless restart says that
	// it begins anew. Group 0 is added to what group at of before has, an accumulator like this one or nil.
	Run(restart []bool, before Accumulator, at int) error
}

var (
	_ Runner = (*count)(nil)
	_ Runner = (*sum)(nil)
	_ Runner = (*avg)(nil)
	_ Runner = (*extreme[int64])(nil)
)

// Run implements Runner.
func (c *count) Run(restart []bool, before Accumulator, at int) error {
	total := int64(0)
	if before != nil {
		total = before.(*count).counts[at]
	}
	runCounts(c.counts, restart, total)
	return nil
}

func runCounts(counts []int64, restart []bool, total int64) {
	for g, again := range restart {
		if again {
			total = 0
		}
		total += counts[g]
		counts[g] = total
	}
}

// Run implements Runner.
func (s *sum) Run(restart []bool, before Accumulator, at int) error {
	if before == nil {
		return s.run(restart, nil, 0)
	}
	return s.run(restart, before.(*sum).summer, at)
}

// Run implements Runner.
func (a *avg) Run(restart []bool, before Accumulator, at int) error {
	if before == nil {
		runCounts(a.counts, restart, 0)
		return a.run(restart, nil, 0)
	}
	b := before.(*avg)
	runCounts(a.counts, restart, b.counts[at])
	return a.run(restart, b.summer, at)
}

func (s *exactSum) run(restart []bool, before summer, at int) error {
	from, _ := before.(*exactSum)
	if column.KindOf(s.in) != column.Decimal128 && column.KindOf(s.in) != column.Decimal256 {
		var total sum128
		if from != nil {
			total = from.sums[at]
		}
		s.runNarrow(restart, total)
		return nil
	}
	for g, again := range restart {
		if from != nil && !again {
			if err := s.join(uint32(g), from, at); err != nil {
				return err
			}
		}
		from, at = s, g
	}
	return nil
}

// runNarrow is run for values of 64 bits, whose sums cannot leave 128.
func (s *exactSum) runNarrow(restart []bool, total sum128) {
	for g, again := range restart {
		if again {
			total = sum128{}
		}
		v := &s.sums[g]
		var carry uint64
		total.lo, carry = bits.Add64(total.lo, v.lo, 0)
		total.hi += v.hi + int64(carry)
		total.n += v.n
		*v = total
	}
}

// join adds the sum of group at of another to that of group g.
func (s *exactSum) join(g uint32, of *exactSum, at int) error {
	more := of.sums[at]
	if more.n == 0 {
		return nil
	}
	s.addNum(g, decimal128.New(more.hi, more.lo))
	if of.wide == nil {
		return nil
	}
	return s.addWide(g, of.wide[at])
}

func (s *realSum) run(restart []bool, before summer, at int) error {
	total, n := 0.0, int64(0)
	if from, ok := before.(*realSum); ok {
		total, n = from.sums[at], from.n[at]
	}
	for g, again := range restart {
		if again {
			total, n = 0, 0
		}
		total += s.sums[g]
		n += s.n[g]
		s.sums[g], s.n[g] = total, n
	}
	return nil
}

// Run implements Runner.
func (e *extreme[T]) Run(restart []bool, before Accumulator, at int) error {
	var best T
	seen := false
	if before != nil {
		b := before.(*extreme[T])
		best, seen = b.best[at], b.seen[at]
	}
	for g, again := range restart {
		switch {
		case again || !seen || e.seen[g] && e.better(e.best[g], best):
			best, seen = e.best[g], e.seen[g]
		default:
			e.best[g], e.seen[g] = best, true
		}
	}
	return nil
}
