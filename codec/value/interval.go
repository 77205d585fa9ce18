package value

import "strings"

// Unit is the unit of an INTERVAL, EXTRACT or TIMESTAMPDIFF.
type Unit uint8

// The units; two-word ones are written MONTH-DAY fashion in a string, such as '1 2:3' DAY_MINUTE.
const (
	UnitMicrosecond Unit = iota
	UnitSecond
	UnitMinute
	UnitHour
	UnitDay
	UnitWeek
	UnitMonth
	UnitQuarter
	UnitYear
	UnitSecondMicrosecond
	UnitMinuteMicrosecond
	UnitMinuteSecond
	UnitHourMicrosecond
	UnitHourSecond
	UnitHourMinute
	UnitDayMicrosecond
	UnitDaySecond
	UnitDayMinute
	UnitDayHour
	UnitYearMonth
)

var unitNames = [...]string{"MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
	"SECOND_MICROSECOND", "MINUTE_MICROSECOND", "MINUTE_SECOND", "HOUR_MICROSECOND", "HOUR_SECOND", "HOUR_MINUTE",
	"DAY_MICROSECOND", "DAY_SECOND", "DAY_MINUTE", "DAY_HOUR", "YEAR_MONTH"}

func (u Unit) String() string { return unitNames[u] }

// ParseUnit reads a unit's name, in any case.
func ParseUnit(name string) (Unit, bool) {
	for i, n := range unitNames {
		if strings.EqualFold(n, name) {
			return Unit(i), true
		}
	}
	return 0, false
}

// HasClock reports whether adding the unit to a DATE makes a DATETIME of it.
func (u Unit) HasClock() bool { return u < UnitDay || u >= UnitSecondMicrosecond && u < UnitYearMonth }

// Interval is a signed span. MySQL adds months first, cutting the day to the month's end, or else the exact rest; a unit
// never has both.
type Interval struct {
	Months, Days, Micros int64
}

// Neg is the span backwards.
func (iv Interval) Neg() Interval { return Interval{-iv.Months, -iv.Days, -iv.Micros} }

// unitSteps are what one of each single unit is.
var unitSteps = [...]Interval{
	UnitMicrosecond: {Micros: 1},
	UnitSecond:      {Micros: microsPerSec},
	UnitMinute:      {Micros: 60 * microsPerSec},
	UnitHour:        {Micros: 3600 * microsPerSec},
	UnitDay:         {Days: 1},
	UnitWeek:        {Days: 7},
	UnitMonth:       {Months: 1},
	UnitQuarter:     {Months: 3},
	UnitYear:        {Months: 12},
}

// IntervalOf is n units; ok is false for a two-word unit or a number beyond every date.
func IntervalOf(n int64, unit Unit) (iv Interval, ok bool) {
	if int(unit) >= len(unitSteps) {
		return iv, false
	}
	step := unitSteps[unit]
	var oks [3]bool
	iv.Months, oks[0] = mulInt64(n, step.Months)
	iv.Days, oks[1] = mulInt64(n, step.Days)
	iv.Micros, oks[2] = mulInt64(n, step.Micros)
	return iv, oks[0] && oks[1] && oks[2]
}

// SecondsInterval is an INTERVAL of d seconds with their fraction.
func SecondsInterval(d Decimal) (iv Interval, ok bool) {
	us, ok := Decimal{Coef: d.Rescale(MaxFsp).Coef}.Int64()
	return Interval{Micros: us}, ok
}

// compositeParts lists the single units of a two-word unit, from the greatest.
var compositeParts = map[Unit][]Unit{
	UnitSecondMicrosecond: {UnitSecond, UnitMicrosecond},
	UnitMinuteMicrosecond: {UnitMinute, UnitSecond, UnitMicrosecond},
	UnitMinuteSecond:      {UnitMinute, UnitSecond},
	UnitHourMicrosecond:   {UnitHour, UnitMinute, UnitSecond, UnitMicrosecond},
	UnitHourSecond:        {UnitHour, UnitMinute, UnitSecond},
	UnitHourMinute:        {UnitHour, UnitMinute},
	UnitDayMicrosecond:    {UnitDay, UnitHour, UnitMinute, UnitSecond, UnitMicrosecond},
	UnitDaySecond:         {UnitDay, UnitHour, UnitMinute, UnitSecond},
	UnitDayMinute:         {UnitDay, UnitHour, UnitMinute},
	UnitDayHour:           {UnitDay, UnitHour},
	UnitYearMonth:         {UnitYear, UnitMonth},
}

// ParseInterval reads the string of an INTERVAL: numbers between any other characters, fewer than the unit has meaning the last
// ones; a fraction of seconds is read as such. ok is false for more numbers than the unit has, or numbers beyond every date.
func ParseInterval(s []byte, unit Unit) (iv Interval, ok bool) {
	parts, composite := compositeParts[unit]
	switch {
	case composite:
		return parseComposite(s, parts)
	case unit == UnitSecond:
		d, _, err := ParseDecimal(s)
		if err != nil {
			return iv, false
		}
		return SecondsInterval(d)
	default:
		d, _, err := ParseDecimal(s)
		n, fits := d.Int64()
		if err != nil || !fits {
			return iv, false
		}
		return IntervalOf(n, unit)
	}
}

func parseComposite(s []byte, parts []Unit) (iv Interval, ok bool) {
	i := skipSpaces(s, 0)
	neg := i < len(s) && s[i] == '-'
	var numbers [5]int64
	count, lastDigits := 0, 0
	for i < len(s) {
		if !isDigit(s[i]) {
			i++
			continue
		}
		if count == len(parts) {
			return iv, false
		}
		start := i
		for ; i < len(s) && isDigit(s[i]); i++ {
			if i-start >= 18 {
				return iv, false
			}
			numbers[count] = numbers[count]*10 + int64(s[i]-'0')
		}
		lastDigits = i - start
		count++
	}
	if count > 0 && parts[len(parts)-1] == UnitMicrosecond && lastDigits < MaxFsp {
		numbers[count-1] *= pow10Int64[MaxFsp-lastDigits] // '1.5' SECOND_MICROSECOND is half a second
	}
	for k := range count {
		part, ok := IntervalOf(numbers[k], parts[len(parts)-count+k])
		if !ok {
			return iv, false
		}
		iv = Interval{iv.Months + part.Months, iv.Days + part.Days, iv.Micros + part.Micros}
	}
	if neg {
		iv = iv.Neg()
	}
	return iv, true
}

// maxIntervalDays and maxIntervalMonths are beyond every span between two dates.
const (
	maxIntervalDays   = 10_000 * 366
	maxIntervalMonths = 10_000 * 12
)

// AddInterval moves t; ok is false where t is not a real date or the result leaves the years 0 to 9999.
func (t Time) AddInterval(iv Interval) (_ Time, ok bool) {
	if iv.Months != 0 {
		t, ok = t.addMonths(iv.Months)
		if !ok {
			return 0, false
		}
	}
	if iv.Days == 0 && iv.Micros == 0 {
		return t, !t.HasZeroInDate()
	}
	if t.HasZeroInDate() || iv.Days > maxIntervalDays || iv.Days < -maxIntervalDays {
		return 0, false
	}
	clock := t.clockMicros()
	days := iv.Days + iv.Micros/microsPerDay
	clock += iv.Micros % microsPerDay
	switch {
	case clock < 0:
		clock, days = clock+microsPerDay, days-1
	case clock >= microsPerDay:
		clock, days = clock-microsPerDay, days+1
	}
	n := int64(t.ToDays()) + days
	if n <= 365 || n > maxDayNumber {
		return 0, false
	}
	return FromDays(int(n)).withClock(clock), true
}

func (t Time) addMonths(months int64) (Time, bool) {
	y, m, d := t.Date()
	if months > maxIntervalMonths || months < -maxIntervalMonths {
		return 0, false
	}
	n := int64(y)*12 + int64(m) - 1 + months
	if n < 0 || n >= 10_000*12 || m == 0 {
		return 0, false
	}
	y, m = int(n/12), int(n%12)+1
	return MakeTime(y, m, min(d, DaysInMonth(y, m)), 0, 0, 0, 0) | t&clockMask, true
}

// clockMicros is the time of day in microseconds.
func (t Time) clockMicros() int64 {
	h, m, s, us := t.Clock()
	return int64((h*60+m)*60+s)*microsPerSec + int64(us)
}

// withClock sets the time of day of a midnight.
func (t Time) withClock(us int64) Time {
	s := us / microsPerSec
	return t | Time(uint64(s/3600<<12|s/60%60<<6|s%60)<<microBits) | Time(us%microsPerSec)
}

// SubMicros is t - o in microseconds.
func (t Time) SubMicros(o Time) int64 {
	return int64(t.ToDays()-o.ToDays())*microsPerDay + t.clockMicros() - o.clockMicros()
}

// Diff is TIMESTAMPDIFF(unit, o, t): whole units from o to t, for single units.
func (t Time) Diff(unit Unit, o Time) int64 {
	switch step := unitSteps[unit]; {
	case step.Months != 0:
		return t.monthsSince(o) / step.Months
	case step.Days != 0:
		return t.SubMicros(o) / (step.Days * microsPerDay)
	default:
		return t.SubMicros(o) / step.Micros
	}
}

func (t Time) monthsSince(o Time) int64 {
	if t < o {
		return -o.monthsSince(t)
	}
	y1, m1, d1 := o.Date()
	y2, m2, d2 := t.Date()
	n := int64(y2*12 + m2 - y1*12 - m1)
	if d2 < d1 || d2 == d1 && t&clockMask < o&clockMask {
		n--
	}
	return n
}

// Extract is EXTRACT(unit FROM t).
func (t Time) Extract(unit Unit) int64 {
	y, m, d := t.Date()
	switch unit {
	case UnitDay:
		return int64(d)
	case UnitWeek:
		return int64(t.Week(0))
	case UnitMonth:
		return int64(m)
	case UnitQuarter:
		return int64(t.Quarter())
	case UnitYear:
		return int64(y)
	case UnitYearMonth:
		return int64(y*100 + m)
	}
	h, mi, s, us := t.Clock()
	return extractClock(unit, int64(d), int64(h), int64(mi), int64(s), int64(us))
}

// extractClock is the part of EXTRACT that times and durations share.
func extractClock(unit Unit, d, h, m, s, us int64) int64 {
	switch unit {
	case UnitMicrosecond:
		return us
	case UnitSecond:
		return s
	case UnitMinute:
		return m
	case UnitHour:
		return h
	case UnitSecondMicrosecond:
		return s*microsPerSec + us
	case UnitMinuteMicrosecond:
		return (m*100+s)*microsPerSec + us
	case UnitMinuteSecond:
		return m*100 + s
	case UnitHourMicrosecond:
		return (h*10000+m*100+s)*microsPerSec + us
	case UnitHourSecond:
		return h*10000 + m*100 + s
	case UnitHourMinute:
		return h*100 + m
	case UnitDayMicrosecond:
		return (d*1_000_000+h*10000+m*100+s)*microsPerSec + us
	case UnitDaySecond:
		return d*1_000_000 + h*10000 + m*100 + s
	case UnitDayMinute:
		return d*10000 + h*100 + m
	case UnitDayHour:
		return d*100 + h
	}
	return 0
}
