package raw

import (
	"context"
	"hash/crc64"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
)

// Get serves RawGet.
func (s *Service) Get(ctx context.Context, req *kvrpcpb.RawGetRequest) (*kvrpcpb.RawGetResponse, error) {
	resp := &kvrpcpb.RawGetResponse{}
	val, err := s.get(ctx, req.Context, req.Cf, req.Key)
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	resp.Value, resp.NotFound = val, val == nil && resp.Error == ""
	return resp, nil
}

func (s *Service) get(ctx context.Context, pb *kvrpcpb.Context, cfName string, key []byte) ([]byte, error) {
	cf, err := family(cfName)
	if err != nil {
		return nil, refuse(err)
	}
	snap, err := s.snapshot(ctx, pb, key)
	if err != nil {
		return nil, err
	}
	val, err := snap.Get(cf, key)
	return val, join(err, snap.Close())
}

// GetKeyTTL serves RawGetKeyTTL. Nothing expires: the time to live of a key that is there is 0.
func (s *Service) GetKeyTTL(ctx context.Context, req *kvrpcpb.RawGetKeyTTLRequest) (*kvrpcpb.RawGetKeyTTLResponse, error) {
	resp := &kvrpcpb.RawGetKeyTTLResponse{}
	val, err := s.get(ctx, req.Context, req.Cf, req.Key)
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	resp.NotFound = val == nil && resp.Error == ""
	return resp, nil
}

// BatchGet serves RawBatchGet: the pairs that exist.
func (s *Service) BatchGet(ctx context.Context, req *kvrpcpb.RawBatchGetRequest) (*kvrpcpb.RawBatchGetResponse, error) {
	cf, err := family(req.Cf)
	if err != nil {
		return &kvrpcpb.RawBatchGetResponse{Pairs: failedPair(err)}, nil
	}
	snap, err := s.snapshot(ctx, req.Context, req.Keys...)
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.RawBatchGetResponse{}
	for _, k := range req.Keys {
		val, err := snap.Get(cf, k)
		if err != nil {
			return nil, join(err, snap.Close())
		}
		if val != nil {
			resp.Pairs = append(resp.Pairs, &kvrpcpb.KvPair{Key: k, Value: val})
		}
	}
	if err := snap.Close(); err != nil {
		return nil, err
	}
	return resp, nil
}

// failedPair reports an error where the response has no text.
func failedPair(err error) []*kvrpcpb.KvPair {
	return []*kvrpcpb.KvPair{{Error: &kvrpcpb.KeyError{Abort: err.Error()}}}
}

// Scan serves RawScan. A reverse scan begins below start_key and goes down to end_key.
func (s *Service) Scan(ctx context.Context, req *kvrpcpb.RawScanRequest) (*kvrpcpb.RawScanResponse, error) {
	cf, err := family(req.Cf)
	if err != nil {
		return &kvrpcpb.RawScanResponse{Kvs: failedPair(err)}, nil
	}
	kvs, err := s.scan(ctx, req, cf)
	if err != nil {
		return nil, err
	}
	return &kvrpcpb.RawScanResponse{Kvs: kvs}, nil
}

// BatchScan serves RawBatchScan: a scan of up to each_limit pairs of every range, one after another.
func (s *Service) BatchScan(ctx context.Context, req *kvrpcpb.RawBatchScanRequest) (*kvrpcpb.RawBatchScanResponse, error) {
	cf, err := family(req.Cf)
	if err != nil {
		return &kvrpcpb.RawBatchScanResponse{Kvs: failedPair(err)}, nil
	}
	resp := &kvrpcpb.RawBatchScanResponse{}
	for _, r := range req.Ranges {
		kvs, err := s.scan(ctx, &kvrpcpb.RawScanRequest{
			Context: req.Context, StartKey: r.GetStartKey(), EndKey: r.GetEndKey(), Limit: req.EachLimit,
			KeyOnly: req.KeyOnly, Reverse: req.Reverse,
		}, cf)
		if err != nil {
			return nil, err
		}
		resp.Kvs = append(resp.Kvs, kvs...)
	}
	return resp, nil
}

func (s *Service) scan(ctx context.Context, req *kvrpcpb.RawScanRequest, cf storage.CF) (kvs []*kvrpcpb.KvPair, err error) {
	o := storage.IterOptions{CF: cf, Lower: bound(req.StartKey), Upper: bound(req.EndKey), NoFillCache: req.Context.GetNotFillCache()}
	if req.Reverse {
		o.Lower, o.Upper = o.Upper, o.Lower
	}
	if req.Limit == 0 {
		return nil, nil
	}
	err = s.walk(ctx, req.Context, o, req.Reverse, func(key, val []byte) (more bool) {
		pair := &kvrpcpb.KvPair{Key: append([]byte{}, key...)}
		if !req.KeyOnly {
			pair.Value = append([]byte{}, val...)
		}
		kvs = append(kvs, pair)
		return len(kvs) < int(req.Limit)
	})
	return kvs, err
}

// Checksum serves RawChecksum: the exclusive or of the CRC-64 of all pairs, key first.
func (s *Service) Checksum(ctx context.Context, req *kvrpcpb.RawChecksumRequest) (*kvrpcpb.RawChecksumResponse, error) {
	table := crc64.MakeTable(crc64.ECMA)
	resp := &kvrpcpb.RawChecksumResponse{}
	for _, r := range req.Ranges {
		o := storage.IterOptions{CF: storage.CFRaw, Lower: bound(r.StartKey), Upper: bound(r.EndKey), NoFillCache: true}
		err := s.walk(ctx, req.Context, o, false, func(key, val []byte) bool {
			resp.Checksum ^= crc64.Update(crc64.Update(0, table, key), table, val)
			resp.TotalKvs++
			resp.TotalBytes += uint64(len(key) + len(val))
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// bound turns an empty bound into an open one.
func bound(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return key
}

// walk calls visit for each pair in order, or against it, as long as it wants more.
func (s *Service) walk(ctx context.Context, pb *kvrpcpb.Context, o storage.IterOptions, reverse bool, visit func(key, val []byte) (more bool)) (err error) {
	snap, err := s.snapshot(ctx, pb)
	if err != nil {
		return err
	}
	defer func() { err = join(err, snap.Close()) }()
	it, err := snap.NewIterator(o)
	if err != nil {
		return err
	}
	defer func() { err = join(err, it.Close()) }()
	first, next := it.First, it.Next
	if reverse {
		first, next = it.Last, it.Prev
	}
	for valid, n := first(), 0; valid; valid, n = next(), n+1 {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		val := it.Value()
		if err := it.Error(); err != nil {
			return err
		}
		if !visit(it.Key(), val) {
			return nil
		}
	}
	return it.Error()
}
