package dml

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

// BulkInsert is an INSERT or REPLACE whose rows of literals were not parsed into a tree: the statement has the first of
// them, Values all. Bulk loads spend a third of their time in the parser otherwise, and most of their memory on
// nodes that are looked at once.
type BulkInsert struct {
	*ast.InsertStmt
	Values ValueList
}

// ValueList is the text behind VALUES: parentheses full of plain literals, each with as many as the first. These are
// decimal numbers without an exponent, strings in single quotes without an introducer, and NULL, and nothing that could
// mean something else stands between them, such as a comment.
type ValueList struct {
	text []byte
	rows int
	raw  bool // NO_BACKSLASH_ESCAPES: a backslash in a string is a character like others
}

// bulkMin is the length of a text from which cutting it is worth while. A shorter one is parsed in microseconds.
const bulkMin = 2048

// CutValues looks for an INSERT of plain literals in a text that is UTF-8. head is the text with only the first row, which
// the parser has to accept as an INSERT of one row with width values: else the cut was wrong, and the whole text is to be parsed.
func CutValues(text string, mode mysql.SQLMode) (head string, values ValueList, width int, ok bool) {
	if len(text) < bulkMin {
		return "", values, 0, false
	}
	return cutValues(text, mode)
}

func cutValues(text string, mode mysql.SQLMode) (head string, values ValueList, width int, ok bool) {
	start := valuesStart(text)
	if start < 0 {
		return "", values, 0, false
	}
	s := literalScanner{text: []byte(text), pos: start, raw: mode.HasNoBackslashEscapesMode()}
	width = s.skipRow()
	first, end, rows := s.pos, s.pos, 1
	for width > 0 {
		s.space()
		if !s.take(',') {
			break
		}
		s.space()
		if s.skipRow() != width {
			return "", values, 0, false
		}
		end = s.pos
		rows++
	}
	tail := strings.TrimRight(text[end:], " \t\r\n;")
	if rows < 2 || strings.ContainsRune(tail, ';') {
		return "", values, 0, false
	}
	return text[:first] + tail, ValueList{s.text[start:end], rows, s.raw}, width, true
}

// valuesStart finds the first row of an INSERT or REPLACE, -1 if the text is another or is written in an unusual way.
func valuesStart(text string) int {
	depth, words := 0, 0
	for at := 0; at < len(text); {
		switch c := text[at]; {
		case isSpace(c) || c == '.' || c == ',' && depth == 1:
			at++
		case c == '(' && words > 0:
			depth++
			at++
		case c == ')' && depth > 0:
			depth--
			at++
		case c == '`':
			n := strings.IndexByte(text[at+1:], '`')
			if n < 0 {
				return -1
			}
			at += n + 2
		case isWordByte(c):
			from := at
			for at < len(text) && isWordByte(text[at]) {
				at++
			}
			word := text[from:at]
			if words++; words == 1 && !strings.EqualFold(word, "INSERT") && !strings.EqualFold(word, "REPLACE") {
				return -1
			}
			if depth == 0 && (strings.EqualFold(word, "VALUES") || strings.EqualFold(word, "VALUE")) {
				for at < len(text) && isSpace(text[at]) {
					at++
				}
				return at
			}
		default:
			return -1
		}
	}
	return -1
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'
}

// literalKind is what a literal of a ValueList is.
type literalKind uint8

const (
	noLiteral literalKind = iota
	nullLiteral
	intLiteral     // up to 18 digits
	decimalLiteral // digits, a point, digits
	stringLiteral  // between the quotes are characters that stand for themselves
	escapedLiteral // between the quotes are backslashes or doubled quotes
)

// digitsMax bounds a decimal literal: MySQL's widest has 65 digits, and the parser knows what to say of longer ones.
const digitsMax = 60

// literalScanner walks over the rows of a ValueList.
type literalScanner struct {
	text []byte
	pos  int
	raw  bool
}

func (s *literalScanner) space() {
	for s.pos < len(s.text) && isSpace(s.text[s.pos]) {
		s.pos++
	}
}

func (s *literalScanner) take(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// skipRow moves behind a row and returns the number of its values, 0 if it is not a row of plain literals.
func (s *literalScanner) skipRow() (width int) {
	if !s.take('(') {
		return 0
	}
	for {
		s.space()
		if text, kind := s.literal(); kind == noLiteral || kind >= stringLiteral && !utf8.Valid(text) {
			return 0
		}
		width++
		s.space()
		if s.take(')') {
			return width
		}
		if !s.take(',') {
			return 0
		}
	}
}

// literal moves behind a literal and returns its text, that of a string without its quotes.
func (s *literalScanner) literal() ([]byte, literalKind) {
	if s.pos >= len(s.text) {
		return nil, noLiteral
	}
	switch c := s.text[s.pos]; {
	case c == '\'':
		return s.quoted()
	case c == 'n' || c == 'N':
		return s.null()
	}
	return s.number()
}

func (s *literalScanner) quoted() ([]byte, literalKind) {
	s.pos++
	from, kind := s.pos, stringLiteral
	for {
		n := bytes.IndexByte(s.text[s.pos:], '\'')
		if n < 0 {
			return nil, noLiteral
		}
		if !s.raw {
			if esc := bytes.IndexByte(s.text[s.pos:s.pos+n], '\\'); esc >= 0 {
				kind = escapedLiteral
				if s.pos += esc + 2; s.pos > len(s.text) {
					return nil, noLiteral
				}
				continue
			}
		}
		s.pos += n + 1
		if s.pos < len(s.text) && s.text[s.pos] == '\'' {
			kind = escapedLiteral
			s.pos++
			continue
		}
		return s.text[from : s.pos-1], kind
	}
}

func (s *literalScanner) null() ([]byte, literalKind) {
	const null = "NULL"
	if len(s.text)-s.pos <= len(null) || !strings.EqualFold(string(s.text[s.pos:s.pos+len(null)]), null) || isWordByte(s.text[s.pos+len(null)]) {
		return nil, noLiteral
	}
	s.pos += len(null)
	return nil, nullLiteral
}

func (s *literalScanner) number() ([]byte, literalKind) {
	from := s.pos
	s.take('-')
	whole, frac, kind := s.digits(), 0, intLiteral
	if s.take('.') {
		frac, kind = s.digits(), decimalLiteral
	}
	switch {
	case whole == 0 || kind == decimalLiteral && (frac == 0 || whole+frac > digitsMax) || kind == intLiteral && whole > 18:
		return nil, noLiteral
	case s.pos < len(s.text) && (isWordByte(s.text[s.pos]) || s.text[s.pos] >= utf8.RuneSelf):
		return nil, noLiteral // an exponent, a hexadecimal number, an identifier
	}
	return s.text[from:s.pos], kind
}

func (s *literalScanner) digits() (n int) {
	for s.pos < len(s.text) && s.text[s.pos]-'0' <= 9 {
		s.pos++
		n++
	}
	return n
}

// fromText inserts the rows of a ValueList.
func (in *inserter) fromText(ctx context.Context, values ValueList) error {
	s := literalScanner{text: values.text, raw: values.raw}
	for row := 1; row <= values.rows; row++ {
		if err := in.maker.textRow(in.next(), &s, row); err != nil {
			return err
		}
		if in.full() {
			if err := in.write(ctx); err != nil {
				return err
			}
		}
	}
	return in.write(ctx)
}

// textRow fills a row from one parenthesis. The comma behind it is passed, too.
func (m *rowMaker) textRow(r []datum.Datum, s *literalScanner, row int) error {
	m.conv.row = row
	s.take('(')
	for i := 0; ; i++ {
		if i == len(m.columns) {
			return errorf(mysql.ErrWrongValueCountOnRow, row)
		}
		s.space()
		text, kind := s.literal()
		if err := m.setText(r, m.columns[i], text, kind, s.raw); err != nil {
			return err
		}
		s.space()
		if s.take(',') {
			continue
		}
		s.take(')')
		s.space()
		s.take(',')
		s.space()
		if i+1 < len(m.columns) {
			return errorf(mysql.ErrWrongValueCountOnRow, row)
		}
		return nil
	}
}

// setText stores a literal in a column.
func (m *rowMaker) setText(r []datum.Datum, col int, text []byte, kind literalKind, raw bool) error {
	f := m.tg.fields[col]
	switch kind {
	case nullLiteral:
		return m.assign(r, col, datum.Datum{}, nil)
	case intLiteral, decimalLiteral:
		if f.takesNumber(kind) && f.quick(&r[col], text) {
			return nil
		}
		d, err := numberLiteral(text, kind)
		if err != nil {
			return err
		}
		return m.assign(r, col, d, nil)
	case escapedLiteral:
		text = unquote(text, raw)
	}
	if f.quick(&r[col], text) {
		return nil
	}
	return m.assign(r, col, datum.NewBytes(text), nil)
}

// takesNumber holds where a column's value is the number itself, so that its text says the same as its value: to a VARCHAR
// 007 is 7, and to an INT 1.5 is 2.
func (f *field) takesNumber(kind literalKind) bool {
	switch f.ft.Tp {
	case column.TypeTiny, column.TypeShort, column.TypeInt24, column.TypeLong, column.TypeLongLong:
		return kind == intLiteral
	}
	return f.ft.Tp == column.TypeDecimal
}

func numberLiteral(text []byte, kind literalKind) (datum.Datum, error) {
	if kind == intLiteral {
		n, _ := parseInt(text) // of at most 18 digits
		return datum.NewInt64(n), nil
	}
	d, _, err := value.ParseDecimal(text)
	return datum.NewDecimal(d), err
}

// unquote resolves doubled quotes and, unless raw, backslashes in the inside of a string. MySQL keeps the backslash of \%
// and \_, which LIKE needs.
func unquote(s []byte, raw bool) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\'':
			i++ // doubled
		case c == '\\' && !raw:
			i++
			if c = s[i]; c == '%' || c == '_' {
				out = append(out, '\\')
			} else {
				c = unescape(c)
			}
		}
		out = append(out, c)
	}
	return out
}
