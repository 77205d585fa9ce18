package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Point reads single rows by primary key, with a prepared statement, and compares what it gets with what the key says.
type Point struct{ Rows int64 }

var _ Workload = Point{}

// insertRows is how many rows go into one INSERT.
const insertRows = 1000

// payload is what the row with a key holds: as wide as sysbench's.
func payload(id int64) string { return fmt.Sprintf("%0119d", id*2654435761%1_000_000_007) }

// Prepare implements Workload.
func (p Point) Prepare(ctx context.Context, db *sql.DB) error {
	if p.Rows < 1 {
		return errors.New("a read of points needs a row")
	}
	if err := run(ctx, db, "CREATE DATABASE IF NOT EXISTS "+Database,
		"CREATE TABLE IF NOT EXISTS "+Database+".point (id BIGINT PRIMARY KEY, payload CHAR(120) NOT NULL)"); err != nil {
		return err
	}
	var have int64
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+Database+".point").Scan(&have); err != nil {
		return err
	}
	if have == p.Rows {
		return nil
	}
	if err := run(ctx, db, "TRUNCATE TABLE "+Database+".point"); err != nil {
		return err
	}
	return fill(ctx, db, Database+".point", p.Rows, func(id int64) string { return fmt.Sprintf("(%d,'%s')", id, payload(id)) })
}

// Client implements Workload.
func (p Point) Client(ctx context.Context, conn *sql.Conn) (Client, error) {
	stmt, err := conn.PrepareContext(ctx, "SELECT payload FROM "+Database+".point WHERE id = ?")
	if err != nil {
		return nil, err
	}
	return &pointClient{stmt: stmt, rows: p.Rows}, nil
}

// Check implements Workload. Each read was checked when it was made.
func (Point) Check(context.Context, *sql.DB) error { return nil }

type pointClient struct {
	stmt *sql.Stmt
	rows int64
}

func (c *pointClient) Do(ctx context.Context, r *rand.Rand) error {
	id := r.Int64N(c.rows)
	var got string
	if err := c.stmt.QueryRowContext(ctx, id).Scan(&got); err != nil {
		return fmt.Errorf("row %d: %w", id, err)
	}
	if got != payload(id) {
		return fmt.Errorf("%w: row %d has %q, not %q", ErrWrong, id, got, payload(id))
	}
	return nil
}

func (c *pointClient) Close() error { return c.stmt.Close() }

// run executes statements one after the other.
func run(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// fill inserts the rows 0 to n of a table, written as VALUES has them.
func fill(ctx context.Context, db *sql.DB, table string, n int64, row func(id int64) string) error {
	for from := int64(0); from < n; from += insertRows {
		rows := make([]string, 0, insertRows)
		for id := from; id < min(from+insertRows, n); id++ {
			rows = append(rows, row(id))
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ",")); err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
	}
	return nil
}
