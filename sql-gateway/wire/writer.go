package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

// OK is what an OK packet tells.
type OK struct {
	Affected, LastInsertID uint64
	Warnings               uint16
	Info                   string
}

// Writer answers a command: with OK, or with result sets, each begun by Columns, continued by Rows and closed by End.
// Set More before the answer to a statement after which others of the same text follow. Errors of its methods are
// the connection's: hand them on. A Writer is good until the command's method returns.
type Writer struct {
	c *Conn
	// More announces further results.
	More bool
	// Sent counts the rows of the present or last result set.
	Sent uint64

	binary bool
	cursor *statement // where the rows go if the client asked for a cursor
	rows   rowEncoder
}

// Conn is the connection that is answered.
func (w *Writer) Conn() *Conn { return w.c }

func (w *Writer) status() uint16 {
	s := w.c.session.Status()
	if w.More {
		s |= mysql.ServerMoreResultsExists
	}
	return s
}

// OK answers a statement without a result set.
func (w *Writer) OK(ok OK) error { return w.c.sendOKStatus(ok, w.status()) }

// Columns begins a result set.
func (w *Writer) Columns(cols []Column) error {
	types := make([]*tipb.FieldType, len(cols))
	for i := range cols {
		types[i] = cols[i].Type
	}
	w.Sent = 0
	w.rows = rowEncoder{binary: w.binary, types: types}
	if w.cursor != nil {
		w.cursor.openCursor()
		return w.c.sendColumns(cols, w.status()|mysql.ServerStatusCursorExists, true)
	}
	return w.c.sendColumns(cols, w.status(), !w.c.Has(mysql.ClientDeprecateEOF))
}

// Rows sends the selected rows of a batch. It keeps nothing of it.
func (w *Writer) Rows(b column.Batch) error {
	if w.cursor != nil {
		return w.keep(b)
	}
	if err := w.rows.bind(b); err != nil {
		return err
	}
	p := w.c.io
	for i, n := 0, b.Len(); i < n; i++ {
		p.begin()
		p.out = w.rows.append(p.out, b.Row(i))
		if err := p.end(); err != nil {
			return stream(err)
		}
	}
	w.Sent += uint64(b.Len())
	return nil
}

// keep puts the rows where COM_STMT_FETCH finds them.
func (w *Writer) keep(b column.Batch) error {
	if err := w.rows.bind(b); err != nil {
		return err
	}
	for i, n := 0, b.Len(); i < n; i++ {
		if err := w.cursor.keepRow(&w.rows, b.Row(i)); err != nil {
			return err
		}
	}
	w.Sent += uint64(b.Len())
	return nil
}

// End closes the result set.
func (w *Writer) End(warnings uint16) error {
	if w.cursor != nil {
		return nil
	}
	return w.c.sendEOF(warnings, w.status())
}

// Flush sends what is buffered, for results that come slowly.
func (w *Writer) Flush() error { return stream(w.c.io.flush()) }

// LocalFile asks the client for the contents of one of its files (LOAD DATA LOCAL INFILE). The caller reads to the end
// or closes: only then may it answer the statement.
func (w *Writer) LocalFile(name string) (io.ReadCloser, error) {
	if !w.c.Has(mysql.ClientLocalFiles) {
		return nil, mysql.NewErr(mysql.ErrNotAllowedCommand)
	}
	p := w.c.io
	p.begin()
	p.out = append(append(p.out, 0xfb), name...)
	if err := p.end(); err != nil {
		return nil, stream(err)
	}
	if err := p.flush(); err != nil {
		return nil, stream(err)
	}
	return &localFile{p: p}, nil
}

// localFile reads the packets of a file up to the empty one that ends it.
type localFile struct {
	p    *packets
	rest []byte
	end  bool
}

func (f *localFile) Read(b []byte) (int, error) {
	for len(f.rest) == 0 {
		if f.end {
			return 0, io.EOF
		}
		var err error
		if f.rest, err = f.p.read(); err != nil {
			f.end = true
			return 0, stream(err)
		}
		f.end = len(f.rest) == 0
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Close reads what is left, since the client sends it in any case.
func (f *localFile) Close() error {
	_, err := io.Copy(io.Discard, f)
	return err
}

func (c *Conn) status() uint16 {
	if c.session == nil {
		return mysql.ServerStatusAutocommit
	}
	return c.session.Status()
}

func (c *Conn) sendOK(ok OK) error { return c.sendOKStatus(ok, c.status()) }

func (c *Conn) sendOKStatus(ok OK, status uint16) error {
	c.io.begin()
	c.appendOK(mysql.OKHeader, ok, status)
	return stream(c.io.end())
}

func (c *Conn) appendOK(header byte, ok OK, status uint16) {
	b := append(c.io.out, header)
	b = appendLenencInt(b, ok.Affected)
	b = appendLenencInt(b, ok.LastInsertID)
	b = binary.LittleEndian.AppendUint16(b, status)
	b = binary.LittleEndian.AppendUint16(b, ok.Warnings)
	if ok.Info != "" {
		b = appendLenencString(b, ok.Info) // to the end of the packet by the book; servers send the length, and C clients read it
	}
	c.io.out = b
}

// sendEOF ends a list of columns or rows. Clients with CLIENT_DEPRECATE_EOF get an OK packet in its place.
func (c *Conn) sendEOF(warnings, status uint16) error {
	if status == 0 {
		status = c.status()
	}
	c.io.begin()
	if c.Has(mysql.ClientDeprecateEOF) {
		c.appendOK(mysql.EOFHeader, OK{Warnings: warnings}, status)
	} else {
		c.appendEOF(warnings, status)
	}
	return stream(c.io.end())
}

func (c *Conn) appendEOF(warnings, status uint16) {
	c.io.out = append(c.io.out, mysql.EOFHeader)
	c.io.out = binary.LittleEndian.AppendUint16(c.io.out, warnings)
	c.io.out = binary.LittleEndian.AppendUint16(c.io.out, status)
}

// sendColumns sends the head of a result set; eof says whether an EOF packet goes between columns and rows.
func (c *Conn) sendColumns(cols []Column, status uint16, eof bool) error {
	c.io.begin()
	c.io.out = appendLenencInt(c.io.out, uint64(len(cols)))
	if err := c.io.end(); err != nil {
		return stream(err)
	}
	if err := c.sendColumnList(cols); err != nil || !eof {
		return err
	}
	if c.Has(mysql.ClientDeprecateEOF) {
		return c.sendEOF(0, status)
	}
	c.io.begin()
	c.appendEOF(0, status)
	return stream(c.io.end())
}

func (c *Conn) sendColumnList(cols []Column) error {
	for i := range cols {
		c.io.begin()
		c.io.out = cols[i].append(c.io.out)
		if err := c.io.end(); err != nil {
			return stream(err)
		}
	}
	return nil
}

// sendError sends an ERR packet at once.
func (c *Conn) sendError(err error) error {
	var e *mysql.SQLError
	if !errors.As(err, &e) {
		e = &mysql.SQLError{Code: mysql.ErrUnknown, State: mysql.DefaultMySQLState, Message: err.Error()}
	}
	c.io.begin()
	b := append(c.io.out, mysql.ErrHeader)
	b = binary.LittleEndian.AppendUint16(b, e.Code)
	if c.hello == nil || c.Has(mysql.ClientProtocol41) {
		b = fmt.Appendf(b, "#%-5.5s", e.State)
	}
	c.io.out = append(b, e.Message...)
	if err := c.io.end(); err != nil {
		return err
	}
	return c.io.flush()
}
