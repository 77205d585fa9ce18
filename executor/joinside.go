package executor

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor/expr"
)

// joinSide is what both sides of a join have.
type joinSide struct {
	in     Operator
	keys   []expr.Expr
	refs   []int // keys that are columns, see columnRefs
	filter *expr.Filter
	// keep: a row that the conditions refuse is not dropped, it matches nothing.
	keep bool
	// convert brings keys to the common type of both sides where it is another than the key's own.
	convert []*tipb.FieldType
}

func (s *joinSide) compile(keys, conds []*tipb.Expr, env *Env) (err error) {
	if s.keys, err = compileAll(keys, s.in.Fields(), env); err != nil {
		return err
	}
	s.refs = columnRefs(keys, len(s.in.Fields()))
	s.convert = make([]*tipb.FieldType, len(keys))
	if len(conds) > 0 {
		s.filter, err = expr.NewFilter(conds, s.in.Fields(), env.Expr)
	}
	return err
}

// unifyKeys finds the types in which the keys of both sides are compared.
func unifyKeys(left, right *joinSide) ([]*tipb.FieldType, error) {
	out := make([]*tipb.FieldType, len(left.keys))
	for i := range out {
		l, r := left.keys[i].Type(), right.keys[i].Type()
		common, err := commonType(l, r)
		if err != nil {
			return nil, err
		}
		if !samePhysical(l, common) {
			left.convert[i] = common
		}
		if !samePhysical(r, common) {
			right.convert[i] = common
		}
		out[i] = common
	}
	return out, nil
}

func samePhysical(a, b *tipb.FieldType) bool {
	if column.KindOf(a) != column.KindOf(b) {
		return false
	}
	return a.Tp != column.TypeDecimal || column.Scale(a) == column.Scale(b)
}

// commonType is the type in which values of two types are equal as bytes if they are equal as numbers.
func commonType(l, r *tipb.FieldType) (*tipb.FieldType, error) {
	lk, rk := column.KindOf(l), column.KindOf(r)
	switch {
	case lk == column.Bytes && rk == column.Bytes:
		if r.Collate >= 0 || r.Collate == -63 { // binary wins
			return r, nil
		}
		return l, nil
	case lk == column.Bytes || rk == column.Bytes:
		return nil, &UnsupportedError{What: "join of a string with a number"}
	case samePhysical(l, r):
		return l, nil
	case lk == column.Float64 || rk == column.Float64:
		return &tipb.FieldType{Tp: column.TypeDouble, Flen: 23, Decimal: -1}, nil
	}
	scale := 0
	for _, ft := range []*tipb.FieldType{l, r} {
		if ft.Tp == column.TypeDecimal {
			scale = max(scale, column.Scale(ft))
		}
	}
	return &tipb.FieldType{Tp: column.TypeDecimal, Flen: column.MaxPrecision, Decimal: int32(scale)}, nil
}

// converted returns the keys in their common types.
func (s *joinSide) converted(keys []arrow.Array) ([]arrow.Array, error) {
	for i, ft := range s.convert {
		if ft == nil {
			continue
		}
		in := s.keys[i].Type()
		b := column.NewBuilder(ft, keys[i].Len())
		for r := range keys[i].Len() {
			d := datum.FromColumn(keys[i], r, in)
			if b.Kind == column.Float64 {
				d = asFloat(d)
			}
			if err := d.AppendTo(b); err != nil {
				return nil, err
			}
		}
		keys[i] = b.Detach()
	}
	return keys, nil
}

func asFloat(d datum.Datum) datum.Datum {
	switch d.Kind() {
	case datum.Int64:
		return datum.NewFloat64(float64(d.Int64()))
	case datum.Uint64:
		return datum.NewFloat64(float64(d.Uint64()))
	case datum.Decimal:
		return datum.NewFloat64(d.Decimal().Float64())
	}
	return d
}
