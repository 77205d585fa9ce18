package flight

import (
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

// convert makes a column of Arrow's type from one of package column. What it returns may share a's memory.
type convert func(a arrow.Array) (arrow.Array, error)

// typeOf is the Arrow type of a MySQL type, and how to get there:
//
//	integers, YEAR, BIT           int64, uint64
//	FLOAT, DOUBLE                 float64
//	DECIMAL(p, s)                 decimal128(p, s), from 39 digits on decimal256(p, s)
//	DATE                          date32
//	DATETIME, TIMESTAMP           timestamp[us] without a zone: what the clock shows, of a TIMESTAMP in the request's zone
//	TIME                          duration[ns]
//	strings                       utf8, of character set binary and blobs binary
//	ENUM, SET                     utf8: the names; uint64 where the field type asks for numbers
//	JSON                          utf8: the text
//
// Dates that no calendar has, such as 0000-00-00, become NULL.
func typeOf(ft *tipb.FieldType) (arrow.DataType, convert) {
	switch ft.Tp {
	case column.TypeDate, column.TypeNewDate:
		return arrow.FixedWidthTypes.Date32, dates
	case column.TypeDatetime, column.TypeTimestamp:
		return localTime, times
	case column.TypeDuration:
		return arrow.FixedWidthTypes.Duration_ns, as(arrow.FixedWidthTypes.Duration_ns)
	case column.TypeDecimal:
		return decimalType(ft)
	case column.TypeEnum, column.TypeSet:
		if ft.Flag&column.FlagEnumSetAsInt == 0 {
			return arrow.BinaryTypes.String, names(ft)
		}
	case column.TypeJSON:
		return arrow.BinaryTypes.String, jsonTexts
	}
	kind := column.KindOf(ft)
	if kind == column.Bytes && isText(ft) {
		return arrow.BinaryTypes.String, as(arrow.BinaryTypes.String)
	}
	return column.ArrowType(kind), unchanged
}

var localTime = &arrow.TimestampType{Unit: arrow.Microsecond}

// isText tells strings of characters from strings of bytes.
func isText(ft *tipb.FieldType) bool {
	switch ft.Tp {
	case column.TypeVarchar, column.TypeVarString, column.TypeString,
		column.TypeTinyBlob, column.TypeMedBlob, column.TypeLongBlob, column.TypeBlob: // TEXT, where they have a character set
		charset := value.CharsetOf(ft.Collate)
		return charset != "" && charset != "binary"
	}
	return false
}

func decimalType(ft *tipb.FieldType) (arrow.DataType, convert) {
	scale := int32(column.Scale(ft))
	precision := max(int32(column.Precision(ft)), scale)
	switch column.KindOf(ft) {
	case column.Decimal64:
		t := &arrow.Decimal128Type{Precision: precision, Scale: scale}
		return t, widened(t)
	case column.Decimal128:
		t := &arrow.Decimal128Type{Precision: precision, Scale: scale}
		return t, as(t)
	default:
		t := &arrow.Decimal256Type{Precision: precision, Scale: scale}
		return t, as(t)
	}
}

// schemaOf names the columns by their number: a DAG has no names for them.
func schemaOf(fields []*tipb.FieldType) (*arrow.Schema, []convert) {
	columns := make([]arrow.Field, len(fields))
	converts := make([]convert, len(fields))
	for i, ft := range fields {
		columns[i] = arrow.Field{Name: "c" + strconv.Itoa(i), Nullable: true}
		columns[i].Type, converts[i] = typeOf(ft)
	}
	return arrow.NewSchema(columns, nil), converts
}
