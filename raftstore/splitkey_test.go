package raftstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/storage"
)

// Split keys cut a region into parts of like size, whether its data are in tables or in memory, and however its keys are
// spread.
func TestEvenKeys(t *testing.T) {
	const rows, parts = 20_000, 4
	rng := rand.New(rand.NewPCG(1, 2))
	spreads := map[string]func(i int) string{
		"dense":  func(i int) string { return fmt.Sprintf("t100_r%09d", i) },
		"random": func(int) string { return fmt.Sprintf("t100_r%016x", rng.Uint64()) },
		"islands": func(i int) string {
			return fmt.Sprintf("t%03d_r%09d", i/(rows/3)*300, i)
		},
	}
	for name, key := range spreads {
		for _, flush := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/flushed=%v", name, flush), func(t *testing.T) {
				m := bootSingle(t, vfs.NewMem())
				defer m.stop()
				whole := storage.Region{ID: 1, Epoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}}
				keys := make([]string, rows)
				mods := make([]storage.Modify, 0, 500)
				for i := range keys {
					keys[i] = string(mce(key(i)))
					value := make([]byte, 200)
					for j := range value {
						value[j] = byte(rng.Uint32()) // does not compress
					}
					if mods = append(mods, put(keys[i]+"12345678", string(value))); len(mods) == cap(mods) {
						require.NoError(t, m.store.Write(context.Background(), whole, mods))
						mods = mods[:0]
					}
				}
				if flush {
					require.NoError(t, m.data.Flush())
				}
				cuts, err := raftstore.EvenKeys(m.store, &metapb.Region{Id: 1}, storage.CFWrite, parts)
				require.NoError(t, err)
				require.Len(t, cuts, parts-1)
				slices.Sort(keys)
				before := 0
				for _, cut := range append(cuts, []byte("\xff")) {
					n, _ := slices.BinarySearch(keys, string(cut))
					require.InDelta(t, rows/parts, n-before, rows/parts/2, "rows in a part")
					before = n
				}
			})
		}
	}
}
