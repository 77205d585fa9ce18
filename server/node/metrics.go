package node

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scree-db/scree/storage/engine"
)

// engines shows what the two databases of a store tell of themselves, under the names that TiKV has for RocksDB's figures
// where they mean the same. They are read when somebody asks.
type engines struct {
	data, log *engine.Engine
}

var _ prometheus.Collector = (*engines)(nil)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	engineSize        = desc("tikv_engine_size_bytes", "Bytes of tables and write-ahead log.", "db", "type")
	engineMemory      = desc("tikv_engine_memory_bytes", "Bytes in memtables.", "db", "type")
	engineCache       = desc("tikv_engine_block_cache_size_bytes", "Bytes of blocks in the cache.", "db")
	engineCacheUse    = desc("tikv_engine_cache_efficiency", "Blocks found in the cache, and not found.", "db", "type")
	engineFiles       = desc("tikv_engine_num_files_at_level", "Tables of each level.", "db", "level")
	engineDebt        = desc("tikv_engine_pending_compaction_bytes", "Bytes that compactions have to rewrite.", "db")
	engineCompacting  = desc("tikv_engine_num_running_compactions", "Compactions under way.", "db")
	engineEvents      = desc("tikv_engine_event_total", "Flushes and compactions that ended.", "db", "type")
	engineFlow        = desc("tikv_engine_flow_bytes", "Bytes written to the write-ahead log.", "db", "type")
	engineSnapshots   = desc("tikv_engine_num_snapshots", "Snapshots that are open.", "db")
	engineStalls      = desc("scree_engine_write_stalls_total", "Times that writes had to wait for flushes or compactions.", "db")
	engineReadAmplify = desc("scree_engine_read_amplification", "Tables that a read of one key looks at, at most.", "db")
	storeSize         = desc("tikv_store_size_bytes", "The disk that the store is on, and what the store takes of it.", "type")
)

// Describe implements prometheus.Collector.
func (e *engines) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		engineSize, engineMemory, engineCache, engineCacheUse, engineFiles, engineDebt, engineCompacting, engineEvents, engineFlow,
		engineSnapshots, engineStalls, engineReadAmplify, storeSize,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e *engines) Collect(ch chan<- prometheus.Metric) {
	data, log := e.data.Metrics(), e.log.Metrics()
	collectEngine(ch, "kv", data)
	collectEngine(ch, "raft", log)
	put := func(kind string, v uint64) {
		ch <- prometheus.MustNewConstMetric(storeSize, prometheus.GaugeValue, float64(v), kind)
	}
	put("used", data.DiskBytes+log.DiskBytes)
	if space, known, err := e.data.Space(); err == nil && known {
		put("capacity", space.Total)
		put("available", space.Free)
	}
}

func collectEngine(ch chan<- prometheus.Metric, db string, m *engine.Metrics) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{db}, labels...)...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append([]string{db}, labels...)...)
	}
	gauge(engineSize, float64(m.DiskBytes), "all")
	gauge(engineMemory, float64(m.MemTableBytes), "mem-tables")
	gauge(engineCache, float64(m.CacheBytes))
	counter(engineCacheUse, float64(m.CacheHits), "block_cache_hit")
	counter(engineCacheUse, float64(m.CacheMisses), "block_cache_miss")
	for i, l := range m.Levels {
		gauge(engineFiles, float64(l.Files), strconv.Itoa(i))
	}
	gauge(engineDebt, float64(m.CompactionDebtBytes))
	gauge(engineCompacting, float64(m.CompactionsRunning))
	counter(engineEvents, float64(m.Flushes), "flush")
	counter(engineEvents, float64(m.Compactions), "compaction")
	counter(engineFlow, float64(m.WALBytesWritten), "wal_file_bytes")
	gauge(engineSnapshots, float64(m.SnapshotsOpen))
	counter(engineStalls, float64(m.WriteStalls))
	gauge(engineReadAmplify, float64(m.ReadAmplification))
}
