package sql

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/tests/testcluster"
)

// TestInsertsWhileRegionsSplit runs multi-row INSERTs of interleaved keys from several connections into regions that
// split by size all the while. None may fail, and every row that was acknowledged must be there.
func TestInsertsWhileRegionsSplit(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{Raft: raftstore.Config{SplitBytes: 256 << 10, MaxBytes: 384 << 10}})
	c.Exec("CREATE TABLE s (id BIGINT PRIMARY KEY, pad VARCHAR(200) NOT NULL)")
	const writers, statements, rows = 4, 150, 1024
	pad := strings.Repeat("x", 100)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for s := range statements {
				var b strings.Builder
				b.WriteString("INSERT INTO s VALUES ")
				for r := range rows {
					if r > 0 {
						b.WriteByte(',')
					}
					fmt.Fprintf(&b, "(%d,'%s')", (s*rows+r)*writers+w, pad)
				}
				_, err := c.DB.Exec(b.String())
				assert.NoError(t, err)
			}
		}()
	}
	wg.Wait()
	var n int
	require.NoError(t, c.DB.QueryRow("SELECT COUNT(*) FROM s").Scan(&n))
	require.Equal(t, writers*statements*rows, n)
}
