package kvclient

import (
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of a Client, under the names that TiDB has for its own.
type metrics struct {
	requests     prometheus.Histogram
	timestamps   prometheus.Histogram
	commits      prometheus.Histogram
	locks        prometheus.Counter
	backoffs     *prometheus.HistogramVec
	regionErrors *prometheus.CounterVec
	waits        map[*backoffKind]prometheus.Observer
}

// backoffNames are TiDB's names for the reasons to wait.
var backoffNames = map[*backoffKind]string{
	backoffRegion: "regionMiss", backoffLeader: "updateLeader", backoffBusy: "tikvServerBusy", backoffStore: "tikvRPC",
	backoffLock: "txnLock", backoffPD: "pdRPC",
}

func newMetrics() *metrics {
	histogram := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.00001, 2, 22)}
	}
	m := &metrics{
		requests:   prometheus.NewHistogram(histogram("tidb_tikvclient_request_seconds", "Time of requests to stores.")),
		timestamps: prometheus.NewHistogram(histogram("tidb_tikvclient_ts_future_wait_seconds", "Time until a timestamp comes from the placement driver.")),
		commits:    prometheus.NewHistogram(histogram("tidb_tikvclient_txn_cmd_duration_seconds", "Time to commit a transaction that wrote.")),
		locks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidb_tikvclient_lock_resolver_actions_total", Help: "Locks of other transactions met.",
		}),
		backoffs: prometheus.NewHistogramVec(histogram("tidb_tikvclient_backoff_seconds", "Time spent waiting before a request was tried again."), []string{"type"}),
		regionErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tidb_tikvclient_region_err_total", Help: "Requests that a store refused for the sake of their region.",
		}, []string{"type"}),
		waits: make(map[*backoffKind]prometheus.Observer),
	}
	for k, name := range backoffNames {
		m.waits[k] = m.backoffs.WithLabelValues(name)
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.timestamps, m.commits, m.locks, m.backoffs, m.regionErrors}
}

// took notes the time since begin.
func (c *Client) took(h prometheus.Observer, begin time.Time) {
	h.Observe(c.opts.Now().Sub(begin).Seconds())
}

// regionErrorName is TiDB's name for what a store complains of.
func regionErrorName(e *errorpb.Error) string {
	switch {
	case e.NotLeader != nil:
		return "not_leader"
	case e.RegionNotFound != nil:
		return "region_not_found"
	case e.EpochNotMatch != nil:
		return "epoch_not_match"
	case e.ServerIsBusy != nil:
		return "server_is_busy"
	case e.DiskFull != nil:
		return "disk_full"
	case e.StaleCommand != nil:
		return "stale_command"
	case e.StoreNotMatch != nil:
		return "store_not_match"
	case e.RaftEntryTooLarge != nil:
		return "raft_entry_too_large"
	case e.MaxTimestampNotSynced != nil:
		return "max_timestamp_not_synced"
	case e.ReadIndexNotReady != nil:
		return "read_index_not_ready"
	case e.DataIsNotReady != nil:
		return "data_is_not_ready"
	default:
		return "unknown"
	}
}

var _ prometheus.Collector = (*Client)(nil)

// Describe implements prometheus.Collector.
func (c *Client) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics.collectors() {
		m.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c *Client) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.metrics.collectors() {
		m.Collect(ch)
	}
}
