// Package raw serves the raw key-value API, version 1, on one store: keys and values as the client gives them, in a family
// of their own, without transactions, versions or time to live.
//
// Service has one method for each RPC, named like it without "Raw". What the protocol has a text for is in the
// response; the error of a method is a *storage.RegionError, the context's error, storage.ErrUndetermined, or a failure
// of the store.
//
// Single writes are atomic by themselves. Compare-and-swap reads before it writes: it, and the writes that a client marks
// for_cas, follow one another key by key.
package raw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/storage"
)

const (
	casStripes     = 256
	scanCheckEvery = 1024 // keys after which a scan looks at its context
)

// Service is the raw API of a store. Safe for concurrent use.
type Service struct {
	store storage.Store
	cas   [casStripes]sync.Mutex // by hash of the key; taken in ascending order
}

// New returns a service on store.
func New(store storage.Store) *Service { return &Service{store: store} }

var (
	errNoTTL    = errors.New("time to live is not supported by API version 1")
	errEmptyKey = errors.New("key is empty")
)

// family returns the family that a request names. Those of transactional data are closed to raw requests.
func family(name string) (storage.CF, error) {
	if name == "" || name == "default" {
		return storage.CFRaw, nil
	}
	return 0, fmt.Errorf("column family %q is not open to raw requests", name)
}

func regionOf(ctx *kvrpcpb.Context) storage.Region {
	return storage.Region{
		ID: ctx.GetRegionId(), Epoch: ctx.GetRegionEpoch(), Peer: ctx.GetPeer(), Term: ctx.GetTerm(), ReplicaRead: ctx.GetReplicaRead(),
	}
}

// snapshot takes a snapshot and checks that the keys are in the region.
func (s *Service) snapshot(ctx context.Context, pb *kvrpcpb.Context, keys ...[]byte) (storage.Snapshot, error) {
	snap, err := s.store.Snapshot(ctx, regionOf(pb))
	if err != nil {
		return nil, err
	}
	r := snap.Region()
	for _, k := range keys {
		if bytes.Compare(k, r.StartKey) >= 0 && (len(r.EndKey) == 0 || bytes.Compare(k, r.EndKey) < 0) {
			continue
		}
		err := &storage.RegionError{Pb: &errorpb.Error{
			Message:        fmt.Sprintf("key %x is not in region %d", k, r.Id),
			KeyNotInRegion: &errorpb.KeyNotInRegion{Key: k, RegionId: r.Id, StartKey: r.StartKey, EndKey: r.EndKey},
		}}
		return nil, join(err, snap.Close())
	}
	return snap, nil
}

// write checks the keys' region and applies one change for each. The region's bounds and leader are those of the check.
func (s *Service) write(ctx context.Context, pb *kvrpcpb.Context, mods []storage.Modify) error {
	keys := make([][]byte, len(mods))
	for i := range mods {
		keys[i] = mods[i].Key
	}
	snap, err := s.snapshot(ctx, pb, keys...)
	if err != nil {
		return err
	}
	at := fixed(pb, snap)
	if err := snap.Close(); err != nil {
		return err
	}
	return s.store.Write(ctx, at, mods)
}

// fixed addresses the region as the snapshot saw it.
func fixed(pb *kvrpcpb.Context, snap storage.Snapshot) storage.Region {
	at := regionOf(pb)
	at.ReplicaRead, at.Term, at.Epoch = false, snap.Term(), snap.Region().GetRegionEpoch()
	return at
}

// lock takes the stripes of the keys.
func (s *Service) lock(keys ...[]byte) (unlock func()) {
	stripes := make([]int, len(keys))
	for i, k := range keys {
		stripes[i] = int(xxh3.Hash(k) % casStripes)
	}
	slices.Sort(stripes)
	stripes = slices.Compact(stripes)
	for _, i := range stripes {
		s.cas[i].Lock()
	}
	return func() {
		for _, i := range stripes {
			s.cas[i].Unlock()
		}
	}
}

// writeFor is write, in the order of compare-and-swaps if forCAS.
func (s *Service) writeFor(ctx context.Context, pb *kvrpcpb.Context, forCAS bool, mods []storage.Modify) error {
	if len(mods) == 0 {
		return nil
	}
	if !forCAS {
		return s.write(ctx, pb, mods)
	}
	keys := make([][]byte, len(mods))
	for i := range mods {
		keys[i] = mods[i].Key
	}
	defer s.lock(keys...)()
	return s.write(context.WithoutCancel(ctx), pb, mods) // the stripe is held until the outcome is known
}

// text splits an error into the response's text and what the method returns.
func text(err error) (string, error) {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.Error(), nil
	}
	return "", err
}

// refusal is an error that the response reports as text.
type refusal struct{ error }

func refuse(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return &refusal{err}
	}
	return nil
}

func join(err, second error) error {
	if second == nil {
		return err
	}
	return errors.Join(err, second)
}
