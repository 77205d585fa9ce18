package coprocessor

import "github.com/prometheus/client_golang/prometheus"

// The metrics of columns are read when somebody asks.
var (
	columnSegments = prometheus.NewDesc("scree_columnar_segments", "Parts of tables that are copied by columns.", nil, nil)
	columnPending  = prometheus.NewDesc("scree_columnar_pending", "Parts of tables whose copies are being made, or wait for it.", nil, nil)
	columnBytes    = prometheus.NewDesc("scree_columnar_size_bytes", "Bytes of columns.", []string{"where"}, nil)
	columnCacheUse = prometheus.NewDesc("scree_columnar_cache_total", "Blocks of a column found in memory, and not found.", []string{"type"}, nil)
	columnRows     = prometheus.NewDesc("scree_columnar_scan_rows_total", "Rows of scans that may read columns, by where they came from.", []string{"from"}, nil)
	columnEvents   = prometheus.NewDesc("scree_columnar_event_total", "Copies that were made, given up, dropped for correctness, and for want of space.",
		[]string{"type"}, nil)
)

var _ prometheus.Collector = (*Endpoint)(nil)

// Describe implements prometheus.Collector.
func (e *Endpoint) Describe(ch chan<- *prometheus.Desc) {
	e.metrics.Describe(ch)
	for _, d := range []*prometheus.Desc{columnSegments, columnPending, columnBytes, columnCacheUse, columnRows, columnEvents} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e *Endpoint) Collect(ch chan<- prometheus.Metric) {
	e.metrics.Collect(ch)
	s := e.Columns()
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(columnSegments, int64(s.Segments))
	gauge(columnPending, int64(s.Pending))
	gauge(columnBytes, s.DiskBytes, "disk")
	gauge(columnBytes, s.CacheBytes, "cache")
	counter(columnCacheUse, s.CacheHits, "hit")
	counter(columnCacheUse, s.CacheMisses, "miss")
	counter(columnRows, s.RowsFromColumns, "columns")
	counter(columnRows, s.RowsFromRows, "rows")
	counter(columnRows, s.RowsSkipped, "skipped")
	counter(columnEvents, s.Built, "built")
	counter(columnEvents, s.BuildsFailed, "failed")
	counter(columnEvents, s.Erased, "dropped")
	counter(columnEvents, s.Evicted, "evicted")
}
