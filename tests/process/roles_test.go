package process

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRoles runs a cluster of a process for each role: a placement driver, three stores, two gateways. What one gateway writes
// the other reads, while a store is dead, and after the placement driver and all stores were killed.
func TestRoles(t *testing.T) {
	dir, offset := t.TempDir(), freeOffset(t)
	port, err := strconv.Atoi(offset)
	require.NoError(t, err)
	role := func(name string, i int, flags ...string) *process {
		flags = append(flags, "--port-offset", strconv.Itoa(port+i))
		return startRole(t, name, filepath.Join(dir, name+strconv.Itoa(i)), flags...)
	}
	pd := role("pd", 0)
	at := []string{"--pd", pd.pd}
	stores := make([]*process, 3)
	for i := range stores {
		stores[i] = role("store", i, at...)
	}
	first, second := role("gateway", 0, at...), role("gateway", 1, at...)
	write, read := first.open(t), second.open(t)

	const rows = 1000
	mustExec(t, write, "CREATE TABLE t (id INT PRIMARY KEY, v INT, KEY (v))")
	insert := "INSERT INTO t VALUES (0, 0)"
	for i := 1; i < rows; i++ {
		insert += fmt.Sprintf(", (%d, %d)", i, i%10)
	}
	mustExec(t, write, insert)
	sum := func() (n int) {
		require.NoError(t, read.QueryRow("SELECT SUM(v) FROM t").Scan(&n))
		return n
	}
	knows := func() bool { return read.QueryRow("SELECT COUNT(*) FROM t").Scan(new(int)) == nil }
	require.Eventually(t, knows, patience, 50*time.Millisecond, "the other gateway hears of the table")
	total := rows / 10 * 45
	require.Equal(t, total, sum())

	stores[0].kill(t)
	mustExec(t, write, "UPDATE t SET v = v + 1 WHERE v < 5")
	total += rows / 2
	require.Equal(t, total, sum())

	pd.kill(t)
	pd = role("pd", 0)
	mustExec(t, write, "UPDATE t SET v = v + 1 WHERE v >= 9") // timestamps go on above those before
	total += rows / 10
	require.Equal(t, total, sum())

	stores[1].kill(t)
	stores[2].kill(t)
	for i := range stores {
		stores[i] = role("store", i, at...)
	}
	require.Equal(t, total, sum())
	for _, p := range append([]*process{first, second, pd}, stores...) {
		require.Equal(t, 0, p.stop(t))
	}
}

// A role says what it lacks.
func TestRoleRefusals(t *testing.T) {
	_, stderr, code := scree(t, "store", "--data-dir", t.TempDir(), "--pd", "nowhere")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "pd.endpoints")
	_, stderr, code = scree(t, "store", "--data-dir", t.TempDir(), "--host", "0.0.0.0")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "advertise-host")
}
