package main

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/garbage"
	"github.com/scree-db/scree/sql-gateway/gcworker"
	"github.com/scree-db/scree/tests/testcluster"
)

// BenchmarkOverwritten compares scans of a table that was written once with those of one of the same contents that was
// overwritten a hundred times: before garbage collection, and after it. It reports the ratios of the fastest runs.
func BenchmarkOverwritten(b *testing.B) {
	c := testcluster.Start(b, testcluster.Options{
		GC: garbage.Options{Poll: 100 * time.Millisecond}, GCTick: 200 * time.Millisecond,
	})
	setGC(b, c, func(s *gcworker.Settings) { s.Enable = false })
	const overwritten = 100
	c.Exec("SET GLOBAL tidb_enable_auto_analyze = OFF")
	for _, name := range []string{"once", "often"} {
		c.Exec(fmt.Sprintf("CREATE TABLE %s (id BIGINT PRIMARY KEY, n INT, text VARCHAR(100))", name))
		for from := 0; from < overwrittenRows; from += 1000 {
			rows := ""
			for i := from; i < from+1000; i++ {
				rows += fmt.Sprintf(", (%d, %d, REPEAT('x', 60))", i, overwritten)
			}
			c.Exec(fmt.Sprintf("INSERT INTO %s VALUES %s", name, rows[2:]))
		}
	}
	c.Exec("UPDATE often SET n = 0")
	for range overwritten {
		c.Exec("UPDATE often SET n = n + 1")
	}
	before := scanTime(b, c, "often").Seconds() / scanTime(b, c, "once").Seconds()
	begin := time.Now()
	setGC(b, c, func(s *gcworker.Settings) { s.Enable, s.LifeTime, s.RunInterval = true, time.Second, time.Second })
	store := c.Nodes.Stores()[0]
	for collected := func() bool {
		st := store.Status()
		return st.GC.Versions >= overwrittenRows*overwritten && st.Data.CompactionsRunning == 0
	}; !collected(); {
		require.Less(b, time.Since(begin), 5*time.Minute, "%+v", store.Status().GC)
		time.Sleep(500 * time.Millisecond)
	}
	b.Logf("collected in %s", time.Since(begin).Round(time.Millisecond))
	once, often := scanTime(b, c, "once"), scanTime(b, c, "often")
	for b.Loop() {
		once, often = min(once, scanTime(b, c, "once")), min(often, scanTime(b, c, "often"))
	}
	after := often.Seconds() / once.Seconds()
	b.ReportMetric(before, "before-GC/once")
	b.ReportMetric(after, "after-GC/once")
	require.Less(b, after, 1.5)
}

const overwrittenRows = 10_000

// setGC changes the cluster's settings beneath the bounds that SET GLOBAL has.
func setGC(b *testing.B, c *testcluster.Cluster, change func(*gcworker.Settings)) {
	_, err := gcworker.ChangeSettings(context.Background(), c.Client, change)
	require.NoError(b, err)
}

// scanTime is the time of the fastest of some scans of a table.
func scanTime(b *testing.B, c *testcluster.Cluster, table string) time.Duration {
	least := time.Duration(math.MaxInt64)
	for range 20 {
		var sum int
		start := time.Now()
		require.NoError(b, c.DB.QueryRow("SELECT SUM(n) FROM "+table).Scan(&sum))
		least = min(least, time.Since(start))
		require.Equal(b, 100*overwrittenRows, sum)
	}
	return least
}
