package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

// report prints one row a measurement and one column a server.
func report(w io.Writer, o *options, all []*figures) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TPC-H scale %s, %d cores, %s/%s, %s\n\n", o.scale, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	head, rule := "| |", "| --- |"
	for _, f := range all {
		head, rule = head+" "+f.name+" |", rule+" ---: |"
	}
	fmt.Fprintln(&b, head)
	fmt.Fprintln(&b, rule)
	row := func(label string, value func(*figures) string) {
		fmt.Fprintf(&b, "| %s |", label)
		for _, f := range all {
			fmt.Fprintf(&b, " %s |", value(f))
		}
		fmt.Fprintln(&b)
	}
	row("start to first answer, empty", func(f *figures) string { return seconds(f.ready) })
	row("idle memory", func(f *figures) string { return mib(f.idleBytes) })
	row("idle CPU, of a core", func(f *figures) string { return fmt.Sprintf("%.1f%%", 100*f.idleCPU) })
	row("LOAD DATA, rows/s", func(f *figures) string { return fmt.Sprintf("%.0f", float64(f.rows)/f.load.Seconds()) })
	row("ANALYZE of all tables", func(f *figures) string { return seconds(f.analyze) })
	if o.inserts {
		row("go-tpc INSERTs, rows/s", func(f *figures) string { return fmt.Sprintf("%.0f", f.insertRate) })
	}
	row("memory after load and queries", func(f *figures) string { return mib(f.loadedBytes) })
	for _, q := range tpch.Queries() {
		row(q.Name, func(f *figures) string {
			if f.queries[q.Name] >= o.limit {
				return "> " + seconds(o.limit)
			}
			return seconds(f.queries[q.Name])
		})
	}
	row("all 22", func(f *figures) string { return seconds(f.queryTotal) })
	_, err := io.WriteString(w, b.String())
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
