package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/value"
)

// Scripts of statements on small tables, run against the in-memory cluster. Commands: ddl, insert table=…, query (rows),
// types (rows' column names and types), explain, dag (number of documents). An error prints its code.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		w := newWorld(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "ddl":
				for _, s := range strings.Split(d.Input, ";") {
					if strings.TrimSpace(s) != "" {
						w.ddl(s)
					}
				}
				return ""
			case "insert":
				var table string
				d.ScanArgs(t, "table", &table)
				w.insert(table, strings.Split(d.Input, "\n")...)
				return ""
			case "rows":
				var table string
				var n int
				d.ScanArgs(t, "table", &table)
				d.ScanArgs(t, "n", &n)
				w.rows[table] = float64(n)
				return ""
			}
			return w.script(d)
		})
	})
}

func (w *world) script(d *datadriven.TestData) string {
	switch d.Cmd {
	case "query":
		lines, err := w.query(d.Input)
		if err != nil {
			return errorText(err)
		}
		w.otherPlans(d.Input, lines)
		return strings.Join(lines, "\n")
	case "explain", "types", "dag":
		q, err := w.plan(d.Input)
		if err != nil {
			return errorText(err)
		}
		if d.Cmd == "explain" {
			return explainText(q)
		}
		if d.Cmd == "dag" {
			docs, err := q.ExplainDAG()
			if err != nil {
				return errorText(err)
			}
			return fmt.Sprintf("%d documents", len(docs))
		}
		var out []string
		for _, f := range q.Fields {
			out = append(out, fmt.Sprintf("%s: %s(%d,%d) flag %d %s.%s.%s", f.Name, typeName(f.Type), f.Type.Flen, f.Type.Decimal, f.Type.Flag, f.DB, f.Table, f.OrigName))
		}
		return strings.Join(out, "\n")
	}
	return "unknown command " + d.Cmd
}

// otherPlans runs a query under other beliefs about the sizes of the tables, which make other plans: index joins into each
// table, build sides swapped; joins on the stores, joins meant for the stores that find their build sides too large, joins at
// the root. The rows must stay the same.
func (w *world) otherPlans(sql string, want []string) {
	saved := w.rows
	defer func() { w.rows = saved }()
	for _, v := range []string{varBroadcastBytes, varBroadcastRows} {
		w.vars[v] = "0"
		w.otherSizes(sql, want)
		delete(w.vars, v)
	}
	w.otherSizes(sql, want)
}

func (w *world) otherSizes(sql string, want []string) {
	names := []string{"t", "u", "h"}
	for mask := range 1 << len(names) {
		w.rows = map[string]float64{}
		for i, n := range names {
			w.rows[n] = 3
			if mask&(1<<i) != 0 {
				w.rows[n] = 1e6
			}
		}
		got, err := w.query(sql)
		require.NoError(w.t, err, sql)
		if !strings.Contains(sql, "group_concat") {
			slices.Sort(got)
		}
		sorted := slices.Clone(want)
		slices.Sort(sorted)
		require.Equal(w.t, sorted, got, "%s\nwith rows %v", sql, w.rows)
	}
}

func errorText(err error) string {
	var pe *Error
	var ve *value.Error
	switch {
	case errors.As(err, &pe):
		return fmt.Sprintf("error %d: %s", pe.Code, pe.Message)
	case errors.As(err, &ve):
		return fmt.Sprintf("error %d: %s", ve.Code, ve.Message)
	}
	return "error: " + err.Error()
}
