package chunk

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

func appendFloats(dst []byte, a *array.Float64, b column.Batch) []byte {
	bits := column.NullBits(a)
	for i := range b.Len() {
		v := uint32(0)
		if r := b.Row(i); column.IsValid(bits, r) {
			v = math.Float32bits(float32(a.Value(r)))
		}
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

// appendNumbers appends BIT, ENUM and SET cells.
func appendNumbers(dst []byte, a *array.Uint64, b column.Batch, form cellForm, ft *tipb.FieldType) []byte {
	var cell []byte
	return appendVariable(dst, a, b, func(row int) []byte {
		v := a.Value(row)
		switch {
		case form == cellBit:
			cell = datum.AppendBit(cell[:0], v, ft)
		case ft.Tp == column.TypeEnum:
			cell = append(binary.LittleEndian.AppendUint64(cell[:0], v), value.EnumName(ft.Elems, v)...)
		default:
			cell = value.AppendSetNames(binary.LittleEndian.AppendUint64(cell[:0], v), ft.Elems, v)
		}
		return cell
	})
}

// A time cell is bit fields, from the top:
//
//	year 14 | month 4 | day 5 | hour 5 | minute 6 | second 6 | microsecond 20 | fsp 3 | timestamp 1
//
// where fsp and timestamp are 111 0 for a DATE.
const (
	timeYearAt, timeMonthAt, timeDayAt     = 50, 46, 41
	timeHourAt, timeMinuteAt, timeSecondAt = 36, 30, 24
	timeMicroAt                            = 4
	timeDateBits                           = 0b1110
	timeTimestampBit                       = 1
)

func appendTimes(dst []byte, a *array.Uint64, b column.Batch, ft *tipb.FieldType) []byte {
	low := uint64(min(max(ft.Decimal, 0), 6)) << 1
	switch ft.Tp {
	case column.TypeDate, column.TypeNewDate:
		low = timeDateBits
	case column.TypeTimestamp:
		low |= timeTimestampBit
	}
	bits := column.NullBits(a)
	for i := range b.Len() {
		v := uint64(0)
		if r := b.Row(i); column.IsValid(bits, r) {
			v = timeCell(value.Time(a.Value(r))) | low
		}
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

func timeCell(t value.Time) uint64 {
	year, month, day, hour, minute, second, micro := t.Fields()
	return uint64(year)<<timeYearAt | uint64(month)<<timeMonthAt | uint64(day)<<timeDayAt | uint64(hour)<<timeHourAt |
		uint64(minute)<<timeMinuteAt | uint64(second)<<timeSecondAt | uint64(micro)<<timeMicroAt
}

func timeFromCell(c uint64) value.Time {
	field := func(at, width int) int { return int(c >> at & (1<<width - 1)) }
	return value.MakeTime(field(timeYearAt, 14), field(timeMonthAt, 4), field(timeDayAt, 5), field(timeHourAt, 5),
		field(timeMinuteAt, 6), field(timeSecondAt, 6), field(timeMicroAt, 20))
}
