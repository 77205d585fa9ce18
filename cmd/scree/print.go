package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/executor"
)

// printFunc writes all rows of an operator.
type printFunc func(ctx context.Context, w io.Writer, rows executor.Operator) error

// printer is the function for a format by its name.
func printer(format string) (printFunc, error) {
	switch format {
	case "table":
		return printTable, nil
	case "csv":
		return printCSV, nil
	case "json":
		return printJSON, nil
	}
	return nil, fmt.Errorf("format %q is none of table, csv, json", format)
}

// null is what NULL looks like where it has no form of its own.
const null = "NULL"

// eachRow calls visit with the texts of each row, nil for NULL.
func eachRow(ctx context.Context, rows executor.Operator, visit func(row []*string) error) error {
	fields := rows.Fields()
	row := make([]*string, len(fields))
	for {
		b, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range b.Len() {
			for c, ft := range fields {
				row[c] = nil
				if d := datum.FromColumn(b.Cols[c], b.Row(i), ft); !d.IsNull() {
					text := string(d.AppendText(nil, ft))
					row[c] = &text
				}
			}
			if err := visit(row); err != nil {
				return err
			}
		}
	}
}

// header names columns by their places: a plan has no names for them.
func header(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "c" + strconv.Itoa(i)
	}
	return out
}

func printTable(ctx context.Context, w io.Writer, rows executor.Operator) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(cells []string) error {
		_, err := fmt.Fprintln(tw, strings.Join(cells, "\t"))
		return err
	}
	if err := line(header(len(rows.Fields()))); err != nil {
		return err
	}
	count := 0
	err := eachRow(ctx, rows, func(row []*string) error {
		count++
		return line(texts(row))
	})
	if err := errors.Join(err, tw.Flush()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "(%d rows)\n", count)
	return err
}

func texts(row []*string) []string {
	out := make([]string, len(row))
	for i, v := range row {
		out[i] = null
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

func printCSV(ctx context.Context, w io.Writer, rows executor.Operator) error {
	cw := csv.NewWriter(w)
	if err := cw.Write(header(len(rows.Fields()))); err != nil {
		return err
	}
	err := eachRow(ctx, rows, func(row []*string) error { return cw.Write(texts(row)) })
	cw.Flush()
	return errors.Join(err, cw.Error())
}

// printJSON writes one array of strings and nulls a line.
func printJSON(ctx context.Context, w io.Writer, rows executor.Operator) error {
	bw := bufio.NewWriter(w)
	enc := json.NewEncoder(bw)
	err := eachRow(ctx, rows, func(row []*string) error { return enc.Encode(row) })
	return errors.Join(err, bw.Flush())
}
