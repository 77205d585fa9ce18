package planner

import (
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	parsertypes "github.com/pingcap/tidb/pkg/parser/types"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// evalType is the class of values in which a function computes; tipb's signatures are named by it.
type evalType uint8

const (
	evalInt evalType = iota
	evalReal
	evalDecimal
	evalString
	evalTime
	evalDuration
	evalJSON
)

const (
	maxBlobLen    = 1<<31 - 1
	datetimeLen   = 19
	dateLen       = 10
	durationLen   = 10
	intLen        = 20
	realLen       = 23
	collateBinary = 63
	collateUTF8   = 46 // utf8mb4_bin
	maxFsp        = 6
	defaultPrec   = 10 // of a bare DECIMAL
)

func evalOf(ft *tipb.FieldType) evalType {
	switch ft.Tp {
	case column.TypeTiny, column.TypeShort, column.TypeInt24, column.TypeLong, column.TypeLongLong, column.TypeYear,
		column.TypeBit, column.TypeNull:
		return evalInt
	case column.TypeFloat, column.TypeDouble:
		return evalReal
	case column.TypeDecimal:
		return evalDecimal
	case column.TypeDate, column.TypeNewDate, column.TypeDatetime, column.TypeTimestamp:
		return evalTime
	case column.TypeDuration:
		return evalDuration
	case column.TypeJSON:
		return evalJSON
	}
	return evalString
}

func isNumeric(ft *tipb.FieldType) bool { return evalOf(ft) <= evalDecimal }

func isTemporal(ft *tipb.FieldType) bool {
	et := evalOf(ft)
	return et == evalTime || et == evalDuration
}

func isUnsigned(ft *tipb.FieldType) bool { return ft.Flag&column.FlagUnsigned != 0 }

func isBinaryString(ft *tipb.FieldType) bool {
	return evalOf(ft) == evalString && (ft.Collate == collateBinary || ft.Collate == -collateBinary)
}

func isBlob(tp int32) bool { return tp >= column.TypeTinyBlob && tp <= column.TypeBlob }

func numericType(tp int32, flen, decimal int) *tipb.FieldType {
	return &tipb.FieldType{Tp: tp, Flag: column.FlagBinary, Flen: int32(flen), Decimal: int32(decimal), Collate: -collateBinary, Charset: "binary"}
}

func nullType() *tipb.FieldType          { return numericType(column.TypeNull, 0, 0) }
func intType() *tipb.FieldType           { return numericType(column.TypeLongLong, intLen, 0) }
func constIntType(n int) *tipb.FieldType { return numericType(column.TypeLongLong, n, 0) }
func realType() *tipb.FieldType {
	return numericType(column.TypeDouble, realLen, column.UnspecifiedLength)
}
func jsonType() *tipb.FieldType { return numericType(column.TypeJSON, maxBlobLen, 0) }
func decimalType(p, s int) *tipb.FieldType {
	s = min(max(s, 0), column.MaxScale)
	return numericType(column.TypeDecimal, min(max(p, s, 1), column.MaxPrecision), s)
}

func uintType() *tipb.FieldType {
	ft := intType()
	ft.Flag |= column.FlagUnsigned
	return ft
}

func boolType() *tipb.FieldType {
	ft := numericType(column.TypeLongLong, 1, 0)
	ft.Flag |= column.FlagIsBoolean
	return ft
}

func timeType(tp int32, fsp int) *tipb.FieldType {
	flen := datetimeLen
	if tp == column.TypeDate {
		return numericType(tp, dateLen, 0)
	}
	if fsp > 0 {
		flen += 1 + fsp
	}
	return numericType(tp, flen, fsp)
}

func durationType(fsp int) *tipb.FieldType {
	flen := durationLen
	if fsp > 0 {
		flen += 1 + fsp
	}
	return numericType(column.TypeDuration, flen, fsp)
}

// stringType is VARCHAR(flen) with the charset and collation of like.
func stringType(flen int, like *tipb.FieldType) *tipb.FieldType {
	if flen < 0 || flen > maxBlobLen {
		flen = maxBlobLen
	}
	ft := &tipb.FieldType{Tp: column.TypeVarString, Flen: int32(flen), Decimal: column.UnspecifiedLength, Collate: like.Collate, Charset: like.Charset}
	if isBinaryString(ft) {
		ft.Flag |= column.FlagBinary
	}
	if flen >= 1<<16 {
		ft.Tp = column.TypeLongBlob
	}
	return ft
}

func binaryType(flen int) *tipb.FieldType {
	return stringType(flen, &tipb.FieldType{Collate: -collateBinary, Charset: "binary"})
}

// collationID is tipb's id of a collation by name: negative, for the rules of "new collations".
func collationID(name string) (int32, bool) {
	id, ok := mysql.CollationNames[name]
	return -int32(id), ok
}

// collationName is the inverse, for EXPLAIN and COLLATION().
func collationName(id int32) string {
	if id < 0 {
		id = -id
	}
	if c, err := charset.GetCollationByID(int(id)); err == nil {
		return c.Name
	}
	return "binary"
}

// fromParserType converts a type as the parser gives it (CAST).
func fromParserType(p *parsertypes.FieldType, def *tipb.FieldType) *tipb.FieldType {
	ft := &tipb.FieldType{
		Tp: int32(p.GetType()), Flag: uint32(p.GetFlag()), Flen: int32(p.GetFlen()), Decimal: int32(p.GetDecimal()),
		Charset: p.GetCharset(), Elems: p.GetElems(),
	}
	id, ok := collationID(p.GetCollate())
	switch {
	case ok:
		ft.Collate = id
	case evalOf(ft) == evalString && p.GetCharset() != "" && p.GetCharset() != def.Charset:
		ft.Collate = -collateBinary
		if cs, err := charset.GetCharsetInfo(p.GetCharset()); err == nil {
			if id, ok := collationID(cs.DefaultCollation); ok {
				ft.Collate = id
			}
		}
	case evalOf(ft) == evalString:
		ft.Collate, ft.Charset = def.Collate, def.Charset
	default:
		ft.Collate, ft.Charset = -collateBinary, "binary"
	}
	return ft
}

func withFlag(ft *tipb.FieldType, set, clear uint32) *tipb.FieldType {
	if ft.Flag&set == set && ft.Flag&clear == 0 {
		return ft
	}
	c := *ft
	c.Flag = c.Flag&^clear | set
	return &c
}

func nullable(ft *tipb.FieldType) *tipb.FieldType { return withFlag(ft, 0, column.FlagNotNull) }

func notNull(ft *tipb.FieldType) bool { return ft.Flag&column.FlagNotNull != 0 }

// fspOf is the number of fraction digits of a temporal value of type ft.
func fspOf(ft *tipb.FieldType) int {
	switch evalOf(ft) {
	case evalTime, evalDuration:
		return min(max(int(ft.Decimal), 0), maxFsp)
	case evalInt:
		return 0
	case evalString, evalJSON:
		return maxFsp
	}
	if ft.Decimal < 0 {
		return maxFsp
	}
	return min(int(ft.Decimal), maxFsp)
}

var intDigits = map[int32]int{
	column.TypeTiny: 3, column.TypeShort: 5, column.TypeInt24: 7, column.TypeLong: 10, column.TypeLongLong: 19, column.TypeYear: 4,
}

// decimalShape is the precision and scale that a value of type ft has as a DECIMAL.
func decimalShape(ft *tipb.FieldType) (precision, scale int) {
	switch evalOf(ft) {
	case evalDecimal:
		return column.Precision(ft), column.Scale(ft)
	case evalInt:
		n, ok := intDigits[ft.Tp]
		if !ok {
			n = 20
		}
		if isUnsigned(ft) && ft.Tp == column.TypeLongLong {
			n = 20
		}
		if ft.Flen > 0 && int(ft.Flen) < n && ft.Tp == column.TypeLongLong {
			n = int(ft.Flen)
		}
		return n, 0
	case evalTime:
		if ft.Tp == column.TypeDate {
			return 8, 0
		}
		return 14 + fspOf(ft), fspOf(ft)
	case evalDuration:
		return 7 + fspOf(ft), fspOf(ft)
	}
	return column.MaxPrecision, column.MaxScale
}

// displayLen is the length of the text of a value of type ft, in characters.
func displayLen(ft *tipb.FieldType) int {
	switch evalOf(ft) {
	case evalInt:
		if ft.Tp == column.TypeLongLong && ft.Flen > 0 {
			return int(ft.Flen)
		}
		if n, ok := intDigits[ft.Tp]; ok {
			return n + 1
		}
		return intLen
	case evalReal:
		return realLen
	case evalDecimal: // sign and point, and a zero where all digits are fraction
		if p := column.Precision(ft); column.Scale(ft) < p {
			return p + 2
		}
		return column.Precision(ft) + 3
	case evalJSON:
		return maxBlobLen
	}
	if ft.Flen < 0 {
		return maxBlobLen
	}
	return int(ft.Flen)
}

// mergeTypes is the type of a column that takes values of both types: branches of CASE, IF and COALESCE, and the
// columns of a UNION.
func mergeTypes(a, b *tipb.FieldType) *tipb.FieldType {
	switch {
	case a.Tp == column.TypeNull:
		return nullable(b)
	case b.Tp == column.TypeNull:
		return nullable(a)
	}
	ft := mergeNonNull(a, b)
	if !notNull(a) || !notNull(b) {
		ft = nullable(ft)
	} else {
		ft = withFlag(ft, column.FlagNotNull, 0)
	}
	return withFlag(ft, 0, column.FlagPrimaryKey|column.FlagUniqueKey|column.FlagAutoIncr|column.FlagIsBoolean)
}

func mergeNonNull(a, b *tipb.FieldType) *tipb.FieldType {
	ea, eb := evalOf(a), evalOf(b)
	switch {
	case ea == evalInt && eb == evalInt:
		return mergeInts(a, b)
	case isNumeric(a) && isNumeric(b):
		if ea == evalReal || eb == evalReal {
			return realType()
		}
		return mergeDecimals(a, b)
	case ea == evalDuration && eb == evalDuration:
		return durationType(max(fspOf(a), fspOf(b)))
	case isTemporal(a) && isTemporal(b):
		if a.Tp == b.Tp {
			return timeType(a.Tp, max(fspOf(a), fspOf(b)))
		}
		return timeType(column.TypeDatetime, max(fspOf(a), fspOf(b)))
	case ea == evalJSON && eb == evalJSON:
		return jsonType()
	case ea == evalString && eb == evalString && a.Tp == b.Tp && a.Flen == b.Flen && a.Collate == b.Collate && sameElems(a, b):
		c := *a
		return &c
	}
	like := a
	if ea != evalString || (eb == evalString && isBinaryString(b)) {
		like = b
	}
	return stringType(max(displayLen(a), displayLen(b)), like)
}

func sameElems(a, b *tipb.FieldType) bool {
	if len(a.Elems) != len(b.Elems) {
		return false
	}
	for i := range a.Elems {
		if a.Elems[i] != b.Elems[i] {
			return false
		}
	}
	return true
}

func mergeInts(a, b *tipb.FieldType) *tipb.FieldType {
	a, b = bitAsUnsigned(a), bitAsUnsigned(b)
	if isUnsigned(a) != isUnsigned(b) && (a.Tp == column.TypeLongLong || b.Tp == column.TypeLongLong) {
		unsigned := a
		if isUnsigned(b) {
			unsigned = b
		}
		if unsigned.Tp == column.TypeLongLong {
			return decimalType(20, 0)
		}
	}
	ft := constIntType(max(displayLen(a), displayLen(b)))
	if a.Tp == b.Tp && isUnsigned(a) == isUnsigned(b) {
		ft.Tp = a.Tp
	}
	if isUnsigned(a) && isUnsigned(b) {
		ft.Flag |= column.FlagUnsigned
	}
	return ft
}

// bitAsUnsigned is the type of a BIT's number.
func bitAsUnsigned(ft *tipb.FieldType) *tipb.FieldType {
	if ft.Tp != column.TypeBit {
		return ft
	}
	return withFlag(uintType(), ft.Flag&column.FlagNotNull, 0)
}

func mergeDecimals(a, b *tipb.FieldType) *tipb.FieldType {
	pa, sa := decimalShape(a)
	pb, sb := decimalShape(b)
	s := max(sa, sb)
	return decimalType(max(pa-sa, pb-sb)+s, s)
}
