package value

import (
	"slices"
	"sync"
	"unicode/utf8"
)

// weightCollator orders strings by one 16-bit weight, or several or none, for each character: the general collation and
// the primary level of the Unicode Collation Algorithm. The sort key is the weights, big endian.
type weightCollator struct {
	table func() *weightTable
	pad   bool
}

var (
	generalCI   = &weightCollator{table: sync.OnceValue(func() *weightTable { return loadWeights("general.bin", identityWeights) }), pad: true}
	unicodeCI   = &weightCollator{table: sync.OnceValue(func() *weightTable { return loadWeights("uca400.bin", implicit400) }), pad: true}
	unicode0900 = &weightCollator{table: sync.OnceValue(func() *weightTable {
		t := loadWeights("uca900.bin", implicit900)
		t.addSyllables()
		return t
	})}
)

func (c *weightCollator) KeyIsIdentity() bool   { return false }
func (c *weightCollator) PadSpace() bool        { return c.pad }
func (c *weightCollator) CaseInsensitive() bool { return true }

// Compare implements Collator.
func (c *weightCollator) Compare(a, b []byte) int {
	if c.pad {
		a, b = TrimSpaces(a), TrimSpaces(b)
	}
	t := c.table()
	x, y := weights{t: t, s: a}, weights{t: t, s: b}
	for {
		u, uok := x.next()
		v, vok := y.next()
		switch {
		case !uok || !vok:
			return boolInt(uok) - boolInt(vok)
		case u < v:
			return -1
		case u > v:
			return 1
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// AppendKey implements Collator.
func (c *weightCollator) AppendKey(dst, s []byte) []byte {
	if c.pad {
		s = TrimSpaces(s)
	}
	dst = slices.Grow(dst, 2*len(s))
	for it := (weights{t: c.table(), s: s}); ; {
		w, ok := it.next()
		if !ok {
			return dst
		}
		dst = append(dst, byte(w>>8), byte(w))
	}
}

// SameRune implements RuneMatcher.
func (c *weightCollator) SameRune(a, b rune) bool {
	if a == b {
		return true
	}
	t := c.table()
	var abuf, bbuf [2]uint16
	return slices.Equal(t.of(a, &abuf), t.of(b, &bbuf))
}

// weightTable maps characters to weights. A cell of a page is
//
//	absent              the character has the weights of the rule implicit
//	count << 24 | w     count is 0 or 1: no weight, or the weight w
//	count << 24 | i     the weights are multi[i : i+count]
//
// with starter set where a contraction begins with the character.
type weightTable struct {
	pages    [0x1100]*[256]uint32
	multi    []uint16
	implicit func(r rune, buf *[2]uint16) []uint16
	// contractions are the sequences by first character, longest first.
	contractions map[rune][]contraction
	ascii        [128]uint32
}

type contraction struct {
	rest    []rune
	weights []uint16
}

const (
	cellAbsent  = 1<<32 - 1
	cellStarter = 1 << 31
	cellValue   = 1<<24 - 1
)

func (t *weightTable) cell(r rune) uint32 {
	if page := t.pages[r>>8]; page != nil {
		return page[r&0xff]
	}
	return cellAbsent
}

// of gives the weights of a character on its own.
func (t *weightTable) of(r rune, buf *[2]uint16) []uint16 {
	cell := t.cell(r)
	if cell == cellAbsent {
		return t.implicit(r, buf)
	}
	switch n := cell &^ cellStarter >> 24; n {
	case 0:
		return nil
	case 1:
		buf[0] = uint16(cell)
		return buf[:1]
	default:
		i := cell & cellValue
		return t.multi[i : i+n]
	}
}

// weights iterates over the weights of a string that are not ignored.
type weights struct {
	t       *weightTable
	s       []byte
	pending []uint16 // further weights of the last character
	buf     [2]uint16
}

func (it *weights) next() (w uint16, ok bool) {
	for {
		if len(it.pending) > 0 {
			w, it.pending = it.pending[0], it.pending[1:]
			return w, true
		}
		if len(it.s) == 0 {
			return 0, false
		}
		if c := it.s[0]; c < utf8.RuneSelf {
			if cell := it.t.ascii[c]; cell>>24 == 1 || cell>>24 == 1|cellStarter>>24 && (len(it.s) == 1 || it.s[1] < utf8.RuneSelf) {
				it.s = it.s[1:]
				return uint16(cell), true
			}
		}
		it.advance()
	}
}

// advance reads the next character, or the longest contraction, into pending.
func (it *weights) advance() {
	r, size := utf8.DecodeRune(it.s)
	it.s = it.s[size:]
	if cell := it.t.cell(r); cell != cellAbsent && cell&cellStarter != 0 {
		for _, c := range it.t.contractions[r] {
			if n, ok := c.matches(it.s); ok {
				it.s, it.pending = it.s[n:], c.weights
				return
			}
		}
	}
	it.pending = it.t.of(r, &it.buf)
}

// matches reports whether s begins with the rest of the contraction, and its length.
func (c *contraction) matches(s []byte) (n int, ok bool) {
	for _, want := range c.rest {
		r, size := utf8.DecodeRune(s[n:])
		if r != want {
			return 0, false
		}
		n += size
	}
	return n, true
}

// identityWeights is the general collation's rule: a character weighs its number, those beyond the basic plane U+FFFD.
func identityWeights(r rune, buf *[2]uint16) []uint16 {
	if r > 0xffff {
		r = utf8.RuneError
	}
	buf[0] = uint16(r)
	return buf[:1]
}

// implicit400 is UCA 4.0.0's rule for characters without an entry, as MySQL's unicode collations apply it.
func implicit400(r rune, buf *[2]uint16) []uint16 {
	if r > 0xffff {
		buf[0] = utf8.RuneError
		return buf[:1]
	}
	base := rune(0xfbc0)
	switch {
	case r >= 0x3400 && r <= 0x4db5:
		base = 0xfb80
	case r >= 0x4e00 && r <= 0x9fa5:
		base = 0xfb40
	}
	return implicitPair(base, r, buf)
}

// implicit900 is UCA 9.0.0's rule: ideographs and all others in blocks.
// (Hangul syllables are in the table.)
func implicit900(r rune, buf *[2]uint16) []uint16 {
	switch {
	case r >= 0x17000 && r <= 0x18aff:
		buf[0], buf[1] = 0xfb00, uint16(r-0x17000)|0x8000
		return buf[:]
	case r >= 0x4e00 && r <= 0x9fd5, r >= 0xfa0e && r <= 0xfa29:
		return implicitPair(0xfb40, r, buf)
	case r >= 0x3400 && r <= 0x4db5, r >= 0x20000 && r <= 0x2a6d6, r >= 0x2a700 && r <= 0x2b734,
		r >= 0x2b740 && r <= 0x2b81d, r >= 0x2b820 && r <= 0x2cea1:
		return implicitPair(0xfb80, r, buf)
	}
	return implicitPair(0xfbc0, r, buf)
}

func implicitPair(base, r rune, buf *[2]uint16) []uint16 {
	buf[0], buf[1] = uint16(base+r>>15), uint16(r&0x7fff|0x8000)
	return buf[:]
}
