package value

import (
	"bytes"
	"sort"
)

// JSONPath is a parsed path such as $.a[0]."b c"[last] or $**.x.
type JSONPath struct {
	legs     []jsonLeg
	wildcard bool
}

type legKind uint8

const (
	legMember     legKind = iota // .key
	legAllMembers                // .*
	legCell                      // [n], [last-n], [n to m]
	legAllCells                  // [*]
	legEllipsis                  // **
)

type jsonLeg struct {
	kind     legKind
	key      []byte
	from, to jsonIndex
}

// jsonIndex counts from the first or, where last is set, back from the last cell.
type jsonIndex struct {
	n    int
	last bool
}

func (x jsonIndex) in(count int) int {
	if x.last {
		return count - 1 - x.n
	}
	return x.n
}

// isAfter reports whether x is behind y in every array.
func (x jsonIndex) isAfter(y jsonIndex) bool {
	if x.last {
		return y.last && x.n < y.n
	}
	return !y.last && x.n > y.n
}

// maxPathLegs bounds a path.
const maxPathLegs = MaxJSONDepth

// HasWildcard reports whether the path can match several values.
func (p *JSONPath) HasWildcard() bool { return p.wildcard }

// ParseJSONPath reads a path. Errors are CodeInvalidJSONPath with the position.
func ParseJSONPath(s []byte) (*JSONPath, error) {
	ps := pathParser{jsonParser{s: s}}
	ps.space()
	if ps.peek() != '$' {
		return nil, ps.bad()
	}
	ps.i++
	p := &JSONPath{}
	for ps.space(); ps.i < len(s); ps.space() {
		leg, ok := ps.leg()
		if !ok || len(p.legs) == maxPathLegs {
			return nil, ps.bad()
		}
		p.wildcard = p.wildcard || leg.isWildcard()
		p.legs = append(p.legs, leg)
	}
	if n := len(p.legs); n > 0 && p.legs[n-1].kind == legEllipsis {
		return nil, ps.bad()
	}
	return p, nil
}

func (l *jsonLeg) isWildcard() bool {
	return l.kind == legAllMembers || l.kind == legAllCells || l.kind == legEllipsis || l.from != l.to
}

type pathParser struct{ jsonParser }

func (p *pathParser) bad() error {
	return Errorf(CodeInvalidJSONPath, "Invalid JSON path expression. The error is around character position %d.", p.i+1)
}

func (p *pathParser) leg() (l jsonLeg, ok bool) {
	switch p.peek() {
	case '.':
		p.i++
		p.space()
		return p.memberLeg()
	case '[':
		p.i++
		return p.cellLeg()
	case '*':
		ok = p.word("**")
		return jsonLeg{kind: legEllipsis}, ok && p.peek() != '*'
	}
	return l, false
}

func (p *pathParser) memberLeg() (l jsonLeg, ok bool) {
	switch c := p.peek(); {
	case c == '*':
		p.i++
		return jsonLeg{kind: legAllMembers}, true
	case c == '"':
		key, err := p.str()
		return jsonLeg{kind: legMember, key: key}, err == nil
	}
	start := p.i
	for p.i < len(p.s) && isNameByte(p.s[p.i]) {
		p.i++
	}
	key := p.s[start:p.i]
	return jsonLeg{kind: legMember, key: bytes.Clone(key)}, len(key) > 0 && !isDigit(key[0])
}

func isNameByte(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (p *pathParser) cellLeg() (l jsonLeg, ok bool) {
	if p.space(); p.peek() == '*' {
		p.i++
		l = jsonLeg{kind: legAllCells}
	} else {
		l.kind = legCell
		if l.from, ok = p.index(); !ok {
			return l, false
		}
		l.to = l.from
		if p.space(); p.word("to ") {
			p.space()
			if l.to, ok = p.index(); !ok || l.from.isAfter(l.to) {
				return l, false
			}
		}
	}
	p.space()
	ok = p.peek() == ']'
	p.i++
	return l, ok
}

// index reads n, last or last-n.
func (p *pathParser) index() (x jsonIndex, ok bool) {
	if p.word("last") {
		x.last = true
		if p.space(); p.peek() != '-' {
			return x, true
		}
		p.i++
		p.space()
	}
	n := digitRun(p.s[p.i:])
	if n == 0 || n > 9 {
		return x, false
	}
	x.n = atoi(p.s[p.i : p.i+n])
	p.i += n
	return x, true
}

// ExtractJSON is JSON_EXTRACT: the value of a single path without wildcards, or an array of all matches of all paths. ok is
// false where nothing matches.
func ExtractJSON(bin []byte, paths ...*JSONPath) (out []byte, ok bool, err error) {
	root, err := openJSON(bin)
	if err != nil {
		return nil, false, err
	}
	m := pathMatcher{budget: maxPathMatches}
	wrap := len(paths) > 1
	for _, p := range paths {
		wrap = wrap || p.wildcard
		if err := m.match(root, p.legs, 1); err != nil {
			return nil, false, err
		}
	}
	if len(m.found) == 0 {
		return nil, false, nil
	}
	if !wrap {
		return m.found[0], true, nil
	}
	out, err = JSONArrayOf(m.found)
	return out, err == nil, err
}

// maxPathMatches bounds the work of several ellipses in one path.
const maxPathMatches = 1 << 20

type pathMatcher struct {
	found  [][]byte
	budget int
}

func (m *pathMatcher) match(v jsonValue, legs []jsonLeg, depth int) error {
	if depth > 2*MaxJSONDepth {
		return errJSONDepth
	}
	if m.budget--; m.budget < 0 {
		return Errorf(CodeInvalidJSONPath, "Invalid JSON path expression. It visits too many values.")
	}
	if len(legs) == 0 {
		b, err := v.appendTo(nil)
		m.found = append(m.found, b)
		return err
	}
	leg, rest := &legs[0], legs[1:]
	switch leg.kind {
	case legMember:
		return m.member(v, leg.key, rest, depth)
	case legAllMembers:
		return m.each(v, JSONObject, rest, depth)
	case legAllCells:
		return m.each(v, JSONArray, rest, depth)
	case legCell:
		return m.cells(v, leg, rest, depth)
	default:
		if err := m.match(v, rest, depth+1); err != nil {
			return err
		}
		return m.each(v, v.typ, legs, depth)
	}
}

// each matches the rest at every element of a container of the type.
func (m *pathMatcher) each(v jsonValue, typ byte, rest []jsonLeg, depth int) error {
	if v.typ != typ || !v.isContainer() {
		return nil
	}
	n, err := v.count()
	if err != nil {
		return err
	}
	return m.span(v, 0, n, n, rest, depth)
}

func (m *pathMatcher) span(v jsonValue, from, to, n int, rest []jsonLeg, depth int) error {
	for i := from; i < to; i++ {
		e, err := v.at(i, n)
		if err == nil {
			err = m.match(e, rest, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *pathMatcher) member(v jsonValue, key []byte, rest []jsonLeg, depth int) error {
	if v.typ != JSONObject {
		return nil
	}
	n, err := v.count()
	if err != nil {
		return err
	}
	i := sort.Search(n, func(i int) bool {
		k, kerr := v.key(i)
		if kerr != nil {
			err = kerr
		}
		return bytes.Compare(k, key) >= 0
	})
	if err != nil || i == n {
		return err
	}
	if k, err := v.key(i); err != nil || !bytes.Equal(k, key) {
		return err
	}
	return m.span(v, i, i+1, n, rest, depth)
}

// cells matches the rest at the cells of a leg. A value that is no array counts as an array of itself.
func (m *pathMatcher) cells(v jsonValue, leg *jsonLeg, rest []jsonLeg, depth int) error {
	n := 1
	if v.typ == JSONArray {
		var err error
		if n, err = v.count(); err != nil {
			return err
		}
	}
	from, to := max(leg.from.in(n), 0), min(leg.to.in(n), n-1)
	if leg.from == leg.to && leg.from.in(n) < 0 || from > to {
		return nil
	}
	if v.typ != JSONArray {
		return m.match(v, rest, depth+1)
	}
	return m.span(v, from, to+1, n, rest, depth)
}
