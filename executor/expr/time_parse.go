package expr

import (
	"bytes"
	"strings"

	"github.com/scree-db/scree/codec/value"
)

// formatted is what STR_TO_DATE has read so far.
type formatted struct {
	year, month, day             int
	hour, minute, second, micros int
	half                         int // 0 none, 1 AM, 2 PM
	twelve                       bool
	yearDay                      int
}

// parseByFormat reads s by a STR_TO_DATE format. What is left over of either is ignored, as MySQL does with a warning for
// text; ok is false where s does not follow the format.
func parseByFormat(s, format []byte) (p formatted, ok bool) {
	for k := 0; k < len(format); k++ {
		c := format[k]
		if len(trimLeftSpaces(s)) == 0 {
			break
		}
		switch {
		case isSpace(c):
			s = trimLeftSpaces(s)
		case c != '%' || k+1 == len(format):
			if s = trimLeftSpaces(s); len(s) == 0 || s[0] != c {
				return p, false
			}
			s = s[1:]
		default:
			k++
			if s, ok = p.field(trimLeftSpaces(s), format[k]); !ok {
				return p, false
			}
		}
	}
	return p, p.settle()
}

func trimLeftSpaces(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// field reads one % item and returns the rest.
func (p *formatted) field(s []byte, spec byte) (rest []byte, ok bool) {
	switch spec {
	case 'Y':
		rest, ok = readNumber(s, 4, 0, 9999, &p.year)
		if ok && len(s)-len(rest) <= 2 {
			p.year = twoDigitYear(p.year)
		}
		return rest, ok
	case 'y':
		rest, ok = readNumber(s, 2, 0, 99, &p.year)
		p.year = twoDigitYear(p.year)
		return rest, ok
	case 'm', 'c':
		return readNumber(s, 2, 0, 12, &p.month)
	case 'd', 'e':
		return readNumber(s, 2, 0, 31, &p.day)
	case 'D':
		if rest, ok = readNumber(s, 2, 0, 31, &p.day); ok && len(rest) >= 2 {
			return rest[2:], true
		}
		return rest, false
	case 'M':
		return readName(s, monthNames, 0, &p.month)
	case 'b':
		return readName(s, monthNames, 3, &p.month)
	case 'W':
		return readName(s, dayNames, 0, new(int))
	case 'a':
		return readName(s, dayNames, 3, new(int))
	case 'j':
		return readNumber(s, 3, 1, 366, &p.yearDay)
	default:
		return p.clockField(s, spec)
	}
}

func (p *formatted) clockField(s []byte, spec byte) (rest []byte, ok bool) {
	switch spec {
	case 'H', 'k':
		return readNumber(s, 2, 0, 23, &p.hour)
	case 'h', 'I', 'l':
		p.twelve = true
		return readNumber(s, 2, 1, 12, &p.hour)
	case 'i':
		return readNumber(s, 2, 0, 59, &p.minute)
	case 's', 'S':
		return readNumber(s, 2, 0, 59, &p.second)
	case 'f':
		rest, ok = readNumber(s, 6, 0, 999999, &p.micros)
		for n := len(s) - len(rest); ok && n < 6; n++ {
			p.micros *= 10
		}
		return rest, ok
	case 'p':
		return readName(s, []string{"AM", "PM"}, 0, &p.half)
	case 'T':
		return p.sequence(s, "H:i:s")
	case 'r':
		return p.sequence(s, "I:i:s p")
	case '%':
		return bytes.CutPrefix(s, []byte{'%'})
	case '@', '#', '.':
		return skipClass(s, spec), true
	default:
		return s, false
	}
}

// sequence reads several fields with literal characters between them.
func (p *formatted) sequence(s []byte, specs string) (_ []byte, ok bool) {
	for k := 0; k < len(specs); k++ {
		s = trimLeftSpaces(s)
		switch c := specs[k]; c {
		case ' ':
		case ':':
			if s, ok = bytes.CutPrefix(s, []byte{':'}); !ok {
				return s, false
			}
		default:
			if s, ok = p.clockField(s, c); !ok {
				return s, false
			}
		}
	}
	return s, true
}

// skipClass skips letters (@), digits (#) or punctuation (.).
func skipClass(s []byte, class byte) []byte {
	return bytes.TrimLeftFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		return class == '@' && letter || class == '#' && digit || class == '.' && !letter && !digit && r > ' ' && r < 127
	})
}

func readNumber(s []byte, digits, low, high int, to *int) (rest []byte, ok bool) {
	n, k := 0, 0
	for ; k < len(s) && k < digits && isDigit(s[k]); k++ {
		n = n*10 + int(s[k]-'0')
	}
	*to = n
	return s[k:], k > 0 && n >= low && n <= high
}

// readName reads one of names, or its first letters, and stores its position from 1.
func readName(s []byte, names []string, letters int, to *int) (rest []byte, ok bool) {
	for k, name := range names {
		if letters > 0 {
			name = name[:letters]
		}
		if len(s) >= len(name) && strings.EqualFold(string(s[:len(name)]), name) {
			*to = k + 1
			return s[len(name):], true
		}
	}
	return s, false
}

func twoDigitYear(year int) int {
	switch {
	case year < 70:
		return year + 2000
	case year < 100:
		return year + 1900
	default:
		return year
	}
}

// settle applies AM and PM and the day of the year.
func (p *formatted) settle() bool {
	if p.half > 0 && !p.twelve {
		return false
	}
	if p.twelve {
		p.hour %= 12
		if p.half == 2 {
			p.hour += 12
		}
	}
	if p.yearDay > 0 {
		t, ok := value.MakeTime(p.year, 1, 1, 0, 0, 0, 0).AddInterval(value.Interval{Days: int64(p.yearDay - 1)})
		if !ok || t.Year() != p.year {
			return false
		}
		p.year, p.month, p.day = t.Date()
	}
	return true
}

func (p *formatted) time() value.Time {
	return value.MakeTime(p.year, p.month, p.day, p.hour, p.minute, p.second, p.micros)
}
