package expr

import (
	"fmt"
	"strconv"

	"github.com/scree-db/scree/codec/value"
)

func appendPadded(dst []byte, n, width int) []byte {
	digits := strconv.Itoa(n)
	for k := len(digits); k < width; k++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

func dateFormatRow(f *frame, i int) error {
	t, format := f.a[0].time(i), f.a[1].str(i)
	if len(format) == 0 {
		return f.setNull(i)
	}
	out, ok := appendDateFormat(f.out.data, t, format)
	if !ok {
		return f.notADay(i, t, f.args[0])
	}
	f.out.data = out
	f.out.end(i)
	return nil
}

// appendDateFormat writes t by a DATE_FORMAT pattern; ok is false where a name or week of a date that is no day is asked.
func appendDateFormat(dst []byte, t value.Time, format []byte) (_ []byte, ok bool) {
	for k := 0; k < len(format); k++ {
		if format[k] != '%' || k+1 == len(format) {
			dst = append(dst, format[k])
			continue
		}
		k++
		if dst, ok = appendDateField(dst, t, format[k]); !ok {
			return nil, false
		}
	}
	return dst, true
}

func appendDateField(dst []byte, t value.Time, spec byte) (_ []byte, ok bool) {
	year, month, day := t.Date()
	switch spec {
	case 'Y':
		return appendPadded(dst, year, 4), true
	case 'y':
		return appendPadded(dst, year%100, 2), true
	case 'm':
		return appendPadded(dst, month, 2), true
	case 'c':
		return strconv.AppendInt(dst, int64(month), 10), true
	case 'd':
		return appendPadded(dst, day, 2), true
	case 'e':
		return strconv.AppendInt(dst, int64(day), 10), true
	case 'D':
		return append(strconv.AppendInt(dst, int64(day), 10), ordinal(day)...), true
	case 'M', 'b':
		if month < 1 || month > 12 {
			return dst, false
		}
		name := monthNames[month-1]
		if spec == 'b' {
			name = name[:3]
		}
		return append(dst, name...), true
	case 'j', 'W', 'a', 'w', 'U', 'u', 'V', 'v', 'X', 'x':
		if t.HasZeroInDate() {
			return dst, false
		}
		return appendCalendarField(dst, t, spec), true
	default:
		h, m, s, us := t.Clock()
		return appendClockField(dst, h, m, s, us, spec), true
	}
}

// appendCalendarField writes what needs a real day: weekdays, weeks, days of the year.
func appendCalendarField(dst []byte, t value.Time, spec byte) []byte {
	switch spec {
	case 'j':
		return appendPadded(dst, t.YearDay(), 3)
	case 'W':
		return append(dst, dayNames[t.Weekday()]...)
	case 'a':
		return append(dst, dayNames[t.Weekday()][:3]...)
	case 'w':
		return strconv.AppendInt(dst, int64((t.Weekday()+1)%7), 10)
	case 'U':
		return appendPadded(dst, t.Week(0), 2)
	case 'u':
		return appendPadded(dst, t.Week(1), 2)
	case 'V':
		return appendPadded(dst, t.Week(2), 2)
	case 'v':
		return appendPadded(dst, t.Week(3), 2)
	case 'X':
		return appendPadded(dst, t.YearWeek(2)/100, 4)
	default:
		return appendPadded(dst, t.YearWeek(3)/100, 4)
	}
}

// appendClockField writes a field of the time of day; a letter without meaning stands for itself.
func appendClockField(dst []byte, h, m, s, us int, spec byte) []byte {
	half, am := (h+11)%12+1, "AM"
	if h%24 >= 12 {
		am = "PM"
	}
	switch spec {
	case 'H':
		return appendPadded(dst, h, 2)
	case 'k':
		return strconv.AppendInt(dst, int64(h), 10)
	case 'h', 'I':
		return appendPadded(dst, half, 2)
	case 'l':
		return strconv.AppendInt(dst, int64(half), 10)
	case 'i':
		return appendPadded(dst, m, 2)
	case 's', 'S':
		return appendPadded(dst, s, 2)
	case 'f':
		return appendPadded(dst, us, 6)
	case 'p':
		return append(dst, am...)
	case 'r':
		return fmt.Appendf(dst, "%02d:%02d:%02d %s", half, m, s, am)
	case 'T':
		return fmt.Appendf(dst, "%02d:%02d:%02d", h, m, s)
	default:
		return append(dst, spec)
	}
}

func ordinal(day int) string {
	if day/10 == 1 {
		return "th"
	}
	switch day % 10 {
	case 1:
		return "st"
	case 2:
		return "nd"
	case 3:
		return "rd"
	default:
		return "th"
	}
}

// timeFormatRow is TIME_FORMAT: the fields of a clock, whose hours may exceed a day; dates are zeros.
func timeFormatRow(f *frame, i int) error {
	neg, h, m, s, us := f.a[0].dur(i).Fields()
	format := f.a[1].str(i)
	if len(format) == 0 {
		return f.setNull(i)
	}
	out := f.out.data
	if neg {
		out = append(out, '-')
	}
	for k := 0; k < len(format); k++ {
		if format[k] != '%' || k+1 == len(format) {
			out = append(out, format[k])
			continue
		}
		k++
		switch format[k] {
		case 'Y':
			out = append(out, "0000"...)
		case 'y', 'm', 'd':
			out = append(out, "00"...)
		case 'c', 'e':
			out = append(out, '0')
		case 'M', 'b', 'D', 'j', 'W', 'a', 'w', 'U', 'u', 'V', 'v', 'X', 'x':
			f.out.data = out
			return f.setNull(i)
		default:
			out = appendClockField(out, int(h), int(m), int(s), int(us), format[k])
		}
	}
	f.out.data = out
	f.out.end(i)
	return nil
}
