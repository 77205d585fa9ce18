package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// rowEncoder turns rows of column batches into row packets, in the text or the binary form.
//
// The form of each column is resolved once per batch (bind), to a small number and the slices it needs. Encoding a row
// is then a switch per value that appends to the one output buffer and allocates nothing.
type rowEncoder struct {
	binary bool
	types  []*tipb.FieldType
	cols   []columnEncoder
	err    error
}

type form uint8

const (
	formNull form = iota
	formInt
	formUint
	formFloat32
	formFloat64
	formDecimal64
	formDecimal128
	formDecimal256
	formTime
	formDuration
	formEnum
	formSet
	formBit
	formBytes
	formJSON
)

type columnEncoder struct {
	form  form
	typ   byte // MySQL type code
	scale int  // DECIMAL: fraction digits; times: fsp; floats: fixed digits or -1
	width int  // bytes of a BIT; bytes of an integer in the binary form
	pad   int  // digits that ZEROFILL pads an integer to
	nulls []byte
	ft    *tipb.FieldType

	i64  []int64
	u64  []uint64
	f64  []float64
	d128 []decimal128.Num
	d256 []decimal256.Num
	ends []int32
	data []byte
}

// bind points the encoder at a batch.
func (r *rowEncoder) bind(b column.Batch) error {
	if len(b.Cols) != len(r.types) {
		return fmt.Errorf("result has %d columns, its description %d", len(b.Cols), len(r.types))
	}
	if r.err != nil {
		return r.err
	}
	if r.cols == nil {
		r.cols = make([]columnEncoder, len(r.types))
		for i, ft := range r.types {
			r.cols[i].init(ft)
		}
	}
	for i := range r.cols {
		if err := r.cols[i].bind(b.Cols[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *columnEncoder) init(ft *tipb.FieldType) {
	c.ft, c.typ, c.scale = ft, byte(ft.Tp), 0
	switch ft.Tp {
	case column.TypeNull:
		c.form = formNull
	case column.TypeFloat, column.TypeDouble:
		c.initFloat(ft)
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		c.form, c.scale = formTime, max(int(ft.Decimal), 0)
	case column.TypeDuration:
		c.form, c.scale = formDuration, max(int(ft.Decimal), 0)
	case column.TypeEnum:
		c.form = formEnum
	case column.TypeSet:
		c.form = formSet
	case column.TypeBit:
		c.form, c.width = formBit, min(max((int(ft.Flen)+7)/8, 1), 8)
	case column.TypeJSON:
		c.form = formJSON
	default:
		c.initByKind(ft)
	}
}

func (c *columnEncoder) initFloat(ft *tipb.FieldType) {
	c.form = formFloat64
	if ft.Tp == column.TypeFloat {
		c.form = formFloat32
	}
	c.scale = -1
	if ft.Decimal >= 0 && ft.Decimal < notFixedDecimals {
		c.scale = int(ft.Decimal)
	}
}

func (c *columnEncoder) initByKind(ft *tipb.FieldType) {
	c.width = intWidth(byte(ft.Tp))
	if mysql.HasZerofillFlag(uint(ft.Flag)) {
		c.pad = min(int(ft.Flen), maxPad)
	}
	switch column.KindOf(ft) {
	case column.Int64:
		c.form = formInt
	case column.Uint64:
		c.form = formUint
	case column.Decimal64:
		c.form, c.scale = formDecimal64, column.Scale(ft)
	case column.Decimal128:
		c.form, c.scale = formDecimal128, column.Scale(ft)
	case column.Decimal256:
		c.form, c.scale = formDecimal256, column.Scale(ft)
	default:
		c.form = formBytes
	}
}

func intWidth(typ byte) int {
	switch typ {
	case column.TypeTiny:
		return 1
	case column.TypeShort, column.TypeYear:
		return 2
	case column.TypeLong, column.TypeInt24:
		return 4
	default:
		return 8
	}
}

func (c *columnEncoder) bind(a arrow.Array) error {
	c.nulls = column.NullBits(a)
	switch a := a.(type) {
	case *array.Int64:
		c.i64 = a.Int64Values()
	case *array.Uint64:
		c.u64 = a.Uint64Values()
	case *array.Float64:
		c.f64 = a.Float64Values()
	case *array.Decimal128:
		c.d128 = a.Values()
	case *array.Decimal256:
		c.d256 = a.Values()
	case *array.Binary:
		c.ends, c.data = a.ValueOffsets(), a.ValueBytes()
		if a.Len() > 0 {
			c.data = c.data[:len(c.data):len(c.data)]
		}
	}
	if c.form == formNull {
		return nil
	}
	if want := column.ArrowType(column.KindOf(c.ft)); a.DataType().ID() != want.ID() {
		return fmt.Errorf("result column of type %d comes as %s, not %s", c.typ, a.DataType(), want)
	}
	return nil
}

func (c *columnEncoder) isNull(row int) bool {
	return c.form == formNull || c.nulls != nil && !bitutil.BitIsSet(c.nulls, row)
}

// append appends row in the encoder's form.
func (r *rowEncoder) append(dst []byte, row int) []byte {
	if r.binary {
		return r.appendBinary(dst, row)
	}
	for i := range r.cols {
		c := &r.cols[i]
		if c.isNull(row) {
			dst = append(dst, 0xfb)
			continue
		}
		dst = r.appendText(dst, c, row)
	}
	return dst
}

// appendText appends a value that is not NULL with its length before it.
func (r *rowEncoder) appendText(dst []byte, c *columnEncoder, row int) []byte {
	switch c.form {
	case formBytes:
		return appendLenencString(dst, c.data[c.ends[row]:c.ends[row+1]])
	case formJSON:
		return r.appendJSON(dst, c, row)
	}
	at := len(dst)
	dst = append(dst, 0)
	switch c.form {
	case formInt:
		dst = strconv.AppendInt(dst, c.i64[row], 10)
	case formUint:
		dst = zeroPad(strconv.AppendUint(dst, c.u64[row], 10), at+1, c.pad)
	case formFloat32:
		dst = appendFloat(dst, c.f64[row], c.scale, 32)
	case formFloat64:
		dst = appendFloat(dst, c.f64[row], c.scale, 64)
	case formDecimal64:
		dst = appendDecimal64(dst, c.i64[row], c.scale)
	case formDecimal128:
		dst = appendDecimal128(dst, c.d128[row], c.scale)
	case formDecimal256:
		dst = value.Decimal{Coef: c.d256[row], Scale: int32(c.scale)}.Append(dst)
	case formTime:
		dst = value.Time(c.u64[row]).Append(dst, c.typ, c.scale)
	case formDuration:
		dst = value.Duration(c.i64[row]).Append(dst, c.scale)
	case formEnum:
		dst = append(dst, value.EnumName(c.ft.Elems, c.u64[row])...)
	case formSet:
		dst = value.AppendSetNames(dst, c.ft.Elems, c.u64[row])
	case formBit:
		dst = appendBit(dst, c.u64[row], c.width)
	}
	return sealText(dst, at)
}

// maxPad is the greatest display width of an integer.
const maxPad = 255

// zeroPad puts zeros before the digits that begin at at, up to the given number of digits.
func zeroPad(dst []byte, at, digits int) []byte {
	missing := digits - (len(dst) - at)
	if missing <= 0 {
		return dst
	}
	return slices.Insert(dst, at, zeros[:missing]...)
}

var zeros = bytes.Repeat([]byte{'0'}, maxPad)

// sealText puts the length of what was appended after at into the byte at at, making room if one byte is too little.
func sealText(dst []byte, at int) []byte {
	n := len(dst) - at - 1
	if n < 251 {
		dst[at] = byte(n)
		return dst
	}
	text := append([]byte(nil), dst[at+1:]...)
	return appendLenencString(dst[:at], text)
}

func (r *rowEncoder) appendJSON(dst []byte, c *columnEncoder, row int) []byte {
	at := len(dst)
	out, err := value.AppendJSONText(append(dst, 0), c.data[c.ends[row]:c.ends[row+1]])
	if err != nil {
		r.err = err
		return append(dst, 0xfb)
	}
	return sealText(out, at)
}

func appendBit(dst []byte, v uint64, width int) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	return append(dst, b[8-width:]...)
}

func appendDecimal64(dst []byte, v int64, scale int) []byte {
	if scale == 0 {
		return strconv.AppendInt(dst, v, 10)
	}
	u := uint64(v)
	if v < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var digits [32]byte
	i := len(digits)
	for n := 0; u > 0 || n <= scale; n++ {
		if n == scale {
			i--
			digits[i] = '.'
		}
		i--
		digits[i] = byte('0' + u%10)
		u /= 10
	}
	return append(dst, digits[i:]...)
}

func appendDecimal128(dst []byte, v decimal128.Num, scale int) []byte {
	if low := int64(v.LowBits()); v.HighBits() == low>>63 && scale <= 18 {
		return appendDecimal64(dst, low, scale)
	}
	return value.Decimal{Coef: decimal256.FromDecimal128(v), Scale: int32(scale)}.Append(dst)
}

// appendFloat formats as MySQL does: the shortest text that reads back, with an exponent from 1e15 up and below 1e-15,
// or a fixed number of digits where the type has one.
func appendFloat(dst []byte, v float64, digits, bits int) []byte {
	if digits >= 0 {
		return strconv.AppendFloat(dst, v, 'f', digits, bits)
	}
	if abs := math.Abs(v); abs == 0 || abs >= 1e-15 && abs < 1e15 {
		return strconv.AppendFloat(dst, v, 'f', -1, bits)
	}
	at := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, bits)
	return trimExponent(dst, at)
}

// trimExponent turns the 1e+20 and 1e-09 of Go into the 1e20 and 1e-9 of MySQL.
func trimExponent(dst []byte, at int) []byte {
	for i := at; i < len(dst); i++ {
		if dst[i] != 'e' {
			continue
		}
		out, exp := dst[:i+1], dst[i+1:]
		if exp[0] == '-' {
			out = append(out, '-')
		}
		exp = exp[1:]
		for len(exp) > 1 && exp[0] == '0' {
			exp = exp[1:]
		}
		return append(out, exp...)
	}
	return dst
}
