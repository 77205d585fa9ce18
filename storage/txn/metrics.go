package txn

import "github.com/prometheus/client_golang/prometheus"

// metrics are those of a Manager, under TiKV's names.
type metrics struct {
	latchWait prometheus.Histogram
	waiters   *prometheus.Desc
}

func newMetrics() metrics {
	return metrics{
		latchWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tikv_scheduler_latch_wait_duration_seconds", Help: "Time that writes wait for others on the same keys.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 2, 20),
		}),
		waiters: prometheus.NewDesc("tikv_lock_manager_wait_table_status",
			"Requests that wait for another transaction's lock.", []string{"type"}, nil),
	}
}

var _ prometheus.Collector = (*Manager)(nil)

// Describe implements prometheus.Collector.
func (m *Manager) Describe(ch chan<- *prometheus.Desc) {
	m.metrics.latchWait.Describe(ch)
	ch <- m.metrics.waiters
}

// Collect implements prometheus.Collector.
func (m *Manager) Collect(ch chan<- prometheus.Metric) {
	m.metrics.latchWait.Collect(ch)
	ch <- prometheus.MustNewConstMetric(m.metrics.waiters, prometheus.GaugeValue, float64(len(m.LockWaits())), "txn")
}
