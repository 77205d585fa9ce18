// Command reference loads TPC-H into a MySQL-speaking server and writes the answers of the 22 queries, one file each:
// how testdata/tpch was made, with MariaDB as the server. See reference.sh.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

func main() {
	dsn := flag.String("dsn", "root@tcp(127.0.0.1:3306)/", "server, without a database")
	scale := flag.String("scale", "0.01", "scale factor")
	name := flag.String("database", "tpch", "database to drop and make")
	out := flag.String("out", "", "folder for the answers; none: only time the queries")
	load := flag.Bool("load", true, "load the rows first")
	flag.Parse()
	if err := run(*dsn, *scale, *name, *out, *load); err != nil {
		log.Fatal(err)
	}
}

func run(dsn, scale, name, out string, load bool) error {
	ctx := context.Background()
	s, err := tpch.ParseScale(scale)
	if err != nil {
		return err
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if load {
		gen := tpch.NewGenerator(s)
		start := time.Now()
		if err := tpch.Load(ctx, db, name, gen, nil); err != nil {
			return err
		}
		if err := tpch.Analyze(ctx, db, name); err != nil {
			return err
		}
		fmt.Printf("loaded and analyzed scale %s in %.2f s\n", s, time.Since(start).Seconds())
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "USE `"+name+"`"); err != nil {
		return err
	}
	total := time.Duration(0)
	for _, q := range tpch.Queries() {
		start := time.Now()
		rows, err := tpch.Rows(ctx, conn, q.Text)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Name, err)
		}
		took := time.Since(start)
		total += took
		fmt.Printf("%s %8.3f s %6d rows\n", q.Name, took.Seconds(), len(rows))
		if out != "" {
			text := strings.Join(rows, "\n")
			if text != "" {
				text += "\n"
			}
			if err := os.WriteFile(filepath.Join(out, q.Name+".tsv"), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	fmt.Printf("total %.3f s\n", total.Seconds())
	return nil
}
