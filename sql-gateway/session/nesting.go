package session

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// parserError is a panic of the parser: it has some for literals out of its range, such as decimals of 100 digits.
type parserError struct{ cause any }

func (e *parserError) Error() string { return fmt.Sprintf("near a literal: %v", e.cause) }

// parseText runs the parser where that is safe. After a panic it starts over with a new one.
func (s *Session) parseText(text string) (stmts []ast.StmtNode, err error) {
	if err := checkNesting(text, s.mode.HasNoBackslashEscapesMode()); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			s.srv.log.Warn("the parser panicked", "connection", s.id, "panic", p)
			s.parser = parser.New()
			s.parser.SetSQLMode(s.mode)
			stmts, err = nil, &parserError{p}
		}
	}()
	stmts, _, err = s.parser.Parse(text, s.vars["character_set_client"], s.vars["collation_connection"])
	return stmts, err
}

// maxLiveTokens bounds what the parser has on its stack, and how deep the tree is that it makes, both before anything can
// check the tree: a few hundred bytes for each token, on the heap and on the goroutine's stack, which must not overflow.
const maxLiveTokens = 1 << 18

// checkNesting refuses texts whose tree could be too deep, from their characters alone. Lists are wide and not deep, so
// what counts are the tokens since the last comma, at the current level of parentheses and at every level around it.
// noEscapes says that a backslash in a string is a character like others.
func checkNesting(text string, noEscapes bool) error {
	if len(text) <= maxLiveTokens {
		return nil // a token has at least one byte
	}
	n := nesting{text: text, noEscapes: noEscapes}
	for n.pos < len(text) {
		n.token()
		if n.below+n.here > maxLiveTokens {
			return sqlError(mysql.ErrStackOverrunNeedMore, "Thread stack overrun: the statement has an expression of more than %d tokens", maxLiveTokens)
		}
	}
	return nil
}

// nesting walks over a text token by token. It reads like the parser where a text is right; where it is not, any reading
// will do.
type nesting struct {
	text      string
	noEscapes bool
	pos       int
	here      int   // live tokens at this level of parentheses
	below     int   // of the levels around it
	levels    []int // here, of each of those
}

func (n *nesting) token() {
	c, rest := n.text[n.pos], n.text[n.pos:]
	n.pos++
	switch {
	case c == ' ' || c >= '\t' && c <= '\r':
	case c == '(':
		n.levels = append(n.levels, n.here+1)
		n.below, n.here = n.below+n.here+1, 0
	case c == ')':
		n.close()
	case c == ',':
		n.here = 0
	case c == ';':
		n.here, n.below, n.levels = 0, 0, n.levels[:0]
	case c == '\'' || c == '"' || c == '`':
		n.here++
		n.quoted(c)
	case c == '#' || strings.HasPrefix(rest, "-- "):
		n.skipTo("\n")
	case strings.HasPrefix(rest, "/*") && !isHint(rest):
		n.skipTo("*/")
	default:
		n.here++
		for n.pos < len(n.text) && isWord(c) && isWord(n.text[n.pos]) {
			n.pos++
		}
	}
}

// close ends a level: all of it is one token of the level around.
func (n *nesting) close() {
	if len(n.levels) == 0 {
		return
	}
	n.here = n.levels[len(n.levels)-1]
	n.levels = n.levels[:len(n.levels)-1]
	n.below -= n.here
}

// quoted skips to the end of a string.
func (n *nesting) quoted(quote byte) {
	for n.pos < len(n.text) {
		c := n.text[n.pos]
		n.pos++
		switch {
		case c == quote && n.pos < len(n.text) && n.text[n.pos] == quote:
			n.pos++ // doubled: one of the string's characters
		case c == quote:
			return
		case c == '\\' && quote != '`' && !n.noEscapes:
			n.pos++
		}
	}
}

func (n *nesting) skipTo(end string) {
	at := strings.Index(n.text[n.pos:], end)
	if at < 0 {
		n.pos = len(n.text)
		return
	}
	n.pos += at + len(end)
}

// isHint tells comments that are part of the statement: /*! */, /*+ */ and /*T */.
func isHint(comment string) bool {
	return len(comment) > 2 && (comment[2] == '!' || comment[2] == '+' || comment[2] == 'T' || comment[2] == 'M')
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}
