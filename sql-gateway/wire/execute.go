package wire

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// decodeParams reads the values of COM_STMT_EXECUTE: a bitmap of NULLs, a flag that says whether types follow, the
// types, the values. Without types those of the last execution hold. Values alias the packet.
func (st *statement) decodeParams(in *cursor) ([]Param, error) {
	n := st.sql.NumParams()
	if n == 0 {
		return nil, in.err()
	}
	nulls := in.take((n + 7) / 8)
	if newTypes := in.uint8(); newTypes == 1 {
		st.types = append(st.types[:0], in.take(2*n)...)
	}
	if in.bad || len(st.types) != 2*n {
		return nil, errMalformed
	}
	args := make([]Param, n)
	for i := range args {
		typ, unsigned := st.types[2*i], st.types[2*i+1]&0x80 != 0
		switch {
		case st.long != nil && st.long[i] != nil:
			args[i] = stringParam(st.long[i], isBlob(typ))
		case nulls[i/8]&(1<<(i%8)) != 0:
			args[i] = Param{Type: &tipb.FieldType{Tp: column.TypeNull}}
		default:
			args[i] = in.param(typ, unsigned)
		}
	}
	return args, in.err()
}

// param reads one value in the binary form.
func (c *cursor) param(typ byte, unsigned bool) Param {
	switch typ {
	case column.TypeNull:
		return Param{Type: &tipb.FieldType{Tp: column.TypeNull}}
	case column.TypeTiny:
		v := c.uint8()
		return intParam(uint64(v), int64(int8(v)), unsigned)
	case column.TypeShort, column.TypeYear:
		v := c.uint16()
		return intParam(uint64(v), int64(int16(v)), unsigned)
	case column.TypeInt24, column.TypeLong:
		v := c.uint32()
		return intParam(uint64(v), int64(int32(v)), unsigned)
	case column.TypeLongLong:
		v := c.uint64()
		return intParam(v, int64(v), unsigned)
	case column.TypeFloat:
		return floatParam(float64(math.Float32frombits(c.uint32())))
	case column.TypeDouble:
		return floatParam(math.Float64frombits(c.uint64()))
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		return c.timeParam(typ)
	case column.TypeDuration:
		return c.durationParam()
	case 0, column.TypeDecimal:
		return decimalParam(c.lenencBytes())
	default:
		return c.bytesParam(typ)
	}
}

func (c *cursor) bytesParam(typ byte) Param {
	switch typ {
	case column.TypeVarchar, column.TypeVarString, column.TypeString, column.TypeEnum, column.TypeSet, column.TypeJSON,
		column.TypeBit, column.TypeTinyBlob, column.TypeBlob, column.TypeMedBlob, column.TypeLongBlob, 0xff:
		return stringParam(c.lenencBytes(), isBlob(typ))
	default:
		c.bad = true
		return Param{}
	}
}

func isBlob(typ byte) bool {
	return typ >= column.TypeTinyBlob && typ <= column.TypeBlob || typ == column.TypeBit
}

const maxIntDigits = 20

func intParam(u uint64, s int64, unsigned bool) Param {
	ft := &tipb.FieldType{Tp: column.TypeLongLong, Flen: maxIntDigits, Flag: column.FlagBinary, Collate: -binaryCollation, Charset: "binary"}
	if unsigned {
		ft.Flag |= column.FlagUnsigned
		return Param{datum.NewUint64(u), ft}
	}
	return Param{datum.NewInt64(s), ft}
}

func floatParam(v float64) Param {
	return Param{datum.NewFloat64(v), &tipb.FieldType{
		Tp: column.TypeDouble, Flen: column.UnspecifiedLength, Decimal: column.UnspecifiedLength,
		Flag: column.FlagBinary, Collate: -binaryCollation, Charset: "binary",
	}}
}

// stringParam makes a string of the connection's character set, or of bytes. The type codes of blobs are what C clients
// send for byte strings of any sort; text among them still compares as text because UTF-8 is what columns hold.
func stringParam(b []byte, blob bool) Param {
	ft := &tipb.FieldType{Tp: column.TypeVarString, Flen: int32(min(len(b), math.MaxInt32)), Decimal: column.UnspecifiedLength}
	if blob {
		ft.Charset, ft.Collate, ft.Flag = "binary", -binaryCollation, column.FlagBinary
	} else {
		ft.Charset, ft.Collate = "utf8mb4", -defaultCollation
	}
	return Param{datum.NewBytes(b), ft}
}

// decimalParam reads a decimal from its text; what is none stays text, for the statement to complain of.
func decimalParam(b []byte) Param {
	d, whole, err := value.ParseDecimal(b)
	if err != nil || !whole {
		return stringParam(b, false)
	}
	return Param{datum.NewDecimal(d), &tipb.FieldType{
		Tp: column.TypeDecimal, Flen: decimalDigits(b, d.Scale), Decimal: d.Scale,
		Flag: column.FlagBinary, Collate: -binaryCollation, Charset: "binary",
	}}
}

// decimalDigits bounds the precision of a decimal by its text.
func decimalDigits(b []byte, scale int32) int32 {
	if strings.ContainsAny(string(b), "eE") {
		return column.MaxPrecision
	}
	return min(max(int32(len(b)), scale, 1), column.MaxPrecision)
}

func (c *cursor) timeParam(typ byte) Param {
	ft := &tipb.FieldType{Tp: int32(typ), Flag: column.FlagBinary, Collate: -binaryCollation, Charset: "binary"}
	n := int(c.uint8())
	b := c.take(n)
	if c.bad || n != 0 && n != 4 && n != 7 && n != 11 {
		c.bad = true
		return Param{}
	}
	if n == 0 {
		return Param{datum.NewTime(0), ft}
	}
	var f [7]int
	f[0], f[1], f[2] = int(binary.LittleEndian.Uint16(b)), int(b[2]), int(b[3])
	if n >= 7 {
		f[3], f[4], f[5] = int(b[4]), int(b[5]), int(b[6])
	}
	if n == 11 {
		f[6] = int(binary.LittleEndian.Uint32(b[7:]))
		ft.Decimal = 6
	}
	if f[0] > 9999 || f[1] > 12 || f[2] > 31 || f[3] > 23 || f[4] > 59 || f[5] > 59 || f[6] > 999_999 {
		c.bad = true
		return Param{}
	}
	return Param{datum.NewTime(value.MakeTime(f[0], f[1], f[2], f[3], f[4], f[5], f[6])), ft}
}

// maxDurationDays keeps days·24h within what a TIME can hold, and far from overflow.
const maxDurationDays = 34

func (c *cursor) durationParam() Param {
	ft := &tipb.FieldType{Tp: column.TypeDuration, Flag: column.FlagBinary, Collate: -binaryCollation, Charset: "binary"}
	n := int(c.uint8())
	b := c.take(n)
	if c.bad || n != 0 && n != 8 && n != 12 {
		c.bad = true
		return Param{}
	}
	if n == 0 {
		return Param{datum.NewDuration(0), ft}
	}
	days := binary.LittleEndian.Uint32(b[1:])
	if days > maxDurationDays || b[5] > 23 || b[6] > 59 || b[7] > 59 {
		c.bad = true
		return Param{}
	}
	micros := (int64(days)*86400 + int64(b[5])*3600 + int64(b[6])*60 + int64(b[7])) * 1e6
	if n == 12 {
		micros += int64(min(binary.LittleEndian.Uint32(b[8:]), 999_999))
		ft.Decimal = 6
	}
	d := value.Duration(micros * 1000)
	if b[0] != 0 {
		d = -d
	}
	return Param{datum.NewDuration(d), ft}
}
