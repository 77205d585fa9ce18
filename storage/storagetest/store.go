// Package storagetest has a storage.Store for tests: one region, which covers every key, on a storage engine in memory.
// Writes are applied at once.
package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// RegionID, PeerID, StoreID and Term describe the region.
const (
	RegionID = 1
	PeerID   = 2
	StoreID  = 3
	Term     = 5
)

// Store is the region. Safe for concurrent use.
type Store struct {
	Engine *engine.Engine

	// BeforeWrite, if set, runs before each write and may refuse it. It is called without locks held.
	BeforeWrite func(mods []storage.Modify) error

	mu        sync.Mutex
	version   uint64
	flashback uint64 // start of the flashback that the region is in; 0: it is in none
}

var _ storage.Store = (*Store)(nil)

// New returns an empty store that lives as long as the test.
func New(t testing.TB) *Store {
	t.Helper()
	e, err := engine.Open("store", engine.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := e.Survey(); err != nil {
		t.Fatal(err)
	}
	return &Store{Engine: e}
}

// Region returns the region's descriptor.
func Region() *metapb.Region {
	return &metapb.Region{
		Id:          RegionID,
		RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1},
		Peers:       []*metapb.Peer{{Id: PeerID, StoreId: StoreID}},
	}
}

// Context returns the request context of a client that knows the region.
func Context() *kvrpcpb.Context {
	r := Region()
	return &kvrpcpb.Context{RegionId: r.Id, RegionEpoch: r.RegionEpoch, Peer: r.Peers[0]}
}

// Snapshot implements storage.Store.
func (s *Store) Snapshot(ctx context.Context, at storage.Region) (storage.Snapshot, error) {
	if err := check(ctx, at); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkFlashback(at); err != nil {
		return nil, err
	}
	return &snapshot{s.Engine.NewSnapshot(), s.region(), s.version}, nil
}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, at storage.Region, mods []storage.Modify) error {
	if err := check(ctx, at); err != nil {
		return err
	}
	if s.BeforeWrite != nil {
		if err := s.BeforeWrite(mods); err != nil {
			return err
		}
	}
	b := s.Engine.NewBatch()
	defer b.Close()
	b.Apply(mods)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkFlashback(at); err != nil {
		return err
	}
	s.version++
	return b.Commit(false)
}

// Submit implements storage.Store.
func (s *Store) Submit(at storage.Region, mods []storage.Modify) (<-chan error, error) {
	return Begin(s, at, mods), nil
}

// PrepareFlashback implements storage.Store.
func (s *Store) PrepareFlashback(ctx context.Context, at storage.Region, startTS uint64) error {
	return s.setFlashback(ctx, at, startTS)
}

// FinishFlashback implements storage.Store.
func (s *Store) FinishFlashback(ctx context.Context, at storage.Region) error {
	return s.setFlashback(ctx, at, 0)
}

func (s *Store) setFlashback(ctx context.Context, at storage.Region, startTS uint64) error {
	if err := check(ctx, at); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flashback = startTS
	return nil
}

// checkFlashback is raftstore's.
func (s *Store) checkFlashback(at storage.Region) error {
	switch {
	case at.Flashback && s.flashback == 0:
		return &storage.RegionError{Pb: &errorpb.Error{
			Message: "not in flashback", FlashbackNotPrepared: &errorpb.FlashbackNotPrepared{RegionId: RegionID},
		}}
	case !at.Flashback && s.flashback > 0 && (at.ReadTS == 0 || at.ReadTS >= s.flashback):
		return &storage.RegionError{Pb: &errorpb.Error{
			Message:             "in flashback",
			FlashbackInProgress: &errorpb.FlashbackInProgress{RegionId: RegionID, FlashbackStartTs: s.flashback},
		}}
	}
	return nil
}

// region is the descriptor as of now.
func (s *Store) region() *metapb.Region {
	r := Region()
	r.IsInFlashback, r.FlashbackStartTs = s.flashback > 0, s.flashback
	return r
}

// Begin makes a Submit of a Write. The changes must stay as they are.
func Begin(s storage.Store, at storage.Region, mods []storage.Modify) <-chan error {
	outcome := make(chan error, 1)
	go func() { outcome <- s.Write(context.Background(), at, mods) }()
	return outcome
}

func check(ctx context.Context, at storage.Region) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := Region()
	if at.ID != RegionID {
		return &storage.RegionError{Pb: &errorpb.Error{
			Message:        fmt.Sprintf("region %d not found", at.ID),
			RegionNotFound: &errorpb.RegionNotFound{RegionId: at.ID},
		}}
	}
	if at.Epoch != nil && at.Epoch.Version != r.RegionEpoch.Version {
		return &storage.RegionError{Pb: &errorpb.Error{
			Message:       "epoch does not match",
			EpochNotMatch: &errorpb.EpochNotMatch{CurrentRegions: []*metapb.Region{r}},
		}}
	}
	return nil
}

type snapshot struct {
	*engine.Snapshot
	region  *metapb.Region
	version uint64
}

func (s *snapshot) Region() *metapb.Region { return s.region }
func (s *snapshot) Term() uint64           { return Term }
func (s *snapshot) DataVersion() uint64    { return s.version }
