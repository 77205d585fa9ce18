package expr

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// extremeFunctions has GREATEST, LEAST and INTERVAL.
func extremeFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_IntervalInt:             {spec: "ii*:i", nulls: true, bind: bindInterval},
		tipb.ScalarFuncSig_IntervalReal:            {spec: "rr*:i", nulls: true, bind: bindInterval},
		tipb.ScalarFuncSig_GreatestCmpStringAsTime: {spec: "s*:s", row: textTimeRow(1, column.TypeDatetime)},
		tipb.ScalarFuncSig_LeastCmpStringAsTime:    {spec: "s*:s", row: textTimeRow(-1, column.TypeDatetime)},
		tipb.ScalarFuncSig_GreatestCmpStringAsDate: {spec: "s*:s", row: textTimeRow(1, column.TypeDate)},
		tipb.ScalarFuncSig_LeastCmpStringAsDate:    {spec: "s*:s", row: textTimeRow(-1, column.TypeDate)},
	}
	for sign, sigs := range map[int]map[tipb.ScalarFuncSig]string{
		1: {tipb.ScalarFuncSig_GreatestInt: "i", tipb.ScalarFuncSig_GreatestReal: "r", tipb.ScalarFuncSig_GreatestDecimal: "d",
			tipb.ScalarFuncSig_GreatestString: "s", tipb.ScalarFuncSig_GreatestTime: "t", tipb.ScalarFuncSig_GreatestDate: "t",
			tipb.ScalarFuncSig_GreatestDuration: "u"},
		-1: {tipb.ScalarFuncSig_LeastInt: "i", tipb.ScalarFuncSig_LeastReal: "r", tipb.ScalarFuncSig_LeastDecimal: "d",
			tipb.ScalarFuncSig_LeastString: "s", tipb.ScalarFuncSig_LeastTime: "t", tipb.ScalarFuncSig_LeastDate: "t",
			tipb.ScalarFuncSig_LeastDuration: "u"},
	} {
		for sig, letter := range sigs {
			out[sig] = function{spec: letter + letter + "*:" + letter, bind: func(f *frame) (kernel, error) {
				return bindExtreme(f, sign)
			}}
		}
	}
	return out
}

// bindExtreme picks the greatest (sign 1) or least (-1) argument.
func bindExtreme(f *frame, sign int) (kernel, error) {
	orders := make(map[[2]int]orderFn)
	for j := range f.args {
		for k := range j {
			order, err := bindOrder(f, f.args[j], f.args[k])
			if err != nil {
				return nil, err
			}
			orders[[2]int{j, k}] = order
			if evalType(f.args[j]) != etDecimal {
				return eachRow(extremeRow(sign, func(int, int) orderFn { return order })), nil
			}
		}
	}
	return eachRow(extremeRow(sign, func(j, k int) orderFn { return orders[[2]int{j, k}] })), nil
}

func extremeRow(sign int, order func(j, k int) orderFn) rowFn {
	return func(f *frame, i int) error {
		best := 0
		for j := 1; j < len(f.a); j++ {
			if order(j, best)(f.a[j], f.a[best], i)*sign > 0 {
				best = j
			}
		}
		if !f.out.copyRow(i, f.a[best]) {
			return outOfRange("DECIMAL", "%s", f.a[best].dec(i))
		}
		return nil
	}
}

// textTimeRow compares texts as times and gives the best one as text; what is no time makes NULL.
func textTimeRow(sign int, typ byte) rowFn {
	return func(f *frame, i int) error {
		var best value.Time
		for k, a := range f.a {
			t, err := value.ParseTime(a.str(i), typ, value.MaxFsp, f.ctx.zone(), f.ctx.timeMode())
			if err != nil {
				return f.nullTime(i, badDatetime(a.str(i)))
			}
			if k == 0 || t > best && sign > 0 || t < best && sign < 0 {
				best = t
			}
		}
		f.out.data = best.Append(f.out.data, typ, textFsp(best.Micro()))
		f.out.end(i)
		return nil
	}
}

// bindInterval is INTERVAL(x, a, b, ...): how many of the list stand before the first that is greater than x; -1 for NULL.
func bindInterval(f *frame) (kernel, error) {
	orders := make([]orderFn, len(f.args))
	for k := range f.args {
		var err error
		if orders[k], err = bindOrder(f, f.args[0], f.args[k]); err != nil {
			return nil, err
		}
	}
	return eachRow(func(f *frame, i int) error {
		if f.a[0].null(i) {
			return f.setInt(i, -1)
		}
		n := 1
		for n < len(f.a) && (f.a[n].null(i) || orders[n](f.a[0], f.a[n], i) >= 0) {
			n++
		}
		return f.setInt(i, n-1)
	}), nil
}
