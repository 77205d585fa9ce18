package session

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// moment is a time of the cluster's, as a literal: what was committed before is seen there, what begins after is not.
func moment(t *testing.T) string {
	t.Helper()
	clock := func() int64 {
		ts, err := testServer.client.TS(context.Background())
		require.NoError(t, err)
		return int64(ts >> physicalShift)
	}
	at := clock() + 1
	for clock() < at {
		time.Sleep(time.Millisecond)
	}
	return time.UnixMilli(at).Format("2006-01-02 15:04:05.000")
}

// lines are the rows of a query, values with bars between.
func lines(t *testing.T, conn *sql.Conn, query string, args ...any) (out []string) {
	t.Helper()
	rows, err := conn.QueryContext(context.Background(), query, args...)
	require.NoError(t, err, query)
	defer rows.Close()
	cols, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		vals, ptrs := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		require.NoError(t, rows.Scan(ptrs...))
		line := ""
		for i, v := range vals {
			if i > 0 {
				line += "|"
			}
			line += v.String
		}
		out = append(out, line)
	}
	require.NoError(t, rows.Err())
	return out
}

func pastConn(t *testing.T) *sql.Conn {
	t.Helper()
	conn, err := open(t, "").Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	do(t, conn, "create table mark (a int)")
	return conn
}

func do(t *testing.T, conn *sql.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := conn.ExecContext(context.Background(), s)
		require.NoError(t, err, s)
	}
}

// refused runs a statement that has to fail.
func refused(t *testing.T, conn *sql.Conn, code uint16, message, statement string, args ...any) {
	t.Helper()
	_, err := conn.ExecContext(context.Background(), statement, args...)
	require.Error(t, err, statement)
	requireCode(t, code, err)
	require.Contains(t, err.Error(), message, statement)
}

func TestReadAsOf(t *testing.T) {
	conn := pastConn(t)
	do(t, conn, "create table t (id int primary key, a int, key (a))", "insert into t values (1, 10), (2, 20)")
	then := moment(t)
	do(t, conn, "update t set a = 11 where id = 1", "delete from t where id = 2", "insert into t values (3, 30)")

	at := "as of timestamp '" + then + "'"
	require.Equal(t, []string{"1|10", "2|20"}, lines(t, conn, "select * from t "+at+" order by id"))
	require.Equal(t, []string{"1|11", "3|30"}, lines(t, conn, "select * from t order by id"))
	for query, want := range map[string][]string{
		"select a from t " + at + " where id = 1":                                          {"10"}, // a point
		"select a from t " + at + " where id in (1, 2, 3) order by a":                      {"10", "20"},
		"select id from t " + at + " use index (a) where a between 5 and 25 order by a":    {"1", "2"},
		"select id, a from t " + at + " use index (a) where a > 15":                        {"2|20"},
		"select count(*), sum(a) from t " + at:                                             {"2|30"},
		"select y.id from t as x " + at + " join t as y " + at + " on x.a + 10 = y.a":      {"2"},
		"select * from (select a from t " + at + ") d order by a":                          {"10", "20"},
		"with c as (select a from t " + at + ") select max(a) from c":                      {"20"},
		"select a from t " + at + " where id = 1 union select a from t " + at + " limit 1": {"10"},
		"select a from t as of timestamp timestamp('" + then + "') where id = 1":           {"10"},
	} {
		require.Equal(t, want, lines(t, conn, query), query)
	}
	require.Contains(t, lines(t, conn, "explain analyze select * from t "+at)[0], "|2|", "rows")
	rows := lines(t, conn, "select a from t as of timestamp ? where id = ?", then, 1)
	require.Equal(t, []string{"10"}, rows)
}

// TestPastReadsFromReplicas: whatever tidb_replica_read says, but in transactions of the past alone.
func TestPastReadsFromReplicas(t *testing.T) {
	ctx := context.Background()
	s := newSession(testServer, nil)
	defer s.Close()
	now, err := testServer.client.TS(ctx)
	require.NoError(t, err)
	require.Equal(t, kvclient.FromLeader, s.newRun(ctx, &ast.SelectStmt{}, "", nil).replicas())
	require.NoError(t, s.goBack(ctx, now))
	require.Equal(t, kvclient.FromAnyStale, s.newRun(ctx, &ast.SelectStmt{}, "", nil).replicas())
	require.NoError(t, s.commit(ctx))
	require.Equal(t, kvclient.FromLeader, s.newRun(ctx, &ast.SelectStmt{}, "", nil).replicas())
}

func TestReadAsOfRefuses(t *testing.T) {
	conn := pastConn(t)
	do(t, conn, "create table t (id int primary key)", "create table u (id int)")
	then := moment(t)
	at := "as of timestamp '" + then + "'"
	const mixed = "can not set different time in the as of"
	refused(t, conn, codeAsOf, mixed, "select * from t "+at+", u")
	refused(t, conn, codeAsOf, mixed, "select * from t, u "+at)
	refused(t, conn, codeAsOf, mixed, "select * from t "+at+", u as of timestamp now(3) - interval 1 second")
	refused(t, conn, codeAsOf, mixed, "select * from (select * from t "+at+") d, u")
	refused(t, conn, codeAsOf, mixed, "select * from t where id in (select id from u "+at+")")
	refused(t, conn, codeAsOf, "cannot be NULL", "select * from t as of timestamp null")
	refused(t, conn, mysql.ErrTruncatedWrongValue, "Incorrect datetime value", "select * from t as of timestamp 'soon'")
	refused(t, conn, codeGCTooEarly, "cannot set read timestamp to a future time", "select * from t as of timestamp '2037-01-18 03:14:07'")
	refused(t, conn, codeGCTooEarly, "cannot set read timestamp to a future time", "select * from t as of timestamp now() + interval 1 hour")
	refused(t, conn, mysql.ErrUnknown, "select lock hasn't been supported in stale read yet", "select * from t "+at+" for update")
	refused(t, conn, mysql.ErrNotSupportedYet, "AS OF TIMESTAMP", "insert into u select * from t "+at)
	refused(t, conn, mysql.ErrNotSupportedYet, "AS OF TIMESTAMP", "create view v as select * from t "+at)
	do(t, conn, "begin")
	refused(t, conn, codeAsOf, "as of timestamp can't be set in transaction", "select * from t "+at)
	do(t, conn, "rollback")
	require.Empty(t, lines(t, conn, "select * from t "+at))
}

func TestTransactionAsOf(t *testing.T) {
	conn := pastConn(t)
	do(t, conn, "create table t (id int primary key)", "insert into t values (1)")
	then := moment(t)
	do(t, conn, "insert into t values (2)")
	const all, forbidden = "select * from t order by id", "only support read-only statement during read-only staleness transactions"

	do(t, conn, "start transaction read only as of timestamp '"+then+"'")
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	for _, s := range []string{"insert into t values (3)", "update t set id = 4", "delete from t", "replace into t values (1)"} {
		refused(t, conn, mysql.ErrUnknown, forbidden, s)
	}
	refused(t, conn, mysql.ErrUnknown, "select lock hasn't been supported", "select * from t for update")
	refused(t, conn, mysql.ErrCantChangeTxCharacteristics, "in progress", "set tidb_snapshot = '"+then+"'")
	refused(t, conn, mysql.ErrCantChangeTxCharacteristics, "in progress", "set transaction read only as of timestamp '"+then+"'")
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	do(t, conn, "commit")
	require.Equal(t, []string{"1", "2"}, lines(t, conn, all))

	// SET TRANSACTION holds for one query, or one transaction.
	set := "set transaction read only as of timestamp '" + then + "'"
	do(t, conn, set)
	require.Equal(t, []string{"1"}, lines(t, conn, "select 1"))
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	require.Equal(t, []string{"1", "2"}, lines(t, conn, all))
	do(t, conn, set, "begin")
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	do(t, conn, "commit")
	require.Equal(t, []string{"1", "2"}, lines(t, conn, all))
	do(t, conn, set)
	refused(t, conn, codeAsOf, "can't use select as of while already set transaction as of", "select * from t as of timestamp '"+then+"'")
	do(t, conn, set)
	refused(t, conn, mysql.ErrUnknown, "is forbidden after set transaction read only as of", "start transaction read only as of timestamp '"+then+"'")
	refused(t, conn, mysql.ErrUnknown, forbidden, "insert into t values (3)")
	do(t, conn, "set transaction read only as of timestamp ''", "insert into t values (3)")
	refused(t, conn, codeGCTooEarly, "future", "set transaction read only as of timestamp now() + interval 1 hour")
	refused(t, conn, codeGCTooEarly, "future", "start transaction read only as of timestamp now() + interval 1 hour")
	require.Equal(t, []string{"1", "2", "3"}, lines(t, conn, all))

	do(t, conn, "alter table t add column late int")
	do(t, conn, "set autocommit = 0", set)
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	refused(t, conn, mysql.ErrUnknown, forbidden, "insert into t values (4)")
	do(t, conn, "commit", "alter table t drop column late")
	require.Equal(t, []string{"1", "2", "3"}, lines(t, conn, all))
}

func TestSnapshotVariable(t *testing.T) {
	conn := pastConn(t)
	do(t, conn, "create table t (id int primary key)", "insert into t values (1)")
	then := moment(t)
	var ts uint64
	do(t, conn, "start transaction read only as of timestamp '"+then+"'")
	require.NoError(t, conn.QueryRowContext(context.Background(), "select @@tidb_current_ts").Scan(&ts))
	do(t, conn, "commit", "insert into t values (2)", "create table later (id int)", "drop table mark")

	const all, forbidden = "select * from t order by id", "can not execute write statement when 'tidb_snapshot' is set"
	for _, value := range []string{"'" + then + "'", fmt.Sprint(ts), fmt.Sprintf("'%d'", ts)} {
		do(t, conn, "set tidb_snapshot = "+value)
		require.Equal(t, []string{"1"}, lines(t, conn, all))
		require.Equal(t, []string{"mark", "t"}, lines(t, conn, "show tables"))
		require.Equal(t, []string{"mark", "t"}, lines(t, conn, "select table_name from information_schema.tables where table_schema = database() order by 1"))
		refused(t, conn, mysql.ErrUnknown, forbidden, "insert into t values (3)")
		refused(t, conn, mysql.ErrUnknown, forbidden, "create table never (a int)")
		refused(t, conn, mysql.ErrNoSuchTable, "later", "select * from later")
		refused(t, conn, mysql.ErrNoSuchTable, "its rows of then are not kept", "select * from mark")
		do(t, conn, "start transaction")
		require.Equal(t, []string{"1"}, lines(t, conn, all))
		refused(t, conn, mysql.ErrUnknown, "read-only staleness transactions", "insert into t values (3)")
		do(t, conn, "commit")
	}
	refused(t, conn, codeGCTooEarly, "future", "set tidb_snapshot = '2037-01-18 03:14:07'")
	require.Equal(t, []string{"1"}, lines(t, conn, all))
	do(t, conn, "set tidb_snapshot = ''", "insert into t values (3)")
	require.Equal(t, []string{"1", "2", "3"}, lines(t, conn, all))
	refused(t, conn, mysql.ErrLocalVariable, "SESSION variable", "set global tidb_snapshot = ''")
}

func TestSchemaOfThePast(t *testing.T) {
	conn := pastConn(t)
	do(t, conn, "create table t (id int primary key, a int, b int, key gone (a))", "insert into t values (1, 10, 100), (2, 20, 200)",
		"create view v as select b from t")
	then := moment(t)
	do(t, conn, "alter table t drop index gone", "alter table t drop column b", "alter table t add column c int default 7",
		"alter table t add index new (c)", "rename table t to renamed", "drop view v", "create table t (x int)")
	at := "as of timestamp '" + then + "'"
	require.Equal(t, []string{"1|10|100", "2|20|200"}, lines(t, conn, "select * from t "+at+" order by id"))
	require.Equal(t, []string{"2"}, lines(t, conn, "select id from t "+at+" where a = 20"))
	require.Equal(t, []string{"100", "200"}, lines(t, conn, "select * from v "+at+" order by 1"))
	refused(t, conn, mysql.ErrNoSuchTable, "renamed", "select * from renamed "+at)
	refused(t, conn, mysql.ErrBadField, "c", "select c from t "+at)
	require.Equal(t, []string{"1|10|7", "2|20|7"}, lines(t, conn, "select * from renamed order by id"))
	do(t, conn, "truncate table renamed")
	refused(t, conn, mysql.ErrNoSuchTable, "not kept", "select * from t "+at)
}

func TestStaleness(t *testing.T) {
	conn := pastConn(t)
	do(t, conn, "create table t (id int primary key)", "insert into t values (1)")
	replicasReach(t)
	do(t, conn, "set tidb_read_staleness = -3600")
	require.Equal(t, []string{"1"}, lines(t, conn, "select * from t"))
	do(t, conn, "insert into t values (2)", "begin")
	require.Equal(t, []string{"1", "2"}, lines(t, conn, "select * from t order by id"), "transactions read the present")
	do(t, conn, "commit")
	refused(t, conn, mysql.ErrUnknown, "select lock hasn't been supported", "select * from t for update")
	do(t, conn, "set tidb_read_staleness = 0")
	require.Equal(t, []string{"1", "2"}, lines(t, conn, "select * from t order by id"))

	const bounded = "select tidb_bounded_staleness(now(6) - interval 1 hour, now(6)) between now(6) - interval 1 hour and now(6)"
	require.Equal(t, []string{"1"}, lines(t, conn, bounded))
	require.Equal(t, []string{"2015-09-21 00:07:01.000000"}, lines(t, conn, "select tidb_bounded_staleness('2015-01-01', '2015-09-21 00:07:01')"))
	require.Equal(t, []string{""}, lines(t, conn, "select tidb_bounded_staleness('2016-01-01', '2015-09-21 00:07:01')"))
	refused(t, conn, mysql.ErrWrongParamcountToNativeFct, "", "select tidb_bounded_staleness(now())")
	replicasReach(t)
	require.Equal(t, []string{"1", "2"},
		lines(t, conn, "select * from t as of timestamp tidb_bounded_staleness(now(6) - interval 1 hour, now(6)) order by id"))
}

// replicasReach waits until replicas know all that has been committed by now.
func replicasReach(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	now, err := testServer.client.TS(ctx)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return testServer.client.SafeTS(ctx) > now+1<<physicalShift }, time.Minute, 20*time.Millisecond)
}
