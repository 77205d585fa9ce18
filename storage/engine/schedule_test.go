package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
)

// overwrite leaves tables that lie over each other, more than compactions like to leave alone.
func overwrite(t *testing.T, e *Engine, tables int) {
	for i := range tables {
		b := e.NewBatch()
		for k := range 100 {
			b.Put(storage.CFDefault, fmt.Appendf(nil, "key%d", k), fmt.Appendf(nil, "%d", i))
		}
		require.NoError(t, b.Commit(false))
		require.NoError(t, b.Close())
		require.NoError(t, e.Flush())
	}
}

func compactionsOf(e *Engine) int64 { return e.db.Metrics().Compact.Count }

// Compactions that are due when a database is opened wait for the start, if they are told to, and run then.
func TestLateCompactions(t *testing.T) {
	fs := vfs.NewCrashableMem()
	e := open(t, fs, Options{LateCompactions: true})
	overwrite(t, e, 5)
	require.Zero(t, compactionsOf(e))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, e.Close())

	again := open(t, crashed, Options{LateCompactions: true})
	overwrite(t, again, 1)
	require.Zero(t, compactionsOf(again))
	again.StartCompactions()
	require.Eventually(t, func() bool { return compactionsOf(again) > 0 }, time.Minute, time.Millisecond)
	overwrite(t, again, 5)
	require.Eventually(t, func() bool { return again.db.Metrics().Levels[0].Sublevels < 2 }, time.Minute, time.Millisecond)
	require.NoError(t, again.Close())
}

// TestCompactionsKeepUp: several that are due after one another run without being told, while writes go on and after them.
func TestCompactionsKeepUp(t *testing.T) {
	e := open(t, vfs.NewMem(), Options{})
	overwrite(t, e, 20)
	require.Eventually(t, func() bool { return e.db.Metrics().Levels[0].Sublevels < 2 }, time.Minute, time.Millisecond)
	require.NoError(t, e.db.Compact(t.Context(), []byte{0}, []byte{0xff}, true))
	require.NoError(t, e.Close())
}
