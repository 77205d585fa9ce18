package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/column"
)

const (
	// maxStatements bounds the prepared statements of a connection, as max_prepared_stmt_count does for MySQL's server.
	maxStatements = 16_382
	// maxCursorBytes bounds the rows that wait in a statement's cursor.
	maxCursorBytes = 256 << 20
	cursorReadOnly = 1
)

// statement is a prepared statement as the protocol sees it.
type statement struct {
	id  uint32
	sql Statement
	// types are the parameter types of the last execution that sent some: 2 bytes each. Clients send them once.
	types []byte
	// long holds what COM_STMT_SEND_LONG_DATA brought by parameter; nil entries had none. A failure there is reported
	// by the next execution, as the command itself has no answer.
	long    [][]byte
	longErr error
	size    int

	// cursor: encoded rows, each after its length as 4 bytes, from the first one not yet fetched.
	open bool
	rows []byte
}

func (c *Conn) prepare(ctx context.Context, text string) error {
	if len(c.stmts) >= maxStatements {
		return mysql.NewErr(mysql.ErrMaxPreparedStmtCountReached, maxStatements)
	}
	prepared, err := c.session.Prepare(ctx, text)
	if err != nil {
		return err
	}
	c.nextID++
	st := &statement{id: c.nextID, sql: prepared}
	c.stmts[st.id] = st
	return c.sendPrepared(st)
}

func (c *Conn) sendPrepared(st *statement) error {
	cols, params := st.sql.Columns(), st.sql.NumParams()
	c.io.begin()
	b := binary.LittleEndian.AppendUint32(append(c.io.out, mysql.OKHeader), st.id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(cols)))
	b = binary.LittleEndian.AppendUint16(b, uint16(params))
	c.io.out = append(b, 0, 0, 0)
	if err := c.io.end(); err != nil {
		return stream(err)
	}
	if err := c.sendDefinitions(paramColumns(params)); err != nil {
		return err
	}
	return c.sendDefinitions(cols)
}

// sendDefinitions sends a list of columns and, to clients that want it, the EOF behind it.
func (c *Conn) sendDefinitions(cols []Column) error {
	if len(cols) == 0 {
		return nil
	}
	if err := c.sendColumnList(cols); err != nil || c.Has(mysql.ClientDeprecateEOF) {
		return err
	}
	return c.sendEOF(0, 0)
}

var paramType = &tipb.FieldType{Tp: column.TypeVarString, Charset: "binary", Collate: -binaryCollation, Flag: column.FlagBinary}

func paramColumns(n int) []Column {
	cols := make([]Column, n)
	for i := range cols {
		cols[i] = Column{Name: "?", Type: paramType}
	}
	return cols
}

// find looks up the statement whose id starts the command's argument.
func (c *Conn) find(in *cursor, command string) (*statement, error) {
	id := in.uint32()
	if err := in.err(); err != nil {
		return nil, err
	}
	st := c.stmts[id]
	if st == nil {
		return nil, mysql.NewErr(mysql.ErrUnknownStmtHandler, strconv.FormatUint(uint64(id), 10), command)
	}
	return st, nil
}

func (c *Conn) execute(ctx context.Context, arg []byte) error {
	in := cursor{b: arg}
	st, err := c.find(&in, "mysqld_stmt_execute")
	if err != nil {
		return err
	}
	flags := in.uint8()
	in.uint32() // iteration count, always 1
	st.closeCursor()
	defer st.clearLong()
	if st.longErr != nil {
		return st.longErr
	}
	args, err := st.decodeParams(&in)
	if err != nil {
		return err
	}
	w := &Writer{c: c, binary: true}
	if flags&cursorReadOnly != 0 {
		w.cursor = st
	}
	return st.sql.Execute(ctx, args, w)
}

// longData appends to a parameter. The command has no answer, not even an error.
func (c *Conn) longData(arg []byte) error {
	in := cursor{b: arg}
	st, err := c.find(&in, "mysqld_stmt_send_long_data")
	n := int(in.uint16())
	if err != nil || in.bad {
		return nil
	}
	if n >= st.sql.NumParams() {
		st.longErr = mysql.NewErr(mysql.ErrWrongArguments, "mysqld_stmt_send_long_data")
		return nil
	}
	if st.size += len(in.b); st.size > c.session.MaxPacket() {
		st.longErr = mysql.NewErr(mysql.ErrNetPacketTooLarge)
		return nil
	}
	if st.long == nil {
		st.long = make([][]byte, st.sql.NumParams())
	}
	if st.long[n] == nil {
		st.long[n] = []byte{}
	}
	st.long[n] = append(st.long[n], in.b...)
	return nil
}

func (st *statement) clearLong() { st.long, st.longErr, st.size = nil, nil, 0 }

// closeStatement has no answer either.
func (c *Conn) closeStatement(arg []byte) error {
	in := cursor{b: arg}
	if st, err := c.find(&in, "mysqld_stmt_close"); err == nil {
		st.sql.Close()
		delete(c.stmts, st.id)
	}
	return nil
}

func (c *Conn) closeStatements() {
	for id, st := range c.stmts {
		st.sql.Close()
		delete(c.stmts, id)
	}
}

func (c *Conn) resetStatement(arg []byte) error {
	in := cursor{b: arg}
	st, err := c.find(&in, "mysqld_stmt_reset")
	if err != nil {
		return err
	}
	st.clearLong()
	st.closeCursor()
	return c.done(nil)
}

func (st *statement) openCursor()  { st.open, st.rows = true, nil }
func (st *statement) closeCursor() { st.open, st.rows = false, nil }

func (st *statement) keepRow(r *rowEncoder, row int) error {
	at := len(st.rows)
	st.rows = r.append(append(st.rows, 0, 0, 0, 0), row)
	binary.LittleEndian.PutUint32(st.rows[at:], uint32(len(st.rows)-at-4))
	if len(st.rows) > maxCursorBytes {
		st.closeCursor()
		return fmt.Errorf("cursor holds more than %d MiB: read the result without a cursor", maxCursorBytes>>20)
	}
	return nil
}

// fetch answers COM_STMT_FETCH with the next rows of the statement's cursor.
func (c *Conn) fetch(arg []byte) error {
	in := cursor{b: arg}
	st, err := c.find(&in, "mysqld_stmt_fetch")
	if err != nil {
		return err
	}
	want := in.uint32()
	if err := in.err(); err != nil {
		return err
	}
	if !st.open {
		return mysql.NewErr(mysql.ErrStmtHasNoOpenCursor, st.id)
	}
	for ; want > 0 && len(st.rows) > 0; want-- {
		n := binary.LittleEndian.Uint32(st.rows)
		c.io.begin()
		c.io.out = append(c.io.out, st.rows[4:4+n]...)
		if err := c.io.end(); err != nil {
			return stream(err)
		}
		st.rows = st.rows[4+n:]
	}
	status := c.session.Status()
	if len(st.rows) == 0 {
		st.closeCursor()
		return c.sendEOF(0, status|mysql.ServerStatusLastRowSend)
	}
	return c.sendEOF(0, status|mysql.ServerStatusCursorExists)
}
