package columnar_test

import (
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/columnar"
	"github.com/scree-db/scree/storage/mvcc"
)

// table is a world whose rows are all there, committed at its clock.
func newTable(t testing.TB, o columnar.Options) *world {
	w := newWorld(t)
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	o.Dir = "columns"
	var err error
	w.columns, err = columnar.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.columns.Close()) })
	for i := range worldKeys {
		w.apply(t, record(i, w.clock, mvcc.Write{Type: mvcc.WritePut, StartTS: w.clock - 1, ShortValue: fmt.Appendf(nil, "value %d", i)}))
	}
	return w
}

// build makes a segment of the rows in [from, to) with some of the columns.
func (w *world) segment(t testing.TB, from, to int, keys ...columnar.ColumnKey) error {
	b := &building{keys: keys, ts: w.clock, from: key(from), to: key(to)}
	b.b = w.columns.Begin(b.from, b.to, b.ts, b.keys, types[:len(keys)])
	require.NotNil(t, b.b)
	defer b.b.Abort()
	b.snap = w.snapshot(t)
	defer b.snap.Close()
	return b.copy(3)
}

// plan plans a read of all rows as of now.
func (w *world) plan(t testing.TB, keys ...columnar.ColumnKey) (*columnar.Plan, bool) {
	snap := w.snapshot(t)
	defer snap.Close()
	p, ok, err := w.columns.Plan(snap, key(0), key(worldKeys), keys, w.clock)
	require.NoError(t, err)
	return p, ok
}

// shape is what a plan does: B for each block, r for a range of rows.
func (w *world) shape(t testing.TB, keys ...columnar.ColumnKey) (s string) {
	p, ok := w.plan(t, keys...)
	if !ok {
		return "rows"
	}
	defer p.Close()
	for _, span := range p.Spans {
		if span.Blocks == nil {
			s += "r"
		}
		for range span.Blocks {
			s += "B"
		}
	}
	return s
}

func TestColumnsAreAdded(t *testing.T) {
	w := newTable(t, columnar.Options{})
	require.NoError(t, w.segment(t, 0, worldKeys, "value"))
	require.Equal(t, "BBBBBBB", w.shape(t, "value"))
	require.Equal(t, "rows", w.shape(t, columnKeys...))
	p, _ := w.plan(t, "value")
	require.NoError(t, w.segment(t, 0, worldKeys, "key"))
	require.Equal(t, "BBBBBBB", w.shape(t, columnKeys...))
	info := w.columns.Segments(nil, nil)
	require.Len(t, info, 1)
	require.ElementsMatch(t, columnKeys, info[0].Columns)
	require.EqualValues(t, worldKeys, info[0].Rows)
	require.Equal(t, key(0), info[0].Start)
	require.Equal(t, key(worldKeys), info[0].End)
	require.Nil(t, w.columns.Begin(key(0), key(worldKeys), w.clock, columnKeys[:1], types[:1]), "the column is there")
	p.Close()
	require.Equal(t, info[0].Bytes, w.columns.Stats().DiskBytes)
}

// A segment that goes while columns are added to it takes these along.
func TestColumnsAreAddedToNothing(t *testing.T) {
	w := newTable(t, columnar.Options{})
	require.NoError(t, w.segment(t, 0, worldKeys, "value"))
	b := w.columns.Begin(key(0), key(worldKeys), w.clock, columnKeys[:1], types[:1])
	w.columns.Erasing([]storage.Modify{{Op: storage.OpDeleteRange, CF: storage.CFWrite}})()
	require.ErrorIs(t, b.Add(key(0), []arrow.Array{arrayOf("key", []pair{{"", ""}})}, 1), columnar.ErrDoomed)
	b.Abort()
	require.Equal(t, "rows", w.shape(t, "value"))
	require.NoError(t, w.columns.Close())
	require.Zero(t, w.columns.Stats().DiskBytes)
}

// Nothing may be built from a snapshot that could lack what is being removed, or not.
func TestNoBuildAmidRemoval(t *testing.T) {
	w := newTable(t, columnar.Options{})
	begin := func(ts uint64) *columnar.Build {
		return w.columns.Begin(key(0), key(5), ts, columnKeys, types)
	}
	removal := storage.Modify{Op: storage.OpDelete, CF: storage.CFWrite, Key: mvcc.VersionKey(mvcc.EncodeKey(key(3)), 7)}
	over := w.columns.Erasing([]storage.Modify{removal})
	require.Nil(t, begin(6))
	b := begin(7)
	require.NotNil(t, b, "it has the record in any case")
	require.Nil(t, begin(8), "another build is under way")
	b.Abort()
	over()
	b = begin(6)
	require.NotNil(t, b)
	w.columns.Erasing([]storage.Modify{removal})()
	require.ErrorIs(t, b.Add(key(0), make([]arrow.Array, 2), 1), columnar.ErrDoomed)
	b.Abort()
}

// After a split each part is built by itself, and plans of the whole put the parts together.
func TestPartsOfATable(t *testing.T) {
	w := newTable(t, columnar.Options{})
	require.NoError(t, w.segment(t, 0, worldKeys, columnKeys...))
	require.NoError(t, w.segment(t, 0, 6, columnKeys...))
	require.Equal(t, "BBr", w.shape(t, columnKeys...), "a segment replaces all that it overlaps")
	require.NoError(t, w.segment(t, 8, worldKeys, columnKeys...))
	require.Equal(t, "BBrBBBB", w.shape(t, columnKeys...))
	require.NoError(t, w.segment(t, 6, 8, columnKeys...))
	require.Equal(t, "BBBBBBB", w.shape(t, columnKeys...))
}

// Where most blocks have changed a plan is not worth it.
func TestManyChanges(t *testing.T) {
	w := newTable(t, columnar.Options{})
	require.NoError(t, w.segment(t, 0, worldKeys, columnKeys...))
	w.clock++
	for i, want := range []string{"rBBBBBB", "rBBBBB", "rBBBB", "rows"} {
		w.apply(t, record(3*i, w.clock, mvcc.Write{Type: mvcc.WriteDelete, StartTS: w.clock}))
		require.Equal(t, want, w.shape(t, columnKeys...))
	}
}

// The segments used least recently make way for new ones; one that is larger than all may be is not built.
func TestDiskBudget(t *testing.T) {
	w := newTable(t, columnar.Options{})
	require.NoError(t, w.segment(t, 0, 5, columnKeys...))
	size := w.columns.Stats().DiskBytes
	w = newTable(t, columnar.Options{DiskMax: 2*size + size/2})
	require.NoError(t, w.segment(t, 0, 5, columnKeys...))
	require.NoError(t, w.segment(t, 5, 10, columnKeys...))
	snap := w.snapshot(t)
	defer snap.Close()
	p, ok, err := w.columns.Plan(snap, key(0), key(5), columnKeys, w.clock) // uses the first
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, w.segment(t, 10, 15, columnKeys...))
	require.Equal(t, "BBrBBr", w.shape(t, columnKeys...))
	require.ErrorIs(t, w.segment(t, 0, worldKeys, columnKeys...), columnar.ErrNoSpace)
	require.LessOrEqual(t, w.columns.Stats().DiskBytes, 2*size+size/2)
	require.Len(t, readBlock(t, p.Spans[0].Blocks[0]), 3, "who reads a segment goes on reading it")
	p.Close()
}

// A full disk ends the build and nothing else, whichever call meets it.
func TestFullDisk(t *testing.T) {
	memory := vfs.NewMem()
	full := &fillingFS{FS: memory}
	w := newTable(t, columnar.Options{FS: full})
	require.NoError(t, w.segment(t, 0, 10, columnKeys...))
	for calls := 1; ; calls++ {
		full.left = calls
		err := w.segment(t, 10, worldKeys, columnKeys...)
		full.left = 0
		if err == nil {
			require.Greater(t, calls, 8)
			break
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Equal(t, "BBBBr", w.shape(t, columnKeys...))
	}
	require.Equal(t, "BBBBBBBB", w.shape(t, columnKeys...))
}

// Segments leave the disk to what cannot be made again.
func TestDiskReserve(t *testing.T) {
	memory := vfs.NewMem()
	free := func(n uint64) { memory.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 100 << 30, AvailBytes: n}) }
	free(50 << 30)
	w := newTable(t, columnar.Options{FS: memory, DiskReserve: 1 << 30})
	require.NoError(t, w.segment(t, 0, 10, columnKeys...))
	require.NoError(t, w.segment(t, 10, 15, columnKeys...))
	w.columns.Relieve()
	require.Equal(t, "BBBBBBr", w.shape(t, columnKeys...))
	free(1<<30 - 1)
	require.ErrorIs(t, w.segment(t, 15, worldKeys, columnKeys...), columnar.ErrNoSpace)
	w.columns.Relieve()
	require.Equal(t, "rBBr", w.shape(t, columnKeys...))
	free(1)
	w.columns.Relieve()
	require.Equal(t, "rows", w.shape(t, columnKeys...))
}

// fillingFS is full after so many calls that write, unless that is 0.
type fillingFS struct {
	vfs.FS
	left int
}

func (f *fillingFS) use() error {
	if f.left--; f.left == 0 {
		f.left = 1 // and stays full
		return syscall.ENOSPC
	}
	return nil
}

func (f *fillingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.use(); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, c)
	return &fillingFile{file, f}, err
}

type fillingFile struct {
	vfs.File
	fs *fillingFS
}

func (f *fillingFile) Write(p []byte) (int, error) {
	if err := f.fs.use(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// What cannot be read back is not read: the segment goes, and the rows are read instead.
func TestDamagedFile(t *testing.T) {
	memory := vfs.NewMem()
	w := newTable(t, columnar.Options{FS: memory})
	require.NoError(t, w.segment(t, 0, worldKeys, columnKeys...))
	names, err := memory.List("columns")
	require.NoError(t, err)
	for _, name := range names {
		f, err := memory.OpenReadWrite("columns/"+name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("damage"), 40)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	p, ok := w.plan(t, columnKeys...)
	require.True(t, ok)
	_, err = p.Spans[0].Blocks[0].Column(0)
	require.ErrorIs(t, err, columnar.ErrDamaged)
	require.Equal(t, "rows", w.shape(t, columnKeys...))
	_, err = p.Spans[0].Blocks[1].Column(0)
	require.NoError(t, err, "other blocks are as they were")
	p.Close()
}

// Open removes what a process before has left, and nothing else.
func TestOpenClears(t *testing.T) {
	memory := vfs.NewMem()
	require.NoError(t, memory.MkdirAll("columns", 0o755))
	for _, name := range []string{"columns/1.col", "columns/other"} {
		f, err := memory.Create(name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	newTable(t, columnar.Options{FS: memory})
	_, err := memory.Stat("columns/1.col")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = memory.Stat("columns/other")
	require.NoError(t, err)
}

// A closed store leaves its files to the plans that read them, and takes no builds.
func TestCloseWhileReading(t *testing.T) {
	memory := vfs.NewMem()
	w := newTable(t, columnar.Options{FS: memory, CacheMax: 1})
	require.NoError(t, w.segment(t, 0, worldKeys, columnKeys...))
	p, ok := w.plan(t, columnKeys...)
	require.True(t, ok)
	require.NoError(t, w.columns.Close())
	require.Len(t, readBlock(t, p.Spans[0].Blocks[0]), 3)
	require.Nil(t, w.columns.Begin(key(0), key(1), w.clock, columnKeys, types))
	require.Equal(t, "rows", w.shape(t, columnKeys...))
	p.Close()
	names, err := memory.List("columns")
	require.NoError(t, err)
	require.Empty(t, names)
}

// Builders, readers and those who remove meet anywhere: every plan gives the rows of its range, or none.
func TestConcurrency(t *testing.T) {
	w := newTable(t, columnar.Options{CacheMax: 1000, DiskMax: 1500})
	snap := w.snapshot(t)
	defer snap.Close()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { // builds: some fail for want of space, or because of the removals
			for i := range 100 {
				from := i % 4 * 5
				b := &building{keys: columnKeys, ts: w.clock, from: key(from), to: key(from + 5), snap: snap}
				if b.b = w.columns.Begin(b.from, b.to, b.ts, b.keys, types); b.b != nil {
					_ = b.copy(2)
					b.b.Abort()
				}
			}
		})
		wg.Go(func() { // reads
			for range 200 {
				p, ok, err := w.columns.Plan(snap, key(0), key(worldKeys), columnKeys, w.clock)
				if err != nil || !ok {
					continue
				}
				p.Advance(w.clock)
				for _, s := range p.Spans {
					for _, b := range s.Blocks {
						a, err := b.Column(1)
						if err != nil || a.(*array.Binary).ValueString(0)[:6] != "value " {
							t.Errorf("column %v: %v", a, err)
						}
					}
				}
				p.Close()
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			w.columns.Erasing([]storage.Modify{{
				Op: storage.OpDelete, CF: storage.CFWrite, Key: mvcc.VersionKey(mvcc.EncodeKey(key(i%worldKeys)), w.clock+1),
			}})()
			w.columns.Stats()
			w.columns.Segments(nil, nil)
		}
	})
	wg.Wait()
	require.NoError(t, w.columns.Close())
	require.Zero(t, w.columns.Stats().DiskBytes)
	require.Zero(t, w.columns.Stats().CacheBytes)
}
