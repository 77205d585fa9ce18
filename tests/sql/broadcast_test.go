package sql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/sql-gateway/tpch"
	"github.com/scree-db/scree/tests/testcluster"
)

// Joins with a small side run on the stores, region by region, and give what they give at the root; so do those whose small
// side proves to be too large, and those over rows that only the transaction has.
func TestBroadcastJoins(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	c.Exec("CREATE TABLE f (id INT PRIMARY KEY, a INT, b INT)")
	c.Exec("CREATE TABLE d (x INT PRIMARY KEY, y VARCHAR(10))")
	var facts []string
	for i := range 6000 {
		facts = append(facts, fmt.Sprintf("(%d, %d, NULLIF(%d, 3))", i, i%100, i%7))
	}
	c.Exec("INSERT INTO f VALUES " + strings.Join(facts, ","))
	for i := range 50 {
		c.Exec(fmt.Sprintf("INSERT INTO d VALUES (%d, 'name %d')", i*3, i%4))
	}
	c.Exec("ANALYZE TABLE f")
	c.Exec("ANALYZE TABLE d")
	ctx := context.Background()
	conn, err := c.DB.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	splitTable(t, c, conn, "f", 1500, 3000, 4500)

	queries := []string{
		"SELECT d.y, COUNT(*), SUM(f.b), MIN(f.id) FROM f JOIN d ON f.a = d.x GROUP BY d.y ORDER BY d.y",
		"SELECT COUNT(*), COUNT(d.x), AVG(f.b) FROM f LEFT JOIN d ON f.a = d.x AND f.b > 1",
		"SELECT f.id, d.y FROM f JOIN d ON f.a = d.x WHERE f.b = 2 ORDER BY f.id DESC LIMIT 7",
		"SELECT COUNT(*) FROM f WHERE a NOT IN (SELECT x FROM d WHERE y = 'name 1')",
		"SELECT COUNT(*) FROM f WHERE b NOT IN (SELECT x FROM d)",
		"SELECT COUNT(*) FROM f WHERE EXISTS (SELECT 1 FROM d WHERE d.x = f.a AND d.y > 'name 2')",
	}
	atRoot := answers(t, conn, "SET tidb_opt_broadcast_join = OFF", queries)
	require.Equal(t, atRoot, answers(t, conn, "SET tidb_opt_broadcast_join = ON", queries))
	require.Equal(t, []string{"name 0", "name 1", "name 2", "name 3"}, []string{
		atRoot[0][0][:6], atRoot[0][1][:6], atRoot[0][2][:6], atRoot[0][3][:6]})

	for _, q := range queries {
		joins, err := tpch.Rows(ctx, conn, "EXPLAIN ANALYZE "+q)
		require.NoError(t, err)
		text := strings.Join(joins, "\n")
		require.Regexp(t, `HashJoin_\d+\t[\d.]+\t[1-9]\d*\tcop\[scree\]\t\tscree_task:\{.*tasks:4\}`, text, q)
	}
	require.Equal(t, atRoot, answers(t, conn, "SET tidb_broadcast_join_threshold_size = 0", queries), "too large at run time")
	require.Equal(t, atRoot, answers(t, conn, "SET tidb_broadcast_join_threshold_size = DEFAULT", queries))

	for _, stmt := range []string{"BEGIN", "DELETE FROM f WHERE id % 2 = 0", "UPDATE f JOIN d ON f.a = d.x SET f.b = 1 WHERE d.y = 'name 2'",
		"INSERT INTO d VALUES (1, 'mine')"} {
		_, err := conn.ExecContext(ctx, stmt)
		require.NoError(t, err, stmt)
	}
	mine := answers(t, conn, "SET tidb_opt_broadcast_join = ON", queries)
	require.NotEqual(t, atRoot, mine)
	require.Equal(t, mine, answers(t, conn, "SET tidb_opt_broadcast_join = OFF", queries))
}

// Stores of another process that have no room for a build side leave the join to the gateway, which says nothing of it but the
// same answers.
func TestBroadcastWithoutRoom(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{StoreMemory: executor.NewMemory(256 << 10)})
	c.Exec("CREATE TABLE f (id INT PRIMARY KEY, a INT, b INT)", "CREATE TABLE d (x INT PRIMARY KEY, y VARCHAR(200))")
	const facts, names = 6000, 500
	insertMany(c, "f", facts, func(i int) string { return fmt.Sprintf("(%d, %d, NULLIF(%d, 3))", i, i%700, i%7) })
	insertMany(c, "d", names, func(i int) string { return fmt.Sprintf("(%d, '%s%d')", i, strings.Repeat("a long name ", 15), i%5) })
	c.Exec("ANALYZE TABLE f", "ANALYZE TABLE d")
	ctx := context.Background()
	conn, err := c.DB.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	splitTable(t, c, conn, "f", 1500, 3000, 4500)
	queries := []string{
		"SELECT d.y, COUNT(*), SUM(f.b), MIN(f.id) FROM f JOIN d ON f.a = d.x WHERE f.b > 0 GROUP BY d.y ORDER BY d.y",
		"SELECT f.id, d.y, f.b / 7 FROM f LEFT JOIN d ON f.a = d.x AND f.b > 1 WHERE f.id % 50 = 0 ORDER BY f.id",
		"SELECT COUNT(*), SUM(f.b + 'x') FROM f JOIN d ON f.a = d.x JOIN d e ON e.x = f.a + 1 WHERE f.b IS NOT NULL",
	}
	want := answers(t, conn, "SET tidb_opt_broadcast_join = OFF", queries)

	conn, err = c.Remote().Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, want, answers(t, conn, "SET tidb_opt_broadcast_join = ON", queries))
	plan, err := tpch.Rows(ctx, conn, "EXPLAIN ANALYZE "+queries[0])
	require.NoError(t, err)
	text := strings.Join(plan, "\n")
	require.Regexp(t, `HashJoin_\d+\t[\d.]+\t0\tcop\[scree\]`, text, "the store has not joined")
	require.Regexp(t, `Selection_\d+\(Probe\)\t[\d.]+\t4285\tcop\[scree\]`, text, "but filtered")
	plan, err = tpch.Rows(ctx, conn, "EXPLAIN ANALYZE "+queries[2])
	require.NoError(t, err)
	require.Regexp(t, `HashJoin_\d+\t[\d.]+\t[1-9]\d*\tcop\[scree\]`, strings.Join(plan, "\n"), "there is room for less")
}

func insertMany(c *testcluster.Cluster, table string, n int, row func(i int) string) {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = row(i)
	}
	c.Exec("INSERT INTO " + table + " VALUES " + strings.Join(rows, ","))
}

// answers are the rows of queries after a statement.
func answers(t *testing.T, conn *sql.Conn, first string, queries []string) (out [][]string) {
	t.Helper()
	_, err := conn.ExecContext(context.Background(), first)
	require.NoError(t, err)
	for _, q := range queries {
		rows, err := tpch.Rows(context.Background(), conn, q)
		require.NoError(t, err, q)
		out = append(out, rows)
	}
	return out
}

// splitTable splits a table's records at handles.
func splitTable(t *testing.T, c *testcluster.Cluster, conn *sql.Conn, table string, handles ...int64) {
	t.Helper()
	var id int64
	require.NoError(t, conn.QueryRowContext(context.Background(),
		"SELECT tidb_table_id FROM information_schema.tables WHERE table_name = ?", table).Scan(&id))
	var keys [][]byte
	for _, h := range handles {
		keys = append(keys, tablekey.AppendRecordKey(nil, id, tablekey.IntHandle(h)))
	}
	require.NoError(t, c.Client.Split(context.Background(), keys))
}
