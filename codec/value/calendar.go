package value

// Calendar arithmetic on the proleptic Gregorian calendar, with MySQL's day numbers: day 1 is 0000-01-01, TO_DAYS.

var monthDays = [13]uint8{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// daysBefore[m] is the number of days before month m in a common year.
var daysBefore = [14]int{0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) && year != 0 }

// DaysInMonth is 0 for months that do not exist.
func DaysInMonth(year, month int) int {
	switch {
	case month < 1 || month > 12:
		return 0
	case month == 2 && isLeap(year):
		return 29
	default:
		return int(monthDays[month])
	}
}

// dayNumber is TO_DAYS of a date; a day beyond its month counts on into the next, month 0 is December before.
func dayNumber(year, month, day int) int {
	if year == 0 && month == 0 {
		return 0
	}
	n := 365*year + 31*(month-1) + day
	if month <= 2 {
		year--
	} else {
		n -= (month*4 + 23) / 10
	}
	return n + year/4 - (year/100+1)*3/4
}

// maxDayNumber is TO_DAYS of 9999-12-31.
const maxDayNumber = 3652424

// dateOfDay is the inverse of dayNumber for days from 366 (0001-01-01) to maxDayNumber; others give the zero date.
func dateOfDay(n int) (year, month, day int) {
	if n <= 365 || n > maxDayNumber {
		return 0, 0, 0
	}
	// Days since 0000-03-01, in eras of 400 years, so that the leap day ends a year.
	z := n - 60
	era := z / 146097
	doe := z % 146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = era*400 + yoe
	if month <= 2 {
		year++
	}
	return year, month, day
}

// ToDays is TO_DAYS: days since year 0.
func (t Time) ToDays() int { return dayNumber(t.Date()) }

// FromDays is FROM_DAYS: the date of a day number, the zero date outside 366 to 3652424.
func FromDays(n int) Time {
	y, m, d := dateOfDay(n)
	return MakeTime(y, m, d, 0, 0, 0, 0)
}

// Weekday is 0 for Monday to 6 for Sunday.
func (t Time) Weekday() int { return weekdayOf(t.ToDays(), false) }

// weekdayOf counts from Monday, or from Sunday.
func weekdayOf(day int, sundayFirst bool) int {
	if sundayFirst {
		return (day + 6) % 7
	}
	return (day + 5) % 7
}

// YearDay is the day of the year, from 1.
func (t Time) YearDay() int {
	y, m, d := t.Date()
	return dayNumber(y, m, d) - dayNumber(y, 1, 1) + 1
}

// LastDay is the last day of t's month; ok is false where the month is 0.
func (t Time) LastDay() (_ Time, ok bool) {
	y, m, _ := t.Date()
	if m == 0 {
		return 0, false
	}
	return MakeTime(y, m, DaysInMonth(y, m), 0, 0, 0, 0), true
}

// Quarter is 1 to 4, 0 for month 0.
func (t Time) Quarter() int { return (t.Month() + 2) / 3 }

// Week is WEEK(t, mode) for the modes 0 to 7.
func (t Time) Week(mode int) int {
	_, w := t.yearWeek(mode)
	return w
}

// YearWeek is YEARWEEK(t, mode): year·100 + week, with the year that the week belongs to.
func (t Time) YearWeek(mode int) int {
	y, w := t.yearWeek(mode | 2)
	return y*100 + w
}

// yearWeek follows the table of modes: bit 0 weeks start on Monday, bit 1 weeks 1 to 53 instead of 0 to 53, bit 2
// (flipped where weeks start on Sunday) week 1 is the one with the year's first such weekday and not the one with four days.
func (t Time) yearWeek(mode int) (year, week int) {
	mode &= 7
	mondayFirst, weekYear := mode&1 != 0, mode&2 != 0
	firstWeekday := mode&4 != 0
	if !mondayFirst {
		firstWeekday = !firstWeekday
	}
	year, month, day := t.Date()
	n, first := dayNumber(year, month, day), dayNumber(year, 1, 1)
	weekday := weekdayOf(first, !mondayFirst)
	if month == 1 && day <= 7-weekday {
		if !weekYear && (firstWeekday && weekday != 0 || !firstWeekday && weekday >= 4) {
			return year, 0
		}
		weekYear = true
		if firstWeekday && weekday != 0 || !firstWeekday && weekday >= 4 {
			year--
			days := daysInYear(year)
			first -= days
			weekday = (weekday + 53*7 - days) % 7
		}
	}
	var days int
	if firstWeekday && weekday != 0 || !firstWeekday && weekday >= 4 {
		days = n - (first + 7 - weekday)
	} else {
		days = n - (first - weekday)
	}
	if weekYear && days >= 52*7 {
		weekday = (weekday + daysInYear(year)) % 7
		if !firstWeekday && weekday < 4 || firstWeekday && weekday == 0 {
			return year + 1, 1
		}
	}
	return year, days/7 + 1
}

func daysInYear(year int) int {
	if isLeap(year) {
		return 366
	}
	return 365
}
