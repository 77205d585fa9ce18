package expr

import (
	"bytes"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// regexpFunctions has REGEXP, REGEXP_LIKE, _INSTR, _SUBSTR and _REPLACE.
func regexpFunctions() functions {
	out := functions{}
	add := func(spec string, match int, row func(r *regexpCall, f *frame, i int) error, sigs ...tipb.ScalarFuncSig) {
		for _, sig := range sigs {
			out[sig] = function{spec: spec, bind: func(f *frame) (kernel, error) { return bindRegexp(f, match, row) }}
		}
	}
	add("ss:i", -1, (*regexpCall).like, tipb.ScalarFuncSig_RegexpSig, tipb.ScalarFuncSig_RegexpUTF8Sig)
	add("ss?s:i", 2, (*regexpCall).like, tipb.ScalarFuncSig_RegexpLikeSig, tipb.ScalarFuncSig_RegexpLikeUTF8Sig)
	add("ss?iiis:i", 5, (*regexpCall).instr, tipb.ScalarFuncSig_RegexpInStrSig, tipb.ScalarFuncSig_RegexpInStrUTF8Sig)
	add("ss?iis:s", 4, (*regexpCall).substr, tipb.ScalarFuncSig_RegexpSubstrSig, tipb.ScalarFuncSig_RegexpSubstrUTF8Sig)
	add("sss?iis:s", 5, (*regexpCall).replace, tipb.ScalarFuncSig_RegexpReplaceSig, tipb.ScalarFuncSig_RegexpReplaceUTF8Sig)
	return out
}

// regexpTimeout bounds one match by the backtracking engine.
const regexpTimeout = time.Second

// pattern is a compiled regular expression. Go's engine, linear in its input, takes what it can; look-around and back
// references, which it does not know, go to the backtracking one.
type pattern struct {
	fast *regexp.Regexp
	slow *regexp2.Regexp
}

func compilePattern(text, flags string) (*pattern, error) {
	if flags != "" {
		flags = "(?" + flags + ")"
	}
	fast, err := regexp.Compile(flags + text)
	if err == nil {
		return &pattern{fast: fast}, nil
	}
	slow, err := regexp2.Compile(flags+text, regexp2.None)
	if err != nil {
		return nil, value.Errorf(value.CodeRegexp, "Invalid regular expression: %v", err)
	}
	slow.MatchTimeout = regexpTimeout
	return &pattern{slow: slow}, nil
}

// restMatches is how many matches in one string are made before a look at whether the query has ended.
const restMatches = 1024

// find gives the byte offsets of the first match in s and of its groups, -1 for a group that took no part; nil is no match.
func (p *pattern) find(s []byte) ([]int, error) {
	if p.fast != nil {
		return p.fast.FindSubmatchIndex(s), nil
	}
	var runes []rune
	var offsets []int
	for at, r := range string(s) {
		runes, offsets = append(runes, r), append(offsets, at)
	}
	offsets = append(offsets, len(s))
	m, err := p.slow.FindRunesMatch(runes)
	if err != nil {
		return nil, value.Errorf(value.CodeRegexp, "Timeout exceeded in regular expression match.")
	}
	if m == nil {
		return nil, nil
	}
	var at []int
	for _, g := range m.Groups() {
		if len(g.Captures) == 0 {
			at = append(at, -1, -1)
			continue
		}
		at = append(at, offsets[g.Index], offsets[g.Index+g.Length])
	}
	return at, nil
}

// regexpCall is one call of a function, with the pattern of the last row.
type regexpCall struct {
	match  int // position of the match type argument, -1 without
	fold   bool
	binary bool
	text   []byte
	flags  []byte
	last   *pattern
}

func bindRegexp(f *frame, match int, row func(r *regexpCall, f *frame, i int) error) (kernel, error) {
	c, err := f.collator()
	if err != nil {
		return nil, err
	}
	r := &regexpCall{match: match, fold: c.CaseInsensitive(), binary: abs32(f.collation()) == collationBinary}
	return eachRow(func(f *frame, i int) error { return row(r, f, i) }), nil
}

// pattern compiles argument 1 at row i, unless it is that of the row before.
func (r *regexpCall) pattern(f *frame, i int) (*pattern, error) {
	text, match := f.a[1].str(i), []byte(nil)
	if r.match >= 0 && r.match < len(f.a) {
		match = f.a[r.match].str(i)
	}
	if r.last != nil && bytes.Equal(text, r.text) && bytes.Equal(match, r.flags) {
		return r.last, nil
	}
	if len(text) == 0 {
		return nil, value.Errorf(3685, "Illegal argument to a regular expression.")
	}
	flags, err := r.parseFlags(match)
	if err != nil {
		return nil, err
	}
	p, err := compilePattern(string(text), flags)
	if err != nil {
		return nil, err
	}
	r.text, r.flags, r.last = append(r.text[:0], text...), append(r.flags[:0], match...), p
	return p, nil
}

// parseFlags turns a match type, on top of the collation's case rule, to the engine's flags. The last of c and i wins.
func (r *regexpCall) parseFlags(match []byte) (string, error) {
	fold, multi, dot := r.fold && !r.binary, false, false
	for _, c := range match {
		switch c {
		case 'c':
			fold = false
		case 'i':
			fold = true
		case 'm':
			multi = true
		case 'n':
			dot = true
		case 'u': // lines end with \n only: what the engines do anyway
		default:
			return "", value.Errorf(value.CodeWrongArguments, "Incorrect arguments to regexp match type")
		}
	}
	flags := ""
	for c, on := range map[string]bool{"i": fold, "m": multi, "s": dot} {
		if on {
			flags += c
		}
	}
	return flags, nil
}

func (r *regexpCall) like(f *frame, i int) error {
	p, err := r.pattern(f, i)
	if err != nil {
		return err
	}
	at, err := p.find(f.a[0].str(i))
	f.out.setBool(i, at != nil)
	return err
}

// start is the byte offset of the position argument k, from 1 in characters; without it 0.
func (r *regexpCall) start(f *frame, k, i int) (int, error) {
	s := f.a[0].str(i)
	if k >= len(f.a) {
		return 0, nil
	}
	pos := f.a[k].int(i)
	if n := int64(runes(s, r.binary)); pos < 1 || pos > n && !(n == 0 && pos == 1) {
		return 0, value.Errorf(3686, "Index out of bounds in regular expression search.")
	}
	return cutAt(s, int(pos-1), r.binary), nil
}

// optional is an integer argument, or 1 without it.
func (f *frame) optional(k, i int, missing int64) int64 {
	if k >= len(f.a) {
		return missing
	}
	return f.a[k].int(i)
}

// nth finds the occurrence-th match from a byte offset on; offsets are of s.
func (r *regexpCall) nth(f *frame, i, from int, occurrence int64) (at []int, err error) {
	p, err := r.pattern(f, i)
	if err != nil {
		return nil, err
	}
	s := f.a[0].str(i)
	for n := max(occurrence, 1); ; n-- {
		if at, err = p.find(s[from:]); err != nil || at == nil {
			return nil, err
		}
		if n%restMatches == 0 {
			if err := f.ctx.Ended(); err != nil {
				return nil, err
			}
		}
		for k := range at {
			if at[k] >= 0 {
				at[k] += from
			}
		}
		if n == 1 {
			return at, nil
		}
		if from = r.after(s, at); from > len(s) {
			return nil, nil
		}
	}
}

// after is where the search goes on behind a match: one character further if it was empty.
func (r *regexpCall) after(s []byte, at []int) int {
	if at[1] > at[0] {
		return at[1]
	}
	_, size := utf8.DecodeRune(s[at[1]:])
	if r.binary || size == 0 {
		size = 1
	}
	return at[1] + size
}

func (r *regexpCall) instr(f *frame, i int) error {
	from, err := r.start(f, 2, i)
	if err != nil {
		return err
	}
	option := f.optional(4, i, 0)
	if option != 0 && option != 1 {
		return value.Errorf(value.CodeWrongArguments, "Incorrect arguments to regexp_instr: return_option must be 1 or 0.")
	}
	at, err := r.nth(f, i, from, f.optional(3, i, 1))
	if err != nil || at == nil {
		f.out.i64[i] = 0
		return err
	}
	return f.setInt(i, runes(f.a[0].str(i)[:at[option]], r.binary)+1)
}

func (r *regexpCall) substr(f *frame, i int) error {
	from, err := r.start(f, 2, i)
	if err != nil {
		return err
	}
	at, err := r.nth(f, i, from, f.optional(3, i, 1))
	if err != nil || at == nil {
		f.out.setNull(i)
		return err
	}
	return f.put(i, f.a[0].str(i)[at[0]:at[1]])
}

// replace replaces one occurrence, or all for occurrence 0.
func (r *regexpCall) replace(f *frame, i int) error {
	from, err := r.start(f, 3, i)
	if err != nil {
		return err
	}
	p, err := r.pattern(f, i)
	if err != nil {
		return err
	}
	s, with, which := f.a[0].str(i), f.a[2].str(i), f.optional(4, i, 0)
	done := 0
	for n := int64(1); from <= len(s) && (which <= 0 || n <= which); n++ {
		at, err := p.find(s[from:])
		if err != nil {
			return err
		}
		if at == nil {
			break
		}
		for k := range at {
			if at[k] >= 0 {
				at[k] += from
			}
		}
		if which <= 0 || n == which {
			f.out.data = append(f.out.data, s[done:at[0]]...)
			f.out.data = appendReplacement(f.out.data, with, s, at)
			done = at[1]
		}
		if len(f.out.data) > maxBatchBytes {
			return tooLarge()
		}
		if n%restMatches == 0 {
			if err := f.ctx.Ended(); err != nil {
				return err
			}
		}
		from = r.after(s, at)
	}
	f.out.data = append(f.out.data, s[done:]...)
	f.out.end(i)
	return nil
}

// appendReplacement expands $1 to $9 (as many digits as there are groups) and takes \x as x.
func appendReplacement(dst, with, s []byte, at []int) []byte {
	for k := 0; k < len(with); k++ {
		switch c := with[k]; {
		case c == '\\' && k+1 < len(with):
			k++
			dst = append(dst, with[k])
		case c == '$' && k+1 < len(with) && isDigit(with[k+1]):
			group := 0
			for k+1 < len(with) && isDigit(with[k+1]) && group*10+int(with[k+1]-'0') < len(at)/2 {
				k++
				group = group*10 + int(with[k]-'0')
			}
			if at[2*group] >= 0 {
				dst = append(dst, s[at[2*group]:at[2*group+1]]...)
			}
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
