package process

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A data directory has one process; SIGTERM ends that with code 0, and the next one finds the data.
func TestStopAndStartAgain(t *testing.T) {
	dir, offset := t.TempDir(), freeOffset(t)
	first := start(t, dir, "--port-offset", offset)
	db := first.open(t)
	mustExec(t, db, "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(20))", "INSERT INTO t VALUES (1, 'one'), (2, NULL)")

	_, stderr, code := scree(t, "playground", "--data-dir", dir, "--port-offset", freeOffset(t))
	require.NotZero(t, code)
	require.Contains(t, stderr, dir)
	require.Contains(t, stderr, fmt.Sprintf("in use by process %d", first.cmd.Process.Pid))
	_, stderr, code = scree(t, "playground", "--data-dir", t.TempDir(), "--port-offset", offset)
	require.NotZero(t, code)
	require.Contains(t, stderr, "address already in use")

	require.Equal(t, 0, first.stop(t), first.stderr.String())
	require.Empty(t, first.stderr.String(), "an orderly end has nothing to complain about")

	second := start(t, dir, "--port-offset", offset)
	rows := queryShell(t, second, "SELECT * FROM test.t ORDER BY a")
	require.Equal(t, "a\tb\n1\tone\n2\tNULL\n", rows)
	require.Equal(t, 0, second.stop(t))
}

// shellArgs are the arguments of `scree sql` for a gateway.
func shellArgs(t *testing.T, p *process, args ...string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(p.mysql)
	require.NoError(t, err)
	return append([]string{"sql", "--host", host, "--port", port}, args...)
}

// queryShell is what `scree sql` prints in batch form.
func queryShell(t *testing.T, p *process, statement string) string {
	t.Helper()
	out, stderr, code := scree(t, shellArgs(t, p, "--batch", "-e", statement)...)
	require.Equal(t, 0, code, stderr)
	return out
}

func TestShell(t *testing.T) {
	p := start(t, t.TempDir(), "--port-offset", freeOffset(t))
	out, stderr, code := scree(t, shellArgs(t, p, "-e", "SELECT 1 AS one, NULL AS nothing; SELECT 'two'")...)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, out, "| one | nothing |")
	require.Contains(t, out, "|   1 | NULL ")
	require.Contains(t, out, "| two |")

	out, stderr, code = scree(t, shellArgs(t, p, "-e", "SELEKT 1; SELECT 2")...)
	require.NotZero(t, code)
	require.Contains(t, stderr, "ERROR 1064 (42000)")
	require.NotContains(t, out, "2", "a failure ends the script")
	out, stderr, code = scree(t, shellArgs(t, p, "--force", "--batch", "-e", "SELECT * FROM test.none; SELECT 2")...)
	require.NotZero(t, code)
	require.Contains(t, stderr, "ERROR 1146 (42S02)")
	require.Equal(t, "2\n2\n", out)

	_, stderr, code = scree(t, "sql", "--port", strconv.Itoa(1), "-e", "SELECT 1")
	require.NotZero(t, code)
	require.Contains(t, stderr, "127.0.0.1:1")
}

// The template starts a cluster; what a configuration says wrong is refused by its name.
func TestConfiguration(t *testing.T) {
	template, err := filepath.Abs("../../etc/scree.toml")
	require.NoError(t, err)
	p := start(t, t.TempDir(), "--config", template, "--port-offset", freeOffset(t))
	require.Equal(t, 0, p.stop(t))

	for text, want := range map[string]string{
		"storse = 3":                           "unknown key storse",
		"[raft]\nspeed = 1":                    "unknown key raft.speed",
		"stores = 99":                          "stores = 99 is out of range [1, 16]",
		"[storage]\nblock-cache = \"plenty\"":  "block-cache",
		"[log]\nlevel = \"loud\"":              "log.level",
		"[raft]\nregion-split-size = \"1KiB\"": "raft.region-split-size",
	} {
		file := filepath.Join(t.TempDir(), "scree.toml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		out, stderr, code := scree(t, "playground", "--config", file, "--data-dir", t.TempDir())
		require.NotZero(t, code, text)
		require.Empty(t, out, text)
		require.Contains(t, stderr, want)
	}
	_, stderr, code := scree(t, "playground", "--stores", "0", "--data-dir", t.TempDir())
	require.NotZero(t, code)
	require.Contains(t, stderr, "stores = 0 is out of range")
}

// pricing is TPC-H's Q1 in small.
const pricing = `SELECT l_returnflag, COUNT(*), SUM(l_extendedprice * (1 - l_discount)), AVG(l_quantity), MAX(l_comment)
	FROM lineitem WHERE l_shipdate <= DATE '1998-09-02' GROUP BY l_returnflag`

// TestDAG explains an aggregate as the DAG that the gateway pushes, and sends that by hand, in every encoding and format.
func TestDAG(t *testing.T) {
	p := start(t, t.TempDir(), "--port-offset", freeOffset(t))
	mustExec(t, p.open(t),
		`CREATE TABLE lineitem (l_orderkey BIGINT, l_linenumber INT, l_quantity DECIMAL(15,2), l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2),
			l_returnflag CHAR(1), l_shipdate DATE, l_comment VARCHAR(44), PRIMARY KEY (l_orderkey, l_linenumber))`,
		`INSERT INTO lineitem VALUES (1, 1, 17, 21168.23, 0.04, 'N', '1996-03-13', 'egular courts'), (1, 2, 36, 45983.16, 0.09, 'N', '1996-04-12', NULL),
			(3, 1, 45, 54058.05, 0.06, 'R', '1994-02-02', NULL), (3, 2, 49, 46796.47, 0.10, 'R', '1998-12-01', 'too late')`)
	file := filepath.Join(t.TempDir(), "q1.json")
	document, stderr, code := scree(t, shellArgs(t, p, "-NBr", "-D", "test", "-e", "EXPLAIN FORMAT='dag' "+pricing)...)
	require.Equal(t, 0, code, stderr)
	require.NoError(t, os.WriteFile(file, []byte(document), 0o644))

	// One region: the partial result is the whole of it, with AVG as count and sum, and the group last.
	want := map[string][]string{
		"N": {"2", "62166.1764", "2", "53.00", "egular courts"},
		"R": {"1", "50814.5670", "1", "45.00", "NULL"},
	}
	for _, encoding := range [][]string{nil, {"--default-encoding"}} {
		dag := func(format string) string {
			out, stderr, code := scree(t, append([]string{"dag", "--pd", p.pd, "-f", file, "--format", format}, encoding...)...)
			require.Equal(t, 0, code, stderr)
			return out
		}
		records, err := csv.NewReader(strings.NewReader(dag("csv"))).ReadAll()
		require.NoError(t, err)
		require.Equal(t, []string{"c0", "c1", "c2", "c3", "c4", "c5"}, records[0])
		require.Equal(t, want, byGroup(records[1:]))

		records = nil
		for line := range strings.Lines(dag("json")) {
			var cells []*string
			require.NoError(t, json.Unmarshal([]byte(line), &cells))
			records = append(records, orNULL(cells))
		}
		require.Equal(t, want, byGroup(records))

		table := dag("table")
		require.Contains(t, table, "62166.1764")
		require.Contains(t, table, "(2 rows)")
	}

	_, stderr, code = scree(t, "dag", "--pd", p.pd, "-f", file, "--format", "xml")
	require.NotZero(t, code)
	require.Contains(t, stderr, "xml")
	require.NoError(t, os.WriteFile(file, []byte(`{"dag": {"executors": [{"tp": "TypeNothing"}]}}`), 0o644))
	_, stderr, code = scree(t, "dag", "--pd", p.pd, "-f", file)
	require.NotZero(t, code)
	require.NotEmpty(t, stderr)
}

// byGroup files the rows of pricing under their group, which is the last column.
func byGroup(rows [][]string) map[string][]string {
	out := map[string][]string{}
	for _, r := range rows {
		out[r[len(r)-1]] = r[:len(r)-1]
	}
	return out
}

func orNULL(cells []*string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = "NULL"
		if c != nil {
			out[i] = *c
		}
	}
	return out
}
