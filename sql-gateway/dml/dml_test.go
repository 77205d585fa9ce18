package dml

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// TestStatements runs scripts of statements on a store in memory:
//
//	create              a CREATE TABLE statement
//	exec [lax] [zone=]  statements, one a line; prints what the client is told
//	load [terminated]   LOAD DATA, the input after a line "---"
//	rows                all rows of all tables, by key
//	entries             all index entries, decoded by the reader of index scans
func TestStatements(t *testing.T) {
	datadriven.Walk(t, "testdata/statements", func(t *testing.T, path string) {
		w := newWorld(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.t, w.strict = t, !d.HasArg("lax")
			if d.HasArg("zone") {
				var hours int
				d.ScanArgs(t, "zone", &hours)
				w.zone = time.FixedZone("test", hours*3600)
			}
			switch d.Cmd {
			case "create":
				w.create(d.Input)
				return ""
			case "exec":
				return w.exec(strings.Split(d.Input, "\n"), d.HasArg("now"))
			case "load":
				sql, data, _ := strings.Cut(d.Input, "\n---\n")
				return w.run(func(ctx context.Context, env *Env) (*Result, error) {
					return LoadData(ctx, env, parse(t, sql).(*ast.LoadDataStmt), strings.NewReader(data))
				})
			case "backfill":
				return w.backfill(d.Input)
			case "rows":
				return w.dumpRows()
			case "entries":
				return w.dumpEntries()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func (w *world) exec(lines []string, now bool) string {
	var out strings.Builder
	for _, sql := range lines {
		out.WriteString(w.run(func(ctx context.Context, env *Env) (*Result, error) {
			env.CheckNow = now
			switch stmt := parse(w.t, sql).(type) {
			case *ast.UpdateStmt:
				return Update(ctx, env, stmt)
			case *ast.DeleteStmt:
				return Delete(ctx, env, stmt)
			default:
				return Insert(ctx, env, stmt.(*ast.InsertStmt))
			}
		}))
	}
	return out.String()
}

func (w *world) backfill(index string) string {
	name, ix, _ := strings.Cut(index, ".")
	t := w.tables[name]
	for _, x := range t.Indexes {
		if x.Name == ix {
			return w.run(func(ctx context.Context, env *Env) (*Result, error) {
				return newResult(), BackfillIndex(ctx, env, t, x)
			})
		}
	}
	return "no such index"
}

// run runs and commits one statement, checking must-not-exist as a store does.
func (w *world) run(f func(context.Context, *Env) (*Result, error)) string {
	ctx := context.Background()
	env := w.env(ctx)
	res, err := f(ctx, env)
	var out strings.Builder
	if err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
	} else {
		w.commit(ctx, env.Txn)
		fmt.Fprintf(&out, "affected %d", res.Affected)
		if res.LastInsertID != 0 {
			fmt.Fprintf(&out, ", last id %d", res.LastInsertID)
		}
		if res.Info != "" {
			fmt.Fprintf(&out, ", %s", res.Info)
		}
		out.WriteString("\n")
	}
	for _, warning := range w.warnings.List {
		fmt.Fprintf(&out, "warning: %s (%d)\n", warning.Msg, warning.Code)
	}
	return out.String()
}

func (w *world) dumpRows() string {
	var out strings.Builder
	w.each(func(k tablekey.Key, key, val []byte) {
		if k.Index {
			return
		}
		for _, t := range w.tables {
			if t.ID != k.TableID {
				continue
			}
			tg, err := newTarget(w.env(context.Background()), t)
			require.NoError(w.t, err)
			r, err := tg.read(k.Rest, val)
			require.NoError(w.t, err)
			fmt.Fprintf(&out, "%s:", t.Name)
			for i, d := range r {
				fmt.Fprintf(&out, " %s", show(d, tg.fields[i]))
			}
			out.WriteString("\n")
		}
	})
	return out.String()
}

func show(d datum.Datum, f *field) string {
	switch {
	case d.IsNull():
		return "NULL"
	case d.Kind() == datum.Bytes && f.isBinary():
		return "x" + hex.EncodeToString(d.Bytes())
	case d.Kind() == datum.Bytes || d.Kind() == datum.JSON:
		return fmt.Sprintf("'%s'", d.AppendText(nil, f.ft))
	}
	return string(d.AppendText(nil, f.ft))
}

func (w *world) dumpEntries() string {
	var out strings.Builder
	w.each(func(k tablekey.Key, key, val []byte) {
		if !k.Index {
			return
		}
		for _, t := range w.tables {
			if t.ID != k.TableID {
				continue
			}
			ix := t.Indexes[k.IndexID-1]
			var cols []row.Column
			var ids []int64
			for _, p := range ix.Columns {
				cols = append(cols, row.Column{ID: t.Columns[p.Offset].ID, Type: t.Columns[p.Offset].Type})
			}
			if t.CommonHandle {
				for _, c := range t.HandleColumns() {
					cols = append(cols, row.Column{ID: t.Columns[c].ID, Type: t.Columns[c].Type})
					ids = append(ids, t.Columns[c].ID)
				}
			} else {
				cols = append(cols, row.Column{ID: row.ColumnHandle, Type: handleType})
			}
			dec, err := row.NewIndexDecoder(cols, ids, w.zone)
			require.NoError(w.t, err)
			b := builders(cols)
			require.NoError(w.t, dec.Decode(key, val, b))
			fmt.Fprintf(&out, "%s.%s:", t.Name, ix.Name)
			for i, c := range cols {
				d := datum.FromColumn(b[i].Array(), 0, c.Type)
				fmt.Fprintf(&out, " %s", show(d, &field{ft: c.Type}))
			}
			fmt.Fprintf(&out, " [%x]\n", val)
		}
	})
	return out.String()
}

var handleType = &fieldType{Tp: 8}

func (w *world) each(f func(k tablekey.Key, key, val []byte)) {
	for _, key := range w.store.keys() {
		k, err := tablekey.Decode([]byte(key))
		require.NoError(w.t, err)
		f(k, []byte(key), w.store.data[key])
	}
}

// A duplicate that only the store can find is told in the words of the statement that caused it.
func TestDuplicateErrorOfKey(t *testing.T) {
	w := newWorld(t)
	tbl := w.create("CREATE TABLE d (a VARCHAR(20) COLLATE utf8mb4_general_ci, b INT, c DATE, PRIMARY KEY (a, b), UNIQUE KEY uc (c))")
	ctx := context.Background()
	env := w.env(ctx)
	_, err := Insert(ctx, env, parse(t, "INSERT INTO d VALUES ('Ab', 7, '2024-01-02')").(*ast.InsertStmt))
	require.NoError(t, err)
	var got []string
	it := env.Txn.Scan(ctx, kvclient.KeyRange{}, false)
	for {
		k, v, ok, err := it.Next()
		require.NoError(t, err)
		if !ok {
			break
		}
		got = append(got, DuplicateError(tbl, k, v).Error())
	}
	require.Equal(t, []string{
		"Duplicate entry '2024-01-02' for key 'd.uc' (1062)",
		"Duplicate entry 'Ab-7' for key 'd.PRIMARY' (1062)",
	}, got)
}

// Conflicts of a chunk are looked up with one request, and with a look at the range alone where nothing is in it.
func TestLookupsAreBatched(t *testing.T) {
	w := newWorld(t)
	w.create("CREATE TABLE n (a INT PRIMARY KEY)")
	values := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, ",(%d)", i)
		}
		return "INSERT IGNORE INTO n VALUES " + b.String()[1:]
	}
	require.Equal(t, "affected 500, Records: 500  Duplicates: 0  Warnings: 0\n", w.exec([]string{values(0, 500)}, false))
	require.Zero(t, w.store.gets)
	require.Contains(t, w.exec([]string{values(400, 600)}, false), "affected 100, Records: 200  Duplicates: 100  Warnings: 100\n")
	require.Equal(t, 1, w.store.gets)
}
