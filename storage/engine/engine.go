package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/scree-db/scree/storage"
)

// Engine is an open database. Safe for concurrent use.
type Engine struct {
	db         *pebble.DB
	fs         vfs.FS
	dir        string
	options    *pebble.Options // for writing tables to ingest
	disableWAL bool
	log        *slog.Logger
	lock       *pebble.Lock
	ingests    atomic.Uint64 // names temporary files
	stalls     atomic.Int64  // of writes, since Open
	unflushed  samples
	flushed    chan struct{} // of capacity 1, see Flushed
	views      views
	presence   presence

	compactions *compactions
}

// Open opens the database in dir, creating both where absent. It holds a lock on the directory until Close; an error that
// names dir says that another engine has it.
func Open(dir string, o Options) (*Engine, error) {
	o = o.withDefaults()
	if err := makeDir(o.FS, dir); err != nil {
		return nil, fmt.Errorf("create data directory %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be locked, is another process using it? %w", dir, err)
	}
	e := &Engine{flushed: make(chan struct{}, 1), fs: o.FS, dir: dir, disableWAL: o.DisableWAL, log: o.Logger.With("dir", dir), lock: lock}
	e.options = o.pebbleOptions()
	e.options.EventListener = e.events()
	e.options.Lock = lock
	e.compactions = newCompactions()
	e.options.Experimental.CompactionScheduler = e.compactions
	if err := e.removeIngestLeftovers(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if e.db, err = pebble.Open(dir, e.options); err != nil {
		return nil, errors.Join(fmt.Errorf("open storage engine in %s: %w", dir, err), lock.Close())
	}
	if !o.LateCompactions {
		e.StartCompactions()
	}
	return e, nil
}

// makeDir creates a directory, and those above it, so that a crash does not take it away again with what was synced in it.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// StartCompactions lets compactions run from now on; see Options.LateCompactions. Further calls do nothing.
func (e *Engine) StartCompactions() { e.compactions.release() }

// Close flushes what has no write-ahead log and closes the database. Iterators, snapshots and batches must be closed.
func (e *Engine) Close() error {
	var flushed error
	if e.disableWAL {
		flushed = e.Flush()
	}
	return errors.Join(flushed, e.views.committed(), e.db.Close(), e.lock.Close())
}

// Get returns the value of key, nil if absent; a present empty value is not nil. The slice is the caller's.
func (e *Engine) Get(cf storage.CF, key []byte) ([]byte, error) { return get(e.db, cf, key) }

// GetDurable is Get on what a crash at this moment would leave of a database without write-ahead log: the flushed part.
func (e *Engine) GetDurable(cf storage.CF, key []byte) ([]byte, error) {
	k := familyKey(nil, cf, key)
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: k, UpperBound: append(familyKey(nil, cf, key), 0), OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read durable state: %w", err)
	}
	var val []byte
	if it.First() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		val = append([]byte{}, v...)
	}
	return val, errors.Join(it.Error(), it.Close())
}

// Flush writes the memtables to disk and waits for it.
func (e *Engine) Flush() error {
	if err := e.db.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// AsyncFlush starts writing the memtables to disk.
func (e *Engine) AsyncFlush() error {
	if _, err := e.db.AsyncFlush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// Flushed receives after flushes, one value for all that ended since it was last received from. It is for one reader.
func (e *Engine) Flushed() <-chan struct{} { return e.flushed }

// Compact rewrites [start, end) of a family to the lowest level, one table after another, dropping what is deleted. It
// takes as long as that does, or until ctx is done.
func (e *Engine) Compact(ctx context.Context, cf storage.CF, start, end []byte) error {
	lower, upper := familyBounds(cf, start, end)
	if err := e.db.Compact(ctx, lower, upper, false); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}

// familyKey appends the engine's form of key to dst.
func familyKey(dst []byte, cf storage.CF, key []byte) []byte {
	dst = append(dst, byte(cf))
	return append(dst, key...)
}

// familyBounds returns the engine's form of [start, end) of a family; nil or an empty end stand for the family's ends.
func familyBounds(cf storage.CF, start, end []byte) (lower, upper []byte) {
	lower = familyKey(make([]byte, 0, 1+len(start)), cf, start)
	if len(end) == 0 {
		return lower, []byte{byte(cf) + 1}
	}
	return lower, familyKey(make([]byte, 0, 1+len(end)), cf, end)
}
