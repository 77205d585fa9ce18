package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// cellMax is how much of a text people are shown. JSON has all of it.
const cellMax = 80

// WriteText prints the table for people. A zero says nothing and is left out.
func (t *Table) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(t.Columns, "\t"))
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			if c == uint64(0) {
				continue
			}
			cells[i] = fmt.Sprint(c)
			if n := len(cells[i]); n > cellMax {
				cells[i] = fmt.Sprintf("%s...(%d)", cells[i][:cellMax], n)
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	if err := tw.Flush(); err != nil { // it keeps the errors of the lines
		return err
	}
	_, err := fmt.Fprintf(w, "(%d rows)\n", len(t.Rows))
	return err
}

// WriteJSON prints an object a row, one a line.
func (t *Table) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, row := range t.Rows {
		object := make(map[string]any, len(row))
		for i, c := range row {
			object[t.Columns[i]] = c
		}
		if err := enc.Encode(object); err != nil {
			return err
		}
	}
	return nil
}
