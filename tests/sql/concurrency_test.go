package sql

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestConcurrency runs scripts of several sessions, in databases of their own. The block "sql a" runs statements in session
// a, "start a" starts one and tells whether it "waits" for a lock or is done, "join a" tells what came of it. Sessions
// come with their first block. The judge is not asked about blocks with "ours" behind the name.
func TestConcurrency(t *testing.T) {
	db := server(t)
	paths, err := filepath.Glob("../../testdata/sql/concurrency/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			watch := connect(t, db, "DROP DATABASE IF EXISTS script", "CREATE DATABASE script DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
			s := &sessions{db: db, watch: watch, conns: map[string]*sql.Conn{}, started: map[string]chan string{}}
			datadriven.RunTest(t, path, s.run)
		})
	}
}

type sessions struct {
	db      *sql.DB
	conns   map[string]*sql.Conn
	started map[string]chan string // outcomes of statements under way
	watch   *sql.Conn
}

func (s *sessions) run(t *testing.T, d *datadriven.TestData) string {
	name := d.CmdArgs[0].Key
	if *judge != "" && d.HasArg("ours") {
		return d.Expected
	}
	conn := s.conn(t, name)
	switch d.Cmd {
	case "start":
		return s.start(t, name, conn, strings.TrimSuffix(strings.TrimSpace(d.Input), ";"))
	case "join":
		select {
		case out := <-s.started[name]:
			return out
		case <-time.After(time.Minute):
			require.FailNow(t, "the statement does not end", d.Pos)
		}
	}
	var out strings.Builder
	for _, stmt := range statements(d.Input) {
		answer(&out, conn, stmt)
	}
	return out.String()
}

// conn is the connection of a session.
func (s *sessions) conn(t *testing.T, name string) *sql.Conn {
	if s.conns[name] == nil {
		s.conns[name] = connect(t, s.db)
	}
	return s.conns[name]
}

// start runs a statement in the background. It returns when that is done or waits.
func (s *sessions) start(t *testing.T, name string, conn *sql.Conn, stmt string) string {
	id := ask(t, conn, "SELECT CONNECTION_ID()")
	outcome := make(chan string, 1)
	s.started[name] = outcome
	go func() {
		var out strings.Builder
		answer(&out, conn, stmt)
		outcome <- out.String()
	}()
	for {
		select {
		case out := <-outcome:
			outcome <- out
			return "done"
		case <-time.After(time.Millisecond):
		}
		query := "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'locking rows' AND id = "
		if *judge != "" {
			query = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = "
		}
		if ask(t, s.watch, query+id) == "1" {
			return "waits"
		}
	}
}

func ask(t *testing.T, conn *sql.Conn, query string) (val string) {
	require.NoError(t, conn.QueryRowContext(context.Background(), query).Scan(&val))
	return val
}
