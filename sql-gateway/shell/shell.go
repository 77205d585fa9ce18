// Package shell is a small interactive client of the MySQL protocol: it reads statements from a terminal, a pipe or an
// argument, and prints results in boxes as MySQL's own client does.
package shell

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/peterh/liner"
	"golang.org/x/term"
)

// Options say where to connect and what to run.
type Options struct {
	Host               string
	Port               int
	User, Password, DB string
	// Execute is run instead of what In has; empty means to read In.
	Execute string
	// Batch prints rows as lines of values with tabs between them.
	Batch bool
	// Raw and NoNames change what Batch prints: values as they are instead of with escapes, and no line of names.
	Raw, NoNames bool
	// Force goes on after a statement that failed.
	Force bool
	In    *os.File
	Out   io.Writer
	Err   io.Writer
	// HistoryFile keeps the lines of interactive sessions; empty keeps none.
	HistoryFile string
}

// Run executes statements until the input or ctx ends. In an interactive session errors of statements are only
// printed; otherwise the first one is also returned.
func Run(ctx context.Context, o Options) error {
	s, err := connect(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	switch {
	case o.Execute != "":
		return s.runAll(ctx, strings.NewReader(o.Execute))
	case term.IsTerminal(int(o.In.Fd())):
		return s.interact(ctx)
	default:
		return s.runAll(ctx, o.In)
	}
}

type shell struct {
	Options
	db   *sql.DB
	conn *sql.Conn
}

func connect(ctx context.Context, o Options) (*shell, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = o.User, o.Password, o.DB
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	cfg.MaxAllowedPacket = 0 // ask the server
	cfg.AllowAllFiles = true // LOAD DATA LOCAL of the files that the user names
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", cfg.Addr, err), db.Close())
	}
	return &shell{Options: o, db: db, conn: conn}, nil
}

func (s *shell) close() {
	s.conn.Close()
	s.db.Close()
}

// runAll runs the statements of a text.
func (s *shell) runAll(ctx context.Context, in io.Reader) error {
	var first error
	sp := splitter{}
	lines := bufio.NewReader(in)
	for {
		line, readErr := lines.ReadString('\n')
		sp.add(line)
		if errors.Is(readErr, io.EOF) {
			sp.finish()
		} else if readErr != nil {
			return readErr
		}
		for {
			st, ok := sp.next()
			if !ok {
				break
			}
			if st.quit {
				return first
			}
			if err := s.run(ctx, st); err != nil {
				if !s.Force {
					return err
				}
				fmt.Fprintln(s.Err, err)
				if first == nil {
					first = err
				}
			}
		}
		if readErr != nil {
			return first
		}
	}
}

// interact reads lines from the terminal.
func (s *shell) interact(ctx context.Context) error {
	fmt.Fprintln(s.Out, "Statements end with ; or \\G. Type \\q to leave.")
	line := liner.NewLiner()
	defer line.Close()
	line.SetCtrlCAborts(true)
	s.loadHistory(line)
	defer s.saveHistory(line)
	sp := splitter{}
	for ctx.Err() == nil {
		prompt := "scree> "
		if sp.pending() {
			prompt = "    -> "
		}
		text, err := line.Prompt(prompt)
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
			sp = splitter{}
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(s.Out)
			return nil
		case err != nil:
			return err
		}
		if strings.TrimSpace(text) != "" {
			line.AppendHistory(text)
		}
		sp.add(text + "\n")
		if s.drain(ctx, &sp) {
			return nil
		}
	}
	return nil
}

// drain runs the complete statements; it reports whether the user wants to leave.
func (s *shell) drain(ctx context.Context, sp *splitter) (quit bool) {
	for {
		st, ok := sp.next()
		if !ok {
			return false
		}
		if st.quit {
			return true
		}
		if err := s.run(ctx, st); err != nil {
			fmt.Fprintln(s.Err, err)
		}
	}
}

func (s *shell) loadHistory(line *liner.State) {
	if s.HistoryFile == "" {
		return
	}
	f, err := os.Open(s.HistoryFile)
	if err != nil {
		return // none yet
	}
	defer f.Close()
	if _, err := line.ReadHistory(f); err != nil {
		fmt.Fprintln(s.Err, "history:", err)
	}
}

func (s *shell) saveHistory(line *liner.State) {
	if s.HistoryFile == "" {
		return
	}
	f, err := os.OpenFile(s.HistoryFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = line.WriteHistory(f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(s.Err, "history:", err)
	}
}

// DefaultHistoryFile is in the user's home directory, or "" if there is none.
func DefaultHistoryFile() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".scree_history")
}

// withRows are the first words of statements that answer with rows.
var withRows = map[string]bool{
	"SELECT": true, "SHOW": true, "DESC": true, "DESCRIBE": true, "EXPLAIN": true, "WITH": true, "TABLE": true, "VALUES": true,
	"EXECUTE": true, "TRACE": true, "CHECKSUM": true,
}

// run executes one statement and prints what it answers.
func (s *shell) run(ctx context.Context, st statement) error {
	start := time.Now()
	if !withRows[firstWord(st.text)] {
		res, err := s.conn.ExecContext(ctx, st.text)
		if err != nil {
			return pretty(err)
		}
		return s.printOK(res, time.Since(start))
	}
	rows, err := s.conn.QueryContext(ctx, st.text)
	if err != nil {
		return pretty(err)
	}
	defer rows.Close()
	for {
		if err := s.printRows(rows, st.vertical, start); err != nil {
			return pretty(err)
		}
		if !rows.NextResultSet() {
			return pretty(rows.Err())
		}
		start = time.Now()
	}
}

func firstWord(text string) string {
	text = strings.TrimLeft(text, " \t\r\n(")
	end := strings.IndexFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	if end >= 0 {
		text = text[:end]
	}
	return strings.ToUpper(text)
}

// pretty prints a server's error as MySQL's client does.
func pretty(err error) error {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return fmt.Errorf("ERROR %d (%s): %s", e.Number, e.SQLState[:], e.Message)
	}
	return err
}

func (s *shell) printOK(res sql.Result, took time.Duration) error {
	if s.Batch {
		return nil
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "Query OK, %s affected (%.2f sec)\n\n", plural(n), took.Seconds())
	return err
}

func plural(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}
