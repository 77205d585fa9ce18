package mvcc

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

// rowKey is shaped like a table's record key.
func rowKey(i int) []byte {
	k := append([]byte("t\x80\x00\x00\x00\x00\x00\x00\x2a_r"), 0x80)
	return append(k, binary.BigEndian.AppendUint64(nil, uint64(i))[1:]...)
}

// fillRows writes n committed rows of size bytes and compacts.
func fillRows(tb testing.TB, n, size int) storage.Snapshot {
	tb.Helper()
	store := storagetest.New(tb)
	val := make([]byte, size)
	for i := 0; i < n; {
		var mods []storage.Modify
		for ; i < n && len(mods) < 1000; i++ {
			for j := range val {
				val[j] = byte(i*7+j*j) ^ byte(i>>8)
			}
			w := Write{Type: WritePut, StartTS: 450_000_000_000_000_000 + uint64(i), ShortValue: val}
			mods = append(mods, storage.Modify{CF: storage.CFWrite,
				Key: VersionKey(EncodeKey(rowKey(i)), w.StartTS+1), Value: w.Append(nil)})
		}
		require.NoError(tb, store.Write(context.Background(), storage.Region{ID: storagetest.RegionID}, mods))
	}
	require.NoError(tb, store.Engine.Flush())
	require.NoError(tb, store.Engine.Compact(context.Background(), storage.CFWrite, nil, nil))
	snap, err := store.Snapshot(context.Background(), storage.Region{ID: storagetest.RegionID})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, snap.Close()) })
	return snap
}

const benchRows = 200_000

func BenchmarkScan(b *testing.B) {
	snap := fillRows(b, benchRows, 100)
	report := func(b *testing.B) {
		b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	}
	b.Run("engine", func(b *testing.B) {
		for range b.N {
			it, err := snap.NewIterator(storage.IterOptions{CF: storage.CFWrite})
			require.NoError(b, err)
			n, bytes := 0, 0
			for ok := it.First(); ok; ok = it.Next() {
				n++
				bytes += len(it.Key()) + len(it.Value())
			}
			require.Equal(b, benchRows, n)
			require.NoError(b, it.Close())
		}
		report(b)
	})
	for _, desc := range []bool{false, true} {
		name := map[bool]string{false: "forward", true: "backward"}[desc]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				s, err := NewScanner(snap, nil, nil, ReadOptions{TS: TSMax, Desc: desc})
				require.NoError(b, err)
				n := 0
				for {
					_, _, ok, err := s.Next()
					if err != nil {
						b.Fatal(err)
					}
					if !ok {
						break
					}
					n++
				}
				require.Equal(b, benchRows, n)
				require.NoError(b, s.Close())
			}
			report(b)
		})
	}
}

func BenchmarkGet(b *testing.B) {
	snap := fillRows(b, benchRows, 100)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			v, _, err := Get(snap, rowKey(i*7919%benchRows), ReadOptions{TS: TSMax})
			if v == nil || err != nil {
				b.Fatal(v, err)
			}
		}
	})
	b.Run("batch", func(b *testing.B) {
		b.ReportAllocs()
		p := NewPointReader(snap, ReadOptions{TS: TSMax})
		for i := range b.N {
			v, _, err := p.Get(rowKey(i * 7919 % benchRows))
			if v == nil || err != nil {
				b.Fatal(v, err)
			}
		}
		require.NoError(b, p.Close())
	})
}
