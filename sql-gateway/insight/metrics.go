package insight

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of statements, under TiDB's names.
type metrics struct {
	queries    *prometheus.CounterVec
	statements *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	errors     *prometheus.CounterVec
	txns       *prometheus.HistogramVec
	parse      prometheus.Histogram
	compile    prometheus.Histogram
	slow       prometheus.Histogram

	outcomes [2][2]prometheus.Counter // queries by prepared and failed
	types    sync.Map                 // string to *typeMetrics
	ended    map[TxnEnd]prometheus.Observer
}

// typeMetrics are those of one type of statement.
type typeMetrics struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// TxnEnd is how a transaction ended.
type TxnEnd string

// Ends of transactions.
const (
	Commit   TxnEnd = "commit"
	Rollback TxnEnd = "rollback"
	Abort    TxnEnd = "abort" // COMMIT failed
)

// timeBuckets go from 10 microseconds to 80 seconds and more.
var timeBuckets = prometheus.ExponentialBuckets(0.00001, 2, 24)

func newMetrics() *metrics {
	histogram := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: timeBuckets}
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		queries:    counter("tidb_server_query_total", "Commands of clients, by kind and outcome.", "type", "result"),
		statements: counter("tidb_executor_statement_total", "Statements by their type.", "type"),
		errors:     counter("tidb_server_execute_error_total", "Statements that failed, by MySQL's code.", "type"),
		durations:  prometheus.NewHistogramVec(histogram("tidb_server_handle_query_duration_seconds", "Time of statements by their type."), []string{"sql_type"}),
		txns:       prometheus.NewHistogramVec(histogram("tidb_session_transaction_duration_seconds", "Life of transactions, by how they ended."), []string{"type"}),
		parse:      prometheus.NewHistogram(histogram("tidb_session_parse_duration_seconds", "Time to parse statements.")),
		compile:    prometheus.NewHistogram(histogram("tidb_session_compile_duration_seconds", "Time to plan queries.")),
		slow:       prometheus.NewHistogram(histogram("tidb_server_slow_query_process_duration_seconds", "Time of slow statements.")),
		ended:      make(map[TxnEnd]prometheus.Observer),
	}
	for i, command := range []string{"Query", "StmtExecute"} {
		for j, result := range []string{"OK", "Error"} {
			m.outcomes[i][j] = m.queries.WithLabelValues(command, result)
		}
	}
	for _, end := range []TxnEnd{Commit, Rollback, Abort} {
		m.ended[end] = m.txns.WithLabelValues(string(end))
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.queries, m.statements, m.durations, m.errors, m.txns, m.parse, m.compile, m.slow}
}

func (m *metrics) of(statementType string) *typeMetrics {
	if found, ok := m.types.Load(statementType); ok {
		return found.(*typeMetrics)
	}
	made := &typeMetrics{m.statements.WithLabelValues(statementType), m.durations.WithLabelValues(statementType)}
	found, _ := m.types.LoadOrStore(statementType, made)
	return found.(*typeMetrics)
}

func (m *metrics) observe(st *Statement) {
	m.outcomes[oneIf(st.Prepared)][oneIf(st.Code != 0)].Inc()
	of := m.of(st.Type)
	of.count.Inc()
	of.duration.Observe(st.Took.Seconds())
	if st.Parse > 0 {
		m.parse.Observe(st.Parse.Seconds())
	}
	if st.Compile > 0 {
		m.compile.Observe(st.Compile.Seconds())
	}
	if st.Code != 0 {
		m.errors.WithLabelValues(strconv.Itoa(int(st.Code))).Inc()
	}
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// TxnEnded counts a transaction of several statements that lived for so many seconds.
func (r *Recorder) TxnEnded(end TxnEnd, seconds float64) { r.metrics.ended[end].Observe(seconds) }

var _ prometheus.Collector = (*Recorder)(nil)

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range r.metrics.collectors() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (r *Recorder) Collect(ch chan<- prometheus.Metric) {
	for _, c := range r.metrics.collectors() {
		c.Collect(ch)
	}
}
