package catalog

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/value"
)

const (
	defaultCharset = mysql.DefaultCharset
	defaultCollate = mysql.DefaultCollationName
)

// Bounds of what a column type may say.
const (
	maxCharLength    = 255
	maxVarcharBytes  = 65535
	maxFsp           = 6
	maxBits          = 64
	maxSetElems      = 64
	maxEnumElems     = 65535
	defaultPrecision = 10
)

// CollationID finds a collation by name, as the negative id that field types carry. Error 1273 for one that strings
// cannot be compared by here.
func CollationID(name string) (int32, error) {
	co, err := charset.GetCollationByName(name)
	if err != nil {
		return 0, errCode(mysql.ErrUnknownCollation, name)
	}
	id := -int32(co.ID)
	if _, err := value.CollatorByID(id); err != nil {
		return 0, errCode(mysql.ErrUnknownCollation, name)
	}
	return id, nil
}

// ResolveCharset completes a character set and a collation, either of which may be empty, from each other and the defaults.
func ResolveCharset(cs, collate, defCharset, defCollate string) (string, string, error) {
	cs, collate = strings.ToLower(cs), strings.ToLower(collate)
	switch {
	case cs == "" && collate == "":
		return defCharset, defCollate, nil
	case collate == "":
		info, err := charset.GetCharsetInfo(cs)
		if err != nil {
			return "", "", errCode(mysql.ErrUnknownCharacterSet, cs)
		}
		return info.Name, info.DefaultCollation, nil
	}
	co, err := charset.GetCollationByName(collate)
	if err != nil {
		return "", "", errCode(mysql.ErrUnknownCollation, collate)
	}
	if cs != "" && !charset.ValidCharsetAndCollation(cs, collate) {
		return "", "", errCode(mysql.ErrCollationCharsetMismatch, collate, cs)
	}
	_, err = CollationID(co.Name)
	return co.CharsetName, co.Name, err
}

// FieldTypeOf completes a parsed column type: default lengths, character set and collation, and the ids that stores
// understand. cs and collate are the table's.
func FieldTypeOf(name string, ft *types.FieldType, cs, collate string) (*tipb.FieldType, error) {
	out := &tipb.FieldType{
		Tp: int32(ft.GetType()), Flag: uint32(ft.GetFlag()), Elems: ft.GetElems(),
		Flen: int32(ft.GetFlen()), Decimal: int32(ft.GetDecimal()),
	}
	if ft.IsArray() {
		return nil, errNotSupported("array columns")
	}
	if err := setCharset(out, ft, cs, collate); err != nil {
		return nil, err
	}
	if err := setLength(name, out, ft); err != nil {
		return nil, err
	}
	return out, nil
}

func isString(tp int32) bool {
	switch tp {
	case column.TypeVarchar, column.TypeVarString, column.TypeString, column.TypeEnum, column.TypeSet,
		column.TypeTinyBlob, column.TypeBlob, column.TypeMedBlob, column.TypeLongBlob:
		return true
	default:
		return false
	}
}

func setCharset(out *tipb.FieldType, ft *types.FieldType, cs, collate string) error {
	if out.Tp == column.TypeJSON {
		out.Charset, out.Collate = mysql.DefaultCharset, -mysql.DefaultCollationID
		return nil
	}
	if !isString(out.Tp) || ft.GetCharset() == charset.CharsetBin {
		out.Charset, out.Collate = charset.CharsetBin, -mysql.BinaryDefaultCollationID
		out.Flag |= column.FlagBinary
		return nil
	}
	if ft.GetCharset() != "" && ft.GetCollate() == "" && ft.GetCharset() == cs {
		out.Charset = cs
	} else {
		var err error
		if cs, collate, err = ResolveCharset(ft.GetCharset(), ft.GetCollate(), cs, collate); err != nil {
			return err
		}
	}
	id, err := CollationID(collate)
	if err != nil {
		return err
	}
	out.Charset, out.Collate = cs, id
	out.Flag &^= column.FlagBinary
	return nil
}

func setLength(name string, out *tipb.FieldType, ft *types.FieldType) error {
	flen, dec := mysql.GetDefaultFieldLengthAndDecimal(ft.GetType())
	given := out.Flen >= 0
	if !given {
		out.Flen = int32(flen)
	}
	if out.Decimal < 0 {
		out.Decimal = int32(dec)
	}
	switch out.Tp {
	case column.TypeDecimal:
		return setDecimal(name, out, ft)
	case column.TypeFloat, column.TypeDouble:
		return setFloat(name, out, ft)
	case column.TypeTimestamp, column.TypeDatetime, column.TypeDuration:
		return setFsp(name, out, ft)
	case column.TypeTiny, column.TypeShort, column.TypeInt24, column.TypeLong, column.TypeLongLong:
		if !given && out.Flag&column.FlagUnsigned != 0 && out.Tp != column.TypeLongLong {
			out.Flen--
		}
		out.Decimal = 0
	case column.TypeString:
		if out.Flen > maxCharLength {
			return errCode(mysql.ErrTooBigFieldlength, name, maxCharLength)
		}
	case column.TypeVarchar:
		return checkVarchar(name, out)
	case column.TypeBit:
		if out.Flen < 1 || out.Flen > maxBits {
			return errCode(mysql.ErrTooBigDisplaywidth, name, maxBits)
		}
		out.Flag |= column.FlagUnsigned
	case column.TypeEnum, column.TypeSet:
		return checkElems(name, out)
	case column.TypeTinyBlob, column.TypeBlob, column.TypeMedBlob, column.TypeLongBlob:
		setBlob(out, given)
	}
	return supported(out)
}

func supported(out *tipb.FieldType) error {
	switch byte(out.Tp) {
	case mysql.TypeGeometry:
		return errNotSupported("spatial types")
	case mysql.TypeTiDBVectorFloat32:
		return errNotSupported("VECTOR columns")
	}
	return nil
}

func setDecimal(name string, out *tipb.FieldType, ft *types.FieldType) error {
	if ft.GetFlen() < 0 {
		out.Flen = defaultPrecision
	}
	if ft.GetDecimal() < 0 {
		out.Decimal = 0
	}
	if out.Flen == 0 {
		out.Flen = defaultPrecision
	}
	switch {
	case out.Decimal > column.MaxScale:
		return errCode(mysql.ErrTooBigScale, out.Decimal, name, column.MaxScale)
	case out.Flen > column.MaxPrecision:
		return errCode(mysql.ErrTooBigPrecision, out.Flen, name, column.MaxPrecision)
	case out.Decimal > out.Flen:
		return errCode(mysql.ErrMBiggerThanD, name)
	}
	return nil
}

// doubleFrom is the FLOAT(p) precision from which on the type is DOUBLE.
const doubleFrom = 25

func setFloat(name string, out *tipb.FieldType, ft *types.FieldType) error {
	if ft.GetDecimal() < 0 {
		if out.Tp == column.TypeFloat && ft.GetFlen() >= doubleFrom {
			out.Tp = column.TypeDouble
		}
		flen, _ := mysql.GetDefaultFieldLengthAndDecimal(byte(out.Tp))
		out.Flen, out.Decimal = int32(flen), column.UnspecifiedLength
		return nil
	}
	if out.Decimal > column.MaxScale {
		return errCode(mysql.ErrTooBigScale, out.Decimal, name, column.MaxScale)
	}
	if out.Decimal > out.Flen {
		return errCode(mysql.ErrMBiggerThanD, name)
	}
	return nil
}

// setFsp brings the display length of a time type in line with its fraction digits.
func setFsp(name string, out *tipb.FieldType, ft *types.FieldType) error {
	fsp := max(ft.GetDecimal(), 0)
	if fsp > maxFsp {
		return errCode(mysql.ErrTooBigPrecision, fsp, name, maxFsp)
	}
	base := int32(mysql.MaxDatetimeWidthNoFsp)
	if out.Tp == column.TypeDuration {
		base = mysql.MaxDurationWidthNoFsp
	}
	out.Decimal, out.Flen = int32(fsp), base
	if fsp > 0 {
		out.Flen += 1 + int32(fsp)
	}
	return nil
}

func checkVarchar(name string, out *tipb.FieldType) error {
	width := int32(1)
	if info, err := charset.GetCharsetInfo(out.Charset); err == nil {
		width = int32(info.Maxlen)
	}
	if out.Flen > maxVarcharBytes/width {
		return errCode(mysql.ErrTooBigFieldlength, name, maxVarcharBytes/width)
	}
	return nil
}

func checkElems(name string, out *tipb.FieldType) error {
	out.Decimal = 0
	most := maxEnumElems
	if out.Tp == column.TypeSet {
		most = maxSetElems
	}
	if len(out.Elems) > most {
		return errCode(mysql.ErrTooBigSet, name)
	}
	collator, err := value.CollatorByID(out.Collate)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(out.Elems))
	longest, total := 0, len(out.Elems)-1
	for i, elem := range out.Elems {
		elem = strings.TrimRight(elem, " ")
		out.Elems[i] = elem
		if out.Tp == column.TypeSet && strings.Contains(elem, ",") {
			return errCode(mysql.ErrIllegalValueForType, "set", elem)
		}
		key := string(collator.AppendKey(nil, []byte(elem)))
		if seen[key] {
			return errCode(mysql.ErrDuplicatedValueInType, name, elem, TypeName(out))
		}
		seen[key] = true
		longest, total = max(longest, len([]rune(elem))), total+len([]rune(elem))
	}
	out.Flen = int32(longest)
	if out.Tp == column.TypeSet {
		out.Flen = int32(total)
	}
	return nil
}

// setBlob gives the blob types their fixed lengths; BLOB(n) and TEXT(n) take the least type that holds n bytes.
func setBlob(out *tipb.FieldType, given bool) {
	if given && out.Tp == column.TypeBlob {
		switch {
		case out.Flen < 1<<8:
			out.Tp = column.TypeTinyBlob
		case out.Flen < 1<<16:
		case out.Flen < 1<<24:
			out.Tp = column.TypeMedBlob
		default:
			out.Tp = column.TypeLongBlob
		}
	}
	switch out.Tp {
	case column.TypeTinyBlob:
		out.Flen = 1<<8 - 1
	case column.TypeBlob:
		out.Flen = 1<<16 - 1
	case column.TypeMedBlob:
		out.Flen = 1<<24 - 1
	default:
		out.Flen = 1<<31 - 1
	}
	out.Decimal = 0
}

// parserType is a column type in the parser's words, which know how to print themselves.
func parserType(ft *tipb.FieldType) *types.FieldType {
	out := types.NewFieldType(byte(ft.Tp))
	out.SetFlag(uint(ft.Flag))
	out.SetFlen(int(ft.Flen))
	out.SetDecimal(int(ft.Decimal))
	out.SetCharset(ft.Charset)
	out.SetElems(ft.Elems)
	return out
}

// TypeString prints a column type as DESCRIBE does: "bigint(20) unsigned".
func TypeString(ft *tipb.FieldType) string {
	s := parserType(ft).InfoSchemaStr()
	if mysql.HasZerofillFlag(uint(ft.Flag)) {
		s += " zerofill"
	}
	return s
}

// TypeName is the bare name of a type: "bigint".
func TypeName(ft *tipb.FieldType) string { return types.TypeToStr(byte(ft.Tp), ft.Charset) }

// CollationName is the collation of a column, or "" if it has none.
func CollationName(ft *tipb.FieldType) string {
	if !HasCollation(ft) {
		return ""
	}
	if co, err := charset.GetCollationByID(int(max(ft.Collate, -ft.Collate))); err == nil {
		return co.Name
	}
	return defaultCollate
}

// HasCollation reports whether values of a type are text.
func HasCollation(ft *tipb.FieldType) bool {
	return isString(ft.Tp) && ft.Charset != charset.CharsetBin
}
