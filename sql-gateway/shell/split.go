package shell

import "strings"

// statement is one statement of the input, without its end mark.
type statement struct {
	text     string
	vertical bool // ended with \G
	quit     bool
}

// splitter cuts input into statements at ; \g and \G outside of quotes and comments, and knows \q, quit and exit.
type splitter struct {
	buf  string
	pos  int // how far buf was looked at
	mode byte
	done []statement
}

// Modes: 0 outside, a quote character inside quotes, '-' in a comment to the end of the line, '*' in a long comment.
const (
	lineComment = '-'
	longComment = '*'
)

// add takes more input.
func (s *splitter) add(text string) {
	s.buf += text
	if s.mode == 0 && s.pos == 0 {
		if word := strings.ToLower(strings.TrimSpace(strings.TrimRight(strings.TrimSpace(s.buf), ";"))); word == "quit" || word == "exit" {
			s.done, s.buf = append(s.done, statement{quit: true}), ""
			return
		}
	}
	for s.pos < len(s.buf) {
		s.step()
	}
	if strings.TrimSpace(s.buf) == "" && s.mode == 0 {
		s.buf, s.pos = "", 0
	}
}

// step looks at the next character.
func (s *splitter) step() {
	c, rest := s.buf[s.pos], s.buf[s.pos:]
	switch {
	case s.mode == lineComment:
		if c == '\n' {
			s.mode = 0
		}
	case s.mode == longComment:
		if strings.HasPrefix(rest, "*/") {
			s.mode = 0
			s.pos++
		}
	case s.mode != 0:
		s.inQuotes(c)
	case c == '\'' || c == '"' || c == '`':
		s.mode = c
	case c == '#' || strings.HasPrefix(rest, "-- ") || rest == "--" || strings.HasPrefix(rest, "--\n"):
		s.mode = lineComment
	case strings.HasPrefix(rest, "/*"):
		s.mode = longComment
		s.pos++
	case c == ';':
		s.cut(1, false)
		return
	case c == '\\' && len(rest) > 1:
		if s.command(rest[1]) {
			return
		}
	}
	s.pos++
}

func (s *splitter) inQuotes(c byte) {
	switch {
	case c == '\\' && s.mode != '`':
		s.pos++ // whatever follows is meant literally
	case c == s.mode:
		s.mode = 0 // a doubled quote opens it again at once
	}
}

func (s *splitter) command(c byte) bool {
	switch c {
	case 'G', 'g':
		s.cut(2, c == 'G')
	case 'q':
		s.done, s.buf, s.pos = append(s.done, statement{quit: true}), "", 0
	case 'c':
		s.buf, s.pos = s.buf[s.pos+2:], 0
	default:
		return false
	}
	return true
}

// cut ends a statement at an end mark of n bytes.
func (s *splitter) cut(n int, vertical bool) {
	text := strings.TrimSpace(s.buf[:s.pos])
	s.buf, s.pos = s.buf[s.pos+n:], 0
	if text != "" {
		s.done = append(s.done, statement{text: text, vertical: vertical})
	}
}

// finish takes what is left as a statement.
func (s *splitter) finish() {
	if text := strings.TrimSpace(s.buf); text != "" {
		s.done = append(s.done, statement{text: text})
	}
	s.buf, s.pos, s.mode = "", 0, 0
}

// pending reports whether a statement has begun and not ended.
func (s *splitter) pending() bool { return strings.TrimSpace(s.buf) != "" }

// next returns the next complete statement.
func (s *splitter) next() (statement, bool) {
	if len(s.done) == 0 {
		return statement{}, false
	}
	st := s.done[0]
	s.done = s.done[1:]
	return st, true
}
