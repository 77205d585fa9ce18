package status_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/server/status"
)

// The three kinds of pages are there, with the owner's document and metrics in them.
func TestPages(t *testing.T) {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "scree_test_answer"})
	gauge.Set(42)
	s, err := status.Start(status.Options{
		Addr: "127.0.0.1:0", Status: func() any { return map[string]string{"version": "1.2.3"} },
		Metrics: []prometheus.Collector{gauge},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	get := func(path string) string {
		resp, err := http.Get("http://" + s.Addr() + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.JSONEq(t, `{"version": "1.2.3"}`, get("/status"))
	metrics := get("/metrics")
	require.Contains(t, metrics, "scree_test_answer 42")
	require.Contains(t, metrics, "go_goroutines")
	require.Contains(t, get("/debug/pprof/"), "goroutine")
}

// A port in use is an error at once.
func TestPortInUse(t *testing.T) {
	s, err := status.Start(status.Options{Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, err = status.Start(status.Options{Addr: s.Addr()})
	require.ErrorContains(t, err, "address already in use")
}
