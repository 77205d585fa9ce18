package value

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// ParseJSON parses JSON text to the binary form with its leading type byte. Depth is bounded (100). Numbers without fraction
// and exponent are integers where they fit 64 bits. Errors are CodeInvalidJSONText.
func ParseJSON(text []byte) ([]byte, error) {
	p := jsonParser{s: text}
	p.space()
	bin, err := p.value(1)
	if err != nil {
		return nil, err
	}
	if p.space(); p.i != len(text) {
		return nil, p.fail("The document root must not be followed by other values.")
	}
	return bin, nil
}

type jsonParser struct {
	s []byte
	i int
}

func (p *jsonParser) fail(what string) error {
	return Errorf(CodeInvalidJSONText, "Invalid JSON text: \"%s\" at position %d.", what, p.i)
}

func (p *jsonParser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\n' || p.s[p.i] == '\r') {
		p.i++
	}
}

// peek is the next byte, 0 at the end.
func (p *jsonParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *jsonParser) value(depth int) ([]byte, error) {
	if depth > MaxJSONDepth {
		return nil, errJSONDepth
	}
	switch c := p.peek(); {
	case p.i >= len(p.s):
		return nil, p.fail("The document is empty.")
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.str()
		if err != nil {
			return nil, err
		}
		return JSONFromString(s), nil
	case c == '-' || isDigit(c):
		return p.number()
	case p.word("null"):
		return JSONNull(), nil
	case p.word("true"):
		return JSONFromBool(true), nil
	case p.word("false"):
		return JSONFromBool(false), nil
	}
	return nil, p.fail("Invalid value.")
}

func (p *jsonParser) word(w string) bool {
	if len(p.s)-p.i < len(w) || string(p.s[p.i:p.i+len(w)]) != w {
		return false
	}
	p.i += len(w)
	return true
}

func (p *jsonParser) array(depth int) ([]byte, error) {
	var elems [][]byte
	p.i++
	for p.space(); p.peek() != ']'; p.space() {
		if len(elems) > 0 {
			if p.peek() != ',' {
				return nil, p.fail("Missing a comma or ']' after an array element.")
			}
			p.i++
			p.space()
		}
		e, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		elems = append(elems, e)
	}
	p.i++
	return JSONArrayOf(elems)
}

func (p *jsonParser) object(depth int) ([]byte, error) {
	var members []JSONMember
	p.i++
	for p.space(); p.peek() != '}'; p.space() {
		if len(members) > 0 {
			if p.peek() != ',' {
				return nil, p.fail("Missing a comma or '}' after an object member.")
			}
			p.i++
			p.space()
		}
		m, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	p.i++
	return JSONObjectOf(members)
}

func (p *jsonParser) member(depth int) (m JSONMember, err error) {
	if p.peek() != '"' {
		return m, p.fail("Missing a name for object member.")
	}
	if m.Key, err = p.str(); err != nil {
		return m, err
	}
	if p.space(); p.peek() != ':' {
		return m, p.fail("Missing a colon after a name of object member.")
	}
	p.i++
	p.space()
	m.Value, err = p.value(depth + 1)
	return m, err
}

func (p *jsonParser) number() ([]byte, error) {
	start := p.i
	if p.peek() == '-' {
		p.i++
	}
	n := digitRun(p.s[p.i:])
	if n == 0 || n > 1 && p.s[p.i] == '0' {
		return nil, p.fail("Invalid value.")
	}
	p.i += n
	integer := true
	if p.peek() == '.' {
		integer = false
		if n = digitRun(p.s[p.i+1:]); n == 0 {
			return nil, p.fail("Missing fraction part in number.")
		}
		p.i += 1 + n
	}
	if _, end := scanExponent(p.s, p.i); end != p.i {
		integer, p.i = false, end
	} else if p.peek()|0x20 == 'e' {
		return nil, p.fail("Missing exponent in number.")
	}
	return jsonNumber(string(p.s[start:p.i]), integer, p)
}

func jsonNumber(s string, integer bool, p *jsonParser) ([]byte, error) {
	if integer {
		if v, err := strconv.ParseInt(s, 10, 64); err == nil {
			return JSONFromInt64(v), nil
		}
		if v, err := strconv.ParseUint(s, 10, 64); err == nil {
			return JSONFromUint64(v), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, p.fail("Number too big to be stored in double.")
	}
	return JSONFromFloat64(f), nil
}

// str reads a string in quotes. Without escapes the result aliases the text.
func (p *jsonParser) str() ([]byte, error) {
	p.i++
	start := p.i
	for p.i < len(p.s) && p.s[p.i] != '"' && p.s[p.i] != '\\' && p.s[p.i] >= ' ' {
		p.i++
	}
	out := p.s[start:p.i:p.i]
	for p.peek() != '"' || p.i >= len(p.s) {
		if p.i >= len(p.s) {
			return nil, p.fail("Missing a closing quotation mark in string.")
		}
		c := p.s[p.i]
		switch {
		case c < ' ':
			return nil, p.fail("Invalid encoding in string.")
		case c == '\\':
			var err error
			if out, err = p.escape(out); err != nil {
				return nil, err
			}
		default:
			out = append(out, c)
			p.i++
		}
	}
	p.i++
	if !utf8.Valid(out) {
		return nil, p.fail("Invalid encoding in string.")
	}
	return out, nil
}

var jsonEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *jsonParser) escape(out []byte) ([]byte, error) {
	p.i++
	c := p.peek()
	if e, ok := jsonEscapes[c]; ok {
		p.i++
		return append(out, e), nil
	}
	if c != 'u' {
		return nil, p.fail("Invalid escape character in string.")
	}
	r, ok := p.hex4()
	if ok && utf16.IsSurrogate(r) {
		if p.peek() != '\\' {
			return nil, p.fail("The surrogate pair in string is invalid.")
		}
		p.i++
		var low rune
		if low, ok = p.hex4(); ok {
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, p.fail("The surrogate pair in string is invalid.")
			}
		}
	}
	if !ok {
		return nil, p.fail("Incorrect hex digit after \\u escape in string.")
	}
	return utf8.AppendRune(out, r), nil
}

// hex4 reads uXXXX.
func (p *jsonParser) hex4() (rune, bool) {
	if p.peek() != 'u' || len(p.s)-p.i < 5 {
		return 0, false
	}
	v, err := strconv.ParseUint(string(p.s[p.i+1:p.i+5]), 16, 16)
	p.i += 5
	return rune(v), err == nil
}

// AppendJSONText prints the binary form as MySQL prints JSON: a space after commas and colons.
func AppendJSONText(dst, bin []byte) ([]byte, error) {
	v, err := openJSON(bin)
	if err != nil {
		return nil, err
	}
	pr := jsonPrinter{budget: len(bin)}
	return pr.appendText(dst, v, 1)
}

// jsonPrinter counts down the elements that it may still print: corrupt values, whose elements share bytes, could have
// exponentially many.
type jsonPrinter struct{ budget int }

func (pr *jsonPrinter) appendText(dst []byte, v jsonValue, depth int) ([]byte, error) {
	switch v.typ {
	case JSONObject, JSONArray:
		if depth > MaxJSONDepth {
			return nil, errJSONDepth
		}
		return pr.appendContainer(dst, v, depth)
	case JSONLiteral:
		return v.appendLiteral(dst)
	case JSONString:
		s, err := v.text()
		if err != nil {
			return nil, err
		}
		return AppendJSONQuoted(dst, s), nil
	case JSONOpaque:
		typ, s, err := v.opaque()
		if err != nil {
			return nil, err
		}
		dst = strconv.AppendUint(append(dst, `"base64:type`...), uint64(typ), 10)
		return append(base64.StdEncoding.AppendEncode(append(dst, ':'), s), '"'), nil
	}
	n, err := v.u64()
	if err != nil {
		return nil, err
	}
	return appendJSONScalar(dst, v.typ, n)
}

func (v jsonValue) appendLiteral(dst []byte) ([]byte, error) {
	switch v.data[0] {
	case jsonNull:
		return append(dst, "null"...), nil
	case jsonTrue:
		return append(dst, "true"...), nil
	case jsonFalse:
		return append(dst, "false"...), nil
	}
	return nil, errCorruptJSON
}

func appendJSONScalar(dst []byte, typ byte, n uint64) ([]byte, error) {
	switch typ {
	case JSONInt64:
		return strconv.AppendInt(dst, int64(n), 10), nil
	case JSONUint64:
		return strconv.AppendUint(dst, n, 10), nil
	case JSONDouble:
		return appendJSONDouble(dst, math.Float64frombits(n)), nil
	case JSONDate:
		return append(TimeFromChunk(n).Append(append(dst, '"'), typeDate, 0), '"'), nil
	case JSONDatetime, JSONTimestamp:
		return append(TimeFromChunk(n).Append(append(dst, '"'), typeDatetime, MaxFsp), '"'), nil
	case JSONDuration:
		return append(Duration(n).Append(append(dst, '"'), MaxFsp), '"'), nil
	}
	return nil, errCorruptJSON
}

// appendJSONDouble keeps a point or an exponent in the number, so that it reads back as a double.
func appendJSONDouble(dst []byte, f float64) []byte {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-15 || abs >= 1e17) {
		return appendExponent(dst, f)
	}
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendExponent writes 1.5e20, without Go's sign and padding of the exponent.
func appendExponent(dst []byte, f float64) []byte {
	var buf [32]byte
	s := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	i := len(s) - 1
	for s[i] != 'e' {
		i--
	}
	dst = append(dst, s[:i+1]...)
	exp := s[i+1:]
	if exp[0] == '-' {
		dst = append(dst, '-')
	}
	for exp = exp[1:]; len(exp) > 1 && exp[0] == '0'; {
		exp = exp[1:]
	}
	return append(dst, exp...)
}

func (pr *jsonPrinter) appendContainer(dst []byte, v jsonValue, depth int) ([]byte, error) {
	n, err := v.count()
	if err != nil {
		return nil, err
	}
	if pr.budget -= n; pr.budget < 0 {
		return nil, errCorruptJSON
	}
	brackets := "[]"
	if v.typ == JSONObject {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	for i := range n {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if v.typ == JSONObject {
			k, err := v.key(i)
			if err != nil {
				return nil, err
			}
			dst = append(AppendJSONQuoted(dst, k), ": "...)
		}
		e, err := v.at(i, n)
		if err != nil {
			return nil, err
		}
		if dst, err = pr.appendText(dst, e, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, brackets[1]), nil
}

// AppendJSONQuoted appends s as a JSON string literal (JSON_QUOTE).
func AppendJSONQuoted(dst, s []byte) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case c >= '\b' && c <= '\r' && c != '\v':
			dst = append(dst, '\\', "btn?fr"[c-'\b'])
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, '"')
}

// UnquoteJSON is JSON_UNQUOTE of a binary value: a string's content, else the text.
func UnquoteJSON(dst, bin []byte) ([]byte, error) {
	v, err := openJSON(bin)
	if err != nil {
		return nil, err
	}
	if v.typ == JSONString {
		s, err := v.text()
		return append(dst, s...), err
	}
	start := len(dst)
	dst, err = AppendJSONText(dst, bin)
	if err == nil && dst[start] == '"' { // dates, times and opaque values print in quotes
		dst = append(dst[:start], dst[start+1:len(dst)-1]...)
	}
	return dst, err
}

// UnquoteJSONText is JSON_UNQUOTE of a text: a string literal's content, anything else as it is.
func UnquoteJSONText(s []byte) ([]byte, error) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s, nil
	}
	p := jsonParser{s: s}
	out, err := p.str()
	if err != nil {
		return nil, err
	}
	if p.i != len(s) {
		return nil, p.fail("The document root must not be followed by other values.")
	}
	return out, nil
}
