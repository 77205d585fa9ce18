package wire

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
)

// fakeServer answers clients from a table of canned results, and remembers what it was asked.
type fakeServer struct {
	t        *testing.T
	addr     string
	accounts map[string]Account
	results  map[string]fakeResult
	opened   chan *fakeSession
}

// fakeResult is a result set, an OK, or an error. echo makes a prepared statement answer with its own parameters.
type fakeResult struct {
	cols   []Column
	rows   [][]datum.Datum
	ok     OK
	err    error
	params int
	echo   bool
	infile bool
	bug    bool
	more   *fakeResult
}

type fakeSession struct {
	srv    *fakeServer
	conn   *Conn
	db     string
	resets int
	killed []uint64
	file   string
}

func startFake(t *testing.T) *fakeServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fakeServer{t: t, addr: l.Addr().String(), results: make(map[string]fakeResult),
		accounts: map[string]Account{"root": {Plugin: mysql.AuthCachingSha2Password}}, opened: make(chan *fakeSession, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.accept(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		l.Close()
		<-done
	})
	return f
}

func (f *fakeServer) accept(ctx context.Context, l net.Listener) {
	ended := make(chan struct{}, 1000)
	n := uint64(0)
	for {
		nc, err := l.Accept()
		if err != nil {
			for range n {
				<-ended
			}
			return
		}
		n++
		conn := NewConn(n, nc, f, slog.New(slog.DiscardHandler))
		go func() {
			_ = conn.Serve(ctx) // failures show at the client
			ended <- struct{}{}
		}()
	}
}

func (f *fakeServer) Version() string { return "8.0.11-Scree-test" }

func (f *fakeServer) Account(user, _ string) (Account, bool) {
	a, ok := f.accounts[user]
	return a, ok
}

func (f *fakeServer) Open(_ context.Context, c *Conn) (Session, error) {
	s := &fakeSession{srv: f, conn: c, db: c.DB()}
	f.opened <- s
	return s, nil
}

func (s *fakeSession) Query(_ context.Context, text string, w *Writer) error {
	res, ok := s.srv.results[text]
	if !ok {
		return mysql.NewErr(mysql.ErrParse, "unknown statement", text)
	}
	return s.answer(res, w, nil)
}

func (s *fakeSession) answer(res fakeResult, w *Writer, args []Param) error {
	if res.err != nil {
		return res.err
	}
	if res.bug {
		panic("a bug")
	}
	w.More = res.more != nil
	if err := s.answerOne(res, w, args); err != nil || res.more == nil {
		return err
	}
	return s.answer(*res.more, w, args)
}

func (s *fakeSession) answerOne(res fakeResult, w *Writer, args []Param) error {
	if res.infile {
		file, err := w.LocalFile("Reader::file")
		if err != nil {
			return err
		}
		b, err := io.ReadAll(file)
		s.file = string(b)
		res.ok.Affected = uint64(strings.Count(s.file, "\n"))
		if err != nil {
			return err
		}
	}
	if res.echo {
		row := make([]datum.Datum, len(args))
		res.cols = make([]Column, len(args))
		for i, a := range args {
			row[i], res.cols[i] = a.Value, Column{Name: "p", Type: a.Type}
		}
		res.rows = [][]datum.Datum{row}
	}
	if res.cols == nil {
		return w.OK(res.ok)
	}
	if err := w.Columns(res.cols); err != nil {
		return err
	}
	if len(res.rows) > 0 {
		if err := w.Rows(batchOf(s.srv.t, res.cols, res.rows)); err != nil {
			return err
		}
	}
	return w.End(0)
}

func batchOf(t *testing.T, cols []Column, rows [][]datum.Datum) column.Batch {
	b := column.Batch{Rows: len(rows), Cols: make([]arrow.Array, len(cols))}
	for i, c := range cols {
		builder := column.NewBuilder(c.Type, len(rows))
		for _, row := range rows {
			require.NoError(t, row[i].AppendTo(builder))
		}
		b.Cols[i] = builder.Array()
	}
	return b
}

func (s *fakeSession) Prepare(_ context.Context, text string) (Statement, error) {
	res, ok := s.srv.results[text]
	if !ok {
		return nil, mysql.NewErr(mysql.ErrParse, "unknown statement", text)
	}
	return &fakeStatement{s, res}, nil
}

func (s *fakeSession) Use(_ context.Context, db string) error {
	if db == "missing" {
		return mysql.NewErr(mysql.ErrBadDB, db)
	}
	s.db = db
	return nil
}

func (s *fakeSession) Columns(context.Context, string, string) ([]Column, error) {
	return []Column{{Name: "a", Type: typeOf(column.TypeLong)}, {Name: "b", Type: typeOf(column.TypeVarchar)}}, nil
}

func (s *fakeSession) Statistics() string { return "Uptime: 1" }

func (s *fakeSession) Kill(_ context.Context, id uint64) error {
	s.killed = append(s.killed, id)
	return nil
}

func (s *fakeSession) Reset(context.Context) error { s.resets++; return nil }
func (s *fakeSession) Status() uint16              { return mysql.ServerStatusAutocommit }
func (s *fakeSession) Idle() time.Duration         { return 0 }
func (s *fakeSession) MaxPacket() int              { return 64 << 20 }
func (s *fakeSession) Close()                      {}

type fakeStatement struct {
	s   *fakeSession
	res fakeResult
}

func (p *fakeStatement) NumParams() int    { return p.res.params }
func (p *fakeStatement) Columns() []Column { return p.res.cols }
func (p *fakeStatement) Close()            {}

func (p *fakeStatement) Execute(_ context.Context, args []Param, w *Writer) error {
	return p.s.answer(p.res, w, args)
}

// typeOf is a field type with the default length of its code.
func typeOf(tp int32) *tipb.FieldType {
	ft := &tipb.FieldType{Tp: tp, Flen: 20, Decimal: column.UnspecifiedLength, Charset: "binary", Collate: -63}
	switch tp {
	case column.TypeVarchar, column.TypeString, column.TypeVarString, column.TypeEnum, column.TypeSet, column.TypeBlob:
		ft.Charset, ft.Collate = "utf8mb4", -46
	case column.TypeDatetime, column.TypeTimestamp, column.TypeDuration:
		ft.Decimal = 6
	}
	return ft
}
