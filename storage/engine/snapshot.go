package engine

import (
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/scree-db/scree/storage"
)

// Snapshot is a frozen view of the whole database. Safe for concurrent use. Holding one keeps old data on disk.
type Snapshot struct {
	e    *Engine
	view *view
}

// NewSnapshot returns a view of everything committed so far. The caller closes it.
func (e *Engine) NewSnapshot() *Snapshot { return &Snapshot{e, e.views.current(e.db)} }

// Get is Engine.Get on the snapshot.
func (s *Snapshot) Get(cf storage.CF, key []byte) ([]byte, error) { return get(s.view.snap, cf, key) }

// NewIterator iterates the snapshot. Bounds that are nil are the family's ends.
func (s *Snapshot) NewIterator(o storage.IterOptions) (storage.Iterator, error) {
	return newIterator(s.view.snap, o)
}

// Absent implements storage.Snapshot, for storage.CFLock.
func (s *Snapshot) Absent(cf storage.CF, key []byte) bool { return s.e.Absent(cf, key) }

// Close releases the snapshot. Iterators opened on it stay valid.
func (s *Snapshot) Close() error {
	v := s.view
	s.view = nil
	return v.release()
}

// view is a snapshot of Pebble's that several of ours share.
type view struct {
	snap *pebble.Snapshot
	refs atomic.Int64
}

func (v *view) release() error {
	if v.refs.Add(-1) > 0 {
		return nil
	}
	return v.snap.Close()
}

// views has the newest view, which serves everybody until something is committed: when Pebble's oldest snapshot closes, it
// looks for compactions with the database locked, which for a point read would cost as much again as the read.
//
// A commit ends the newest view before it returns. So no view lacks what was acknowledged before it was asked for, and
// none is kept beyond the next commit for nobody, which would keep compactions from dropping what that overwrites.
type views struct {
	mu     sync.Mutex
	newest *view // holds one reference; nil if there is none
}

// current returns a view of everything committed so far, with a reference for the caller.
func (vs *views) current(db *pebble.DB) *view {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.newest == nil {
		vs.newest = &view{snap: db.NewSnapshot()}
		vs.newest.refs.Store(1)
	}
	vs.newest.refs.Add(1)
	return vs.newest
}

// committed ends the newest view. Call it when a commit is visible, and before it is acknowledged.
func (vs *views) committed() error {
	vs.mu.Lock()
	v := vs.newest
	vs.newest = nil
	vs.mu.Unlock()
	if v == nil {
		return nil
	}
	return v.release()
}
