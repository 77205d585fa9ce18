package shell

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/text/width"
)

// rowsForWidths is how many rows decide about the widths of columns; later rows may stick out.
const rowsForWidths = 1000

// printRows prints one result set.
func (s *shell) printRows(rows *sql.Rows, vertical bool, start time.Time) error {
	names, err := rows.Columns()
	if err != nil || len(names) == 0 {
		return err
	}
	out := bufio.NewWriter(s.Out)
	var p printer
	switch {
	case s.Batch:
		p = &lines{out: out, raw: s.Raw, noNames: s.NoNames}
	case vertical:
		p = &cards{out: out}
	default:
		p = &box{out: out, right: numeric(rows)}
	}
	n, err := copyRows(rows, names, p)
	if err != nil {
		return err
	}
	if !s.Batch {
		verdict := plural(n) + " in set"
		if n == 0 {
			verdict = "Empty set"
		}
		fmt.Fprintf(out, "%s (%.2f sec)\n\n", verdict, time.Since(start).Seconds())
	}
	return out.Flush()
}

// numeric tells which columns are numbers.
func numeric(rows *sql.Rows) []bool {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil
	}
	right := make([]bool, len(types))
	for i, t := range types {
		switch strings.TrimPrefix(t.DatabaseTypeName(), "UNSIGNED ") {
		case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "DECIMAL", "FLOAT", "DOUBLE", "YEAR":
			right[i] = true
		}
	}
	return right
}

// printer takes rows one by one; the cells are good until the next call.
type printer interface {
	head(names []string)
	row(cells []string)
	end()
}

func copyRows(rows *sql.Rows, names []string, p printer) (n int64, err error) {
	raw := make([]sql.RawBytes, len(names))
	dest := make([]any, len(names))
	for i := range raw {
		dest[i] = &raw[i]
	}
	p.head(names)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return n, err
		}
		cells := make([]string, len(raw))
		for i, b := range raw {
			cells[i] = "NULL"
			if b != nil {
				cells[i] = string(b)
			}
		}
		p.row(cells)
		n++
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	p.end()
	return n, nil
}

// box prints a table with borders.
type box struct {
	out    io.Writer
	right  []bool
	names  []string
	kept   [][]string
	widths []int // nil while the first rows gather
}

func (b *box) head(names []string) { b.names = names }

func (b *box) row(cells []string) {
	if b.widths == nil {
		b.kept = append(b.kept, cells)
		if len(b.kept) == rowsForWidths {
			b.open()
		}
		return
	}
	b.line(cells, b.right)
}

func (b *box) end() {
	if b.widths == nil {
		if len(b.kept) == 0 {
			return
		}
		b.open()
	}
	b.border()
}

// open decides the widths and prints what was kept.
func (b *box) open() {
	b.widths = make([]int, len(b.names))
	for i, name := range b.names {
		b.widths[i] = columns(name)
	}
	for _, row := range b.kept {
		for i, cell := range row {
			b.widths[i] = max(b.widths[i], columns(cell))
		}
	}
	b.border()
	b.line(b.names, nil)
	b.border()
	for _, row := range b.kept {
		b.line(row, b.right)
	}
	b.kept = nil
}

func (b *box) border() {
	for _, w := range b.widths {
		fmt.Fprint(b.out, "+", strings.Repeat("-", w+2))
	}
	fmt.Fprintln(b.out, "+")
}

func (b *box) line(cells []string, right []bool) {
	for i, cell := range cells {
		pad := strings.Repeat(" ", max(b.widths[i]-columns(cell), 0))
		if right != nil && right[i] {
			fmt.Fprint(b.out, "| ", pad, cell, " ")
		} else {
			fmt.Fprint(b.out, "| ", cell, pad, " ")
		}
	}
	fmt.Fprintln(b.out, "|")
}

// columns is how many columns of a terminal a text takes.
func columns(s string) (n int) {
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// cards prints one line a value, for \G.
type cards struct {
	out   io.Writer
	names []string
	wide  int
	n     int
}

func (c *cards) head(names []string) {
	c.names = names
	for _, name := range names {
		c.wide = max(c.wide, columns(name))
	}
}

func (c *cards) row(cells []string) {
	c.n++
	stars := strings.Repeat("*", 27)
	fmt.Fprintf(c.out, "%s %d. row %s\n", stars, c.n, stars)
	for i, cell := range cells {
		fmt.Fprintf(c.out, "%s%s: %s\n", strings.Repeat(" ", c.wide-columns(c.names[i])), c.names[i], cell)
	}
}

func (c *cards) end() {}

// lines prints values with tabs between them, for programs.
type lines struct {
	out io.Writer
	// raw prints values as they are, with tabs and line ends of their own; noNames leaves the columns' names out.
	raw, noNames bool
}

func (l *lines) head(names []string) {
	if !l.noNames {
		fmt.Fprintln(l.out, strings.Join(names, "\t"))
	}
}

var lineEscapes = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\x00", "\\0")

func (l *lines) row(cells []string) {
	for i := range cells {
		if !l.raw {
			cells[i] = lineEscapes.Replace(cells[i])
		}
	}
	fmt.Fprintln(l.out, strings.Join(cells, "\t"))
}

func (l *lines) end() {}
