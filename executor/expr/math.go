package expr

import (
	"hash/crc32"
	"math"
	"math/bits"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

func mathFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_Sqrt:      {spec: "r:r", row: domainRow(math.Sqrt, func(x float64) bool { return x >= 0 })},
		tipb.ScalarFuncSig_Exp:       {spec: "r:r", row: finiteRow("exp", math.Exp)},
		tipb.ScalarFuncSig_Log1Arg:   {spec: "r:r", row: logRow(math.Log)},
		tipb.ScalarFuncSig_Log2:      {spec: "r:r", row: logRow(math.Log2)},
		tipb.ScalarFuncSig_Log10:     {spec: "r:r", row: logRow(math.Log10)},
		tipb.ScalarFuncSig_Log2Args:  {spec: "rr:r", row: logBaseRow},
		tipb.ScalarFuncSig_Pow:       {spec: "rr:r", row: powRow},
		tipb.ScalarFuncSig_Sign:      {spec: "r:i", row: signRow},
		tipb.ScalarFuncSig_Sin:       {spec: "r:r", row: finiteRow("sin", math.Sin)},
		tipb.ScalarFuncSig_Cos:       {spec: "r:r", row: finiteRow("cos", math.Cos)},
		tipb.ScalarFuncSig_Tan:       {spec: "r:r", row: finiteRow("tan", math.Tan)},
		tipb.ScalarFuncSig_Cot:       {spec: "r:r", row: cotRow},
		tipb.ScalarFuncSig_Asin:      {spec: "r:r", row: domainRow(math.Asin, withinOne)},
		tipb.ScalarFuncSig_Acos:      {spec: "r:r", row: domainRow(math.Acos, withinOne)},
		tipb.ScalarFuncSig_Atan1Arg:  {spec: "r:r", row: finiteRow("atan", math.Atan)},
		tipb.ScalarFuncSig_Atan2Args: {spec: "rr:r", row: func(f *frame, i int) error { return f.real(i, math.Atan2(f.a[0].real(i), f.a[1].real(i))) }},
		tipb.ScalarFuncSig_Degrees:   {spec: "r:r", row: finiteRow("degrees", func(x float64) float64 { return x * (180 / math.Pi) })},
		tipb.ScalarFuncSig_Radians:   {spec: "r:r", row: finiteRow("radians", func(x float64) float64 { return x * (math.Pi / 180) })},
		tipb.ScalarFuncSig_PI:        {spec: ":r", row: func(f *frame, i int) error { return f.real(i, math.Pi) }},
		tipb.ScalarFuncSig_CRC32:     {spec: "s:i", row: func(f *frame, i int) error { return f.setInt(i, int(crc32.ChecksumIEEE(f.a[0].str(i)))) }},
		tipb.ScalarFuncSig_Conv:      {spec: "sii:s", row: convRow},
		tipb.ScalarFuncSig_BitCount:  {spec: "i:i", row: func(f *frame, i int) error { return f.setInt(i, bits.OnesCount64(f.a[0].uint(i))) }},

		tipb.ScalarFuncSig_RandWithSeedFirstGen: {spec: "i:r", nulls: true, row: seededRandRow},

		tipb.ScalarFuncSig_AbsInt:     {spec: "i:i", row: absIntRow},
		tipb.ScalarFuncSig_AbsUInt:    {spec: "i:i", row: castIntAsInt},
		tipb.ScalarFuncSig_AbsReal:    {spec: "r:r", row: finiteRow("abs", math.Abs)},
		tipb.ScalarFuncSig_AbsDecimal: {spec: "d:d", row: decimalMap(value.Decimal.Abs)},

		tipb.ScalarFuncSig_CeilReal:      {spec: "r:r", row: finiteRow("ceil", math.Ceil)},
		tipb.ScalarFuncSig_CeilIntToInt:  {spec: "i:i", row: castIntAsInt},
		tipb.ScalarFuncSig_CeilIntToDec:  {spec: "i:d", row: castIntAsDecimal},
		tipb.ScalarFuncSig_CeilDecToDec:  {spec: "d:d", row: decimalMap(value.Decimal.Ceil)},
		tipb.ScalarFuncSig_CeilDecToInt:  {spec: "d:i", row: func(f *frame, i int) error { return f.castDecToInt(i, f.a[0].dec(i).Ceil()) }},
		tipb.ScalarFuncSig_FloorReal:     {spec: "r:r", row: finiteRow("floor", math.Floor)},
		tipb.ScalarFuncSig_FloorIntToInt: {spec: "i:i", row: castIntAsInt},
		tipb.ScalarFuncSig_FloorIntToDec: {spec: "i:d", row: castIntAsDecimal},
		tipb.ScalarFuncSig_FloorDecToDec: {spec: "d:d", row: decimalMap(value.Decimal.Floor)},
		tipb.ScalarFuncSig_FloorDecToInt: {spec: "d:i", row: func(f *frame, i int) error { return f.castDecToInt(i, f.a[0].dec(i).Floor()) }},

		tipb.ScalarFuncSig_RoundReal: {spec: "r:r", row: finiteRow("round", math.RoundToEven)},
		tipb.ScalarFuncSig_RoundInt:  {spec: "i:i", row: castIntAsInt},
		tipb.ScalarFuncSig_RoundDec:  {spec: "d:d", row: decimalMap(func(d value.Decimal) value.Decimal { return d.Round(0) })},
		tipb.ScalarFuncSig_RoundWithFracReal: {spec: "ri:r", row: func(f *frame, i int) error {
			return f.real(i, roundReal(f.a[0].real(i), f.digits(i), math.RoundToEven))
		}},
		tipb.ScalarFuncSig_RoundWithFracInt: {spec: "ii:i", row: roundIntRow(true)},
		tipb.ScalarFuncSig_RoundWithFracDec: {spec: "di:d", row: roundDecRow(value.Decimal.Round)},
		tipb.ScalarFuncSig_TruncateReal:     {spec: "ri:r", row: func(f *frame, i int) error { return f.real(i, roundReal(f.a[0].real(i), f.digits(i), math.Trunc)) }},
		tipb.ScalarFuncSig_TruncateInt:      {spec: "ii:i", row: roundIntRow(false)},
		tipb.ScalarFuncSig_TruncateUint:     {spec: "ii:i", row: roundIntRow(false)},
		tipb.ScalarFuncSig_TruncateDecimal:  {spec: "di:d", row: roundDecRow(value.Decimal.Truncate)},

		tipb.ScalarFuncSig_BitAndSig:  {spec: "ii:i", total: true, row: bitRow(func(a, b uint64) uint64 { return a & b })},
		tipb.ScalarFuncSig_BitOrSig:   {spec: "ii:i", total: true, row: bitRow(func(a, b uint64) uint64 { return a | b })},
		tipb.ScalarFuncSig_BitXorSig:  {spec: "ii:i", total: true, row: bitRow(func(a, b uint64) uint64 { return a ^ b })},
		tipb.ScalarFuncSig_LeftShift:  {spec: "ii:i", total: true, row: bitRow(func(a, b uint64) uint64 { return a << b })},
		tipb.ScalarFuncSig_RightShift: {spec: "ii:i", total: true, row: bitRow(func(a, b uint64) uint64 { return a >> b })},
		tipb.ScalarFuncSig_BitNegSig: {spec: "i:i", total: true, row: func(f *frame, i int) error {
			f.out.i64[i] = ^f.a[0].int(i)
			return nil
		}},
	}
}

// real stores a float that is known to be finite.
func (f *frame) real(i int, x float64) error {
	f.out.f64[i] = x
	return nil
}

func bitRow(op func(a, b uint64) uint64) rowFn {
	return func(f *frame, i int) error {
		f.out.i64[i] = int64(op(f.a[0].uint(i), f.a[1].uint(i)))
		return nil
	}
}

// finiteRow fails where the result is not finite.
func finiteRow(name string, fn func(float64) float64) rowFn {
	return func(f *frame, i int) error {
		x := f.a[0].real(i)
		return f.putReal(i, fn(x), "%s(%g)", name, x)
	}
}

// domainRow is NULL outside of the function's domain.
func domainRow(fn func(float64) float64, within func(float64) bool) rowFn {
	return func(f *frame, i int) error {
		x := f.a[0].real(i)
		if !within(x) {
			return f.setNull(i)
		}
		return f.real(i, fn(x))
	}
}

func withinOne(x float64) bool { return x >= -1 && x <= 1 }

// badLog makes row i NULL because of a logarithm of what has none.
func (f *frame) badLog(i int) error {
	f.ctx.Warnings.Add(value.Errorf(3020, "Invalid argument for logarithm"))
	return f.setNull(i)
}

func logRow(fn func(float64) float64) rowFn {
	return func(f *frame, i int) error {
		x := f.a[0].real(i)
		if x <= 0 {
			return f.badLog(i)
		}
		return f.real(i, fn(x))
	}
}

func logBaseRow(f *frame, i int) error {
	base, x := f.a[0].real(i), f.a[1].real(i)
	if base <= 0 || base == 1 || x <= 0 {
		return f.badLog(i)
	}
	return f.real(i, math.Log(x)/math.Log(base))
}

func powRow(f *frame, i int) error {
	a, b := f.a[0].real(i), f.a[1].real(i)
	return f.putReal(i, math.Pow(a, b), "pow(%g,%g)", a, b)
}

func signRow(f *frame, i int) error {
	x := f.a[0].real(i)
	return f.setInt(i, int(b2i(x > 0)-b2i(x < 0)))
}

func cotRow(f *frame, i int) error {
	x := f.a[0].real(i)
	return f.putReal(i, 1/math.Tan(x), "cot(%g)", x)
}

func absIntRow(f *frame, i int) error {
	x := f.a[0].int(i)
	if f.a[0].kind == column.Uint64 || x >= 0 {
		f.out.i64[i] = x
		return nil
	}
	if x == math.MinInt64 {
		return outOfRange("BIGINT", "abs(%d)", x)
	}
	f.out.i64[i] = -x
	return nil
}

func decimalMap(fn func(value.Decimal) value.Decimal) rowFn {
	return func(f *frame, i int) error { return f.putDec(i, fn(f.a[0].dec(i)), true) }
}

// digits is the second argument of ROUND and TRUNCATE, bounded to where it still matters.
func (f *frame) digits(i int) int {
	v := f.a[1]
	n := v.int(i)
	if v.kind == column.Uint64 && n < 0 || n > 400 {
		return 400
	}
	return int(max(n, -400))
}

func roundDecRow(round func(value.Decimal, int) value.Decimal) rowFn {
	return func(f *frame, i int) error {
		digits := max(min(f.digits(i), column.MaxScale), -column.MaxPrecision-1)
		return f.putDec(i, round(f.a[0].dec(i), digits), true)
	}
}

// roundReal rounds at a decimal digit. Where the power of ten overflows nothing is left to round, or nothing of x.
func roundReal(x float64, digits int, round func(float64) float64) float64 {
	power := math.Pow10(digits)
	scaled := x * power
	switch {
	case digits >= 0 && (math.IsInf(power, 0) || math.IsInf(scaled, 0)):
		return x
	case power == 0:
		return 0
	case digits < 0:
		ten := math.Pow10(-digits)
		return round(x/ten) * ten
	default:
		return round(scaled) / power
	}
}

// roundIntRow rounds or cuts an integer before the decimal point.
func roundIntRow(nearest bool) rowFn {
	return func(f *frame, i int) error {
		digits := f.digits(i)
		if digits >= 0 {
			f.out.i64[i] = f.a[0].int(i)
			return nil
		}
		x := f.a[0].wideInt(i)
		if digits < -19 {
			x = wideInt{}
		} else {
			power := uint64(1)
			for range -digits {
				power *= 10
			}
			rest := x.abs % power
			x.abs -= rest
			if carry := uint64(0); nearest && rest >= power-rest {
				if x.abs, carry = bits.Add64(x.abs, power, 0); carry != 0 {
					return outOfRange(f.intName(), "round(%s,%d)", f.a[0].intText(i), digits)
				}
			}
		}
		if !f.putInt(i, x, false) {
			return outOfRange(f.intName(), "round(%s,%d)", f.a[0].intText(i), digits)
		}
		return nil
	}
}

// convRow is CONV(s, from, to): a negative base reads or writes with a sign. Bases are 2 to 36.
func convRow(f *frame, i int) error {
	from, to := f.a[1].int(i), f.a[2].int(i)
	base := func(b int64) bool { return b >= 2 && b <= 36 || b <= -2 && b >= -36 }
	if !base(from) || !base(to) || len(f.a[0].str(i)) == 0 {
		return f.setNull(i)
	}
	n := convRead(trimSpaces(f.a[0].str(i)), int(max(from, -from)), from < 0)
	out := f.out.data
	if to < 0 && int64(n) < 0 {
		out, n = append(out, '-'), -n
	}
	out = append(out, upperText(nil, []byte(strconv.FormatUint(n, int(max(to, -to)))))...)
	f.out.data = out
	f.out.end(i)
	return nil
}

// convRead reads the digits of a base at the front of s. A minus sign gives the two's complement; beyond 64 bits it is the
// bound, of a signed word if signed, else of an unsigned one, for which a negative number is 0.
func convRead(s []byte, base int, signed bool) uint64 {
	neg := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	k := 0
	for k < len(s) {
		if d, err := strconv.ParseUint(string(s[k:k+1]), 36, 8); err != nil || int(d) >= base {
			break
		}
		k++
	}
	if k == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(s[:k]), base, 64)
	if err != nil {
		n = math.MaxUint64
		if neg && !signed {
			n = 0
		}
	}
	if signed {
		n = min(n, math.MaxInt64+uint64(b2i(neg)))
	}
	if neg {
		n = -n
	}
	return n
}

// seededRandRow is the first number of MySQL's generator for a seed.
func seededRandRow(f *frame, i int) error {
	const modulus = 0x3FFFFFFF
	seed := uint32(0)
	if !f.a[0].null(i) {
		seed = uint32(f.a[0].int(i))
	}
	seed1 := uint64(seed*0x10001+55555555) % modulus
	seed2 := uint64(seed*0x10000001) % modulus
	seed1 = (seed1*3 + seed2) % modulus
	return f.real(i, float64(seed1)/modulus)
}
