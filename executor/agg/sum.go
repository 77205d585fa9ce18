package agg

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// exactSum sums integers and decimals in 128 bits a group, which 2^63 values of 64 bits cannot overflow. Wider values
// can: what does not fit spills to the group's 256-bit sum, and the 128 bits start again.
type exactSum struct {
	in    *tipb.FieldType
	scale int
	sums  []sum128
	wide  []decimal256.Num // allocated with the first spill; as long as sums or nil
}

// sum128 is a group's sum: hi·2^64 + lo over n values.
type sum128 struct {
	lo uint64
	hi int64
	n  int64
}

func (s *sum128) add(v int64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(v), 0)
	s.hi += v>>63 + int64(carry)
	s.n++
}

func newExactSum(in *tipb.FieldType) *exactSum {
	s := &exactSum{in: in}
	if isDecimal(column.KindOf(in)) {
		s.scale = column.Scale(in)
	}
	return s
}

func (s *exactSum) resize(groups int) {
	s.sums = grow(s.sums, groups)
	if s.wide != nil {
		s.wide = grow(s.wide, groups)
	}
}

func (s *exactSum) bytes() int64 { return int64(24*cap(s.sums) + 32*cap(s.wide)) }

// add adds the values of a column. counts, if not nil, says for how many values each stands.
func (s *exactSum) add(groups []uint32, a arrow.Array) error {
	valid := column.NullBits(a)
	switch a := a.(type) {
	case *array.Int64:
		s.addInt64(groups, a.Int64Values(), valid)
	case *array.Uint64:
		for i, v := range a.Uint64Values() {
			if column.IsValid(valid, i) {
				s.addNum(groups[i], decimal128.FromU64(v))
			}
		}
	case *array.Decimal128:
		for i, v := range a.Values() {
			if column.IsValid(valid, i) {
				s.addNum(groups[i], v)
			}
		}
	case *array.Decimal256:
		for i, v := range a.Values() {
			if column.IsValid(valid, i) {
				if err := s.addWide(groups[i], v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *exactSum) addInt64(groups []uint32, vals []int64, valid []byte) {
	switch {
	case valid != nil:
		for i, v := range vals {
			if column.IsValid(valid, i) {
				s.sums[groups[i]].add(v)
			}
		}
	case len(s.sums) == 1:
		s.sums[0].addAll(vals)
	default:
		sums := s.sums
		for i, g := range groups {
			sums[g].add(vals[i])
		}
	}
}

// addAll adds the halves of the values apart, each sum safe in 64 bits for up to 2^31 values.
func (s *sum128) addAll(vals []int64) {
	var lo uint64
	var hi int64
	for _, v := range vals {
		lo += uint64(uint32(v))
		hi += v >> 32
	}
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi += int64(carry)
	s.lo, carry = bits.Add64(s.lo, uint64(hi)<<32, 0)
	s.hi += hi>>32 + int64(carry)
	s.n += int64(len(vals))
}

func (s *exactSum) addNum(g uint32, v decimal128.Num) {
	sum := &s.sums[g]
	lo, carry := bits.Add64(sum.lo, v.LowBits(), 0)
	hi, _ := bits.Add64(uint64(sum.hi), uint64(v.HighBits()), carry)
	if overflow := (sum.hi ^ int64(hi)) & (v.HighBits() ^ int64(hi)); overflow < 0 {
		s.spill(g)
		lo, hi = v.LowBits(), uint64(v.HighBits())
	}
	sum.lo, sum.hi = lo, int64(hi)
	sum.n++
}

// spill moves a group's 128 bits to its 256.
func (s *exactSum) spill(g uint32) {
	if s.wide == nil {
		s.wide = make([]decimal256.Num, len(s.sums))
	}
	sum := &s.sums[g]
	s.wide[g] = s.wide[g].Add(decimal256.FromDecimal128(decimal128.New(sum.hi, sum.lo)))
	sum.lo, sum.hi = 0, 0
}

// addWide adds a 256-bit value. A sum beyond 65 digits is an error at once, so that it cannot wrap.
func (s *exactSum) addWide(g uint32, v decimal256.Num) error {
	if narrow, ok := column.Coef128(v); ok {
		s.addNum(g, narrow)
		return nil
	}
	s.spill(g)
	sum := s.wide[g].Add(v)
	if !(value.Decimal{Coef: sum}).FitsIn(column.MaxPrecision, 0) {
		return outOfRange(s.in)
	}
	s.wide[g] = sum
	s.sums[g].n++
	return nil
}

// total is the sum of group g.
func (s *exactSum) total(g int) decimal256.Num {
	sum := decimal256.FromDecimal128(decimal128.New(s.sums[g].hi, s.sums[g].lo))
	if s.wide != nil {
		sum = sum.Add(s.wide[g])
	}
	return sum
}

// column returns the sums of groups [from, to) as numbers of type out; groups without values are NULL.
func (s *exactSum) column(from, to int, out *tipb.FieldType) (arrow.Array, error) {
	b := column.NewBuilder(out, to-from)
	rescale := b.Kind != column.Float64 && isDecimal(b.Kind) && column.Scale(out) != s.scale
	for g := from; g < to; g++ {
		sum := &s.sums[g]
		switch {
		case sum.n == 0:
			b.AppendNull()
		case s.wide == nil && !rescale && b.Kind == column.Decimal128:
			b.AppendDecimal128(decimal128.New(sum.hi, sum.lo))
		default:
			if err := appendNumber(b, value.Decimal{Coef: s.total(g), Scale: int32(s.scale)}); err != nil {
				return nil, err
			}
		}
	}
	return b.Detach(), nil
}

// appendNumber appends a number to a numeric column of any kind.
func appendNumber(b *column.Builder, d value.Decimal) error {
	switch b.Kind {
	case column.Int64:
		v, ok := d.Int64()
		if !ok {
			return outOfRange(b.Type)
		}
		b.AppendInt64(v)
	case column.Uint64:
		v, ok := d.Uint64()
		if !ok {
			return outOfRange(b.Type)
		}
		b.AppendUint64(v)
	case column.Float64:
		b.AppendFloat64(d.Float64())
	default:
		if scale := column.Scale(b.Type); int(d.Scale) != scale {
			d = d.Rescale(scale)
		}
		if !d.FitsIn(column.MaxPrecision, int(d.Scale)) || !b.AppendCoef(d.Coef) {
			return outOfRange(b.Type)
		}
	}
	return nil
}

// realSum sums floats.
type realSum struct {
	in   *tipb.FieldType
	sums []float64
	n    []int64
	buf  []float64
}

func (s *realSum) resize(groups int) { s.sums, s.n = grow(s.sums, groups), grow(s.n, groups) }
func (s *realSum) bytes() int64      { return int64(8*cap(s.sums) + 8*cap(s.n) + 8*cap(s.buf)) }

func (s *realSum) add(groups []uint32, a arrow.Array) error {
	vals := floats(a, s.in, s.buf)
	valid := column.NullBits(a)
	for i, g := range groups {
		if column.IsValid(valid, i) {
			s.sums[g] += vals[i]
			s.n[g]++
		}
	}
	return nil
}

func (s *realSum) column(from, to int, out *tipb.FieldType) (arrow.Array, error) {
	b := column.NewBuilder(out, to-from)
	for g := from; g < to; g++ {
		if s.n[g] == 0 {
			b.AppendNull()
		} else if err := appendReal(b, s.sums[g]); err != nil {
			return nil, err
		}
	}
	return b.Detach(), nil
}

func appendReal(b *column.Builder, v float64) error {
	if b.Kind == column.Float64 {
		b.AppendFloat64(v)
		return nil
	}
	d, err := value.DecimalFromFloat64(v)
	if err != nil {
		return err
	}
	return appendNumber(b, d)
}

// summer is what sum and average share.
type summer interface {
	resize(groups int)
	bytes() int64
	add(groups []uint32, a arrow.Array) error
	column(from, to int, out *tipb.FieldType) (arrow.Array, error)
	// run is Runner's; before may be nil.
	run(restart []bool, before summer, at int) error
}

func newSummer(in *tipb.FieldType) summer {
	if column.KindOf(in) == column.Float64 {
		return &realSum{in: in}
	}
	return newExactSum(in)
}

// sum is SUM: exact for integers and decimals, else in floating point. The sum of no values is NULL.
type sum struct {
	summer
	out *tipb.FieldType
}

func newSum(f *tipb.Expr, args []*tipb.FieldType) (Accumulator, error) {
	if !isNumber(args[0]) {
		return nil, unsupported(f, "of strings")
	}
	return &sum{summer: newSummer(args[0]), out: f.FieldType}, nil
}

func (s *sum) Resize(groups int) { s.resize(groups) }
func (s *sum) Bytes() int64      { return s.bytes() }

func (s *sum) Update(groups []uint32, args []arrow.Array) error { return s.add(groups, args[0]) }
func (s *sum) Merge(groups []uint32, state []arrow.Array) error { return s.add(groups, state[0]) }
func (s *sum) Final(from, to int) (arrow.Array, error)          { return s.column(from, to, s.out) }
func (s *sum) Partial(from, to int) ([]arrow.Array, error) {
	a, err := s.Final(from, to)
	return []arrow.Array{a}, err
}
