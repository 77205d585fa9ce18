package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// errQuit ends the command loop after COM_QUIT.
var errQuit = errors.New("client quit")

// commands reads and runs commands until one of them or the stream ends the connection.
func (c *Conn) commands(ctx context.Context) error {
	for {
		b, err := c.nextCommand()
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return c.protocolError(errMalformed)
		}
		if err := c.answer(ctx, b[0], b[1:]); err != nil {
			return err
		}
		if err := c.io.flush(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (c *Conn) nextCommand() ([]byte, error) {
	c.io.resetSequence()
	c.io.limit = c.session.MaxPacket()
	var deadline time.Time
	if idle := c.session.Idle(); idle > 0 {
		deadline = time.Now().Add(idle)
	}
	if err := c.net.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	if z, ok := c.io.w.(*compressed); ok {
		z.seq = 0
	}
	b, err := c.io.read()
	var timeout net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return nil, net.ErrClosed
	}
	if err != nil {
		return nil, c.protocolError(err)
	}
	return b, c.net.SetReadDeadline(time.Time{})
}

// answer runs a command. What the session or a decoder complains of goes to the client; an error of answer itself
// is one of the stream.
func (c *Conn) answer(ctx context.Context, command byte, arg []byte) error {
	err := c.guarded(ctx, command, arg)
	var broken *streamError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errQuit):
		return err
	case errors.As(err, &broken):
		return broken.err
	case errors.Is(err, errMalformed):
		return c.sendError(mysql.NewErr(mysql.ErrMalformedPacket, "Malformed communication packet."))
	default:
		return c.sendError(err)
	}
}

// guarded keeps a bug in one statement from ending the whole server: the client is told, and its connection, whose state
// cannot be trusted any more, ends.
func (c *Conn) guarded(ctx context.Context, command byte, arg []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in a statement", "connection", c.id, "command", command, "panic", p, "stack", string(debug.Stack()))
			bug := mysql.NewErr(mysql.ErrUnknown, fmt.Sprintf("internal error: %v; see the server's log", p))
			err = stream(errors.Join(errQuit, c.sendError(bug)))
		}
	}()
	return c.dispatch(ctx, command, arg)
}

// streamError is a failure of the connection, as against one of the statement.
type streamError struct{ err error }

func (e *streamError) Error() string { return "connection: " + e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

func stream(err error) error {
	if err == nil {
		return nil
	}
	return &streamError{err}
}

func (c *Conn) dispatch(ctx context.Context, command byte, arg []byte) error {
	switch command {
	case mysql.ComQuit:
		return errQuit
	case mysql.ComInitDB:
		return c.done(c.session.Use(ctx, string(arg)))
	case mysql.ComQuery:
		return c.session.Query(ctx, string(trimNul(arg)), &Writer{c: c})
	case mysql.ComFieldList:
		return c.fieldList(ctx, arg)
	case mysql.ComStatistics:
		return c.statistics()
	case mysql.ComProcessKill:
		return c.processKill(ctx, arg)
	case mysql.ComPing:
		return c.done(nil)
	case mysql.ComChangeUser:
		return c.changeUser(ctx, arg)
	case mysql.ComResetConnection:
		c.closeStatements()
		return c.done(c.session.Reset(ctx))
	case mysql.ComSetOption:
		return c.setOption(arg)
	default:
		return c.dispatchStatement(ctx, command, arg)
	}
}

func (c *Conn) dispatchStatement(ctx context.Context, command byte, arg []byte) error {
	switch command {
	case mysql.ComStmtPrepare:
		return c.prepare(ctx, string(arg))
	case mysql.ComStmtExecute:
		return c.execute(ctx, arg)
	case mysql.ComStmtSendLongData:
		return c.longData(arg)
	case mysql.ComStmtClose:
		return c.closeStatement(arg)
	case mysql.ComStmtReset:
		return c.resetStatement(arg)
	case mysql.ComStmtFetch:
		return c.fetch(arg)
	default:
		return mysql.NewErr(mysql.ErrUnknownCom)
	}
}

// done answers OK unless err is something.
func (c *Conn) done(err error) error {
	if err != nil {
		return err
	}
	return c.sendOK(OK{})
}

func (c *Conn) fieldList(ctx context.Context, arg []byte) error {
	in := cursor{b: arg}
	table := in.nulString()
	if err := in.err(); err != nil {
		return err
	}
	cols, err := c.session.Columns(ctx, table, string(trimNul(in.b)))
	if err != nil {
		return err
	}
	for i := range cols {
		c.io.begin()
		c.io.out = cols[i].append(c.io.out)
		c.io.out = append(c.io.out, 0xfb) // no default value
		if err := c.io.end(); err != nil {
			return stream(err)
		}
	}
	return c.sendEOF(0, 0)
}

func (c *Conn) statistics() error {
	c.io.begin()
	c.io.out = append(c.io.out, c.session.Statistics()...)
	return stream(c.io.end())
}

func (c *Conn) processKill(ctx context.Context, arg []byte) error {
	in := cursor{b: arg}
	id := in.uint32()
	if err := in.err(); err != nil {
		return err
	}
	return c.done(c.session.Kill(ctx, uint64(id)))
}

// setOption turns CLIENT_MULTI_STATEMENTS on (0) and off (1).
func (c *Conn) setOption(arg []byte) error {
	in := cursor{b: arg}
	option := in.uint16()
	if err := in.err(); err != nil {
		return err
	}
	switch option {
	case 0:
		c.hello.caps |= mysql.ClientMultiStatements
	case 1:
		c.hello.caps &^= mysql.ClientMultiStatements
	default:
		return mysql.NewErr(mysql.ErrUnknownCom)
	}
	return c.sendEOF(0, 0)
}

// changeUser authenticates anew within the connection. The client hashed its password with the greeting's salt.
func (c *Conn) changeUser(ctx context.Context, arg []byte) error {
	in := cursor{b: arg}
	h := &hello{caps: c.hello.caps, collation: c.hello.collation, attrs: c.hello.attrs}
	h.user = in.nulString()
	h.auth = append([]byte(nil), in.take(int(in.uint8()))...)
	h.db = in.nulString()
	if len(in.b) >= 2 {
		h.collation = in.uint16()
	}
	h.plugin = in.pluginName(h.caps)
	if err := in.err(); err != nil {
		return err
	}
	if err := c.login(h); err != nil {
		return stream(err)
	}
	c.hello = h
	c.closeStatements()
	if err := c.session.Reset(ctx); err != nil {
		return err
	}
	if h.db != "" {
		return c.done(c.session.Use(ctx, h.db))
	}
	return c.done(nil)
}
