package planner

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// sigFamily lists one function's signatures by class: int, real, decimal, string, time, duration, JSON.
type sigFamily [7]tipb.ScalarFuncSig

var (
	ifSigs = sigFamily{tipb.ScalarFuncSig_IfInt, tipb.ScalarFuncSig_IfReal, tipb.ScalarFuncSig_IfDecimal, tipb.ScalarFuncSig_IfString,
		tipb.ScalarFuncSig_IfTime, tipb.ScalarFuncSig_IfDuration, tipb.ScalarFuncSig_IfJson}
	ifNullSigs = sigFamily{tipb.ScalarFuncSig_IfNullInt, tipb.ScalarFuncSig_IfNullReal, tipb.ScalarFuncSig_IfNullDecimal, tipb.ScalarFuncSig_IfNullString,
		tipb.ScalarFuncSig_IfNullTime, tipb.ScalarFuncSig_IfNullDuration, tipb.ScalarFuncSig_IfNullJson}
	coalesceSigs = sigFamily{tipb.ScalarFuncSig_CoalesceInt, tipb.ScalarFuncSig_CoalesceReal, tipb.ScalarFuncSig_CoalesceDecimal, tipb.ScalarFuncSig_CoalesceString,
		tipb.ScalarFuncSig_CoalesceTime, tipb.ScalarFuncSig_CoalesceDuration, tipb.ScalarFuncSig_CoalesceJson}
	greatestSigs = sigFamily{tipb.ScalarFuncSig_GreatestInt, tipb.ScalarFuncSig_GreatestReal, tipb.ScalarFuncSig_GreatestDecimal, tipb.ScalarFuncSig_GreatestString,
		tipb.ScalarFuncSig_GreatestTime, tipb.ScalarFuncSig_GreatestDuration}
	leastSigs = sigFamily{tipb.ScalarFuncSig_LeastInt, tipb.ScalarFuncSig_LeastReal, tipb.ScalarFuncSig_LeastDecimal, tipb.ScalarFuncSig_LeastString,
		tipb.ScalarFuncSig_LeastTime, tipb.ScalarFuncSig_LeastDuration}
)

func controlFunctions() map[string]fnDef {
	return map[string]fnDef{
		"if": {"xxx", func(b *builder, name string, a []*Expr) (*Expr, error) {
			var err error
			if a[0], err = b.truth(a[0]); err != nil {
				return nil, err
			}
			ft, err := b.unify(a, []int{1, 2})
			if err != nil {
				return nil, err
			}
			return b.call(ifSigs[evalOf(ft)], name, ft, a...)
		}},
		"ifnull": {"xx", func(b *builder, name string, a []*Expr) (*Expr, error) { return b.ifNull(a[0], a[1]) }},
		"nullif": {"xx", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			eq, err := b.compare(cmpEQ, a[0], a[1])
			if err != nil {
				return nil, err
			}
			return b.caseOf([]*Expr{eq, nullConst(), a[0]})
		}},
		"coalesce": {"xx*", func(b *builder, name string, a []*Expr) (*Expr, error) { return b.family(name, coalesceSigs, a) }},
		"greatest": {"xxx*", extreme(greatestSigs)}, "least": {"xxx*", extreme(leastSigs)},
		"any_value": {"x", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return a[0], nil
		}},
		"isnull": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) { return b.isNull(a[0]) }},
		"interval": {"xxx*", func(b *builder, name string, a []*Expr) (*Expr, error) {
			et, sig := evalInt, tipb.ScalarFuncSig_IntervalInt
			for _, e := range a {
				if evalOf(e.Type) != evalInt {
					et, sig = evalReal, tipb.ScalarFuncSig_IntervalReal
				}
			}
			for i := range a {
				var err error
				if a[i], err = b.as(a[i], et); err != nil {
					return nil, err
				}
			}
			return b.call(sig, name, intType(), a...)
		}},
	}
}

// ifNull is IFNULL(e, other).
func (b *builder) ifNull(e, other *Expr) (*Expr, error) {
	a := []*Expr{e, other}
	ft, err := b.unify(a, []int{0, 1})
	if err != nil {
		return nil, err
	}
	if notNull(other.Type) {
		ft = withFlag(ft, column.FlagNotNull, 0)
	}
	return b.call(ifNullSigs[evalOf(ft)], "ifnull", ft, a...)
}

// extreme is GREATEST or LEAST, which compare.
func extreme(sigs sigFamily) makeFn {
	return func(b *builder, name string, a []*Expr) (*Expr, error) {
		if _, err := b.mergeCollation(name, a...); err != nil {
			return nil, err
		}
		return b.family(name, sigs, a)
	}
}

// family makes a call whose arguments and result are all of one type.
func (b *builder) family(name string, sigs sigFamily, a []*Expr) (*Expr, error) {
	places := make([]int, len(a))
	for i := range places {
		places[i] = i
	}
	ft, err := b.unify(a, places)
	if err != nil {
		return nil, err
	}
	sig := sigs[evalOf(ft)]
	if sig == 0 {
		return nil, errNotSupported("%s of this type", name)
	}
	return b.call(sig, name, ft, a...)
}
