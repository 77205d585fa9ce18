package planner

import (
	"maps"

	"github.com/pingcap/tipb/go-tipb"
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

// plainText is a function of bytes that writes digits and letters: text whatever its arguments are.
func plainText(args string, sig tipb.ScalarFuncSig, length func(a []*Expr) int) fnDef {
	return fnDef{args, func(b *builder, name string, a []*Expr) (*Expr, error) {
		return b.call(sig, name, stringType(length(a), b.connType), a...)
	}}
}

// twoFaced is a function of strings that works on characters (utf8), or on bytes where an argument is binary.
func twoFaced(args string, utf8, bytes tipb.ScalarFuncSig, length func(a []*Expr) int) fnDef {
	return fnDef{args, func(b *builder, name string, a []*Expr) (*Expr, error) {
		ft := b.textType(length(a), a...)
		if isBinaryString(ft) {
			return b.call(bytes, name, ft, a...)
		}
		return b.call(utf8, name, ft, a...)
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
