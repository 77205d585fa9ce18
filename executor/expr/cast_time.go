package expr

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// castFromTimes has the casts of dates and durations.
func castFromTimes() functions {
	return functions{
		tipb.ScalarFuncSig_CastTimeAsInt:      {spec: "t:i", row: castTimeAsInt},
		tipb.ScalarFuncSig_CastTimeAsReal:     {spec: "t:r", row: castTimeAsReal},
		tipb.ScalarFuncSig_CastTimeAsString:   {spec: "t:s", row: castTimeAsString},
		tipb.ScalarFuncSig_CastTimeAsDecimal:  {spec: "t:d", row: castTimeAsDecimal},
		tipb.ScalarFuncSig_CastTimeAsTime:     {spec: "t:t", row: castTimeAsTime},
		tipb.ScalarFuncSig_CastTimeAsDuration: {spec: "t:u", row: castTimeAsDuration},

		tipb.ScalarFuncSig_CastDurationAsInt:      {spec: "u:i", row: castDurationAsInt},
		tipb.ScalarFuncSig_CastDurationAsReal:     {spec: "u:r", row: castDurationAsReal},
		tipb.ScalarFuncSig_CastDurationAsString:   {spec: "u:s", row: castDurationAsString},
		tipb.ScalarFuncSig_CastDurationAsDecimal:  {spec: "u:d", row: castDurationAsDecimal},
		tipb.ScalarFuncSig_CastDurationAsTime:     {spec: "u:t", row: castDurationAsTime, volatile: true},
		tipb.ScalarFuncSig_CastDurationAsDuration: {spec: "u:u", row: castDurationAsDuration},
	}
}

func (f *frame) timeDecimal(i int) value.Decimal {
	return f.a[0].time(i).Decimal(byte(f.args[0].Tp), fsp(f.args[0]))
}

func (f *frame) durDecimal(i int) value.Decimal { return f.a[0].dur(i).Decimal(fsp(f.args[0])) }

func castTimeAsInt(f *frame, i int) error {
	f.out.i64[i] = f.a[0].time(i).Round(0).Number(byte(f.args[0].Tp))
	return nil
}

func castTimeAsReal(f *frame, i int) error {
	f.setReal(i, f.timeDecimal(i).Float64())
	return nil
}

func castTimeAsString(f *frame, i int) error {
	f.out.data = f.a[0].time(i).Append(f.out.data, byte(f.args[0].Tp), fsp(f.args[0]))
	return f.endCast(i)
}

func castTimeAsDecimal(f *frame, i int) error { return f.castDec(i, f.timeDecimal(i)) }

func castTimeAsTime(f *frame, i int) error { return f.putTime(i, f.a[0].time(i), nil) }

func castTimeAsDuration(f *frame, i int) error {
	return f.putDur(i, f.a[0].time(i).Duration(), nil)
}

func castDurationAsInt(f *frame, i int) error {
	f.out.i64[i] = f.a[0].dur(i).Round(0).Number()
	return nil
}

func castDurationAsReal(f *frame, i int) error {
	f.setReal(i, f.durDecimal(i).Float64())
	return nil
}

func castDurationAsString(f *frame, i int) error {
	f.out.data = f.a[0].dur(i).Append(f.out.data, fsp(f.args[0]))
	return f.endCast(i)
}

func castDurationAsDecimal(f *frame, i int) error { return f.castDec(i, f.durDecimal(i)) }

// castDurationAsTime puts the time of day on the statement's date.
func castDurationAsTime(f *frame, i int) error {
	if f.ctx.Now == nil {
		return &UnsupportedError{What: "TIME to DATETIME without a clock"}
	}
	today := value.FromGoTime(f.ctx.Now().In(f.ctx.zone()), 0).DateOnly()
	d := f.a[0].dur(i)
	t, ok := d.At(today)
	if !ok {
		return f.nullTime(i, badDatetime(d.Append(nil, fsp(f.args[0]))))
	}
	return f.putTime(i, t, nil)
}

func castDurationAsDuration(f *frame, i int) error { return f.putDur(i, f.a[0].dur(i), nil) }
