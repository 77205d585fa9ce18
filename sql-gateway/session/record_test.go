package session

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// resultText is the rows of a query, one line each.
func resultText(t *testing.T, rows *sql.Rows, err error) (lines []string) {
	t.Helper()
	require.NoError(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		require.NoError(t, rows.Scan(into...))
		lines = append(lines, fmt.Sprint(names, cells))
	}
	require.NoError(t, rows.Err())
	return lines
}

// A prepared read of one record gives with every parameter what the statement gives that is planned with it.
func TestPreparedReadsOfRecords(t *testing.T) {
	db := open(t, "")
	execAll(t, db, "create table ints (id int unsigned primary key, y year, v varchar(20) default 'none', ts timestamp null)",
		"insert into ints values (1, 2024, 'one', '2024-01-01 10:00:00'), (0, 1999, '', null), (4294967295, 2000, 'max', null)",
		"create table pairs (a varchar(10) collate utf8mb4_general_ci, b bigint, d decimal(10,2), primary key (a, b))",
		"insert into pairs values ('x', 1, 1.50), ('x', 2, null), ('Ärger', -5, 3)",
		"create table decimals (d decimal(10,2) primary key, e double)", "insert into decimals values (1.50, 1), (2, 2)",
		"create table years (y year primary key)", "insert into years values (2024), (1999)",
		"create table plain (v int)", "insert into plain values (1)")
	numbers := []any{1, 0, uint64(4294967295), -1, int64(1) << 40, uint64(1) << 63, "1", "1x", 1.0, 1.5, nil, true, []byte("1"), time.Now(), 24}
	texts := []any{"x", "X", "x ", "ärger", "y", nil, []byte("x"), []byte("X"), 1}
	for _, c := range []struct {
		query string
		args  [][]any
	}{
		{"select * from ints where id = ?", [][]any{numbers}},
		{"select v, id, v as again from ints i where ? = i.id", [][]any{numbers}},
		{"select v from ints where id = ? limit 1", [][]any{numbers}},
		{"select upper(v), id + 1 from ints where id = ?", [][]any{numbers}},
		{"select v from ints where id = ? and v = 'one'", [][]any{numbers}},
		{"select v from ints where id = ? and ? = 1", [][]any{numbers, {1, 2}}},
		{"select v, ? from ints where id = 1", [][]any{{1, "two"}}},
		{"select d, b from pairs where b = ? and a = ?", [][]any{{1, 2, -5, "2"}, texts}},
		{"select * from pairs where a = ?", [][]any{texts}},
		{"select * from decimals where d = ?", [][]any{{1.5, "1.5", 2, "1.501", nil}}},
		{"select * from years where y = ?", [][]any{{24, 2024, "99", 99}}},
		{"select * from plain where v = ?", [][]any{{1, 2}}},
	} {
		stmt, err := db.Prepare(c.query)
		require.NoError(t, err)
		for _, args := range product(c.args) {
			rows, err := stmt.Query(args...)
			got := resultText(t, rows, err)
			fresh, err := db.Query(c.query, args...) // prepares, runs once, and closes
			require.Equal(t, resultText(t, fresh, err), got, "%s %v", c.query, args)
		}
		require.NoError(t, stmt.Close())
	}
}

func execAll(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		mustExec(t, db, s)
	}
}

// product has each combination of the lists' elements.
func product(lists [][]any) (out [][]any) {
	out = [][]any{nil}
	for _, list := range lists {
		var next [][]any
		for _, head := range out {
			for _, v := range list {
				next = append(next, append(head[:len(head):len(head)], v))
			}
		}
		out = next
	}
	return out
}

// What a prepared read has learned gives way to what the session or the table has become.
func TestPreparedReadsFollowTheSession(t *testing.T) {
	ctx := context.Background()
	db := open(t, "")
	execAll(t, db, "create table t (id int primary key, v varchar(20), ts timestamp)", "insert into t values (1, 'one', '2024-01-01 10:00:00'), (2, 'two', '2024-01-01 10:00:00')",
		"create database if not exists elsewhere", "drop table if exists elsewhere.t", "create table elsewhere.t (id int primary key, w int)", "insert into elsewhere.t values (1, 100)")
	conn, err := db.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			_, err := conn.ExecContext(ctx, s)
			require.NoError(t, err, s)
		}
	}
	var home string
	require.NoError(t, conn.QueryRowContext(ctx, "select database()").Scan(&home))
	exec("set time_zone = '+00:00'")
	stmt, err := conn.PrepareContext(ctx, "select * from t where id = ?")
	require.NoError(t, err)
	defer stmt.Close()
	read := func(id int, want ...any) {
		t.Helper()
		rows, err := stmt.QueryContext(ctx, id)
		var lines []string
		for _, w := range want {
			lines = append(lines, w.(string))
		}
		require.Equal(t, lines, resultText(t, rows, err))
	}
	one := "[id v ts] [{1 true} {one true} {2024-01-01 10:00:00 true}]"
	read(1, one)
	read(1, one)
	read(3)
	exec("set time_zone = '+02:00'")
	read(1, "[id v ts] [{1 true} {one true} {2024-01-01 12:00:00 true}]")
	exec("set time_zone = '+00:00'")

	// Own writes are seen, those of others not before the next transaction.
	exec("begin")
	read(1, one)
	exec("update t set v = 'mine' where id = 1")
	mustExec(t, db, "update t set v = 'theirs' where id = 2")
	read(1, "[id v ts] [{1 true} {mine true} {2024-01-01 10:00:00 true}]")
	read(2, "[id v ts] [{2 true} {two true} {2024-01-01 10:00:00 true}]")
	exec("delete from t where id = 2")
	read(2)
	exec("rollback")
	read(2, "[id v ts] [{2 true} {theirs true} {2024-01-01 10:00:00 true}]")
	read(1, one)

	exec("use elsewhere")
	read(1, "[id w] [{1 true} {100 true}]")
	exec("use " + home)
	read(1, one)
	exec("alter table t add column more int default 7")
	read(1, "[id v ts more] [{1 true} {one true} {2024-01-01 10:00:00 true} {7 true}]")
	exec("drop table t", "create table t (v int, id varchar(5) primary key)", "insert into t values (5, '1')")
	read(1, "[v id] [{5 true} {1 true}]")
	exec("drop table t")
	_, err = stmt.QueryContext(ctx, 1)
	requireCode(t, 1146, err)
}

// sql_select_limit bounds queries that have no LIMIT of their own, prepared ones, too.
func TestSelectLimit(t *testing.T) {
	ctx := context.Background()
	db := open(t, "")
	execAll(t, db, "create table t (id int primary key)", "insert into t values (1), (2), (3)")
	conn, err := db.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	point, err := conn.PrepareContext(ctx, "select * from t where id = ?")
	require.NoError(t, err)
	defer point.Close()
	count := func(rows *sql.Rows, err error) int { return len(resultText(t, rows, err)) }
	require.Equal(t, 1, count(point.QueryContext(ctx, 1)))
	for limit, want := range map[string][5]int{"2": {2, 3, 2, 3, 1}, "0": {0, 3, 0, 3, 0}, "default": {3, 3, 6, 3, 1}} {
		_, err := conn.ExecContext(ctx, "set sql_select_limit = "+limit)
		require.NoError(t, err)
		got := [5]int{}
		for i, query := range []string{
			"select * from t", "select * from t limit 10", "select id from t union all select id from t",
			"(select id from t) union (select id from t) limit 5",
		} {
			got[i] = count(conn.QueryContext(ctx, query))
		}
		got[4] = count(point.QueryContext(ctx, 1))
		require.Equal(t, want, got, limit)
	}
}
