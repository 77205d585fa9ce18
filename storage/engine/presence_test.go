package engine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/storage"
)

func (e *Engine) absent(t require.TestingT, key string) bool {
	s := e.NewSnapshot()
	defer func() { require.NoError(t, s.Close()) }()
	require.False(t, s.Absent(storage.CFWrite, []byte(key)))
	return s.Absent(storage.CFLock, []byte(key))
}

// Whatever is written, and whenever the keys are read: a key that is said to be absent is. After a survey of few keys the
// others are said to be.
func TestAbsent(t *testing.T) {
	defer func(was int) { presenceMax = was }(presenceMax)
	presenceMax = 3
	e := openMem(t)
	keys := []string{"a", "b", "c", "d", "e"}
	rapid.Check(t, func(t *rapid.T) {
		key := func() []byte { return []byte(rapid.SampledFrom(keys).Draw(t, "key")) }
		change := func() {
			b := e.NewBatch()
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				switch rapid.IntRange(0, 6).Draw(t, "op") {
				case 0, 1:
					b.Put(storage.CFLock, key(), []byte("v"))
				case 2, 3, 4:
					b.Delete(storage.CFLock, key())
				case 5:
					b.DeleteRange(storage.CFLock, key(), nil)
				default:
					b.Put(storage.CFWrite, key(), nil)
				}
			}
			require.NoError(t, b.Commit(false))
			require.NoError(t, b.Close())
		}
		ingest := func() {
			k := key()
			require.NoError(t, e.Ingest(func(put func(storage.CF, []byte, []byte) error) error {
				return put(storage.CFLock, k, nil)
			}, []Range{{CF: storage.CFLock}}))
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			surveyed := false
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				ingest()
			case 1, 2, 3:
				require.NoError(t, e.Survey())
				surveyed = true
			default:
				change()
			}
			present := 0
			for _, k := range keys {
				v, err := e.Get(storage.CFLock, []byte(k))
				require.NoError(t, err)
				if v != nil {
					present++
					require.False(t, e.absent(t, k), "%s is there", k)
				}
			}
			for _, k := range keys {
				v, err := e.Get(storage.CFLock, []byte(k))
				require.NoError(t, err)
				require.True(t, !surveyed || present > presenceMax || v != nil || e.absent(t, k), "%s is absent", k)
			}
		}
	})
}

// Writers see their own keys and old ones, whether the keys are being read at the time or forgotten.
func TestAbsentWhileSurveyed(t *testing.T) {
	e := openMem(t)
	put(t, e, storage.CFLock, "old", "")
	var writers, reader sync.WaitGroup
	done := make(chan struct{})
	reader.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if n%2 == 0 {
				e.presence.settle(&presenceChanges{missed: true})
			}
			if err := e.Survey(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for w := range 4 {
		writers.Go(func() {
			b := e.NewBatch()
			defer b.Close()
			for i := range 300 {
				key := fmt.Sprintf("%d/%d", w, i%5)
				b.Put(storage.CFLock, []byte(key), nil)
				err := b.Commit(false)
				b.Reset()
				if err != nil || e.absent(t, key) || e.absent(t, "old") {
					t.Errorf("%s is there, %v", key, err)
					return
				}
				if i%3 == 0 {
					continue
				}
				b.Delete(storage.CFLock, []byte(key))
				if err := b.Commit(false); err != nil {
					t.Error(err)
				}
				b.Reset()
			}
		})
	}
	writers.Wait()
	close(done)
	reader.Wait()
}
