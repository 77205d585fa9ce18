package tpch

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// Query is one of the 22, with the substitution parameters of the specification's query validation.
type Query struct {
	Name string // "q01"
	Text string
}

// Queries returns all 22 in order.
func Queries() []Query {
	names, err := fs.Glob(queryFiles, "queries/*.sql")
	if err != nil {
		panic(err) // the pattern is constant
	}
	out := make([]Query, len(names))
	for i, n := range names {
		text, err := queryFiles.ReadFile(n)
		if err != nil {
			panic(err) // embedded
		}
		out[i] = Query{Name: strings.TrimSuffix(strings.TrimPrefix(n, "queries/"), ".sql"), Text: string(text)}
	}
	return out
}

// Rows runs a query and returns its rows as text, fields separated by tabs, NULL as \N.
func Rows(ctx context.Context, conn *sql.Conn, text string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	fields, into := make([]sql.RawBytes, len(cols)), make([]any, len(cols))
	for i := range fields {
		into[i] = &fields[i]
	}
	var out []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, line(fields))
	}
	return out, rows.Err()
}

func line(fields []sql.RawBytes) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte('\t')
		}
		if f == nil {
			b.WriteString(`\N`)
			continue
		}
		b.Write(f)
	}
	return b.String()
}

// Diff compares rows with a reference and describes the first difference, or returns "". Numbers are equal if they
// differ only in trailing zeros of the fraction.
func Diff(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("row %d is missing: %s (got %d rows, want %d)", i+1, want[i], len(got), len(want))
		case i >= len(want):
			return fmt.Sprintf("row %d is too many: %s (got %d rows, want %d)", i+1, got[i], len(got), len(want))
		case normal(got[i]) != normal(want[i]):
			return fmt.Sprintf("row %d:\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
	return ""
}

// normal cuts trailing zeros off the fractions of a row's numbers.
func normal(row string) string {
	fields := strings.Split(row, "\t")
	for i, f := range fields {
		if isDecimal(f) {
			fields[i] = strings.TrimSuffix(strings.TrimRight(f, "0"), ".")
		}
	}
	return strings.Join(fields, "\t")
}

func isDecimal(s string) bool {
	digits, dots := 0, 0
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			dots++
		case c != '-' || i > 0:
			return false
		}
	}
	return dots == 1 && digits > 0
}
