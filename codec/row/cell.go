package row

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// form is how a type's values look in a v2 row, joined with the kind of column that they go to.
type form uint8

const (
	formInt form = iota
	formUint
	formTimestamp // formUint, UTC turned into a zone
	formFloat
	formDecimal64
	formDecimal
	formBytes
)

// cellDecoder decodes the values of one column, from v2 rows and from encoded datums.
type cellDecoder struct {
	form  form
	scale int
	ft    *tipb.FieldType
	loc   *time.Location

	scratch []byte
}

func newCellDecoder(ft *tipb.FieldType, loc *time.Location) cellDecoder {
	c := cellDecoder{ft: ft, loc: loc}
	switch column.KindOf(ft) {
	case column.Int64:
		c.form = formInt
	case column.Uint64:
		c.form = formUint
		if ft.Tp == column.TypeTimestamp && loc != nil && loc != time.UTC {
			c.form = formTimestamp
		}
	case column.Float64:
		c.form = formFloat
	case column.Decimal64:
		c.form, c.scale = formDecimal64, column.Scale(ft)
	case column.Decimal128, column.Decimal256:
		c.form, c.scale = formDecimal, column.Scale(ft)
	case column.Bytes:
		c.form = formBytes
	}
	return c
}

// decode appends a value of a v2 row.
func (c *cellDecoder) decode(v []byte, b *column.Builder) error {
	switch c.form {
	case formInt:
		i, ok := decodeInt(v)
		if !ok {
			return errWidth(v)
		}
		b.I64 = append(b.I64, i)
		b.Appended(1)
		return nil
	case formUint:
		u, ok := decodeUint(v)
		if !ok {
			return errWidth(v)
		}
		b.U64 = append(b.U64, u)
		b.Appended(1)
		return nil
	case formBytes:
		b.AppendBytes(v)
		return nil
	case formDecimal64:
		if i, n, ok := value.DecodeDecimalInt64(v, c.scale); ok && n == len(v) {
			b.I64 = append(b.I64, i)
			b.Appended(1)
			return nil
		}
	}
	return c.decodeRare(v, b)
}

func (c *cellDecoder) decodeRare(v []byte, b *column.Builder) error {
	switch c.form {
	case formFloat:
		f, rest, err := memcmp.DecodeFloat64(v)
		if err != nil || len(rest) > 0 {
			return errWidth(v)
		}
		b.AppendFloat64(f)
		return nil
	case formTimestamp:
		u, ok := decodeUint(v)
		if !ok {
			return errWidth(v)
		}
		return c.appendTimestamp(u, b)
	default:
		dec, rest, err := value.DecodeDecimalBinary(v)
		if err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: %d bytes after a decimal (%v)", ErrInvalid, len(rest), err)
		}
		return datum.NewDecimal(dec).AppendTo(b)
	}
}

func (c *cellDecoder) appendTimestamp(utc uint64, b *column.Builder) error {
	t, err := value.Time(utc).In(time.UTC, c.loc)
	if err != nil {
		return err
	}
	b.AppendUint64(uint64(t))
	return nil
}

func errWidth(v []byte) error { return fmt.Errorf("%w: a number of %d bytes", ErrInvalid, len(v)) }

func decodeInt(v []byte) (int64, bool) {
	switch len(v) {
	case 1:
		return int64(int8(v[0])), true
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(v))), true
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(v))), true
	case 8:
		return int64(binary.LittleEndian.Uint64(v)), true
	}
	return 0, false
}

func decodeUint(v []byte) (uint64, bool) {
	switch len(v) {
	case 1:
		return uint64(v[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(v)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(v)), true
	case 8:
		return binary.LittleEndian.Uint64(v), true
	}
	return 0, false
}

// decodeDatum appends the first datum of b to out and returns what follows it. Integers and strings of keys, which index
// scans and common handles are made of, do without a Datum.
func (c *cellDecoder) decodeDatum(b []byte, out *column.Builder) (rest []byte, err error) {
	switch {
	case len(b) >= 9 && b[0] == datum.FlagInt && c.form == formInt:
		v, rest, _ := memcmp.DecodeInt64(b[1:]) // the length is checked
		out.AppendInt64(v)
		return rest, nil
	case len(b) >= 9 && b[0] == datum.FlagUint && c.form == formUint:
		v, rest, _ := memcmp.DecodeUint64(b[1:])
		out.AppendUint64(v)
		return rest, nil
	case len(b) > 1 && b[0] == datum.FlagBytes && c.form == formBytes:
		c.scratch, rest, err = memcmp.DecodeBytes(b[1:], c.scratch[:0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		out.AppendBytes(c.scratch)
		return rest, nil
	}
	d, rest, err := datum.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if d, err = c.localDatum(d.Of(c.ft)); err != nil {
		return nil, err
	}
	return rest, d.AppendTo(out)
}

// localDatum brings a TIMESTAMP to the session's zone.
func (c *cellDecoder) localDatum(d datum.Datum) (datum.Datum, error) {
	if c.form != formTimestamp || d.Kind() != datum.Time {
		return d, nil
	}
	t, err := d.Time().In(time.UTC, c.loc)
	return datum.NewTime(t), err
}
