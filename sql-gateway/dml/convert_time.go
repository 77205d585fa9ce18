package dml

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// time converts to DATE, DATETIME and TIMESTAMP, in the session's time zone.
func (c *converter) time(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	t, err := c.timeValue(f, d, src)
	if err == nil && f.ft.Tp == column.TypeTimestamp {
		if err = c.checkTimestamp(t); err != nil {
			t = 0
		}
	}
	if err == nil {
		return datum.NewTime(t), nil
	}
	kind := "datetime"
	if f.ft.Tp == column.TypeDate || f.ft.Tp == column.TypeNewDate {
		kind = "date"
	}
	return datum.NewTime(t), c.bad(incorrectValue(value.CodeTruncatedWrong, kind, c.text(d, src), f, c.row))
}

func (c *converter) timeValue(f *field, d datum.Datum, src *tipb.FieldType) (value.Time, error) {
	var t value.Time
	var err error
	fsp := max(int(f.ft.Decimal), 0)
	switch d.Kind() {
	case datum.Time:
		t = d.Time()
		if !c.mode.Check(t) {
			return 0, errBadTime
		}
	case datum.Int64, datum.Uint64:
		t, err = value.TimeFromNumber(d.Int64(), c.mode)
	case datum.Float64, datum.Decimal:
		var dec value.Decimal
		if dec, err = c.number(f, d, src, "datetime"); err == nil {
			t, err = value.TimeFromDecimal(dec, fsp, c.mode)
		}
	case datum.Duration:
		var ok bool
		if t, ok = d.Duration().At(value.FromGoTime(c.now().In(c.loc), 0)); !ok {
			return 0, errBadTime
		}
	default:
		return value.ParseTime(c.text(d, src), byte(f.ft.Tp), fsp, c.loc, c.mode)
	}
	if f.ft.Tp == column.TypeDate || f.ft.Tp == column.TypeNewDate {
		return t.DateOnly(), err
	}
	return t.Round(fsp), err
}

var errBadTime = value.Errorf(value.CodeTruncatedWrong, "Incorrect datetime value")

// checkTimestamp reports times outside of TIMESTAMP's years, and those that a change of clocks leaves out.
func (c *converter) checkTimestamp(t value.Time) error {
	if t == 0 {
		return nil
	}
	utc, err := t.In(c.loc, utcZone)
	if err != nil {
		return err
	}
	if utc < value.MinTimestamp || utc > value.MaxTimestamp || !utc.IsValid() {
		return errBadTime
	}
	return nil
}

func (c *converter) duration(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	var v value.Duration
	var err error
	fsp := max(int(f.ft.Decimal), 0)
	switch d.Kind() {
	case datum.Duration:
		v = d.Duration().Round(fsp)
	case datum.Time:
		v = d.Time().Duration().Round(fsp)
	case datum.Int64, datum.Uint64:
		v, err = value.DurationFromNumber(d.Int64())
	case datum.Float64, datum.Decimal:
		var dec value.Decimal
		if dec, err = c.number(f, d, src, "time"); err == nil {
			v, err = value.DurationFromDecimal(dec, fsp)
		}
	default:
		v, err = value.ParseDuration(c.text(d, src), fsp)
	}
	if err != nil {
		return datum.NewDuration(v), c.bad(incorrectValue(value.CodeTruncatedWrong, "time", c.text(d, src), f, c.row))
	}
	return datum.NewDuration(v), nil
}

// year takes 0, 1901 to 2155, and two-digit years; as text '0' is 2000.
func (c *converter) year(f *field, d datum.Datum, src *tipb.FieldType) (datum.Datum, error) {
	if d.Kind() == datum.Time {
		return c.fitYear(f, int64(d.Time().Year()), false)
	}
	dec, err := c.number(f, d, src, "year")
	if err != nil {
		return datum.Datum{}, err
	}
	v, _ := dec.Int64()
	text := d.Kind() == datum.Bytes && len(d.Bytes()) < 4
	return c.fitYear(f, v, text)
}

func (c *converter) fitYear(f *field, v int64, text bool) (datum.Datum, error) {
	switch {
	case v == 0 && text, v >= 1 && v <= 69:
		v += 2000
	case v >= 70 && v <= 99:
		v += 1900
	case v != 0 && (v < 1901 || v > 2155):
		return datum.NewInt64(0), c.bad(columnError(value.CodeDataOutOfRangeCol, f, c.row))
	}
	return datum.NewInt64(v), nil
}
