package process

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A playground tells how to use it, in an order that people rely on; with --sql it is a shell, whose end is its own.
func TestGreetingAndShell(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "playground", "--sql", "--data-dir", t.TempDir(), "--port-offset", freeOffset(t))
	cmd.Stdin = strings.NewReader("SELECT 6 * 7 AS answer;\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var labels []string
	for _, line := range strings.Split(string(out), "\n") {
		if label, _, found := strings.Cut(line, ": "); found && !strings.HasPrefix(line, "|") {
			labels = append(labels, label)
		}
	}
	require.Equal(t, []string{"Connect", "Console", "Flight", "PD (TiKV client)", "Data directory", "Stop"}, labels)
	require.Contains(t, string(out), "|     42 |")
	require.Contains(t, string(out), "stopping ...")
}

// The console is where the playground says, beside the status pages, and the slow log among the data.
func TestConsoleIsThere(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, "--port-offset", freeOffset(t))
	require.Contains(t, p.console, "http://")
	for path, part := range map[string]string{"": "<title>Scree</title>", "status": "git_hash", "metrics": "tidb_server_connections"} {
		resp, err := http.Get(p.console + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(body), part)
	}
	require.Equal(t, "1\n", strings.TrimPrefix(queryShell(t, p, "SET long_query_time = 0.001; DO SLEEP(0.01); SELECT COUNT(*) > 0 AS n FROM information_schema.slow_query"), "n\n"))
	require.FileExists(t, dir+"/scree-slow.log")
	require.Equal(t, 0, p.stop(t), p.stderr.String())
}
