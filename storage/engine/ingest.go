package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/scree-db/scree/storage"
)

// ingestPrefix begins the names of tables being written for Ingest.
const ingestPrefix = "ingest-"

// Range is [Start, End) of a family; nil bounds are the family's ends.
type Range struct {
	CF         storage.CF
	Start, End []byte
}

// Ingest replaces the contents of the ranges clear by what write puts, atomically and durably, without passing the
// memtable. Puts must come in strictly ascending order of family byte and key. If write fails nothing changes and its
// error is returned. Durable at once also holds without a write-ahead log: earlier batches in the way are flushed first.
func (e *Engine) Ingest(write func(put func(cf storage.CF, key, value []byte) error) error, clear []Range) error {
	name := e.fs.PathJoin(e.dir, fmt.Sprintf("%s%d.tmp", ingestPrefix, e.ingests.Add(1)))
	if err := e.writeTable(name, write, clear); err != nil {
		return errors.Join(err, ignoreMissing(e.fs.Remove(name)))
	}
	if err := e.db.Ingest(context.Background(), []string{name}); err != nil {
		return errors.Join(fmt.Errorf("ingest: %w", err), ignoreMissing(e.fs.Remove(name)))
	}
	e.presence.settle(&presenceChanges{missed: true})
	return e.views.committed()
}

// writeTable writes one table. Its range deletions have the sequence number of its points and so do not touch them.
func (e *Engine) writeTable(name string, write func(put func(cf storage.CF, key, value []byte) error) error, clear []Range) error {
	f, err := e.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create table to ingest: %w", err)
	}
	bottom := len(e.options.Levels) - 1
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), e.options.MakeWriterOptions(bottom, e.db.TableFormat()))
	if err := fillTable(w, write, clear); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil { // syncs the file
		return fmt.Errorf("write table to ingest: %w", err)
	}
	return nil
}

func fillTable(w *sstable.Writer, write func(put func(cf storage.CF, key, value []byte) error) error, clear []Range) error {
	for _, s := range mergeSpans(clear) {
		if err := w.DeleteRange(s.lower, s.upper); err != nil {
			return fmt.Errorf("write table to ingest: %w", err)
		}
	}
	var key []byte
	return write(func(cf storage.CF, k, value []byte) error {
		key = familyKey(key[:0], cf, k)
		if err := w.Set(key, value); err != nil {
			return fmt.Errorf("write table to ingest: %w", err)
		}
		return nil
	})
}

type span struct{ lower, upper []byte }

// mergeSpans sorts ranges and joins those that touch: a table's range deletions come in order.
func mergeSpans(ranges []Range) []span {
	spans := make([]span, 0, len(ranges))
	for _, r := range ranges {
		s := span{}
		s.lower, s.upper = familyBounds(r.CF, r.Start, r.End)
		if bytes.Compare(s.lower, s.upper) < 0 {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return bytes.Compare(a.lower, b.lower) })
	merged := spans[:0]
	for _, s := range spans {
		last := len(merged) - 1
		if last >= 0 && bytes.Compare(s.lower, merged[last].upper) <= 0 {
			merged[last].upper = slices.MaxFunc([][]byte{merged[last].upper, s.upper}, bytes.Compare)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// removeIngestLeftovers deletes tables that a crash left behind.
func (e *Engine) removeIngestLeftovers() error {
	names, err := e.fs.List(e.dir)
	if err != nil {
		return fmt.Errorf("list data directory %s: %w", e.dir, err)
	}
	for _, n := range names {
		if strings.HasPrefix(path.Base(n), ingestPrefix) {
			if err := e.fs.Remove(e.fs.PathJoin(e.dir, n)); err != nil {
				return fmt.Errorf("remove leftover: %w", err)
			}
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
