package expr

import (
	"math"
	"strings"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// timeMakers put times together, and convert them to and from Unix time.
func timeMakers() functions {
	return functions{
		tipb.ScalarFuncSig_MakeTime:          {spec: "iir:u", row: makeTimeRow},
		tipb.ScalarFuncSig_SecToTime:         {spec: "r:u", row: secToTimeRow},
		tipb.ScalarFuncSig_UnixTimestampInt:  {spec: "t:i", row: unixIntRow},
		tipb.ScalarFuncSig_UnixTimestampDec:  {spec: "t:d", row: unixDecRow},
		tipb.ScalarFuncSig_FromUnixTime1Arg:  {spec: "d:t", row: fromUnixRow},
		tipb.ScalarFuncSig_FromUnixTime2Arg:  {spec: "ds:s", row: fromUnixFormatRow},
		tipb.ScalarFuncSig_StrToDateDate:     {spec: "ss:t", row: strToTimeRow},
		tipb.ScalarFuncSig_StrToDateDatetime: {spec: "ss:t", row: strToTimeRow},
		tipb.ScalarFuncSig_StrToDateDuration: {spec: "ss:u", row: strToDurRow},
		tipb.ScalarFuncSig_SysDateWithFsp:    {spec: "i:t", row: nowRow, volatile: true},
		tipb.ScalarFuncSig_SysDateWithoutFsp: {spec: ":t", row: nowRow, volatile: true},
		tipb.ScalarFuncSig_ConvertTz:         {spec: "tss:t", bind: bindConvertTZ},
	}
}

// makeTimeRow is MAKETIME(hour, minute, second): minutes and seconds out of range make NULL, hours are clamped.
func makeTimeRow(f *frame, i int) error {
	hour, minute, second := f.a[0].int(i), f.a[1].int(i), f.a[2].real(i)
	if minute < 0 || minute > 59 || !(second >= 0 && second < 60) {
		return f.setNull(i)
	}
	neg := f.a[0].negInt(i)
	if hour > 839 || hour < -839 || f.a[0].kind == column.Uint64 && hour < 0 {
		hour = 839
	}
	if hour < 0 {
		hour = -hour
	}
	micros := int64(math.Round(second * 1e6))
	d := value.MakeDuration(neg, hour, minute, 0, 0)
	if neg {
		d -= value.Duration(micros * 1000)
	} else {
		d += value.Duration(micros * 1000)
	}
	return f.putClampedDur(i, d)
}

func secToTimeRow(f *frame, i int) error {
	const limit = 839 * 3600
	s := min(max(f.a[0].real(i), -limit), limit)
	return f.putClampedDur(i, value.Duration(int64(math.Round(s*1e6))*1000))
}

// unixMicros is the Unix time of a wall clock in the session's zone, 0 out of range.
func (f *frame) unixMicros(t value.Time) int64 {
	g, ok := t.GoTime(f.ctx.zone())
	us := g.UnixMicro()
	if !ok || us < 0 || us > unixMaxMicros {
		return 0
	}
	return us
}

func unixIntRow(f *frame, i int) error {
	f.out.i64[i] = f.unixMicros(f.a[0].time(i)) / 1e6
	return nil
}

func unixDecRow(f *frame, i int) error {
	d := value.DecimalFromScaled(f.unixMicros(f.a[0].time(i)), value.MaxFsp)
	return f.putDec(i, d.Truncate(f.out.scale), true)
}

// unixMaxMicros is the end of the range of Unix times: the year 3001 in UTC.
const unixMaxMicros = 32536771199*1e6 + 999999

// wallClock is the time of day of a Unix time with fraction; ok is false out of range.
func (f *frame) wallClock(d value.Decimal) (value.Time, bool) {
	us, ok := value.Decimal{Coef: d.Rescale(value.MaxFsp).Coef}.Int64()
	if !ok || us < 0 || us > unixMaxMicros {
		return 0, false
	}
	return value.FromUnixMicro(us, f.ctx.zone()), true
}

func fromUnixRow(f *frame, i int) error {
	t, ok := f.wallClock(f.a[0].dec(i))
	if !ok {
		return f.setNull(i)
	}
	return f.putTime(i, t, nil)
}

func fromUnixFormatRow(f *frame, i int) error {
	t, ok := f.wallClock(f.a[0].dec(i))
	if !ok {
		return f.setNull(i)
	}
	out, ok := appendDateFormat(f.out.data, t, f.a[1].str(i))
	if !ok {
		return f.setNull(i)
	}
	f.out.data = out
	f.out.end(i)
	return nil
}

func nowRow(f *frame, i int) error {
	if f.ctx.Now == nil {
		return &UnsupportedError{What: "SYSDATE without a clock"}
	}
	f.out.i64[i] = int64(value.FromGoTime(f.ctx.Now().In(f.ctx.zone()), fsp(f.expr.FieldType)))
	return nil
}

func strToTimeRow(f *frame, i int) error {
	s := f.a[0].str(i)
	p, ok := parseByFormat(s, f.a[1].str(i))
	t := p.time()
	mode := f.ctx.timeMode()
	mode.AllowInvalidDates = true // 2004-04-31 is what the text says
	if !ok || !mode.Check(t) {
		return f.nullTime(i, value.Errorf(1411, "Incorrect datetime value: '%s' for function str_to_date", s))
	}
	return f.putTime(i, t, nil)
}

func strToDurRow(f *frame, i int) error {
	s := f.a[0].str(i)
	p, ok := parseByFormat(s, f.a[1].str(i))
	if !ok {
		return f.nullTime(i, value.Errorf(1411, "Incorrect time value: '%s' for function str_to_date", s))
	}
	return f.putDur(i, p.time().Duration(), nil)
}

// bindConvertTZ moves a wall clock from one zone to another; an unknown zone makes NULL.
func bindConvertTZ(*frame) (kernel, error) {
	zones := map[string]*time.Location{}
	named := func(f *frame, name []byte) *time.Location {
		loc, known := zones[string(name)]
		if !known {
			loc = f.zoneNamed(name)
			if len(zones) < 1000 {
				zones[string(name)] = loc
			}
		}
		return loc
	}
	return eachRow(func(f *frame, i int) error {
		from, to := named(f, f.a[1].str(i)), named(f, f.a[2].str(i))
		t := f.a[0].time(i)
		if from == nil || to == nil {
			return f.setNull(i)
		}
		g, ok := t.GoTime(from)
		if !ok {
			return f.setNull(i)
		}
		if us := g.UnixMicro(); us < 1e6 || us > unixMaxMicros { // the first second stands for none
			return f.putTime(i, t, nil)
		}
		return f.putTime(i, value.FromGoTime(g.In(to), value.MaxFsp), nil)
	}), nil
}

// zoneNamed finds a zone by its name or its offset, such as +08:00. SYSTEM is the session's. An
// unknown one is nil.
func (f *frame) zoneNamed(name []byte) *time.Location {
	s := string(name)
	if strings.EqualFold(s, "SYSTEM") {
		return f.ctx.zone()
	}
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		d, err := value.ParseDuration([]byte(s[1:]+":00"), 0)
		if err != nil || d > value.Duration(14*time.Hour) || strings.Count(s, ":") != 1 {
			return nil
		}
		seconds := int(time.Duration(d) / time.Second)
		if s[0] == '-' {
			seconds = -seconds
		}
		return time.FixedZone(s, seconds)
	}
	loc, err := time.LoadLocation(s)
	if err != nil || s == "" || s == "Local" {
		return nil
	}
	return loc
}
