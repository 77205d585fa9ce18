package judge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// server is one connection to a server under comparison.
type server struct {
	name string
	conn *sql.Conn
}

// answer is what a server says to a query: its rows by their first column, or an error; and the codes of its warnings.
type answer struct {
	rows     map[string]cell
	err      uint16
	warnings []int
}

// cell is a result: NULL or its text.
type cell struct {
	null bool
	text string
}

func (c cell) String() string {
	if c.null {
		return "NULL"
	}
	if len(c.text) > textMax {
		return fmt.Sprintf("%q... of %d bytes", c.text[:textMax], len(c.text))
	}
	return fmt.Sprintf("%q", c.text)
}

// textMax is how much of a long result is shown.
const textMax = 500

func (s *server) exec(ctx context.Context, statements ...string) error {
	for _, text := range statements {
		if _, err := s.conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %s: %w", s.name, text, err)
		}
	}
	return nil
}

// ask runs a query of two columns, the number of a row and a result.
func (s *server) ask(ctx context.Context, query string) (answer, error) {
	var a answer
	rows, err := s.rows(ctx, query)
	var my *mysql.MySQLError
	switch {
	case errors.As(err, &my):
		a.err = my.Number
		return a, nil
	case err != nil:
		return a, fmt.Errorf("%s: %s: %w", s.name, query, err)
	}
	a.rows = rows
	a.warnings, err = s.warned(ctx)
	return a, err
}

func (s *server) rows(ctx context.Context, query string) (map[string]cell, error) {
	rows, err := s.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]cell{}
	for rows.Next() {
		var id string
		var v sql.RawBytes
		if err := rows.Scan(&id, &v); err != nil {
			return nil, err
		}
		out[id] = cell{v == nil, string(v)}
	}
	return out, rows.Err()
}

// warned is the codes of the last statement's warnings, each once.
func (s *server) warned(ctx context.Context) ([]int, error) {
	rows, err := s.conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var codes []int
	for rows.Next() {
		var level, message string
		var code int
		if err := rows.Scan(&level, &code, &message); err != nil {
			return nil, err
		}
		if !strings.EqualFold(level, "Note") && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return codes, rows.Err()
}
