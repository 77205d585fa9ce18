package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// Options of a Catalog.
type Options struct {
	// ID tells this gateway from the cluster's others; empty: there are no others.
	ID     string
	Logger *slog.Logger
	// Virtual are tables without keys, such as information_schema's. Their databases come to be with them.
	Virtual []*Table
	// Backfill writes the entries of a new index for the rows that are there.
	Backfill func(ctx context.Context, t *Table, ix *Index) error
	// Now is the wall clock.
	Now func() time.Time
}

// Catalog is the schema of a cluster as one gateway sees it. Safe for concurrent use.
type Catalog struct {
	store Store
	opts  Options
	log   *slog.Logger

	current atomic.Pointer[Snapshot]
	// ddl serialises changes; held across the transaction of a change.
	ddl     sync.Mutex
	locks   *Locks
	members *membership // nil: alone
	ids     idCache
	stats   statsCache
	past    pastSchemas
}

// changeAttempts bounds how often a change is tried again after a conflict with another gateway's.
const changeAttempts = 5

// Open loads the catalog and, in a new cluster, creates the databases mysql and test.
func Open(ctx context.Context, store Store, opts Options) (*Catalog, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c := &Catalog{store: store, opts: opts, log: opts.Logger, members: newMembership(opts.ID)}
	c.locks = newLocks(func() int64 { return c.members.current().epoch })
	c.ids.init()
	c.stats.init()
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("load catalog: %w", err)
	}
	if c.Current().Version == 0 {
		if err := c.bootstrap(ctx); err != nil {
			return nil, fmt.Errorf("bootstrap catalog: %w", err)
		}
	}
	if c.members != nil {
		if err := c.attend(ctx); err != nil {
			return nil, fmt.Errorf("join the cluster's gateways: %w", err)
		}
	}
	return c, c.loadStats(ctx)
}

// Current is the present schema.
func (c *Catalog) Current() *Snapshot { return c.current.Load() }

// Locks are the metadata locks of this gateway.
func (c *Catalog) Locks() *Locks { return c.locks }

func (c *Catalog) bootstrap(ctx context.Context) error {
	return c.change(ctx, func(e *edit) error {
		for _, name := range []string{"mysql", "test"} {
			if _, err := e.next.Database(name); err == nil {
				continue // another gateway was faster
			}
			id, err := e.newID()
			if err != nil {
				return err
			}
			if err := e.putDatabase(&Database{ID: id, Name: name, Charset: defaultCharset, Collate: defaultCollate}); err != nil {
				return err
			}
		}
		return nil
	})
}

// load reads the whole schema.
func (c *Catalog) load(ctx context.Context) error {
	s, err := read(ctx, c.store, c.opts.Virtual)
	if err == nil {
		c.current.Store(s)
	}
	return err
}

// Read returns the schema of a cluster without being part of it: tables and databases as they are at this moment.
func Read(ctx context.Context, store Store) (*Snapshot, error) {
	s, err := read(ctx, store, nil)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return s, nil
}

func read(ctx context.Context, store Store, virtual []*Table) (*Snapshot, error) {
	txn, err := store.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer txn.Rollback()
	return readFrom(ctx, txn, virtual)
}

// readFrom reads the schema that a transaction sees.
func readFrom(ctx context.Context, txn Txn, virtual []*Table) (s *Snapshot, err error) {
	s = newSnapshot()
	s.addVirtual(virtual)
	if s.Version, err = getInt(ctx, txn, versionKey); err != nil {
		return nil, err
	}
	names := make(map[int64]string)
	err = scanJSON(ctx, txn, databasePrefix, func(db *Database) {
		s.putDatabase(db)
		names[db.ID] = db.Name
	})
	if err != nil {
		return nil, err
	}
	err = scanJSON(ctx, txn, tablePrefix, func(t *Table) {
		if name, ok := names[t.DBID]; ok {
			t.DB = name
			s.putTable(t)
		}
	})
	return s, err
}

func (s *Snapshot) addVirtual(tables []*Table) {
	for _, t := range tables {
		if _, err := s.Database(t.DB); err != nil {
			s.putDatabase(&Database{Name: t.DB, Charset: defaultCharset, Collate: defaultCollate})
		}
		s.putTable(t)
	}
}

// scanJSON decodes all values under a prefix.
func scanJSON[T any](ctx context.Context, txn Txn, prefix string, each func(*T)) error {
	return scanRecords(ctx, txn, prefix, func(_ []byte, v *T) error { each(v); return nil })
}

// scanRecords decodes all keys and values under a prefix, the values as JSON.
func scanRecords[T any](ctx context.Context, txn Txn, prefix string, each func(key []byte, v *T) error) error {
	start, end := prefixRange(prefix)
	it := txn.Scan(ctx, kvclient.KeyRange{Start: start, End: end}, false)
	defer it.Close()
	for {
		key, val, ok, err := it.Next()
		if err != nil || !ok {
			return err
		}
		v := new(T)
		if err := json.Unmarshal(val, v); err != nil {
			return fmt.Errorf("meta key %q: %w", key, err)
		}
		if err := each(key, v); err != nil {
			return err
		}
	}
}

func getInt(ctx context.Context, txn Txn, key []byte) (int64, error) {
	b, err := txn.Get(ctx, key)
	if err != nil || b == nil {
		return 0, err
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("meta key %q: %w", key, err)
	}
	return v, nil
}

// edit is a change under way: every method changes the next snapshot and the transaction alike.
type edit struct {
	ctx  context.Context
	txn  Txn
	next *Snapshot
}

// change runs fn on an edit, commits it and publishes the result, here and with the cluster's other gateways. fn may run more
// than once.
func (c *Catalog) change(ctx context.Context, fn func(*edit) error) error {
	if err := c.changeHere(ctx, fn); err != nil {
		return err
	}
	if err := c.untilKnown(ctx, c.Current().Version); err != nil {
		c.log.Warn("the schema has changed; not waiting for other gateways to know it", "err", err)
	}
	return nil
}

func (c *Catalog) changeHere(ctx context.Context, fn func(*edit) error) error {
	c.ddl.Lock()
	defer c.ddl.Unlock()
	for attempt := 1; ; attempt++ {
		err := c.tryChange(ctx, fn)
		var conflict *kvclient.WriteConflictError
		if err == nil || attempt == changeAttempts || !errors.Is(err, errStale) && !errors.As(err, &conflict) {
			return err
		}
		if err := c.load(ctx); err != nil {
			return err
		}
	}
}

// errStale says that another gateway changed the schema since it was loaded.
var errStale = errors.New("schema is out of date")

func (c *Catalog) tryChange(ctx context.Context, fn func(*edit) error) error {
	txn, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	e := &edit{ctx: ctx, txn: txn, next: c.Current().clone()}
	version, err := getInt(ctx, txn, versionKey)
	if err != nil {
		return err
	}
	if version != e.next.Version {
		return errStale
	}
	if err := c.guard(e); err != nil {
		return err
	}
	if err := fn(e); err != nil {
		return err
	}
	e.next.Version++
	if err := txn.Set(versionKey, strconv.AppendInt(nil, e.next.Version, 10)); err != nil {
		return err
	}
	if err := txn.Commit(ctx); err != nil {
		return c.afterFailedCommit(ctx, err)
	}
	c.current.Store(e.next)
	return nil
}

// afterFailedCommit finds out what the cluster holds if the commit's outcome is unknown.
func (c *Catalog) afterFailedCommit(ctx context.Context, err error) error {
	var unknown *kvclient.UndeterminedError
	if errors.As(err, &unknown) {
		return errors.Join(err, c.load(ctx))
	}
	return err
}

func (e *edit) newID() (int64, error) {
	id, err := getInt(e.ctx, e.txn, globalIDKey)
	if err != nil {
		return 0, err
	}
	id = max(id, firstID-1) + 1
	return id, e.txn.Set(globalIDKey, strconv.AppendInt(nil, id, 10))
}

// firstID leaves room below for ids with a fixed meaning.
const firstID = 100

func (e *edit) putDatabase(db *Database) error {
	e.next.putDatabase(db)
	return e.setJSON(metaKey(databasePrefix, db.ID), db)
}

func (e *edit) putTable(t *Table) error {
	e.next.putTable(t)
	return e.setJSON(metaKey(tablePrefix, t.ID), t)
}

// dropTable forgets a table with its counters.
func (e *edit) dropTable(t *Table) error {
	e.next.dropTable(t)
	for _, prefix := range []string{tablePrefix, autoIncPrefix, rowIDPrefix, statsPrefix} {
		if err := e.txn.Delete(metaKey(prefix, t.ID)); err != nil {
			return err
		}
	}
	return nil
}

func (e *edit) setJSON(key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.txn.Set(key, b)
}
