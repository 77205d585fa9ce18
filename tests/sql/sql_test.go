// Package sql runs scripts of SQL statements against a cluster and compares what comes back with testdata/sql, whose
// answers a MySQL-compatible server other than ours gave. To make them anew, with that server on loopback:
//
//	go test ./tests/sql -judge 'root@tcp(127.0.0.1:3306)/' -rewrite
//
// A script is a file of blocks: the word "sql", statements, a line "----", the answers, an empty line. The statements of
// a script run on one connection; each answers with its rows (fields separated by tabs), "OK, N rows affected", or "ERROR
// number": texts of errors differ from server to server, their numbers do not. A block that begins with "ours" is one
// where we mean to differ: the judge does not answer it.
package sql

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/tpch"
	"github.com/scree-db/scree/tests/testcluster"
)

var judge = flag.String("judge", "", "DSN of the server that answers instead of ours")

func TestScripts(t *testing.T) {
	open := opener(t)
	paths, err := filepath.Glob("../../testdata/sql/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			conn := open(t)
			runScript(t, conn, path)
		})
	}
}

// opener returns a function that opens a connection to a new, empty database.
func opener(t *testing.T) func(t *testing.T) *sql.Conn {
	db := server(t)
	return func(t *testing.T) *sql.Conn {
		return connect(t, db, "DROP DATABASE IF EXISTS script", "CREATE DATABASE script DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	}
}

// server is the judge or a cluster of ours.
func server(t *testing.T) *sql.DB {
	if *judge == "" {
		return testcluster.Start(t, testcluster.Options{}).DB
	}
	db, err := sql.Open("mysql", *judge)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// connect opens a connection, runs statements, and settles what servers have different defaults for.
func connect(t *testing.T, db *sql.DB, first ...string) *sql.Conn {
	conn, err := db.Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	for _, stmt := range append(first, "USE script",
		"SET sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'",
		"SET time_zone = '+00:00'", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET autocommit = 1") {
		_, err := conn.ExecContext(context.Background(), stmt)
		require.NoError(t, err, stmt)
	}
	return conn
}

// runScript runs the blocks of a file.
func runScript(t *testing.T, conn *sql.Conn, path string) {
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "ours" && *judge != "" {
			return d.Expected
		}
		var out strings.Builder
		for _, stmt := range statements(d.Input) {
			answer(&out, conn, stmt)
		}
		return out.String()
	})
}

// statements splits at semicolons that end a line.
func statements(text string) []string {
	var out []string
	for _, s := range strings.Split(text+"\n", ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func answer(out *strings.Builder, conn *sql.Conn, stmt string) {
	ctx := context.Background()
	switch strings.ToUpper(strings.Fields(stmt)[0]) {
	case "SELECT", "SHOW", "WITH", "(SELECT", "VALUES", "TABLE", "DESC", "DESCRIBE", "EXPLAIN":
		rows, err := tpch.Rows(ctx, conn, stmt)
		for _, r := range rows {
			fmt.Fprintln(out, r)
		}
		if err != nil {
			fmt.Fprintln(out, describe(err))
		} else if len(rows) == 0 {
			fmt.Fprintln(out, "no rows")
		}
	default:
		res, err := conn.ExecContext(ctx, stmt)
		if err != nil {
			fmt.Fprintln(out, describe(err))
			return
		}
		n, err := res.RowsAffected()
		if err != nil {
			fmt.Fprintln(out, describe(err))
			return
		}
		fmt.Fprintf(out, "OK, %d rows affected\n", n)
	}
}

func describe(err error) string {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return fmt.Sprintf("ERROR %d", my.Number)
	}
	return "ERROR " + err.Error()
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
