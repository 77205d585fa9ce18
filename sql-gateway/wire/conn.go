package wire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/scree-db/scree/codec/datum"
)

// Backend is the server behind connections.
type Backend interface {
	// Version is the server version of the greeting, such as "8.0.11-Scree-v0.1".
	Version() string
	// Account finds a user; ok is false for an unknown one.
	Account(user, host string) (account Account, ok bool)
	// Open starts the session of an authenticated connection. An error goes to the client and ends the connection.
	Open(ctx context.Context, c *Conn) (Session, error)
}

// Session executes one connection's commands, one at a time. An error becomes an ERR packet: as it is if there is an
// *mysql.SQLError in its chain, as error 1105 otherwise.
type Session interface {
	// Query runs a text of one or more statements.
	Query(ctx context.Context, text string, w *Writer) error
	// Prepare prepares one statement.
	Prepare(ctx context.Context, text string) (Statement, error)
	// Use changes the current database.
	Use(ctx context.Context, db string) error
	// Columns lists a table's columns for COM_FIELD_LIST.
	Columns(ctx context.Context, table, pattern string) ([]Column, error)
	// Statistics is the line that COM_STATISTICS answers.
	Statistics() string
	// Kill ends another connection.
	Kill(ctx context.Context, connection uint64) error
	// Reset rolls back and brings variables back to their defaults (COM_RESET_CONNECTION, COM_CHANGE_USER).
	Reset(ctx context.Context) error
	// Status are the SERVER_STATUS_ flags of transaction and autocommit.
	Status() uint16
	// Idle is how long the connection may wait between commands; 0 is for ever.
	Idle() time.Duration
	// MaxPacket is the session's max_allowed_packet in bytes.
	MaxPacket() int
	Close()
}

// Statement is a prepared statement.
type Statement interface {
	NumParams() int
	// Columns describes the result set, if the statement has one and it is known; clients get them again at execution.
	Columns() []Column
	// Execute runs the statement. args live until it returns.
	Execute(ctx context.Context, args []Param, w *Writer) error
	Close()
}

// Param is the value of a ? marker.
type Param struct {
	Value datum.Datum
	Type  *tipb.FieldType
}

// Conn is one client connection. All methods but ID and the accessors belong to the goroutine that runs Serve.
type Conn struct {
	id      uint64
	net     net.Conn
	io      *packets
	backend Backend
	log     *slog.Logger
	version string
	salt    []byte

	hello   *hello
	session Session

	stmts  map[uint32]*statement
	nextID uint32
}

// NewConn makes the server side of a connection. id must be unique among the server's connections.
func NewConn(id uint64, nc net.Conn, b Backend, log *slog.Logger) *Conn {
	return &Conn{
		id: id, net: nc, io: newPackets(nc, handshakeLimit), backend: b, log: log,
		version: b.Version(), stmts: make(map[uint32]*statement),
	}
}

// ID is the connection id of the greeting.
func (c *Conn) ID() uint64 { return c.id }

// User is the authenticated user's name.
func (c *Conn) User() string { return c.hello.user }

// Host is the client's address without the port.
func (c *Conn) Host() string {
	host, _, err := net.SplitHostPort(c.net.RemoteAddr().String())
	if err != nil {
		return "localhost"
	}
	return host
}

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() string { return c.net.RemoteAddr().String() }

// DB is the database that the client asked for when it connected.
func (c *Conn) DB() string { return c.hello.db }

// Collation is the MySQL id of the client's collation.
func (c *Conn) Collation() uint16 { return c.hello.collation }

// Attributes are the connection attributes; do not change them.
func (c *Conn) Attributes() map[string]string { return c.hello.attrs }

// Has reports whether the client set a capability flag.
func (c *Conn) Has(capability uint32) bool { return c.hello.caps&capability != 0 }

// Interrupt makes the connection's next read or write fail. Any goroutine may call it.
func (c *Conn) Interrupt() error { return c.net.Close() }

// handshakeTimeout bounds the time a client may take to authenticate.
const handshakeTimeout = 10 * time.Second

// Serve runs the connection until the client leaves, the stream breaks or ctx ends, and closes it. A client that just
// goes away is not an error.
func (c *Conn) Serve(ctx context.Context) error {
	defer c.net.Close()
	stop := context.AfterFunc(ctx, func() { c.net.Close() })
	defer stop()
	if err := c.handshake(ctx); err != nil {
		return quiet(err)
	}
	defer c.session.Close()
	defer c.closeStatements()
	return quiet(c.commands(ctx))
}

// quiet drops the errors by which a connection normally ends.
func quiet(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errQuit) {
		return nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return nil
	}
	return err
}

func (c *Conn) handshake(ctx context.Context) error {
	if err := c.net.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	var err error
	if c.salt, err = newSalt(); err != nil {
		return err
	}
	if err := c.sendGreeting(); err != nil {
		return err
	}
	b, err := c.io.read()
	if err != nil {
		return c.protocolError(err)
	}
	if c.hello, err = parseHello(b); err != nil {
		return c.protocolError(err)
	}
	if err := c.login(c.hello); err != nil {
		return err
	}
	if c.session, err = c.backend.Open(ctx, c); err != nil {
		return errors.Join(err, c.sendError(err))
	}
	c.io.limit = c.session.MaxPacket()
	if err := c.sendOK(OK{}); err != nil {
		return err
	}
	if err := c.io.flush(); err != nil {
		return err
	}
	if c.Has(mysql.ClientCompress) {
		c.startCompression()
	}
	return c.net.SetDeadline(time.Time{})
}

func (c *Conn) startCompression() {
	z := newCompressed(c.net)
	c.io.r.Reset(z)
	c.io.w = z
}

// login authenticates the user of h. A refusal is told to the client and returned.
func (c *Conn) login(h *hello) error {
	account, known := c.backend.Account(h.user, c.Host())
	if !known {
		// The answer takes the same steps as for a known user, so that names cannot be probed.
		account = Account{Plugin: mysql.AuthNativePassword, Hash: unknownUserHash}
	}
	ok, err := c.authenticate(h, account)
	if err != nil {
		return c.protocolError(err)
	}
	if ok && known {
		return nil
	}
	using := "YES"
	if len(h.auth) == 0 {
		using = "NO"
	}
	refusal := mysql.NewErr(mysql.ErrAccessDenied, h.user, c.Host(), using)
	return errors.Join(refusal, c.sendError(refusal))
}

// unknownUserHash is the native hash of no password at all.
var unknownUserHash = fmt.Sprintf("*%X", sha256.Sum256([]byte("no such user")))[:41]

// protocolError tells the client, as far as that is still possible, why its connection ends.
func (c *Conn) protocolError(err error) error {
	switch {
	case errors.Is(err, errMalformed):
		return errors.Join(err, c.sendError(mysql.NewErr(mysql.ErrMalformedPacket, "Malformed communication packet.")))
	case errors.Is(err, errTooLarge):
		return errors.Join(err, c.sendError(mysql.NewErr(mysql.ErrNetPacketTooLarge)))
	case errors.Is(err, errSequence):
		return errors.Join(err, c.sendError(mysql.NewErr(mysql.ErrNetPacketsOutOfOrder)))
	default:
		return err
	}
}
