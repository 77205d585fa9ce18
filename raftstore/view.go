package raftstore

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// viewNow takes a view. Its index is read before, so that it never names a write that is not in the view.
func (s *Store) viewNow(p *peer, term uint64) *regionView {
	index := p.applied.Load()
	return &regionView{Snapshot: s.data.NewSnapshot(), term: term, index: index}
}

// checkView gives the view its region, or closes it if that is not what the caller asked for.
func (s *Store) checkView(p *peer, view *regionView, at storage.Region) (storage.Snapshot, error) {
	var err error
	if view.region, err = s.regionFor(p, at); err == nil {
		return view, nil
	}
	if e := view.Close(); e != nil {
		return nil, e
	}
	return nil, err
}

// regionFor is the descriptor of what the caller asked for. It is read after the view was taken: what the view holds beyond the
// descriptor's time belongs to the keys it had then, too.
func (s *Store) regionFor(p *peer, at storage.Region) (*metapb.Region, error) {
	region := p.region.Load()
	if err := s.checkEpoch(region, at); err != nil {
		return nil, err
	}
	if err := checkFlashback(region, at); err != nil {
		return nil, err
	}
	if s.regions.get(p.regionID) != p {
		return nil, errRegionNotFound(p.regionID)
	}
	return region, nil
}

// regionView is a region's part of a view of the store.
type regionView struct {
	*engine.Snapshot
	region *metapb.Region
	term   uint64
	index  uint64
}

var _ storage.Snapshot = (*regionView)(nil)

// Region implements storage.Snapshot.
func (v *regionView) Region() *metapb.Region { return v.region }

// Term implements storage.Snapshot.
func (v *regionView) Term() uint64 { return v.term }

// DataVersion implements storage.Snapshot. The view may hold the next write too, if that was not acknowledged yet.
func (v *regionView) DataVersion() uint64 { return v.index }

// Get implements storage.Snapshot.
func (v *regionView) Get(cf storage.CF, key []byte) ([]byte, error) {
	if !contains(v.region, key) {
		return nil, errKeyNotInRegion(key, v.region)
	}
	return v.Snapshot.Get(cf, key)
}

// NewIterator implements storage.Snapshot.
func (v *regionView) NewIterator(o storage.IterOptions) (storage.Iterator, error) {
	if bytes.Compare(o.Lower, v.region.StartKey) < 0 {
		o.Lower = v.region.StartKey
	}
	if end := v.region.EndKey; len(end) > 0 && (len(o.Upper) == 0 || bytes.Compare(o.Upper, end) > 0) {
		o.Upper = end
	}
	return v.Snapshot.NewIterator(o)
}

// lazyView is for a command that writes and may do without a look at the data, as most that write a key do: each view that is
// taken would be ended by the next batch that is applied, and Pebble's closing of one costs as much as a write of the batch.
//
// The view is taken with the first look. That asks for the same leadership and bounds, and fails as Snapshot would. It belongs
// to one goroutine.
type lazyView struct {
	s      *Store
	ctx    context.Context // of the command
	at     storage.Region
	region *metapb.Region
	index  uint64
	taken  storage.Snapshot // nil: not yet
}

var _ storage.Snapshot = (*lazyView)(nil)

// viewLater returns a view to be taken when it is looked at.
func (s *Store) viewLater(ctx context.Context, p *peer, term uint64, at storage.Region) (storage.Snapshot, error) {
	v := &lazyView{s: s, ctx: ctx, at: at, index: p.applied.Load()}
	var err error
	if v.region, err = s.regionFor(p, at); err != nil {
		return nil, err
	}
	v.at.Term, v.at.Epoch, v.at.Lazy = term, v.region.RegionEpoch, false
	return v, nil
}

// Region implements storage.Snapshot.
func (v *lazyView) Region() *metapb.Region { return v.region }

// Term implements storage.Snapshot.
func (v *lazyView) Term() uint64 { return v.at.Term }

// DataVersion implements storage.Snapshot.
func (v *lazyView) DataVersion() uint64 { return v.index }

func (v *lazyView) look() (err error) {
	if v.taken == nil {
		v.taken, err = v.s.Snapshot(v.ctx, v.at)
	}
	return err
}

// Get implements storage.Snapshot.
func (v *lazyView) Get(cf storage.CF, key []byte) ([]byte, error) {
	if err := v.look(); err != nil {
		return nil, err
	}
	return v.taken.Get(cf, key)
}

// Absent implements storage.Snapshot.
func (v *lazyView) Absent(cf storage.CF, key []byte) bool { return v.s.data.Absent(cf, key) }

// NewIterator implements storage.Snapshot.
func (v *lazyView) NewIterator(o storage.IterOptions) (storage.Iterator, error) {
	if err := v.look(); err != nil {
		return nil, err
	}
	return v.taken.NewIterator(o)
}

// Close implements storage.Snapshot.
func (v *lazyView) Close() error {
	if v.taken == nil {
		return nil
	}
	return v.taken.Close()
}
