package expr

import (
	"encoding/binary"
	"math"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// castJSON has the casts from and to JSON.
func castJSON() functions {
	return functions{
		tipb.ScalarFuncSig_CastIntAsJson:      {spec: "i:j", row: castIntAsJSON},
		tipb.ScalarFuncSig_CastRealAsJson:     {spec: "r:j", row: func(f *frame, i int) error { return f.put(i, value.JSONFromFloat64(f.a[0].real(i))) }},
		tipb.ScalarFuncSig_CastDecimalAsJson:  {spec: "d:j", row: func(f *frame, i int) error { return f.put(i, value.JSONFromFloat64(f.a[0].decAsReal(i))) }},
		tipb.ScalarFuncSig_CastStringAsJson:   {spec: "s:j", row: castStringAsJSON},
		tipb.ScalarFuncSig_CastTimeAsJson:     {spec: "t:j", row: castTimeAsJSON},
		tipb.ScalarFuncSig_CastDurationAsJson: {spec: "u:j", row: castDurationAsJSON},
		tipb.ScalarFuncSig_CastJsonAsJson:     {spec: "j:j", row: copyString},
		tipb.ScalarFuncSig_CastJsonAsString:   {spec: "j:s", row: castJSONAsString},
		tipb.ScalarFuncSig_CastJsonAsInt:      {spec: "j:i", row: castJSONAsInt},
		tipb.ScalarFuncSig_CastJsonAsReal:     {spec: "j:r", row: castJSONAsReal},
		tipb.ScalarFuncSig_CastJsonAsDecimal:  {spec: "j:d", row: castJSONAsDecimal},
		tipb.ScalarFuncSig_CastJsonAsTime:     {spec: "j:t", row: castJSONAsTime},
		tipb.ScalarFuncSig_CastJsonAsDuration: {spec: "j:u", row: castJSONAsDuration},
	}
}

func castIntAsJSON(f *frame, i int) error {
	switch v := f.a[0]; {
	case f.args[0].Flag&column.FlagIsBoolean != 0:
		return f.put(i, value.JSONFromBool(v.int(i) != 0))
	case v.kind == column.Uint64:
		return f.put(i, value.JSONFromUint64(v.uint(i)))
	default:
		return f.put(i, value.JSONFromInt64(v.int(i)))
	}
}

// castStringAsJSON parses text where the planner asks for that; otherwise text becomes a JSON string and bytes an opaque
// value of their type.
func castStringAsJSON(f *frame, i int) error {
	s := f.a[0].str(i)
	switch {
	case f.expr.FieldType.Flag&column.FlagParseToJSON != 0:
		doc, err := value.ParseJSON(s)
		if err != nil {
			return err
		}
		return f.put(i, doc)
	case isBinaryType(f.args[0]):
		return f.put(i, value.JSONFromOpaque(byte(f.args[0].Tp), s))
	default:
		return f.put(i, value.JSONFromString(s))
	}
}

func castTimeAsJSON(f *frame, i int) error {
	return f.put(i, value.JSONFromTime(f.a[0].time(i), byte(f.args[0].Tp), value.MaxFsp))
}

func castDurationAsJSON(f *frame, i int) error {
	return f.put(i, value.JSONFromDuration(f.a[0].dur(i), value.MaxFsp))
}

func castJSONAsString(f *frame, i int) error {
	out, err := value.AppendJSONText(f.out.data, f.a[0].str(i))
	if err != nil {
		return err
	}
	f.out.data = out
	return f.endCast(i)
}

// jsonScalar is a scalar as SQL sees it.
type jsonScalar struct {
	kind byte
	word uint64 // of numbers, literals and times
	text []byte // of strings
}

// scalarAt reads the document at row i; containers and opaque values have neither word nor text.
func (f *frame) scalarAt(i int) (jsonScalar, error) {
	doc := f.a[0].str(i)
	if err := value.ValidateJSON(doc); err != nil {
		return jsonScalar{}, err
	}
	s := jsonScalar{kind: doc[0]}
	switch body := doc[1:]; s.kind {
	case value.JSONLiteral:
		s.word = uint64(b2i(body[0] == 1))
	case value.JSONString:
		n, k := binary.Uvarint(body)
		s.text = body[k : k+int(n)]
	case value.JSONInt64, value.JSONUint64, value.JSONDouble, value.JSONDate, value.JSONDatetime, value.JSONTimestamp, value.JSONDuration:
		s.word = binary.LittleEndian.Uint64(body)
	}
	return s, nil
}

// badJSON warns that a document has no value of a type.
func (f *frame) badJSON(what string) error {
	return f.ctx.truncated(value.Errorf(3156, "Invalid JSON value for CAST to %s", what))
}

func castJSONAsInt(f *frame, i int) error {
	s, err := f.scalarAt(i)
	if err != nil {
		return err
	}
	f.out.i64[i] = int64(s.word)
	switch s.kind {
	case value.JSONLiteral, value.JSONInt64, value.JSONUint64:
		return nil
	case value.JSONDouble:
		return f.castReal(i, math.Float64frombits(s.word))
	case value.JSONString:
		return f.textAsInt(i, s.text)
	default:
		f.out.i64[i] = 0
		return f.badJSON("INTEGER")
	}
}

func castJSONAsReal(f *frame, i int) error {
	s, err := f.scalarAt(i)
	if err != nil {
		return err
	}
	switch s.kind {
	case value.JSONInt64:
		f.setReal(i, float64(int64(s.word)))
	case value.JSONLiteral, value.JSONUint64:
		f.setReal(i, float64(s.word))
	case value.JSONDouble:
		f.setReal(i, math.Float64frombits(s.word))
	case value.JSONString:
		return f.textAsReal(i, s.text)
	default:
		f.setReal(i, 0)
		return f.badJSON("DOUBLE")
	}
	return nil
}

func castJSONAsDecimal(f *frame, i int) error {
	s, err := f.scalarAt(i)
	if err != nil {
		return err
	}
	switch s.kind {
	case value.JSONInt64:
		return f.castDec(i, value.DecimalFromInt64(int64(s.word)))
	case value.JSONLiteral, value.JSONUint64:
		return f.castDec(i, value.DecimalFromUint64(s.word))
	case value.JSONDouble:
		return f.realAsDec(i, math.Float64frombits(s.word))
	case value.JSONString:
		return f.textAsDec(i, s.text)
	default:
		if err := f.badJSON("DECIMAL"); err != nil {
			return err
		}
		return f.castDec(i, value.Decimal{})
	}
}

// castJSONAsTime and castJSONAsDuration read strings, and the text of date and time values; the rest is NULL.
func castJSONAsTime(f *frame, i int) error {
	text, ok, err := f.timeText(i)
	if err != nil {
		return err
	}
	if !ok {
		return f.nullTime(i, badDatetime(text))
	}
	return f.textAsTime(i, text)
}

func castJSONAsDuration(f *frame, i int) error {
	text, ok, err := f.timeText(i)
	if err != nil {
		return err
	}
	if !ok {
		return f.nullTime(i, truncatedWrong("time", text))
	}
	return f.textAsDur(i, text)
}

// timeText is the text of a document that may be a time; ok is false for the other types.
func (f *frame) timeText(i int) (text []byte, ok bool, err error) {
	doc := f.a[0].str(i)
	if text, err = value.UnquoteJSON(nil, doc); err != nil {
		return nil, false, err
	}
	switch doc[0] {
	case value.JSONString, value.JSONDate, value.JSONDatetime, value.JSONTimestamp, value.JSONDuration:
		return text, true, nil
	default:
		return text, false, nil
	}
}
