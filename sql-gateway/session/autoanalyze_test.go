package session

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAutoAnalyze(t *testing.T) {
	ctx := context.Background()
	db := open(t, "")
	for _, sql := range []string{
		"CREATE TABLE t (a INT PRIMARY KEY, b INT)",
		"INSERT INTO t VALUES (1, 1), (2, 1), (3, 1), (4, 2), (5, NULL)",
		"INSERT INTO t SELECT a + 5, b FROM t",
	} {
		_, err := db.ExecContext(ctx, sql)
		require.NoError(t, err)
	}
	var name string
	require.NoError(t, db.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&name))
	table, err := testServer.catalog.Current().Table(name, "t")
	require.NoError(t, err)
	require.Equal(t, 10.0, testServer.catalog.RowCount(table), "counted as they were written")
	require.Zero(t, testServer.catalog.NDV(table, 1))

	require.NoError(t, testServer.analyzeQuietly(ctx, table))
	require.Equal(t, 10.0, testServer.catalog.RowCount(table))
	require.Equal(t, 2.0, testServer.catalog.NDV(table, 1))
	st, _ := testServer.catalog.Stats(table.ID)
	require.Zero(t, st.Changed)
}

func TestRandomFunctions(t *testing.T) {
	var a, b string
	var r float64
	require.NoError(t, open(t, "").QueryRowContext(context.Background(), "SELECT UUID(), UUID(), RAND()").Scan(&a, &b, &r))
	require.NotEqual(t, a, b)
	require.True(t, r >= 0 && r < 1)
}
