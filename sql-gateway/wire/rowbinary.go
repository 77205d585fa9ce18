package wire

import (
	"encoding/binary"
	"math"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// nullBitOffset is where the bitmap of a binary row starts counting columns.
const nullBitOffset = 2

// appendBinary appends a binary row: a zero, a bitmap of the NULLs, and the other values one after another.
func (r *rowEncoder) appendBinary(dst []byte, row int) []byte {
	dst = append(dst, 0)
	bitmap := len(dst)
	for range (len(r.cols) + nullBitOffset + 7) / 8 {
		dst = append(dst, 0)
	}
	for i := range r.cols {
		c := &r.cols[i]
		if c.isNull(row) {
			bit := i + nullBitOffset
			dst[bitmap+bit/8] |= 1 << (bit % 8)
			continue
		}
		dst = r.appendBinaryValue(dst, c, row)
	}
	return dst
}

func (r *rowEncoder) appendBinaryValue(dst []byte, c *columnEncoder, row int) []byte {
	switch c.form {
	case formInt:
		return appendInt(dst, uint64(c.i64[row]), c.width)
	case formUint:
		return appendInt(dst, c.u64[row], c.width)
	case formFloat32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(c.f64[row])))
	case formFloat64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(c.f64[row]))
	case formTime:
		return appendBinaryTime(dst, value.Time(c.u64[row]), c.typ)
	case formDuration:
		return appendBinaryDuration(dst, value.Duration(c.i64[row]))
	default:
		return r.appendText(dst, c, row)
	}
}

func appendInt(dst []byte, v uint64, width int) []byte {
	switch width {
	case 1:
		return append(dst, byte(v))
	case 2:
		return binary.LittleEndian.AppendUint16(dst, uint16(v))
	case 4:
		return binary.LittleEndian.AppendUint32(dst, uint32(v))
	default:
		return binary.LittleEndian.AppendUint64(dst, v)
	}
}

// appendBinaryTime leaves out trailing fields that are zero: 0, 4, 7 or 11 bytes after the length.
func appendBinaryTime(dst []byte, t value.Time, typ byte) []byte {
	if t == 0 {
		return append(dst, 0)
	}
	year, month, day, hour, minute, second, micro := t.Fields()
	at := len(dst)
	dst = append(dst, 4, byte(year), byte(year>>8), byte(month), byte(day))
	if typ == column.TypeDate || typ == column.TypeNewDate || hour|minute|second|micro == 0 {
		return dst
	}
	dst[at] = 7
	dst = append(dst, byte(hour), byte(minute), byte(second))
	if micro == 0 {
		return dst
	}
	dst[at] = 11
	return binary.LittleEndian.AppendUint32(dst, uint32(micro))
}

func appendBinaryDuration(dst []byte, d value.Duration) []byte {
	if d == 0 {
		return append(dst, 0)
	}
	var negative byte
	if d < 0 {
		negative, d = 1, -d
	}
	micros := uint64(d) / 1000
	seconds := micros / 1e6
	at := len(dst)
	dst = append(dst, 8, negative)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(seconds/86400))
	dst = append(dst, byte(seconds/3600%24), byte(seconds/60%60), byte(seconds%60))
	if micros%1e6 == 0 {
		return dst
	}
	dst[at] = 12
	return binary.LittleEndian.AppendUint32(dst, uint32(micros%1e6))
}
