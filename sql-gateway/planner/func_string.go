package planner

import (
	"github.com/pingcap/tipb/go-tipb"
)

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
		"instr":           {"ss", instr},
		"position":        {"ss", locate},
		"insert_func": {"siis", func(b *builder, name string, a []*Expr) (*Expr, error) {
			def := twoFaced("", tipb.ScalarFuncSig_InsertUTF8, tipb.ScalarFuncSig_Insert, lenOfAll)
			return def.make(b, "insert", a)
		}},
		"strcmp": {"ss", searched(tipb.ScalarFuncSig_Strcmp)}, "find_in_set": {"ss", searched(tipb.ScalarFuncSig_FindInSet)},
		"elt":      textual("iss*", tipb.ScalarFuncSig_Elt, lenUnknown),
		"make_set": textual("iss*", tipb.ScalarFuncSig_MakeSet, lenUnknown), "field": {"xxx*", field},
		"hex": {"x", func(b *builder, name string, a []*Expr) (*Expr, error) {
			return b.byNumber(name, a[0], tipb.ScalarFuncSig_HexIntArg, tipb.ScalarFuncSig_HexStrArg, max(2*displayLen(a[0].Type), 16))
		}},
		"oct": {"x", inBase(8, tipb.ScalarFuncSig_OctInt)}, "bin": {"x", inBase(2, tipb.ScalarFuncSig_Bin)},
		"export_set": byCount("iss?si", 3, func(b *builder, a []*Expr) *tipb.FieldType { return b.textType(maxBlobLen, a[1:]...) },
			tipb.ScalarFuncSig_ExportSet3Arg, tipb.ScalarFuncSig_ExportSet4Arg, tipb.ScalarFuncSig_ExportSet5Arg),
		"unhex":     fixed("s", tipb.ScalarFuncSig_UnHex, binaryOf(maxBlobLen)),
		"to_base64": plainText("s", tipb.ScalarFuncSig_ToBase64, lenUnknown), "from_base64": fixed("s", tipb.ScalarFuncSig_FromBase64, binaryOf(maxBlobLen)),
		"format":         {"xi", format},
		"md5":            plainText("s", tipb.ScalarFuncSig_MD5, lenFixed(32)),
		"sha1":           plainText("s", tipb.ScalarFuncSig_SHA1, lenFixed(40)),
		"sha2":           plainText("si", tipb.ScalarFuncSig_SHA2, lenFixed(128)),
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

// searchType is the integer type of a function that compares strings; it names the collation in which they are compared.
func (b *builder) searchType(name string, args ...*Expr) (*tipb.FieldType, error) {
	like, err := b.mergeCollation(name, args...)
	if err != nil {
		return nil, err
	}
	ft := intType()
	ft.Collate, ft.Charset = like.Collate, like.Charset
	return ft, nil
}

func searched(sig tipb.ScalarFuncSig) makeFn {
	return func(b *builder, name string, a []*Expr) (*Expr, error) {
		ft, err := b.searchType(name, a...)
		if err != nil {
			return nil, err
		}
		return b.call(sig, name, ft, a...)
	}
}

func instr(b *builder, name string, a []*Expr) (*Expr, error) {
	ft, err := b.searchType(name, a...)
	if err != nil {
		return nil, err
	}
	if ft.Charset == "binary" {
		return b.call(tipb.ScalarFuncSig_Instr, name, ft, a...)
	}
	return b.call(tipb.ScalarFuncSig_InstrUTF8, name, ft, a...)
}

func locate(b *builder, name string, a []*Expr) (*Expr, error) {
	ft, err := b.searchType(name, a[:2]...)
	if err != nil {
		return nil, err
	}
	sigs := [2]tipb.ScalarFuncSig{tipb.ScalarFuncSig_Locate2ArgsUTF8, tipb.ScalarFuncSig_Locate3ArgsUTF8}
	if ft.Charset == "binary" {
		sigs = [2]tipb.ScalarFuncSig{tipb.ScalarFuncSig_Locate2Args, tipb.ScalarFuncSig_Locate3Args}
	}
	return b.call(sigs[len(a)-2], "locate", ft, a...)
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

// format is FORMAT(number, digits).
func format(b *builder, name string, a []*Expr) (*Expr, error) {
	var err error
	switch numberClass(a[0]) {
	case evalDecimal:
		a[0], err = b.as(a[0], evalDecimal)
	case evalInt:
		a[0], err = b.as(a[0], evalInt)
	default:
		a[0], err = b.as(a[0], evalReal)
	}
	if err != nil {
		return nil, err
	}
	return b.call(tipb.ScalarFuncSig_Format, name, stringType(maxBlobLen, b.connType), a...)
}

// inBase writes an integer by sig; of other values, as CONV does, the digits at the front of their text.
func inBase(base int64, sig tipb.ScalarFuncSig) makeFn {
	return func(b *builder, name string, a []*Expr) (*Expr, error) {
		if evalOf(a[0].Type) == evalInt {
			return b.call(sig, name, stringType(64, b.connType), a[0])
		}
		s, err := b.as(a[0], evalString)
		if err != nil {
			return nil, err
		}
		return b.call(tipb.ScalarFuncSig_Conv, name, stringType(64, b.connType), s, intConst(10), intConst(base))
	}
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

// field is FIELD(x, list): strings are compared as such, numbers as such, and all others as DOUBLE.
func field(b *builder, name string, a []*Expr) (*Expr, error) {
	et, sig := evalReal, tipb.ScalarFuncSig_FieldReal
	ints, exact, strs := true, true, true
	for _, e := range a {
		if e.isNull() {
			continue
		}
		class := evalOf(e.Type)
		ints = ints && class == evalInt
		exact = exact && (class == evalInt || class == evalDecimal)
		strs = strs && class == evalString
	}
	ft := intType()
	var err error
	switch {
	case ints:
		et, sig = evalInt, tipb.ScalarFuncSig_FieldInt
	case exact:
		return b.exactField(a)
	case strs:
		et, sig = evalString, tipb.ScalarFuncSig_FieldString
		ft, err = b.searchType(name, a...)
	}
	for i := range a {
		if err != nil {
			return nil, err
		}
		a[i], err = b.as(a[i], et)
	}
	if err != nil {
		return nil, err
	}
	return b.call(sig, name, ft, a...)
}

// exactField is FIELD of decimals, for which tipb has no signature: IF(x = a, 1, IF(x = b, 2, 0)).
func (b *builder) exactField(a []*Expr) (*Expr, error) {
	out := intConst(0)
	for i := len(a) - 1; i > 0; i-- {
		eq, err := b.compare(cmpEQ, a[0], a[i])
		if err != nil {
			return nil, err
		}
		if out, err = b.call(tipb.ScalarFuncSig_IfInt, "if", intType(), eq, intConst(int64(i)), out); err != nil {
			return nil, err
		}
	}
	return out, nil
}
