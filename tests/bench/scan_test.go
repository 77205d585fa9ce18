package main

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/sql-gateway/tpch"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/tests/testcluster"
)

// BenchmarkRowLeaf compares TPC-H Q6 in the coprocessor, on one core, with a bare iterator over the same records: the
// price of versions, decoding and filtering. It reports both in rows a second, and their ratio.
func BenchmarkRowLeaf(b *testing.B) {
	const scale = tpch.Scale(0.1)
	dir := b.TempDir()
	c := testcluster.Start(b, testcluster.Options{Dir: dir})
	require.NoError(b, tpch.Load(context.Background(), c.DB, "tpch", tpch.NewGenerator(scale), nil))
	var rows int64
	require.NoError(b, c.DB.QueryRow("SELECT COUNT(*) FROM tpch.lineitem").Scan(&rows))
	conn, err := c.DB.Conn(context.Background())
	require.NoError(b, err)
	_, err = conn.ExecContext(context.Background(), "USE tpch")
	require.NoError(b, err)

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.ResetTimer()
	start := time.Now()
	for range b.N {
		_, err := tpch.Rows(context.Background(), conn, tpch.Queries()[5].Text)
		require.NoError(b, err)
	}
	q6 := float64(rows) * float64(b.N) / time.Since(start).Seconds()
	b.StopTimer()
	require.NoError(b, conn.Close())
	c.Stop()
	bare := bareRate(b, filepath.Join(dir, "store-1", "data"))
	b.ReportMetric(q6/1e6, "Q6-Mrows/s")
	b.ReportMetric(bare/1e6, "iterator-Mrows/s")
	b.ReportMetric(q6/bare, "ratio")
}

// bareRate walks all version records of a store's data, several times, and returns the best rate.
func bareRate(b *testing.B, dir string) (best float64) {
	e, err := engine.Open(dir, engine.Options{FS: vfs.Default, DisableWAL: true})
	require.NoError(b, err)
	defer func() { require.NoError(b, e.Close()) }()
	for range 4 {
		it, err := e.NewIterator(storage.IterOptions{CF: storage.CFWrite})
		require.NoError(b, err)
		start, n, size := time.Now(), 0, 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
			size += len(it.Key()) + len(it.Value())
		}
		best = max(best, float64(n)/time.Since(start).Seconds())
		require.NoError(b, it.Error())
		require.NoError(b, it.Close())
		require.Positive(b, size)
	}
	return best
}
