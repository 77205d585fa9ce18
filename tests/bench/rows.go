package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/scree-db/scree/sql-gateway/tpch"
)

// rowFiles are the rows of TPC-H in files, a table each: all servers load the same ones, and what is measured is the
// server and its client, not the generator, which takes a core for itself.
type rowFiles string

var _ tpch.Source = rowFiles("")

// writeRows runs the generator, once in the process.
func writeRows(dir string, scale tpch.Scale) (rowFiles, error) {
	files := rowFiles(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	gen := tpch.NewGenerator(scale)
	for _, group := range tpch.Tables {
		if err := files.write(gen, group); err != nil {
			return "", fmt.Errorf("generate %v: %w", group, err)
		}
	}
	return files, nil
}

func (d rowFiles) write(gen *tpch.Generator, group []string) error {
	out := map[string]io.Writer{}
	for _, table := range group {
		f, err := os.Create(d.path(table))
		if err != nil {
			return err
		}
		defer f.Close()
		out[table] = f
	}
	return gen.Generate(group, out)
}

func (d rowFiles) path(table string) string { return filepath.Join(string(d), table+".tbl") }

// Generate implements tpch.Source.
func (d rowFiles) Generate(group []string, out map[string]io.Writer) error {
	var g errgroup.Group
	for table, w := range out {
		if !slices.Contains(group, table) {
			continue
		}
		g.Go(func() error {
			f, err := os.Open(d.path(table))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			if c, ok := w.(io.Closer); ok && err == nil {
				err = c.Close() // this table's LOAD DATA ends, whatever the others still read
			}
			return err
		})
	}
	return g.Wait()
}
