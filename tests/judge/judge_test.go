// Package judge holds Scree's functions against MariaDB's: expressions over every function and operator, generated over
// columns and literals of corner values, are evaluated by a store (pushed), by the gateway alone (root) and by the
// judge. Every difference must be one that a rule explains (rules_test.go); pushed and root must agree always.
//
// The judge is a server of MariaDB 10.11 on loopback:
//
//	make judge JUDGE='root@tcp(127.0.0.1:3306)/'
//
// Without one, TestRecorded compares with the answers that it gave to a small sample; with one, -record has it answer anew.
package judge

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/tests/testcluster"
)

var (
	judgeDSN = flag.String("judge", "", "DSN of the server that judges")
	oursDSN  = flag.String("ours", "", "DSN of a running Scree; empty starts a cluster in the test")
	rounds   = flag.Int("rounds", 24, "how many expressions are drawn from each template")
	seed     = flag.Uint64("seed", 1, "of what is drawn")
	only     = flag.String("only", "", "take templates that contain this")
	report   = flag.String("report", "", "file for all differences, explained or not")
)

// setting is a state of the session in which expressions are evaluated.
type setting struct{ mode, zone, more string }

const strictMode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"

// settings take turns, a round of templates each.
var settings = []setting{
	{"STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO", "+00:00", ""},
	{"", "+05:30", ""},
	{strictMode, "+00:00", ""},
	{"STRICT_TRANS_TABLES", "-03:00", "SET div_precision_increment = 9"},
}

// statements bring a session to the setting. MariaDB truncates fractions of seconds unless a mode of its own says that it
// should round, as MySQL does.
func (s setting) statements(mariadb bool) []string {
	mode := s.mode
	if mariadb {
		mode += ",TIME_ROUND_FRACTIONAL"
	}
	out := []string{"SET sql_mode = '" + mode + "'", "SET time_zone = '" + s.zone + "'", "SET div_precision_increment = 4"}
	if s.more != "" {
		out = append(out, s.more)
	}
	return out
}

// setup makes the table of corner values, and stops the clock.
func setup(ctx context.Context, t *testing.T, s *server, table []string) {
	require.NoError(t, s.exec(ctx, "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET sql_mode = ''", "SET time_zone = '+00:00'",
		"DROP DATABASE IF EXISTS judge", "CREATE DATABASE judge DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "USE judge"))
	require.NoError(t, s.exec(ctx, table...))
	require.NoError(t, s.exec(ctx, "SET timestamp = 1600000000"))
}

func open(t *testing.T, name, dsn string) *server {
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(context.Background())
	require.NoError(t, err)
	return &server{name, conn}
}

func openOurs(t *testing.T) *server {
	if *oursDSN != "" {
		return open(t, "ours", *oursDSN)
	}
	return open(t, "ours", testcluster.Start(t, testcluster.Options{}).DSN(""))
}

func TestJudge(t *testing.T) {
	if *judgeDSN == "" {
		t.Skip("needs -judge")
	}
	ctx := context.Background()
	c := &court{t: t, ours: openOurs(t), judge: open(t, "judge", *judgeDSN), explained: map[string]int{}}
	if *report != "" {
		file, err := os.Create(*report)
		require.NoError(t, err)
		defer file.Close()
		c.report = file
	}
	table := newCorners(rand.New(rand.NewPCG(7, 7)))
	setup(ctx, t, c.ours, table.statements())
	setup(ctx, t, c.judge, table.statements())
	c.stored(ctx)
	r := rand.New(rand.NewPCG(*seed, 1))
	g := newGenerator(r)
	for round := range *rounds {
		s := settings[round%len(settings)]
		require.NoError(t, c.ours.exec(ctx, s.statements(false)...))
		require.NoError(t, c.judge.exec(ctx, s.statements(true)...))
		for _, tm := range templates {
			if strings.Contains(tm.text, *only) {
				e := g.expression(tm, round%2)
				c.columns(ctx, e)
				c.literals(ctx, table.literalOf(e, r.IntN(cornerRows)))
			}
		}
	}
	c.sum()
}

// modes are the ways to have an expression evaluated for all rows: by the judge; by our store, in an aggregation of
// groups of one row; and by our gateway.
const (
	plain  = "SELECT id, %s FROM corner"
	pushed = "SELECT id, ANY_VALUE(%s) FROM corner GROUP BY id"
	root   = plain
)

// TestModes shows that what the two modes compare is what they say.
func TestModes(t *testing.T) {
	ctx := context.Background()
	ours := openOurs(t)
	setup(ctx, t, ours, newCorners(rand.New(rand.NewPCG(7, 7))).statements())
	for query, want := range map[string]string{pushed: "cop[scree]", root: "root"} {
		rows, err := ours.conn.QueryContext(ctx, "EXPLAIN "+fmt.Sprintf(query, "HEX(c_bi)"))
		require.NoError(t, err)
		task := ""
		for rows.Next() {
			var id, est, where, object, info string
			require.NoError(t, rows.Scan(&id, &est, &where, &object, &info))
			if strings.Contains(info, "hex(") {
				task = where
			}
		}
		require.NoError(t, rows.Err())
		require.Equal(t, want, task, query)
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
