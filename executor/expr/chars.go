package expr

import (
	"bytes"
	"unicode/utf8"

	"github.com/scree-db/scree/codec/value"
)

// chars is how a function walks strings: what a character is, and which characters are equal, by a collation.
type chars struct {
	coll   value.Collator
	binary bool // characters are bytes
	exact  bool // equal characters are equal bytes
	// class numbers the ASCII characters so that equal ones have equal numbers.
	class      [utf8.RuneSelf]byte
	keyA, keyB []byte
}

// newChars gives the characters of a collation; binary makes them bytes whatever the collation.
func newChars(coll value.Collator, binary bool) *chars {
	c := &chars{coll: coll, binary: binary, exact: !coll.CaseInsensitive()}
	for i := range c.class {
		c.class[i] = byte(i)
		for j := range i {
			if !c.exact && c.sameKey([]byte{byte(i)}, []byte{byte(j)}) {
				c.class[i] = c.class[j]
				break
			}
		}
	}
	return c
}

// size is the length in bytes of the character at the front of s, which is not empty.
func (c *chars) size(s []byte) int {
	if c.binary || s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(s)
	return n
}

// lastSize is the length of the character at the end of s, which is not empty.
func (c *chars) lastSize(s []byte) int {
	if c.binary || s[len(s)-1] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeLastRune(s)
	return n
}

// equal compares two single characters.
func (c *chars) equal(a, b []byte) bool {
	if c.exact || len(a) == len(b) && string(a) == string(b) {
		return string(a) == string(b)
	}
	if len(a) == 1 && len(b) == 1 && a[0] < utf8.RuneSelf && b[0] < utf8.RuneSelf {
		return c.class[a[0]] == c.class[b[0]]
	}
	return c.sameKey(a, b)
}

// sameKey compares sort keys. A space has an empty key where the collation pads, and equals only itself.
func (c *chars) sameKey(a, b []byte) bool {
	if a[0] == ' ' || b[0] == ' ' {
		return string(a) == string(b)
	}
	c.keyA, c.keyB = c.coll.AppendKey(c.keyA[:0], a), c.coll.AppendKey(c.keyB[:0], b)
	return bytes.Equal(c.keyA, c.keyB)
}

// prefix is how many bytes of s match p character by character; ok is false if they do not.
func (c *chars) prefix(s, p []byte) (n int, ok bool) {
	if c.exact {
		return len(p), bytes.HasPrefix(s, p)
	}
	for len(p) > 0 {
		if n >= len(s) {
			return 0, false
		}
		ks, kp := c.size(s[n:]), c.size(p)
		if !c.equal(s[n:n+ks], p[:kp]) {
			return 0, false
		}
		n, p = n+ks, p[kp:]
	}
	return n, true
}

// index is the offset of the first occurrence of p in s, or -1.
func (c *chars) index(s, p []byte) int {
	if c.exact {
		return bytes.Index(s, p)
	}
	for at := 0; ; {
		if _, ok := c.prefix(s[at:], p); ok {
			return at
		}
		if at >= len(s) {
			return -1
		}
		at += c.size(s[at:])
	}
}

// count is the number of characters.
func (c *chars) count(s []byte) int {
	if c.binary {
		return len(s)
	}
	return utf8.RuneCount(s)
}

// cut is how many bytes the first n characters take.
func (c *chars) cut(s []byte, n int) int { return cutAt(s, n, c.binary) }
