// Package gc watches garbage collection from outside: through SQL, with a life time of moments.
package gc

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/sql-gateway/gcworker"
	"github.com/scree-db/scree/sql-gateway/kvclient"
	"github.com/scree-db/scree/tests/testcluster"
)

// limit bounds everything that is waited for.
const limit = time.Minute

func start(t testing.TB, stores int) *testcluster.Cluster { return startIn(t, t.TempDir(), stores) }

func startIn(t testing.TB, dir string, stores int) *testcluster.Cluster {
	c := testcluster.Start(t, testcluster.Options{
		Dir: dir, Stores: stores,
		Raft: raftstore.Config{TickInterval: 20 * time.Millisecond, PlacementInterval: 100 * time.Millisecond},
		GC:   garbage.Options{Poll: 20 * time.Millisecond, Share: 1}, GCTick: 50 * time.Millisecond,
	})
	set(t, c, func(s *gcworker.Settings) { s.LifeTime, s.RunInterval = 500*time.Millisecond, 100*time.Millisecond })
	return c
}

// set changes the settings beneath the bounds that SET GLOBAL has.
func set(t testing.TB, c *testcluster.Cluster, change func(*gcworker.Settings)) {
	_, err := gcworker.ChangeSettings(context.Background(), c.Client, change)
	require.NoError(t, err)
}

func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	require.Eventually(t, check, limit, 20*time.Millisecond, what)
}

// rowKey is the key of a row of test.NAME.
func rowKey(t testing.TB, c *testcluster.Cluster, name string, handle int64) []byte {
	table, err := c.Gateway.Catalog().Current().Table("test", name)
	require.NoError(t, err)
	return tablekey.AppendRecordKey(nil, table.ID, tablekey.IntHandle(handle))
}

// versions asks the leader for all that is stored of a key.
func versions(t testing.TB, c *testcluster.Cluster, key []byte) *kvrpcpb.MvccInfo {
	ctx := context.Background()
	for {
		region, leader, err := c.Nodes.PD().Region(ctx, memcmp.AppendBytes(nil, key))
		require.NoError(t, err)
		resp, err := storeOf(c, leader.GetStoreId()).Service().MvccGetByKey(ctx, &kvrpcpb.MvccGetByKeyRequest{
			Context: &kvrpcpb.Context{RegionId: region.Id, RegionEpoch: region.RegionEpoch}, Key: key,
		})
		require.NoError(t, err)
		if resp.RegionError == nil {
			return resp.Info
		}
	}
}

func storeOf(c *testcluster.Cluster, id uint64) *node.Store {
	for _, s := range c.Nodes.Stores() {
		if s.ID() == id {
			return s
		}
	}
	return c.Nodes.Stores()[0]
}

func sum(t testing.TB, q interface {
	QueryRow(query string, args ...any) *sql.Row
}) (n int) {
	require.NoError(t, q.QueryRow("SELECT SUM(v) FROM t").Scan(&n))
	return n
}

// values is "(from, v), ..." for rows [from, to).
func values(from, to int, format string) string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf(format, i))
	}
	return strings.Join(list, ", ")
}

// TestOldVersionsGo: what is overwritten goes, what is deleted goes wholly; a transaction keeps its snapshot for as long as
// it runs.
func TestOldVersionsGo(t *testing.T) {
	c := start(t, 1)
	const rows = 200
	c.Exec("CREATE TABLE t (id BIGINT PRIMARY KEY, v INT, KEY (v))",
		"INSERT INTO t VALUES "+values(0, rows, "(%d, 0)"))
	for range 5 {
		c.Exec("UPDATE t SET v = v + 1")
	}
	tx, err := c.DB.Begin()
	require.NoError(t, err)
	require.Equal(t, 5*rows, sum(t, tx))
	began := time.Now()
	for range 5 {
		c.Exec("UPDATE t SET v = v + 1")
	}
	c.Exec("DELETE FROM t WHERE id = 7")

	key := rowKey(t, c, "t", 3)
	eventually(t, "versions below the transaction's are gone", func() bool { return len(versions(t, c, key).Writes) == 6 })
	eventually(t, "the life time is over", func() bool { return time.Since(began) > time.Second })
	require.Equal(t, 5*rows, sum(t, tx), "a running transaction keeps its snapshot")
	require.Len(t, versions(t, c, key).Writes, 6)
	require.Equal(t, 10*(rows-1), sum(t, c.DB))

	require.NoError(t, tx.Commit())
	eventually(t, "one version is left", func() bool { return len(versions(t, c, key).Writes) == 1 })
	deleted := rowKey(t, c, "t", 7)
	eventually(t, "nothing is left", func() bool { return len(versions(t, c, deleted).Writes) == 0 })
	require.Equal(t, 10*(rows-1), sum(t, c.DB))
	var n int
	require.NoError(t, c.DB.QueryRow("SELECT COUNT(*) FROM t WHERE v = 10").Scan(&n))
	require.Equal(t, rows-1, n, "the index, too")
	require.NotZero(t, c.Nodes.Stores()[0].Status().GC.Versions)
}

// TestReadsBelowTheSafePoint are refused, by every way of reading, with the error that clients of TiDB know; so are commits.
func TestReadsBelowTheSafePoint(t *testing.T) {
	c := start(t, 1)
	ctx := context.Background()
	c.Exec("CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 2)")
	tx, err := c.DB.Begin()
	require.NoError(t, err)
	require.Equal(t, 3, sum(t, tx))
	writer, err := c.DB.Begin()
	require.NoError(t, err)
	_, err = writer.Exec("INSERT INTO t VALUES (3, 3)")
	require.NoError(t, err)
	old, err := c.Client.TS(ctx)
	require.NoError(t, err)
	c.Exec("UPDATE t SET v = 10")
	set(t, c, func(s *gcworker.Settings) { s.MaxWait = 600 * time.Millisecond }) // nobody waits for a transaction
	var early *kvclient.GCTooEarlyError
	eventually(t, "the safe point has passed", func() bool {
		_, err = c.Client.Snapshot(old).Get(ctx, rowKey(t, c, "t", 1))
		return errors.As(err, &early)
	})
	for _, query := range []string{"SELECT SUM(v) FROM t", "SELECT v FROM t WHERE id = 1", "SELECT v FROM t WHERE id IN (1, 2)"} {
		var n int
		var e *driver.MySQLError
		require.ErrorAs(t, tx.QueryRow(query).Scan(&n), &e, query)
		require.EqualValues(t, 9006, e.Number)
		require.Contains(t, e.Message, "GC life time is shorter than transaction duration")
	}
	require.NoError(t, tx.Rollback())
	var e *driver.MySQLError
	require.ErrorAs(t, writer.Commit(), &e)
	require.EqualValues(t, 9006, e.Number)
	_, _, _, err = c.Client.Snapshot(old).Scan(ctx, kvclient.KeyRange{}, true).Next()
	require.ErrorAs(t, err, &early)
	require.Equal(t, 20, sum(t, c.DB))
}

// TestReadsOfThePast: a transaction that began at a time of the past keeps the versions of then; once they are gone, all ways
// there are closed.
func TestReadsOfThePast(t *testing.T) {
	c := start(t, 1)
	const rows = 200
	set(t, c, func(s *gcworker.Settings) { s.LifeTime = time.Hour })
	c.Exec("CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO t VALUES "+values(0, rows, "(%d, 1)"))
	at := "'" + moment(t, c) + "'"
	c.Exec("UPDATE t SET v = 10", "UPDATE t SET v = 20")
	key := rowKey(t, c, "t", 1)

	tx, err := c.DB.Conn(context.Background())
	require.NoError(t, err)
	defer tx.Close()
	exec := func(statement string) error {
		_, err := tx.ExecContext(context.Background(), statement)
		return err
	}
	past := func() (n int) {
		require.NoError(t, tx.QueryRowContext(context.Background(), "SELECT SUM(v) FROM t").Scan(&n))
		return n
	}
	require.NoError(t, exec("START TRANSACTION READ ONLY AS OF TIMESTAMP "+at))
	require.Equal(t, rows, past())
	began := time.Now()
	set(t, c, func(s *gcworker.Settings) { s.LifeTime = 500 * time.Millisecond })
	eventually(t, "the life time is over", func() bool { return time.Since(began) > time.Second })
	require.Equal(t, rows, past())
	require.Len(t, versions(t, c, key).Writes, 3)

	require.NoError(t, exec("COMMIT"))
	eventually(t, "one version is left", func() bool { return len(versions(t, c, key).Writes) == 1 })
	for _, way := range []string{
		"START TRANSACTION READ ONLY AS OF TIMESTAMP " + at, "SET TRANSACTION READ ONLY AS OF TIMESTAMP " + at,
		"SET tidb_snapshot = " + at, "SELECT * FROM t AS OF TIMESTAMP " + at,
	} {
		var e *driver.MySQLError
		require.ErrorAs(t, exec(way), &e, way)
		require.EqualValues(t, 9006, e.Number, way)
		require.Contains(t, e.Message, "GC life time is shorter than transaction duration", way)
	}
	require.Equal(t, 20*rows, past(), "the session is in the present")
}

// moment is a time of the cluster's, as a literal: what was committed before is seen there, what begins after is not.
func moment(t testing.TB, c *testcluster.Cluster) string {
	clock := func() int64 {
		ts, err := c.Client.TS(context.Background())
		require.NoError(t, err)
		return int64(ts >> 18)
	}
	at := clock() + 1
	eventually(t, "a millisecond passes", func() bool { return clock() >= at })
	return time.UnixMilli(at).Format("2006-01-02 15:04:05.000")
}

// TestSpaceComesBack on every replica: of rows that are deleted, and of a table that is dropped.
func TestSpaceComesBack(t *testing.T) {
	dir := t.TempDir()
	c := startIn(t, dir, 3)
	table := "CREATE TABLE big (id BIGINT PRIMARY KEY, v VARBINARY(1000))"
	c.Exec(table)
	load := func() {
		t.Helper()
		for from := 0; from < 10_000; from += 2000 {
			c.Exec("INSERT INTO big VALUES " + values(from, from+2000, "(%d, RANDOM_BYTES(800))"))
		}
		c.Stop() // which has the memtables written
		c = startIn(t, dir, 3)
		require.Greater(t, slices.Max(onDisk(c)), uint64(8<<20)) // a follower may have been behind
	}
	load()
	c.Exec("DELETE FROM big")
	eventually(t, "deleted rows, but for a few that are not worth it", func() bool { return slices.Max(onDisk(c)) < 4<<20 })
	load()
	c.Exec("DROP TABLE big")
	eventually(t, "a dropped table", func() bool { return slices.Max(onDisk(c)) < 1<<20 })
}

// onDisk is the size of each store's tables.
func onDisk(c *testcluster.Cluster) (bytes []uint64) {
	for _, s := range c.Nodes.Stores() {
		m := s.Status().Data
		bytes = append(bytes, m.DiskBytes-m.DiskBytesObsolete)
	}
	return bytes
}
