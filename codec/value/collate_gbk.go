package value

import (
	"cmp"
	"sync"
	"unicode/utf8"
)

// gbkCollator orders strings, which are held as UTF-8 also here, by a number of one or two bytes for each character: its
// code in GBK, or its place in the order of gbk_chinese_ci, which is by pronunciation and ignores case. The sort key is those bytes. A
// character that GBK has not counts as a question mark.
type gbkCollator struct {
	column     int // of gbkTable
	ignoreCase bool
}

var (
	gbkBinary  = &gbkCollator{column: 0}
	gbkChinese = &gbkCollator{column: 1, ignoreCase: true}
)

// gbkTable has code and order of each character of the basic plane.
var gbkTable = sync.OnceValue(func() *[1 << 16][2]uint16 {
	t := new([1 << 16][2]uint16)
	for i := range t {
		t[i] = [2]uint16{'?', '?'}
	}
	for r := openTable("gbk.bin"); len(r.data) > 0; {
		points, weights := r.entry()
		t[points[0]] = [2]uint16{weights[0], weights[1]}
	}
	return t
})

func (c *gbkCollator) KeyIsIdentity() bool   { return false }
func (c *gbkCollator) PadSpace() bool        { return true }
func (c *gbkCollator) CaseInsensitive() bool { return c.ignoreCase }

func (c *gbkCollator) weight(r rune) uint16 {
	if r > 0xffff {
		return '?'
	}
	return gbkTable()[r][c.column]
}

// SameRune implements RuneMatcher.
func (c *gbkCollator) SameRune(a, b rune) bool { return a == b || c.weight(a) == c.weight(b) }

// Compare implements Collator. Numbers of one byte are less than those of two, as their bytes are.
func (c *gbkCollator) Compare(a, b []byte) int {
	a, b = TrimSpaces(a), TrimSpaces(b)
	for len(a) > 0 && len(b) > 0 {
		r, n := utf8.DecodeRune(a)
		s, m := utf8.DecodeRune(b)
		if order := cmp.Compare(c.weight(r), c.weight(s)); order != 0 {
			return order
		}
		a, b = a[n:], b[m:]
	}
	return boolInt(len(a) > 0) - boolInt(len(b) > 0)
}

// AppendKey implements Collator.
func (c *gbkCollator) AppendKey(dst, s []byte) []byte {
	for s = TrimSpaces(s); len(s) > 0; {
		r, n := utf8.DecodeRune(s)
		s = s[n:]
		w := c.weight(r)
		if w > 0xff {
			dst = append(dst, byte(w>>8))
		}
		dst = append(dst, byte(w))
	}
	return dst
}
