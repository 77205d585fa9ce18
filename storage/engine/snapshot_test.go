package engine

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
)

// Snapshots share a view until something is committed; none lacks what was committed before it, and nothing stays open.
func TestSnapshotsShareViews(t *testing.T) {
	e := openMem(t)
	open := func() *Snapshot { return e.NewSnapshot() }
	read := func(s *Snapshot) string {
		v, err := s.Get(storage.CFRaw, []byte("k"))
		require.NoError(t, err)
		return string(v)
	}
	put(t, e, storage.CFRaw, "k", "1")
	first, second := open(), open()
	require.Same(t, first.view, second.view)
	require.NoError(t, first.Close())
	put(t, e, storage.CFRaw, "k", "2")
	third := open()
	require.Equal(t, []string{"1", "2"}, []string{read(second), read(third)})
	require.NoError(t, e.Ingest(func(put func(cf storage.CF, key, value []byte) error) error {
		return put(storage.CFRaw, []byte("k"), []byte("3"))
	}, []Range{{CF: storage.CFRaw}}))
	fourth := open()
	require.Equal(t, []string{"1", "2", "3"}, []string{read(second), read(third), read(fourth)})
	require.NoError(t, errors.Join(second.Close(), third.Close(), fourth.Close()))
	put(t, e, storage.CFRaw, "k", "4")
	require.Zero(t, e.Metrics().SnapshotsOpen)
}

// Whoever has committed finds it in the next snapshot, whatever the others do.
func TestSnapshotsHaveWhatWasCommitted(t *testing.T) {
	e := openMem(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			key := fmt.Sprintf("k%d", w)
			for i := range 500 {
				want := strconv.Itoa(i)
				put(t, e, storage.CFRaw, key, want)
				s := e.NewSnapshot()
				got, err := s.Get(storage.CFRaw, []byte(key))
				assert.NoError(t, err)
				assert.Equal(t, want, string(got))
				assert.NoError(t, s.Close())
			}
		})
	}
	wg.Wait()
}

// What a point read costs a view of its own, which all reads of regions have.
func BenchmarkSnapshotGet(b *testing.B) {
	e, err := Open(b.TempDir(), Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, e.Close()) }()
	commit(b, e, func(batch *Batch) {
		for i := range 10_000 {
			batch.Put(storage.CFRaw, fmt.Appendf(nil, "k%05d", i), make([]byte, 100))
		}
	})
	key := []byte("k00000")
	for i := 0; b.Loop(); i++ {
		copy(key[1:], fmt.Sprintf("%05d", i%10_000))
		s := e.NewSnapshot()
		if v, err := s.Get(storage.CFRaw, key); v == nil || err != nil {
			b.Fatal(v, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
