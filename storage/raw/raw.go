// Package raw serves the raw key-value API on one store: keys and values without transactions or versions. A store speaks
// one version of the API:
//
//	V1     keys and values as the client gives them, in one of three families
//	V1TTL  the same, and pairs may have a time to live
//	V2     as V1TTL; keys begin with 'r' and a keyspace, and are kept encoded, so that their regions have bounds that
//	       transactional clients can read; one family
//
// Requests of another version are refused with TiKV's text, and so are keys that V2 does not take for raw ones. Raw data has
// column families of its own in every version: it never meets transactional data.
//
// Service has one method for each RPC, named like it without "Raw". What the protocol has a text for is in the
// response; the error of a method is a *storage.RegionError, the context's error, storage.ErrUndetermined, or a failure
// of the store.
//
// A pair whose time is up is absent for every method at once, by this store's clock. Sweep deletes such pairs.
//
// Single writes are atomic by themselves. What reads before it writes must not undo a write that came in between:
// compare-and-swap takes the key's stripe for itself, and so do writes that a client marks for_cas and Sweep. Where pairs
// expire the other writes share the stripe.
package raw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/zeebo/xxh3"

	"github.com/scree-db/scree/storage"
)

const (
	stripes        = 256
	scanCheckEvery = 1024 // keys after which a scan looks at its context
	// resultBytesMax bounds the pairs of one response.
	resultBytesMax = 512 << 20
)

// Options configure a Service.
type Options struct {
	// API is the version that the store speaks; the zero value is V1.
	API kvrpcpb.APIVersion
	// Now tells when pairs expire. Nil: nothing does, which is right for V1 alone.
	Now func() time.Time
}

// Service is the raw API of a store. Safe for concurrent use.
type Service struct {
	form
	store storage.Store
	now   func() uint64         // seconds since 1970
	order [stripes]sync.RWMutex // by hash of the key; taken in ascending order
}

// New returns a service on store.
func New(store storage.Store, o Options) *Service {
	s := &Service{form: form{o.API}, store: store, now: func() uint64 { return 0 }}
	if o.Now != nil && s.expires() {
		s.now = func() uint64 { return uint64(max(o.Now().Unix(), 0)) }
	}
	return s
}

func regionOf(ctx *kvrpcpb.Context) storage.Region {
	return storage.Region{
		ID: ctx.GetRegionId(), Epoch: ctx.GetRegionEpoch(), Peer: ctx.GetPeer(), Term: ctx.GetTerm(), ReplicaRead: ctx.GetReplicaRead(),
		DiskFullOpt: ctx.GetDiskFullOpt(),
	}
}

// admit is what every request begins with: it refuses what this store's version of the API does not take, and finds the
// family.
func (s *Service) admit(pb *kvrpcpb.Context, cfName string) (storage.CF, error) {
	if err := s.accept(pb); err != nil {
		return 0, &refusal{err}
	}
	cf, err := s.family(cfName)
	if err != nil {
		return 0, &refusal{err}
	}
	return cf, nil
}

// storedKey checks a key and returns its stored form.
func (s *Service) storedKey(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, &refusal{errEmptyKey}
	}
	if err := s.checkKey(key); err != nil {
		return nil, &refusal{err}
	}
	return s.key(key), nil
}

// snapshot takes a snapshot and checks that the stored keys are in the region.
func (s *Service) snapshot(ctx context.Context, at storage.Region, keys ...[]byte) (storage.Snapshot, error) {
	snap, err := s.store.Snapshot(ctx, at)
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
func (s *Service) write(ctx context.Context, at storage.Region, mods []storage.Modify) error {
	snap, err := s.snapshot(ctx, at, keysOf(mods)...)
	if err != nil {
		return err
	}
	at = fixed(at, snap)
	if err := snap.Close(); err != nil {
		return err
	}
	return s.store.Write(ctx, at, mods)
}

// fixed addresses the region as the snapshot saw it.
func fixed(at storage.Region, snap storage.Snapshot) storage.Region {
	at.ReplicaRead, at.Term, at.Epoch = false, snap.Term(), snap.Region().GetRegionEpoch()
	return at
}

func keysOf(mods []storage.Modify) [][]byte {
	keys := make([][]byte, len(mods))
	for i := range mods {
		keys[i] = mods[i].Key
	}
	return keys
}

// writeOrdered is write, alone on the keys' stripes if the client marked it for_cas.
func (s *Service) writeOrdered(ctx context.Context, pb *kvrpcpb.Context, forCAS bool, mods []storage.Modify) error {
	switch {
	case len(mods) == 0:
		return nil
	case forCAS:
		defer s.lock(keysOf(mods)...)()
	case s.expires():
		defer s.share(keysOf(mods)...)()
	default:
		return s.write(ctx, regionOf(pb), mods)
	}
	// A stripe is held until the outcome is known.
	return s.write(context.WithoutCancel(ctx), regionOf(pb), mods)
}

// lock takes the stripes of stored keys.
func (s *Service) lock(keys ...[]byte) (unlock func()) {
	held := stripesOf(keys)
	for _, i := range held {
		s.order[i].Lock()
	}
	return func() {
		for _, i := range held {
			s.order[i].Unlock()
		}
	}
}

// share keeps others from taking the stripes of stored keys.
func (s *Service) share(keys ...[]byte) (unlock func()) {
	held := stripesOf(keys)
	for _, i := range held {
		s.order[i].RLock()
	}
	return func() {
		for _, i := range held {
			s.order[i].RUnlock()
		}
	}
}

func stripesOf(keys [][]byte) []int {
	held := make([]int, len(keys))
	for i, k := range keys {
		held[i] = int(xxh3.Hash(k) % stripes)
	}
	slices.Sort(held)
	return slices.Compact(held)
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

// failedPairs is text for responses that have none: a pair stands for the error.
func failedPairs(err error) ([]*kvrpcpb.KvPair, error) {
	refused, err := text(err)
	if refused == "" {
		return nil, err
	}
	return []*kvrpcpb.KvPair{{Error: &kvrpcpb.KeyError{Abort: refused}}}, nil
}

func join(err, second error) error {
	if second == nil {
		return err
	}
	return errors.Join(err, second)
}
