package planner

import (
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
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
		"sec_to_time": fixed("r", tipb.ScalarFuncSig_SecToTime, func() *tipb.FieldType { return durationType(0) }),
		"period_add":  fixed("ii", tipb.ScalarFuncSig_PeriodAdd, intType), "period_diff": fixed("ii", tipb.ScalarFuncSig_PeriodDiff, intType),
		"convert_tz": {"tss", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.call(tipb.ScalarFuncSig_ConvertTz, name, timeType(column.TypeDatetime, fspOf(a[0].Type)), a...)
		}},
		"time": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) { return b.as(a[0], evalDuration) }},
		"timestamp": {"t?u", func(b *builder, name string, a []*Expr) (*Expr, error) {
			ft := timeType(column.TypeDatetime, fspOf(a[0].Type))
			if len(a) == 1 {
				return b.castTo(a[0], ft)
			}
			ft = timeType(column.TypeDatetime, max(fspOf(a[0].Type), fspOf(a[1].Type)))
			return b.call(tipb.ScalarFuncSig_AddDatetimeAndDuration, name, ft, a...)
		}},
		"from_unixtime": {"d?s", fromUnixTime}, "unix_timestamp": {"t", unixTimestamp},
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

func fromUnixTime(b *builder, name string, a []*Expr) (*Expr, error) {
	if len(a) == 1 {
		return b.call(tipb.ScalarFuncSig_FromUnixTime1Arg, name, timeType(column.TypeDatetime, fspOf(a[0].Type)), a...)
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

// timeDiff subtracts times of one kind; strings count as TIME values.
func timeDiff(b *builder, name string, a []*Expr) (*Expr, error) {
	for i := range a {
		var err error
		if a[i], err = b.as(a[i], evalDuration); err != nil {
			return nil, err
		}
	}
	fsp := max(fspOf(a[0].Type), fspOf(a[1].Type))
	return b.call(tipb.ScalarFuncSig_DurationDurationTimeDiff, name, durationType(fsp), a...)
}

func addTime(b *builder, name string, a []*Expr) (*Expr, error) {
	var err error
	if a[1], err = b.as(a[1], evalDuration); err != nil {
		return nil, err
	}
	fsp := max(fspOf(a[0].Type), fspOf(a[1].Type))
	sigs := [3]tipb.ScalarFuncSig{tipb.ScalarFuncSig_AddDatetimeAndDuration, tipb.ScalarFuncSig_AddDurationAndDuration, tipb.ScalarFuncSig_AddStringAndDuration}
	if name == "subtime" {
		sigs = [3]tipb.ScalarFuncSig{tipb.ScalarFuncSig_SubDatetimeAndDuration, tipb.ScalarFuncSig_SubDurationAndDuration, tipb.ScalarFuncSig_SubStringAndDuration}
	}
	switch evalOf(a[0].Type) {
	case evalTime:
		return b.call(sigs[0], name, timeType(column.TypeDatetime, fsp), a...)
	case evalDuration:
		return b.call(sigs[1], name, durationType(fsp), a...)
	}
	if a[0], err = b.as(a[0], evalString); err != nil {
		return nil, err
	}
	return b.call(sigs[2], name, b.textType(datetimeLen+1+maxFsp, a[0]), a...)
}

// sigFamily lists one function's signatures by class: int, real, decimal, string, time, duration, JSON.
type sigFamily [7]tipb.ScalarFuncSig

var (
	ifSigs = sigFamily{tipb.ScalarFuncSig_IfInt, tipb.ScalarFuncSig_IfReal, tipb.ScalarFuncSig_IfDecimal, tipb.ScalarFuncSig_IfString,
		tipb.ScalarFuncSig_IfTime, tipb.ScalarFuncSig_IfDuration, tipb.ScalarFuncSig_IfJson}
	ifNullSigs = sigFamily{tipb.ScalarFuncSig_IfNullInt, tipb.ScalarFuncSig_IfNullReal, tipb.ScalarFuncSig_IfNullDecimal, tipb.ScalarFuncSig_IfNullString,
		tipb.ScalarFuncSig_IfNullTime, tipb.ScalarFuncSig_IfNullDuration, tipb.ScalarFuncSig_IfNullJson}
	coalesceSigs = sigFamily{tipb.ScalarFuncSig_CoalesceInt, tipb.ScalarFuncSig_CoalesceReal, tipb.ScalarFuncSig_CoalesceDecimal, tipb.ScalarFuncSig_CoalesceString,
		tipb.ScalarFuncSig_CoalesceTime, tipb.ScalarFuncSig_CoalesceDuration, tipb.ScalarFuncSig_CoalesceJson}
	greatestSigs = sigFamily{tipb.ScalarFuncSig_GreatestInt, tipb.ScalarFuncSig_GreatestReal, tipb.ScalarFuncSig_GreatestDecimal, tipb.ScalarFuncSig_GreatestString,
		tipb.ScalarFuncSig_GreatestTime, tipb.ScalarFuncSig_GreatestDuration}
	leastSigs = sigFamily{tipb.ScalarFuncSig_LeastInt, tipb.ScalarFuncSig_LeastReal, tipb.ScalarFuncSig_LeastDecimal, tipb.ScalarFuncSig_LeastString,
		tipb.ScalarFuncSig_LeastTime, tipb.ScalarFuncSig_LeastDuration}
)

func controlFunctions() map[string]fnDef {
	return map[string]fnDef{
		"if": {"xxx", func(b *builder, name string, a []*Expr) (*Expr, error) {
			var err error
			if a[0], err = b.truth(a[0]); err != nil {
				return nil, err
			}
			ft, err := b.unify(a, []int{1, 2})
			if err != nil {
				return nil, err
			}
			return b.call(ifSigs[evalOf(ft)], name, ft, a...)
		}},
		"ifnull": {"xx", func(b *builder, name string, a []*Expr) (*Expr, error) { return b.ifNull(a[0], a[1]) }},
		"nullif": {"xx", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			eq, err := b.compare(cmpEQ, a[0], a[1])
			if err != nil {
				return nil, err
			}
			return b.caseOf([]*Expr{eq, nullConst(), a[0]})
		}},
		"coalesce": {"xx*", func(b *builder, name string, a []*Expr) (*Expr, error) { return b.family(name, coalesceSigs, a) }},
		"greatest": {"xxx*", func(b *builder, name string, a []*Expr) (*Expr, error) { return b.family(name, greatestSigs, a) }},
		"least":    {"xxx*", func(b *builder, name string, a []*Expr) (*Expr, error) { return b.family(name, leastSigs, a) }},
		"any_value": {"x", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return a[0], nil
		}},
		"interval": {"xxx*", func(b *builder, name string, a []*Expr) (*Expr, error) {
			et, sig := evalInt, tipb.ScalarFuncSig_IntervalInt
			for _, e := range a {
				if evalOf(e.Type) != evalInt {
					et, sig = evalReal, tipb.ScalarFuncSig_IntervalReal
				}
			}
			for i := range a {
				var err error
				if a[i], err = b.as(a[i], et); err != nil {
					return nil, err
				}
			}
			return b.call(sig, name, intType(), a...)
		}},
	}
}

// ifNull is IFNULL(e, other).
func (b *builder) ifNull(e, other *Expr) (*Expr, error) {
	a := []*Expr{e, other}
	ft, err := b.unify(a, []int{0, 1})
	if err != nil {
		return nil, err
	}
	if notNull(other.Type) {
		ft = withFlag(ft, column.FlagNotNull, 0)
	}
	return b.call(ifNullSigs[evalOf(ft)], "ifnull", ft, a...)
}

// family makes a call whose arguments and result are all of one type.
func (b *builder) family(name string, sigs sigFamily, a []*Expr) (*Expr, error) {
	places := make([]int, len(a))
	for i := range places {
		places[i] = i
	}
	ft, err := b.unify(a, places)
	if err != nil {
		return nil, err
	}
	sig := sigs[evalOf(ft)]
	if sig == 0 {
		return nil, errNotSupported("%s of this type", name)
	}
	return b.call(sig, name, ft, a...)
}

func otherFunctions() map[string]fnDef {
	return map[string]fnDef{
		"inet_aton": fixed("s", tipb.ScalarFuncSig_InetAton, uintType), "inet_ntoa": textual("i", tipb.ScalarFuncSig_InetNtoa, lenFixed(15)),
		"inet6_aton": fixed("s", tipb.ScalarFuncSig_Inet6Aton, binaryOf(16)), "inet6_ntoa": textual("s", tipb.ScalarFuncSig_Inet6Ntoa, lenFixed(39)),
		"is_ipv4": fixed("s", tipb.ScalarFuncSig_IsIPv4, intType), "is_ipv6": fixed("s", tipb.ScalarFuncSig_IsIPv6, intType),
		"uuid": {"", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.volatileCall(tipb.ScalarFuncSig_UUID, name, utf8Type(36))
		}},
		"compress":            fixed("s", tipb.ScalarFuncSig_Compress, binaryOf(maxBlobLen)),
		"uncompress":          fixed("s", tipb.ScalarFuncSig_Uncompress, binaryOf(maxBlobLen)),
		"uncompressed_length": fixed("s", tipb.ScalarFuncSig_UncompressedLength, intType),
		"charset": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			if a[0].Type.Charset == "" {
				return b.textConst("binary"), nil
			}
			return b.textConst(a[0].Type.Charset), nil
		}},
		"collation": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			return b.textConst(collationName(a[0].Type.Collate)), nil
		}},
		"coercibility": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) { return intConst(int64(a[0].coercion)), nil }},
		"convert": {"xs", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			if !a[1].isConst() || a[1].val.Kind() != datum.Bytes {
				return nil, errCode(mysql.ErrWrongArguments, "convert")
			}
			return b.convertUsing(a[0], string(a[1].val.Bytes()))
		}},
		"name_const": {"xx", func(b *builder, _ string, a []*Expr) (*Expr, error) { return a[1], nil }},
	}
}

// convertUsing is CONVERT(e USING charset). All character sets are held as UTF-8 but binary.
func (b *builder) convertUsing(e *Expr, charset string) (*Expr, error) {
	e, err := b.as(e, evalString)
	if err != nil {
		return nil, err
	}
	ft := binaryType(displayLen(e.Type))
	switch charset {
	case "binary":
	case "utf8mb4", "utf8", "utf8mb3":
		ft = stringType(displayLen(e.Type), b.connType)
	case "ascii":
		ft = stringType(displayLen(e.Type), &tipb.FieldType{Collate: -65, Charset: charset})
	case "latin1":
		ft = stringType(displayLen(e.Type), &tipb.FieldType{Collate: -47, Charset: charset})
	default:
		return nil, errCode(mysql.ErrUnknownCharacterSet, charset)
	}
	return b.call(tipb.ScalarFuncSig_CastStringAsString, "convert", ft, e)
}
