package expr

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// timeFunctions take dates apart. Those that need a real day give NULL for a date with a zero month or day.
func timeFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_Year:             {spec: "t:i", total: true, bind: bindPart(value.Time.Year)},
		tipb.ScalarFuncSig_Month:            {spec: "t:i", total: true, bind: bindPart(value.Time.Month)},
		tipb.ScalarFuncSig_DayOfMonth:       {spec: "t:i", total: true, bind: bindPart(value.Time.Day)},
		tipb.ScalarFuncSig_Quarter:          {spec: "t:i", total: true, bind: bindPart(value.Time.Quarter)},
		tipb.ScalarFuncSig_Hour:             {spec: "u:i", row: durationRow(func(h, _, _, _ int64) int64 { return h })},
		tipb.ScalarFuncSig_Minute:           {spec: "u:i", row: durationRow(func(_, m, _, _ int64) int64 { return m })},
		tipb.ScalarFuncSig_Second:           {spec: "u:i", row: durationRow(func(_, _, s, _ int64) int64 { return s })},
		tipb.ScalarFuncSig_MicroSecond:      {spec: "u:i", row: durationRow(func(_, _, _, us int64) int64 { return us })},
		tipb.ScalarFuncSig_TimeToSec:        {spec: "u:i", row: timeToSecRow},
		tipb.ScalarFuncSig_Date:             {spec: "t:t", row: dateRow},
		tipb.ScalarFuncSig_DayOfWeek:        {spec: "t:i", row: dayRow(func(t value.Time) int { return (t.Weekday()+1)%7 + 1 })},
		tipb.ScalarFuncSig_WeekDay:          {spec: "t:i", row: dayRow(value.Time.Weekday)},
		tipb.ScalarFuncSig_DayOfYear:        {spec: "t:i", row: dayRow(value.Time.YearDay)},
		tipb.ScalarFuncSig_WeekOfYear:       {spec: "t:i", row: dayRow(func(t value.Time) int { return t.Week(3) })},
		tipb.ScalarFuncSig_ToDays:           {spec: "t:i", row: dayRow(value.Time.ToDays)},
		tipb.ScalarFuncSig_ToSeconds:        {spec: "t:i", row: dayRow(toSeconds)},
		tipb.ScalarFuncSig_WeekWithoutMode:  {spec: "t:i", row: dayRow(func(t value.Time) int { return t.Week(0) })},
		tipb.ScalarFuncSig_WeekWithMode:     {spec: "ti:i", row: weekRow(value.Time.Week)},
		tipb.ScalarFuncSig_YearWeekWithMode: {spec: "ti:i", row: weekRow(value.Time.YearWeek)},
		tipb.ScalarFuncSig_YearWeekWithoutMode: {spec: "t:i", row: dayRow(func(t value.Time) int {
			return t.YearWeek(0)
		})},
		tipb.ScalarFuncSig_MonthName:       {spec: "t:s", row: monthNameRow},
		tipb.ScalarFuncSig_DayName:         {spec: "t:s", row: dayNameRow},
		tipb.ScalarFuncSig_LastDay:         {spec: "t:t", row: lastDayRow},
		tipb.ScalarFuncSig_DateDiff:        {spec: "tt:i", row: dateDiffRow},
		tipb.ScalarFuncSig_TimestampDiff:   {spec: "stt:i", row: timestampDiffRow},
		tipb.ScalarFuncSig_ExtractDatetime: {spec: "st:i", row: extractTimeRow},
		tipb.ScalarFuncSig_ExtractDuration: {spec: "su:i", row: extractDurationRow},
		tipb.ScalarFuncSig_DateFormatSig:   {spec: "ts:s", row: dateFormatRow},
		tipb.ScalarFuncSig_TimeFormat:      {spec: "us:s", row: timeFormatRow},
		tipb.ScalarFuncSig_FromDays:        {spec: "i:t", row: fromDaysRow},
		tipb.ScalarFuncSig_MakeDate:        {spec: "ii:t", row: makeDateRow},
		tipb.ScalarFuncSig_PeriodAdd:       {spec: "ii:i", row: periodAddRow},
		tipb.ScalarFuncSig_PeriodDiff:      {spec: "ii:i", row: periodDiffRow},
	}
}

// bindPart takes a part of every date: a loop of its own, as grouping by year or month is what reports do.
func bindPart(field func(value.Time) int) func(*frame) (kernel, error) {
	return func(*frame) (kernel, error) {
		return func(f *frame, rows rowset) error {
			v, out := f.a[0], f.out.i64
			if rows.sel == nil && !v.isConst() {
				out = out[:rows.n]
				for i, x := range v.i64[:rows.n] {
					out[i] = int64(field(value.Time(x)))
				}
				return nil
			}
			for j := range rows.len() {
				i := rows.at(j)
				out[i] = int64(field(v.time(i)))
			}
			return nil
		}, nil
	}
}

// dayRow is for functions that need a day of the calendar.
func dayRow(fn func(value.Time) int) rowFn {
	return func(f *frame, i int) error {
		t := f.a[0].time(i)
		if t.HasZeroInDate() {
			return f.notADay(i, t, f.args[0])
		}
		return f.setInt(i, fn(t))
	}
}

// notADay makes row i NULL, with a warning, because t is no day of the calendar.
func (f *frame) notADay(i int, t value.Time, ft *tipb.FieldType) error {
	return f.nullTime(i, badDatetime(t.Append(nil, byte(ft.Tp), fsp(ft))))
}

func weekRow(fn func(t value.Time, mode int) int) rowFn {
	return func(f *frame, i int) error {
		t := f.a[0].time(i)
		if t.HasZeroInDate() {
			return f.notADay(i, t, f.args[0])
		}
		return f.setInt(i, fn(t, int(f.a[1].int(i)&7)))
	}
}

func toSeconds(t value.Time) int {
	h, m, s, _ := t.Clock()
	return t.ToDays()*86400 + h*3600 + m*60 + s
}

func durationRow(pick func(h, m, s, us int64) int64) rowFn {
	return func(f *frame, i int) error {
		_, h, m, s, us := f.a[0].dur(i).Fields()
		f.out.i64[i] = pick(h, m, s, us)
		return nil
	}
}

func timeToSecRow(f *frame, i int) error {
	neg, h, m, s, _ := f.a[0].dur(i).Fields()
	n := h*3600 + m*60 + s
	if neg {
		n = -n
	}
	f.out.i64[i] = n
	return nil
}

func dateRow(f *frame, i int) error {
	t := f.a[0].time(i)
	if t.IsZero() && f.ctx.SQLMode&ModeNoZeroDate != 0 {
		return f.notADay(i, t, f.args[0])
	}
	f.out.i64[i] = int64(t.DateOnly())
	return nil
}

var monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December"}

var dayNames = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

func monthNameRow(f *frame, i int) error {
	m := f.a[0].time(i).Month()
	if m < 1 || m > 12 {
		return f.setNull(i)
	}
	return f.put(i, []byte(monthNames[m-1]))
}

func dayNameRow(f *frame, i int) error {
	t := f.a[0].time(i)
	if t.HasZeroInDate() {
		return f.notADay(i, t, f.args[0])
	}
	return f.put(i, []byte(dayNames[t.Weekday()]))
}

func lastDayRow(f *frame, i int) error {
	t := f.a[0].time(i)
	last, ok := t.LastDay()
	if !ok {
		return f.notADay(i, t, f.args[0])
	}
	f.out.i64[i] = int64(last)
	return nil
}

func dateDiffRow(f *frame, i int) error {
	a, b := f.a[0].time(i), f.a[1].time(i)
	for k, t := range []value.Time{a, b} {
		if t.HasZeroInDate() {
			return f.notADay(i, t, f.args[k])
		}
	}
	return f.setInt(i, a.ToDays()-b.ToDays())
}

// unitAt reads the unit argument; an unknown unit is an error of the statement.
func (f *frame) unitAt(k, i int) (value.Unit, error) {
	unit, ok := value.ParseUnit(string(f.a[k].str(i)))
	if !ok {
		return 0, value.Errorf(value.CodeWrongArguments, "Incorrect arguments to interval unit '%s'", f.a[k].str(i))
	}
	return unit, nil
}

func timestampDiffRow(f *frame, i int) error {
	unit, err := f.unitAt(0, i)
	if err != nil {
		return err
	}
	from, to := f.a[1].time(i), f.a[2].time(i)
	for k, t := range []value.Time{from, to} {
		if t.HasZeroInDate() {
			return f.notADay(i, t, f.args[k+1])
		}
	}
	f.out.i64[i] = to.Diff(unit, from)
	return nil
}

func extractTimeRow(f *frame, i int) error {
	unit, err := f.unitAt(0, i)
	if err != nil {
		return err
	}
	f.out.i64[i] = f.a[1].time(i).Extract(unit)
	return nil
}

func extractDurationRow(f *frame, i int) error {
	unit, err := f.unitAt(0, i)
	if err != nil {
		return err
	}
	f.out.i64[i] = f.a[1].dur(i).Extract(unit)
	return nil
}

func fromDaysRow(f *frame, i int) error {
	n := f.a[0].int(i)
	if n < 0 || n > 1<<31 {
		n = 0
	}
	f.out.i64[i] = int64(value.FromDays(int(n)))
	return nil
}

// makeDateRow is MAKEDATE(year, day of year); years below 100 have MySQL's two-digit meaning.
func makeDateRow(f *frame, i int) error {
	year, day := f.a[0].int(i), f.a[1].int(i)
	if f.a[1].kind == column.Uint64 && day < 0 || day < 1 || day > 4e6 || year < 0 || year > 9999 {
		return f.setNull(i)
	}
	if year < 70 {
		year += 2000
	} else if year < 100 {
		year += 1900
	}
	t, ok := value.MakeTime(int(year), 1, 1, 0, 0, 0, 0).AddInterval(value.Interval{Days: day - 1})
	if !ok {
		return f.setNull(i)
	}
	f.out.i64[i] = int64(t)
	return nil
}

// periodMonths reads a period, YYMM or YYYYMM, as a count of months.
func periodMonths(period int64) (months int64, ok bool) {
	year, month := period/100, period%100
	if period <= 0 || month == 0 || month > 12 || year > 9999 {
		return 0, false
	}
	if year < 70 {
		year += 2000
	} else if year < 100 {
		year += 1900
	}
	return year*12 + month - 1, true
}

func wrongPeriod(name string) error {
	return value.Errorf(value.CodeWrongArguments, "Incorrect arguments to %s", name)
}

func periodAddRow(f *frame, i int) error {
	months, ok := periodMonths(f.a[0].int(i))
	if !ok {
		return wrongPeriod("period_add")
	}
	months += f.a[1].int(i)
	f.out.i64[i] = months/12*100 + months%12 + 1
	return nil
}

func periodDiffRow(f *frame, i int) error {
	a, okA := periodMonths(f.a[0].int(i))
	b, okB := periodMonths(f.a[1].int(i))
	if !okA || !okB {
		return wrongPeriod("period_diff")
	}
	f.out.i64[i] = a - b
	return nil
}
