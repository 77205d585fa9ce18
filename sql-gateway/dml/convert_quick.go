package dml

import (
	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// quick converts the texts that nearly all fields of a bulk load are: plain numbers that the column can hold as they are, and
// short ASCII. It returns false, and has done nothing, for all others: convert knows what becomes of those.
func (f *field) quick(dst *datum.Datum, s []byte) bool {
	switch f.ft.Tp {
	case column.TypeTiny, column.TypeShort, column.TypeInt24, column.TypeLong, column.TypeLongLong:
		return f.quickInt(dst, s)
	case column.TypeDecimal:
		return f.quickDecimal(dst, s)
	case column.TypeVarchar, column.TypeVarString, column.TypeString:
		return f.quickText(dst, s)
	}
	return false
}

func (f *field) quickInt(dst *datum.Datum, s []byte) bool {
	v, ok := parseInt(s)
	switch {
	case !ok:
		return false
	case !column.IsUnsigned(f.ft):
		if v < f.lo || v > f.hi {
			return false
		}
		*dst = datum.NewInt64(v)
	case v < 0 || uint64(v) > f.uhi:
		return false
	default:
		*dst = datum.NewUint64(uint64(v))
	}
	return true
}

// quickDecimal takes up to 18 digits of which no more stand behind the point than the column keeps.
func (f *field) quickDecimal(dst *datum.Datum, s []byte) bool {
	precision, scale := column.Precision(f.ft), column.Scale(f.ft)
	coef, frac, ok := parseFixed(s)
	if !ok || frac > scale || scale-frac+len(s) > 18 || coef < 0 && column.IsUnsigned(f.ft) {
		return false
	}
	for ; frac < scale; frac++ {
		coef *= 10
	}
	d := value.DecimalFromScaled(coef, scale)
	if !d.FitsIn(precision, scale) {
		return false
	}
	*dst = datum.NewDecimal(d)
	return true
}

// parseFixed reads plain digits with or without a point among them; frac counts those behind it.
func parseFixed(s []byte) (coef int64, frac int, ok bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) > 18 {
		return 0, 0, false
	}
	point := -1
	for i, ch := range s {
		switch {
		case ch-'0' <= 9:
			coef = coef*10 + int64(ch-'0')
		case ch == '.' && point < 0:
			point = i
		default:
			return 0, 0, false
		}
	}
	digits := len(s)
	if point >= 0 {
		frac = len(s) - point - 1
		digits--
	}
	if neg {
		coef = -coef
	}
	return coef, frac, digits > 0
}

func (f *field) quickText(dst *datum.Datum, s []byte) bool {
	if f.ft.Flen < 0 || len(s) > int(f.ft.Flen) || f.isBinary() || !isASCII(s) {
		return false
	}
	if f.ft.Tp == column.TypeString {
		s = value.TrimSpaces(s)
	}
	*dst = datum.NewBytes(s)
	return true
}
