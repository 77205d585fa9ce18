package planner

import (
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

func otherFunctions() map[string]fnDef {
	return map[string]fnDef{
		"inet_aton": fixed("s", tipb.ScalarFuncSig_InetAton, uintType), "inet_ntoa": textual("i", tipb.ScalarFuncSig_InetNtoa, lenFixed(15)),
		"inet6_aton": fixed("s", tipb.ScalarFuncSig_Inet6Aton, binaryOf(16)), "inet6_ntoa": {"s", inet6Text},
		"is_ipv4": fixed("s", tipb.ScalarFuncSig_IsIPv4, intType), "is_ipv6": fixed("s", tipb.ScalarFuncSig_IsIPv6, intType),
		"is_ipv4_compat": fixed("s", tipb.ScalarFuncSig_IsIPv4Compat, intType), "is_ipv4_mapped": fixed("s", tipb.ScalarFuncSig_IsIPv4Mapped, intType),
		"is_uuid": fixed("s", tipb.ScalarFuncSig_IsUUID, intType), "uuid_version": fixed("s", tipb.ScalarFuncSig_UUIDVersion, intType),
		"uuid_timestamp": fixed("s", tipb.ScalarFuncSig_UUIDTimestamp, func() *tipb.FieldType { return decimalType(18, 6) }),
		"random_bytes": {"i", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.volatileCall(tipb.ScalarFuncSig_RandomBytes, name, binaryType(1024), a...)
		}},
		"password": textual("s", tipb.ScalarFuncSig_Password, lenFixed(41)),
		"uuid": {"", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.volatileCall(tipb.ScalarFuncSig_UUID, name, utf8Type(36))
		}},
		"compress":            fixed("s", tipb.ScalarFuncSig_Compress, binaryOf(maxBlobLen)),
		"uncompress":          fixed("s", tipb.ScalarFuncSig_Uncompress, binaryOf(maxBlobLen)),
		"uncompressed_length": fixed("s", tipb.ScalarFuncSig_UncompressedLength, intType),
		"charset": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			if a[0].Type.Charset == "" {
				return b.textConst("binary"), nil
			}
			return b.textConst(a[0].Type.Charset), nil
		}},
		"collation": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			return b.textConst(collationName(a[0].Type.Collate)), nil
		}},
		"coercibility": {"x", func(b *builder, _ string, a []*Expr) (*Expr, error) { return intConst(coercibility(a[0])), nil }},
		"convert": {"xs", func(b *builder, _ string, a []*Expr) (*Expr, error) {
			if !a[1].isConst() || a[1].val.Kind() != datum.Bytes {
				return nil, errCode(mysql.ErrWrongArguments, "convert")
			}
			return b.convertUsing(a[0], string(a[1].val.Bytes()))
		}},
		"name_const": {"xx", func(b *builder, _ string, a []*Expr) (*Expr, error) { return a[1], nil }},
	}
}

// coercibility is COERCIBILITY(e): a value that is no string would become one by conversion.
func coercibility(e *Expr) int64 {
	if evalOf(e.Type) != evalString && !e.isNull() {
		return 5
	}
	return int64(e.coercion)
}

// inet6Text is INET6_NTOA: an address is bytes, and text is none.
func inet6Text(b *builder, name string, a []*Expr) (*Expr, error) {
	if !isBinaryString(a[0].Type) && !a[0].hex {
		return nullConst(), nil
	}
	return b.call(tipb.ScalarFuncSig_Inet6Ntoa, name, stringType(39, b.connType), a[0])
}

// convertUsing is CONVERT(e USING charset). All character sets are held as UTF-8 but binary.
func (b *builder) convertUsing(e *Expr, charset string) (*Expr, error) {
	e, err := b.as(e, evalString)
	if err != nil {
		return nil, err
	}
	ft := binaryType(displayLen(e.Type))
	switch charset {
	case "binary":
	case "utf8mb4", "utf8", "utf8mb3":
		ft = stringType(displayLen(e.Type), b.connType)
	default:
		c, err := value.DefaultCollation(charset)
		if err != nil {
			return nil, errCode(mysql.ErrUnknownCharacterSet, charset)
		}
		ft = stringType(displayLen(e.Type), &tipb.FieldType{Collate: c.FieldTypeID(), Charset: c.Charset})
	}
	if charset != "binary" {
		if e, err = b.fromBytes(e, ft); err != nil {
			return nil, err
		}
	}
	return b.call(tipb.ScalarFuncSig_CastStringAsString, "convert", ft, e)
}
