package node_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pdhttp "github.com/tikv/pd/client/http"
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
		`scree_coprocessor_running_requests 0\n`,
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

// The placement driver's HTTP interface tells clients of PD, and ours, what it knows of stores and regions.
func TestPlacementOverHTTP(t *testing.T) {
	c := startCluster(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.Close()) }()
	ctx := testContext(t)
	stores, err := c.PD().StoreInfos(ctx)
	require.NoError(t, err)
	require.Len(t, stores, 1)
	require.EqualValues(t, c.Stores()[0].ID(), stores[0].Store.ID)
	require.Equal(t, "Up", stores[0].Store.StateName)
	client := newClient(t, c, c.Dialer())
	require.NoError(t, client.Split(ctx, [][]byte{[]byte("m")}))
	require.NoError(t, client.Close())
	var regions []pdhttp.RegionInfo
	require.Eventually(t, func() bool {
		regions, err = c.PD().RegionInfos(ctx, nil, nil, 10)
		return err == nil && len(regions) == 2 && regions[1].Leader.StoreID == stores[0].Store.ID
	}, limit, 5*time.Millisecond)
	require.Equal(t, regions[0].EndKey, regions[1].StartKey)
	start, err := hex.DecodeString(regions[1].StartKey)
	require.NoError(t, err)
	second, err := c.PD().RegionInfos(ctx, append(start, 'x'), nil, 10)
	require.NoError(t, err)
	require.Len(t, second, 1)
	first, err := c.PD().RegionInfos(ctx, nil, start, 10)
	require.NoError(t, err)
	require.Equal(t, regions[:1], first)
	for path, part := range map[string]string{
		"region/id/" + strconv.FormatInt(regions[0].ID, 10):  regions[0].EndKey,
		"store/" + strconv.FormatInt(stores[0].Store.ID, 10): stores[0].Store.Address,
		"members": "client_urls",
		"version": "v8.5.0",
	} {
		require.Contains(t, getPage(t, "http://"+c.PDAddr()+"/pd/api/v1/"+path), part)
	}
	resp, err := http.Get("http://" + c.PDAddr() + "/pd/api/v1/region/id/999999")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}
