// Command bench measures Scree and MariaDB side by side on the same rows and machine and prints a table in Markdown:
// start, idle, bulk load, the 22 queries of TPC-H. `make bench` runs it; docs/performance.md keeps the figures of a
// named machine. MariaDB (Debian: mariadb-server) is left out if it is not installed.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

// options are the flags.
type options struct {
	scree, mariadbd, goTPC string
	scale                  tpch.Scale
	runs                   int
	limit                  time.Duration
	inserts                bool
}

func main() {
	var o options
	flag.StringVar(&o.scree, "scree", "bin/scree", "binary to measure")
	flag.StringVar(&o.mariadbd, "mariadbd", "mariadbd", "the peer; empty: none")
	flag.StringVar(&o.goTPC, "go-tpc", "bin/go-tpc", "load generator for -inserts")
	scale := flag.String("scale", "0.1", "TPC-H scale factor")
	flag.IntVar(&o.runs, "runs", 2, "runs of each query, of which the fastest counts")
	flag.DurationVar(&o.limit, "limit", time.Minute, "a query that takes longer is given up and counts as this long")
	flag.BoolVar(&o.inserts, "inserts", false, "also load scale 1 by go-tpc's INSERT statements")
	flag.Parse()
	var err error
	if o.scale, err = tpch.ParseScale(*scale); err != nil {
		log.Fatal(err)
	}
	if err := run(context.Background(), &o); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o *options) error {
	dir, err := os.MkdirTemp("", "scree-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rows, err := writeRows(filepath.Join(dir, "rows"), o.scale)
	if err != nil {
		return err
	}
	servers := []server{newScree(o.scree, filepath.Join(dir, "scree"))}
	if peer := newMariaDB(o.mariadbd, filepath.Join(dir, "mariadb")); peer != nil {
		servers = append(servers, peer)
	}
	var all []*figures
	for _, s := range servers {
		f, err := measure(ctx, o, s, rows)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		all = append(all, f)
	}
	return report(os.Stdout, o, all)
}

// figures are what was measured of one server.
type figures struct {
	name          string
	ready         time.Duration
	idleBytes     int64
	idleCPU       float64 // of one core
	load, analyze time.Duration
	rows          int64
	insertRate    float64 // rows/s, 0 = not measured
	queries       map[string]time.Duration
	loadedBytes   int64
	queryTotal    time.Duration
}

func measure(ctx context.Context, o *options, s server, rows tpch.Source) (f *figures, err error) {
	f = &figures{name: s.name(), queries: map[string]time.Duration{}}
	start := time.Now()
	if err := s.start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	db, err := connect(ctx, s.dsn())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	f.ready = time.Since(start)
	if f.idleBytes, f.idleCPU, err = idle(s.pid()); err != nil {
		return nil, err
	}
	if err := f.measureLoad(ctx, o, db, rows); err != nil {
		return nil, err
	}
	if err := f.measureQueries(ctx, o, db); err != nil {
		return nil, err
	}
	if o.inserts {
		if f.insertRate, err = insertRate(ctx, o.goTPC, s, db); err != nil {
			return nil, err
		}
	}
	f.loadedBytes, _, err = usage(s.pid())
	return f, err
}

// connect waits until the server answers.
func connect(ctx context.Context, dsn string) (*sql.DB, error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(time.Minute)
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return db, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(err, db.Close())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (f *figures) measureLoad(ctx context.Context, o *options, db *sql.DB, rows tpch.Source) error {
	start := time.Now()
	if err := tpch.Load(ctx, db, "tpch", rows, nil); err != nil {
		return err
	}
	f.load = time.Since(start)
	start = time.Now()
	if err := tpch.Analyze(ctx, db, "tpch"); err != nil {
		return err
	}
	f.analyze = time.Since(start)
	for _, group := range tpch.Tables {
		for _, t := range group {
			f.rows += o.scale.Rows(t)
		}
	}
	return nil
}

func (f *figures) measureQueries(ctx context.Context, o *options, db *sql.DB) error {
	for _, q := range tpch.Queries() {
		best := o.limit
		for range o.runs {
			took, err := timeQuery(ctx, db, q, o.limit)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			best = min(best, took)
			if took == o.limit {
				break
			}
		}
		f.queries[q.Name] = best
		f.queryTotal += best
	}
	return nil
}

// timeQuery runs q on a connection of its own, which a query that is given up takes with it.
func timeQuery(ctx context.Context, db *sql.DB, q tpch.Query, limit time.Duration) (time.Duration, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "USE tpch"); err != nil {
		return 0, err
	}
	var id int64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	_, err = tpch.Rows(limited, conn, q.Text)
	if limited.Err() != nil {
		_, err = db.ExecContext(ctx, fmt.Sprintf("KILL %d", id))
		return limit, err
	}
	return min(time.Since(start), limit), err
}
