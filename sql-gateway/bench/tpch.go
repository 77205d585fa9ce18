package bench

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

// TPCH runs queries of TPC-H over the rows of a scale.
type TPCH struct {
	Database string
	Scale    tpch.Scale
	Queries  []string // of tpch.Queries, such as q01; empty: all
	Runs     int      // of each
}

// QueryResult is what the runs of a query have measured.
type QueryResult struct {
	Name        string
	Rows        int
	First, Best time.Duration
	Checked     bool // the answer is known, and was given each time
}

// Run runs the queries one after the other, each Runs times, and hands each result to done. A wrong answer ends the
// run with ErrWrong.
func (b TPCH) Run(ctx context.Context, db *sql.DB, done func(QueryResult)) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "USE `"+b.Database+"`"); err != nil {
		return err
	}
	queries := tpch.Queries()
	for _, name := range b.Queries {
		if !slices.ContainsFunc(queries, func(q tpch.Query) bool { return q.Name == name }) {
			return fmt.Errorf("there is no query %q: they are q01 to q22", name)
		}
	}
	for _, q := range queries {
		if len(b.Queries) > 0 && !slices.Contains(b.Queries, q.Name) {
			continue
		}
		r, err := b.query(ctx, conn, q)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Name, err)
		}
		done(r)
	}
	return nil
}

func (b TPCH) query(ctx context.Context, conn *sql.Conn, q tpch.Query) (QueryResult, error) {
	r := QueryResult{Name: q.Name}
	for i := range max(b.Runs, 1) {
		begin := time.Now()
		rows, err := tpch.Rows(ctx, conn, q.Text)
		if err != nil {
			return r, err
		}
		took := time.Since(begin)
		if i == 0 {
			r.Rows, r.First, r.Best = len(rows), took, took
		}
		r.Best = min(r.Best, took)
		known, err := tpch.CheckAnswer(b.Scale, q.Name, rows)
		if err != nil {
			return r, fmt.Errorf("%w: %w", ErrWrong, err)
		}
		r.Checked = known
	}
	return r, nil
}
