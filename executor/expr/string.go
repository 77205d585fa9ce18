package expr

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/pingcap/tipb/go-tipb"
)

// stringFunctions measure, cut and build strings. Of each pair of signatures the one with UTF8 in its name counts
// characters, the other bytes.
func stringFunctions() functions {
	out := functions{
		tipb.ScalarFuncSig_Length:         {spec: "s:i", total: true, row: func(f *frame, i int) error { return f.setInt(i, len(f.a[0].str(i))) }},
		tipb.ScalarFuncSig_BitLength:      {spec: "s:i", total: true, row: func(f *frame, i int) error { return f.setInt(i, 8*len(f.a[0].str(i))) }},
		tipb.ScalarFuncSig_CharLength:     {spec: "s:i", total: true, row: func(f *frame, i int) error { return f.setInt(i, len(f.a[0].str(i))) }},
		tipb.ScalarFuncSig_CharLengthUTF8: {spec: "s:i", total: true, row: func(f *frame, i int) error { return f.setInt(i, utf8.RuneCount(f.a[0].str(i))) }},
		tipb.ScalarFuncSig_ASCII:          {spec: "s:i", row: asciiRow},
		tipb.ScalarFuncSig_Ord:            {spec: "s:i", row: ordRow},
		tipb.ScalarFuncSig_Concat:         {spec: "s*:s", row: concatRow},
		tipb.ScalarFuncSig_ConcatWS:       {spec: "ss*:s", nulls: true, row: concatWSRow},
		tipb.ScalarFuncSig_Lower:          {spec: "s:s", row: caseRow(lowerText, false)},
		tipb.ScalarFuncSig_LowerUTF8:      {spec: "s:s", row: caseRow(lowerText, true)},
		tipb.ScalarFuncSig_Upper:          {spec: "s:s", row: caseRow(upperText, false)},
		tipb.ScalarFuncSig_UpperUTF8:      {spec: "s:s", row: caseRow(upperText, true)},
		tipb.ScalarFuncSig_LTrim:          {spec: "s:s", row: func(f *frame, i int) error { return f.put(i, bytes.TrimLeft(f.a[0].str(i), " ")) }},
		tipb.ScalarFuncSig_RTrim:          {spec: "s:s", row: func(f *frame, i int) error { return f.put(i, trimPadding(f.a[0].str(i))) }},
		tipb.ScalarFuncSig_Trim1Arg:       {spec: "s:s", row: func(f *frame, i int) error { return f.put(i, bytes.Trim(f.a[0].str(i), " ")) }},
		tipb.ScalarFuncSig_Trim2Args:      {spec: "ss:s", row: trimRow},
		tipb.ScalarFuncSig_Trim3Args:      {spec: "ssi:s", row: trimRow},
		tipb.ScalarFuncSig_Replace:        {spec: "sss:s", row: replaceRow},
		tipb.ScalarFuncSig_SubstringIndex: {spec: "ssi:s", row: substringIndexRow},
		tipb.ScalarFuncSig_Repeat:         {spec: "si:s", row: repeatRow},
		tipb.ScalarFuncSig_Space:          {spec: "i:s", row: spaceRow},
		tipb.ScalarFuncSig_HexStrArg:      {spec: "s:s", row: hexRow},
		tipb.ScalarFuncSig_HexIntArg:      {spec: "i:s", row: radixRow(16)},
		tipb.ScalarFuncSig_Bin:            {spec: "i:s", row: radixRow(2)},
		tipb.ScalarFuncSig_OctInt:         {spec: "i:s", row: radixRow(8)},
		tipb.ScalarFuncSig_UnHex:          {spec: "s:s", row: unhexRow},
		tipb.ScalarFuncSig_ToBase64:       {spec: "s:s", row: toBase64Row},
		tipb.ScalarFuncSig_FromBase64:     {spec: "s:s", row: fromBase64Row},
		tipb.ScalarFuncSig_Quote:          {spec: "s:s", nulls: true, row: quoteRow},
		tipb.ScalarFuncSig_Elt:            {spec: "is*:s", nulls: true, row: eltRow},
		tipb.ScalarFuncSig_MakeSet:        {spec: "is*:s", nulls: true, row: makeSetRow},
		tipb.ScalarFuncSig_Char:           {spec: "i*:s", nulls: true, row: charRow},
		tipb.ScalarFuncSig_Strcmp:         {spec: "ss:i", bind: bindStrcmp},
	}
	addPair(out, tipb.ScalarFuncSig_Left, tipb.ScalarFuncSig_LeftUTF8, "si:s", leftRow)
	addPair(out, tipb.ScalarFuncSig_Right, tipb.ScalarFuncSig_RightUTF8, "si:s", rightRow)
	addPair(out, tipb.ScalarFuncSig_Reverse, tipb.ScalarFuncSig_ReverseUTF8, "s:s", reverseRow)
	addPair(out, tipb.ScalarFuncSig_Substring2Args, tipb.ScalarFuncSig_Substring2ArgsUTF8, "si:s", substringRow)
	addPair(out, tipb.ScalarFuncSig_Substring3Args, tipb.ScalarFuncSig_Substring3ArgsUTF8, "sii:s", substringRow)
	addPair(out, tipb.ScalarFuncSig_Insert, tipb.ScalarFuncSig_InsertUTF8, "siis:s", insertRow)
	addPair(out, tipb.ScalarFuncSig_Lpad, tipb.ScalarFuncSig_LpadUTF8, "sis:s", padRow(true))
	addPair(out, tipb.ScalarFuncSig_Rpad, tipb.ScalarFuncSig_RpadUTF8, "sis:s", padRow(false))
	return out
}

// addPair registers the byte and the character form of a function.
func addPair(out functions, plain, utf tipb.ScalarFuncSig, spec string, row func(binary bool) rowFn) {
	out[plain] = function{spec: spec, row: row(true)}
	out[utf] = function{spec: spec, row: row(false)}
}

// put stores a copy of s.
func (f *frame) put(i int, s []byte) error {
	f.out.setStr(i, s)
	return nil
}

func (f *frame) setInt(i, n int) error {
	f.out.i64[i] = int64(n)
	return nil
}

func (f *frame) setNull(i int) error {
	f.out.setNull(i)
	return nil
}

// tooLong makes row i NULL because the result would be longer than max_allowed_packet.
func (f *frame) tooLong(i int, name string) error {
	f.ctx.Warnings.Add(packetTooLarge(name, f.ctx.packet()))
	return f.setNull(i)
}

// count clamps the integer at row i of argument k to a length: below 0 is 0.
func (f *frame) count(k, i int) int {
	v := f.a[k]
	n := v.int(i)
	switch {
	case v.negInt(i):
		return 0
	case n < 0 || n > 1<<31:
		return 1 << 31
	default:
		return int(n)
	}
}

func asciiRow(f *frame, i int) error {
	if s := f.a[0].str(i); len(s) > 0 {
		return f.setInt(i, int(s[0]))
	}
	return f.setInt(i, 0)
}

// ordRow is the code of the leading character's bytes, the first one most significant.
func ordRow(f *frame, i int) error {
	s, n := f.a[0].str(i), 0
	size := min(len(s), 1)
	if r, k := utf8.DecodeRune(s); r != utf8.RuneError && !isBinaryType(f.args[0]) {
		size = k
	}
	for _, b := range s[:size] {
		n = n<<8 | int(b)
	}
	return f.setInt(i, n)
}

func concatRow(f *frame, i int) error {
	size := 0
	for _, a := range f.a {
		size += len(a.str(i))
	}
	if size > f.ctx.packet() {
		return f.tooLong(i, "concat")
	}
	for _, a := range f.a {
		f.out.data = append(f.out.data, a.str(i)...)
	}
	f.out.end(i)
	return nil
}

// concatWSRow joins what is not NULL; a NULL separator makes NULL.
func concatWSRow(f *frame, i int) error {
	if f.a[0].null(i) {
		return f.setNull(i)
	}
	sep, first, start := f.a[0].str(i), true, len(f.out.data)
	for _, a := range f.a[1:] {
		if a.null(i) {
			continue
		}
		if !first {
			f.out.data = append(f.out.data, sep...)
		}
		first = false
		f.out.data = append(f.out.data, a.str(i)...)
	}
	if len(f.out.data)-start > f.ctx.packet() {
		return f.tooLong(i, "concat_ws")
	}
	f.out.end(i)
	return nil
}

// caseRow converts case; strings of bytes stay as they are.
func caseRow(convert func(dst, s []byte) []byte, text bool) rowFn {
	return func(f *frame, i int) error {
		s := f.a[0].str(i)
		if !text && isBinaryType(f.args[0]) {
			return f.put(i, s)
		}
		f.out.data = convert(f.out.data, s)
		f.out.end(i)
		return nil
	}
}

func lowerText(dst, s []byte) []byte {
	for k, c := range s {
		if c >= utf8.RuneSelf {
			return append(dst, bytes.ToLower(s[k:])...)
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func upperText(dst, s []byte) []byte {
	for k, c := range s {
		if c >= utf8.RuneSelf {
			return append(dst, bytes.ToUpper(s[k:])...)
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// Directions of Trim3Args.
const (
	trimBoth     = 1
	trimLeading  = 2
	trimTrailing = 3
)

func trimRow(f *frame, i int) error {
	s, cut, direction := f.a[0].str(i), f.a[1].str(i), int64(trimBoth)
	if len(f.a) == 3 {
		direction = f.a[2].int(i)
	}
	if len(cut) == 0 {
		return f.put(i, s)
	}
	if direction != trimTrailing {
		for bytes.HasPrefix(s, cut) {
			s = s[len(cut):]
		}
	}
	if direction != trimLeading {
		for bytes.HasSuffix(s, cut) {
			s = s[:len(s)-len(cut)]
		}
	}
	return f.put(i, s)
}

// replaceRow replaces all occurrences, always case-sensitively.
func replaceRow(f *frame, i int) error {
	s, from, to := f.a[0].str(i), f.a[1].str(i), f.a[2].str(i)
	if len(from) == 0 {
		return f.put(i, s)
	}
	if len(to) > len(from) && len(s)+bytes.Count(s, from)*(len(to)-len(from)) > f.ctx.packet() {
		return f.tooLong(i, "replace")
	}
	out := f.out.data
	for {
		at := bytes.Index(s, from)
		if at < 0 {
			break
		}
		out = append(append(out, s[:at]...), to...)
		s = s[at+len(from):]
	}
	f.out.data = append(out, s...)
	f.out.end(i)
	return nil
}

// substringIndexRow is what stands before the count-th delimiter, or after it counting from the right.
func substringIndexRow(f *frame, i int) error {
	s, delim, count := f.a[0].str(i), f.a[1].str(i), f.a[2].int(i)
	if len(delim) == 0 || len(s) == 0 || count == 0 && !f.a[2].negInt(i) {
		return f.put(i, nil)
	}
	if !f.a[2].negInt(i) {
		at := 0
		for n := uint64(count); n > 0; n-- {
			k := bytes.Index(s[at:], delim)
			if k < 0 {
				return f.put(i, s)
			}
			at += k + len(delim)
		}
		return f.put(i, s[:at-len(delim)])
	}
	end := len(s)
	for ; count < 0; count++ {
		k := bytes.LastIndex(s[:end], delim)
		if k < 0 {
			return f.put(i, s)
		}
		end = k
	}
	return f.put(i, s[end+len(delim):])
}

func repeatRow(f *frame, i int) error {
	s, n := f.a[0].str(i), f.count(1, i)
	if len(s)*n > f.ctx.packet() {
		return f.tooLong(i, "repeat")
	}
	from, size := len(f.out.data), len(s)*n
	if from+size > maxBatchBytes {
		return tooLarge()
	}
	f.out.data = slices.Grow(f.out.data, size)[:from+size]
	out := f.out.data[from:]
	for done := copy(out, s); done > 0 && done < size; {
		done += copy(out[done:], out[:done])
	}
	f.out.end(i)
	return nil
}

func spaceRow(f *frame, i int) error {
	n := f.count(0, i)
	if n > f.ctx.packet() {
		return f.tooLong(i, "space")
	}
	for range n {
		f.out.data = append(f.out.data, ' ')
	}
	f.out.end(i)
	return nil
}

func eltRow(f *frame, i int) error {
	if f.a[0].null(i) || f.a[0].negInt(i) {
		return f.setNull(i)
	}
	n := f.a[0].uint(i)
	if n < 1 || n >= uint64(len(f.a)) || f.a[n].null(i) {
		return f.setNull(i)
	}
	return f.put(i, f.a[n].str(i))
}

// makeSetRow joins the strings whose bit is set; NULL strings are left out.
func makeSetRow(f *frame, i int) error {
	if f.a[0].null(i) {
		return f.setNull(i)
	}
	bits, first := f.a[0].uint(i), true
	for k, a := range f.a[1:] {
		if k > 63 || bits>>k&1 == 0 || a.null(i) {
			continue
		}
		if !first {
			f.out.data = append(f.out.data, ',')
		}
		first = false
		f.out.data = append(f.out.data, a.str(i)...)
	}
	f.out.end(i)
	return nil
}

// charRow writes each number as its bytes, the most significant first; NULLs are left out.
func charRow(f *frame, i int) error {
	for _, a := range f.a {
		if a.null(i) {
			continue
		}
		n, started := uint32(a.int(i)), false
		for shift := 24; shift >= 0; shift -= 8 {
			b := byte(n >> shift)
			if started = started || b != 0 || shift == 0; started {
				f.out.data = append(f.out.data, b)
			}
		}
	}
	f.out.end(i)
	return nil
}

func bindStrcmp(f *frame) (kernel, error) {
	order, err := bindOrderStrings(f)
	if err != nil {
		return nil, err
	}
	return eachRow(func(f *frame, i int) error { return f.setInt(i, order(f.a[0], f.a[1], i)) }), nil
}
