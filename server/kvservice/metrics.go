package kvservice

import (
	"reflect"
	"time"

	copb "github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/prometheus/client_golang/prometheus"
)

// methods names the requests that are measured, as TiKV's metrics do.
var methods = map[any]string{
	(*kvrpcpb.GetRequest)(nil):                 "kv_get",
	(*kvrpcpb.BatchGetRequest)(nil):            "kv_batch_get",
	(*kvrpcpb.ScanRequest)(nil):                "kv_scan",
	(*kvrpcpb.PrewriteRequest)(nil):            "kv_prewrite",
	(*kvrpcpb.CommitRequest)(nil):              "kv_commit",
	(*kvrpcpb.BatchRollbackRequest)(nil):       "kv_batch_rollback",
	(*kvrpcpb.CleanupRequest)(nil):             "kv_cleanup",
	(*kvrpcpb.TxnHeartBeatRequest)(nil):        "kv_txn_heart_beat",
	(*kvrpcpb.CheckTxnStatusRequest)(nil):      "kv_check_txn_status",
	(*kvrpcpb.CheckSecondaryLocksRequest)(nil): "kv_check_secondary_locks",
	(*kvrpcpb.ResolveLockRequest)(nil):         "kv_resolve_lock",
	(*kvrpcpb.ScanLockRequest)(nil):            "kv_scan_lock",
	(*kvrpcpb.DeleteRangeRequest)(nil):         "kv_delete_range",
	(*kvrpcpb.PessimisticLockRequest)(nil):     "kv_pessimistic_lock",
	(*kvrpcpb.PessimisticRollbackRequest)(nil): "kv_pessimistic_rollback",
	(*kvrpcpb.FlushRequest)(nil):               "kv_flush",
	(*kvrpcpb.BufferBatchGetRequest)(nil):      "kv_buffer_batch_get",
	(*kvrpcpb.MvccGetByKeyRequest)(nil):        "mvcc_get_by_key",
	(*kvrpcpb.MvccGetByStartTsRequest)(nil):    "mvcc_get_by_start_ts",
	(*kvrpcpb.SplitRegionRequest)(nil):         "split_region",
	(*kvrpcpb.ReadIndexRequest)(nil):           "read_index",
	(*copb.Request)(nil):                       "coprocessor",
	(*kvrpcpb.RawGetRequest)(nil):              "raw_get",
	(*kvrpcpb.RawBatchGetRequest)(nil):         "raw_batch_get",
	(*kvrpcpb.RawGetKeyTTLRequest)(nil):        "raw_get_key_ttl",
	(*kvrpcpb.RawPutRequest)(nil):              "raw_put",
	(*kvrpcpb.RawBatchPutRequest)(nil):         "raw_batch_put",
	(*kvrpcpb.RawDeleteRequest)(nil):           "raw_delete",
	(*kvrpcpb.RawBatchDeleteRequest)(nil):      "raw_batch_delete",
	(*kvrpcpb.RawScanRequest)(nil):             "raw_scan",
	(*kvrpcpb.RawBatchScanRequest)(nil):        "raw_batch_scan",
	(*kvrpcpb.RawDeleteRangeRequest)(nil):      "raw_delete_range",
	(*kvrpcpb.RawCASRequest)(nil):              "raw_compare_and_swap",
	(*kvrpcpb.RawChecksumRequest)(nil):         "raw_checksum",
}

// otherMethod is the name of whatever methods does not have.
const otherMethod = "other"

// metrics are those of one store's requests, whether they come over gRPC or from the same process.
type metrics struct {
	durations *prometheus.HistogramVec
	failures  *prometheus.CounterVec
	byType    map[reflect.Type]meter
	other     meter
}

// meter measures one method.
type meter struct {
	duration prometheus.Observer
	failed   prometheus.Counter // without an answer, or with a region error
}

func newMetrics() *metrics {
	m := &metrics{
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tikv_grpc_msg_duration_seconds", Help: "Time of requests, of gRPC clients and of the same process.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 2, 22),
		}, []string{"type"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tikv_grpc_msg_fail_total", Help: "Requests without an answer, or whose region is not here as they think.",
		}, []string{"type"}),
		byType: make(map[reflect.Type]meter, len(methods)),
	}
	for req, name := range methods {
		m.byType[reflect.TypeOf(req)] = m.meter(name)
	}
	m.other = m.meter(otherMethod)
	return m
}

func (m *metrics) meter(method string) meter {
	return meter{m.durations.WithLabelValues(method), m.failures.WithLabelValues(method)}
}

// of finds the meter of a request. It allocates nothing.
func (m *metrics) of(req any) meter {
	if found, ok := m.byType[reflect.TypeOf(req)]; ok {
		return found
	}
	return m.other
}

// done notes a request that began at begin.
func (m meter) done(begin time.Time, ok bool) {
	m.duration.Observe(time.Since(begin).Seconds())
	if !ok {
		m.failed.Inc()
	}
}

// Describe implements prometheus.Collector.
func (s *Service) Describe(ch chan<- *prometheus.Desc) {
	s.metrics.durations.Describe(ch)
	s.metrics.failures.Describe(ch)
}

// Collect implements prometheus.Collector.
func (s *Service) Collect(ch chan<- prometheus.Metric) {
	s.metrics.durations.Collect(ch)
	s.metrics.failures.Collect(ch)
}
