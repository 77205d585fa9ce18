package engine_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage/engine"
)

// One writer, each batch synced: the way of the raft log.
func BenchmarkSyncedWrites(b *testing.B) {
	e, err := engine.Open(b.TempDir(), engine.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	defer e.Close()
	value := make([]byte, 4096)
	batch := e.NewBatch()
	defer batch.Close()
	for i := range b.N {
		batch.Reset()
		batch.Put('w', fmt.Appendf(nil, "key%012d12345678", i), value)
		if err := batch.Commit(true); err != nil {
			b.Fatal(err)
		}
	}
}
