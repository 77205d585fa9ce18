package planner

import (
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

func jsonFunctions() map[string]fnDef {
	return map[string]fnDef{
		"json_extract":      fixed("jss*", tipb.ScalarFuncSig_JsonExtractSig, jsonType),
		"json_unquote":      {"x", jsonUnquote},
		"json_type":         fixed("j", tipb.ScalarFuncSig_JsonTypeSig, func() *tipb.FieldType { return utf8Type(51) }),
		"json_set":          {"jsx*", jsonModify(tipb.ScalarFuncSig_JsonSetSig)},
		"json_insert":       {"jsx*", jsonModify(tipb.ScalarFuncSig_JsonInsertSig)},
		"json_replace":      {"jsx*", jsonModify(tipb.ScalarFuncSig_JsonReplaceSig)},
		"json_array_append": {"jsx*", jsonModify(tipb.ScalarFuncSig_JsonArrayAppendSig)},
		"json_remove":       fixed("jss*", tipb.ScalarFuncSig_JsonRemoveSig, jsonType),
		"json_merge":        fixed("jjj*", tipb.ScalarFuncSig_JsonMergeSig, jsonType), "json_merge_preserve": fixed("jjj*", tipb.ScalarFuncSig_JsonMergeSig, jsonType),
		"json_merge_patch": fixed("jjj*", tipb.ScalarFuncSig_JsonMergePatchSig, jsonType),
		"json_contains":    fixed("jj?s", tipb.ScalarFuncSig_JsonContainsSig, intType), "json_memberof": fixed("jj", tipb.ScalarFuncSig_JsonMemberOfSig, intType),
		"json_depth": fixed("j", tipb.ScalarFuncSig_JsonDepthSig, intType), "json_length": fixed("j?s", tipb.ScalarFuncSig_JsonLengthSig, intType),
		"json_keys":          byCount("j?s", 1, typed(jsonType), tipb.ScalarFuncSig_JsonKeysSig, tipb.ScalarFuncSig_JsonKeys2ArgsSig),
		"json_quote":         textual("s", tipb.ScalarFuncSig_JsonQuoteSig, lenUnknown),
		"json_array_insert":  {"jsx*", jsonModify(tipb.ScalarFuncSig_JsonArrayInsertSig)},
		"json_search":        fixed("jss?ss*", tipb.ScalarFuncSig_JsonSearchSig, jsonType),
		"json_contains_path": fixed("jss*", tipb.ScalarFuncSig_JsonContainsPathSig, intType),
		"json_pretty":        textual("j", tipb.ScalarFuncSig_JsonPrettySig, lenUnknown),
		"json_storage_size":  fixed("j", tipb.ScalarFuncSig_JsonStorageSizeSig, intType),
		"json_storage_free":  fixed("j", tipb.ScalarFuncSig_JsonStorageFreeSig, intType),
		"json_array":         {"?x*", jsonList(tipb.ScalarFuncSig_JsonArraySig, false)},
		"json_object":        {"?x*", jsonList(tipb.ScalarFuncSig_JsonObjectSig, true)},
		"json_valid": {"x", func(b *builder, name string, a []*Expr) (*Expr, error) {
			switch evalOf(a[0].Type) {
			case evalJSON:
				return b.call(tipb.ScalarFuncSig_JsonValidJsonSig, name, intType(), a[0])
			case evalString:
				return b.call(tipb.ScalarFuncSig_JsonValidStringSig, name, intType(), a[0])
			}
			return b.call(tipb.ScalarFuncSig_JsonValidOthersSig, name, intType(), a[0])
		}},
	}
}

func utf8Type(n int) *tipb.FieldType {
	return stringType(n, &tipb.FieldType{Collate: -collateUTF8, Charset: "utf8mb4"})
}

func jsonUnquote(b *builder, name string, a []*Expr) (*Expr, error) {
	e, err := b.as(a[0], evalString)
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_JsonUnquoteSig, name, stringType(maxBlobLen, b.connType), e)
}

// jsonValue makes a JSON value of an argument as it is: a string becomes a JSON string and is not parsed.
func (b *builder) jsonValue(e *Expr) (*Expr, error) {
	if evalOf(e.Type) == evalJSON {
		return e, nil
	}
	return b.castTo(e, withFlag(jsonType(), 0, column.FlagParseToJSON))
}

func jsonModify(sig tipb.ScalarFuncSig) makeFn {
	return func(b *builder, name string, a []*Expr) (*Expr, error) {
		for i := 1; i < len(a); i++ {
			var err error
			if i%2 == 1 {
				a[i], err = b.as(a[i], evalString)
			} else {
				a[i], err = b.jsonValue(a[i])
			}
			if err != nil {
				return nil, err
			}
		}
		return b.call(sig, name, jsonType(), a...)
	}
}

func jsonList(sig tipb.ScalarFuncSig, pairs bool) makeFn {
	return func(b *builder, name string, a []*Expr) (*Expr, error) {
		for i := range a {
			var err error
			if pairs && i%2 == 0 {
				a[i], err = b.as(a[i], evalString)
			} else {
				a[i], err = b.jsonValue(a[i])
			}
			if err != nil {
				return nil, err
			}
		}
		return b.call(sig, name, jsonType(), a...)
	}
}
