package process

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// awaitReplicas waits until all regions have three voters: two more peers have been added and promoted.
func awaitReplicas(t *testing.T, pd *process) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, r := range ctl(t, pd, "regions") {
			if !strings.HasSuffix(r["epoch"].(string), ".5") {
				return false
			}
		}
		return true
	}, patience, 100*time.Millisecond)
}

// A gateway is reading a table over a store when that store is killed. The table is larger than what can be on its way, so the
// store has not sent all. The query goes on at another replica, and every row comes once, in the order that was asked for.
func TestStoreDiesInTheMiddleOfAStream(t *testing.T) {
	dir, offset := t.TempDir(), freeOffset(t)
	port, err := strconv.Atoi(offset)
	require.NoError(t, err)
	role := func(name string, i int, flags ...string) *process {
		flags = append(flags, "--port-offset", strconv.Itoa(port+i))
		return startRole(t, name, filepath.Join(dir, name+strconv.Itoa(i)), flags...)
	}
	pd := role("pd", 0)
	stores := map[float64]*process{}
	for i := range 3 {
		p := role("store", i, "--pd", pd.pd)
		for _, s := range ctl(t, pd, "stores") {
			if id := s["id"].(float64); stores[id] == nil {
				stores[id] = p
			}
		}
	}
	awaitReplicas(t, pd)
	db := role("gateway", 0, "--pd", pd.pd).open(t)
	const rows = 1 << 13 // 4 KiB each
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(4096))", "INSERT INTO t VALUES (0, REPEAT('x', 4096))")
	for n := 1; n < rows; n *= 2 {
		mustExec(t, db, "INSERT INTO t SELECT id + "+strconv.Itoa(n)+", pad FROM t")
	}

	read, err := db.Query("SELECT id, LENGTH(pad), pad FROM t WHERE LENGTH(pad) > 0 ORDER BY id")
	require.NoError(t, err)
	defer read.Close()
	for i := range rows {
		require.True(t, read.Next(), "%d rows: %v", i, read.Err())
		var id, length int
		var pad []byte
		require.NoError(t, read.Scan(&id, &length, &pad))
		require.Equal(t, []int{i, 4096, 4096}, []int{id, length, len(pad)})
		if i == 0 {
			regions := ctl(t, pd, "regions", "table:t")
			stores[regions[0]["leader_store"].(float64)].kill(t)
		}
	}
	require.False(t, read.Next())
	require.NoError(t, read.Err())
}
