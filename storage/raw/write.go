package raw

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/scree-db/scree/storage"
)

// Put serves RawPut.
func (s *Service) Put(ctx context.Context, req *kvrpcpb.RawPutRequest) (*kvrpcpb.RawPutResponse, error) {
	err := s.put(ctx, req.Context, req.Cf, req.ForCas, []uint64{req.Ttl}, &kvrpcpb.KvPair{Key: req.Key, Value: req.Value})
	resp := &kvrpcpb.RawPutResponse{}
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

// BatchPut serves RawBatchPut: all pairs or none.
func (s *Service) BatchPut(ctx context.Context, req *kvrpcpb.RawBatchPutRequest) (*kvrpcpb.RawBatchPutResponse, error) {
	ttls := req.Ttls
	if len(ttls) == 0 {
		ttls = []uint64{req.Ttl} // where older clients have it, one for all
	}
	err := s.put(ctx, req.Context, req.Cf, req.ForCas, ttls, req.Pairs...)
	resp := &kvrpcpb.RawBatchPutResponse{}
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) put(ctx context.Context, pb *kvrpcpb.Context, cfName string, forCAS bool, ttls []uint64, pairs ...*kvrpcpb.KvPair) error {
	cf, err := s.admit(pb, cfName)
	if err != nil {
		return err
	}
	ttl, err := s.ttls(ttls, len(pairs))
	if err != nil {
		return &refusal{err}
	}
	mods, now := make([]storage.Modify, len(pairs)), s.now()
	for i, p := range pairs {
		key, err := s.storedKey(p.GetKey())
		if err != nil {
			return err
		}
		mods[i] = storage.Modify{Op: storage.OpPut, CF: cf, Key: key, Value: s.value(p.Value, ttl(i), now)}
	}
	return s.writeOrdered(ctx, pb, forCAS, mods)
}

// Delete serves RawDelete.
func (s *Service) Delete(ctx context.Context, req *kvrpcpb.RawDeleteRequest) (*kvrpcpb.RawDeleteResponse, error) {
	err := s.delete(ctx, req.Context, req.Cf, req.ForCas, req.Key)
	resp := &kvrpcpb.RawDeleteResponse{}
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

// BatchDelete serves RawBatchDelete: all keys or none.
func (s *Service) BatchDelete(ctx context.Context, req *kvrpcpb.RawBatchDeleteRequest) (*kvrpcpb.RawBatchDeleteResponse, error) {
	err := s.delete(ctx, req.Context, req.Cf, req.ForCas, req.Keys...)
	resp := &kvrpcpb.RawBatchDeleteResponse{}
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) delete(ctx context.Context, pb *kvrpcpb.Context, cfName string, forCAS bool, keys ...[]byte) error {
	cf, err := s.admit(pb, cfName)
	if err != nil {
		return err
	}
	mods := make([]storage.Modify, len(keys))
	for i, k := range keys {
		stored, err := s.storedKey(k)
		if err != nil {
			return err
		}
		mods[i] = storage.Modify{Op: storage.OpDelete, CF: cf, Key: stored}
	}
	return s.writeOrdered(ctx, pb, forCAS, mods)
}

// DeleteRange serves RawDeleteRange. Bounds are cut to the region.
func (s *Service) DeleteRange(ctx context.Context, req *kvrpcpb.RawDeleteRangeRequest) (*kvrpcpb.RawDeleteRangeResponse, error) {
	err := s.deleteRange(ctx, req)
	resp := &kvrpcpb.RawDeleteRangeResponse{}
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) deleteRange(ctx context.Context, req *kvrpcpb.RawDeleteRangeRequest) error {
	cf, err := s.admit(req.Context, req.Cf)
	if err != nil {
		return err
	}
	if err := s.checkRange(req.StartKey, req.EndKey); err != nil {
		return &refusal{err}
	}
	return s.clear(ctx, regionOf(req.Context), req.StartKey, req.EndKey, cf)
}

// Overlaps tells whether a region may have pairs with keys in [start, end). Empty bounds are open.
func (s *Service) Overlaps(r *metapb.Region, start, end []byte) bool {
	return !isEmpty(s.clip(r, start, end))
}

// Destroy deletes all pairs with keys in [start, end) that are in a region, of whatever family, for UnsafeDestroyRange. Empty
// bounds are open. The store must lead the region; errors are those of storage.Store.
func (s *Service) Destroy(ctx context.Context, at storage.Region, start, end []byte) error {
	return s.clear(ctx, at, start, end, s.families()...)
}

// clear deletes the pairs of families in a range of keys, cut to the region.
func (s *Service) clear(ctx context.Context, at storage.Region, start, end []byte, families ...storage.CF) error {
	snap, err := s.snapshot(ctx, at)
	if err != nil {
		return err
	}
	at = fixed(at, snap)
	o := s.clip(snap.Region(), start, end)
	var mods []storage.Modify
	for _, cf := range families {
		o.CF = cf
		some, err := hasPairs(snap, o)
		if err != nil {
			return join(err, snap.Close())
		}
		if some {
			mods = append(mods, storage.Modify{Op: storage.OpDeleteRange, CF: cf, Key: o.Lower, EndKey: o.Upper})
		}
	}
	if err := snap.Close(); err != nil || len(mods) == 0 {
		return err
	}
	return s.store.Write(ctx, at, mods)
}

// clip is a range of keys in their stored form, cut to a region. An open end stays nil.
func (s *Service) clip(r *metapb.Region, start, end []byte) storage.IterOptions {
	o := storage.IterOptions{Lower: s.bound(start), Upper: s.bound(end)}
	if bytes.Compare(o.Lower, r.StartKey) < 0 {
		o.Lower = r.StartKey
	}
	if len(r.EndKey) > 0 && (o.Upper == nil || bytes.Compare(o.Upper, r.EndKey) > 0) {
		o.Upper = r.EndKey
	}
	return o
}

func isEmpty(o storage.IterOptions) bool {
	return o.Upper != nil && bytes.Compare(o.Lower, o.Upper) >= 0
}

// hasPairs tells whether there is a pair in the bounds.
func hasPairs(snap storage.Snapshot, o storage.IterOptions) (some bool, err error) {
	if isEmpty(o) {
		return false, nil
	}
	it, err := snap.NewIterator(o)
	if err != nil {
		return false, err
	}
	some = it.First()
	return some, join(it.Error(), it.Close())
}

// CompareAndSwap serves RawCompareAndSwap: it writes if the key has the value the client believes it has.
func (s *Service) CompareAndSwap(ctx context.Context, req *kvrpcpb.RawCASRequest) (*kvrpcpb.RawCASResponse, error) {
	resp := &kvrpcpb.RawCASResponse{}
	err := s.compareAndSwap(ctx, req, resp)
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) compareAndSwap(ctx context.Context, req *kvrpcpb.RawCASRequest, resp *kvrpcpb.RawCASResponse) error {
	cf, err := s.admit(req.Context, req.Cf)
	if err != nil {
		return err
	}
	ttl, err := s.ttls([]uint64{req.Ttl}, 1)
	if err != nil {
		return &refusal{err}
	}
	key, err := s.storedKey(req.Key)
	if err != nil {
		return err
	}
	defer s.lock(key)()
	snap, err := s.snapshot(ctx, regionOf(req.Context), key)
	if err != nil {
		return err
	}
	at, now := fixed(regionOf(req.Context), snap), s.now()
	current, _, err := s.read(snap, cf, key, now)
	if err := join(err, snap.Close()); err != nil {
		return err
	}
	resp.PreviousNotExist, resp.PreviousValue = current == nil, current
	if resp.PreviousNotExist != req.PreviousNotExist || !bytes.Equal(current, req.PreviousValue) && current != nil {
		return nil
	}
	mod := storage.Modify{Op: storage.OpPut, CF: cf, Key: key, Value: s.value(req.Value, ttl(0), now)}
	if req.Delete {
		mod = storage.Modify{Op: storage.OpDelete, CF: cf, Key: key}
	}
	// The stripe is held until the outcome is known: a write applied after the next comparison would undo it.
	err = s.store.Write(context.WithoutCancel(ctx), at, []storage.Modify{mod})
	resp.Succeed = err == nil
	return err
}
