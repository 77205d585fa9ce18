package planner

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

func dateOnly() *tipb.FieldType { return timeType(column.TypeDate, 0) }

func timeFunctions() map[string]fnDef {
	m := map[string]fnDef{
		"date": fixed("t", tipb.ScalarFuncSig_Date, dateOnly), "last_day": fixed("t", tipb.ScalarFuncSig_LastDay, dateOnly),
		"datediff": fixed("tt", tipb.ScalarFuncSig_DateDiff, intType), "from_days": fixed("i", tipb.ScalarFuncSig_FromDays, dateOnly),
		"date_format": textual("ts", tipb.ScalarFuncSig_DateFormatSig, lenUnknown), "time_format": textual("us", tipb.ScalarFuncSig_TimeFormat, lenUnknown),
		"monthname": textual("t", tipb.ScalarFuncSig_MonthName, lenFixed(10)), "dayname": textual("t", tipb.ScalarFuncSig_DayName, lenFixed(10)),
		"week":     byCount("t?i", 1, typed(intType), tipb.ScalarFuncSig_WeekWithoutMode, tipb.ScalarFuncSig_WeekWithMode),
		"yearweek": byCount("t?i", 1, typed(intType), tipb.ScalarFuncSig_YearWeekWithoutMode, tipb.ScalarFuncSig_YearWeekWithMode),
		"makedate": fixed("ii", tipb.ScalarFuncSig_MakeDate, dateOnly),
		"maketime": {"iix", func(b *builder, name string, a []*Expr) (*Expr, error) {
			ft := durationType(fspOf(a[2].Type))
			var err error
			if a[2], err = b.as(a[2], evalReal); err != nil {
				return nil, err
			}
			return b.call(tipb.ScalarFuncSig_MakeTime, name, ft, a...)
		}},
		"time_to_sec": fixed("u", tipb.ScalarFuncSig_TimeToSec, intType),
		"sec_to_time": {"x", secToTime},
		"period_add":  fixed("ii", tipb.ScalarFuncSig_PeriodAdd, intType), "period_diff": fixed("ii", tipb.ScalarFuncSig_PeriodDiff, intType),
		"convert_tz": {"tss", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.call(tipb.ScalarFuncSig_ConvertTz, name, timeType(column.TypeDatetime, fspOf(a[0].Type)), a...)
		}},
		"time": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) { return b.as(a[0], evalDuration) }},
		"timestamp": {"t?u", func(b *builder, name string, a []*Expr) (*Expr, error) {
			ft := timeType(column.TypeDatetime, fspOf(a[0].Type))
			if len(a) == 1 {
				return b.call(tipb.ScalarFuncSig_CastTimeAsTime, "cast", ft, a[0])
			}
			ft = timeType(column.TypeDatetime, max(fspOf(a[0].Type), fspOf(a[1].Type)))
			return b.call(tipb.ScalarFuncSig_AddDatetimeAndDuration, name, ft, a...)
		}},
		"get_format":    textual("ss", tipb.ScalarFuncSig_GetFormat, lenFixed(17)),
		"from_unixtime": {"x?s", fromUnixTime}, "unix_timestamp": {"t", unixTimestamp},
		"str_to_date": {"ss", strToDate}, "timediff": {"xx", timeDiff}, "addtime": {"xx", addTime}, "subtime": {"xx", addTime},
	}
	for name, sig := range map[string]tipb.ScalarFuncSig{
		"year": tipb.ScalarFuncSig_Year, "month": tipb.ScalarFuncSig_Month, "dayofmonth": tipb.ScalarFuncSig_DayOfMonth,
		"dayofweek": tipb.ScalarFuncSig_DayOfWeek, "dayofyear": tipb.ScalarFuncSig_DayOfYear, "weekday": tipb.ScalarFuncSig_WeekDay,
		"weekofyear": tipb.ScalarFuncSig_WeekOfYear, "quarter": tipb.ScalarFuncSig_Quarter, "to_days": tipb.ScalarFuncSig_ToDays,
		"to_seconds": tipb.ScalarFuncSig_ToSeconds,
	} {
		m[name] = fixed("t", sig, intType)
	}
	for name, sig := range map[string]tipb.ScalarFuncSig{
		"hour": tipb.ScalarFuncSig_Hour, "minute": tipb.ScalarFuncSig_Minute, "second": tipb.ScalarFuncSig_Second, "microsecond": tipb.ScalarFuncSig_MicroSecond,
	} {
		m[name] = fixed("u", sig, intType)
	}
	return m
}

func secToTime(b *builder, name string, a []*Expr) (*Expr, error) {
	if a[0].hex {
		a[0] = hexNumber(a[0])
	}
	ft := durationType(fspOf(a[0].Type))
	seconds, err := b.as(a[0], evalReal)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_SecToTime, name, ft, seconds)
}

func fromUnixTime(b *builder, name string, a []*Expr) (*Expr, error) {
	ft := timeType(column.TypeDatetime, fspOf(a[0].Type))
	var err error
	if a[0], err = b.as(a[0], evalDecimal); err != nil {
		return nil, err
	}
	if len(a) == 1 {
		return b.call(tipb.ScalarFuncSig_FromUnixTime1Arg, name, ft, a...)
	}
	return b.call(tipb.ScalarFuncSig_FromUnixTime2Arg, name, b.textType(maxBlobLen, a[1]), a...)
}

func unixTimestamp(b *builder, name string, a []*Expr) (*Expr, error) {
	if fsp := fspOf(a[0].Type); fsp > 0 {
		return b.call(tipb.ScalarFuncSig_UnixTimestampDec, name, decimalType(12+fsp, fsp), a...)
	}
	return b.call(tipb.ScalarFuncSig_UnixTimestampInt, name, intType(), a...)
}

// strToDate gives a DATE, TIME or DATETIME by what is in the format.
func strToDate(b *builder, name string, a []*Expr) (*Expr, error) {
	date, clock, micros := true, true, true
	if a[1].isConst() && !a[1].isNull() {
		date, clock, micros = formatParts(string(a[1].val.Bytes()))
	}
	fsp := 0
	if micros {
		fsp = maxFsp
	}
	switch {
	case date && !clock:
		return b.call(tipb.ScalarFuncSig_StrToDateDate, name, dateOnly(), a...)
	case clock && !date:
		return b.call(tipb.ScalarFuncSig_StrToDateDuration, name, durationType(fsp), a...)
	}
	return b.call(tipb.ScalarFuncSig_StrToDateDatetime, name, timeType(column.TypeDatetime, fsp), a...)
}

func formatParts(format string) (date, clock, micros bool) {
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		switch format[i] {
		case 'a', 'b', 'c', 'D', 'd', 'e', 'j', 'M', 'm', 'U', 'u', 'V', 'v', 'W', 'w', 'X', 'x', 'Y', 'y':
			date = true
		case 'f':
			clock, micros = true, true
		case 'H', 'h', 'I', 'i', 'k', 'l', 'p', 'r', 'S', 's', 'T':
			clock = true
		}
	}
	return date, clock, micros
}

// timeDiffSigs are the signatures of TIMEDIFF by the classes of its arguments: DATETIME, TIME or text.
var timeDiffSigs = map[[2]evalType]tipb.ScalarFuncSig{
	{evalTime, evalTime}:         tipb.ScalarFuncSig_TimeTimeTimeDiff,
	{evalDuration, evalDuration}: tipb.ScalarFuncSig_DurationDurationTimeDiff,
	{evalString, evalString}:     tipb.ScalarFuncSig_StringStringTimeDiff,
	{evalDuration, evalString}:   tipb.ScalarFuncSig_DurationStringTimeDiff,
	{evalString, evalDuration}:   tipb.ScalarFuncSig_StringDurationTimeDiff,
	{evalTime, evalDuration}:     tipb.ScalarFuncSig_NullTimeDiff,
	{evalDuration, evalTime}:     tipb.ScalarFuncSig_NullTimeDiff,
}

// timeDiff subtracts times of one kind; the difference of a DATETIME and a TIME is NULL. What is no time is read as text.
func timeDiff(b *builder, name string, a []*Expr) (*Expr, error) {
	fsp := 0
	for i, e := range a {
		fsp = max(fsp, b.fspFor(e))
		if isTemporal(e.Type) {
			continue
		}
		var err error
		if a[i], err = b.as(e, evalString); err != nil {
			return nil, err
		}
	}
	classes := [2]evalType{evalOf(a[0].Type), evalOf(a[1].Type)}
	for i := range a { // beside a DATETIME text is one, too
		if classes[i] != evalString || classes[1-i] != evalTime {
			continue
		}
		var err error
		if a[i], err = b.as(a[i], evalTime); err != nil {
			return nil, err
		}
		classes[i] = evalTime
	}
	return b.call(timeDiffSigs[classes], name, durationType(fsp), a...)
}

// addTime is ADDTIME and SUBTIME. A signature is named by the classes of both arguments; the second must be a TIME. What
// is no time counts as text.
func addTime(b *builder, name string, a []*Expr) (*Expr, error) {
	word := map[string]string{"addtime": "Add", "subtime": "Sub"}[name]
	fsp := max(fspOf(a[0].Type), b.fspFor(a[1]))
	first, ft, et := "String", b.textType(datetimeLen+1+maxFsp, a[0]), evalString
	switch {
	case evalOf(a[0].Type) == evalTime:
		first, ft, et = "Datetime", timeType(column.TypeDatetime, fsp), evalTime
	case evalOf(a[0].Type) == evalDuration:
		first, ft, et = "Duration", durationType(fsp), evalDuration
	}
	sig := word + first + "And"
	var err error
	switch evalOf(a[1].Type) {
	case evalTime:
		null := map[evalType]string{evalTime: "DateTimeNull", evalDuration: "DurationNull", evalString: "StringNull"}[evalOf(ft)]
		return b.call(tipb.ScalarFuncSig(tipb.ScalarFuncSig_value[word+"Time"+null]), name, ft, a...)
	case evalDuration:
		sig += "Duration"
	default:
		sig += "String"
		if a[1], err = b.as(a[1], evalString); err != nil {
			return nil, err
		}
	}
	if a[0], err = b.as(a[0], et); err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig(tipb.ScalarFuncSig_value[sig]), name, ft, a...)
}
