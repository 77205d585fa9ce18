package value

import (
	"time"
)

// Time is a DATE, DATETIME or TIMESTAMP in MySQL's packed form, whose order as an integer is the order in time:
//
//	(((year·13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second) << 24 | microsecond
//
// The zero date is 0. Type and fsp are in the field type.
type Time uint64

// MySQL type codes of the temporal types, as in package column, which is above this one.
const (
	typeTimestamp = 7
	typeDate      = 10
	typeDatetime  = 12
)

// MaxFsp is the greatest number of fraction digits of a second.
const MaxFsp = 6

const (
	microBits    = 24
	clockMask    = 1<<(17+microBits) - 1
	microsPerSec = 1_000_000
	microsPerDay = 86400 * microsPerSec
)

// MakeTime packs fields without checking them.
func MakeTime(year, month, day, hour, minute, second, micro int) Time {
	return Time(uint64(((year*13+month)<<5|day)<<17|hour<<12|minute<<6|second)<<microBits | uint64(micro))
}

// Fields unpack t.
func (t Time) Fields() (year, month, day, hour, minute, second, micro int) {
	year, month, day = t.Date()
	hour, minute, second, micro = t.Clock()
	return
}

// Date is the calendar half of t.
func (t Time) Date() (year, month, day int) {
	ymd := uint64(t) >> (17 + microBits)
	ym := ymd >> 5
	return int(ym / 13), int(ym % 13), int(ymd & 31)
}

// Clock is the time of day of t.
func (t Time) Clock() (hour, minute, second, micro int) {
	hms := uint64(t) >> microBits
	return int(hms >> 12 & 31), int(hms >> 6 & 63), int(hms & 63), int(t & (1<<microBits - 1))
}

// Year, Month, Day are the fields of that name.
func (t Time) Year() int  { return int(uint64(t) >> (22 + microBits) / 13) }
func (t Time) Month() int { return int(uint64(t) >> (22 + microBits) % 13) }
func (t Time) Day() int   { return int(uint64(t) >> (17 + microBits) & 31) }

// Hour, Minute, Second, Micro are the fields of that name.
func (t Time) Hour() int   { return int(uint64(t) >> (12 + microBits) & 31) }
func (t Time) Minute() int { return int(uint64(t) >> (6 + microBits) & 63) }
func (t Time) Second() int { return int(uint64(t) >> microBits & 63) }
func (t Time) Micro() int  { return int(t & (1<<microBits - 1)) }

// IsZero reports whether t is the zero date, '0000-00-00 00:00:00'.
func (t Time) IsZero() bool { return t == 0 }

// DateOnly is t at midnight.
func (t Time) DateOnly() Time { return t &^ clockMask }

// HasZeroInDate reports whether month or day is 0.
func (t Time) HasZeroInDate() bool { return t.Month() == 0 || t.Day() == 0 }

// IsValid reports whether t names a real day and time of day. The zero date and dates with a zero month or day are not.
func (t Time) IsValid() bool {
	y, m, d := t.Date()
	h, mi, s, us := t.Clock()
	return y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= DaysInMonth(y, m) && h < 24 && mi < 60 && s < 60 && us < microsPerSec
}

// The least and greatest TIMESTAMP, in UTC.
var (
	MinTimestamp = MakeTime(1970, 1, 1, 0, 0, 1, 0)
	MaxTimestamp = MakeTime(2038, 1, 19, 3, 14, 7, 999999)
)

// TimeMode are the rules of sql_mode that concern dates.
type TimeMode struct {
	NoZeroInDate, NoZeroDate, AllowInvalidDates bool
}

// Check reports whether t may stand in a column under the mode.
func (m TimeMode) Check(t Time) bool {
	year, month, day := t.Date()
	switch h, mi, s, us := t.Clock(); {
	case h > 23 || mi > 59 || s > 59 || us >= microsPerSec || year > 9999 || month > 12:
		return false
	case t.DateOnly() == 0:
		return !m.NoZeroDate
	case month == 0 || day == 0:
		return !m.NoZeroInDate && day <= 31
	case m.AllowInvalidDates:
		return day <= 31
	default:
		return day <= DaysInMonth(year, month)
	}
}

// Append formats t as its type wants: DATE without time, else with fsp fraction digits.
func (t Time) Append(dst []byte, typ byte, fsp int) []byte {
	year, month, day := t.Date()
	dst = append2(dst, year/100)
	dst = append2(dst, year%100)
	dst = append2(append(dst, '-'), month)
	dst = append2(append(dst, '-'), day)
	if typ == typeDate {
		return dst
	}
	h, m, s, us := t.Clock()
	dst = append2(append(dst, ' '), h)
	dst = append2(append(dst, ':'), m)
	dst = append2(append(dst, ':'), s)
	return appendFraction(dst, us, fsp)
}

// digitPairs is "00" to "99", one after the other.
const digitPairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354" +
	"5556575859606162636465666768697071727374757677787980818283848586878889909192939495969798" + "99"

func append2(dst []byte, n int) []byte {
	n = n % 100 * 2
	return append(dst, digitPairs[n], digitPairs[n+1])
}

// appendFraction appends '.' and the first fsp of six digits of micro.
func appendFraction(dst []byte, micro, fsp int) []byte {
	if fsp <= 0 {
		return dst
	}
	dst = append(dst, '.')
	start := len(dst)
	dst = append2(dst, micro/10000)
	dst = append2(dst, micro/100%100)
	dst = append2(dst, micro%100)
	return dst[:start+min(fsp, MaxFsp)]
}

// Number is t as MySQL converts it to an integer, 20240102 for a DATE or 20240102030405, without the fraction.
func (t Time) Number(typ byte) int64 {
	y, m, d := t.Date()
	n := int64(y*10000 + m*100 + d)
	if typ == typeDate {
		return n
	}
	h, mi, s, _ := t.Clock()
	return n*1_000_000 + int64(h*10000+mi*100+s)
}

// Decimal is t as MySQL converts it to a DECIMAL, 20240102030405.678, with fsp fraction digits.
func (t Time) Decimal(typ byte, fsp int) Decimal {
	if typ == typeDate || fsp <= 0 {
		return DecimalFromInt64(t.Number(typ))
	}
	frac := int64(t.Micro()) / pow10Int64[MaxFsp-fsp]
	if coef, ok := mulInt64(t.Number(typ), pow10Int64[fsp]); ok {
		return DecimalFromScaled(coef+frac, fsp)
	}
	sum, _ := DecimalFromInt64(t.Number(typ)).Rescale(fsp).Add(DecimalFromScaled(frac, fsp)) // 20 digits at most
	return sum
}

// ToChunk gives the bit field of the TypeChunk encoding (protocol notes 7.5): year 63-50, month 49-46, day 45-41, hour
// 40-36, minute 35-30, second 29-24, microsecond 23-4, fsp 3-1, type bit 0 (1 = timestamp); low bits 1110 mark a DATE.
func (t Time) ToChunk(typ byte, fsp int) uint64 {
	y, m, d := t.Date()
	h, mi, s, us := t.Clock()
	v := uint64(y)<<50 | uint64(m)<<46 | uint64(d)<<41 | uint64(h)<<36 | uint64(mi)<<30 | uint64(s)<<24 | uint64(us)<<4
	switch typ {
	case typeDate:
		return v | 0b1110
	case typeTimestamp:
		return v | uint64(fsp&7)<<1 | 1
	default:
		return v | uint64(fsp&7)<<1
	}
}

// TimeFromChunk reads the bit field of ToChunk.
func TimeFromChunk(v uint64) Time {
	return MakeTime(int(v>>50), int(v>>46&15), int(v>>41&31), int(v>>36&31), int(v>>30&63), int(v>>24&63), int(v>>4&(1<<20-1)))
}

// Round rounds t to fsp digits, half up. A date without calendar (zero month or day) keeps its date.
func (t Time) Round(fsp int) Time {
	if fsp >= MaxFsp {
		return t
	}
	unit := int(pow10Int64[MaxFsp-max(fsp, 0)])
	us := t.Micro()
	down := us - us%unit
	t += Time(down) - Time(us)
	if us-down < (unit+1)/2 {
		return t
	}
	if down+unit < microsPerSec {
		return t + Time(unit)
	}
	return t.addMicros(int64(microsPerSec - down))
}

// addMicros moves t by less than a day; the carry out of midnight needs a real calendar day, else t stays.
func (t Time) addMicros(n int64) Time {
	if !t.DateOnly().IsValid() {
		return t
	}
	sum, ok := t.AddInterval(Interval{Micros: n})
	if !ok {
		return t
	}
	return sum
}

// GoTime is t in loc; ok is false for zero or invalid dates.
func (t Time) GoTime(loc *time.Location) (_ time.Time, ok bool) {
	if !t.IsValid() {
		return time.Time{}, false
	}
	y, m, d := t.Date()
	h, mi, s, us := t.Clock()
	return time.Date(y, time.Month(m), d, h, mi, s, us*1000, loc), true
}

// FromGoTime packs t's wall clock, rounded to fsp digits.
func FromGoTime(t time.Time, fsp int) Time {
	t = t.Round(time.Duration(pow10Int64[9-min(max(fsp, 0), MaxFsp)]))
	y, m, d := t.Date()
	h, mi, s := t.Clock()
	return MakeTime(y, int(m), d, h, mi, s, t.Nanosecond()/1000)
}

// FromUnixMicro is the wall clock in loc of a Unix time in microseconds.
func FromUnixMicro(us int64, loc *time.Location) Time {
	return FromGoTime(time.UnixMicro(us).In(loc), MaxFsp)
}

// In converts the wall-clock time t of zone from to zone to (TIMESTAMP between UTC and session). Zero stays zero. A time
// that does not exist in from, in the gap of a change to summer time, is an error.
func (t Time) In(from, to *time.Location) (Time, error) {
	if from == to || t == 0 {
		return t, nil
	}
	g, ok := t.GoTime(from)
	if !ok {
		return 0, t.incorrect()
	}
	if from != time.UTC && FromGoTime(g, MaxFsp) != t {
		return 0, t.incorrect()
	}
	return FromGoTime(g.In(to), MaxFsp), nil
}

func (t Time) incorrect() *Error {
	return Errorf(CodeTruncatedWrong, "Incorrect datetime value: '%s'", t.Append(nil, typeDatetime, 0))
}
