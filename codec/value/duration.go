package value

import "time"

// Duration is a TIME value in nanoseconds.
type Duration int64

// MaxDuration is the greatest TIME, 838:59:59.
const MaxDuration = Duration((838*3600 + 59*60 + 59) * time.Second)

// MakeDuration is hours, minutes, seconds and microseconds, without checks.
func MakeDuration(neg bool, hours, minutes, seconds, micros int64) Duration {
	d := Duration(((hours*60+minutes)*60+seconds)*int64(time.Second) + micros*1000)
	if neg {
		return -d
	}
	return d
}

// Fields are the parts of |d|, and its sign.
func (d Duration) Fields() (neg bool, hours, minutes, seconds, micros int64) {
	if neg = d < 0; neg {
		d = -d
	}
	us := int64(d) / 1000
	s := us / microsPerSec
	return neg, s / 3600, s / 60 % 60, s % 60, us % microsPerSec
}

// Append formats d with fsp fraction digits.
func (d Duration) Append(dst []byte, fsp int) []byte {
	neg, h, m, s, us := d.Fields()
	if neg {
		dst = append(dst, '-')
	}
	if h >= 100 {
		dst = append(dst, byte('0'+h/100%10))
	}
	dst = append2(dst, int(h%100))
	dst = append2(append(dst, ':'), int(m))
	dst = append2(append(dst, ':'), int(s))
	return appendFraction(dst, int(us), fsp)
}

// Number is d as MySQL converts it to an integer, hhmmss, without the fraction.
func (d Duration) Number() int64 {
	neg, h, m, s, _ := d.Fields()
	n := h*10000 + m*100 + s
	if neg {
		return -n
	}
	return n
}

// Decimal is d as MySQL converts it to a DECIMAL, hhmmss.ffffff, with fsp fraction digits.
func (d Duration) Decimal(fsp int) Decimal {
	if fsp <= 0 {
		return DecimalFromInt64(d.Number())
	}
	neg, h, m, s, us := d.Fields()
	coef := (h*10000+m*100+s)*pow10Int64[fsp] + us/pow10Int64[MaxFsp-fsp]
	if neg {
		coef = -coef
	}
	return DecimalFromScaled(coef, fsp)
}

// Round rounds half away from zero to fsp digits.
func (d Duration) Round(fsp int) Duration {
	return Duration(time.Duration(d).Round(time.Duration(pow10Int64[9-min(max(fsp, 0), MaxFsp)])))
}

// Clamp bounds d by MaxDuration; ok is false if it was beyond.
func (d Duration) Clamp() (_ Duration, ok bool) {
	switch {
	case d > MaxDuration:
		return MaxDuration, false
	case d < -MaxDuration:
		return -MaxDuration, false
	}
	return d, true
}

// Extract is EXTRACT(unit FROM d); date units are 0.
func (d Duration) Extract(unit Unit) int64 {
	neg, h, m, s, us := d.Fields()
	n := extractClock(unit, 0, h, m, s, us)
	if unit >= UnitDayMicrosecond && unit <= UnitDayHour {
		n = extractClock(unit-UnitDayMicrosecond+UnitHourMicrosecond, 0, h, m, s, us)
		if unit == UnitDayHour {
			n = h
		}
	}
	if neg {
		return -n
	}
	return n
}

// Duration is the time of day of t.
func (t Time) Duration() Duration { return Duration(t.clockMicros() * 1000) }

// AddDuration moves t by d; ok is false where the result is no date.
func (t Time) AddDuration(d Duration) (Time, bool) {
	return t.AddInterval(Interval{Micros: int64(d) / 1000})
}

// At is the moment d after midnight of t's day.
func (d Duration) At(t Time) (Time, bool) {
	return t.DateOnly().AddInterval(Interval{Micros: int64(d) / 1000})
}

// ParseDuration reads a TIME string ('-838:59:59.000000', '1 02:03:04', '112233'), rounded to fsp digits; of a full
// DATETIME string it takes the time of day. The error is CodeTruncatedWrong: partial with the bound where the value is beyond it and with the
// value of the valid prefix where garbage follows, else with 0: there is no time at all.
func ParseDuration(s []byte, fsp int) (Duration, error) {
	if t, whole, ok := parseTime(s, fsp, nil, false); ok && whole && looksLikeDatetime(s) {
		return t.Duration().Round(fsp), nil
	}
	d, whole, ok := parseDuration(s, fsp)
	if !ok {
		return 0, incorrectDuration(s)
	}
	d, inRange := d.Clamp()
	if !whole || !inRange {
		err := incorrectDuration(s)
		err.Partial = true
		return d, err
	}
	return d, nil
}

func incorrectDuration(s []byte) *Error {
	return Errorf(CodeTruncatedWrong, "Truncated incorrect time value: '%s'", clip(s))
}

// looksLikeDatetime reports a date in front of a time: twelve or fourteen digits, or three numbers with punctuation between
// them and a space or T behind. MySQL does not look for one in less than twelve characters: '2020-01-02' is twenty minutes and
// twenty seconds.
func looksLikeDatetime(s []byte) bool {
	s = s[skipSpaces(s, 0):]
	if len(s) < 12 {
		return false
	}
	i := digitRun(s)
	if i == 12 || i == 14 {
		return true
	}
	for range 2 {
		if i >= len(s) || !isPunct(s[i]) {
			return false
		}
		i++
		n := digitRun(s[i:])
		if i += n; n == 0 {
			return false
		}
	}
	return i+1 < len(s) && (isSpace(s[i]) || s[i] == 'T') && isDigit(s[i+1])
}

func parseDuration(s []byte, fsp int) (d Duration, whole, ok bool) {
	i := skipSpaces(s, 0)
	neg := i < len(s) && s[i] == '-'
	if neg {
		i++
	}
	if i >= len(s) || !isDigit(s[i]) && s[i] != '.' {
		return 0, false, false
	}
	days, i := scanDays(s, i)
	h, m, sec, i, ok := scanHMS(s, i, days >= 0)
	if !ok {
		return 0, false, false
	}
	var us int
	if i < len(s) && s[i] == '.' {
		n := digitRun(s[i+1:])
		us, _ = fraction(s[i+1 : i+1+n])
		if n > MaxFsp && s[i+1+MaxFsp] >= '5' {
			us++
		}
		i += 1 + n
	}
	if isExponent(s[i:]) {
		return 0, false, false
	}
	h += max(days, 0) * 24
	return MakeDuration(neg, min(h, 1<<20), m, sec, int64(us)).Round(fsp), skipSpaces(s, i) == len(s), true
}

// isExponent reports whether s goes on as a number in scientific notation, which is no time.
func isExponent(s []byte) bool {
	if len(s) < 2 || s[0] != 'e' && s[0] != 'E' {
		return false
	}
	return isDigit(s[1]) || len(s) > 2 && (s[1] == '-' || s[1] == '+') && isDigit(s[2])
}

// scanDays reads "D " in front of a time; days is -1 if there is none.
func scanDays(s []byte, i int) (days int64, end int) {
	n := digitRun(s[i:])
	j := skipSpaces(s, i+n)
	if n == 0 || n > 6 || j == i+n || j >= len(s) || !isDigit(s[j]) {
		return -1, i
	}
	return int64(atoi(s[i : i+n])), j
}

// scanHMS reads hh:mm:ss, hh:mm, or with days hh alone; without colons hhmmss, mmss or ss.
func scanHMS(s []byte, i int, withDays bool) (h, m, sec int64, end int, ok bool) {
	n := digitRun(s[i:])
	if n > 15 {
		return 0, 0, 0, i, false
	}
	first := int64(atoi(s[i : i+n]))
	i += n
	if i < len(s) && s[i] == ':' {
		h = first
		if m, i, ok = scanSexagesimal(s, i); !ok {
			return 0, 0, 0, i, false
		}
		if i < len(s) && s[i] == ':' {
			sec, i, ok = scanSexagesimal(s, i)
		}
		return h, m, sec, i, ok
	}
	if withDays {
		return first, 0, 0, i, true
	}
	h, m, sec = first/10000, first/100%100, first%100
	return h, m, sec, i, m < 60 && sec < 60
}

// scanSexagesimal reads ":mm" at i.
func scanSexagesimal(s []byte, i int) (v int64, end int, ok bool) {
	n := min(digitRun(s[i+1:]), 2)
	v = int64(atoi(s[i+1 : i+1+n]))
	return v, i + 1 + n, n > 0 && v < 60
}

// DurationFromNumber reads hhmmss; beyond the bound it is the bound and an error.
func DurationFromNumber(n int64) (Duration, error) {
	neg, u := n < 0, n
	if neg {
		u = -n
	}
	if u > 9_999_999 || u < 0 {
		if t, err := TimeFromNumber(n, TimeMode{}); err == nil && u >= 10_000_000_000 {
			return t.Duration(), nil
		}
		d := MaxDuration
		if neg {
			d = -d
		}
		return d, Errorf(CodeTruncatedWrong, "Truncated incorrect time value: '%d'", n)
	}
	m, s := u/100%100, u%100
	if m > 59 || s > 59 {
		return 0, Errorf(CodeTruncatedWrong, "Truncated incorrect time value: '%d'", n)
	}
	d, ok := MakeDuration(neg, u/10000, m, s, 0).Clamp()
	if !ok {
		return d, Errorf(CodeTruncatedWrong, "Truncated incorrect time value: '%d'", n)
	}
	return d, nil
}

// DurationFromDecimal is DurationFromNumber with a fraction of seconds, rounded to fsp digits.
func DurationFromDecimal(v Decimal, fsp int) (Duration, error) {
	whole, ok := v.Truncate(0).Int64()
	d, err := DurationFromNumber(whole)
	if err != nil || !ok {
		return d, err
	}
	frac, err := v.Sub(DecimalFromInt64(whole))
	if err != nil {
		return 0, err
	}
	us, _ := Decimal{Coef: frac.Rescale(MaxFsp).Coef}.Int64()
	return (d + Duration(us*1000)).Round(fsp), nil
}
