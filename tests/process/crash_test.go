package process

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The load of the crash test: each connection inserts statements of a few rows, one transaction each, and the rows are
// long enough for regions to split under way.
const (
	connections      = 4
	rowsPerStatement = 3
	crashRounds      = 4
	ackMin, ackMax   = 60, 1000 // acknowledgements before the kill
)

// TestKill kills a loading process again and again, at a random number of acknowledged statements. After each restart
// every acknowledged row is there once, and of a statement that was not acknowledged all rows or none.
func TestKill(t *testing.T) {
	for _, stores := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d stores", stores), func(t *testing.T) {
			seed := rand.Int63()
			t.Log("seed", seed)
			rng := rand.New(rand.NewSource(seed))
			dir := t.TempDir()
			config := filepath.Join(t.TempDir(), "scree.toml")
			require.NoError(t, os.WriteFile(config, []byte("[raft]\nregion-split-size = \"1MiB\"\nregion-max-size = \"1MiB\"\n"), 0o644))
			flags := []string{"--config", config, "--port-offset", freeOffset(t), "--stores", fmt.Sprint(stores)}

			p := start(t, dir, flags...)
			mustExec(t, p.open(t), `CREATE TABLE t (id BIGINT PRIMARY KEY AUTO_INCREMENT, conn INT, stmt INT, part INT, pad VARCHAR(2000),
				UNIQUE KEY (conn, stmt, part), KEY (stmt))`)
			var acked [connections]int
			for range crashRounds {
				loadUntilKilled(t, p, &acked, ackMin+rng.Intn(ackMax-ackMin))
				p = start(t, dir, flags...)
				checkLoaded(t, p.open(t), &acked)
			}
			require.Equal(t, 0, p.stop(t))
		})
	}
}

// loadUntilKilled inserts over all connections until kill statements are acknowledged, kills the process there and then,
// and leaves in acked how many statements of each connection have been acknowledged in all.
func loadUntilKilled(t *testing.T, p *process, acked *[connections]int, kill int) {
	db := p.open(t)
	acks := make(chan struct{})
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			for insertStatement(db, c, acked[c]) == nil {
				acked[c]++
				acks <- struct{}{}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for n := 0; ; {
		select {
		case <-acks:
			if n++; n == kill {
				p.kill(t)
			}
		case <-done:
			require.GreaterOrEqual(t, n, kill, "inserts fail before the kill")
			return
		}
	}
}

func insertStatement(db *sql.DB, conn, stmt int) error {
	var rows []string
	for part := range rowsPerStatement {
		rows = append(rows, fmt.Sprintf("(%d, %d, %d, '%s')", conn, stmt, part, strings.Repeat("x", 1500)))
	}
	// A connection of its own: the pool would send the statement again if the connection breaks.
	c, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	_, err = c.ExecContext(context.Background(), "INSERT INTO t (conn, stmt, part, pad) VALUES "+strings.Join(rows, ", "))
	if closeErr := c.Close(); err == nil {
		err = closeErr
	}
	return err
}

// checkLoaded compares the table with what was acknowledged, over rows and over both indexes. The one statement of each
// connection that the kill may have caught counts as acknowledged from then on if it is there.
func checkLoaded(t *testing.T, db *sql.DB, acked *[connections]int) {
	t.Helper()
	for c := range connections {
		complete := map[int]bool{}
		rows, err := db.Query("SELECT stmt, COUNT(*), COUNT(DISTINCT part), MIN(LENGTH(pad)) FROM t IGNORE INDEX (conn, stmt) WHERE conn = ? GROUP BY stmt", c)
		require.NoError(t, err)
		for rows.Next() {
			var stmt, count, parts, pad int
			require.NoError(t, rows.Scan(&stmt, &count, &parts, &pad))
			require.Equal(t, []int{rowsPerStatement, rowsPerStatement, 1500}, []int{count, parts, pad}, "connection %d, statement %d", c, stmt)
			complete[stmt] = true
		}
		require.NoError(t, rows.Err())
		for stmt := range acked[c] {
			require.True(t, complete[stmt], "statement %d of connection %d was acknowledged and is gone", stmt, c)
		}
		if complete[acked[c]] {
			acked[c]++
		}
		require.Len(t, complete, acked[c], "connection %d", c)
	}
	total := 0
	for _, n := range acked {
		total += n * rowsPerStatement
	}
	for _, index := range []string{"PRIMARY", "conn", "stmt"} {
		var n, handles int
		require.NoError(t, db.QueryRow("SELECT COUNT(*), COUNT(DISTINCT id) FROM t FORCE INDEX ("+index+") WHERE stmt >= 0 AND conn >= 0").Scan(&n, &handles))
		require.Equal(t, []int{total, total}, []int{n, handles}, "index %s", index)
	}
}
