// Package watching holds what is shipped for watching a cluster against a cluster.
package watching

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/tests/testcluster"
)

// Every metric that the Grafana board asks for is one that a gateway, a store or the placement driver has.
func TestBoardAsksForWhatThereIs(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	have := make(map[string]bool)
	for _, collector := range []prometheus.Collector{c.Gateway, c.Client} {
		described(collector, have)
	}
	listed(t, "http://"+c.Nodes.Stores()[0].StatusAddr()+"/metrics", have)
	listed(t, "http://"+c.Nodes.PDAddr()+"/metrics", have)
	text, err := os.ReadFile("../../etc/grafana/scree.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	require.NotEmpty(t, board.Panels)
	name := regexp.MustCompile(`\b(?:tidb|tikv|pd|scree|process|go)_\w+`)
	for _, p := range board.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			asked := name.FindAllString(target.Expr, -1)
			require.NotEmpty(t, asked, target.Expr)
			for _, metric := range asked {
				of := strings.TrimSuffix(strings.TrimSuffix(metric, "_bucket"), "_count") // the histogram that it is a part of
				require.True(t, have[metric] || have[of], "%s: there is no %s", p.Title, metric)
			}
		}
	}
}

// described notes the names that a collector may have, also of metrics that have counted nothing yet.
func described(c prometheus.Collector, into map[string]bool) {
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	name := regexp.MustCompile(`fqName: "(\w+)"`)
	for d := range descs {
		into[name.FindStringSubmatch(d.String())[1]] = true
	}
}

// listed notes the names that a page of metrics has.
func listed(t *testing.T, url string, into map[string]bool) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(string(page), -1) {
		into[m[1]] = true
	}
}
