package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

const upperHex = "0123456789ABCDEF"

func appendHex(dst, s []byte) []byte {
	for _, b := range s {
		dst = append(dst, upperHex[b>>4], upperHex[b&15])
	}
	return dst
}

func hexRow(f *frame, i int) error {
	f.out.data = appendHex(f.out.data, f.a[0].str(i))
	f.out.end(i)
	return nil
}

// radixRow writes the 64 bits of an integer as an unsigned number.
func radixRow(base int) rowFn {
	return func(f *frame, i int) error {
		start := len(f.out.data)
		f.out.data = strconv.AppendUint(f.out.data, f.a[0].uint(i), base)
		upper := f.out.data[start:]
		for k, c := range upper {
			if c >= 'a' {
				upper[k] = c - 'a' + 'A'
			}
		}
		f.out.end(i)
		return nil
	}
}

// unhexRow takes an odd number of digits as if a zero stood before them; other characters make NULL.
func unhexRow(f *frame, i int) error {
	s := f.a[0].str(i)
	if len(s)%2 != 0 {
		s = append([]byte{'0'}, s...)
	}
	out, err := hex.AppendDecode(f.out.data, s)
	if err != nil {
		return f.setNull(i)
	}
	f.out.data = out
	f.out.end(i)
	return nil
}

// base64Line is the length after which TO_BASE64 breaks lines.
const base64Line = 76

func toBase64Row(f *frame, i int) error {
	s := f.a[0].str(i)
	size := base64.StdEncoding.EncodedLen(len(s))
	if size += size / base64Line; size > f.ctx.packet() {
		return f.tooLong(i, "to_base64")
	}
	for from := 0; from < len(s); from += base64Line / 4 * 3 {
		if from > 0 {
			f.out.data = append(f.out.data, '\n')
		}
		f.out.data = base64.StdEncoding.AppendEncode(f.out.data, s[from:min(from+base64Line/4*3, len(s))])
	}
	f.out.end(i)
	return nil
}

func fromBase64Row(f *frame, i int) error {
	s := bytes.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, f.a[0].str(i))
	if base64.StdEncoding.DecodedLen(len(s)) > f.ctx.packet() {
		return f.tooLong(i, "from_base64")
	}
	out, err := base64.StdEncoding.AppendDecode(f.out.data, s)
	if err != nil {
		return f.setNull(i)
	}
	f.out.data = out
	f.out.end(i)
	return nil
}

// quoteRow makes a literal that reads back as the string.
func quoteRow(f *frame, i int) error {
	if f.a[0].null(i) {
		return f.put(i, []byte("NULL"))
	}
	out := append(f.out.data, '\'')
	for _, c := range f.a[0].str(i) {
		switch c {
		case '\\', '\'':
			out = append(out, '\\', c)
		case 0:
			out = append(out, '\\', '0')
		case 26:
			out = append(out, '\\', 'Z')
		default:
			out = append(out, c)
		}
	}
	f.out.data = append(out, '\'')
	f.out.end(i)
	return nil
}
