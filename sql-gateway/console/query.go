package console

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
)

// session is a connection of a request's user.
type session struct {
	db     *sql.DB
	conn   *sql.Conn
	server Server
	id     uint64
}

// open logs in as the request's user.
func (c *Console) open(r *http.Request, db string, quiet bool) (*session, error) {
	user, password, named := r.BasicAuth()
	if !named {
		user = "root"
	}
	s := &session{server: c.server}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = user, password, db
	cfg.Net, cfg.Addr, cfg.Logger = "pipe", "gateway", &mysql.NopLogger{}
	cfg.DialFunc = func(context.Context, string, string) (conn net.Conn, err error) {
		conn, s.id = c.server.Connect(quiet)
		return conn, nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	s.db = sql.OpenDB(connector)
	if s.conn, err = s.db.Conn(r.Context()); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close ends the connection, and what it still runs: reading may have stopped before the end.
func (s *session) close() {
	s.server.Kill(s.id)
	if s.conn != nil {
		s.conn.Close() // whatever it says: it is not used again
	}
	s.db.Close()
}

// Bounds of an answer.
const (
	rowsDefault    = 1000
	rowsMax        = 10_000
	answerBytesMax = 8 << 20
	requestMax     = 1 << 20
)

// question is the body of /api/query.
type question struct {
	SQL   string `json:"sql"`
	DB    string `json:"db"`
	Limit int    `json:"limit"`
}

// answer is a result. Values are text, or null; those that are no text are written as 0x1F.
type answer struct {
	Columns []column    `json:"columns"`
	Rows    [][]*string `json:"rows"`
	// Affected is set where there are no columns.
	Affected  *int64  `json:"affected,omitempty"`
	Truncated bool    `json:"truncated,omitempty"`
	Elapsed   float64 `json:"elapsed_ms"`
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (c *Console) query(w http.ResponseWriter, r *http.Request) {
	var q question
	if err := decode(r, &q); err != nil {
		c.fail(w, err)
		return
	}
	if q.Limit <= 0 {
		q.Limit = rowsDefault
	}
	c.run(w, r, q, false)
}

func decode(r *http.Request, into any) error {
	err := json.NewDecoder(io.LimitReader(r.Body, requestMax)).Decode(into)
	if err != nil {
		return fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return nil
}

// run answers with what a statement returns. When the browser leaves, the request's context ends, and the statement is killed.
func (c *Console) run(w http.ResponseWriter, r *http.Request, q question, quiet bool) {
	ses, err := c.open(r, q.DB, quiet)
	if err != nil {
		c.fail(w, err)
		return
	}
	defer ses.close()
	defer context.AfterFunc(r.Context(), func() { c.server.Kill(ses.id) })()
	begin := time.Now()
	a, err := ses.ask(r.Context(), q.SQL, min(q.Limit, rowsMax))
	if err != nil {
		c.fail(w, err)
		return
	}
	a.Elapsed = float64(time.Since(begin).Microseconds()) / 1000
	c.reply(w, http.StatusOK, a)
}

func (s *session) ask(ctx context.Context, text string, limit int) (*answer, error) {
	rows, err := s.conn.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return s.changed(ctx, rows)
	}
	a := &answer{Columns: make([]column, len(types)), Rows: [][]*string{}}
	for i, t := range types {
		a.Columns[i] = column{t.Name(), t.DatabaseTypeName()}
	}
	return a, a.read(rows, limit)
}

// changed tells how many rows the statement before changed.
func (s *session) changed(ctx context.Context, rows *sql.Rows) (*answer, error) {
	if err := rows.Close(); err != nil {
		return nil, err
	}
	a := &answer{Columns: []column{}, Rows: [][]*string{}, Affected: new(int64)}
	err := s.conn.QueryRowContext(ctx, "SELECT ROW_COUNT()").Scan(a.Affected)
	return a, err
}

// read takes over rows as far as limits go.
func (a *answer) read(rows *sql.Rows, limit int) error {
	raw, into := make([]sql.RawBytes, len(a.Columns)), make([]any, len(a.Columns))
	for i := range raw {
		into[i] = &raw[i]
	}
	size := 0
	for rows.Next() {
		if len(a.Rows) == limit || size > answerBytesMax {
			a.Truncated = true
			return nil
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := make([]*string, len(raw))
		for i, v := range raw {
			if v != nil {
				text := show(v)
				row[i], size = &text, size+len(text)
			}
		}
		a.Rows = append(a.Rows, row)
	}
	return rows.Err()
}

// valueMax bounds a value that is shown, in bytes.
const valueMax = 64 << 10

func show(v []byte) string {
	cut := v[:min(len(v), valueMax)]
	for end := len(cut); len(cut) < len(v) && end > len(cut)-utf8.UTFMax; end-- { // not within a character
		if utf8.RuneStart(v[end]) {
			cut = v[:end]
			break
		}
	}
	if !utf8.Valid(cut) {
		return "0x" + hex.EncodeToString(cut)
	}
	return string(cut)
}

func (c *Console) kill(w http.ResponseWriter, r *http.Request) {
	var which struct {
		ID uint64 `json:"id"`
	}
	if err := decode(r, &which); err != nil {
		c.fail(w, err)
		return
	}
	c.run(w, r, question{SQL: fmt.Sprintf("KILL QUERY %d", which.ID), Limit: 1}, true)
}
