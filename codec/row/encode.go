package row

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/value"
)

// Encoder builds one row after another in row format v2. The columns of a row may come in any order, each once;
// ascending ids are the fast way. After Encode the encoder is ready for the next row and keeps its memory.
type Encoder struct {
	cells []cell
	nulls []int64
	data  []byte
}

// cell is a value data[from:to] of the row in the making.
type cell struct {
	id       int64
	from, to int
}

// Reset forgets the row in the making.
func (e *Encoder) Reset() { e.cells, e.nulls, e.data = e.cells[:0], e.nulls[:0], e.data[:0] }

// AppendNull adds a NULL.
func (e *Encoder) AppendNull(id int64) { e.nulls = append(e.nulls, id) }

// AppendInt64 adds a signed integer, a YEAR, or the nanoseconds of a TIME.
func (e *Encoder) AppendInt64(id, v int64) {
	from := len(e.data)
	switch {
	case v == int64(int8(v)):
		e.data = append(e.data, byte(v))
	case v == int64(int16(v)):
		e.data = binary.LittleEndian.AppendUint16(e.data, uint16(v))
	case v == int64(int32(v)):
		e.data = binary.LittleEndian.AppendUint32(e.data, uint32(v))
	default:
		e.data = binary.LittleEndian.AppendUint64(e.data, uint64(v))
	}
	e.close(id, from)
}

// AppendUint64 adds an unsigned integer, BIT, ENUM, SET, or a packed time (TIMESTAMP: in UTC).
func (e *Encoder) AppendUint64(id int64, v uint64) {
	from := len(e.data)
	switch {
	case v <= math.MaxUint8:
		e.data = append(e.data, byte(v))
	case v <= math.MaxUint16:
		e.data = binary.LittleEndian.AppendUint16(e.data, uint16(v))
	case v <= math.MaxUint32:
		e.data = binary.LittleEndian.AppendUint32(e.data, uint32(v))
	default:
		e.data = binary.LittleEndian.AppendUint64(e.data, v)
	}
	e.close(id, from)
}

// AppendFloat64 adds a FLOAT or DOUBLE.
func (e *Encoder) AppendFloat64(id int64, v float64) {
	from := len(e.data)
	e.data = memcmp.AppendFloat64(e.data, v)
	e.close(id, from)
}

// AppendBytes adds a string or a binary JSON value with its type byte.
func (e *Encoder) AppendBytes(id int64, v []byte) {
	from := len(e.data)
	e.data = append(e.data, v...)
	e.close(id, from)
}

// AppendDecimal adds a DECIMAL with the precision and scale of ft, to which v must fit after rounding.
func (e *Encoder) AppendDecimal(id int64, v value.Decimal, ft *tipb.FieldType) error {
	prec, scale := column.Precision(ft), column.Scale(ft)
	if ft.Decimal < 0 || ft.Flen <= 0 {
		scale = int(v.Scale)
		prec = v.Precision()
	}
	if int(v.Scale) != scale {
		v = v.Rescale(scale)
	}
	if !v.FitsIn(prec, scale) {
		return value.Errorf(value.CodeDataOutOfRange, "DECIMAL value is out of range in '(%d, %d)'", prec, scale)
	}
	from := len(e.data)
	e.data = value.AppendDecimalBinary(e.data, v, prec, scale)
	e.close(id, from)
	return nil
}

// AppendDatum adds a value of a column of type ft. A TIMESTAMP must be in UTC already.
func (e *Encoder) AppendDatum(id int64, d datum.Datum, ft *tipb.FieldType) error {
	switch d.Kind() {
	case datum.Null:
		e.AppendNull(id)
	case datum.Int64, datum.Duration:
		e.AppendInt64(id, d.Int64())
	case datum.Uint64, datum.Time:
		e.AppendUint64(id, d.Uint64())
	case datum.Float64:
		e.AppendFloat64(id, d.Float64())
	case datum.Bytes, datum.JSON:
		e.AppendBytes(id, d.Bytes())
	case datum.Decimal:
		return e.AppendDecimal(id, d.Decimal(), ft)
	default:
		return fmt.Errorf("row: a %s is no value of a column", d.Kind())
	}
	return nil
}

func (e *Encoder) close(id int64, from int) {
	e.cells = append(e.cells, cell{id: id, from: from, to: len(e.data)})
}

// Encode appends the row to dst and starts the next one.
func (e *Encoder) Encode(dst []byte) ([]byte, error) {
	defer e.Reset()
	e.sort()
	big, err := e.check()
	if err != nil {
		return nil, err
	}
	flags := byte(0)
	if big {
		flags = flagBig
	}
	dst = append(dst, version2, flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(e.cells)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(e.nulls)))
	if big {
		dst = e.appendBigLists(dst)
	} else {
		dst = e.appendSmallLists(dst)
	}
	for _, c := range e.cells {
		dst = append(dst, e.data[c.from:c.to]...)
	}
	return dst, nil
}

func (e *Encoder) sort() {
	byID := func(a, b cell) int { return cmp.Compare(a.id, b.id) }
	if !slices.IsSortedFunc(e.cells, byID) {
		slices.SortFunc(e.cells, byID)
	}
	if !slices.IsSorted(e.nulls) {
		slices.Sort(e.nulls)
	}
}

// check tells whether the row is big, and fails for what the format cannot hold.
func (e *Encoder) check() (big bool, err error) {
	lo, hi := int64(0), int64(0)
	if n := len(e.cells); n > 0 {
		lo, hi = e.cells[0].id, e.cells[n-1].id
	}
	if n := len(e.nulls); n > 0 {
		lo, hi = min(lo, e.nulls[0]), max(hi, e.nulls[n-1])
	}
	switch {
	case lo < 0 || hi > math.MaxUint32:
		return false, fmt.Errorf("row: column ids from %d to %d", lo, hi)
	case len(e.data) > math.MaxUint32:
		return false, fmt.Errorf("row: %d bytes", len(e.data))
	case len(e.cells) > math.MaxUint16 || len(e.nulls) > math.MaxUint16:
		return false, fmt.Errorf("row: %d columns", len(e.cells)+len(e.nulls))
	}
	return hi > maxSmallID || len(e.data) > maxSmallData, nil
}

func (e *Encoder) appendSmallLists(dst []byte) []byte {
	for _, c := range e.cells {
		dst = append(dst, byte(c.id))
	}
	for _, id := range e.nulls {
		dst = append(dst, byte(id))
	}
	end := 0
	for _, c := range e.cells {
		end += c.to - c.from
		dst = binary.LittleEndian.AppendUint16(dst, uint16(end))
	}
	return dst
}

func (e *Encoder) appendBigLists(dst []byte) []byte {
	for _, c := range e.cells {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(c.id))
	}
	for _, id := range e.nulls {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(id))
	}
	end := 0
	for _, c := range e.cells {
		end += c.to - c.from
		dst = binary.LittleEndian.AppendUint32(dst, uint32(end))
	}
	return dst
}
