package dml

import (
	"bytes"
	"errors"
	"io"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// loadFormat is what FIELDS and LINES say. Enclosed and Escaped are -1 where there is none.
type loadFormat struct {
	fieldEnd, lineStart, lineEnd []byte
	enclosed, escaped            int
}

func loadFormatOf(fields *ast.FieldsClause, lines *ast.LinesClause) (f loadFormat, err error) {
	f = loadFormat{fieldEnd: []byte("\t"), lineEnd: []byte("\n"), enclosed: -1, escaped: '\\'}
	if fields != nil {
		if fields.DefinedNullBy != nil {
			return f, notSupported("LOAD DATA ... NULL DEFINED BY")
		}
		setText(&f.fieldEnd, fields.Terminated)
		if f.enclosed, err = optionalByte(f.enclosed, fields.Enclosed); err == nil {
			f.escaped, err = optionalByte(f.escaped, fields.Escaped)
		}
	}
	if lines != nil {
		setText(&f.lineStart, lines.Starting)
		setText(&f.lineEnd, lines.Terminated)
	}
	if len(f.fieldEnd) == 0 || len(f.lineEnd) == 0 {
		return f, notSupported("LOAD DATA of fixed-size rows (an empty FIELDS or LINES TERMINATED BY)")
	}
	return f, err
}

func setText(dst *[]byte, s *string) {
	if s != nil {
		*dst = []byte(*s)
	}
}

func optionalByte(def int, s *string) (int, error) {
	switch {
	case s == nil:
		return def, nil
	case *s == "":
		return -1, nil
	case len(*s) > 1:
		return def, errorf(mysql.ErrWrongFieldTerminators)
	}
	return int((*s)[0]), nil
}

// loadField is one field of a record.
type loadField struct {
	text []byte
	null bool
}

// loadScanner cuts a stream into records. Fields live in an arena that the caller empties with release once it is done with
// the records so far.
//
// A record without escapes and enclosures, which nearly all are, is found by searching for its end and cut at the
// separators; all others go byte by byte.
type loadScanner struct {
	loadFormat
	r      io.Reader
	buf    []byte // what has been read; data from at on is unread
	at     int
	eof    bool
	arena  []byte
	fields []loadField // of the record at hand; nil: none
	room   []loadField // their memory, which the next record uses again
}

// maxRecord bounds one record.
const maxRecord = 1 << 30

func newLoadScanner(r io.Reader, f loadFormat) *loadScanner {
	return &loadScanner{loadFormat: f, r: r, buf: make([]byte, 0, 256<<10)}
}

// release forgets the fields of all records.
func (s *loadScanner) release() { s.arena = s.arena[:0] }

// skip drops n lines.
func (s *loadScanner) skip(n uint64) error {
	for ; n > 0; n-- {
		for {
			if i := bytes.Index(s.buf[s.at:], s.lineEnd); i >= 0 {
				s.at += i + len(s.lineEnd)
				break
			}
			if s.eof {
				s.at = len(s.buf)
				return nil
			}
			if err := s.fill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// next returns the fields of the next record, io.EOF at the end.
func (s *loadScanner) next() ([]loadField, error) {
	for {
		if s.at < len(s.buf) {
			if n, ok := s.record(s.buf[s.at:]); ok {
				s.at += n
				if s.fields != nil {
					return s.fields, nil
				}
				continue
			}
		} else if s.eof {
			return nil, io.EOF
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more behind what is unread.
func (s *loadScanner) fill() error {
	if s.eof {
		return errors.New("load data: unread input at its end")
	}
	if s.at > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
		s.at = 0
	}
	if len(s.buf) == cap(s.buf) {
		if len(s.buf) >= maxRecord {
			return errorf(mysql.ErrNetPacketTooLarge)
		}
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	if errors.Is(err, io.EOF) {
		s.eof, err = true, nil
	}
	return err
}

// record cuts the first record off data. ok is false where its end has not been read yet; fields is nil where data holds none.
func (s *loadScanner) record(data []byte) (n int, ok bool) {
	s.fields = nil
	skipped := 0
	if len(s.lineStart) > 0 {
		i := bytes.Index(data, s.lineStart)
		if i < 0 {
			return len(data), s.eof
		}
		skipped = i + len(s.lineStart)
		data = data[skipped:]
	}
	end, size := bytes.Index(data, s.lineEnd), len(s.lineEnd)
	if end < 0 {
		if !s.eof {
			return 0, false
		}
		end, size = len(data), 0
	}
	if s.enclosed < 0 && (s.escaped < 0 || bytes.IndexByte(data[:end], byte(s.escaped)) < 0) {
		s.cutPlain(data[:end])
		return skipped + end + size, true
	}
	n, ok = s.cutQuoted(data)
	return skipped + n, ok
}

// cutPlain splits a line at the separators.
func (s *loadScanner) cutPlain(line []byte) {
	from := len(s.arena)
	s.arena = append(s.arena, line...)
	line = s.arena[from:len(s.arena):len(s.arena)]
	fields := s.reuse()
	for {
		i := s.fieldBreak(line)
		if i < 0 {
			s.setFields(append(fields, loadField{text: line}))
			return
		}
		fields = append(fields, loadField{text: line[:i:i]})
		line = line[i+len(s.fieldEnd):]
	}
}

func (s *loadScanner) fieldBreak(line []byte) int {
	if len(s.fieldEnd) == 1 {
		return bytes.IndexByte(line, s.fieldEnd[0])
	}
	return bytes.Index(line, s.fieldEnd)
}

// reuse returns memory for the fields of a record.
func (s *loadScanner) reuse() []loadField {
	if s.room == nil {
		s.room = make([]loadField, 0, 32)
	}
	return s.room[:0]
}

// setFields ends a record; the slice may have grown beyond the room there was.
func (s *loadScanner) setFields(fields []loadField) { s.fields, s.room = fields, fields }

// cutQuoted reads a record byte by byte.
func (s *loadScanner) cutQuoted(data []byte) (n int, ok bool) {
	fields, mark := s.reuse(), len(s.arena)
	for i := 0; ; {
		f, next, done := s.cutField(data[i:])
		if !done {
			s.arena = s.arena[:mark]
			return 0, false
		}
		fields = append(fields, f)
		i += next
		switch {
		case bytes.HasPrefix(data[i:], s.lineEnd) && !s.fieldEndFirst(data[i:]):
			s.setFields(fields)
			return i + len(s.lineEnd), true
		case bytes.HasPrefix(data[i:], s.fieldEnd):
			i += len(s.fieldEnd)
		default: // the end of the input
			s.setFields(fields)
			return len(data), true
		}
	}
}

// fieldEndFirst tells which separator it is where one begins with the other.
func (s *loadScanner) fieldEndFirst(data []byte) bool {
	return len(s.fieldEnd) > len(s.lineEnd) && bytes.HasPrefix(data, s.fieldEnd)
}

// cutField reads the field that data begins with, up to the separator that ends it. done is false where that has not been read.
func (s *loadScanner) cutField(data []byte) (f loadField, n int, done bool) {
	from, i := len(s.arena), 0
	quoted := s.enclosed >= 0 && len(data) > 0 && data[0] == byte(s.enclosed)
	if quoted {
		i++
	}
	longest := max(len(s.fieldEnd), len(s.lineEnd)) + 1
	for ; i < len(data); i++ {
		if !s.eof && len(data)-i <= longest {
			return f, 0, false // what follows may decide
		}
		c := data[i]
		switch {
		case s.escaped >= 0 && c == byte(s.escaped) && i+1 < len(data) && (s.escaped != s.enclosed || !quoted):
			i++
			if data[i] == 'N' && !quoted && i == 1 && s.ends(data[2:]) {
				return loadField{null: true}, 2, true
			}
			s.arena = append(s.arena, unescape(data[i]))
		case quoted && c == byte(s.enclosed) && s.ends(data[i+1:]):
			return loadField{text: s.arena[from:len(s.arena):len(s.arena)]}, i + 1, true
		case quoted && c == byte(s.enclosed) && i+1 < len(data) && data[i+1] == c:
			i++
			s.arena = append(s.arena, c)
		case !quoted && s.ends(data[i:]):
			return s.bare(from), i, true
		default:
			s.arena = append(s.arena, c)
		}
	}
	return s.bare(from), i, s.eof
}

// bare is a field without quotes: the word NULL is NULL where quotes could have told it from text.
func (s *loadScanner) bare(from int) loadField {
	text := s.arena[from:len(s.arena):len(s.arena)]
	return loadField{text: text, null: s.enclosed >= 0 && string(text) == "NULL"}
}

// ends reports whether a field ends before data.
func (s *loadScanner) ends(data []byte) bool {
	return len(data) == 0 && s.eof || bytes.HasPrefix(data, s.fieldEnd) || bytes.HasPrefix(data, s.lineEnd)
}

func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 26
	}
	return c
}
