package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/sql-gateway/session"
	"github.com/scree-db/scree/tests/testcluster"
)

// secondGateway is another gateway of the cluster, with a client of its own.
func secondGateway(t *testing.T, c *testcluster.Cluster) *sql.DB {
	client := kvclient.New(c.Nodes.Placement(), c.Nodes.Dialer(), kvclient.Options{})
	gw, err := session.NewServer(session.Config{
		Addr: "127.0.0.1:0", Client: client, Version: "test", SafePoints: c.Nodes.PD(), GatewayID: "second",
	})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- gw.Serve(context.Background()) }()
	db, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/test", gw.Addr()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, db.Close())
		require.NoError(t, gw.Close())
		require.NoError(t, <-served)
		require.NoError(t, client.Close())
	})
	return db
}

// now is a timestamp of the cluster: what is committed before lies below, what begins later above.
func now(t *testing.T, c *testcluster.Cluster) uint64 {
	ts, err := c.Client.TS(context.Background())
	require.NoError(t, err)
	return ts
}

// balances reads the table as of now, by rows and by the index, which have to agree.
func balances(t *testing.T, db *sql.DB) string {
	read := func(hint string) (all string) {
		require.NoError(t, db.QueryRow("SELECT GROUP_CONCAT(CONCAT(id, '=', balance) ORDER BY id) FROM accounts "+hint).Scan(&all))
		return all
	}
	rows := read("IGNORE INDEX (by_balance)")
	require.Equal(t, rows, read("FORCE INDEX (by_balance)"))
	return rows
}

// The whole cluster goes back in time while two gateways write, and forth again: rows, indexes and definitions.
func TestFlashbackCluster(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	other := secondGateway(t, c)
	c.Exec("CREATE TABLE accounts (id INT PRIMARY KEY, balance INT, KEY by_balance (balance))")
	for id := range 20 {
		c.Exec(fmt.Sprintf("INSERT INTO accounts VALUES (%d, 100)", id))
	}
	var table int64
	require.NoError(t, c.DB.QueryRow("SELECT tidb_table_id FROM information_schema.tables WHERE table_name = 'accounts'").Scan(&table))
	var cuts [][]byte
	for id := int64(5); id < 20; id += 5 {
		cuts = append(cuts, tablekey.AppendRecordKey(nil, table, tablekey.IntHandle(id)))
	}
	require.NoError(t, c.Client.Split(context.Background(), cuts))

	stop, done := writeAccounts(c.DB, other)
	done.waitFor(t, 20)
	then := now(t, c)
	done.waitFor(t, 20)
	c.Exec("CREATE TABLE later (id INT PRIMARY KEY)", "INSERT INTO later VALUES (1)", "ALTER TABLE accounts ADD COLUMN note INT")
	done.waitFor(t, 20)
	c.Exec(fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", then))
	for _, db := range []*sql.DB{c.DB, other} {
		_, err := db.Exec("SELECT note FROM accounts")
		require.ErrorContains(t, err, "Unknown column")
		_, err = db.Exec("SELECT * FROM later")
		require.ErrorContains(t, err, "doesn't exist")
	}
	done.waitFor(t, 20)
	stop()
	for _, db := range []*sql.DB{c.DB, other} {
		var sum, n int
		require.NoError(t, db.QueryRow("SELECT SUM(balance), COUNT(*) FROM accounts").Scan(&sum, &n))
		require.Equal(t, []int{2000, 20}, []int{sum, n})
	}

	after, latest := balances(t, c.DB), now(t, c)
	c.Exec(fmt.Sprintf("SET @@tidb_snapshot = '%d'", then))
	want := balances(t, c.DB)
	c.Exec("SET @@tidb_snapshot = ''")
	require.NotEqual(t, want, after)
	c.Exec(fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", then))
	require.Equal(t, want, balances(t, c.DB))
	require.Equal(t, want, balances(t, other))
	_, err := other.Exec(fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", latest))
	require.NoError(t, err)
	require.Equal(t, after, balances(t, c.DB), "history is kept")
}

// What cannot be brought back is refused, before anything has changed.
func TestFlashbackRefusals(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	c.DB.SetMaxOpenConns(1)
	c.Exec("CREATE TABLE gone (id INT PRIMARY KEY)", "CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY by_a (a))", "INSERT INTO t VALUES (1, 1)")
	first := now(t, c)
	c.Exec("DROP TABLE gone")
	second := now(t, c)
	c.Exec("ALTER TABLE t DROP INDEX by_a")
	third := now(t, c)
	c.Exec("UPDATE t SET a = 2")
	for statement, text := range map[string]string{
		fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", first):       "table test.gone has been dropped",
		fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", second):      "index by_a of table test.t has been dropped",
		"FLASHBACK CLUSTER TO TIMESTAMP '2099-01-01 00:00:00'":  "future",
		"FLASHBACK TABLE t TO TIMESTAMP '2020-01-01 00:00:00'":  "support",
		fmt.Sprintf("FLASHBACK DATABASE test TO TSO %d", third): "support",
	} {
		_, err := c.DB.Exec(statement)
		require.ErrorContains(t, err, text, statement)
	}
	var a int
	require.NoError(t, c.DB.QueryRow("SELECT a FROM t").Scan(&a))
	require.Equal(t, 2, a)
	c.Exec(fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", third), "UPDATE t SET id = id + 1")
	require.NoError(t, c.DB.QueryRow("SELECT a FROM t WHERE id = 2").Scan(&a))
	require.Equal(t, 1, a)
}

// A flashback that cannot close all regions opens those that it has closed.
func TestFlashbackIsCalledOff(t *testing.T) {
	ctx := context.Background()
	c := testcluster.Start(t, testcluster.Options{})
	c.Exec("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	ranges := []kvclient.KeyRange{{Start: []byte("t"), End: []byte("u")}}
	then := now(t, c)
	c.Exec("INSERT INTO t VALUES (2)")
	err := c.Client.Flashback(ctx, kvclient.Flashback{Ranges: ranges, Version: then, Prepared: func(ctx context.Context) error {
		_, err := c.DB.Exec("INSERT INTO t VALUES (3)")
		return err // the region is closed
	}})
	require.ErrorContains(t, err, "put back")
	c.Exec("INSERT INTO t VALUES (4)")
	var ids string
	require.NoError(t, c.DB.QueryRow("SELECT GROUP_CONCAT(id ORDER BY id) FROM t").Scan(&ids))
	require.Equal(t, "1,2,4", ids)
}

// Regions that a flashback has left closed are opened by another one, and by nothing less.
func TestFlashbackIsResumed(t *testing.T) {
	ctx := context.Background()
	c := testcluster.Start(t, testcluster.Options{})
	c.Exec("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	then := now(t, c)
	c.Exec("INSERT INTO t VALUES (2)")
	rows := kvclient.KeyRange{Start: []byte("t"), End: []byte("u")}
	require.NoError(t, c.Client.Split(ctx, [][]byte{rows.Start, rows.End}))
	start := now(t, c)
	require.NoError(t, c.Client.Do(ctx, rows.Start, func(s kvclient.Store, pb *kvrpcpb.Context) (*errorpb.Error, error) {
		resp, err := s.KvPrepareFlashbackToVersion(ctx, &kvrpcpb.PrepareFlashbackToVersionRequest{Context: pb, Version: then, StartTs: start})
		return resp.GetRegionError(), err
	}))
	failed := errors.New("failed")
	err := c.Client.Flashback(ctx, kvclient.Flashback{Ranges: []kvclient.KeyRange{rows}, Version: then, Prepared: func(context.Context) error { return failed }})
	require.ErrorIs(t, err, failed)
	_, err = c.DB.Exec("INSERT INTO t VALUES (3)")
	require.ErrorContains(t, err, "put back")
	c.Exec(fmt.Sprintf("FLASHBACK CLUSTER TO TSO %d", then), "INSERT INTO t VALUES (4)")
	var ids string
	require.NoError(t, c.DB.QueryRow("SELECT GROUP_CONCAT(id ORDER BY id) FROM t").Scan(&ids))
	require.Equal(t, "1,4", ids)
}

// counter counts what writers have done.
type counter struct{ atomic.Int64 }

// waitFor waits until that many more are done.
func (n *counter) waitFor(t *testing.T, more int64) {
	from := n.Load()
	require.Eventually(t, func() bool { return n.Load() >= from+more }, 2*time.Minute, time.Millisecond)
}

// writeAccounts moves money about in all gateways until stop is called. Statements may fail.
func writeAccounts(gateways ...*sql.DB) (stop func(), done *counter) {
	ctx, cancel := context.WithCancel(context.Background())
	done = new(counter)
	var writers sync.WaitGroup
	for _, db := range gateways {
		for range 2 {
			writers.Go(func() {
				for ctx.Err() == nil {
					if transfer(db) == nil {
						done.Add(1)
					}
				}
			})
		}
	}
	return func() { cancel(); writers.Wait() }, done
}

func transfer(db *sql.DB) error {
	txn, err := db.Begin()
	if err != nil {
		return err
	}
	defer txn.Rollback()
	for _, s := range []string{"- 1", "+ 1"} {
		if _, err := txn.Exec(fmt.Sprintf("UPDATE accounts SET balance = balance %s WHERE id = %d", s, rand.IntN(20))); err != nil {
			return err
		}
	}
	return txn.Commit()
}
