package agg

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// avg is AVG: a sum and the number of values that went into it. The quotient of an exact sum has the scale of the result
// type (MySQL: four digits more than the argument), rounded half away from zero.
type avg struct {
	summer
	counts []int64
	sum    *tipb.FieldType // of the partial state
	out    *tipb.FieldType
}

func newAvg(f *tipb.Expr, args []*tipb.FieldType) (Accumulator, error) {
	a := &avg{out: f.FieldType}
	in := args[0]
	if merges(f) {
		if len(args) < 2 {
			return nil, unsupported(f, "of a state without a sum")
		}
		in = args[1]
		a.sum = in
	} else {
		a.sum = sumType(in)
	}
	if !isNumber(in) {
		return nil, unsupported(f, "of strings")
	}
	a.summer = newSummer(in)
	return a, nil
}

func (a *avg) Resize(groups int) {
	a.resize(groups)
	a.counts = grow(a.counts, groups)
}

func (a *avg) Bytes() int64 { return a.bytes() + int64(8*cap(a.counts)) }

func (a *avg) Update(groups []uint32, args []arrow.Array) error {
	c := count{counts: a.counts}
	if err := c.Update(groups, args[:1]); err != nil {
		return err
	}
	return a.add(groups, args[0])
}

func (a *avg) Merge(groups []uint32, state []arrow.Array) error {
	c := count{counts: a.counts}
	if err := c.Merge(groups, state[:1]); err != nil {
		return err
	}
	return a.add(groups, state[1])
}

func (a *avg) Partial(from, to int) ([]arrow.Array, error) {
	s, err := a.column(from, to, a.sum)
	if err != nil {
		return nil, err
	}
	return []arrow.Array{integers(bigint(), a.counts[from:to]), s}, nil
}

func (a *avg) Final(from, to int) (arrow.Array, error) {
	b := column.NewBuilder(a.out, to-from)
	for g := from; g < to; g++ {
		if a.counts[g] == 0 {
			b.AppendNull()
			continue
		}
		var err error
		switch s := a.summer.(type) {
		case *realSum:
			err = appendReal(b, s.sums[g]/float64(a.counts[g]))
		case *exactSum:
			err = s.appendMean(b, g, a.counts[g])
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Detach(), nil
}

func (s *exactSum) appendMean(b *column.Builder, g int, n int64) error {
	scale := s.scale + 4
	if isDecimal(b.Kind) {
		scale = column.Scale(b.Type)
	}
	scale = min(max(scale, s.scale), column.MaxScale)
	coef, ok := divide(s.total(g), scale-s.scale, uint64(n))
	if !ok {
		return outOfRange(b.Type)
	}
	return appendNumber(b, value.Decimal{Coef: coef, Scale: int32(scale)})
}

// divide is num·10^digits / n, rounded half away from zero; ok is false if the product does not fit.
func divide(num decimal256.Num, digits int, n uint64) (q decimal256.Num, ok bool) {
	negative := num.Sign() < 0
	if negative {
		num = num.Negate()
	}
	w := num.Array()
	for ; digits > 0; digits -= min(digits, 19) {
		var carry uint64
		m := uint64(value.Pow10Int64(min(digits, 18)))
		if digits >= 19 {
			m *= 10
		}
		for i := range w {
			hi, lo := bits.Mul64(w[i], m)
			var c uint64
			w[i], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		if carry != 0 || w[3]>>63 != 0 {
			return q, false
		}
	}
	var rem uint64
	for i := len(w) - 1; i >= 0; i-- {
		w[i], rem = bits.Div64(rem, w[i], n)
	}
	q = decimal256.New(w[3], w[2], w[1], w[0])
	if rem >= n-rem {
		q = q.Add(decimal256.FromI64(1))
	}
	if negative {
		q = q.Negate()
	}
	return q, true
}
