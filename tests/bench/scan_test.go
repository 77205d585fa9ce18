package main

import (
	"context"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/tablekey"
	cop "github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/dagjson"
	"github.com/scree-db/scree/sql-gateway/tpch"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/mvcc"
	"github.com/scree-db/scree/storage/storagetest"
	"github.com/scree-db/scree/storage/txn"
	"github.com/scree-db/scree/tests/testcluster"
)

var (
	scanData  = flag.String("scan-data", "", "directory that BenchmarkRowLeaf loads TPC-H into, or finds it in; default: a temporary one")
	scanScale = flag.String("scan-scale", "0.1", "TPC-H scale factor of BenchmarkRowLeaf")
)

// leafQueries are what BenchmarkRowLeaf measures: they read lineitem whole.
var leafQueries = []struct{ name, text string }{
	{"Q6", tpch.Queries()[5].Text},
	{"Q1", tpch.Queries()[0].Text},
	{"columns", "SELECT l_shipdate, l_quantity, l_extendedprice, l_discount FROM tpch.lineitem"},
	{"text", "SELECT l_orderkey, l_shipmode, l_comment FROM tpch.lineitem"},
	{"count", "SELECT COUNT(*) FROM tpch.lineitem USE INDEX ()"},
}

// pointQueries are what BenchmarkSmallDAG measures, besides a point.
var pointQueries = []struct{ name, text string }{
	{"range10", "SELECT * FROM tpch.orders WHERE o_orderkey BETWEEN 1000 AND 1031"},
	{"range100", "SELECT o_custkey, SUM(o_totalprice) FROM tpch.orders WHERE o_orderkey BETWEEN 1000 AND 1399 GROUP BY o_custkey"},
}

// BenchmarkRowLeaf runs what a store does for a query over TPC-H's lineitem, on one core, side by side with a bare iterator
// over the same records: the price of versions, decoding, filtering and aggregation. It reports the fastest run of each
// in rows a second of CPU time, so that a busy machine disturbs little, and their ratio.
func BenchmarkRowLeaf(b *testing.B) {
	data := openScanData(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, q := range leafQueries {
		b.Run(q.name, func(b *testing.B) {
			run := data.request(b, q.name)
			rows, _ := data.walk(b, run)
			b.ReportAllocs()
			b.ResetTimer()
			query, bare := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for range b.N {
				start := cpuTime(b)
				data.answer(b, run)
				query = min(query, cpuTime(b)-start)
				b.StopTimer()
				_, took := data.walk(b, run)
				bare = min(bare, took)
				b.StartTimer()
			}
			b.ReportMetric(float64(rows)/query.Seconds()/1e6, "Mrows/s")
			b.ReportMetric(float64(rows)/bare.Seconds()/1e6, "iterator-Mrows/s")
			b.ReportMetric(bare.Seconds()/query.Seconds(), "ratio")
		})
	}
}

// BenchmarkColumnLeaf runs the queries of BenchmarkRowLeaf over copies of lineitem by columns, on one core. It reports the
// fastest run of each in rows a second of CPU time, and the bytes of columns that it looked at.
func BenchmarkColumnLeaf(b *testing.B) {
	data := openScanData(b)
	data.copyColumns(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, q := range leafQueries {
		b.Run(q.name, func(b *testing.B) {
			run := data.request(b, q.name)
			run.StartTs = columnsTS
			rows, bytes := data.warmColumns(b, run)
			b.ReportAllocs()
			b.ResetTimer()
			query := time.Duration(math.MaxInt64)
			for range b.N {
				start := cpuTime(b)
				data.answer(b, run)
				query = min(query, cpuTime(b)-start)
			}
			b.ReportMetric(float64(rows)/query.Seconds()/1e6, "Mrows/s")
			b.ReportMetric(float64(bytes)/query.Seconds()/1e9, "GB/s")
		})
	}
}

// BenchmarkSmallDAG is the CPU time of requests that read a few rows of many, or one.
func BenchmarkSmallDAG(b *testing.B) {
	data := openScanData(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, q := range pointQueries {
		b.Run(q.name, func(b *testing.B) {
			data.benchmarkSmall(b, data.request(b, q.name))
		})
	}
	b.Run("point", func(b *testing.B) {
		run := data.request(b, pointQueries[0].name)
		start := run.Ranges[0].Start
		run.Ranges = []*coprocessor.KeyRange{{Start: start, End: tablekey.PrefixNext(start)}}
		data.benchmarkSmall(b, run)
	})
}

func (s *scanStore) benchmarkSmall(b *testing.B, run *coprocessor.Request) {
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		s.answer(b, run)
	}
	b.ReportMetric(float64((cpuTime(b)-start).Microseconds())/float64(b.N), "CPU-µs/op")
}

// scanStore is a store's data with a coprocessor over it, and the requests of the queries.
type scanStore struct {
	dir    string
	engine *engine.Engine
	cop    *cop.Endpoint
}

func openScanData(b *testing.B) *scanStore {
	dir := *scanData
	if dir == "" {
		dir = b.TempDir()
	}
	if _, err := os.Stat(filepath.Join(dir, "store-1")); os.IsNotExist(err) {
		loadScanData(b, dir)
	}
	s := &scanStore{dir: dir}
	var err error
	s.engine, err = engine.Open(filepath.Join(dir, "store-1", "data"), engine.Options{FS: vfs.Default, CacheBytes: 2 << 30, DisableWAL: true})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.engine.Close()) })
	s.cop = cop.NewEndpoint(&storagetest.Store{Engine: s.engine}, txn.NewConcurrency(), cop.Options{})
	return s
}

// loadScanData fills a cluster, writes down the requests that it would send to its store for the queries, and ends it.
func loadScanData(b *testing.B, dir string) {
	scale, err := tpch.ParseScale(*scanScale)
	require.NoError(b, err)
	c := testcluster.Start(b, testcluster.Options{Dir: dir})
	defer c.Stop()
	require.NoError(b, tpch.Load(context.Background(), c.DB, "tpch", tpch.NewGenerator(scale), nil))
	conn, err := c.DB.Conn(context.Background())
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close()) }()
	_, err = conn.ExecContext(context.Background(), "USE tpch")
	require.NoError(b, err)
	for _, q := range append(leafQueries, pointQueries...) {
		var doc string
		require.NoError(b, conn.QueryRowContext(context.Background(), "EXPLAIN FORMAT='dag' "+q.text).Scan(&doc))
		require.NoError(b, os.WriteFile(filepath.Join(dir, q.name+".json"), []byte(doc), 0o600))
	}
}

func (s *scanStore) request(b *testing.B, name string) *coprocessor.Request {
	text, err := os.ReadFile(filepath.Join(s.dir, name+".json"))
	require.NoError(b, err)
	doc, err := dagjson.Unmarshal(text)
	require.NoError(b, err)
	data, err := doc.DAG.Marshal()
	require.NoError(b, err)
	req := &coprocessor.Request{Context: storagetest.Context(), Tp: 103, StartTs: math.MaxUint64, Data: data}
	for _, r := range doc.Ranges {
		req.Ranges = append(req.Ranges, &coprocessor.KeyRange{Start: r.Start, End: r.End})
	}
	return req
}

// columnsTS is when requests read columns: after all commits.
const columnsTS = 1 << 62

// copyColumns has the endpoint copy tables by columns.
func (s *scanStore) copyColumns(b *testing.B) {
	columns, err := columnar.Open(columnar.Options{Dir: b.TempDir(), CacheMax: 2 << 30})
	require.NoError(b, err)
	s.cop = cop.NewEndpoint(&storagetest.Store{Engine: s.engine}, txn.NewConcurrency(), cop.Options{
		Columns: columns, TS: func(context.Context) (uint64, error) { return columnsTS, nil },
	})
	b.Cleanup(func() { require.NoError(b, errors.Join(s.cop.Close(), columns.Close())) })
}

// warmColumns asks until the answer comes from columns alone: of so many rows, and so many bytes that were looked at.
func (s *scanStore) warmColumns(b *testing.B, req *coprocessor.Request) (rows, bytes uint64) {
	for {
		before := s.cop.Columns()
		details := s.answer(b, req).ExecDetailsV2.ScanDetailV2
		if s.cop.Columns().RowsFromRows == before.RowsFromRows && before.Pending == 0 {
			return details.ProcessedVersions, details.ProcessedVersionsSize
		}
		require.Eventually(b, func() bool { return s.cop.Columns().Pending == 0 }, 10*time.Minute, time.Millisecond)
	}
}

func (s *scanStore) answer(b *testing.B, req *coprocessor.Request) *coprocessor.Response {
	resp, err := s.cop.Stream(context.Background(), req, nil, func(executor.Batch) error { return nil })
	require.NoError(b, err)
	require.Empty(b, resp.OtherError)
	require.Nil(b, resp.RegionError)
	return resp
}

// walk iterates over the version records of a request's range.
func (s *scanStore) walk(b *testing.B, req *coprocessor.Request) (rows int, took time.Duration) {
	it, err := s.engine.NewIterator(storage.IterOptions{
		CF: storage.CFWrite, Lower: mvcc.EncodeKey(req.Ranges[0].Start), Upper: mvcc.EncodeKey(req.Ranges[0].End),
	})
	require.NoError(b, err)
	start, size := cpuTime(b), 0
	for ok := it.First(); ok; ok = it.Next() {
		rows++
		size += len(it.Key()) + len(it.Value())
	}
	took = cpuTime(b) - start
	require.NoError(b, it.Error())
	require.NoError(b, it.Close())
	require.Positive(b, size)
	return rows, took
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
