package raftstore

import "github.com/prometheus/client_golang/prometheus"

// metrics are what Collect shows beside counts that the store keeps anyway. Loops note a figure for each sync, entry or batch,
// not for each write.
type metrics struct {
	sync, apply prometheus.Histogram
	group       prometheus.Histogram
	proposals   [kindFinishFlashback + 1]prometheus.Counter // by commandKind
	counters    *prometheus.CounterVec
	regions     *prometheus.Desc
	peers       *prometheus.Desc
	pending     *prometheus.Desc
	refusing    *prometheus.Desc
	logBytes    *prometheus.Desc
}

// proposalNames are TiKV's names for what is proposed, as far as it has any.
var proposalNames = [...]string{
	kindWrite: "normal", kindSplit: "split", kindMember: "conf_change",
	kindFlashbackWrite: "flashback_write", kindPrepareFlashback: "prepare_flashback", kindFinishFlashback: "finish_flashback",
}

func newMetrics() *metrics {
	times := prometheus.ExponentialBuckets(0.00001, 2, 22)
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &metrics{
		sync:  histogram("tikv_raftstore_append_log_duration_seconds", "Time to write the logs of all regions that are ready, and to sync them.", times),
		apply: histogram("tikv_raftstore_apply_log_duration_seconds", "Time to write a batch of committed entries.", times),
		group: histogram("tikv_raftstore_apply_proposal", "Writes that went into one log entry.", prometheus.ExponentialBuckets(1, 2, 12)),
		counters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tikv_raftstore_proposal_total", Help: "Proposals by their kind.",
		}, []string{"type"}),
		regions:  desc("tikv_raftstore_region_count", "Regions with a peer here, and those led here.", "type"),
		peers:    desc("tikv_raftstore_hibernated_peer_state", "Peers that raft's clock runs for, and those at rest.", "state"),
		pending:  desc("scree_raftstore_pending_bytes", "Bytes of writes under way."),
		refusing: desc("scree_raftstore_refuses_writes", "Whether writes are refused, and for which reason.", "reason"),
		logBytes: desc("tikv_raft_log_size_bytes", "Bytes of the raft logs."),
	}
	for kind := kindWrite; kind <= kindFinishFlashback; kind++ {
		m.proposals[kind] = m.counters.WithLabelValues(proposalNames[kind])
	}
	return m
}

var _ prometheus.Collector = (*Store)(nil)

// Describe implements prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	m := s.metrics
	for _, d := range []*prometheus.Desc{m.sync.Desc(), m.apply.Desc(), m.group.Desc(), m.regions, m.peers, m.pending, m.refusing, m.logBytes} {
		ch <- d
	}
	m.counters.Describe(ch)
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	m, st := s.metrics, s.Stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ch <- m.sync
	ch <- m.apply
	ch <- m.group
	m.counters.Collect(ch)
	gauge(m.regions, float64(st.RegionCount), "region")
	gauge(m.regions, float64(st.LeaderCount), "leader")
	awake := s.awake()
	gauge(m.peers, float64(awake), "awaken")
	gauge(m.peers, float64(max(st.RegionCount-awake, 0)), "hibernated")
	gauge(m.pending, float64(st.PendingBytes))
	gauge(m.refusing, oneIf(s.admission.overload.Load() != nil), "busy")
	gauge(m.refusing, oneIf(s.admission.full.Load() > 0), "disk_full")
	gauge(m.logBytes, float64(st.LogBytes))
}

// awake is the number of peers that need ticks.
func (s *Store) awake() (n int) {
	for _, l := range s.writeLoops {
		n += int(l.ticking.Load())
	}
	return n
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
