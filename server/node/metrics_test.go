package node_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// After a commit and a scan, made by direct calls, the store's metrics tell of both, and of what lies below: the scheduler, raft
// and the engines. Those of the placement driver are at its own port.
func TestMetrics(t *testing.T) {
	c := startCluster(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.Close()) }()
	client := newClient(t, c, c.Dialer())
	insert(t, client, 0, 10)
	require.Len(t, selectAll(t, client), 10)
	require.NoError(t, client.Close())
	page := getPage(t, "http://"+c.Stores()[0].StatusAddr()+"/metrics")
	for _, line := range []string{
		`tikv_grpc_msg_duration_seconds_count\{type="kv_prewrite"\} [1-9]`,
		`tikv_grpc_msg_duration_seconds_count\{type="coprocessor"\} [1-9]`,
		`tikv_coprocessor_request_duration_seconds_count\{req="select"\} [1-9]`,
		`scree_coprocessor_scan_keys_total\{kind="processed",req="select"\} 10\n`,
		`tikv_scheduler_latch_wait_duration_seconds_count [1-9]`,
		`tikv_raftstore_append_log_duration_seconds_count [1-9]`,
		`tikv_raftstore_proposal_total\{type="normal"\} [1-9]`,
		`tikv_raftstore_region_count\{type="leader"\} 1\n`,
		`tikv_engine_size_bytes\{db="kv",type="all"\} `,
		`tikv_engine_num_files_at_level\{db="raft",level="6"\} `,
		`tikv_store_size_bytes\{type="capacity"\} `,
		`go_goroutines `,
	} {
		require.Regexp(t, line, page)
	}
	require.NotContains(t, page, "pd_cluster_status", "the registry of the process is shown once")
	page = getPage(t, "http://"+c.PDAddr()+"/metrics")
	require.Regexp(t, `pd_cluster_status\{cluster_id="\d+",type="store_up_count"\} 1`, page)
	require.Regexp(t, `pd_scheduler_store_status\{address="[^"]+",cluster_id="\d+",store="\d+",type="region_count"\} 1`, page)
	require.Regexp(t, `scree_pd_timestamps_total\{cluster_id="\d+"\} [1-9]`, page)
}

func getPage(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}
