package node_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/executor/dagjson"
	"github.com/scree-db/scree/server/node"
)

// The program in docs/flight.md compiles, and prints a table in two regions.
func TestFlightDocument(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	page, err := os.ReadFile("../../docs/flight.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "```go\n")
	require.True(t, ok)
	program, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)
	dir := t.TempDir()
	source, plan := filepath.Join(dir, "main.go"), filepath.Join(dir, "plan.json")
	require.NoError(t, os.WriteFile(source, []byte(program), 0o600))
	all := tablekey.RecordRange(tableID)
	text, err := dagjson.Marshal(&dagjson.Document{DAG: scanDAG(), Ranges: []dagjson.Range{{Start: all.Start, End: all.End}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(plan, text, 0o600))

	c := startCluster(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.Close()) }()
	client := newClient(t, c, c.Dialer())
	defer func() { require.NoError(t, client.Close()) }()
	insert(t, client, 0, 5)
	bound := tablekey.AppendRecordKey(nil, tableID, tablekey.IntHandle(3))
	require.NoError(t, client.Split(testContext(t), [][]byte{bound}))
	require.Equal(t, wantRows(0, 5), selectAll(t, client)) // resolves what the commit has left
	waitBound(t, c, memcmp.AppendBytes(nil, bound))

	out, err := exec.Command("go", "run", source, c.Stores()[0].Addr(), plan).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "row 0\t0\t\nrow 1\t1\t\nrow 2\t2\t\nrow 3\t3\t\nrow 4\t4\t\n", string(out))
}

// waitBound waits until the placement driver knows of regions on both sides of an encoded key, with their leaders.
func waitBound(t *testing.T, c *node.Cluster, bound []byte) {
	t.Helper()
	ctx := testContext(t)
	for {
		left, first, err := c.Placement().Region(ctx, nil)
		require.NoError(t, err)
		right, second, err := c.Placement().Region(ctx, bound)
		require.NoError(t, err)
		if string(left.EndKey) == string(bound) && string(right.StartKey) == string(bound) && first != nil && second != nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("the split is not known")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
