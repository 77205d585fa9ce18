package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	driver "github.com/go-sql-driver/mysql"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/insight"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// The tests share one cluster of one store in this process, and one gateway on it; each has a database of its own.
var testServer *Server

func TestMain(m *testing.M) {
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withServer(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "session-test")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	cluster, err := node.StartCluster(ctx, node.ClusterOptions{Dir: dir, Stores: 1})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := cluster.WaitReady(ctx); err != nil {
		return 1, err
	}
	testFlushes.Dialer = cluster.Dialer()
	kv := kvclient.New(cluster.Placement(), &testFlushes, kvclient.Options{FlushBytes: 32 << 10})
	defer func() { err = errors.Join(err, kv.Close()) }()
	testServer, err = NewServer(Config{Addr: "127.0.0.1:0", Client: kv, Version: "test", SafePoints: cluster.PD(), GatewayID: "test",
		Cluster: cluster.PD(), SlowLog: insight.LogFile{Path: filepath.Join(dir, "slow.log")}})
	if err != nil {
		return 1, err
	}
	served := make(chan error, 1)
	go func() { served <- testServer.Serve(ctx) }()
	code = run()
	return code, errors.Join(testServer.Close(), <-served)
}

// open connects with a database of the test's own.
func open(t *testing.T, params string) *sql.DB {
	name := "db_" + strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name()))
	dsn := fmt.Sprintf("root@tcp(%s)/", testServer.Addr())
	admin, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	_, err = admin.Exec("create database if not exists " + name)
	require.NoError(t, err)
	require.NoError(t, admin.Close())
	db, err := sql.Open("mysql", dsn+name+params)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func mustExec(t *testing.T, db interface {
	Exec(string, ...any) (sql.Result, error)
}, text string, args ...any) sql.Result {
	t.Helper()
	res, err := db.Exec(text, args...)
	require.NoError(t, err)
	return res
}

func requireCode(t *testing.T, code uint16, err error) {
	t.Helper()
	var e *driver.MySQLError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Number, e.Message)
}

// TestScripts runs texts of statements. Each statement prints its rows with a bar between values, or what it affected,
// or its error.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		conn, err := open(t, "").Conn(context.Background())
		require.NoError(t, err)
		defer conn.Close()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for _, text := range strings.Split(d.Input, ";\n") {
				if text = strings.TrimSpace(strings.TrimSuffix(text, ";")); text != "" {
					runStatement(conn, text, d.Cmd == "header", &out)
				}
			}
			return out.String()
		})
	})
}

func runStatement(conn *sql.Conn, text string, header bool, out *strings.Builder) {
	ctx := context.Background()
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		printError(err, out)
		return
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		printError(err, out)
		return
	}
	if len(cols) == 0 {
		out.WriteString("ok\n")
		return
	}
	if header {
		fmt.Fprintln(out, strings.Join(cols, " | "))
	}
	for rows.Next() {
		vals, dest := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			dest[i] = &vals[i]
		}
		if err := rows.Scan(dest...); err != nil {
			printError(err, out)
			return
		}
		for i, v := range vals {
			if i > 0 {
				out.WriteString(" | ")
			}
			if !v.Valid {
				v.String = "NULL"
			}
			out.WriteString(v.String)
		}
		out.WriteString("\n")
	}
	if err := rows.Err(); err != nil {
		printError(err, out)
	}
}

func printError(err error, out *strings.Builder) {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		fmt.Fprintf(out, "error %d (%s): %s\n", e.Number, e.SQLState[:], e.Message)
		return
	}
	fmt.Fprintf(out, "error: %v\n", err)
}

// TestConcurrentIncrements adds to one row from many connections: conflicting statements outside transactions run again
// until all have counted.
func TestConcurrentIncrements(t *testing.T) {
	db := open(t, "")
	mustExec(t, db, "create table t (id int primary key, n int)")
	mustExec(t, db, "insert into t values (1, 0)")
	const workers, each = 4, 10
	var wg sync.WaitGroup
	done := make([]int, workers)
	for w := range workers {
		wg.Go(func() {
			for range each {
				_, err := db.Exec("update t set n = n + 1 where id = 1")
				var e *driver.MySQLError
				switch {
				case err == nil:
					done[w]++
				case errors.As(err, &e) && e.Number == codeWriteConflict: // gave up
				default:
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range done {
		total += n
	}
	var n int
	require.NoError(t, db.QueryRow("select n from t").Scan(&n))
	require.Equal(t, total, n)
	require.Positive(t, n)
}

// TestConflictAtCommit: of two optimistic transactions that change a row, the second to commit fails and leaves nothing.
func TestConflictAtCommit(t *testing.T) {
	db := open(t, "?tidb_txn_mode='optimistic'")
	mustExec(t, db, "create table t (id int primary key, n int)")
	mustExec(t, db, "insert into t values (1, 0), (2, 0)")
	a, err := db.Begin()
	require.NoError(t, err)
	b, err := db.Begin()
	require.NoError(t, err)
	mustExec(t, a, "update t set n = 1 where id = 1")
	mustExec(t, b, "update t set n = 2")
	require.NoError(t, a.Commit())
	requireCode(t, codeWriteConflict, b.Commit())
	var sum int
	require.NoError(t, db.QueryRow("select sum(n) from t").Scan(&sum))
	require.Equal(t, 1, sum)
}

func TestKillQuery(t *testing.T) {
	db := open(t, "")
	ctx := context.Background()
	victim, err := db.Conn(ctx)
	require.NoError(t, err)
	defer victim.Close()
	var id int64
	require.NoError(t, victim.QueryRowContext(ctx, "select connection_id()").Scan(&id))
	failed := make(chan error)
	go func() {
		_, err := victim.ExecContext(ctx, "do sleep(600)")
		failed <- err
	}()
	require.Eventually(t, func() bool {
		var n int
		err := db.QueryRow("select count(*) from information_schema.processlist where id = ? and info = 'do sleep(600)'", id).Scan(&n)
		return err == nil && n == 1
	}, 10*time.Second, time.Millisecond)
	mustExec(t, db, fmt.Sprintf("kill query %d", id))
	requireCode(t, mysql.ErrQueryInterrupted, <-failed)
	require.NoError(t, victim.QueryRowContext(ctx, "select connection_id()").Scan(&id))
	mustExec(t, db, fmt.Sprintf("kill %d", id))
	_, err = victim.ExecContext(ctx, "do 1")
	require.Error(t, err)
	_, err = db.Exec("kill 123456789")
	requireCode(t, mysql.ErrNoSuchThread, err)
}

func TestMaxExecutionTime(t *testing.T) {
	db := open(t, "?max_execution_time=20")
	_, err := db.Exec("select sleep(600)")
	requireCode(t, mysql.ErrMaxExecTimeExceeded, err)
	mustExec(t, db, "do sleep(0.03)") // bounds queries only
}

// TestPrepared sends parameters in the binary form, again and again with the same statement.
func TestPrepared(t *testing.T) {
	db := open(t, "?parseTime=true")
	mustExec(t, db, "create table t (id bigint primary key, d decimal(10,2), s varchar(20), at datetime(6), f double)")
	st, err := db.Prepare("insert into t values (?, ?, ?, ?, ?)")
	require.NoError(t, err)
	defer st.Close()
	at := time.Date(2024, 2, 29, 12, 13, 14, 15_000, time.UTC)
	for i := range 3 {
		_, err := st.Exec(i, "1.25", fmt.Sprintf("row %d", i), at, 0.5)
		require.NoError(t, err)
	}
	_, err = st.Exec(3, nil, nil, nil, nil)
	require.NoError(t, err)
	query, err := db.Prepare("select d, s, at, f from t where id >= ? and s like ? order by id limit ?")
	require.NoError(t, err)
	defer query.Close()
	for range 2 {
		var (
			d, f float64
			s    string
			got  time.Time
		)
		require.NoError(t, query.QueryRow(1, "row%", 1).Scan(&d, &s, &got, &f))
		require.Equal(t, []any{1.25, "row 1", at, 0.5}, []any{d, s, got, f})
	}
	for _, text := range []string{"begin", "insert into t (id) values (9)", "rollback"} {
		st, err := db.Prepare(text)
		require.NoError(t, err)
		require.NoError(t, st.Close())
	}
	_, err = db.Prepare("select nothing from t")
	requireCode(t, mysql.ErrBadField, err)
}

func TestLoadData(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "%d|name %d|%d.5\n", i, i, i)
	}
	driver.RegisterReaderHandler("rows", func() io.Reader { return strings.NewReader(text.String()) })
	defer driver.DeregisterReaderHandler("rows")
	db := open(t, "")
	mustExec(t, db, "create table t (id int primary key, name varchar(20), d decimal(10,1))")
	res := mustExec(t, db, "load data local infile 'Reader::rows' into table t fields terminated by '|'")
	n, err := res.RowsAffected()
	require.NoError(t, err)
	require.Equal(t, int64(5000), n)
	var count, sum int
	require.NoError(t, db.QueryRow("select count(*), cast(sum(d * 2) as signed) from t").Scan(&count, &sum))
	require.Equal(t, []int{5000, 4999*5000 + 5000}, []int{count, sum})
	require.NoError(t, db.QueryRow("select table_rows from information_schema.tables where table_schema = database()").Scan(&count))
	require.Equal(t, 5000, count)
	_, err = db.Exec("load data infile '/etc/passwd' into table t")
	requireCode(t, mysql.ErrNotAllowedCommand, err)
}

// TestRowCounts: transactions count their rows when they commit, without what they rolled back.
func TestRowCounts(t *testing.T) {
	db := open(t, "")
	mustExec(t, db, "create table t (a int primary key)")
	count := func() (n int) {
		require.NoError(t, db.QueryRow("select table_rows from information_schema.tables where table_schema = database()").Scan(&n))
		return n
	}
	mustExec(t, db, "insert into t values (1), (2)")
	require.Equal(t, 2, count())
	txn, err := db.Begin()
	require.NoError(t, err)
	mustExec(t, txn, "insert into t values (3)")
	mustExec(t, txn, "savepoint a")
	mustExec(t, txn, "insert into t values (4), (5)")
	mustExec(t, txn, "rollback to a")
	require.Equal(t, 2, count())
	require.NoError(t, txn.Commit())
	require.Equal(t, 3, count())
	mustExec(t, db, "delete from t where a < 3")
	require.Equal(t, 1, count())
}

// TestDDLWaits: a change of a table waits for the transaction that uses it, and gives up in time.
func TestDDLWaits(t *testing.T) {
	db := open(t, "")
	mustExec(t, db, "create table t (a int)")
	txn, err := db.Begin()
	require.NoError(t, err)
	mustExec(t, txn, "insert into t values (1)")
	ctx := context.Background()
	other, err := db.Conn(ctx)
	require.NoError(t, err)
	defer other.Close()
	_, err = other.ExecContext(ctx, "set lock_wait_timeout = 1")
	require.NoError(t, err)
	_, err = other.ExecContext(ctx, "alter table t add index (a)")
	requireCode(t, mysql.ErrLockWaitTimeout, err)
	require.NoError(t, txn.Commit())
	_, err = other.ExecContext(ctx, "alter table t add index (a)")
	require.NoError(t, err)
	var n int
	require.NoError(t, db.QueryRow("select count(*) from t use index (a) where a = 1").Scan(&n))
	require.Equal(t, 1, n)
}

// TestUniqueOverDuplicates: an index that the rows do not allow is refused and leaves nothing behind.
func TestUniqueOverDuplicates(t *testing.T) {
	db := open(t, "")
	mustExec(t, db, "create table t (id int primary key, a int)")
	mustExec(t, db, "insert into t values (1, 5), (2, 5)")
	_, err := db.Exec("alter table t add unique index ua (a)")
	requireCode(t, mysql.ErrDupEntry, err)
	mustExec(t, db, "insert into t values (3, 5)")
	mustExec(t, db, "delete from t where id < 3")
	mustExec(t, db, "alter table t add unique index ua (a)")
	_, err = db.Exec("insert into t values (4, 5)")
	requireCode(t, mysql.ErrDupEntry, err)
}

// TestUserLocks: a lock has one owner, who may take it twice; others wait, and get it when its connection ends.
func TestUserLocks(t *testing.T) {
	var u userLocks
	ctx := context.Background()
	require.True(t, u.get(ctx, "a", 1))
	require.True(t, u.get(ctx, "a", 1))
	over, cancel := context.WithCancel(ctx)
	cancel()
	require.False(t, u.get(over, "a", 2))
	released, known := u.release("a", 2)
	require.Equal(t, []bool{false, true}, []bool{released, known})
	released, _ = u.release("a", 1)
	require.True(t, released)
	got := make(chan bool)
	go func() { got <- u.get(ctx, "a", 2) }()
	require.Equal(t, int64(1), u.releaseAll(1))
	require.True(t, <-got)
	owner, held := u.owner("a")
	require.True(t, held)
	require.Equal(t, uint64(2), owner)
}

// TestOldSnapshot: a transaction whose snapshot is older than an index may not read the table through it.
func TestOldSnapshot(t *testing.T) {
	db := open(t, "")
	mustExec(t, db, "create table t (a int)")
	mustExec(t, db, "create table other (a int)")
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "start transaction with consistent snapshot")
	require.NoError(t, err)
	mustExec(t, db, "create index ia on t (a)")
	_, err = conn.ExecContext(ctx, "select * from t")
	requireCode(t, codeTableDefChanged, err)
	_, err = conn.ExecContext(ctx, "select * from other")
	require.NoError(t, err)
}

// TestReplicaRead: reads say whom they ask; without followers the leader answers. A transaction's own writes stay in sight.
func TestReplicaRead(t *testing.T) {
	db := open(t, "?tidb_replica_read='follower'")
	mustExec(t, db, "create table t (id int primary key, n int)")
	mustExec(t, db, "insert into t values (1, 10), (2, 20)")
	tx, err := db.Begin()
	require.NoError(t, err)
	mustExec(t, tx, "update t set n = n + 1 where id = 1")
	var sum int
	require.NoError(t, tx.QueryRow("select sum(n) from t").Scan(&sum))
	require.Equal(t, 31, sum)
	require.NoError(t, tx.Commit())
	require.NoError(t, db.QueryRow("select n from t where id = 1").Scan(&sum))
	require.Equal(t, 11, sum)
	_, err = db.Exec("set tidb_replica_read = 'nowhere'")
	requireCode(t, mysql.ErrWrongValueForVar, err)
}
