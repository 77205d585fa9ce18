package expr

import (
	"bytes"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

func likeFunctions() functions {
	return functions{
		tipb.ScalarFuncSig_LikeSig:  {spec: "ssi:i", build: func(s *callSite) (node, error) { return newLike(s, false) }},
		tipb.ScalarFuncSig_IlikeSig: {spec: "ssi:i", build: func(s *callSite) (node, error) { return newLike(s, true) }},
	}
}

// likeNode is s LIKE pattern ESCAPE e. A constant pattern is compiled once; others as long as they change from row to row.
type likeNode struct {
	callNode
	chars    *chars
	constant bool
	last     []byte // the pattern of match
	escape   int64
	match    stringTest
	invert   bool
}

func newLike(s *callSite, ignoreCase bool) (node, error) {
	n := &likeNode{}
	call, fn := *s, *s.fn
	fn.build, fn.row = nil, func(f *frame, i int) error {
		f.out.setBool(i, n.test(f, i) != n.invert)
		return nil
	}
	call.fn = &fn
	c, err := call.node()
	if err != nil {
		return nil, err
	}
	n.callNode = *c.(*callNode)
	n.frame.out = &n.res
	id := n.frame.collation()
	if ignoreCase {
		id = -45 // utf8mb4_general_ci
	}
	coll, err := value.CollatorByID(id)
	if err != nil {
		return nil, err
	}
	n.chars = newChars(coll, abs32(id) == collationBinary)
	pattern, okP := n.nums[1].(*constNode)
	escape, okE := n.nums[2].(*constNode)
	if okP && okE && !pattern.out.null(0) && !escape.out.null(0) {
		n.constant = true
		n.compile(pattern.out.str(0), escape.out.int(0))
	}
	return n, nil
}

func (n *likeNode) compile(pattern []byte, escape int64) {
	n.last, n.escape = append(n.last[:0], pattern...), escape
	n.match = compileLike(n.last, escape, n.chars)
}

func (n *likeNode) test(f *frame, i int) bool {
	if !n.constant {
		p, e := f.a[1].str(i), f.a[2].int(i)
		if n.match == nil || e != n.escape || !bytes.Equal(p, n.last) {
			n.compile(p, e)
		}
	}
	return n.match(f.a[0].str(i))
}

func (n *likeNode) negate(ft *tipb.FieldType) bool {
	n.ft, n.invert = ft, !n.invert
	return true
}

func (n *likeNode) selector() selectFn {
	col, ok := n.nums[0].(*columnNode)
	if !ok || !n.constant {
		return nil
	}
	if n.invert {
		return selectByTest(col, func(s []byte) bool { return !n.match(s) })
	}
	return selectByTest(col, n.match)
}

// likePart is what stands between two '%': literal text, or text with '_' in it.
type likePart struct {
	text []byte
	any  []bool // for each character of text, whether it is '_'; nil: none is
	size int    // characters
}

// parseLike cuts a pattern at its '%'. The result has one part more than there are '%'.
func parseLike(pattern []byte, escape int64, c *chars) []likePart {
	parts := []likePart{{}}
	anys := []bool{}
	wild := false
	flush := func() {
		last := &parts[len(parts)-1]
		if last.size = len(anys); wild {
			last.any = anys
		}
		anys, wild = []bool{}, false
	}
	for len(pattern) > 0 {
		k := c.size(pattern)
		ch := pattern[:k]
		pattern = pattern[k:]
		switch {
		case k == 1 && int64(ch[0]) == escape && len(pattern) > 0:
			k = c.size(pattern)
			ch, pattern = pattern[:k], pattern[k:]
		case ch[0] == '%':
			flush()
			parts = append(parts, likePart{})
			continue
		case ch[0] == '_':
			wild = true
			parts[len(parts)-1].text = append(parts[len(parts)-1].text, '_')
			anys = append(anys, true)
			continue
		}
		parts[len(parts)-1].text = append(parts[len(parts)-1].text, ch...)
		anys = append(anys, false)
	}
	flush()
	return parts
}

// compileLike picks the cheapest test for a pattern. Text between two '%' is searched for from the left, as early as
// possible: what follows then has the most room, so no search need be taken back.
func compileLike(pattern []byte, escape int64, c *chars) stringTest {
	parts := parseLike(pattern, escape, c)
	plain := c.exact
	for _, p := range parts {
		plain = plain && p.any == nil
	}
	if !plain {
		return func(s []byte) bool { return matchParts(s, parts, c) }
	}
	first, last := parts[0].text, parts[len(parts)-1].text
	if len(parts) == 1 {
		return func(s []byte) bool { return string(s) == string(first) }
	}
	var middle [][]byte
	for _, p := range parts[1 : len(parts)-1] {
		if len(p.text) > 0 {
			middle = append(middle, p.text)
		}
	}
	switch {
	case len(middle) == 0 && len(last) == 0:
		return func(s []byte) bool { return bytes.HasPrefix(s, first) }
	case len(middle) == 0 && len(first) == 0:
		return func(s []byte) bool { return bytes.HasSuffix(s, last) }
	case len(middle) == 1 && len(first)+len(last) == 0:
		return func(s []byte) bool { return bytes.Contains(s, middle[0]) }
	}
	return func(s []byte) bool { return matchPlain(s, first, middle, last) }
}

func matchPlain(s, first []byte, middle [][]byte, last []byte) bool {
	if len(s) < len(first)+len(last) || !bytes.HasPrefix(s, first) || !bytes.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, m := range middle {
		at := bytes.Index(s, m)
		if at < 0 {
			return false
		}
		s = s[at+len(m):]
	}
	return true
}

// matchParts is the general matcher: the first part stands at the front, the last at the end, the others in between.
func matchParts(s []byte, parts []likePart, c *chars) bool {
	n, ok := parts[0].prefix(s, c)
	if !ok || len(parts) == 1 {
		return ok && n == len(s)
	}
	s = s[n:]
	for _, p := range parts[1 : len(parts)-1] {
		for {
			if n, ok = p.prefix(s, c); ok {
				break
			}
			if len(s) == 0 {
				return false
			}
			s = s[c.size(s):]
		}
		s = s[n:]
	}
	last := &parts[len(parts)-1]
	at := len(s)
	for range last.size {
		if at == 0 {
			return false
		}
		at -= c.lastSize(s[:at])
	}
	n, ok = last.prefix(s[at:], c)
	return ok && n == len(s)-at
}

// prefix matches the part at the front of s and tells how many bytes it took.
func (p *likePart) prefix(s []byte, c *chars) (n int, ok bool) {
	if p.any == nil {
		return c.prefix(s, p.text)
	}
	text := p.text
	for _, any := range p.any {
		if n >= len(s) {
			return 0, false
		}
		ks, kt := c.size(s[n:]), c.size(text)
		if !any && !c.equal(s[n:n+ks], text[:kt]) {
			return 0, false
		}
		n, text = n+ks, text[kt:]
	}
	return n, true
}
