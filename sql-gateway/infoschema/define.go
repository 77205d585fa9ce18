package infoschema

import (
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/sql-gateway/catalog"
)

// Name is the name of the database.
const Name = "information_schema"

// caseless is the collation of all strings here: utf8mb4_general_ci.
const caseless = -45

// Tables makes the definitions, for catalog.Options.Virtual.
func Tables() []*catalog.Table {
	var out []*catalog.Table
	for _, line := range strings.Split(definitions, "\n") {
		switch {
		case line == "":
		case line[0] != '\t':
			// Ids below all others that the catalog gives out, and never 0.
			out = append(out, &catalog.Table{ID: -int64(len(out)) - 1, DB: Name, Name: line, IntHandle: -1, Virtual: true,
				Charset: "utf8mb4", Collate: "utf8mb4_general_ci"})
		default:
			t := out[len(out)-1]
			for _, def := range strings.Split(strings.Trim(line, "\t,"), ", ") {
				name, kind, _ := strings.Cut(def, " ")
				t.Columns = append(t.Columns, &catalog.Column{
					ID: int64(len(t.Columns)) + 1, Offset: len(t.Columns), Name: name, Type: columnType(kind),
				})
			}
		}
	}
	return out
}

func columnType(kind string) *tipb.FieldType {
	text := func(tp, flen int32) *tipb.FieldType {
		return &tipb.FieldType{Tp: tp, Flen: flen, Decimal: column.UnspecifiedLength, Charset: "utf8mb4", Collate: caseless}
	}
	number := func(tp, flen int32, flags uint32) *tipb.FieldType {
		return &tipb.FieldType{Tp: tp, Flen: flen, Flag: flags | column.FlagBinary, Charset: "binary", Collate: -63}
	}
	switch kind {
	case "s":
		return text(column.TypeVarchar, 64)
	case "l":
		return text(column.TypeVarchar, 512)
	case "t":
		return text(column.TypeLongBlob, 1<<31-1)
	case "u":
		return number(column.TypeLongLong, 21, column.FlagUnsigned)
	case "d":
		return number(column.TypeDatetime, 19, 0)
	case "m":
		ft := number(column.TypeDatetime, 26, 0)
		ft.Decimal = 6
		return ft
	case "f":
		ft := number(column.TypeDouble, 22, 0)
		ft.Decimal = column.UnspecifiedLength
		return ft
	case "j":
		return &tipb.FieldType{Tp: column.TypeJSON, Flen: 1<<31 - 1, Charset: "utf8mb4", Collate: -46}
	default:
		return number(column.TypeLongLong, 21, 0)
	}
}
