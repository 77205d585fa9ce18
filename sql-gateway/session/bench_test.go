package session

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchTable makes a table of n rows.
func benchTable(b *testing.B, n int) *sql.Conn {
	db, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/test", testServer.Addr()))
	require.NoError(b, err)
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	require.NoError(b, err)
	b.Cleanup(func() {
		conn.Close()
		db.Close()
	})
	for _, text := range []string{"drop table if exists bench", "create table bench (id int primary key, k int, c char(120), key (k))"} {
		_, err = conn.ExecContext(ctx, text)
		require.NoError(b, err)
	}
	const each = 1000
	for from := 0; from < n; from += each {
		rows := make([]string, each)
		for i := range rows {
			rows[i] = fmt.Sprintf("(%d,%d,'%0100d')", from+i, i, from+i)
		}
		_, err = conn.ExecContext(ctx, "insert into bench values "+strings.Join(rows, ","))
		require.NoError(b, err)
	}
	return conn
}

func BenchmarkPointSelect(b *testing.B) {
	conn := benchTable(b, 10_000)
	ctx := context.Background()
	st, err := conn.PrepareContext(ctx, "select c from bench where id = ?")
	require.NoError(b, err)
	var c string
	i := 0
	for b.Loop() {
		require.NoError(b, st.QueryRowContext(ctx, i%10_000).Scan(&c))
		i++
	}
}

func BenchmarkUpdateByKey(b *testing.B) {
	conn := benchTable(b, 1000)
	ctx := context.Background()
	st, err := conn.PrepareContext(ctx, "update bench set k = k + 1 where id = ?")
	require.NoError(b, err)
	i := 0
	for b.Loop() {
		_, err := st.ExecContext(ctx, i%1000)
		require.NoError(b, err)
		i++
	}
}

// BenchmarkSelectAll streams a table to the client.
func BenchmarkSelectAll(b *testing.B) {
	const n = 50_000
	conn := benchTable(b, n)
	ctx := context.Background()
	for b.Loop() {
		rows, err := conn.QueryContext(ctx, "select * from bench")
		require.NoError(b, err)
		count := 0
		for rows.Next() {
			count++
		}
		require.NoError(b, rows.Err())
		require.Equal(b, n, count)
	}
	b.SetBytes(n * 130)
}
