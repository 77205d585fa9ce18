package process

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// A process in a container of 512 MiB takes 70 % of that as its memory limit. It answers 64 groupings, joins and windows at
// the same time, each of which would like to hold some 10 MiB: they share a quarter of the limit and put the rest into files.
// Their answers are right, and the process never has more than the container.
func TestManyLargeQueries(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const container, queries, rows = 512 << 20, 64, 1 << 15
	dir := t.TempDir()
	config := filepath.Join(dir, "scree.toml")
	require.NoError(t, os.WriteFile(config, []byte(`memory-limit = "358MiB"`), 0o600))
	p := start(t, filepath.Join(dir, "data"), "--config", config, "--port-offset", freeOffset(t))
	db := p.open(t)
	mustExec(t, db, "CREATE TABLE big (id INT PRIMARY KEY, k VARCHAR(100), v INT)",
		"INSERT INTO big VALUES (0, CONCAT(REPEAT('k', 80), '0'), 0)")
	for n := 1; n < rows; n *= 2 {
		mustExec(t, db, fmt.Sprintf("INSERT INTO big SELECT id + %d, CONCAT(REPEAT('k', 80), id + %d), (id + %d) %% 1000 FROM big", n, n, n))
	}
	statements := []string{
		"SELECT COUNT(*), SUM(n), SUM(s) FROM (SELECT k, COUNT(*) n, SUM(v) s FROM big GROUP BY k) x",
		"SELECT COUNT(*), COUNT(*), SUM(b.v) FROM big a JOIN big b ON a.k = b.k WHERE LENGTH(a.k) + LENGTH(b.k) > 0",
		"SELECT COUNT(*), MAX(r), SUM(v) FROM (SELECT v, ROW_NUMBER() OVER (ORDER BY k) r FROM big) x",
	}
	sum := 0
	for i := range rows {
		sum += i % 1000
	}
	var group errgroup.Group
	for i := range queries {
		group.Go(func() error {
			var n, m, s int
			stmt := statements[i%len(statements)]
			if err := db.QueryRow(stmt).Scan(&n, &m, &s); err != nil {
				return fmt.Errorf("%s: %w", stmt, err)
			}
			if n != rows || m != rows || s != sum {
				return fmt.Errorf("%s: %d, %d, %d", stmt, n, m, s)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	peak := peakMemory(t, p.cmd.Process.Pid)
	t.Logf("peak of %d MiB", peak>>20)
	require.Less(t, peak, int64(container))
}

// peakMemory is the most resident memory that a process has had, in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	require.True(t, ok)
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return kib << 10
}
