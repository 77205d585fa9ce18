package expr

import (
	"bytes"
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// dateAddFunctions has DATE_ADD and DATE_SUB: AddDate<date><interval>(date, interval, unit) for every evaluation type of
// both. A date given as text or number gives text; a date gives a date; a time gives a time, or a datetime of today
// where the unit is of the calendar. The signatures are found by name, which follows that pattern throughout.
func dateAddFunctions() functions {
	out := functions{}
	letters := []struct {
		name   string
		letter etype
	}{{"String", etString}, {"Int", etInt}, {"Real", etReal}, {"Decimal", etDecimal}, {"Datetime", etTime}, {"Duration", etDuration}}
	for _, date := range letters {
		for _, span := range letters[:4] {
			for _, sub := range []bool{false, true} {
				name := "AddDate" + date.name + span.name
				if sub {
					name = "SubDate" + date.name + span.name
				}
				spec := string([]byte{byte(date.letter), byte(span.letter), 's', ':'})
				add := &dateAdd{sub: sub, date: date.letter}
				switch date.letter {
				case etTime:
					addNamed(out, name, function{spec: spec + "t", row: add.onTime})
				case etDuration:
					addNamed(out, name, function{spec: spec + "u", row: add.onDuration})
					addNamed(out, name+"Datetime", function{spec: spec + "t", row: add.onToday, volatile: true})
				default:
					addNamed(out, name, function{spec: spec + "s", row: add.onText})
				}
			}
		}
	}
	return out
}

// addNamed registers a signature by its name, if the protocol has it.
func addNamed(out functions, name string, fn function) {
	if sig, ok := tipb.ScalarFuncSig_value[name]; ok {
		out[tipb.ScalarFuncSig(sig)] = fn
	}
}

// dateAdd is DATE_ADD or DATE_SUB for dates of one evaluation type.
type dateAdd struct {
	sub  bool
	date etype
}

// dateOverflow is the warning of a result beyond the calendar.
func dateOverflow() *value.Error {
	return value.Errorf(1441, "Datetime function: datetime field overflow")
}

// span reads the interval and its unit; ok is false for a span beyond every date.
func (d *dateAdd) span(f *frame, i int) (iv value.Interval, unit value.Unit, ok bool, err error) {
	if unit, err = f.unitAt(2, i); err != nil {
		return iv, unit, false, err
	}
	v := f.a[1]
	switch evalType(f.args[1]) {
	case etInt:
		if n := v.int(i); !unitIsComposite(unit) && (n >= 0 || v.kind != column.Uint64) {
			iv, ok = value.IntervalOf(n, unit)
		} else {
			iv, ok = value.ParseInterval([]byte(v.intText(i)), unit)
		}
	case etReal:
		iv, ok = value.ParseInterval(v.realText(i), unit)
	case etDecimal:
		iv, ok = value.ParseInterval(v.dec(i).Append(nil), unit)
	default:
		iv, ok = textInterval(v.str(i), unit)
	}
	if d.sub {
		iv = iv.Neg()
	}
	return iv, unit, ok, nil
}

// textInterval reads an interval given as text. Of units without parts or fractions it is the integer at the front.
func textInterval(s []byte, unit value.Unit) (value.Interval, bool) {
	if unitIsComposite(unit) || unit == value.UnitSecond {
		return value.ParseInterval(s, unit)
	}
	p := parseInt(s)
	if p.overflow || p.abs > math.MaxInt64 {
		return value.Interval{}, false
	}
	n := int64(p.abs)
	if p.neg {
		n = -n
	}
	return value.IntervalOf(n, unit)
}

func unitIsComposite(u value.Unit) bool { return u >= value.UnitSecondMicrosecond }

// move adds the interval of row i to t.
func (d *dateAdd) move(f *frame, i int, t value.Time) (_ value.Time, unit value.Unit, ok bool, err error) {
	iv, unit, ok, err := d.span(f, i)
	if err != nil || !ok {
		return 0, unit, false, err
	}
	t, ok = t.AddInterval(iv)
	return t, unit, ok, nil
}

func (d *dateAdd) onTime(f *frame, i int) error {
	t := f.a[0].time(i)
	if t.HasZeroInDate() {
		return f.notADay(i, t, f.args[0])
	}
	t, _, ok, err := d.move(f, i, t)
	if err != nil {
		return err
	}
	if !ok {
		return f.nullTime(i, dateOverflow())
	}
	return f.putTime(i, t, nil)
}

// onText is for dates given as text or number.
func (d *dateAdd) onText(f *frame, i int) error {
	t, clock, text, err := d.read(f, i)
	if err != nil || t.HasZeroInDate() {
		return f.nullTime(i, badDatetime(text))
	}
	t, unit, ok, err := d.move(f, i, t)
	if err != nil {
		return err
	}
	if !ok {
		return f.nullTime(i, dateOverflow())
	}
	typ, digits := byte(column.TypeDate), 0
	if clock || unit.HasClock() {
		typ = column.TypeDatetime
	}
	if t.Micro() != 0 {
		digits = value.MaxFsp
	}
	f.out.data = t.Append(f.out.data, typ, digits)
	f.out.end(i)
	return nil
}

// read makes a time of the first argument, and tells whether it has a time of day.
func (d *dateAdd) read(f *frame, i int) (t value.Time, clock bool, text []byte, err error) {
	mode := f.ctx.timeMode()
	v := f.a[0]
	switch d.date {
	case etInt:
		text = []byte(v.intText(i))
		t, err = value.TimeFromNumber(v.int(i), mode)
		return t, len(text) > 8, text, err
	case etReal, etDecimal:
		dec, text := value.Decimal{}, v.realOrDecText(i)
		if dec, _, err = value.ParseDecimal(text); err != nil {
			return 0, false, text, err
		}
		t, err = value.TimeFromDecimal(dec, value.MaxFsp, mode)
		return t, dec.Truncate(0).Precision() > 8, text, err
	default:
		text = v.str(i)
		t, err = value.ParseTime(text, column.TypeDatetime, value.MaxFsp, f.ctx.zone(), mode)
		return t, !isDateText(text), text, err
	}
}

func (v *vec) realOrDecText(i int) []byte {
	if v.kind == column.Float64 {
		return v.realText(i)
	}
	return v.dec(i).Append(nil)
}

// isDateText reports whether a text has the shape of a date without time: three numbers, or one of six or eight digits.
func isDateText(s []byte) bool {
	groups := bytes.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if len(groups) == 1 {
		return len(groups[0]) == 6 || len(groups[0]) == 8
	}
	return len(groups) == 3
}

// clockSpan is the interval as a duration; ok is false for months.
func clockSpan(iv value.Interval) (value.Duration, bool) {
	const dayMicros = 86400 * 1e6
	const limit = 1 << 52
	if iv.Months != 0 || iv.Days > 1e5 || iv.Days < -1e5 || iv.Micros > limit || iv.Micros < -limit {
		return 0, false
	}
	return value.Duration((iv.Days*dayMicros + iv.Micros) * 1000), true
}

func (d *dateAdd) onDuration(f *frame, i int) error {
	iv, _, ok, err := d.span(f, i)
	if err != nil {
		return err
	}
	step, fits := clockSpan(iv)
	sum := f.a[0].dur(i) + step
	if !ok || !fits || sum > value.MaxDuration || sum < -value.MaxDuration {
		return f.nullTime(i, value.Errorf(1441, "Datetime function: time field overflow"))
	}
	return f.putDur(i, sum, nil)
}

// onToday takes the time as one of the statement's day.
func (d *dateAdd) onToday(f *frame, i int) error {
	if f.ctx.Now == nil {
		return &UnsupportedError{What: "TIME to DATETIME without a clock"}
	}
	today := value.FromGoTime(f.ctx.Now().In(f.ctx.zone()), 0).DateOnly()
	t, ok := f.a[0].dur(i).At(today)
	if !ok {
		return f.nullTime(i, dateOverflow())
	}
	t, _, ok, err := d.move(f, i, t)
	if err != nil {
		return err
	}
	if !ok {
		return f.nullTime(i, dateOverflow())
	}
	return f.putTime(i, t, nil)
}

// timeAddFunctions has ADDTIME, SUBTIME and TIMEDIFF.
func timeAddFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_DurationDurationTimeDiff: {spec: "uu:u", row: func(f *frame, i int) error {
			return f.putDur(i, f.a[0].dur(i)-f.a[1].dur(i), nil)
		}},
		tipb.ScalarFuncSig_TimeTimeTimeDiff:       {spec: "tt:u", row: timeDiffRow},
		tipb.ScalarFuncSig_StringStringTimeDiff:   {spec: "ss:u", row: stringDiffRow},
		tipb.ScalarFuncSig_DurationStringTimeDiff: {spec: "us:u", row: stringDiffRow},
		tipb.ScalarFuncSig_StringDurationTimeDiff: {spec: "su:u", row: stringDiffRow},
		tipb.ScalarFuncSig_NullTimeDiff:           {spec: "x*:u", nulls: true, row: (*frame).setNull},
	}
	for sig, spec := range map[tipb.ScalarFuncSig]string{
		tipb.ScalarFuncSig_AddTimeDateTimeNull: ":t", tipb.ScalarFuncSig_SubTimeDateTimeNull: ":t",
		tipb.ScalarFuncSig_AddTimeStringNull: ":s", tipb.ScalarFuncSig_SubTimeStringNull: ":s",
		tipb.ScalarFuncSig_AddTimeDurationNull: ":u", tipb.ScalarFuncSig_SubTimeDurationNull: ":u",
	} {
		out[sig] = function{spec: "x*" + spec, nulls: true, row: (*frame).setNull}
	}
	for name, sign := range map[string]value.Duration{"Add": 1, "Sub": -1} {
		addNamed(out, name+"DatetimeAndDuration", function{spec: "tu:t", row: addTimeRow(sign)})
		addNamed(out, name+"DatetimeAndString", function{spec: "ts:t", row: addTimeRow(sign)})
		addNamed(out, name+"DurationAndDuration", function{spec: "uu:u", row: addDurationRow(sign)})
		addNamed(out, name+"DurationAndString", function{spec: "us:u", row: addDurationRow(sign)})
		addNamed(out, name+"DateAndDuration", function{spec: "uu:s", row: addDurationTextRow(sign)})
		addNamed(out, name+"DateAndString", function{spec: "us:s", row: addDurationTextRow(sign)})
		addNamed(out, name+"StringAndDuration", function{spec: "su:s", row: addTextRow(sign)})
		addNamed(out, name+"StringAndString", function{spec: "ss:s", row: addTextRow(sign)})
	}
	return out
}

// durationArg is argument k as a duration; text that looks like a datetime is none.
func (f *frame) durationArg(k, i int) (value.Duration, *value.Error) {
	if evalType(f.args[k]) == etDuration {
		return f.a[k].dur(i), nil
	}
	text := f.a[k].str(i)
	if isDatetimeText(text) {
		return 0, truncatedWrong("time", text)
	}
	d, err := value.ParseDuration(text, value.MaxFsp)
	if err != nil && !value.IsPartial(err) {
		return 0, truncatedWrong("time", text)
	}
	return d, nil
}

// isDatetimeText reports whether a text has both a date and a time.
func isDatetimeText(s []byte) bool {
	return len(bytes.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })) >= 5
}

func addTimeRow(sign value.Duration) rowFn {
	return func(f *frame, i int) error {
		d, bad := f.durationArg(1, i)
		if bad != nil {
			return f.nullTime(i, bad)
		}
		t := f.a[0].time(i)
		if t.HasZeroInDate() {
			return f.notADay(i, t, f.args[0])
		}
		t, ok := t.AddDuration(sign * d)
		if !ok {
			return f.nullTime(i, dateOverflow())
		}
		return f.putTime(i, t, nil)
	}
}

func addDurationRow(sign value.Duration) rowFn {
	return func(f *frame, i int) error {
		d, bad := f.durationArg(1, i)
		if bad != nil {
			return f.nullTime(i, bad)
		}
		return f.putClampedDur(i, f.a[0].dur(i)+sign*d)
	}
}

// addDurationTextRow gives the sum as text: what a DATE taken as a time of day adds up to.
func addDurationTextRow(sign value.Duration) rowFn {
	return func(f *frame, i int) error {
		d, bad := f.durationArg(1, i)
		if bad != nil {
			return f.nullTime(i, bad)
		}
		return f.putDurText(i, f.a[0].dur(i)+sign*d)
	}
}

func (f *frame) putDurText(i int, d value.Duration) error {
	d, _ = d.Clamp()
	f.out.data = d.Append(f.out.data, textFsp(int(d/1000%1e6)))
	f.out.end(i)
	return nil
}

// putClampedDur stores a sum, clamped to TIME's bounds with a warning.
func (f *frame) putClampedDur(i int, d value.Duration) error {
	if clamped, ok := d.Clamp(); !ok {
		if err := f.ctx.truncated(truncatedWrong("time", d.Append(nil, 0))); err != nil {
			return err
		}
		d = clamped
	}
	return f.putDur(i, d, nil)
}

// addTextRow adds to a datetime or time given as text, and gives text.
func addTextRow(sign value.Duration) rowFn {
	return func(f *frame, i int) error {
		text := f.a[0].str(i)
		d, bad := f.durationArg(1, i)
		if bad != nil {
			return f.nullTime(i, bad)
		}
		if isDatetimeText(text) {
			t, err := value.ParseTime(text, column.TypeDatetime, value.MaxFsp, f.ctx.zone(), f.ctx.timeMode())
			if err != nil {
				return f.nullTime(i, badDatetime(text))
			}
			t, ok := t.AddDuration(sign * d)
			if !ok {
				return f.nullTime(i, dateOverflow())
			}
			f.out.data = t.Append(f.out.data, column.TypeDatetime, textFsp(t.Micro()))
			f.out.end(i)
			return nil
		}
		base, err := value.ParseDuration(text, value.MaxFsp)
		if err != nil && !value.IsPartial(err) {
			return f.nullTime(i, truncatedWrong("time", text))
		}
		return f.putDurText(i, base+sign*d)
	}
}

func textFsp(micros int) int {
	if micros != 0 {
		return value.MaxFsp
	}
	return 0
}

func timeDiffRow(f *frame, i int) error {
	return f.putClampedDur(i, value.Duration(boundMicros(f.a[0].time(i).SubMicros(f.a[1].time(i)))*1000))
}

// boundMicros keeps a difference within what nanoseconds can say.
func boundMicros(us int64) int64 { return min(max(us, -1<<52), 1<<52) }

// stringDiffRow is TIMEDIFF where a side is text: both must be datetimes, or both times.
func stringDiffRow(f *frame, i int) error {
	var texts [2]bool
	for k := range texts {
		texts[k] = evalType(f.args[k]) == etString && isDatetimeText(f.a[k].str(i))
	}
	if texts[0] != texts[1] {
		return f.setNull(i)
	}
	if !texts[0] {
		a, bad := f.durationArg(0, i)
		b, bad2 := f.durationArg(1, i)
		if bad != nil || bad2 != nil {
			if bad == nil {
				bad = bad2
			}
			return f.nullTime(i, bad)
		}
		return f.putClampedDur(i, a-b)
	}
	var t [2]value.Time
	for k := range t {
		var err error
		text := f.a[k].str(i)
		if t[k], err = value.ParseTime(text, column.TypeDatetime, value.MaxFsp, f.ctx.zone(), f.ctx.timeMode()); err != nil {
			return f.nullTime(i, badDatetime(text))
		}
	}
	return f.putClampedDur(i, value.Duration(boundMicros(t[0].SubMicros(t[1]))*1000))
}
