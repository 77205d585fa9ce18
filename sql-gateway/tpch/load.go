package tpch

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

// Progress is told how many rows of a table have been handed to the server so far. It is called from several goroutines.
type Progress func(table string, rows int64)

// Loaded reports whether database name holds a complete TPC-H of the given scale.
func Loaded(ctx context.Context, db *sql.DB, name string, s Scale) (bool, error) {
	var tables int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_name IN ('region', 'supplier')", name).Scan(&tables)
	if err != nil || tables < 2 {
		return false, err
	}
	var regions, suppliers int64
	if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM `%s`.region", name)).Scan(&regions); err != nil {
		return false, err
	}
	if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM `%s`.supplier", name)).Scan(&suppliers); err != nil {
		return false, err
	}
	return regions == s.Rows("region") && suppliers == s.Rows("supplier"), nil
}

// Source has the rows of all tables: a *Generator, or what one wrote before.
type Source interface {
	// Generate writes the rows of one group of Tables as lines, see Generator.
	Generate(group []string, out map[string]io.Writer) error
}

// Load drops and makes database name and fills it with the rows of src.
func Load(ctx context.Context, db *sql.DB, name string, src Source, progress Progress) error {
	statements := []string{"DROP DATABASE IF EXISTS `" + name + "`", "CREATE DATABASE `" + name + "`"}
	for _, ddl := range schema {
		statements = append(statements, strings.Replace(ddl, "CREATE TABLE ", "CREATE TABLE `"+name+"`.", 1))
	}
	for _, stmt := range statements {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("%s: %w", firstWords(stmt), err)
		}
	}
	for _, group := range Tables {
		if err := loadGroup(ctx, db, name, src, group, progress); err != nil {
			return fmt.Errorf("load %s: %w", strings.Join(group, " and "), err)
		}
	}
	return nil
}

// Analyze has the statistics of all tables of database name made.
func Analyze(ctx context.Context, db *sql.DB, name string) error {
	for _, t := range slices.Concat(Tables...) {
		if _, err := db.ExecContext(ctx, fmt.Sprintf("ANALYZE TABLE `%s`.`%s`", name, t)); err != nil {
			return fmt.Errorf("analyze %s: %w", t, err)
		}
	}
	return nil
}

func firstWords(stmt string) string {
	words := strings.Fields(stmt)
	return strings.Join(words[:min(3, len(words))], " ")
}

// readerNames gives each LOAD DATA statement of the process a name of its own for its rows.
var readerNames atomic.Uint64

// loadGroup runs the generator and one LOAD DATA for each table of the group, joined by pipes.
func loadGroup(ctx context.Context, db *sql.DB, name string, src Source, group []string, progress Progress) error {
	g, ctx := errgroup.WithContext(ctx)
	out := map[string]io.Writer{}
	var pipes []*io.PipeWriter
	for _, table := range group {
		r, w := io.Pipe()
		out[table], pipes = w, append(pipes, w)
		g.Go(func() error {
			err := loadTable(ctx, db, name, table, &countingReader{r: r, table: table, progress: progress})
			r.CloseWithError(err) // the generator must not wait for a server that gave up
			return err
		})
	}
	g.Go(func() error {
		err := src.Generate(group, out)
		for _, p := range pipes {
			p.CloseWithError(err)
		}
		return err
	})
	return g.Wait()
}

func loadTable(ctx context.Context, db *sql.DB, name, table string, rows io.Reader) error {
	handler := fmt.Sprintf("tpch-%d", readerNames.Add(1))
	mysql.RegisterReaderHandler(handler, func() io.Reader { return rows })
	defer mysql.DeregisterReaderHandler(handler)
	_, err := db.ExecContext(ctx, fmt.Sprintf(
		"LOAD DATA LOCAL INFILE 'Reader::%s' INTO TABLE `%s`.`%s` FIELDS TERMINATED BY '|' LINES TERMINATED BY '\\n'", handler, name, table))
	return err
}

// countingReader counts the lines that pass through it.
type countingReader struct {
	r        io.Reader
	table    string
	progress Progress
	lines    int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	for _, b := range p[:n] {
		if b == '\n' {
			c.lines++
		}
	}
	if c.progress != nil {
		c.progress(c.table, c.lines)
	}
	return n, err
}
