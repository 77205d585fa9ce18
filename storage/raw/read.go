package raw

import (
	"context"
	"errors"
	"hash/crc64"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
)

// Get serves RawGet.
func (s *Service) Get(ctx context.Context, req *kvrpcpb.RawGetRequest) (*kvrpcpb.RawGetResponse, error) {
	resp := &kvrpcpb.RawGetResponse{}
	val, _, err := s.get(ctx, req.Context, req.Cf, req.Key)
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	resp.Value, resp.NotFound = val, val == nil && resp.Error == ""
	return resp, nil
}

// GetKeyTTL serves RawGetKeyTTL: the seconds that are left, 0 for a key that does not expire.
func (s *Service) GetKeyTTL(ctx context.Context, req *kvrpcpb.RawGetKeyTTLRequest) (*kvrpcpb.RawGetKeyTTLResponse, error) {
	resp := &kvrpcpb.RawGetKeyTTLResponse{}
	val, ttl, err := s.get(ctx, req.Context, req.Cf, req.Key)
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	resp.Ttl, resp.NotFound = ttl, val == nil && resp.Error == ""
	return resp, nil
}

func (s *Service) get(ctx context.Context, pb *kvrpcpb.Context, cfName string, key []byte) (val []byte, ttl uint64, err error) {
	cf, err := s.admit(pb, cfName)
	if err != nil {
		return nil, 0, err
	}
	stored, err := s.storedKey(key)
	if err != nil {
		return nil, 0, err
	}
	snap, err := s.snapshot(ctx, regionOf(pb), stored)
	if err != nil {
		return nil, 0, err
	}
	val, ttl, err = s.read(snap, cf, stored, s.now())
	return val, ttl, join(err, snap.Close())
}

// read returns the value under a stored key, nil if there is none or it has expired, and what is left of its time.
func (s *Service) read(snap storage.Snapshot, cf storage.CF, key []byte, now uint64) (val []byte, ttl uint64, err error) {
	stored, err := snap.Get(cf, key)
	if err != nil || stored == nil {
		return nil, 0, err
	}
	val, ttl, _, err = s.userValue(stored, now)
	return val, ttl, err
}

// BatchGet serves RawBatchGet: the pairs that exist.
func (s *Service) BatchGet(ctx context.Context, req *kvrpcpb.RawBatchGetRequest) (*kvrpcpb.RawBatchGetResponse, error) {
	pairs, err := s.batchGet(ctx, req)
	if err != nil {
		pairs, err = failedPairs(err)
	}
	return &kvrpcpb.RawBatchGetResponse{Pairs: pairs}, err
}

func (s *Service) batchGet(ctx context.Context, req *kvrpcpb.RawBatchGetRequest) (pairs []*kvrpcpb.KvPair, err error) {
	cf, err := s.admit(req.Context, req.Cf)
	if err != nil {
		return nil, err
	}
	stored := make([][]byte, len(req.Keys))
	for i, k := range req.Keys {
		if stored[i], err = s.storedKey(k); err != nil {
			return nil, err
		}
	}
	snap, err := s.snapshot(ctx, regionOf(req.Context), stored...)
	if err != nil {
		return nil, err
	}
	defer func() { err = join(err, snap.Close()) }()
	now := s.now()
	for i, k := range stored {
		val, _, err := s.read(snap, cf, k, now)
		if err != nil {
			return nil, err
		}
		if val != nil {
			pairs = append(pairs, &kvrpcpb.KvPair{Key: req.Keys[i], Value: val})
		}
	}
	return pairs, nil
}

// Scan serves RawScan. A reverse scan begins below start_key and goes down to end_key.
func (s *Service) Scan(ctx context.Context, req *kvrpcpb.RawScanRequest) (*kvrpcpb.RawScanResponse, error) {
	c := collector{limit: int(req.Limit), keyOnly: req.KeyOnly}
	err := s.scan(ctx, req, &c)
	if err != nil {
		c.pairs, err = failedPairs(err)
	}
	return &kvrpcpb.RawScanResponse{Kvs: c.pairs}, err
}

// BatchScan serves RawBatchScan: a scan of up to each_limit pairs of every range, one after another.
func (s *Service) BatchScan(ctx context.Context, req *kvrpcpb.RawBatchScanRequest) (*kvrpcpb.RawBatchScanResponse, error) {
	c := collector{keyOnly: req.KeyOnly}
	for _, r := range req.Ranges {
		c.limit = len(c.pairs) + int(req.EachLimit)
		err := s.scan(ctx, &kvrpcpb.RawScanRequest{
			Context: req.Context, Cf: req.Cf, StartKey: r.GetStartKey(), EndKey: r.GetEndKey(), Reverse: req.Reverse,
		}, &c)
		if err != nil {
			pairs, err := failedPairs(err)
			return &kvrpcpb.RawBatchScanResponse{Kvs: pairs}, err
		}
	}
	return &kvrpcpb.RawBatchScanResponse{Kvs: c.pairs}, nil
}

// errTooLarge refuses scans whose result would not fit.
var errTooLarge = &refusal{errors.New("the pairs exceed 512 MiB: scan with a lower limit")}

// collector keeps the pairs of scans.
type collector struct {
	limit   int // of the pairs
	keyOnly bool
	pairs   []*kvrpcpb.KvPair
	bytes   int
}

// add copies a pair.
func (c *collector) add(key, val []byte) (more bool, err error) {
	if c.keyOnly {
		val = nil
	}
	if c.bytes += len(key) + len(val); c.bytes > resultBytesMax {
		return false, errTooLarge
	}
	pair := &kvrpcpb.KvPair{Key: append([]byte{}, key...)}
	if !c.keyOnly {
		pair.Value = append([]byte{}, val...)
	}
	c.pairs = append(c.pairs, pair)
	return len(c.pairs) < c.limit, nil
}

// scan adds the pairs of a range to c until that is full. It uses the range and direction of req.
func (s *Service) scan(ctx context.Context, req *kvrpcpb.RawScanRequest, c *collector) error {
	cf, err := s.admit(req.Context, req.Cf)
	if err != nil {
		return err
	}
	start, end := req.StartKey, req.EndKey
	if req.Reverse {
		start, end = end, start
	}
	if err := s.checkRange(start, end); err != nil {
		return &refusal{err}
	}
	if len(c.pairs) >= c.limit {
		return nil
	}
	o := storage.IterOptions{CF: cf, Lower: s.bound(start), Upper: s.bound(end), NoFillCache: req.Context.GetNotFillCache()}
	return s.walk(ctx, regionOf(req.Context), o, req.Reverse, c.add)
}

var checksumTable = crc64.MakeTable(crc64.ECMA)

// Checksum serves RawChecksum: the exclusive or of the CRC-64 of all pairs, key first.
func (s *Service) Checksum(ctx context.Context, req *kvrpcpb.RawChecksumRequest) (*kvrpcpb.RawChecksumResponse, error) {
	resp := &kvrpcpb.RawChecksumResponse{}
	err := s.checksum(ctx, req, resp)
	if resp.Error, err = text(err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) checksum(ctx context.Context, req *kvrpcpb.RawChecksumRequest, resp *kvrpcpb.RawChecksumResponse) error {
	cf, err := s.admit(req.Context, "")
	if err != nil {
		return err
	}
	for _, r := range req.Ranges {
		if err := s.checkRange(r.StartKey, r.EndKey); err != nil {
			return &refusal{err}
		}
		o := storage.IterOptions{CF: cf, Lower: s.bound(r.StartKey), Upper: s.bound(r.EndKey), NoFillCache: true}
		err := s.walk(ctx, regionOf(req.Context), o, false, func(key, val []byte) (more bool, err error) {
			resp.Checksum ^= crc64.Update(crc64.Update(0, checksumTable, key), checksumTable, val)
			resp.TotalKvs++
			resp.TotalBytes += uint64(len(key) + len(val))
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walk calls visit for each pair that has not expired, in order or against it, as long as it wants more. The slices are
// valid during the call.
func (s *Service) walk(ctx context.Context, at storage.Region, o storage.IterOptions, reverse bool, visit func(key, val []byte) (more bool, err error)) error {
	now := s.now()
	var key []byte
	return s.walkStored(ctx, at, o, reverse, func(stored, storedVal []byte) (bool, error) {
		val, _, live, err := s.userValue(storedVal, now)
		if err != nil || !live {
			return err == nil, err
		}
		if key, err = s.userKey(key[:0], stored); err != nil {
			return false, err
		}
		return visit(key, val)
	})
}

// walkStored is walk on the stored forms of all pairs.
func (s *Service) walkStored(ctx context.Context, at storage.Region, o storage.IterOptions, reverse bool, visit func(key, val []byte) (more bool, err error)) (err error) {
	snap, err := s.snapshot(ctx, at)
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
		if more, err := visit(it.Key(), val); !more || err != nil {
			return err
		}
	}
	return it.Error()
}
