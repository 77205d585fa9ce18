package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/tests/testcluster"
)

// longStatements are what BenchmarkCancel ends before their time: each spends it in another part of the system. little is for
// those that are to run out of memory and use files.
var longStatements = []struct {
	name, text string
	little     bool
}{
	{name: "scan", text: "SELECT COUNT(*) FROM lineitem WHERE l_comment LIKE '%a%b%c%d%e%f%g%'"},
	{name: "sort", text: "SELECT MAX(x) FROM (SELECT l_comment x FROM lineitem ORDER BY l_comment, l_extendedprice LIMIT 590000) t"},
	{name: "sort-files", text: "SELECT MAX(x) FROM (SELECT l_comment x FROM lineitem ORDER BY l_comment, l_extendedprice LIMIT 590000) t", little: true},
	{name: "groups", text: "SELECT l_comment, SUM(l_quantity) FROM lineitem GROUP BY l_comment HAVING SUM(l_quantity) < 0"},
	{name: "groups-files", text: "SELECT l_comment, SUM(l_quantity) FROM lineitem GROUP BY l_comment HAVING SUM(l_quantity) < 0", little: true},
	{name: "distinct", text: "SELECT COUNT(DISTINCT l_comment), COUNT(DISTINCT l_extendedprice, l_partkey) FROM lineitem"},
	{name: "distinct-files", text: "SELECT COUNT(DISTINCT l_comment), COUNT(DISTINCT l_extendedprice, l_partkey) FROM lineitem", little: true},
	{name: "join", text: "SELECT COUNT(*) FROM lineitem a JOIN lineitem b ON a.l_partkey = b.l_partkey AND a.l_comment < b.l_comment"},
	{name: "join-build", text: "SELECT COUNT(*) FROM lineitem a JOIN lineitem b ON a.l_comment = b.l_comment AND a.l_tax <> b.l_tax"},
	{name: "join-files", text: "SELECT COUNT(*) FROM lineitem a JOIN lineitem b ON a.l_comment = b.l_comment AND a.l_tax <> b.l_tax", little: true},
	{name: "join-skewed", text: "SELECT COUNT(*) FROM lineitem a JOIN lineitem b ON a.l_linestatus = b.l_linestatus AND a.l_comment < b.l_comment"},
	{name: "cross-join", text: "SELECT COUNT(*) FROM orders a JOIN orders b ON a.o_custkey + b.o_custkey = 7"},
	{name: "apply", text: "SELECT COUNT(*) FROM orders o WHERE o_totalprice > (SELECT AVG(l_tax) FROM lineitem WHERE l_comment > o.o_comment)"},
	{name: "window", text: "SELECT SUM(x) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY l_suppkey ORDER BY l_comment) x FROM lineitem) t"},
	{name: "window-files", text: "SELECT SUM(x) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY l_suppkey ORDER BY l_comment) x FROM lineitem) t", little: true},
	{name: "window-frame", text: "SELECT MAX(x) FROM (SELECT MAX(l_comment) OVER (ORDER BY l_orderkey ROWS BETWEEN 50000 PRECEDING AND CURRENT ROW) x FROM lineitem) t"},
	{name: "window-range", text: "SELECT MAX(x) FROM (SELECT SUM(l_tax) OVER (ORDER BY l_linestatus) x FROM lineitem) t"},
	{name: "regexp", text: "SELECT COUNT(*) FROM lineitem WHERE l_comment REGEXP '(a|b|c)+.*(x|y)?z{3}'"},
	{name: "regexp-look-ahead", text: "SELECT COUNT(*) FROM lineitem WHERE l_comment REGEXP '(?=.*a).*?q{3}'"},
	{name: "regexp-long", text: "SELECT LENGTH(REGEXP_REPLACE(REPEAT('abc ', 4000000), '(a|b)+', 'x'))"},
	{name: "long-texts", text: "SELECT COUNT(*) FROM orders WHERE SHA2(REPEAT(o_comment, 1000), 512) = 'x'"},
	{name: "group-concat", text: "SELECT LENGTH(GROUP_CONCAT(l_comment ORDER BY l_comment, l_extendedprice)) FROM lineitem"},
	{name: "json", text: "SELECT LENGTH(JSON_ARRAYAGG(l_comment)) FROM lineitem"},
	{name: "look-up", text: "SELECT SUM(l_tax) FROM lineitem USE INDEX (by_part) WHERE l_partkey > 100"},
	{name: "index-join", text: "SELECT SUM(l_tax) FROM part STRAIGHT_JOIN lineitem USE INDEX (by_part) ON l_partkey = p_partkey"},
	{name: "analyze", text: "ANALYZE TABLE lineitem"},
	{name: "insert", text: "INSERT INTO copy SELECT * FROM lineitem"},
	{name: "update", text: "UPDATE lineitem SET l_tax = l_tax + 0.01 WHERE l_orderkey < 100000"},
	{name: "add-index", text: "ALTER TABLE lineitem ADD INDEX by_comment (l_comment)"},
	{name: "wait", text: "SELECT SLEEP(5)"},
}

// BenchmarkCancel is how long after KILL QUERY a statement has returned, and how long until its goroutines are gone and its memory
// is given back: the longest of each, at moments spread over the time that the statement takes. Give -benchtime 20x or so.
func BenchmarkCancel(b *testing.B) {
	dir := *scanData
	if dir == "" {
		dir = b.TempDir()
	}
	if _, err := os.Stat(filepath.Join(dir, "store-1")); os.IsNotExist(err) {
		loadScanData(b, dir)
	}
	memory := executor.NewMemory(4 << 30)
	c := testcluster.Start(b, testcluster.Options{Dir: dir, Memory: memory})
	k := &canceller{b: b, db: c.DB, memory: memory}
	k.prepare()
	for _, s := range longStatements {
		b.Run(s.name, func(b *testing.B) {
			k.b = b
			quota := int64(2 << 30)
			if s.little {
				quota = 24 << 20
			}
			k.benchmark(s.text, quota)
		})
	}
}

type canceller struct {
	b      *testing.B
	db     *sql.DB
	memory *executor.Memory
}

func (k *canceller) prepare() {
	for _, s := range []string{
		"USE tpch", "SET GLOBAL tidb_enable_auto_analyze = OFF", "CREATE TABLE IF NOT EXISTS copy LIKE lineitem",
		"CREATE INDEX IF NOT EXISTS by_part ON lineitem (l_partkey)",
	} {
		_, err := k.db.Exec(s)
		require.NoError(k.b, err, s)
	}
}

// benchmark measures how a statement of quota bytes of memory ends. Its time is that of a first run, of which no more than
// wholeMax counts.
func (k *canceller) benchmark(text string, quota int64) {
	const wholeMax = 4 * time.Second
	whole := wholeMax
	if took, _, err := k.run(text, quota, wholeMax); err == nil {
		whole = took
	}
	var returned, gone []time.Duration
	for i := range k.b.N {
		at := whole * time.Duration(2*i+1) / time.Duration(2*k.b.N)
		took, left, err := k.run(text, quota, at)
		if err == nil {
			continue // it was faster this time
		}
		returned, gone = append(returned, took-at), append(gone, left-at)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	k.b.ReportMetric(0, "ns/op")
	k.b.ReportMetric(ms(whole), "whole-ms")
	k.b.ReportMetric(float64(len(returned)), "cancelled")
	if len(returned) > 0 {
		slices.Sort(returned)
		k.b.ReportMetric(ms(returned[len(returned)/2]), "median-ms")
		k.b.ReportMetric(ms(slices.Max(returned)), "returned-ms")
		k.b.ReportMetric(ms(slices.Max(gone)), "gone-ms")
	}
}

// run executes a statement and kills it at a time. It returns how long the statement took, and how long until nothing was left of
// it. The error is the statement's, nil if that was faster than the killer.
func (k *canceller) run(text string, quota int64, at time.Duration) (took, gone time.Duration, err error) {
	ctx := context.Background()
	conn, err := k.db.Conn(ctx)
	require.NoError(k.b, err)
	defer func() { require.NoError(k.b, conn.Close()) }()
	var id int64
	require.NoError(k.b, conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id))
	for _, s := range []string{
		"USE tpch", fmt.Sprintf("SET tidb_mem_quota_query = %d", quota), "SET group_concat_max_len = 1 << 30", "TRUNCATE TABLE copy",
	} {
		_, err := conn.ExecContext(ctx, s)
		require.NoError(k.b, err, s)
	}
	idle := runtime.NumGoroutine()
	killed := make(chan error, 1)
	begin := time.Now()
	timer := time.AfterFunc(at, func() {
		_, err := k.db.Exec(fmt.Sprintf("KILL QUERY %d", id))
		killed <- err
	})
	err = drain(ctx, conn, text)
	took = time.Since(begin)
	if timer.Stop() {
		require.NoError(k.b, err, text)
	} else {
		require.NoError(k.b, <-killed)
	}
	for k.memory.Used() > 0 || runtime.NumGoroutine() > idle+2 { // the killer's connection has some
		require.Less(k.b, time.Since(begin), time.Minute, "%d bytes, %d goroutines of %d", k.memory.Used(), runtime.NumGoroutine(), idle)
		time.Sleep(time.Millisecond)
	}
	return took, time.Since(begin), err
}

// drain reads all rows of a statement.
func drain(ctx context.Context, conn *sql.Conn, text string) error {
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}
