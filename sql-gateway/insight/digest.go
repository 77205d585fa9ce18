package insight

import (
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser"
)

// Digest is a kind of statement: those that differ in literals alone.
type Digest struct {
	Hash string // TiDB's: SHA-256 of Text in hexadecimal
	Text string // normalised: literals are question marks
}

// digests finds the digest of a text. To normalise a text takes several microseconds, more than to run many a statement; so it
// is done once for each shape, which costs one walk over the text. Texts of one shape have one digest, while one digest may
// have several shapes. Safe for concurrent use.
type digests struct {
	mu      sync.RWMutex
	byShape map[string]*Digest
}

const (
	// shapesMax bounds the shapes that are remembered. Beyond it all are forgotten, and found again.
	shapesMax = 8192
	// digestedMax is how much of a text counts, in bytes.
	digestedMax = 16 << 10
)

func newDigests() *digests { return &digests{byShape: make(map[string]*Digest)} }

func (d *digests) of(text string) *Digest {
	var room [512]byte
	text = text[:min(len(text), digestedMax)]
	shape := appendShape(room[:0], text)
	d.mu.RLock()
	found := d.byShape[string(shape)]
	d.mu.RUnlock()
	if found != nil {
		return found
	}
	normalized, hash := parser.NormalizeDigest(text)
	found = &Digest{Hash: hash.String(), Text: normalized}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byShape) >= shapesMax {
		clear(d.byShape)
	}
	d.byShape[string(shape)] = found
	return found
}

// appendShape appends what of a text its digest depends on: all but the values of numbers and strings, comments, and how much
// white space there is. It reads quotes as the parser's digester does, which knows no SQL mode.
func appendShape(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		c, end := text[i], i+1
		switch classes[c] {
		case classDigit:
			i, dst = shapeNumber(i, dst, text)
			continue
		case classWord:
			for end < len(text) && classes[text[end]] >= classDigit {
				end++
			}
		case classString:
			// What a word before it (x'1f', _binary'...') makes of a string is left to the digester.
			if past, ended := skipString(i, text); ended && (i == 0 || classes[text[i-1]] < classDigit) {
				i, dst = past, append(dst, '\'')
				continue
			}
			end = len(text)
		case className:
			end = skipQuoted(i, text)
		case classSpace:
			if n := len(dst); n > 0 && dst[n-1] != ' ' {
				dst = append(dst, ' ')
			}
			i = end
			continue
		case classLine:
			if c == '#' || end < len(text) && text[end] == c {
				end = len(text) // what follows is a comment as far as the line's end, perhaps
			}
		case classSlash:
			if past, ended := skipComment(i, text); ended {
				i, dst = past, append(dst, ' ')
				continue
			}
		}
		dst = append(dst, text[i:end]...)
		i = end
	}
	return dst
}

// Classes of bytes. Words consist of the last two, and begin with the last.
const (
	classOther = iota
	classSpace
	classString
	className
	classSlash
	classLine // begins a comment to the end of the line, twice or alone
	classDigit
	classWord
)

var classes = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b >= '0' && b <= '9':
			c[b] = classDigit
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '$', b >= 0x80:
			c[b] = classWord
		}
	}
	c[' '], c['\n'], c['\t'], c['\r'] = classSpace, classSpace, classSpace, classSpace
	c['\''], c['"'], c['`'], c['/'], c['-'], c['#'] = classString, classString, className, classSlash, classLine, classLine
	return c
}()

// shapeNumber takes a number's digits for one. Words may begin with digits: those stay.
func shapeNumber(i int, dst []byte, text string) (int, []byte) {
	end := i
	for end < len(text) && classes[text[end]] == classDigit {
		end++
	}
	if end == len(text) || classes[text[end]] != classWord {
		return end, append(dst, '0')
	}
	for end < len(text) && classes[text[end]] >= classDigit {
		end++
	}
	return end, append(dst, text[i:end]...)
}

// skipString returns what follows a string that begins at i; false: it does not end.
func skipString(i int, text string) (past int, ended bool) {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			if i+1 == len(text) || text[i+1] != quote {
				return i + 1, true
			}
			i++
		}
	}
	return i, false
}

// skipQuoted returns what follows a quoted name that begins at i.
func skipQuoted(i int, text string) int {
	if n := strings.IndexByte(text[i+1:], '`'); n >= 0 {
		return i + n + 2
	}
	return len(text)
}

// skipComment returns what follows a comment that begins at i; false: there is none, or a hint, or its end, or one that is
// executed.
func skipComment(i int, text string) (past int, ended bool) {
	if len(text) < i+3 || text[i+1] != '*' || strings.IndexByte("!+TM", text[i+2]) >= 0 || i > 0 && text[i-1] == '*' {
		return i, false
	}
	n := strings.Index(text[i+2:], "*/")
	return i + n + 4, n >= 0
}
