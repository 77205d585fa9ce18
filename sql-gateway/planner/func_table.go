package planner

import (
	"maps"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

type makeFn = func(b *builder, name string, a []*Expr) (*Expr, error)

// functions are the SQL functions by lower-case name, without those that have syntax of their own (func_call.go) or are
// answered by the session (func_session.go).
var functions map[string]fnDef

func init() {
	functions = map[string]fnDef{}
	for _, family := range []map[string]fnDef{stringFunctions(), mathFunctions(), timeFunctions(), controlFunctions(), jsonFunctions(), otherFunctions()} {
		maps.Copy(functions, family)
	}
	for alias, name := range map[string]string{
		"lcase": "lower", "ucase": "upper", "substr": "substring", "mid": "substring", "octet_length": "length",
		"character_length": "char_length", "ceiling": "ceil", "power": "pow", "day": "dayofmonth", "sha": "sha1",
	} {
		functions[alias] = functions[name]
	}
}

// fixed is a function with one signature and a result type that does not depend on its arguments.
func fixed(args string, sig tipb.ScalarFuncSig, ft func() *tipb.FieldType) fnDef {
	return fnDef{args, func(b *builder, name string, a []*Expr) (*Expr, error) { return b.call(sig, name, ft(), a...) }}
}

// textual is a function with one signature that gives a string with the collation of its first argument, length
// characters long.
func textual(args string, sig tipb.ScalarFuncSig, length func(a []*Expr) int) fnDef {
	return fnDef{args, func(b *builder, name string, a []*Expr) (*Expr, error) {
		return b.call(sig, name, b.textType(length(a), a...), a...)
	}}
}

// twoFaced is a function of strings that works on characters (utf8), or on bytes where its first argument is binary.
func twoFaced(args string, utf8, bytes tipb.ScalarFuncSig, length func(a []*Expr) int) fnDef {
	return fnDef{args, func(b *builder, name string, a []*Expr) (*Expr, error) {
		return b.call(pickBinary(a[0], utf8, bytes), name, b.textType(length(a), a...), a...)
	}}
}

func pickBinary(e *Expr, utf8, bytes tipb.ScalarFuncSig) tipb.ScalarFuncSig {
	if isBinaryString(e.Type) {
		return bytes
	}
	return utf8
}

// textType is the type of a string made of the strings among args.
func (b *builder) textType(flen int, args ...*Expr) *tipb.FieldType {
	like, err := b.mergeCollation("concat", args...)
	if err != nil {
		like = b.connType
	}
	return stringType(flen, like)
}

func lenOfFirst(a []*Expr) int { return displayLen(a[0].Type) }
func lenOfAll(a []*Expr) int {
	n := 0
	for _, e := range a {
		n = min(n+displayLen(e.Type), maxBlobLen)
	}
	return n
}
func lenUnknown([]*Expr) int           { return maxBlobLen }
func lenFixed(n int) func([]*Expr) int { return func([]*Expr) int { return n } }

// lenArg is the length that a constant argument gives.
func lenArg(i int) func([]*Expr) int {
	return func(a []*Expr) int {
		if i < len(a) && a[i].isConst() && !a[i].isNull() && evalOf(a[i].Type) == evalInt {
			return int(min(max(a[i].val.Int64(), 0), maxBlobLen))
		}
		return displayLen(a[0].Type)
	}
}

// byCount picks the signature by the number of arguments, starting with least.
func byCount(args string, least int, ft func(b *builder, a []*Expr) *tipb.FieldType, sigs ...tipb.ScalarFuncSig) fnDef {
	return fnDef{args, func(b *builder, name string, a []*Expr) (*Expr, error) {
		return b.call(sigs[len(a)-least], name, ft(b, a), a...)
	}}
}

func typed(f func() *tipb.FieldType) func(*builder, []*Expr) *tipb.FieldType {
	return func(*builder, []*Expr) *tipb.FieldType { return f() }
}

func binaryOf(n int) func() *tipb.FieldType { return func() *tipb.FieldType { return binaryType(n) } }

func stringFunctions() map[string]fnDef {
	return map[string]fnDef{
		"ascii": fixed("s", tipb.ScalarFuncSig_ASCII, intType), "ord": fixed("s", tipb.ScalarFuncSig_Ord, intType),
		"bit_length": fixed("s", tipb.ScalarFuncSig_BitLength, intType), "length": fixed("s", tipb.ScalarFuncSig_Length, intType),
		"char_length": {"s", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.call(pickBinary(a[0], tipb.ScalarFuncSig_CharLengthUTF8, tipb.ScalarFuncSig_CharLength), name, intType(), a...)
		}},
		"concat": textual("ss*", tipb.ScalarFuncSig_Concat, lenOfAll), "concat_ws": textual("sss*", tipb.ScalarFuncSig_ConcatWS, lenUnknown),
		"lower":   twoFaced("s", tipb.ScalarFuncSig_LowerUTF8, tipb.ScalarFuncSig_Lower, lenOfFirst),
		"upper":   twoFaced("s", tipb.ScalarFuncSig_UpperUTF8, tipb.ScalarFuncSig_Upper, lenOfFirst),
		"reverse": twoFaced("s", tipb.ScalarFuncSig_ReverseUTF8, tipb.ScalarFuncSig_Reverse, lenOfFirst),
		"left":    twoFaced("si", tipb.ScalarFuncSig_LeftUTF8, tipb.ScalarFuncSig_Left, lenArg(1)),
		"right":   twoFaced("si", tipb.ScalarFuncSig_RightUTF8, tipb.ScalarFuncSig_Right, lenArg(1)),
		"lpad":    twoFaced("sis", tipb.ScalarFuncSig_LpadUTF8, tipb.ScalarFuncSig_Lpad, lenArg(1)),
		"rpad":    twoFaced("sis", tipb.ScalarFuncSig_RpadUTF8, tipb.ScalarFuncSig_Rpad, lenArg(1)),
		"ltrim":   textual("s", tipb.ScalarFuncSig_LTrim, lenOfFirst), "rtrim": textual("s", tipb.ScalarFuncSig_RTrim, lenOfFirst),
		"repeat": textual("si", tipb.ScalarFuncSig_Repeat, lenUnknown), "replace": textual("sss", tipb.ScalarFuncSig_Replace, lenUnknown),
		"space": textual("i", tipb.ScalarFuncSig_Space, lenUnknown), "quote": textual("s", tipb.ScalarFuncSig_Quote, lenUnknown),
		"substring_index": textual("ssi", tipb.ScalarFuncSig_SubstringIndex, lenOfFirst),
		"substring":       {"si?i", substring},
		"locate":          {"ss?i", locate},
		"instr": {"ss", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.call(pickBinary(a[0], tipb.ScalarFuncSig_InstrUTF8, tipb.ScalarFuncSig_Instr), name, intType(), a...)
		}},
		"position": {"ss", locate},
		"insert_func": {"siis", func(b *builder, name string, a []*Expr) (*Expr, error) {
			sig := pickBinary(a[0], tipb.ScalarFuncSig_InsertUTF8, tipb.ScalarFuncSig_Insert)
			return b.call(sig, "insert", b.textType(lenOfAll([]*Expr{a[0], a[3]}), a...), a...)
		}},
		"strcmp": {"ss", func(b *builder, name string, a []*Expr) (*Expr, error) {
			l, r, err := b.sameCollation(a[0], a[1], name)
			if err != nil {
				return nil, err
			}
			return b.call(tipb.ScalarFuncSig_Strcmp, name, intType(), l, r)
		}},
		"find_in_set": fixed("ss", tipb.ScalarFuncSig_FindInSet, intType), "elt": textual("iss*", tipb.ScalarFuncSig_Elt, lenUnknown),
		"make_set": textual("iss*", tipb.ScalarFuncSig_MakeSet, lenUnknown), "field": {"xxx*", field},
		"hex": {"x", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.byNumber(name, a[0], tipb.ScalarFuncSig_HexIntArg, tipb.ScalarFuncSig_HexStrArg, max(2*displayLen(a[0].Type), 16))
		}},
		"oct": {"x", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.byNumber(name, a[0], tipb.ScalarFuncSig_OctInt, tipb.ScalarFuncSig_OctString, 64)
		}},
		"bin": textual("i", tipb.ScalarFuncSig_Bin, lenFixed(64)), "unhex": fixed("s", tipb.ScalarFuncSig_UnHex, binaryOf(maxBlobLen)),
		"to_base64": textual("s", tipb.ScalarFuncSig_ToBase64, lenUnknown), "from_base64": fixed("s", tipb.ScalarFuncSig_FromBase64, binaryOf(maxBlobLen)),
		"format":         textual("xi", tipb.ScalarFuncSig_Format, lenUnknown),
		"md5":            textual("s", tipb.ScalarFuncSig_MD5, lenFixed(32)),
		"sha1":           textual("s", tipb.ScalarFuncSig_SHA1, lenFixed(40)),
		"sha2":           textual("si", tipb.ScalarFuncSig_SHA2, lenFixed(128)),
		"regexp_like":    {"ss?s", regexpLike},
		"regexp_substr":  textual("ss?iis", tipb.ScalarFuncSig_RegexpSubstrSig, lenOfFirst),
		"regexp_instr":   fixed("ss?iiis", tipb.ScalarFuncSig_RegexpInStrSig, intType),
		"regexp_replace": textual("sss?iis", tipb.ScalarFuncSig_RegexpReplaceSig, lenUnknown),
	}
}

func substring(b *builder, name string, a []*Expr) (*Expr, error) {
	ft := b.textType(lenArg(2)(a), a[0])
	if len(a) == 2 {
		return b.call(pickBinary(a[0], tipb.ScalarFuncSig_Substring2ArgsUTF8, tipb.ScalarFuncSig_Substring2Args), "substring", ft, a...)
	}
	return b.call(pickBinary(a[0], tipb.ScalarFuncSig_Substring3ArgsUTF8, tipb.ScalarFuncSig_Substring3Args), "substring", ft, a...)
}

func locate(b *builder, _ string, a []*Expr) (*Expr, error) {
	if len(a) == 2 {
		return b.call(pickBinary(a[1], tipb.ScalarFuncSig_Locate2ArgsUTF8, tipb.ScalarFuncSig_Locate2Args), "locate", intType(), a...)
	}
	return b.call(pickBinary(a[1], tipb.ScalarFuncSig_Locate3ArgsUTF8, tipb.ScalarFuncSig_Locate3Args), "locate", intType(), a...)
}

func regexpLike(b *builder, _ string, a []*Expr) (*Expr, error) {
	l, r, err := b.sameCollation(a[0], a[1], "regexp_like")
	if err != nil {
		return nil, err
	}
	ft := boolType()
	ft.Collate, ft.Charset = l.Type.Collate, l.Type.Charset
	return b.call(tipb.ScalarFuncSig_RegexpLikeSig, "regexp_like", ft, append([]*Expr{l, r}, a[2:]...)...)
}

// byNumber makes a function that treats numbers and strings differently and gives a string.
func (b *builder) byNumber(name string, e *Expr, num, str tipb.ScalarFuncSig, flen int) (*Expr, error) {
	if isNumeric(e.Type) {
		v, err := b.as(e, evalInt)
		if err != nil {
			return nil, err
		}
		return b.call(num, name, stringType(flen, b.connType), v)
	}
	s, err := b.as(e, evalString)
	if err != nil {
		return nil, err
	}
	return b.call(str, name, stringType(flen, b.connType), s)
}

func field(b *builder, name string, a []*Expr) (*Expr, error) {
	et, sig := evalString, tipb.ScalarFuncSig_FieldString
	ints, numbers := true, true
	for _, e := range a {
		ints = ints && evalOf(e.Type) == evalInt
		numbers = numbers && isNumeric(e.Type)
	}
	switch {
	case ints:
		et, sig = evalInt, tipb.ScalarFuncSig_FieldInt
	case numbers:
		et, sig = evalReal, tipb.ScalarFuncSig_FieldReal
	}
	for i := range a {
		var err error
		if a[i], err = b.as(a[i], et); err != nil {
			return nil, err
		}
	}
	return b.call(sig, name, intType(), a...)
}

func mathFunctions() map[string]fnDef {
	m := map[string]fnDef{
		"abs": {"x", abs}, "round": {"x?i", round}, "truncate": {"xi", truncate},
		"ceil": {"x", ceilOrFloor}, "floor": {"x", ceilOrFloor},
		"log":  byCount("r?r", 1, typed(realType), tipb.ScalarFuncSig_Log1Arg, tipb.ScalarFuncSig_Log2Args),
		"atan": byCount("r?r", 1, typed(realType), tipb.ScalarFuncSig_Atan1Arg, tipb.ScalarFuncSig_Atan2Args),
		"pow":  fixed("rr", tipb.ScalarFuncSig_Pow, realType), "atan2": fixed("rr", tipb.ScalarFuncSig_Atan2Args, realType),
		"pi": fixed("", tipb.ScalarFuncSig_PI, realType), "sign": fixed("r", tipb.ScalarFuncSig_Sign, intType),
		"crc32": fixed("s", tipb.ScalarFuncSig_CRC32, uintType), "conv": textual("sii", tipb.ScalarFuncSig_Conv, lenFixed(64)),
		"rand": {"?i", func(b *builder, name string, a []*Expr) (*Expr, error) {
			if len(a) == 0 {
				return b.volatileCall(tipb.ScalarFuncSig_Rand, name, realType())
			}
			return b.volatileCall(tipb.ScalarFuncSig_RandWithSeedFirstGen, name, realType(), a...)
		}},
		"bit_count": fixed("i", tipb.ScalarFuncSig_BitCount, intType),
	}
	for name, sig := range map[string]tipb.ScalarFuncSig{
		"ln": tipb.ScalarFuncSig_Log1Arg, "log2": tipb.ScalarFuncSig_Log2, "log10": tipb.ScalarFuncSig_Log10, "exp": tipb.ScalarFuncSig_Exp,
		"sqrt": tipb.ScalarFuncSig_Sqrt, "sin": tipb.ScalarFuncSig_Sin, "cos": tipb.ScalarFuncSig_Cos, "tan": tipb.ScalarFuncSig_Tan,
		"cot": tipb.ScalarFuncSig_Cot, "asin": tipb.ScalarFuncSig_Asin, "acos": tipb.ScalarFuncSig_Acos,
		"degrees": tipb.ScalarFuncSig_Degrees, "radians": tipb.ScalarFuncSig_Radians,
	} {
		m[name] = fixed("r", sig, realType)
	}
	return m
}

// number converts e to the class in which arithmetic takes it.
func (b *builder) number(e *Expr) (*Expr, evalType, error) {
	et := numberClass(e)
	e, err := b.as(e, et)
	return e, et, err
}

func abs(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	switch {
	case et == evalReal:
		return b.call(tipb.ScalarFuncSig_AbsReal, name, realType(), e)
	case et == evalDecimal:
		return b.call(tipb.ScalarFuncSig_AbsDecimal, name, decimalType(decimalShape(e.Type)), e)
	case isUnsigned(e.Type):
		return b.call(tipb.ScalarFuncSig_AbsUInt, name, uintType(), e)
	}
	return b.call(tipb.ScalarFuncSig_AbsInt, name, intType(), e)
}

// round rounds to a number of digits; of a decimal by a constant the result's scale is that number.
func round(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	if len(a) == 1 {
		switch et {
		case evalReal:
			return b.call(tipb.ScalarFuncSig_RoundReal, name, realType(), e)
		case evalDecimal:
			p, s := decimalShape(e.Type)
			return b.call(tipb.ScalarFuncSig_RoundDec, name, decimalType(p-s+1, 0), e)
		}
		return b.call(tipb.ScalarFuncSig_RoundInt, name, sameInt(e.Type), e)
	}
	switch et {
	case evalReal:
		return b.call(tipb.ScalarFuncSig_RoundWithFracReal, name, realType(), e, a[1])
	case evalDecimal:
		return b.call(tipb.ScalarFuncSig_RoundWithFracDec, name, roundedShape(e.Type, a[1], 1), e, a[1])
	}
	return b.call(tipb.ScalarFuncSig_RoundWithFracInt, name, sameInt(e.Type), e, a[1])
}

func truncate(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	switch {
	case et == evalReal:
		return b.call(tipb.ScalarFuncSig_TruncateReal, name, realType(), e, a[1])
	case et == evalDecimal:
		return b.call(tipb.ScalarFuncSig_TruncateDecimal, name, roundedShape(e.Type, a[1], 0), e, a[1])
	case isUnsigned(e.Type):
		return b.call(tipb.ScalarFuncSig_TruncateUint, name, uintType(), e, a[1])
	}
	return b.call(tipb.ScalarFuncSig_TruncateInt, name, intType(), e, a[1])
}

func sameInt(ft *tipb.FieldType) *tipb.FieldType {
	if isUnsigned(ft) {
		return uintType()
	}
	return intType()
}

func roundedShape(ft *tipb.FieldType, digits *Expr, carry int) *tipb.FieldType {
	p, s := decimalShape(ft)
	if !digits.isConst() || digits.isNull() {
		return decimalType(p+carry, s)
	}
	to := int(min(max(digits.val.Int64(), 0), int64(s)))
	return decimalType(p-s+to+carry, to)
}

func ceilOrFloor(b *builder, name string, a []*Expr) (*Expr, error) {
	e, et, err := b.number(a[0])
	if err != nil {
		return nil, err
	}
	sigs := map[string][4]tipb.ScalarFuncSig{
		"ceil":  {tipb.ScalarFuncSig_CeilReal, tipb.ScalarFuncSig_CeilDecToInt, tipb.ScalarFuncSig_CeilDecToDec, tipb.ScalarFuncSig_CeilIntToInt},
		"floor": {tipb.ScalarFuncSig_FloorReal, tipb.ScalarFuncSig_FloorDecToInt, tipb.ScalarFuncSig_FloorDecToDec, tipb.ScalarFuncSig_FloorIntToInt},
	}
	if name == "ceiling" {
		name = "ceil"
	}
	s := sigs[name]
	switch et {
	case evalReal:
		return b.call(s[0], name, realType(), e)
	case evalDecimal:
		p, scale := decimalShape(e.Type)
		if p-scale+1 < 18 {
			return b.call(s[1], name, intType(), e)
		}
		return b.call(s[2], name, decimalType(p-scale+1, 0), e)
	}
	return b.call(s[3], name, sameInt(e.Type), e)
}

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
		"json_keys":   byCount("j?s", 1, typed(jsonType), tipb.ScalarFuncSig_JsonKeysSig, tipb.ScalarFuncSig_JsonKeys2ArgsSig),
		"json_quote":  textual("s", tipb.ScalarFuncSig_JsonQuoteSig, lenUnknown),
		"json_array":  {"?x*", jsonList(tipb.ScalarFuncSig_JsonArraySig, false)},
		"json_object": {"?x*", jsonList(tipb.ScalarFuncSig_JsonObjectSig, true)},
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
