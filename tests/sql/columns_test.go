package sql

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/sql-gateway/tpch"
	"github.com/scree-db/scree/tests/testcluster"
)

// TestScriptsOverColumns runs the scripts with every query asked twice: when it comes again, what it reads has been copied by
// columns, as far as it can be. Both answers are as expected.
func TestScriptsOverColumns(t *testing.T) {
	if *judge != "" {
		t.Skip("the judge has no columns to wait for")
	}
	c := testcluster.Start(t, testcluster.Options{ColumnsRowsMin: 1})
	paths, err := filepath.Glob("../../testdata/sql/*.sql")
	require.NoError(t, err)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			conn := connect(t, c.DB, "DROP DATABASE IF EXISTS script", "CREATE DATABASE script DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				var out strings.Builder
				for _, stmt := range statements(d.Input) {
					first := out.Len()
					answer(&out, conn, stmt)
					if strings.HasPrefix(strings.ToUpper(stmt), "SELECT") {
						c.WaitColumns()
						var again strings.Builder
						answer(&again, conn, stmt)
						require.Equal(t, out.String()[first:], again.String(), stmt)
					}
				}
				return out.String()
			})
		})
	}
	require.Positive(t, c.Columns().RowsFromColumns)
}

// TestColumnsAndTransfers moves money between accounts, opens and closes some, and splits regions, while queries sum up all
// of it, from columns where they can: what they see is a moment between transactions.
func TestColumnsAndTransfers(t *testing.T) {
	const accounts, balance, workers, transfers = 20_000, 100, 3, 60
	c := testcluster.Start(t, testcluster.Options{Stores: 3, ColumnsRowsMin: 1000, Raft: raftstore.Config{SplitBytes: 512 << 10, MaxBytes: 768 << 10}})
	c.Exec("CREATE DATABASE bank", "CREATE TABLE bank.accounts (id INT PRIMARY KEY, balance INT, note VARCHAR(60))")
	for from := 0; from < accounts; from += 1000 {
		var rows []string
		for id := from; id < from+1000; id++ {
			rows = append(rows, fmt.Sprintf("(%d, %d, 'the account with the number %d')", 2*id, balance, 2*id))
		}
		c.Exec("INSERT INTO bank.accounts VALUES " + strings.Join(rows, ", "))
	}
	check := func(conn interface {
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}) error {
		const sum = "SELECT SUM(balance), COUNT(*) - SUM(id % 2) FROM bank.accounts WHERE balance IS NOT NULL"
		var money, opened int
		if err := conn.QueryRowContext(context.Background(), sum).Scan(&money, &opened); err != nil {
			return err
		}
		if money != accounts*balance || opened != accounts {
			return fmt.Errorf("%d in %d accounts", money, opened)
		}
		return nil
	}
	var work errgroup.Group
	for worker := range workers {
		rng := rand.New(rand.NewPCG(1, uint64(worker)))
		work.Go(func() error {
			conn, err := c.DB.Conn(context.Background())
			if err != nil {
				return err
			}
			defer conn.Close()
			for range transfers {
				own := 2 * (rng.IntN(accounts/workers)*workers + worker)
				if err := moveMoney(conn, rng, 2*rng.IntN(accounts), own); err != nil {
					return err
				}
				if err := check(conn); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, work.Wait())
	// Now that nothing changes any more, all rows come from columns sooner or later.
	require.Eventually(t, func() bool {
		c.WaitColumns()
		before := c.Columns().RowsFromColumns
		require.NoError(t, check(c.DB))
		return c.Columns().RowsFromColumns-before >= accounts
	}, 2*time.Minute, time.Millisecond)
	plan, err := tpch.Rows(context.Background(), connect(t, c.DB, "CREATE DATABASE script"), "EXPLAIN ANALYZE SELECT COUNT(*) FROM bank.accounts WHERE balance < -1000000")
	require.NoError(t, err)
	require.Regexp(t, `columns:\{rows:\d+, skipped:[1-9]\d*\}`, strings.Join(plan, "\n"))
}

// moveMoney moves money between two accounts, or opens and closes one beside its own, which no other worker does.
func moveMoney(conn *sql.Conn, rng *rand.Rand, other, own int) error {
	move := "UPDATE bank.accounts SET balance = balance + %d WHERE id = %d"
	amount := rng.IntN(50)
	statements := []string{"BEGIN", fmt.Sprintf(move, amount, min(own, other)), fmt.Sprintf(move, -amount, max(own, other)), "COMMIT"}
	if rng.IntN(3) == 0 {
		statements = []string{
			fmt.Sprintf("INSERT INTO bank.accounts VALUES (%d, 0, 'for a while')", own+1),
			fmt.Sprintf("DELETE FROM bank.accounts WHERE id = %d", own+1),
		}
	}
	for _, stmt := range statements {
		if _, err := conn.ExecContext(context.Background(), stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return nil
}
