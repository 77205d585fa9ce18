package expr

import (
	"unicode/utf8"
)

func runes(s []byte, binary bool) int {
	if binary {
		return len(s)
	}
	return utf8.RuneCount(s)
}

func leftRow(binary bool) rowFn {
	return func(f *frame, i int) error {
		s := f.a[0].str(i)
		return f.put(i, s[:cutAt(s, f.count(1, i), binary)])
	}
}

func rightRow(binary bool) rowFn {
	return func(f *frame, i int) error {
		s := f.a[0].str(i)
		skip := max(runes(s, binary)-f.count(1, i), 0)
		return f.put(i, s[cutAt(s, skip, binary):])
	}
}

func reverseRow(binary bool) rowFn {
	return func(f *frame, i int) error {
		s := f.a[0].str(i)
		for len(s) > 0 {
			k := 1
			if !binary {
				_, k = utf8.DecodeLastRune(s)
			}
			f.out.data = append(f.out.data, s[len(s)-k:]...)
			s = s[:len(s)-k]
		}
		f.out.end(i)
		return nil
	}
}

// substringRow counts positions from 1, or from the end if negative; 0 gives the empty string.
func substringRow(binary bool) rowFn {
	return func(f *frame, i int) error {
		s, pos := f.a[0].str(i), f.a[1].int(i)
		n := runes(s, binary)
		limit := n
		if len(f.a) == 3 {
			limit = f.count(2, i)
		}
		switch {
		case f.a[1].negInt(i):
			if pos += int64(n); pos < 0 {
				return f.put(i, nil)
			}
		case pos < 1 || pos > int64(n):
			return f.put(i, nil)
		default:
			pos--
		}
		s = s[cutAt(s, int(pos), binary):]
		return f.put(i, s[:cutAt(s, limit, binary)])
	}
}

// insertRow replaces length characters from a position; outside the string nothing changes.
func insertRow(binary bool) rowFn {
	return func(f *frame, i int) error {
		s, pos, insert := f.a[0].str(i), f.a[1].int(i), f.a[3].str(i)
		n := int64(runes(s, binary))
		if f.a[1].negInt(i) || pos < 1 || pos > n {
			return f.put(i, s)
		}
		length := f.a[2].int(i)
		if length < 0 || length > n-pos+1 {
			length = n - pos + 1
		}
		if len(s)+len(insert) > f.ctx.packet() {
			return f.tooLong(i, "insert")
		}
		from := cutAt(s, int(pos-1), binary)
		to := from + cutAt(s[from:], int(length), binary)
		f.out.data = append(append(append(f.out.data, s[:from]...), insert...), s[to:]...)
		f.out.end(i)
		return nil
	}
}

// padRow pads or cuts to a length in characters.
func padRow(left bool) func(binary bool) rowFn {
	return func(binary bool) rowFn {
		return func(f *frame, i int) error {
			s, pad := f.a[0].str(i), f.a[2].str(i)
			if f.a[1].negInt(i) {
				return f.setNull(i)
			}
			want, have := f.count(1, i), runes(s, binary)
			if want <= have {
				return f.put(i, s[:cutAt(s, want, binary)])
			}
			if len(pad) == 0 {
				return f.put(i, nil)
			}
			width := 4
			if binary {
				width = 1
			}
			if want*width > f.ctx.packet() {
				return f.tooLong(i, "pad")
			}
			if !left {
				f.out.data = append(f.out.data, s...)
			}
			f.out.data = appendPad(f.out.data, pad, want-have, binary)
			if left {
				f.out.data = append(f.out.data, s...)
			}
			f.out.end(i)
			return nil
		}
	}
}

// appendPad appends n characters of pad, repeated.
func appendPad(dst, pad []byte, n int, binary bool) []byte {
	each := runes(pad, binary)
	for ; n >= each; n -= each {
		dst = append(dst, pad...)
	}
	return append(dst, pad[:cutAt(pad, n, binary)]...)
}
