package process

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// `scree bench` runs each of its workloads, and says so when an answer is wrong.
func TestBench(t *testing.T) {
	p := start(t, t.TempDir(), "--port-offset", freeOffset(t))
	host, port, err := net.SplitHostPort(p.mysql)
	require.NoError(t, err)
	bench := func(args ...string) (stdout, stderr string, code int) {
		return scree(t, append([]string{"bench", "--host", host, "--port", port, "--format", "json"}, args...)...)
	}

	for _, workload := range [][]string{{"point", "--rows", "2000"}, {"bank", "--accounts", "50"}} {
		out, stderr, code := bench(append(workload, "--clients", "4", "--time", "1s", "--warmup", "0s")...)
		require.Equal(t, 0, code, stderr)
		var report struct {
			Clients, Operations, Conflicts int
			Mean                           float64 `json:"mean ms"`
			Max                            float64 `json:"max ms"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &report), out)
		require.Equal(t, 4, report.Clients)
		require.Positive(t, report.Operations)
		require.LessOrEqual(t, report.Mean, report.Max)
	}

	for _, workload := range [][]string{{"point", "--rows", "0"}, {"bank", "--accounts", "1"}, {"bank", "--clients", "0"}, {"point", "--time", "0s"}} {
		_, stderr, code := bench(workload...)
		require.Equal(t, 1, code, "%v: %s", workload, stderr)
	}

	mustExec(t, p.open(t), "UPDATE scree_bench.point SET payload = 'nonsense'")
	_, stderr, code := bench("point", "--rows", "2000", "--time", "1s", "--warmup", "0s")
	require.NotZero(t, code)
	require.Contains(t, stderr, "wrong answer: row ")
}

// The queries of TPC-H run over rows that are loaded first, and their answers are held against the recorded ones.
func TestBenchTPCH(t *testing.T) {
	p := start(t, t.TempDir(), "--port-offset", freeOffset(t))
	host, port, err := net.SplitHostPort(p.mysql)
	require.NoError(t, err)
	run := []string{"bench", "tpch", "--host", host, "--port", port, "--scale", "0.01", "--runs", "1", "--query", "q06,q13"}
	out, stderr, code := scree(t, run...)
	require.Equal(t, 0, code, stderr)
	require.Regexp(t, `(?m)^q06 +1 .* right *$`, out)
	require.Regexp(t, `(?m)^q13 +32 .* right *$`, out)

	mustExec(t, p.open(t), "DELETE FROM tpch.orders LIMIT 100")
	_, stderr, code = scree(t, run...)
	require.NotZero(t, code)
	require.Contains(t, stderr, "q13: wrong answer")
}
