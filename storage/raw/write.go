package raw

import (
	"bytes"
	"context"
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

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
	err := s.put(ctx, req.Context, req.Cf, req.ForCas, req.Ttls, req.Pairs...)
	resp := &kvrpcpb.RawBatchPutResponse{}
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) put(ctx context.Context, pb *kvrpcpb.Context, cfName string, forCAS bool, ttls []uint64, pairs ...*kvrpcpb.KvPair) error {
	cf, err := family(cfName)
	if err != nil {
		return refuse(err)
	}
	if slices.ContainsFunc(ttls, func(ttl uint64) bool { return ttl > 0 }) {
		return refuse(errNoTTL)
	}
	mods := make([]storage.Modify, len(pairs))
	for i, p := range pairs {
		if len(p.GetKey()) == 0 {
			return refuse(errEmptyKey)
		}
		mods[i] = storage.Modify{Op: storage.OpPut, CF: cf, Key: p.Key, Value: p.Value}
	}
	return s.writeFor(ctx, pb, forCAS, mods)
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
	cf, err := family(cfName)
	if err != nil {
		return refuse(err)
	}
	mods := make([]storage.Modify, len(keys))
	for i, k := range keys {
		mods[i] = storage.Modify{Op: storage.OpDelete, CF: cf, Key: k}
	}
	return s.writeFor(ctx, pb, forCAS, mods)
}

// DeleteRange serves RawDeleteRange. Bounds are cut to the region.
func (s *Service) DeleteRange(ctx context.Context, req *kvrpcpb.RawDeleteRangeRequest) (*kvrpcpb.RawDeleteRangeResponse, error) {
	cf, err := family(req.Cf)
	if err != nil {
		return &kvrpcpb.RawDeleteRangeResponse{Error: err.Error()}, nil
	}
	snap, err := s.snapshot(ctx, req.Context)
	if err != nil {
		return nil, err
	}
	at, r := fixed(req.Context, snap), snap.Region()
	if err := snap.Close(); err != nil {
		return nil, err
	}
	start, end := bound(req.StartKey), bound(req.EndKey)
	if bytes.Compare(start, r.StartKey) < 0 {
		start = r.StartKey
	}
	if len(r.EndKey) > 0 && (end == nil || bytes.Compare(end, r.EndKey) > 0) {
		end = r.EndKey
	}
	if end != nil && bytes.Compare(start, end) >= 0 {
		return &kvrpcpb.RawDeleteRangeResponse{}, nil
	}
	if err := s.store.Write(ctx, at, []storage.Modify{{Op: storage.OpDeleteRange, CF: cf, Key: start, EndKey: end}}); err != nil {
		return nil, err
	}
	return &kvrpcpb.RawDeleteRangeResponse{}, nil
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
	cf, err := family(req.Cf)
	if err != nil {
		return refuse(err)
	}
	if req.Ttl > 0 {
		return refuse(errNoTTL)
	}
	defer s.lock(req.Key)()
	snap, err := s.snapshot(ctx, req.Context, req.Key)
	if err != nil {
		return err
	}
	at := fixed(req.Context, snap)
	current, err := snap.Get(cf, req.Key)
	if err := join(err, snap.Close()); err != nil {
		return err
	}
	resp.PreviousNotExist, resp.PreviousValue = current == nil, current
	if resp.PreviousNotExist != req.PreviousNotExist || !bytes.Equal(current, req.PreviousValue) && current != nil {
		return nil
	}
	mod := storage.Modify{Op: storage.OpPut, CF: cf, Key: req.Key, Value: req.Value}
	if req.Delete {
		mod = storage.Modify{Op: storage.OpDelete, CF: cf, Key: req.Key}
	}
	// The stripe is held until the outcome is known: a write applied after the next comparison would undo it.
	err = s.store.Write(context.WithoutCancel(ctx), at, []storage.Modify{mod})
	resp.Succeed = err == nil
	return err
}
