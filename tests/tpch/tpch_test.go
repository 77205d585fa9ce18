// Package tpch checks the 22 queries end to end: rows loaded over MySQL, queries through pushed DAGs, answers compared
// with those that MariaDB gave on the same rows (testdata/tpch).
package tpch

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/sql-gateway/tpch"
	"github.com/scree-db/scree/tests/testcluster"
)

const scale = tpch.Scale(0.01)

// TestQueries runs on one store, and on three stores with regions small enough that every large table has several; there also
// through a gateway that has the stores' rows sent. The queries come more than once: what they read is copied by columns
// meanwhile.
func TestQueries(t *testing.T) {
	rows := &recorded{gen: tpch.NewGenerator(scale), lines: map[string][]byte{}}
	t.Run("one store", func(t *testing.T) { run(t, rows, testcluster.Options{ColumnsRowsMin: 1}) })
	if testing.Short() {
		return
	}
	t.Run("three stores, many regions", func(t *testing.T) {
		run(t, rows, testcluster.Options{Stores: 3, ColumnsRowsMin: 1, Raft: raftstore.Config{SplitBytes: 1 << 20, MaxBytes: 3 << 19}})
	})
}

// recorded generates each table once, and then repeats its rows: a process can make one generator only.
type recorded struct {
	gen   *tpch.Generator
	lines map[string][]byte
}

func (r *recorded) Generate(group []string, out map[string]io.Writer) error {
	if r.lines[group[0]] == nil {
		into := map[string]io.Writer{}
		buffers := map[string]*bytes.Buffer{}
		for _, table := range group {
			buffers[table] = &bytes.Buffer{}
			into[table] = buffers[table]
		}
		if err := r.gen.Generate(group, into); err != nil {
			return err
		}
		for table, b := range buffers {
			r.lines[table] = b.Bytes()
		}
	}
	for _, table := range group {
		if _, err := out[table].Write(r.lines[table]); err != nil {
			return err
		}
	}
	return nil
}

func run(t *testing.T, rows tpch.Source, o testcluster.Options) {
	ctx := context.Background()
	c := testcluster.Start(t, o)
	require.NoError(t, tpch.Load(ctx, c.DB, "tpch", rows, nil))
	require.NoError(t, tpch.Analyze(ctx, c.DB, "tpch"))
	loaded, err := tpch.Loaded(ctx, c.DB, "tpch", scale)
	require.NoError(t, err)
	require.True(t, loaded)

	askBoth(ctx, t, c.DB, o.Stores < 2)
	c.WaitColumns()
	t.Run("columns", func(t *testing.T) { askBoth(ctx, t, c.DB, false) })
	require.Positive(t, c.Columns().RowsFromColumns)
	c.WaitColumns()
	if o.Stores >= 2 {
		t.Run("stores of another process", func(t *testing.T) { askBoth(ctx, t, c.Remote(), false) })
	}
}

// askBoth asks with joins on the stores, and also without if alsoWithout.
func askBoth(ctx context.Context, t *testing.T, db *sql.DB, alsoWithout bool) {
	conn, err := db.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "USE tpch")
	require.NoError(t, err)
	settings := []string{"ON"}
	if alsoWithout {
		settings = append(settings, "OFF")
	}
	for _, setting := range settings {
		_, err := conn.ExecContext(ctx, "SET tidb_opt_broadcast_join = "+setting)
		require.NoError(t, err)
		t.Run("joins on the stores "+setting, func(t *testing.T) { ask(ctx, t, conn) })
	}
}

// ask compares the answers to all queries with those of MariaDB.
func ask(ctx context.Context, t *testing.T, conn *sql.Conn) {
	for _, q := range tpch.Queries() {
		t.Run(q.Name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("../../testdata/tpch/sf0.01", q.Name+".tsv"))
			require.NoError(t, err)
			got, err := tpch.Rows(ctx, conn, q.Text)
			require.NoError(t, err)
			if diff := tpch.Diff(got, strings.Split(strings.TrimSuffix(string(want), "\n"), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
