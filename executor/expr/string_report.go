package expr

import (
	"bytes"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// reportFunctions write numbers and bits for people.
func reportFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_Format:         {spec: "xi:s", build: buildFormat},
		tipb.ScalarFuncSig_ExportSet3Arg:  {spec: "iss:s", row: exportSetRow},
		tipb.ScalarFuncSig_ExportSet4Arg:  {spec: "isss:s", row: exportSetRow},
		tipb.ScalarFuncSig_ExportSet5Arg:  {spec: "isssi:s", row: exportSetRow},
		tipb.ScalarFuncSig_OctString:      {spec: "s:s", row: octStringRow},
		tipb.ScalarFuncSig_JsonPrettySig:  {spec: "j:s", row: jsonPrettyRow},
		tipb.ScalarFuncSig_JsonSearchSig:  {spec: "jss?ss:j", nulls: true, bind: bindJSONSearch},
		tipb.ScalarFuncSig_GetFormat:      {spec: "ss:s", row: getFormatRow},
		tipb.ScalarFuncSig_Timestamp1Arg:  {spec: "s:t", row: castStringAsTime},
		tipb.ScalarFuncSig_Timestamp2Args: {spec: "ss:t", row: timestamp2Row},
		tipb.ScalarFuncSig_TimestampAdd:   {spec: "sit:s", row: timestampAddRow},
		tipb.ScalarFuncSig_Time:           {spec: "s:u", row: castStringAsDuration},
	}
}

// formatScaleMax is the largest number of decimals that FORMAT writes.
const formatScaleMax = 30

// buildFormat is FORMAT(x, decimals) of a decimal or a real.
func buildFormat(s *callSite) (node, error) {
	call, fn := *s, *s.fn
	fn.build = nil
	switch evalType(s.args[0].typ()) {
	case etDecimal:
		fn.row = func(f *frame, i int) error { return f.format(i, f.a[0].dec(i)) }
	case etReal:
		fn.row = func(f *frame, i int) error {
			digits := min(f.count(1, i), formatScaleMax)
			f.group(i, strconv.AppendFloat(nil, f.a[0].real(i), 'f', digits, 64))
			return nil
		}
	default:
		fn.row = func(f *frame, i int) error {
			d, _, err := value.ParseDecimal(f.a[0].str(i))
			if err != nil {
				return f.setNull(i)
			}
			return f.format(i, d)
		}
		var err error
		if evalType(s.args[0].typ()) == etInt {
			fn.row = func(f *frame, i int) error { return f.format(i, f.a[0].intAsDecimal(i)) }
		} else if call.args[0], err = coerce(s.args[0], etString); err != nil {
			return nil, err
		}
	}
	call.fn = &fn
	return call.node()
}

func (f *frame) format(i int, d value.Decimal) error {
	f.group(i, d.Rescale(min(f.count(1, i), formatScaleMax)).Append(nil))
	return nil
}

// group stores a number with commas between groups of three digits.
func (f *frame) group(i int, text []byte) {
	if text[0] == '-' {
		f.out.data = append(f.out.data, '-')
		text = text[1:]
	}
	whole, frac, _ := bytes.Cut(text, []byte{'.'})
	for k, c := range whole {
		if k > 0 && (len(whole)-k)%3 == 0 {
			f.out.data = append(f.out.data, ',')
		}
		f.out.data = append(f.out.data, c)
	}
	if len(frac) > 0 {
		f.out.data = append(append(f.out.data, '.'), frac...)
	}
	f.out.end(i)
}

// exportSetRow writes one word for each bit that is set and another for each that is not, the lowest first.
func exportSetRow(f *frame, i int) error {
	bits, on, off := f.a[0].uint(i), f.a[1].str(i), f.a[2].str(i)
	sep, count := []byte{','}, int64(64)
	if len(f.a) > 3 {
		sep = f.a[3].str(i)
	}
	if len(f.a) > 4 {
		if count = f.a[4].int(i); count < 0 || count > 64 {
			count = 64
		}
	}
	if (len(on)+len(off)+len(sep))*64 > f.ctx.packet() {
		return f.tooLong(i, "export_set")
	}
	for k := range count {
		if k > 0 {
			f.out.data = append(f.out.data, sep...)
		}
		if bits>>k&1 != 0 {
			f.out.data = append(f.out.data, on...)
		} else {
			f.out.data = append(f.out.data, off...)
		}
	}
	f.out.end(i)
	return nil
}

func octStringRow(f *frame, i int) error {
	s := trimSpaces(f.a[0].str(i))
	f.out.data = strconv.AppendUint(f.out.data, convRead(s, 10, false), 8)
	f.out.end(i)
	return nil
}

// getFormatRow is GET_FORMAT(type, country).
func getFormatRow(f *frame, i int) error {
	kind, country := string(f.a[0].str(i)), string(upperText(nil, f.a[1].str(i)))
	formats, ok := dateFormats[kind]
	if !ok {
		return f.put(i, nil)
	}
	return f.put(i, []byte(formats[country]))
}

var dateFormats = map[string]map[string]string{
	"DATE": {"USA": "%m.%d.%Y", "JIS": "%Y-%m-%d", "ISO": "%Y-%m-%d", "EUR": "%d.%m.%Y", "INTERNAL": "%Y%m%d"},
	"DATETIME": {"USA": "%Y-%m-%d %H.%i.%s", "JIS": "%Y-%m-%d %H:%i:%s", "ISO": "%Y-%m-%d %H:%i:%s", "EUR": "%Y-%m-%d %H.%i.%s",
		"INTERNAL": "%Y%m%d%H%i%s"},
	"TIMESTAMP": {"USA": "%Y-%m-%d %H.%i.%s", "JIS": "%Y-%m-%d %H:%i:%s", "ISO": "%Y-%m-%d %H:%i:%s", "EUR": "%Y-%m-%d %H.%i.%s",
		"INTERNAL": "%Y%m%d%H%i%s"},
	"TIME": {"USA": "%h:%i:%s %p", "JIS": "%H:%i:%s", "ISO": "%H:%i:%s", "EUR": "%H.%i.%s", "INTERNAL": "%H%i%s"},
}

// timestamp2Row is TIMESTAMP(datetime, time): their sum.
func timestamp2Row(f *frame, i int) error {
	text := f.a[0].str(i)
	t, err := value.ParseTime(text, column.TypeDatetime, value.MaxFsp, f.ctx.zone(), f.ctx.timeMode())
	if err != nil {
		return f.nullTime(i, badDatetime(text))
	}
	d, bad := f.durationArg(1, i)
	if bad != nil {
		return f.nullTime(i, bad)
	}
	t, ok := t.AddDuration(d)
	if !ok {
		return f.nullTime(i, dateOverflow())
	}
	return f.putTime(i, t, nil)
}

// timestampAddRow is TIMESTAMPADD(unit, n, datetime), as text.
func timestampAddRow(f *frame, i int) error {
	unit, err := f.unitAt(0, i)
	if err != nil {
		return err
	}
	t := f.a[2].time(i)
	if t.HasZeroInDate() {
		return f.notADay(i, t, f.args[2])
	}
	iv, ok := value.IntervalOf(f.a[1].int(i), unit)
	if ok {
		t, ok = t.AddInterval(iv)
	}
	if !ok {
		return f.nullTime(i, dateOverflow())
	}
	typ := byte(column.TypeDatetime)
	if f.args[2].Tp == column.TypeDate && !unit.HasClock() {
		typ = column.TypeDate
	}
	f.out.data = t.Append(f.out.data, typ, textFsp(t.Micro()))
	f.out.end(i)
	return nil
}
