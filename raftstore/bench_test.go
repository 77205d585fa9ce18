package raftstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/raftstore"
	"github.com/scree-db/scree/raftstore/raftlog"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// bootDisk is a store on the real file system.
func bootDisk(b *testing.B) *machine {
	dir := b.TempDir()
	m := &machine{t: b, fs: vfs.Default}
	var err error
	m.data, err = engine.Open(dir+"/data", engine.Options{DisableWAL: true, Logger: quiet})
	require.NoError(b, err)
	m.log, err = engine.Open(dir+"/log", engine.Options{CacheBytes: 8 << 20, Logger: quiet})
	require.NoError(b, err)
	m.store, err = raftstore.Open(raftstore.Config{StoreID: 1}, raftstore.Deps{Data: m.data, Log: raftlog.New(m.log), Logger: quiet})
	require.NoError(b, err)
	require.NoError(b, m.store.Bootstrap(firstRegion()))
	require.NoError(b, m.store.Start())
	awaitLeader(b, m.store, 1)
	return m
}

// parallel runs f from n goroutines, b.N times in all.
func parallel(b *testing.B, n int, f func(i int)) {
	var next atomic.Int64
	done := make(chan struct{})
	b.ResetTimer()
	for range n {
		go func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				f(int(i))
			}
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	b.StopTimer()
}

var value200 = make([]byte, 200)

func mods(i int) []storage.Modify {
	return []storage.Modify{{Op: storage.OpPut, CF: storage.CFWrite, Key: fmt.Appendf(nil, "key%012d12345678", i), Value: value200}}
}

// Writes to one region with a synced disk, against single batches synced to a bare engine by as many writers.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("region/writers=%d", writers), func(b *testing.B) {
			m := bootDisk(b)
			defer m.stop()
			ctx, at := context.Background(), storage.Region{ID: 1}
			parallel(b, writers, func(i int) {
				if err := m.store.Write(ctx, at, mods(i)); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprintf("bare/writers=%d", writers), func(b *testing.B) {
			e, err := engine.Open(b.TempDir(), engine.Options{Logger: quiet})
			require.NoError(b, err)
			defer e.Close()
			parallel(b, writers, func(i int) {
				batch := e.NewBatch()
				batch.Apply(mods(i))
				if err := batch.Commit(true); err != nil {
					b.Error(err)
				}
				batch.Close()
			})
		})
	}
}

// Bulk prewrites: 64 changes of 200 bytes each.
func BenchmarkWriteBulk(b *testing.B) {
	m := bootDisk(b)
	defer m.stop()
	ctx, at := context.Background(), storage.Region{ID: 1}
	b.SetBytes(64 * 220)
	parallel(b, 8, func(i int) {
		bulk := make([]storage.Modify, 0, 64)
		for j := range 64 {
			bulk = append(bulk, mods(i*64+j)...)
		}
		if err := m.store.Write(ctx, at, bulk); err != nil {
			b.Error(err)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	m := bootDisk(b)
	defer m.stop()
	ctx, at := context.Background(), storage.Region{ID: 1}
	require.NoError(b, m.store.Write(ctx, at, mods(1)))
	for _, readers := range []int{1, 8} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			b.ReportAllocs()
			parallel(b, readers, func(int) {
				snap, err := m.store.Snapshot(ctx, at)
				if err != nil {
					b.Error(err)
					return
				}
				snap.Close()
			})
		})
	}
}
