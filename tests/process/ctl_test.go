package process

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ctl runs `scree ctl` on a playground and returns its rows.
func ctl(t *testing.T, p *process, args ...string) (rows []map[string]any) {
	t.Helper()
	out, stderr, code := scree(t, append([]string{"ctl", "--pd", p.pd, "--format", "json"}, args...)...)
	require.Equal(t, 0, code, stderr)
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var row map[string]any
		require.NoError(t, dec.Decode(&row))
		rows = append(rows, row)
	}
	return rows
}

// column lists one column of rows.
func column(rows []map[string]any, name string) (cells []any) {
	for _, r := range rows {
		cells = append(cells, r[name])
	}
	return cells
}

func TestCtl(t *testing.T) {
	p := start(t, t.TempDir(), "--port-offset", freeOffset(t))
	db := p.open(t)
	mustExec(t, db, "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(400), KEY by_b (b))",
		"INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, REPEAT('x', 400))", "UPDATE t SET b = 'uno' WHERE a = 1", "DELETE FROM t WHERE a = 2")

	stores := ctl(t, p, "stores")
	require.Len(t, stores, 1)
	require.Equal(t, "Up", stores[0]["state"])
	require.Equal(t, stores[0]["regions"], stores[0]["leaders"])

	require.Equal(t, []any{"Put", "Put"}, column(ctl(t, p, "mvcc", "table:t/1"), "type"))
	require.Equal(t, []any{"Del", "Put"}, column(ctl(t, p, "mvcc", "table:test.t/2"), "type"))
	require.Equal(t, []any{"write", "value"}, column(ctl(t, p, "mvcc", "table:t/3"), "record"))
	require.Empty(t, ctl(t, p, "mvcc", "table:t/99"))

	scanned := ctl(t, p, "scan", "table:t")
	require.Equal(t, []any{"test.t index by_b", "test.t index by_b", "test.t/1", "test.t/3"}, column(scanned, "of"))
	require.Len(t, ctl(t, p, "scan", "table:t", "--limit", "3"), 3)
	key := scanned[2]["key"].(string)
	require.Equal(t, scanned[2:3], ctl(t, p, "scan", key), "a printed key can be typed in")
	require.Equal(t, scanned[2:], ctl(t, p, "scan", "--start", key, "--end", "table:t/9"))
	require.Empty(t, ctl(t, p, "locks"))

	ctl(t, p, "split", "table:t/3")
	regions := ctl(t, p, "regions")
	require.Contains(t, column(regions, "start"), scanned[3]["key"])
	require.Contains(t, column(regions, "begins_in"), "test.t/3")
	require.Equal(t, scanned, ctl(t, p, "scan", "table:t"), "across regions")
	require.Len(t, ctl(t, p, "compact", "table:t"), 3)
	require.Equal(t, scanned, ctl(t, p, "scan", "table:t"))
	require.Equal(t, []any{"gc safe point", "txn safe point"}, column(ctl(t, p, "gc"), "what")[:2])

	txn, err := db.Begin()
	require.NoError(t, err)
	var rows, ts uint64
	require.NoError(t, txn.QueryRow("SELECT COUNT(*) FROM t").Scan(&rows))
	require.NoError(t, txn.QueryRow("SELECT @@tidb_current_ts").Scan(&ts))
	require.NoError(t, txn.Commit())
	mustExec(t, db, "DELETE FROM t")
	ctl(t, p, "flashback", fmt.Sprint(ts))
	require.Equal(t, column(scanned, "key"), column(ctl(t, p, "scan", "table:t"), "key"))

	for args, want := range map[string]string{
		"mvcc table:t":           "a key is needed",
		"mvcc table:none/1":      "1146",
		"scan table:t --start a": "either KEY or",
		"flashback yesterday":    "not a number",
	} {
		_, stderr, code := scree(t, append([]string{"ctl", "--pd", p.pd}, strings.Fields(args)...)...)
		require.NotZero(t, code, args)
		require.Contains(t, stderr, want, args)
	}
}
