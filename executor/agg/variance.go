package agg

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// variance is VAR_POP, VAR_SAMP and their square roots, by Welford's recurrence: the mean and the sum of squared
// distances from it are updated together, which keeps the digits that a difference of large sums would lose. Two partial
// results merge by the same rule (Chan et al.).
type variance struct {
	in     *tipb.FieldType
	out    *tipb.FieldType
	sample bool // divide by n-1
	root   bool
	state  []moments
	buf    []float64
}

// moments are a group's number of values, mean and sum of squared distances from the mean.
type moments struct {
	n        uint64
	mean, m2 float64
}

const momentsSize = 24

// momentsType is the type of moments as a column: three numbers of 8 bytes, little-endian.
func momentsType() *tipb.FieldType {
	return &tipb.FieldType{Tp: column.TypeVarString, Flen: momentsSize, Flag: column.FlagBinary, Collate: -63}
}

func newVariance(f *tipb.Expr, args []*tipb.FieldType) (Accumulator, error) {
	v := &variance{in: args[0], out: f.FieldType}
	if column.KindOf(f.FieldType) != column.Float64 {
		return nil, unsupported(f, "with a result that is not DOUBLE")
	}
	if !merges(f) && !isNumber(args[0]) {
		return nil, unsupported(f, "of strings")
	}
	switch f.Tp {
	case tipb.ExprType_VarSamp:
		v.sample = true
	case tipb.ExprType_StddevSamp:
		v.sample, v.root = true, true
	case tipb.ExprType_Std, tipb.ExprType_Stddev, tipb.ExprType_StddevPop:
		v.root = true
	}
	return v, nil
}

func (v *variance) Resize(groups int) { v.state = grow(v.state, groups) }
func (v *variance) Bytes() int64      { return int64(momentsSize * cap(v.state)) }

func (v *variance) Update(groups []uint32, args []arrow.Array) error {
	vals, valid := floats(args[0], v.in, v.buf), column.NullBits(args[0])
	for i, g := range groups {
		if !column.IsValid(valid, i) {
			continue
		}
		m := &v.state[g]
		m.n++
		delta := vals[i] - m.mean
		m.mean += delta / float64(m.n)
		m.m2 += delta * (vals[i] - m.mean)
	}
	return nil
}

func (v *variance) Merge(groups []uint32, state []arrow.Array) error {
	a, ok := state[0].(*array.Binary)
	if !ok {
		return fmt.Errorf("agg: moments in a column of %s", state[0].DataType())
	}
	for i, g := range groups {
		if a.IsNull(i) {
			continue
		}
		b := a.Value(i)
		if len(b) != momentsSize {
			return fmt.Errorf("agg: moments of %d bytes", len(b))
		}
		v.state[g].merge(moments{n: binary.LittleEndian.Uint64(b),
			mean: math.Float64frombits(binary.LittleEndian.Uint64(b[8:])),
			m2:   math.Float64frombits(binary.LittleEndian.Uint64(b[16:]))})
	}
	return nil
}

func (m *moments) merge(o moments) {
	if o.n == 0 {
		return
	}
	n := float64(m.n + o.n)
	delta := o.mean - m.mean
	m.m2 += o.m2 + delta*delta*float64(m.n)*float64(o.n)/n
	m.mean += delta * float64(o.n) / n
	m.n += o.n
}

func (v *variance) Partial(from, to int) ([]arrow.Array, error) {
	b := column.NewBuilder(momentsType(), to-from)
	var cell []byte
	for _, m := range v.state[from:to] {
		cell = binary.LittleEndian.AppendUint64(cell[:0], m.n)
		cell = binary.LittleEndian.AppendUint64(cell, math.Float64bits(m.mean))
		cell = binary.LittleEndian.AppendUint64(cell, math.Float64bits(m.m2))
		b.AppendBytes(cell)
	}
	return []arrow.Array{b.Detach()}, nil
}

func (v *variance) Final(from, to int) (arrow.Array, error) {
	b := column.NewBuilder(v.out, to-from)
	for _, m := range v.state[from:to] {
		n := float64(m.n)
		if v.sample {
			n--
		}
		if m.n == 0 || n <= 0 {
			b.AppendNull()
			continue
		}
		r := m.m2 / n
		if v.root {
			r = math.Sqrt(r)
		}
		if math.IsNaN(r) || math.IsInf(r, 0) { // beyond DOUBLE, which has no word for it in SQL
			b.AppendNull()
			continue
		}
		b.AppendFloat64(r)
	}
	return b.Detach(), nil
}
