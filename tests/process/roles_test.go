package process

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

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
	total := rows / 10 * 45
	require.Equal(t, total, sum(), "the other gateway knows a table as soon as it is there")
	indexMeanwhile(t, write, read)

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

// indexMeanwhile builds an index through one gateway while another inserts rows: all of them get entries.
func indexMeanwhile(t *testing.T, ddl, dml *sql.DB) {
	mustExec(t, ddl, "CREATE TABLE busy (id INT PRIMARY KEY, v INT)")
	const least = 200 // rows before and after
	built, inserted := make(chan struct{}), make(chan int, 1)
	begun := make(chan struct{})
	go func() {
		n, after := 0, 0
		for ; after < least; n++ {
			if _, err := dml.Exec("INSERT INTO busy VALUES (?, 1)", n); err != nil {
				t.Error(err)
				break
			}
			if n == least {
				close(begun)
			}
			select {
			case <-built:
				after++
			default:
			}
		}
		inserted <- n
	}()
	<-begun
	mustExec(t, ddl, "ALTER TABLE busy ADD INDEX (v)")
	close(built)
	rows := <-inserted
	for _, db := range []*sql.DB{ddl, dml} {
		var n int
		require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM busy FORCE INDEX (v) WHERE v = 1").Scan(&n))
		require.Equal(t, rows, n)
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
