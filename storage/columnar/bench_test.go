package columnar_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/mvcc"
)

// benchRows is a table of some blocks of BatchSize rows, each of 100 bytes.
const benchRows = 50 * column.BatchSize

func benchKey(i int) []byte { return fmt.Appendf(nil, "t_table_r%010d", i) }

func newBenchTable(b *testing.B) *world {
	w := newWorld(b)
	var err error
	w.columns, err = columnar.Open(columnar.Options{FS: vfs.NewMem(), Dir: "columns"})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, w.columns.Close()) })
	value := make([]byte, 100)
	var mods []storage.Modify
	for i := range benchRows {
		r := mvcc.Write{Type: mvcc.WritePut, StartTS: w.clock - 1, ShortValue: value}
		mods = append(mods, put(storage.CFWrite, mvcc.VersionKey(mvcc.EncodeKey(benchKey(i)), w.clock), r.Append(nil)))
	}
	for part := range slices.Chunk(mods, 1000) { // a large batch would go to a file at once
		w.apply(b, part...)
	}
	build := &building{b: w.columns.Begin(benchKey(0), benchKey(benchRows), w.clock, columnKeys, types), keys: columnKeys, ts: w.clock}
	build.from, build.to, build.snap = benchKey(0), benchKey(benchRows), w.snapshot(b)
	require.NoError(b, build.copy(column.BatchSize))
	require.NoError(b, build.snap.Close())
	w.clock += 10
	return w
}

// change writes rows anew, n of them, far from each other.
func (w *world) change(b *testing.B, n int) {
	for i := range n {
		r := mvcc.Write{Type: mvcc.WritePut, StartTS: w.clock - 1, ShortValue: []byte("new")}
		w.apply(b, put(storage.CFWrite, mvcc.VersionKey(mvcc.EncodeKey(benchKey(i*benchRows/n)), w.clock), r.Append(nil)))
	}
}

// A plan costs next to nothing where the rows are in files; in memory, each has to be stepped over. "scan" is what reading the
// rows would cost.
func BenchmarkPlan(b *testing.B) {
	plan := func(b *testing.B, w *world) {
		snap := w.snapshot(b)
		defer snap.Close()
		for b.Loop() {
			p, ok, err := w.columns.Plan(snap, benchKey(0), benchKey(benchRows), columnKeys, w.clock)
			require.NoError(b, err)
			require.True(b, ok)
			p.Close()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
	}
	w := newBenchTable(b)
	b.Run("in-memory", func(b *testing.B) { plan(b, w) })
	require.NoError(b, w.rows.Engine.Flush())
	b.Run("in-files", func(b *testing.B) { plan(b, w) })
	w.change(b, 20)
	b.Run("20-changes", func(b *testing.B) { plan(b, w) })
	require.NoError(b, w.rows.Engine.Flush())
	b.Run("20-changes-in-files", func(b *testing.B) { plan(b, w) })
	b.Run("scan", func(b *testing.B) {
		snap := w.snapshot(b)
		defer snap.Close()
		for b.Loop() {
			s, err := mvcc.NewScanner(snap, benchKey(0), benchKey(benchRows), mvcc.ReadOptions{TS: w.clock})
			require.NoError(b, err)
			for ok := true; ok; {
				_, _, ok, err = s.Next()
				require.NoError(b, err)
			}
			require.NoError(b, s.Close())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
	})
}
