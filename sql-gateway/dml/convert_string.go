package dml

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// str converts to CHAR, VARCHAR, TEXT and their binary kin.
func (c *converter) str(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	s := c.text(d, src)
	if d.Kind() != datum.Bytes {
		s = bytes.Clone(s)
	}
	s, err := c.checkText(f, s)
	if err == nil {
		s, err = c.checkLength(f, s)
	}
	if err != nil {
		return datum.Datum{}, err
	}
	if f.ft.Tp == column.TypeString && !f.isBinary() {
		s = value.TrimSpaces(s)
	}
	return datum.NewBytes(f.padded(s)), nil
}

// padded fills a BINARY(n) with zero bytes.
func (f *field) padded(s []byte) []byte {
	if f.ft.Tp != column.TypeString || !f.isBinary() || len(s) >= int(f.ft.Flen) {
		return s
	}
	out := make([]byte, f.ft.Flen)
	copy(out, s)
	return out
}

// checkText cuts text at the first bytes that are not UTF-8.
func (c *converter) checkText(f *field, s []byte) ([]byte, error) {
	if f.isBinary() || isASCII(s) || utf8.Valid(s) {
		return s, nil
	}
	at := 0
	for at < len(s) {
		r, size := utf8.DecodeRune(s[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return s[:at], c.bad(incorrectValue(value.CodeWrongValueForField, "string", s[at:], f, c.row))
}

func isASCII(s []byte) bool {
	for _, ch := range s {
		if ch >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// checkLength cuts what is too long: characters of CHAR and VARCHAR, bytes of all others. Spaces beyond the end of text go
// with a warning only.
func (c *converter) checkLength(f *field, s []byte) ([]byte, error) {
	limit := int(f.ft.Flen)
	if limit < 0 || len(s) <= limit {
		return s, nil
	}
	cut := s[:limit]
	switch isChars := f.ft.Tp == column.TypeString || f.ft.Tp == column.TypeVarchar || f.ft.Tp == column.TypeVarString; {
	case f.isBinary():
	case isChars:
		cut = f.cutPrefix(s, limit)
	default:
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		cut = s[:limit]
	}
	if len(cut) == len(s) {
		return s, nil
	}
	if !f.isBinary() && len(value.TrimSpaces(s[len(cut):])) == 0 {
		if f.ft.Tp != column.TypeString {
			c.warn.Add(columnError(value.CodeDataTruncatedCol, f, c.row))
		}
		return cut, nil
	}
	if c.strict {
		return cut, columnError(value.CodeDataTooLong, f, c.row)
	}
	return cut, c.bad(columnError(value.CodeDataTruncatedCol, f, c.row))
}

func (c *converter) enumSet(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	isSet := f.ft.Tp == column.TypeSet
	var n uint64
	var ok bool
	switch named := src != nil && (src.Tp == column.TypeEnum || src.Tp == column.TypeSet); {
	case (d.Kind() == datum.Uint64 || d.Kind() == datum.Int64) && !named:
		n = d.Uint64()
		ok = !isSet && n >= 1 && n <= uint64(len(f.ft.Elems)) || isSet && n&^value.SetMask(f.ft.Elems) == 0
	case isSet:
		n, ok = value.ParseSet(f.ft.Elems, c.text(d, src), f.coll)
	default:
		n, ok = value.ParseEnum(f.ft.Elems, c.text(d, src), f.coll)
		ok = ok || named && len(c.text(d, src)) == 0
	}
	if ok {
		return datum.NewUint64(n), nil
	}
	if isSet {
		n &= value.SetMask(f.ft.Elems)
	} else {
		n = 0
	}
	return datum.NewUint64(n), c.bad(columnError(value.CodeDataTruncatedCol, f, c.row))
}

// bit takes numbers, and strings as big-endian bytes.
func (c *converter) bit(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	most := uint64(1)<<max(f.ft.Flen, 1) - 1
	if f.ft.Flen >= 64 {
		most = 1<<64 - 1
	}
	var v uint64
	ok := true
	switch d.Kind() {
	case datum.Int64, datum.Uint64:
		v = d.Uint64()
	case datum.Bytes:
		v, ok = bigEndian(d.Bytes())
	default:
		dec, err := c.number(f, d, src, "bit")
		if err != nil {
			return datum.Datum{}, err
		}
		v, ok = dec.Uint64()
	}
	if ok && v <= most {
		return datum.NewUint64(v), nil
	}
	if c.strict {
		return datum.Datum{}, columnError(value.CodeDataTooLong, f, c.row)
	}
	return datum.NewUint64(most), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
}

// bigEndian is the number in up to eight bytes.
func bigEndian(s []byte) (v uint64, ok bool) {
	for len(s) > 8 && s[0] == 0 {
		s = s[1:]
	}
	for _, ch := range s {
		v = v<<8 | uint64(ch)
	}
	return v, len(s) <= 8
}

// json parses text; numbers, dates and binary strings become scalars. Text that is no JSON is an error in any mode.
func (c *converter) json(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	switch d.Kind() {
	case datum.JSON:
		return d, nil
	case datum.Int64:
		if src != nil && src.Flag&column.FlagIsBoolean != 0 {
			return datum.NewJSON(value.JSONFromBool(d.Int64() != 0)), nil
		}
		return datum.NewJSON(value.JSONFromInt64(d.Int64())), nil
	case datum.Uint64:
		if src == nil || column.KindOf(src) == column.Uint64 && src.Tp != column.TypeEnum && src.Tp != column.TypeSet {
			return datum.NewJSON(value.JSONFromUint64(d.Uint64())), nil
		}
	case datum.Float64:
		return datum.NewJSON(value.JSONFromFloat64(d.Float64())), nil
	case datum.Decimal:
		return datum.NewJSON(value.JSONFromFloat64(d.Decimal().Float64())), nil
	case datum.Time:
		return datum.NewJSON(value.JSONFromTime(d.Time(), byte(typeOf(d, src).Tp), fspOf(src))), nil
	case datum.Duration:
		return datum.NewJSON(value.JSONFromDuration(d.Duration(), fspOf(src))), nil
	}
	if src != nil && (src.Collate == 63 || src.Collate == -63) {
		return datum.Datum{}, value.Errorf(codeJSONCharset, "Cannot create a JSON value from a string with CHARACTER SET 'binary'.")
	}
	b, err := value.ParseJSON(c.text(d, src))
	var bad *value.Error
	if errors.As(err, &bad) {
		return datum.Datum{}, value.Errorf(bad.Code, "%s (column '%s')", bad.Message, f.Name)
	}
	return datum.NewJSON(b), err
}

// codeJSONCharset is MySQL's ER_INVALID_JSON_CHARSET.
const codeJSONCharset = 3144
