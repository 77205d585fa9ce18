package value

import "time"

// ParseTime reads a DATE/DATETIME/TIMESTAMP string leniently as MySQL does ('2024-1-2', '20240102', '2024-01-02T03:04:05.6',
// with optional offset, then brought to loc), rounds to fsp digits. typ is column.TypeDate, TypeDatetime or TypeTimestamp;
// a DATE drops the time of day. mode carries the sql_mode's zero-date rules. The error is CodeTruncatedWrong: "Incorrect
// datetime value: '...'" with the zero time, or "Truncated incorrect datetime value: '...'" with the time of the valid prefix.
func ParseTime(s []byte, typ byte, fsp int, loc *time.Location, mode TimeMode) (Time, error) {
	if t, ok := parsePlainDate(s); ok && mode.Check(t) && t != 0 {
		return t, nil
	}
	t, whole, ok := parseTime(s, fsp, loc, typ == typeDate)
	if !ok || !mode.Check(t) {
		return 0, Errorf(CodeTruncatedWrong, "Incorrect datetime value: '%s'", clip(s))
	}
	if typ == typeDate {
		t = t.DateOnly()
	}
	if !whole {
		return t, Errorf(CodeTruncatedWrong, "Truncated incorrect datetime value: '%s'", clip(s))
	}
	return t, nil
}

// parsePlainDate reads exactly YYYY-MM-DD, which is what bulk loads consist of.
func parsePlainDate(s []byte) (Time, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	y1, y2, m, d := pair(s, 0), pair(s, 2), pair(s, 5), pair(s, 8)
	if y1|y2|m|d > 127 || m > 12 || d > 31 {
		return 0, false
	}
	return MakeTime(int(y1*100+y2), int(m), int(d), 0, 0, 0, 0), true
}

// pair reads two digits; what is not digits gives more than 99 with the 128 bit set.
func pair(s []byte, i int) uint {
	a, b := uint(s[i]-'0'), uint(s[i+1]-'0')
	if a > 9 || b > 9 {
		return 128
	}
	return a*10 + b
}

// timeFields collects the numbers of a time literal: year to second, and the fraction.
type timeFields struct {
	f          [6]int
	n          int // of numbers read
	micro      int
	roundUp    bool // the seventh fraction digit is 5 or more
	yearDigits int
}

// parseTime reads s. whole is false where garbage follows; ok is false where there is no date.
func parseTime(s []byte, fsp int, loc *time.Location, dateOnly bool) (t Time, whole, ok bool) {
	i := skipSpaces(s, 0)
	var tf timeFields
	if i >= len(s) || !isDigit(s[i]) {
		return 0, false, false
	}
	if digits := digitRun(s[i:]); tf.isCompact(s[i:], digits) {
		i = tf.scanCompact(s, i, digits)
	} else {
		i = tf.scanDelimited(s, i)
	}
	if tf.n < 3 {
		return 0, false, false
	}
	if t, ok = tf.pack(); !ok {
		return 0, false, false
	}
	i, shift, hasOffset := scanOffset(s, i, tf.n)
	if !dateOnly {
		t = tf.rounded(t, fsp)
	}
	if hasOffset {
		if t, ok = applyOffset(t, shift, loc); !ok {
			return 0, false, false
		}
	}
	return t, skipSpaces(s, i) == len(s), true
}

func digitRun(s []byte) (n int) {
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// isCompact tells YYYYMMDDhhmmss forms from delimited ones: all digits up to the end, a fraction, 'T', or a space.
func (tf *timeFields) isCompact(s []byte, digits int) bool {
	if digits < 5 {
		return false
	}
	return digits == len(s) || s[digits] == '.' || s[digits] == 'T' || isSpace(s[digits]) || s[digits] == '+' || digits >= 6
}

func (tf *timeFields) scanCompact(s []byte, i, digits int) int {
	tf.yearDigits = 2
	if digits == 8 || digits >= 14 {
		tf.yearDigits = 4
	}
	end := i + digits
	for ; tf.n < 6 && i < end; tf.n++ {
		width := 2
		if tf.n == 0 {
			width = tf.yearDigits
		}
		width = min(width, end-i)
		tf.f[tf.n] = atoi(s[i : i+width])
		i += width
	}
	if i < end { // more than 14 digits: the rest is ignored with a note
		return i
	}
	if tf.n == 3 && i+1 < len(s) && (s[i] == 'T' || isSpace(s[i])) && isDigit(s[i+1]) {
		return tf.scanClock(s, i+1)
	}
	if tf.n == 6 || tf.n == 3 {
		i = tf.scanFraction(s, i)
	}
	return i
}

// scanDelimited reads year, month and day between punctuation, then the clock.
func (tf *timeFields) scanDelimited(s []byte, i int) int {
	for tf.n < 3 {
		n := min(digitRun(s[i:]), 4)
		if tf.n > 0 {
			n = min(n, 2)
		} else {
			tf.yearDigits = n
		}
		if n == 0 {
			return i
		}
		tf.f[tf.n] = atoi(s[i : i+n])
		i += n
		if tf.n++; tf.n < 3 {
			if i >= len(s) || !isPunct(s[i]) {
				return i
			}
			for i < len(s) && isPunct(s[i]) {
				i++
			}
		}
	}
	j := i
	if j < len(s) && (s[j] == 'T' || s[j] == 't') {
		j++
	} else {
		j = skipSpaces(s, j)
		if j == i && j < len(s) && isPunct(s[j]) && s[j] != '+' && s[j] != '-' {
			j++
		}
	}
	if j == i || j >= len(s) || !isDigit(s[j]) {
		return i
	}
	return tf.scanClock(s, j)
}

// scanClock reads hour, minute, second and fraction at i.
func (tf *timeFields) scanClock(s []byte, i int) int {
	for tf.n < 6 {
		n := min(digitRun(s[i:]), 2)
		tf.f[tf.n] = atoi(s[i : i+n])
		i += n
		if tf.n++; tf.n == 6 {
			return tf.scanFraction(s, i)
		}
		if i < len(s) && isDigit(s[i]) { // hhmmss without separators
			continue
		}
		if i+1 >= len(s) || !isPunct(s[i]) || s[i] == '+' || s[i] == '-' || !isDigit(s[i+1]) {
			return i
		}
		i++
	}
	return i
}

// scanFraction reads ".123456" at i, if there.
func (tf *timeFields) scanFraction(s []byte, i int) int {
	if i >= len(s) || s[i] != '.' {
		return i
	}
	i++
	n := digitRun(s[i:])
	tf.micro, tf.roundUp = fraction(s[i : i+n])
	return i + n
}

// fraction is the first six digits as microseconds, and whether the seventh rounds up.
func fraction(digits []byte) (micro int, roundUp bool) {
	n := min(len(digits), MaxFsp)
	return atoi(digits[:n]) * int(pow10Int64[MaxFsp-n]), len(digits) > MaxFsp && digits[MaxFsp] >= '5'
}

// pack makes a time of the fields, with two-digit years from 1970 to 2069.
func (tf *timeFields) pack() (Time, bool) {
	f := &tf.f
	if tf.yearDigits <= 2 {
		f[0] = fullYear(f[0], f[1]|f[2] == 0)
	}
	if f[1] > 12 || f[2] > 31 || f[3] > 23 || f[4] > 59 || f[5] > 59 {
		return 0, false
	}
	return MakeTime(f[0], f[1], f[2], f[3], f[4], f[5], tf.micro), true
}

func fullYear(year int, zeroDate bool) int {
	switch {
	case year == 0 && zeroDate:
		return 0
	case year < 70:
		return year + 2000
	default:
		return year + 1900
	}
}

func (tf *timeFields) rounded(t Time, fsp int) Time {
	if tf.roundUp && fsp >= MaxFsp {
		return t.addMicros(1)
	}
	return t.Round(fsp)
}

// scanOffset reads "Z", "+05:30" or "-0330" after a time with a clock. shift is in minutes.
func scanOffset(s []byte, i, fields int) (end, shift int, ok bool) {
	if i >= len(s) || fields < 4 {
		return i, 0, false
	}
	if s[i] == 'Z' || s[i] == 'z' {
		return i + 1, 0, true
	}
	if s[i] != '+' && s[i] != '-' {
		return i, 0, false
	}
	j, h, m := i+1, 0, 0
	n := digitRun(s[j:])
	switch {
	case n == 2 && j+5 <= len(s) && s[j+2] == ':' && digitRun(s[j+3:]) == 2:
		h, m, j = atoi(s[j:j+2]), atoi(s[j+3:j+5]), j+5
	case n == 4:
		h, m, j = atoi(s[j:j+2]), atoi(s[j+2:j+4]), j+4
	case n == 2:
		h, j = atoi(s[j:j+2]), j+2
	default:
		return i, 0, false
	}
	shift = h*60 + m
	if h > 14 || m > 59 || shift > 14*60 {
		return i, 0, false
	}
	if s[i] == '-' {
		shift = -shift
	}
	return j, shift, true
}

// applyOffset brings a time with an offset from UTC (minutes) to loc.
func applyOffset(t Time, shift int, loc *time.Location) (Time, bool) {
	utc, ok := t.AddInterval(Interval{Micros: -int64(shift) * 60 * microsPerSec})
	if !ok || !utc.IsValid() {
		return 0, false
	}
	if loc == nil {
		return utc, true
	}
	t, err := utc.In(time.UTC, loc)
	return t, err == nil
}

func atoi(digits []byte) (n int) {
	for _, c := range digits {
		n = n*10 + int(c-'0')
	}
	return n
}

func isPunct(c byte) bool {
	return c >= '!' && c <= '/' || c >= ':' && c <= '@' || c >= '[' && c <= '`' || c >= '{' && c <= '~'
}

// TimeFromNumber reads the number forms YYMMDD, YYYYMMDD, YYMMDDhhmmss and YYYYMMDDhhmmss. 0 is the zero date.
func TimeFromNumber(n int64, mode TimeMode) (Time, error) {
	date, clock, ok := splitNumber(n)
	if ok {
		d, c := int(date), int(clock)
		t := MakeTime(d/10000, d/100%100, d%100, c/10000, c/100%100, c%100, 0)
		if d/100%100 <= 12 && d%100 <= 31 && c/10000 < 24 && c/100%100 < 60 && c%100 < 60 && mode.Check(t) {
			return t, nil
		}
	}
	return 0, Errorf(CodeTruncatedWrong, "Incorrect datetime value: '%d'", n)
}

// splitNumber gives YYYYMMDD and hhmmss.
func splitNumber(n int64) (date, clock int64, ok bool) {
	const six, eight = 1_000_000, 100_000_000
	switch {
	case n == 0:
		return 0, 0, true
	case n < 101:
		return 0, 0, false
	case n <= 691231:
		return n + 20_000_000, 0, true
	case n < 700101:
		return 0, 0, false
	case n <= 991231:
		return n + 19_000_000, 0, true
	case n < 10_000_101:
		return n, 0, n >= 1_000_000 // years 100 to 999 as written
	case n < eight:
		return n, 0, true
	case n < 101_000_000:
		return 0, 0, false
	case n <= 691231_235959:
		return n/six + 20_000_000, n % six, true
	case n < 700101_000000:
		return 0, 0, false
	case n <= 991231_235959:
		return n/six + 19_000_000, n % six, true
	default:
		return n / six, n % six, n < 1_0000_0000_000000
	}
}

// TimeFromDecimal is TimeFromNumber with a fraction of seconds, rounded to fsp digits.
func TimeFromDecimal(d Decimal, fsp int, mode TimeMode) (Time, error) {
	whole, ok := d.Truncate(0).Int64()
	t, err := TimeFromNumber(whole, mode)
	if !ok || err != nil {
		return 0, Errorf(CodeTruncatedWrong, "Incorrect datetime value: '%s'", d)
	}
	frac, err := d.Sub(DecimalFromInt64(whole))
	if err != nil || frac.IsZero() || frac.Sign() < 0 || t == 0 {
		return t, err
	}
	us, _ := Decimal{Coef: frac.Rescale(MaxFsp).Coef}.Int64()
	return t.addMicros(us).Round(fsp), nil
}
