package expr

import (
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// castFromNumbers has the casts whose source is an integer, a real or a decimal.
func castFromNumbers() functions {
	return functions{
		tipb.ScalarFuncSig_CastIntAsInt:      {spec: "i:i", total: true, row: castIntAsInt},
		tipb.ScalarFuncSig_CastIntAsReal:     {spec: "i:r", total: true, row: castIntAsReal},
		tipb.ScalarFuncSig_CastIntAsString:   {spec: "i:s", row: castIntAsString},
		tipb.ScalarFuncSig_CastIntAsDecimal:  {spec: "i:d", row: castIntAsDecimal},
		tipb.ScalarFuncSig_CastIntAsTime:     {spec: "i:t", row: castIntAsTime},
		tipb.ScalarFuncSig_CastIntAsDuration: {spec: "i:u", row: castIntAsDuration},

		tipb.ScalarFuncSig_CastRealAsInt:      {spec: "r:i", row: castRealAsInt},
		tipb.ScalarFuncSig_CastRealAsReal:     {spec: "r:r", total: true, row: castRealAsReal},
		tipb.ScalarFuncSig_CastRealAsString:   {spec: "r:s", row: castRealAsString},
		tipb.ScalarFuncSig_CastRealAsDecimal:  {spec: "r:d", row: castRealAsDecimal},
		tipb.ScalarFuncSig_CastRealAsTime:     {spec: "r:t", row: castRealAsTime},
		tipb.ScalarFuncSig_CastRealAsDuration: {spec: "r:u", row: castRealAsDuration},

		tipb.ScalarFuncSig_CastDecimalAsInt:      {spec: "d:i", row: castDecimalAsInt},
		tipb.ScalarFuncSig_CastDecimalAsReal:     {spec: "d:r", row: castDecimalAsReal},
		tipb.ScalarFuncSig_CastDecimalAsString:   {spec: "d:s", row: castDecimalAsString},
		tipb.ScalarFuncSig_CastDecimalAsDecimal:  {spec: "d:d", bind: bindCastDecimal},
		tipb.ScalarFuncSig_CastDecimalAsTime:     {spec: "d:t", row: castDecimalAsTime},
		tipb.ScalarFuncSig_CastDecimalAsDuration: {spec: "d:u", row: castDecimalAsDuration},
	}
}

// fsp is the number of fraction digits of a temporal type.
func fsp(ft *tipb.FieldType) int { return int(min(max(ft.Decimal, 0), value.MaxFsp)) }

// castIntAsInt changes the sign's meaning and keeps the bits, as CAST does.
func castIntAsInt(f *frame, i int) error {
	f.out.i64[i] = f.a[0].int(i)
	return nil
}

// intAsReal is the integer at row i as a float.
func (v *vec) intAsReal(i int) float64 {
	if v.kind == column.Uint64 {
		return float64(v.uint(i))
	}
	return float64(v.int(i))
}

// setReal stores x with the precision of the result's type.
func (f *frame) setReal(i int, x float64) {
	if f.expr.FieldType.Tp == column.TypeFloat {
		x = float64(float32(x))
	}
	f.out.f64[i] = x
}

func castIntAsReal(f *frame, i int) error {
	f.setReal(i, f.a[0].intAsReal(i))
	return nil
}

func castIntAsString(f *frame, i int) error {
	d := datum.NewInt64(f.a[0].int(i))
	if f.a[0].kind == column.Uint64 {
		d = datum.NewUint64(f.a[0].uint(i))
	}
	f.out.data = d.AppendText(f.out.data, f.args[0])
	return f.endCast(i)
}

// intAsDecimal is the integer at row i as a decimal.
func (v *vec) intAsDecimal(i int) value.Decimal {
	if v.kind == column.Uint64 {
		return value.DecimalFromUint64(v.uint(i))
	}
	return value.DecimalFromInt64(v.int(i))
}

func castIntAsDecimal(f *frame, i int) error { return f.castDec(i, f.a[0].intAsDecimal(i)) }

// castDec stores d rounded to the result's scale; beyond its precision it is clamped, with a warning.
func (f *frame) castDec(i int, d value.Decimal) error {
	ft := f.expr.FieldType
	precision, scale := column.Precision(ft), column.Scale(ft)
	if d.Sign() < 0 && column.IsUnsigned(ft) {
		d = value.Decimal{}
		if err := f.ctx.overflowed(outOfRange("DECIMAL UNSIGNED", "(%d, %d)", precision, scale), beyondCast()); err != nil {
			return err
		}
	}
	d = d.Rescale(scale)
	if !d.FitsIn(precision, scale) {
		if err := f.ctx.overflowed(outOfRange("DECIMAL", "(%d, %d)", precision, scale), beyondCast()); err != nil {
			return err
		}
		d = value.MaxDecimal(precision, scale, d.Sign() < 0)
	}
	return f.putDec(i, d, true)
}

// beyondCast is the warning of a DECIMAL that a cast had to clamp.
func beyondCast() *value.Error {
	return value.Errorf(1264, "Out of range value for column 'CAST' at row 1")
}

// bindCastDecimal widens without looking at digits where the type has room for every value.
func bindCastDecimal(f *frame) (kernel, error) {
	from, to := f.args[0], f.expr.FieldType
	slow := eachRow(func(f *frame, i int) error { return f.castDec(i, f.a[0].dec(i)) })
	step := column.Scale(to) - column.Scale(from)
	ints := column.Precision(to) - column.Scale(to) - column.Precision(from) + column.Scale(from)
	if ka := column.KindOf(from); ka == column.Decimal256 || step < 0 || step > 18 || ints < 0 || column.IsUnsigned(to) {
		return slow, nil
	}
	factor := pow10(step)
	switch column.KindOf(to) {
	case column.Decimal64:
		return func(f *frame, rows rowset) error {
			for j := range rows.len() {
				i := rows.at(j)
				f.out.i64[i] = f.a[0].int(i) * factor
			}
			return nil
		}, nil
	case column.Decimal128:
		return func(f *frame, rows rowset) error {
			for j := range rows.len() {
				i := rows.at(j)
				f.out.d128[i] = f.a[0].to128(i, factor)
			}
			return nil
		}, nil
	default:
		return slow, nil
	}
}

func castIntAsTime(f *frame, i int) error {
	if f.a[0].kind == column.Uint64 && f.a[0].int(i) < 0 {
		return f.nullTime(i, badDatetime([]byte(f.a[0].intText(i))))
	}
	t, err := value.TimeFromNumber(f.a[0].int(i), f.ctx.timeMode())
	return f.putTime(i, t, err)
}

// nullTime makes row i NULL because of a value that is no date or time.
func (f *frame) nullTime(i int, err *value.Error) error {
	f.out.setNull(i)
	return f.ctx.badTime(err)
}

// putTime stores a time that a conversion gave, brought to the result's type. With an error a zero time becomes NULL;
// another is the valid part of its source.
func (f *frame) putTime(i int, t value.Time, err error) error {
	ft := f.expr.FieldType
	if err != nil {
		failure, ok := err.(*value.Error)
		if !ok {
			return err
		}
		if t.IsZero() {
			return f.nullTime(i, failure)
		}
		if err := f.ctx.truncated(failure); err != nil {
			return err
		}
	}
	if t = t.Round(fsp(ft)); ft.Tp == column.TypeDate {
		t = t.DateOnly()
	}
	f.out.i64[i] = int64(t)
	return nil
}

// putDur is putTime for durations. A value beyond the bound is clamped, one with an error that is not partial is NULL.
func (f *frame) putDur(i int, d value.Duration, err error) error {
	if err != nil {
		failure, ok := err.(*value.Error)
		if !ok {
			return err
		}
		if !failure.Partial {
			return f.nullTime(i, failure)
		}
		if err := f.ctx.truncated(failure); err != nil {
			return err
		}
	}
	d, _ = d.Round(fsp(f.expr.FieldType)).Clamp()
	f.out.i64[i] = int64(d)
	return nil
}

func castIntAsDuration(f *frame, i int) error {
	if f.a[0].kind == column.Uint64 && f.a[0].int(i) < 0 {
		return f.nullTime(i, truncatedWrong("time", []byte(f.a[0].intText(i))))
	}
	d, err := value.DurationFromNumber(f.a[0].int(i))
	return f.putDur(i, d, err)
}

// realToInt rounds to the nearest integer, halves to even as MySQL's rint does; clamped tells that it did not fit.
func realToInt(x float64, unsigned bool) (_ int64, clamped bool) {
	x = math.RoundToEven(x)
	switch {
	case math.IsNaN(x):
		return 0, true
	case x < math.MinInt64:
		return math.MinInt64, true
	case x < math.MaxInt64:
		return int64(x), false
	case !unsigned:
		return math.MaxInt64, true
	case x < math.MaxUint64:
		return int64(uint64(x)), false
	default:
		return -1, true
	}
}

func castRealAsInt(f *frame, i int) error { return f.castReal(i, f.a[0].real(i)) }

func (f *frame) castReal(i int, x float64) error {
	n, clamped := realToInt(x, f.out.kind == column.Uint64)
	f.out.i64[i] = n
	if clamped {
		return f.ctx.overflowed(outOfRange(f.intName(), "%g", x), truncatedWrong("INTEGER", f.a[0].realText(i)))
	}
	return nil
}

func castRealAsReal(f *frame, i int) error {
	f.setReal(i, f.a[0].real(i))
	return nil
}

func castRealAsString(f *frame, i int) error {
	f.out.data = datum.AppendFloat(f.out.data, f.a[0].real(i), f.args[0])
	return f.endCast(i)
}

func castRealAsDecimal(f *frame, i int) error { return f.realAsDec(i, f.a[0].real(i)) }

func (f *frame) realAsDec(i int, x float64) error {
	d, err := value.DecimalFromFloat64(x)
	if err != nil {
		ft := f.expr.FieldType
		if err := f.ctx.overflowed(outOfRange("DECIMAL", "%g", x), beyondCast()); err != nil {
			return err
		}
		d = value.MaxDecimal(column.Precision(ft), column.Scale(ft), x < 0)
	}
	return f.castDec(i, d)
}

func castRealAsTime(f *frame, i int) error {
	d, err := value.DecimalFromFloat64(f.a[0].real(i))
	if err != nil {
		return f.nullTime(i, badDatetime(f.a[0].realText(i)))
	}
	t, err := value.TimeFromDecimal(d, fsp(f.expr.FieldType), f.ctx.timeMode())
	return f.putTime(i, t, err)
}

func (v *vec) realText(i int) []byte {
	return datum.AppendFloat(nil, v.real(i), &tipb.FieldType{Tp: column.TypeDouble, Decimal: -1})
}

func castRealAsDuration(f *frame, i int) error {
	d, err := value.DecimalFromFloat64(f.a[0].real(i))
	if err != nil {
		return f.nullTime(i, truncatedWrong("time", f.a[0].realText(i)))
	}
	t, err := value.DurationFromDecimal(d, fsp(f.expr.FieldType))
	return f.putDur(i, t, err)
}

func castDecimalAsInt(f *frame, i int) error { return f.castDecToInt(i, f.a[0].dec(i)) }

func (f *frame) castDecToInt(i int, d value.Decimal) error {
	var ok bool
	if f.out.kind == column.Uint64 {
		var u uint64
		u, ok = d.Uint64()
		f.out.i64[i] = int64(u)
	} else {
		f.out.i64[i], ok = d.Int64()
	}
	if !ok {
		err := truncatedWrong("DECIMAL", d.Append(nil))
		return f.ctx.overflowed(err, err)
	}
	return nil
}

func castDecimalAsReal(f *frame, i int) error {
	f.setReal(i, f.a[0].decAsReal(i))
	return nil
}

// decAsReal divides one exact number by another where both are floats exactly, which rounds once and so rightly.
func (v *vec) decAsReal(i int) float64 {
	const exact = 1 << 53
	if w, ok := v.word(i); ok && w < exact && w > -exact && v.scale <= 15 {
		return float64(w) / float64(pow10(v.scale))
	}
	return v.dec(i).Float64()
}

func castDecimalAsString(f *frame, i int) error {
	f.out.data = f.a[0].dec(i).Append(f.out.data)
	return f.endCast(i)
}

func castDecimalAsTime(f *frame, i int) error {
	t, err := value.TimeFromDecimal(f.a[0].dec(i), fsp(f.expr.FieldType), f.ctx.timeMode())
	return f.putTime(i, t, err)
}

func castDecimalAsDuration(f *frame, i int) error {
	d, err := value.DurationFromDecimal(f.a[0].dec(i), fsp(f.expr.FieldType))
	return f.putDur(i, d, err)
}
