package dml

import (
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// defaultValue is what a column gets that a statement does not name, or that is set to DEFAULT. AUTO_INCREMENT columns get NULL,
// which generates.
func (tg *target) defaultValue(c *converter, f *field) (datum.Datum, error) {
	switch {
	case f.ft.Flag&column.FlagAutoIncr != 0 || f.HasDefault && f.DefaultNull:
		return datum.Datum{}, nil
	case f.HasDefault && f.DefaultExpr != "":
		return tg.now(f), nil
	case f.HasDefault:
		return tg.textDefault(f)
	case !f.notNull:
		return datum.Datum{}, nil
	case f.ft.Tp == column.TypeEnum:
		return implicitDefault(f), nil
	}
	return implicitDefault(f), c.bad(errorf(mysql.ErrNoDefaultForField, f.Name))
}

// textDefault reads the text of a DEFAULT clause, which was checked when the column was made.
func (tg *target) textDefault(f *field) (datum.Datum, error) {
	c := newConverter(tg.env, true)
	c.mode = value.TimeMode{}
	text := datum.NewString(f.Default)
	if f.ft.Tp == column.TypeBit {
		dec, _, err := value.ParseDecimal([]byte(f.Default))
		if err != nil {
			return datum.Datum{}, err
		}
		text = datum.NewDecimal(dec)
	}
	return c.convert(f, text, nil)
}

// now is the statement's time for CURRENT_TIMESTAMP and ON UPDATE, in the column's precision.
func (tg *target) now(f *field) datum.Datum {
	fsp := max(int(f.ft.Decimal), 0)
	now := tg.env.Plan.Vars.Now().In(tg.env.location())
	us := value.FromGoTime(now, value.MaxFsp) // CURRENT_TIMESTAMP cuts, it does not round
	unit := value.Time(value.Pow10Int64(value.MaxFsp - min(fsp, value.MaxFsp)))
	return datum.NewTime(us - value.Time(us.Micro())%unit)
}
