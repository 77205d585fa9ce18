package dml

import (
	"math"
	"strconv"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// converter brings values to the types of columns by MySQL's rules of assignment. In strict mode what does not fit is an
// error; else a warning, and the nearest value is stored.
type converter struct {
	strict bool
	loc    *time.Location
	mode   value.TimeMode
	warn   *expr.Warnings
	now    func() time.Time
	row    int // from 1, for messages
	buf    []byte
}

func newConverter(env *Env, strict bool) *converter {
	c := &converter{strict: strict, loc: env.location(), mode: env.timeMode(), warn: env.Plan.Expr.Warnings, row: 1}
	c.now = func() time.Time { return env.Plan.Vars.Now() }
	if !strict { // bad dates become zero dates with a warning, whatever the mode forbids
		c.mode.NoZeroDate, c.mode.NoZeroInDate = false, false
	}
	return c
}

// bad reports a value that was changed to fit: the statement's error in strict mode, else a warning.
func (c *converter) bad(err *value.Error) error {
	if c.strict {
		return err
	}
	c.warn.Add(err)
	return nil
}

// convert gives d, a value of type src (nil: a literal or text, whose kind says all), as a value of column f. Bytes may alias d.
func (c *converter) convert(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	if d.IsNull() {
		return c.null(f)
	}
	switch f.ft.Tp {
	case column.TypeTiny, column.TypeShort, column.TypeInt24, column.TypeLong, column.TypeLongLong:
		return c.integer(f, d, src)
	case column.TypeDecimal:
		return c.decimal(f, d, src)
	case column.TypeFloat, column.TypeDouble:
		return c.float(f, d, src)
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		return c.time(f, d, src)
	case column.TypeDuration:
		return c.duration(f, d, src)
	case column.TypeYear:
		return c.year(f, d, src)
	case column.TypeEnum, column.TypeSet:
		return c.enumSet(f, d, src)
	case column.TypeBit:
		return c.bit(f, d, src)
	case column.TypeJSON:
		return c.json(f, d, src)
	case column.TypeNull:
		return datum.Datum{}, nil
	default:
		return c.str(f, d, src)
	}
}

// null is NULL for a column: 1048 where it may not be, or outside of strict mode the type's implicit default.
func (c *converter) null(f *field) (datum.Datum, error) {
	if !f.notNull {
		return datum.Datum{}, nil
	}
	return implicitDefault(f), c.bad(columnError(value.CodeBadNull, f, c.row))
}

// implicitDefault is the zero of a column's type.
func implicitDefault(f *field) datum.Datum {
	switch f.ft.Tp {
	case column.TypeEnum:
		return datum.NewUint64(1)
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		return datum.NewTime(0)
	case column.TypeDuration:
		return datum.NewDuration(0)
	case column.TypeJSON:
		return datum.NewJSON(value.JSONNull())
	}
	switch column.KindOf(f.ft) {
	case column.Int64:
		return datum.NewInt64(0)
	case column.Uint64:
		return datum.NewUint64(0)
	case column.Float64:
		return datum.NewFloat64(0)
	case column.Bytes:
		return datum.NewBytes(f.padded([]byte{}))
	default:
		return datum.NewDecimal(value.Decimal{}.Rescale(column.Scale(f.ft)))
	}
}

// text is d as a string. The result is valid until the next call.
func (c *converter) text(d datum.Datum, src *tipb.FieldType) []byte {
	switch d.Kind() {
	case datum.Bytes:
		return d.Bytes()
	case datum.Int64:
		c.buf = strconv.AppendInt(c.buf[:0], d.Int64(), 10)
	case datum.Uint64:
		if src != nil && src.Tp != column.TypeLongLong {
			c.buf = d.AppendText(c.buf[:0], src)
		} else {
			c.buf = strconv.AppendUint(c.buf[:0], d.Uint64(), 10)
		}
	case datum.Decimal:
		c.buf = d.Decimal().Append(c.buf[:0])
	default:
		c.buf = d.AppendText(c.buf[:0], typeOf(d, src))
	}
	return c.buf
}

// typeOf is src, or a type that shows all of a literal.
func typeOf(d datum.Datum, src *tipb.FieldType) *tipb.FieldType {
	if src != nil {
		return src
	}
	switch d.Kind() {
	case datum.Time:
		return &tipb.FieldType{Tp: column.TypeDatetime, Decimal: value.MaxFsp}
	case datum.Duration:
		return &tipb.FieldType{Tp: column.TypeDuration, Decimal: value.MaxFsp}
	case datum.JSON:
		return &tipb.FieldType{Tp: column.TypeJSON}
	}
	return &tipb.FieldType{Tp: column.TypeDouble, Decimal: column.UnspecifiedLength}
}

func fspOf(src *tipb.FieldType) int {
	if src == nil || src.Decimal < 0 || src.Decimal > value.MaxFsp {
		return value.MaxFsp
	}
	return int(src.Decimal)
}

// number is d as an exact number. kind names the column's type in the message about a text that is none.
func (c *converter) number(f *field, d datum.Datum, src *tipb.FieldType, kind string) (value.Decimal, error) {
	switch d.Kind() {
	case datum.Int64:
		return value.DecimalFromInt64(d.Int64()), nil
	case datum.Uint64:
		return value.DecimalFromUint64(d.Uint64()), nil
	case datum.Decimal:
		return d.Decimal(), nil
	case datum.Time:
		typ := byte(typeOf(d, src).Tp)
		return d.Time().Decimal(typ, fspOf(src)), nil
	case datum.Duration:
		return d.Duration().Decimal(fspOf(src)), nil
	case datum.Float64:
		dec, err := value.DecimalFromFloat64(d.Float64())
		if err != nil {
			return value.MaxDecimal(column.MaxPrecision, 0, d.Float64() < 0), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
		}
		return dec, nil
	}
	return c.numberText(f, c.text(d, src), kind)
}

func (c *converter) numberText(f *field, s []byte, kind string) (value.Decimal, error) {
	dec, whole, err := value.ParseDecimal(s)
	switch {
	case err != nil:
		return dec, c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
	case whole:
		return dec, nil
	case !startsNumber(s):
		return dec, c.bad(incorrectValue(value.CodeWrongValueForField, kind, s, f, c.row))
	}
	return dec, c.bad(columnError(value.CodeDataTruncatedCol, f, c.row))
}

// startsNumber reports whether s has digits where a number would have them.
func startsNumber(s []byte) bool {
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			return true
		case c != ' ' && c != '+' && c != '-' && c != '.' || i > 64:
			return false
		}
	}
	return false
}

func (c *converter) integer(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	switch d.Kind() {
	case datum.Int64:
		return c.fitInt(f, d.Int64())
	case datum.Uint64:
		return c.fitUint(f, d.Uint64())
	case datum.Bytes:
		if v, ok := parseInt(d.Bytes()); ok {
			return c.fitInt(f, v)
		}
	case datum.JSON:
		d = datum.NewBytes(c.text(d, src))
	}
	dec, err := c.number(f, d, src, "integer")
	if err != nil {
		return datum.Datum{}, err
	}
	if dec.Sign() >= 0 {
		u, ok := dec.Uint64()
		if !ok {
			u = math.MaxUint64
		}
		if !ok && column.IsUnsigned(f.ft) {
			return datum.NewUint64(f.uhi), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
		}
		return c.fitUint(f, u)
	}
	v, _ := dec.Int64()
	return c.fitInt(f, v)
}

// parseInt reads plain digits, up to 18 of them.
func parseInt(s []byte) (v int64, ok bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for _, ch := range s {
		if ch -= '0'; ch > 9 {
			return 0, false
		}
		v = v*10 + int64(ch)
	}
	if neg {
		v = -v
	}
	return v, true
}

func (c *converter) fitInt(f *field, v int64) (datum.Datum, error) {
	if column.IsUnsigned(f.ft) {
		if v < 0 {
			return datum.NewUint64(0), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
		}
		return c.fitUint(f, uint64(v))
	}
	if v >= f.lo && v <= f.hi {
		return datum.NewInt64(v), nil
	}
	return datum.NewInt64(min(max(v, f.lo), f.hi)), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
}

func (c *converter) fitUint(f *field, v uint64) (datum.Datum, error) {
	if column.IsUnsigned(f.ft) {
		if v <= f.uhi {
			return datum.NewUint64(v), nil
		}
		return datum.NewUint64(f.uhi), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
	}
	if v <= uint64(f.hi) {
		return datum.NewInt64(int64(v)), nil
	}
	return datum.NewInt64(f.hi), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
}

func (c *converter) decimal(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	dec, err := c.number(f, d, src, "decimal")
	if err != nil {
		return datum.Datum{}, err
	}
	precision, scale := column.Precision(f.ft), column.Scale(f.ft)
	if dec.Sign() < 0 && column.IsUnsigned(f.ft) {
		return datum.NewDecimal(value.Decimal{Scale: int32(scale)}), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
	}
	fit := dec.Rescale(scale)
	if !fit.FitsIn(precision, scale) {
		return datum.NewDecimal(value.MaxDecimal(precision, scale, dec.Sign() < 0)), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
	}
	if int(dec.Scale) > scale && fit.Cmp(dec) != 0 {
		c.warn.Add(columnError(value.CodeDataTruncatedCol, f, c.row)) // a note in strict mode too
	}
	return datum.NewDecimal(fit), nil
}

func (c *converter) float(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	v, err := c.floatValue(f, d, src)
	if err != nil {
		return datum.Datum{}, err
	}
	limit := math.MaxFloat64
	if f.ft.Tp == column.TypeFloat {
		limit = math.MaxFloat32
	}
	if f.ft.Decimal >= 0 && f.ft.Decimal <= column.MaxScale && f.ft.Flen > 0 {
		unit := math.Pow10(int(f.ft.Decimal))
		if r := math.Round(v*unit) / unit; !math.IsInf(r, 0) && !math.IsNaN(r) {
			v = r
		}
		limit = min(limit, math.Pow10(int(f.ft.Flen-f.ft.Decimal))-1/unit)
	}
	fit := min(max(v, -limit), limit)
	if column.IsUnsigned(f.ft) {
		fit = max(fit, 0)
	}
	if f.ft.Tp == column.TypeFloat {
		fit = float64(float32(fit))
		v = float64(float32(v))
	}
	if fit != v {
		err = c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
	}
	return datum.NewFloat64(fit), err
}

func (c *converter) floatValue(f *field, d datum.Datum, src *tipb.FieldType) (float64, error) {
	switch d.Kind() {
	case datum.Float64:
		return d.Float64(), nil
	case datum.Bytes, datum.JSON:
		s := c.text(d, src)
		if v, err := strconv.ParseFloat(string(s), 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, nil
		}
		dec, whole, err := value.ParseDecimal(s)
		switch {
		case err != nil:
			return dec.Float64(), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
		case !whole:
			return dec.Float64(), c.bad(columnError(value.CodeDataTruncatedCol, f, c.row))
		}
		return dec.Float64(), nil
	}
	dec, err := c.number(f, d, src, "double")
	return dec.Float64(), err
}
