package raftstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
)

// On a full disk writes fail with DiskFull until there is space again; what was written stays readable, and deletions
// work.
func TestDiskFull(t *testing.T) {
	fs := vfs.NewMem()
	free := func(bytes uint64) {
		fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 100 << 30, AvailBytes: bytes, UsedBytes: 100<<30 - bytes})
	}
	free(50 << 30)
	m := bootSingle(t, fs)
	defer m.stop()
	ctx, at := context.Background(), storage.Region{ID: 1}
	write := func(mods ...storage.Modify) error { return m.store.Write(ctx, at, mods) }
	require.NoError(t, write(put("a", "1"), put("b", "1")))
	free(100 << 20)
	require.Eventually(t, func() bool {
		var region *storage.RegionError
		err := write(put("c", "1"))
		return errors.As(err, &region) && region.Pb.GetDiskFull() != nil && region.Pb.DiskFull.StoreId[0] == 1
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, "1", get(t, m.store, 1, "a"))
	require.NoError(t, write(storage.Modify{Op: storage.OpDelete, CF: storage.CFWrite, Key: []byte("b")}))
	for bytes, need := range map[uint64]kvrpcpb.DiskFullOpt{700 << 20: kvrpcpb.DiskFullOpt_AllowedOnAlmostFull, 100 << 20: kvrpcpb.DiskFullOpt_AllowedOnAlreadyFull} {
		free(bytes)
		require.Eventually(t, func() bool { // the store has noticed
			least := storage.Region{ID: 1, DiskFullOpt: need}
			less := storage.Region{ID: 1, DiskFullOpt: need - 1}
			return m.store.Write(ctx, least, []storage.Modify{put("d", "1")}) == nil && m.store.Write(ctx, less, []storage.Modify{put("e", "1")}) != nil
		}, time.Minute, time.Millisecond)
	}
	free(50 << 30)
	require.Eventually(t, func() bool { return write(put("c", "2")) == nil }, 10*time.Second, time.Millisecond)
	require.Empty(t, get(t, m.store, 1, "b"))
	require.Equal(t, "2", get(t, m.store, 1, "c"))
}
