package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/storage"
)

// row is the key of one version.
func row(i int, ts uint64) []byte {
	return binary.BigEndian.AppendUint64(memcmp.AppendBytes(nil, fmt.Appendf(nil, "row %06d", i)), ^ts)
}

func bound(i int) []byte { return memcmp.AppendBytes(nil, fmt.Appendf(nil, "row %06d", i)) }

// writeRows puts one version of each row in [from, to).
func writeRows(t testing.TB, e *Engine, from, to int, ts uint64) {
	commit(t, e, func(b *Batch) {
		for i := from; i < to; i++ {
			b.Put(storage.CFWrite, row(i, ts), []byte("a record of some twenty bytes"))
		}
	})
}

func versionsOf(t testing.TB, e *Engine, from, to int, safePoint uint64) Versions {
	t.Helper()
	v, err := e.Versions(bound(from), bound(to), safePoint)
	require.NoError(t, err)
	return v
}

func TestVersionsOfMemtables(t *testing.T) {
	e := openMem(t)
	writeRows(t, e, 0, 20_000, 10)
	v := versionsOf(t, e, 0, 20_000, 100)
	require.InDelta(t, 20_000, v.Records, 1000)
	require.Equal(t, v.Records, v.Layered, "who knows what they hide")
	require.InDelta(t, 10_000, versionsOf(t, e, 0, 10_000, 100).Records, 1000)
	require.Zero(t, versionsOf(t, e, 30_000, 40_000, 100).Records)
}

func TestVersionsOfTables(t *testing.T) {
	e := openMem(t)
	const rows = 20_000
	writeRows(t, e, 0, rows, 10)
	require.NoError(t, e.Flush())
	require.Equal(t, Versions{Records: rows, MostOfRow: 0}, versionsOf(t, e, 0, rows, 100), "each row is there once")

	// A table above it: half of the rows again, and once more in the same table.
	writeRows(t, e, 0, rows/2, 20)
	writeRows(t, e, 0, 10, 30)
	require.NoError(t, e.Flush())
	v := versionsOf(t, e, 0, rows, 100)
	require.Equal(t, Versions{Records: rows + rows/2 + 10, Hidden: 10, Layered: rows/2 + 10, MostOfRow: 2}, v)
	require.InDelta(t, rows/2, versionsOf(t, e, rows/2, rows, 100).Records, 1000)
	require.Zero(t, versionsOf(t, e, rows/2+2000, rows, 100).Layered, "the upper table has nothing there")

	v = versionsOf(t, e, 0, rows, 15)
	require.Zero(t, v.Layered, "what is above the safe point hides nothing yet")
	require.Zero(t, v.Hidden)

	require.NoError(t, e.Compact(context.Background(), storage.CFWrite, nil, nil))
	v = versionsOf(t, e, 0, rows, 100)
	require.EqualValues(t, rows/2+10, v.Hidden, "now all versions of a row are in one table")
	require.EqualValues(t, 3, v.MostOfRow)
	require.Zero(t, v.Layered)
	require.NotZero(t, versionsOf(t, e, 0, rows, 20).Hidden)
	require.Zero(t, versionsOf(t, e, 0, rows, 19).Hidden)
}

func TestDeletionsUntilCompaction(t *testing.T) {
	e := openMem(t)
	const rows = 20_000
	writeRows(t, e, 0, rows, 10)
	writeRows(t, e, 0, rows, 20)
	require.NoError(t, e.Flush())
	require.EqualValues(t, rows, versionsOf(t, e, 0, rows, 100).Hidden)
	commit(t, e, func(b *Batch) {
		for i := range rows {
			b.Delete(storage.CFWrite, row(i, 10))
		}
	})
	require.InDelta(t, 0, versionsOf(t, e, 0, rows, 100).Hidden, 300, "deleted, though still there")
	for _, where := range []string{"memtable", "table"} {
		entries, deletions, err := e.Deletions(storage.CFWrite, nil, nil)
		require.NoError(t, err)
		require.InDelta(t, 3*rows, entries, 300, where)
		require.InDelta(t, rows, deletions, 300, where)
		require.NoError(t, e.Flush())
	}
	require.NoError(t, e.Compact(context.Background(), storage.CFWrite, nil, nil))
	entries, deletions, err := e.Deletions(storage.CFWrite, nil, nil)
	require.NoError(t, err)
	require.EqualValues(t, rows, entries)
	require.Zero(t, deletions)
	require.Zero(t, versionsOf(t, e, 0, rows, 100).Hidden)
}

func TestRangeDeletionsCountForManyKeys(t *testing.T) {
	e := openMem(t)
	const rows, times = 100, 100
	for ts := range uint64(times) {
		writeRows(t, e, 0, rows, ts+1)
	}
	require.NoError(t, e.Flush())
	require.EqualValues(t, rows*(times-1), versionsOf(t, e, 0, rows, times).Hidden)
	reader := e.NewSnapshot() // which keeps compactions from dropping what is deleted
	defer func() { require.NoError(t, reader.Close()) }()
	commit(t, e, func(b *Batch) {
		for i := range rows {
			b.DeleteRange(storage.CFWrite, row(i, times-1), row(i, 0))
		}
	})
	require.NoError(t, e.Flush())
	entries, deletions, err := e.Deletions(storage.CFWrite, nil, nil)
	require.NoError(t, err)
	require.EqualValues(t, rows*(times+1), entries)
	require.EqualValues(t, rows*RangeWorth, deletions)
	require.EqualValues(t, rows*(times-1-RangeWorth), versionsOf(t, e, 0, rows, times).Hidden)
}

func TestRangeDeletionsUntilFlush(t *testing.T) {
	e := openMem(t)
	require.Zero(t, e.RangeDeletions())
	commit(t, e, func(b *Batch) { b.DeleteRange(storage.CFWrite, bound(1), bound(2)) })
	require.Equal(t, 1, e.RangeDeletions())
	require.NoError(t, e.Flush())
	require.Zero(t, e.RangeDeletions())
}

func BenchmarkVersions(b *testing.B) {
	e := openMem(b)
	for ts := range uint64(4) {
		writeRows(b, e, 0, 50_000, ts+1)
		require.NoError(b, e.Flush())
	}
	for b.Loop() {
		if _, err := e.Versions(bound(1000), bound(2000), 100); err != nil {
			b.Fatal(err)
		}
	}
}
