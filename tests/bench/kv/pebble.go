package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// openPebble opens a bare database: what a store could do if there were nothing around its engine.
func openPebble(dir string) (*pebble.DB, error) {
	o := &pebble.Options{FS: vfs.Default, CacheSize: 256 << 20, MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4, Logger: quiet{}}
	for i := range o.Levels {
		o.Levels[i] = pebble.LevelOptions{BlockSize: 32 << 10, FilterPolicy: bloom.FilterPolicy(10)}
	}
	return pebble.Open(dir, o)
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(format string, a ...any) { fmt.Printf(format+"\n", a...) }
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func pebbleFill(db *pebble.DB) error {
	b := db.NewBatch()
	for i := range keys {
		if err := b.Set(keyOf(i), valueOf(i), nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.Sync)
}

func pebbleGet(db *pebble.DB, clients int, during time.Duration) (result, error) {
	return load(clients, during, func(_ context.Context, _ int, pick uint64) error {
		_, closer, err := db.Get(keyOf(pick % keys))
		if err != nil {
			return err
		}
		return closer.Close()
	})
}

// pebbleBatches commits batches of group pairs, each batch synced, and counts pairs.
func pebbleBatches(db *pebble.DB, group int, during time.Duration) (result, error) {
	r, err := load(1, during, func(_ context.Context, _ int, pick uint64) error {
		b := db.NewBatch()
		for i := range uint64(group) {
			if err := b.Set(keyOf((pick+i)%keys), valueOf(pick), nil); err != nil {
				return err
			}
		}
		return b.Commit(pebble.Sync)
	})
	r.rate *= float64(group)
	r.cpu /= time.Duration(group)
	return r, err
}
