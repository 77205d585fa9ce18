package wire

import (
	"encoding/binary"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// Column describes a result column.
type Column struct {
	DB, Table, OrigTable, Name, OrigName string
	Type                                 *tipb.FieldType
}

const (
	// maxNameLength is what clients may rely on for the names they get.
	maxNameLength    = 256
	notFixedDecimals = 31
	binaryCollation  = 63
	utf8mb4Collation = 45
	bytesPerChar     = 4
)

// append appends a ColumnDefinition41.
func (c *Column) append(b []byte) []byte {
	b = appendLenencString(b, "def")
	b = appendLenencString(b, c.DB)
	b = appendLenencString(b, shorten(c.Table))
	b = appendLenencString(b, shorten(c.OrigTable))
	b = appendLenencString(b, shorten(c.Name))
	b = appendLenencString(b, shorten(c.OrigName))
	ft := c.Type
	b = append(b, 0x0c)
	b = binary.LittleEndian.AppendUint16(b, collation(ft))
	b = binary.LittleEndian.AppendUint32(b, displayLength(ft))
	b = append(b, typeOnWire(ft))
	b = binary.LittleEndian.AppendUint16(b, flagsOnWire(ft))
	return append(b, decimals(ft), 0, 0)
}

func shorten(name string) string {
	if len(name) > maxNameLength {
		return name[:maxNameLength]
	}
	return name
}

// isText reports whether values of ft are characters, which go out in the connection's character set.
func isText(ft *tipb.FieldType) bool {
	switch ft.Tp {
	case column.TypeEnum, column.TypeSet, column.TypeJSON:
		return true
	case column.TypeVarchar, column.TypeVarString, column.TypeString,
		column.TypeTinyBlob, column.TypeBlob, column.TypeMedBlob, column.TypeLongBlob:
		return !isBinaryString(ft)
	default:
		return false
	}
}

func isBinaryString(ft *tipb.FieldType) bool {
	return ft.Charset == "binary" || ft.Collate == binaryCollation || ft.Collate == -binaryCollation
}

func collation(ft *tipb.FieldType) uint16 {
	if !isText(ft) {
		return binaryCollation
	}
	if id := max(ft.Collate, -ft.Collate); id != 0 && id != binaryCollation {
		return uint16(id)
	}
	return utf8mb4Collation
}

// displayLength is the greatest length of a value in bytes of the connection's character set.
func displayLength(ft *tipb.FieldType) uint32 {
	if ft.Tp == column.TypeJSON {
		return 1<<32 - 1
	}
	flen := int64(ft.Flen)
	if flen < 0 {
		flen = defaultLength(ft)
	}
	if isText(ft) && flen < 1<<26 {
		flen *= bytesPerChar
	}
	return uint32(min(flen, 1<<32-1))
}

func defaultLength(ft *tipb.FieldType) int64 {
	flen, _ := mysql.GetDefaultFieldLengthAndDecimal(byte(ft.Tp))
	if flen < 0 {
		return 255
	}
	return int64(flen)
}

// typeOnWire gives the type code clients know for a column's type: MySQL sends VARCHAR as VAR_STRING, all blobs as
// BLOB, and ENUM and SET as STRING with a flag.
func typeOnWire(ft *tipb.FieldType) byte {
	switch ft.Tp {
	case column.TypeVarchar:
		return mysql.TypeVarString
	case column.TypeTinyBlob, column.TypeMedBlob, column.TypeLongBlob:
		return mysql.TypeBlob
	case column.TypeEnum, column.TypeSet:
		return mysql.TypeString
	case column.TypeNewDate:
		return mysql.TypeDate
	default:
		return byte(ft.Tp)
	}
}

func flagsOnWire(ft *tipb.FieldType) uint16 {
	flags := uint16(ft.Flag)
	switch ft.Tp {
	case column.TypeEnum:
		flags |= uint16(mysql.EnumFlag)
	case column.TypeSet:
		flags |= uint16(mysql.SetFlag)
	case column.TypeTinyBlob, column.TypeBlob, column.TypeMedBlob, column.TypeLongBlob:
		flags |= uint16(mysql.BlobFlag)
	}
	if !isText(ft) {
		flags |= uint16(mysql.BinaryFlag)
	}
	return flags
}

func decimals(ft *tipb.FieldType) byte {
	switch ft.Tp {
	case column.TypeDecimal, column.TypeDatetime, column.TypeTimestamp, column.TypeDuration:
		if ft.Decimal >= 0 {
			return byte(ft.Decimal)
		}
		return 0
	case column.TypeFloat, column.TypeDouble:
		if ft.Decimal >= 0 && ft.Decimal < notFixedDecimals {
			return byte(ft.Decimal)
		}
		return notFixedDecimals
	default:
		return 0
	}
}
