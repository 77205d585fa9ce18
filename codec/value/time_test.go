package value

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Literals in the many shapes that MySQL takes. The wanted text "" is an error without a value.
func TestParseTime(t *testing.T) {
	for _, c := range []struct {
		in   string
		fsp  int
		want string
	}{
		{"2024-01-02", 0, "2024-01-02 00:00:00"}, {"2024-1-2", 0, "2024-01-02 00:00:00"},
		{"24-1-2", 0, "2024-01-02 00:00:00"}, {"70-1-2", 0, "1970-01-02 00:00:00"},
		{"20240102", 0, "2024-01-02 00:00:00"}, {"240102", 0, "2024-01-02 00:00:00"},
		{"20240102030405", 0, "2024-01-02 03:04:05"}, {"240102030405", 0, "2024-01-02 03:04:05"},
		{"20240102T030405", 0, "2024-01-02 03:04:05"}, {"20240102030405.678", 2, "2024-01-02 03:04:05.68"},
		{"2024-01-02T03:04:05.6", 1, "2024-01-02 03:04:05.6"}, {" 2024/01/02 3:4 ", 0, "2024-01-02 03:04:00"},
		{"2024-12-31 23:59:59.5", 0, "2025-01-01 00:00:00"}, {"2024-12-31 23:59:59.4999999", 0, "2024-12-31 23:59:59"},
		{"2024-12-31 23:59:59.9999995", 6, "2025-01-01 00:00:00.000000"},
		{"2024.01.02 03.04.05", 0, "2024-01-02 03:04:05"}, {"2024-02-30", 0, ""}, {"2024-13-01", 0, ""}, {"2023-02-29", 0, ""},
		{"2024-01-02 24:00:00", 0, ""}, {"abc", 0, ""}, {"", 0, ""}, {"2024-01", 0, ""}, {"0000-00-00", 0, "0000-00-00 00:00:00"},
		{"2024-00-05", 0, "2024-00-05 00:00:00"}, {"2024-01-02 03:04:05+05:30", 0, "2024-01-01 21:34:05"},
		{"2024-01-02 03:04:05Z", 0, "2024-01-02 03:04:05"},
	} {
		got, err := ParseTime([]byte(c.in), typeDatetime, c.fsp, time.UTC, TimeMode{})
		if c.want == "" {
			require.Error(t, err, c.in)
			require.Zero(t, got, c.in)
			continue
		}
		require.NoError(t, err, c.in)
		require.Equal(t, c.want, string(got.Append(nil, typeDatetime, c.fsp)), c.in)
	}
}

func TestParseTimeModes(t *testing.T) {
	parse := func(s string, m TimeMode) error {
		_, err := ParseTime([]byte(s), typeDate, 0, time.UTC, m)
		return err
	}
	require.Error(t, parse("0000-00-00", TimeMode{NoZeroDate: true}))
	require.Error(t, parse("2024-00-01", TimeMode{NoZeroInDate: true}))
	require.NoError(t, parse("2024-02-31", TimeMode{AllowInvalidDates: true}))
	got, err := ParseTime([]byte("2024-01-02abc"), typeDate, 0, time.UTC, TimeMode{})
	require.ErrorContains(t, err, "Truncated incorrect datetime value: '2024-01-02abc'")
	require.Equal(t, "2024-01-02", string(got.Append(nil, typeDate, 0)))
}

// Day numbers, weekdays and ISO weeks agree with the standard library for every day of the calendar MySQL has.
func TestCalendarAgainstGo(t *testing.T) {
	for n := 366; n <= maxDayNumber; n += 7*13 + 3 {
		d := FromDays(n)
		require.Equal(t, n, d.ToDays())
		g, ok := d.GoTime(time.UTC)
		require.True(t, ok)
		require.Equal(t, g.YearDay(), d.YearDay())
		require.Equal(t, (int(g.Weekday())+6)%7, d.Weekday())
		y, w := g.ISOWeek()
		require.Equal(t, y*100+w, d.YearWeek(3), d.Append(nil, typeDate, 0))
		require.Equal(t, d, FromGoTime(g, 6))
	}
	require.Equal(t, 1, dayNumber(0, 1, 1))
	require.Equal(t, 719528, dayNumber(1970, 1, 1))
	require.Equal(t, "9999-12-31", string(FromDays(maxDayNumber).Append(nil, typeDate, 0)))
}

func TestWeekModes(t *testing.T) {
	for _, c := range []struct {
		date string
		want [8]int
	}{
		{"2008-02-20", [8]int{7, 8, 7, 8, 8, 7, 8, 7}}, {"2000-01-01", [8]int{0, 0, 52, 52, 0, 0, 52, 52}},
		{"2008-12-31", [8]int{52, 53, 52, 1, 53, 52, 53, 52}},
	} {
		d, err := ParseTime([]byte(c.date), typeDate, 0, time.UTC, TimeMode{})
		require.NoError(t, err)
		for mode, want := range c.want {
			require.Equal(t, want, d.Week(mode), "%s mode %d", c.date, mode)
		}
	}
}

func TestAddInterval(t *testing.T) {
	for _, c := range []struct {
		from, by string
		unit     Unit
		want     string
	}{
		{"1998-12-01", "-90", UnitDay, "1998-09-02 00:00:00.000000"}, {"2024-01-31", "1", UnitMonth, "2024-02-29 00:00:00.000000"},
		{"2024-02-29", "1", UnitYear, "2025-02-28 00:00:00.000000"}, {"1994-01-01", "1", UnitYear, "1995-01-01 00:00:00.000000"},
		{"2024-12-31 23:59:59", "1", UnitSecond, "2025-01-01 00:00:00.000000"}, {"2024-01-01", "-1", UnitMicrosecond, "2023-12-31 23:59:59.999999"},
		{"2024-01-01", "1.5", UnitSecond, "2024-01-01 00:00:01.500000"}, {"2024-01-01", "1 2:3", UnitDayMinute, "2024-01-02 02:03:00.000000"},
		{"2024-01-01", "-1-2", UnitYearMonth, "2022-11-01 00:00:00.000000"}, {"2024-01-01", "5", UnitHourSecond, "2024-01-01 00:00:05.000000"},
		{"2024-01-01", "1.5", UnitSecondMicrosecond, "2024-01-01 00:00:01.500000"}, {"2024-03-31", "2", UnitQuarter, "2024-09-30 00:00:00.000000"},
		{"9999-12-31", "1", UnitDay, ""}, {"0001-01-01", "-2", UnitYear, ""}, {"2024-01-01", "9223372036854775807", UnitDay, ""},
	} {
		d, err := ParseTime([]byte(c.from), typeDatetime, 6, time.UTC, TimeMode{})
		require.NoError(t, err)
		iv, ok := ParseInterval([]byte(c.by), c.unit)
		var got Time
		if ok {
			got, ok = d.AddInterval(iv)
		}
		if require.Equal(t, c.want != "", ok, "%s + %s %s", c.from, c.by, c.unit); ok {
			require.Equal(t, c.want, string(got.Append(nil, typeDatetime, 6)), "%s + %s %s", c.from, c.by, c.unit)
		}
	}
}

// Adding and subtracting exact spans agrees with the standard library, and Diff undoes it.
func TestAddIntervalAgainstGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := FromUnixMicro(rapid.Int64Range(-50e15, 200e15).Draw(t, "from"), time.UTC)
		us := rapid.Int64Range(-9e15, 9e15).Draw(t, "micros")
		b, ok := a.AddInterval(Interval{Micros: us})
		require.True(t, ok)
		g, _ := a.GoTime(time.UTC)
		require.Equal(t, FromGoTime(g.Add(time.Duration(us)*time.Microsecond), 6), b)
		require.Equal(t, us, b.Diff(UnitMicrosecond, a))
		require.Equal(t, b, TimeFromChunk(b.ToChunk(typeDatetime, 6)))
		back, err := ParseTime(b.Append(nil, typeDatetime, 6), typeDatetime, 6, time.UTC, TimeMode{})
		require.NoError(t, err)
		require.Equal(t, b, back)
	})
}

func TestTimeDiff(t *testing.T) {
	a, b := MakeTime(2024, 1, 31, 10, 0, 0, 0), MakeTime(2024, 2, 29, 9, 0, 0, 0)
	require.Equal(t, int64(0), b.Diff(UnitMonth, a))
	require.Equal(t, int64(28), b.Diff(UnitDay, a))
	require.Equal(t, int64(-28), a.Diff(UnitDay, b))
	require.Equal(t, int64(4), b.Diff(UnitWeek, a))
	require.Equal(t, int64(202402), b.Extract(UnitYearMonth))
	require.Equal(t, int64(29090000), b.Extract(UnitDaySecond))
}

func TestTimeZones(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.FixedZone("CET", 3600)
	}
	local, err := MakeTime(2024, 1, 2, 3, 4, 5, 6).In(time.UTC, berlin)
	require.NoError(t, err)
	require.Equal(t, MakeTime(2024, 1, 2, 4, 4, 5, 6), local)
	back, err := local.In(berlin, time.UTC)
	require.NoError(t, err)
	require.Equal(t, MakeTime(2024, 1, 2, 3, 4, 5, 6), back)
	zero, err := Time(0).In(berlin, time.UTC)
	require.NoError(t, err)
	require.Zero(t, zero)
	if berlin.String() == "Europe/Berlin" {
		_, err = MakeTime(2024, 3, 31, 2, 30, 0, 0).In(berlin, time.UTC) // no such moment
		require.Error(t, err)
	}
}

func TestTimeNumbers(t *testing.T) {
	for _, c := range []struct {
		in   int64
		want string
	}{
		{20240102030405, "2024-01-02 03:04:05"}, {20240102, "2024-01-02 00:00:00"}, {240102, "2024-01-02 00:00:00"},
		{700101, "1970-01-01 00:00:00"}, {240102030405, "2024-01-02 03:04:05"}, {0, "0000-00-00 00:00:00"}, {1, ""}, {20241301, ""}, {-1, ""},
		{700000, ""}, {99999999999999, ""},
	} {
		got, err := TimeFromNumber(c.in, TimeMode{})
		if c.want == "" {
			require.Error(t, err, c.in)
			continue
		}
		require.NoError(t, err, c.in)
		require.Equal(t, c.want, string(got.Append(nil, typeDatetime, 0)))
	}
	d := MakeTime(2024, 1, 2, 3, 4, 5, 678901)
	require.Equal(t, int64(20240102030405), d.Number(typeDatetime))
	require.Equal(t, int64(20240102), d.Number(typeDate))
	require.Equal(t, "20240102030405.678", d.Decimal(typeDatetime, 3).String())
	back, err := TimeFromDecimal(dec(t, "20240102030405.678901"), 6, TimeMode{})
	require.NoError(t, err)
	require.Equal(t, d, back)
}

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		in   string
		fsp  int
		want string
		bad  bool
	}{
		{"10:11:12", 0, "10:11:12", false}, {"-838:59:59.000000", 0, "-838:59:59", false}, {"839:00:00", 0, "838:59:59", true},
		{"1 02:03:04", 0, "26:03:04", false}, {"1 02", 0, "26:00:00", false}, {"112233", 0, "11:22:33", false}, {"12", 0, "00:00:12", false},
		{"1122", 0, "00:11:22", false}, {"11:22", 0, "11:22:00", false}, {"1:2:3.5", 1, "01:02:03.5", false}, {"1:2:3.5", 0, "01:02:04", false},
		{"2024-01-02 03:04:05.5", 1, "03:04:05.5", false}, {"10:61:00", 0, "00:00:00", true}, {"abc", 0, "00:00:00", true},
		{"10:11:12x", 0, "10:11:12", true}, {"-00:00:01", 0, "-00:00:01", false}, {"100:00:00", 3, "100:00:00.000", false}, {"", 0, "00:00:00", true},
	} {
		got, err := ParseDuration([]byte(c.in), c.fsp)
		require.Equal(t, c.bad, err != nil, c.in)
		require.Equal(t, c.want, string(got.Append(nil, c.fsp)), c.in)
	}
	d, err := DurationFromDecimal(dec(t, "-112233.5"), 1)
	require.NoError(t, err)
	require.Equal(t, "-11:22:33.5", string(d.Append(nil, 1)))
	require.Equal(t, "-112233.5", d.Decimal(1).String())
	require.Equal(t, int64(-1122), d.Extract(UnitHourMinute))
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2024-01-02 03:04:05.678+05:30", "20240102030405", "1 02:03:04", "T", "2024-1-1T"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		if v, err := ParseTime(s, typeDatetime, 6, time.UTC, TimeMode{NoZeroInDate: true}); err == nil && v.DateOnly() != 0 {
			require.True(t, v.IsValid(), "%s: %s", s, v.Append(nil, typeDatetime, 6))
		}
		if d, err := ParseDuration(s, 6); err == nil {
			_, ok := d.Clamp()
			require.True(t, ok)
		}
		for u := UnitMicrosecond; u <= UnitYearMonth; u++ {
			_, _ = ParseInterval(s, u)
		}
	})
}

func BenchmarkParseDate(b *testing.B) {
	s := []byte("1996-03-13")
	for b.Loop() {
		_, _ = ParseTime(s, typeDate, 0, time.UTC, TimeMode{NoZeroDate: true, NoZeroInDate: true})
	}
}
