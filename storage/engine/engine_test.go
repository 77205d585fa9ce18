package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
)

func open(t testing.TB, fs vfs.FS, o Options) *Engine {
	t.Helper()
	o.FS = fs
	e, err := Open("data", o)
	require.NoError(t, err)
	return e
}

func openMem(t testing.TB) *Engine {
	e := open(t, vfs.NewMem(), Options{})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func commit(t testing.TB, e *Engine, fill func(b *Batch)) {
	t.Helper()
	b := e.NewBatch()
	fill(b)
	require.NoError(t, b.Commit(true))
	require.NoError(t, b.Close())
}

func put(t testing.TB, e *Engine, cf storage.CF, kv ...string) {
	t.Helper()
	commit(t, e, func(b *Batch) {
		for i := 0; i < len(kv); i += 2 {
			b.Put(cf, []byte(kv[i]), []byte(kv[i+1]))
		}
	})
}

type reader interface {
	NewIterator(storage.IterOptions) (storage.Iterator, error)
}

// dump returns what an iterator sees, as "key=value" strings.
func dump(t testing.TB, r reader, o storage.IterOptions) []string {
	t.Helper()
	it, err := r.NewIterator(o)
	require.NoError(t, err)
	var got []string
	for ok := it.First(); ok; ok = it.Next() {
		got = append(got, fmt.Sprintf("%s=%s", it.Key(), it.Value()))
	}
	require.NoError(t, it.Error())
	require.NoError(t, it.Close())
	return got
}

func TestFamiliesAreSeparate(t *testing.T) {
	e := openMem(t)
	put(t, e, storage.CFRaw, "a", "raw", "empty", "")
	put(t, e, storage.CFLock, "a", "lock")

	v, err := e.Get(storage.CFRaw, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "raw", string(v))
	v, err = e.Get(storage.CFRaw, []byte("empty"))
	require.NoError(t, err)
	require.NotNil(t, v, "a present empty value is not nil")
	v, err = e.Get(storage.CFLock, []byte("empty"))
	require.NoError(t, err)
	require.Nil(t, v)

	require.Equal(t, []string{"a=lock"}, dump(t, e, storage.IterOptions{CF: storage.CFLock}))
	commit(t, e, func(b *Batch) { b.DeleteRange(storage.CFLock, nil, nil) })
	require.Empty(t, dump(t, e, storage.IterOptions{CF: storage.CFLock}))
	require.Len(t, dump(t, e, storage.IterOptions{CF: storage.CFRaw}), 2)
}

func TestIteratorMoves(t *testing.T) {
	e := openMem(t)
	put(t, e, storage.CFRaw, "a", "1", "b", "2", "c", "3", "d", "4")
	it, err := e.NewIterator(storage.IterOptions{CF: storage.CFRaw, Lower: []byte("b"), Upper: []byte("d")})
	require.NoError(t, err)
	defer func() { require.NoError(t, it.Close()) }()

	at := func(ok bool, key string) {
		t.Helper()
		require.True(t, ok)
		require.True(t, it.Valid())
		require.Equal(t, key, string(it.Key()))
	}
	at(it.First(), "b")
	at(it.Next(), "c")
	require.False(t, it.Next())
	at(it.Last(), "c")
	at(it.Prev(), "b")
	require.False(t, it.Prev())
	at(it.SeekGE([]byte("a")), "b")
	at(it.SeekLT([]byte("z")), "c")
	require.False(t, it.SeekGE([]byte("d")))
	require.False(t, it.SeekLT([]byte("b")))
	require.NoError(t, it.Error())
}

func TestSnapshotIsFrozen(t *testing.T) {
	e := openMem(t)
	put(t, e, storage.CFRaw, "a", "old")
	s := e.NewSnapshot()
	put(t, e, storage.CFRaw, "a", "new", "b", "new")
	require.NoError(t, e.Flush())
	require.Equal(t, []string{"a=old"}, dump(t, s, storage.IterOptions{CF: storage.CFRaw}))
	v, err := s.Get(storage.CFRaw, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "old", string(v))
	require.NoError(t, s.Close())
}

func TestBatchAppliesModifiesInOrder(t *testing.T) {
	e := openMem(t)
	b := e.NewBatch()
	b.Apply([]storage.Modify{
		{Op: storage.OpPut, CF: storage.CFRaw, Key: []byte("a"), Value: []byte("1")},
		{Op: storage.OpPut, CF: storage.CFRaw, Key: []byte("b"), Value: []byte("2")},
		{Op: storage.OpDeleteRange, CF: storage.CFRaw, Key: []byte("a"), EndKey: []byte("c")},
		{Op: storage.OpPut, CF: storage.CFRaw, Key: []byte("b"), Value: []byte("3")},
		{Op: storage.OpPut, CF: storage.CFRaw, Key: []byte("c"), Value: []byte("4")},
		{Op: storage.OpDelete, CF: storage.CFRaw, Key: []byte("c")},
	})
	require.Equal(t, 6, b.Count())
	require.NoError(t, b.Commit(false))
	require.NoError(t, b.Close())
	require.Equal(t, []string{"b=3"}, dump(t, e, storage.IterOptions{CF: storage.CFRaw}))

	bad := e.NewBatch()
	bad.Apply([]storage.Modify{{Op: 99, CF: storage.CFRaw, Key: []byte("x")}})
	require.ErrorContains(t, bad.Commit(false), "unknown operation 99")
	require.NoError(t, bad.Close())
}

func TestDirectoryIsLocked(t *testing.T) {
	fs := vfs.NewMem()
	e := open(t, fs, Options{})
	_, err := Open("data", Options{FS: fs})
	require.ErrorContains(t, err, "data")
	require.ErrorContains(t, err, "using it")
	require.NoError(t, e.Close())
	require.NoError(t, open(t, fs, Options{}).Close(), "the lock goes with the engine")
}

// Without a write-ahead log a crash takes back what was not flushed; GetDurable tells before it happens.
func TestCrashWithoutWAL(t *testing.T) {
	fs := vfs.NewCrashableMem()
	e := open(t, fs, Options{DisableWAL: true})
	put(t, e, storage.CFRaw, "a", "flushed")
	require.NoError(t, e.Flush())
	put(t, e, storage.CFRaw, "a", "lost")

	durable, err := e.GetDurable(storage.CFRaw, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "flushed", string(durable))
	durable, err = e.GetDurable(storage.CFRaw, []byte("b"))
	require.NoError(t, err)
	require.Nil(t, durable)

	crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}), Options{DisableWAL: true})
	require.Equal(t, []string{"a=flushed"}, dump(t, crashed, storage.IterOptions{CF: storage.CFRaw}))
	require.NoError(t, crashed.Close())

	require.NoError(t, e.Close())
	again := open(t, fs, Options{DisableWAL: true})
	require.Equal(t, []string{"a=lost"}, dump(t, again, storage.IterOptions{CF: storage.CFRaw}), "Close flushes")
	require.NoError(t, again.Close())
}

func TestCrashWithWAL(t *testing.T) {
	fs := vfs.NewCrashableMem()
	e := open(t, fs, Options{})
	put(t, e, storage.CFRaw, "a", "synced")
	crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}), Options{})
	require.Equal(t, []string{"a=synced"}, dump(t, crashed, storage.IterOptions{CF: storage.CFRaw}))
	require.NoError(t, crashed.Close())
	require.NoError(t, e.Close())
}

func TestIngestReplacesRanges(t *testing.T) {
	for _, disableWAL := range []bool{false, true} {
		t.Run(fmt.Sprintf("disableWAL=%v", disableWAL), func(t *testing.T) {
			e := open(t, vfs.NewMem(), Options{DisableWAL: disableWAL})
			put(t, e, storage.CFRaw, "a", "1", "b", "1", "c", "1")
			put(t, e, storage.CFLock, "b", "1")
			require.NoError(t, e.Ingest(func(put func(storage.CF, []byte, []byte) error) error {
				return put(storage.CFRaw, []byte("b2"), []byte("2"))
			}, []Range{
				{CF: storage.CFRaw, Start: []byte("b"), End: []byte("c")},
				{CF: storage.CFLock},
			}))
			require.Equal(t, []string{"a=1", "b2=2", "c=1"}, dump(t, e, storage.IterOptions{CF: storage.CFRaw}))
			require.Empty(t, dump(t, e, storage.IterOptions{CF: storage.CFLock}))

			boom := errors.New("boom")
			require.ErrorIs(t, e.Ingest(func(func(storage.CF, []byte, []byte) error) error { return boom },
				[]Range{{CF: storage.CFRaw}}), boom)
			require.Len(t, dump(t, e, storage.IterOptions{CF: storage.CFRaw}), 3)
			require.NoError(t, e.Close())
		})
	}
}

func TestApproximateBytesSeesMemTableAndDisk(t *testing.T) {
	e := openMem(t)
	val := make([]byte, 1000)
	for i := range 1000 {
		commit(t, e, func(b *Batch) {
			for j := range 4 {
				// Incompressible enough: each value begins with its own bytes.
				copy(val, fmt.Sprintf("%d-%d", i, j))
				b.Put(storage.CFRaw, fmt.Appendf(nil, "k%05d", 4*i+j), val)
			}
		})
	}
	lower, err := e.ApproximateBytes(storage.CFRaw, []byte("k00000"), []byte("k02000"))
	require.NoError(t, err)
	all, err := e.ApproximateBytes(storage.CFRaw, nil, nil)
	require.NoError(t, err)
	require.Greater(t, all, lower)
	none, err := e.ApproximateBytes(storage.CFLock, nil, nil)
	require.NoError(t, err)
	require.Zero(t, none)
	require.NoError(t, e.Flush())
	flushed, err := e.ApproximateBytes(storage.CFRaw, nil, nil)
	require.NoError(t, err)
	require.NotZero(t, flushed)
	require.NotEmpty(t, e.Metrics().String())
	require.NotZero(t, e.Metrics().DiskBytes)
}

// Every family has tables of its own, so that tables of one do not overlap for the sake of another.
func TestTablesHoldOneFamily(t *testing.T) {
	e := openMem(t)
	for i := range 3 {
		k := fmt.Sprintf("key %d", i)
		put(t, e, storage.CFLock, k, "lock")
		put(t, e, storage.CFWrite, k, "record")
		require.NoError(t, e.Flush())
	}
	levels, err := e.db.SSTables()
	require.NoError(t, err)
	tables := 0
	for _, level := range levels {
		for _, table := range level {
			require.Equal(t, table.Smallest.UserKey[0], table.Largest.UserKey[0])
			tables++
		}
	}
	require.GreaterOrEqual(t, tables, 2)
}

func TestPutJoined(t *testing.T) {
	e := openMem(t)
	commit(t, e, func(b *Batch) {
		b.PutJoined(storage.CFRaw, []byte("a"), []byte("head"), []byte("tail"))
		b.PutJoined(storage.CFRaw, []byte("b"), nil, nil)
	})
	require.Equal(t, []string{"a=headtail", "b="}, dump(t, e, storage.IterOptions{CF: storage.CFRaw}))
}
