package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/mvcc"
)

// measureScan has the scan that point-in-time reads of many rows stand on beside a bare Pebble iterator over the same bytes.
func measureScan(_ context.Context, o *options, dir string, report *report) (err error) {
	store, err := engine.Open(filepath.Join(dir, "engine"), engine.Options{DisableWAL: true})
	if err != nil {
		return err
	}
	defer joinStop(&err, store.Close)
	bare, err := openPebble(filepath.Join(dir, "pebble"))
	if err != nil {
		return err
	}
	defer joinStop(&err, bare.Close)
	if err := fillVersions(store, bare, o.versions); err != nil {
		return err
	}
	ours, err := fastest(func() (int, error) { return scanVersions(store) })
	if err != nil {
		return err
	}
	theirs, err := fastest(func() (int, error) { return iterate(bare) })
	if err != nil {
		return err
	}
	what := fmt.Sprintf("scan of %d versions", o.versions)
	report.row(what, ours, "Pebble, iterator", theirs, float64(ours)/float64(theirs), "≥ 0.4")
	return nil
}

// perSecond is a rate of versions passed.
type perSecond float64

func (r perSecond) String() string { return fmt.Sprintf("%.1f M/s", float64(r)/1e6) }

// fastest is the best of three runs.
func fastest(run func() (int, error)) (best perSecond, err error) {
	for range 3 {
		begin := time.Now()
		n, err := run()
		if err != nil {
			return 0, err
		}
		best = max(best, perSecond(float64(n)/time.Since(begin).Seconds()))
	}
	return best, nil
}

const (
	fillBatch      = 10_000
	scanValueBytes = 32
	firstTS        = 450_000_000_000_000_000
)

// fillVersions writes the same records to both.
func fillVersions(store *engine.Engine, bare *pebble.DB, rows int) error {
	for row := 0; row < rows; {
		ours, theirs := store.NewBatch(), bare.NewBatch()
		for end := min(row+fillBatch, rows); row < end; row++ {
			w := mvcc.Write{Type: mvcc.WritePut, StartTS: firstTS + uint64(row), ShortValue: valueOf(row)[:scanValueBytes]}
			key, value := mvcc.VersionKey(mvcc.EncodeKey(keyOf(row)), w.StartTS+1), w.Append(nil)
			ours.Put(storage.CFWrite, key, value)
			if err := theirs.Set(key, value, nil); err != nil {
				return err
			}
		}
		if err := errors.Join(ours.Commit(false), ours.Close(), theirs.Commit(pebble.NoSync)); err != nil {
			return err
		}
	}
	if err := errors.Join(store.Flush(), bare.Flush()); err != nil {
		return err
	}
	ctx := context.Background()
	return errors.Join(store.Compact(ctx, storage.CFWrite, nil, nil), bare.Compact(ctx, nil, []byte{0xff}, false))
}

// view is a snapshot of everything as one region.
type view struct{ *engine.Snapshot }

func (view) Region() *metapb.Region { return &metapb.Region{} }
func (view) Term() uint64           { return 1 }
func (view) DataVersion() uint64    { return 1 }

func scanVersions(store *engine.Engine) (n int, err error) {
	snap := view{store.NewSnapshot()}
	defer joinStop(&err, snap.Close)
	s, err := mvcc.NewScanner(snap, nil, nil, mvcc.ReadOptions{TS: mvcc.TSMax})
	if err != nil {
		return 0, err
	}
	defer joinStop(&err, s.Close)
	for {
		_, _, ok, err := s.Next()
		if !ok || err != nil {
			return n, err
		}
		n++
	}
}

func iterate(db *pebble.DB) (n int, err error) {
	it, err := db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer joinStop(&err, it.Close)
	bytes := 0
	for ok := it.First(); ok; ok = it.Next() {
		bytes += len(it.Key()) + len(it.Value())
		n++
	}
	return n, it.Error()
}
