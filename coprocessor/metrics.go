package coprocessor

import (
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of an Endpoint, under TiKV's names.
type metrics struct {
	durations *prometheus.HistogramVec
	keys      *prometheus.CounterVec
	errors    *prometheus.CounterVec
	requests  prometheus.GaugeFunc
	byType    map[int64]meter
	other     meter

	regionError, locked, otherError, cancelled prometheus.Counter
}

// meter measures requests of one type.
type meter struct {
	duration         prometheus.Observer
	total, processed prometheus.Counter
}

// newMetrics makes them; running is the number of requests under way.
func newMetrics(running func() int) metrics {
	m := metrics{
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tikv_coprocessor_request_duration_seconds", Help: "Time of a request, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 22),
		}, []string{"req"}),
		keys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scree_coprocessor_scan_keys_total", Help: "Versions that scans walked over, and those of them that made rows.",
		}, []string{"req", "kind"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tikv_coprocessor_request_error", Help: "Requests that were not answered with rows.",
		}, []string{"reason"}),
		requests: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "scree_coprocessor_running_requests", Help: "Requests under way, those that wait for others among them.",
		}, func() float64 { return float64(running()) }),
		byType: make(map[int64]meter),
	}
	for tp, name := range map[int64]string{tpDAG: "select", tpAnalyze: "analyze", tpChecksum: "checksum"} {
		m.byType[tp] = m.meter(name)
	}
	m.other = m.meter("other")
	m.regionError, m.locked = m.errors.WithLabelValues("region_error"), m.errors.WithLabelValues("meet_lock")
	m.otherError, m.cancelled = m.errors.WithLabelValues("other"), m.errors.WithLabelValues("cancelled")
	return m
}

func (m *metrics) meter(req string) meter {
	return meter{m.durations.WithLabelValues(req), m.keys.WithLabelValues(req, "total"), m.keys.WithLabelValues(req, "processed")}
}

// note counts a request. resp is nil if it ended with an error of the caller's.
func (m *metrics) note(tp int64, took time.Duration, resp *coprocessor.Response) {
	of, ok := m.byType[tp]
	if !ok {
		of = m.other
	}
	of.duration.Observe(took.Seconds())
	if d := resp.GetExecDetailsV2().GetScanDetailV2(); d != nil {
		of.total.Add(float64(d.TotalVersions))
		of.processed.Add(float64(d.ProcessedVersions))
	}
	switch {
	case resp == nil:
		m.cancelled.Inc()
	case resp.RegionError != nil:
		m.regionError.Inc()
	case resp.Locked != nil:
		m.locked.Inc()
	case resp.OtherError != "":
		m.otherError.Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.durations.Describe(ch)
	m.keys.Describe(ch)
	m.errors.Describe(ch)
	m.requests.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.durations.Collect(ch)
	m.keys.Collect(ch)
	m.errors.Collect(ch)
	m.requests.Collect(ch)
}
