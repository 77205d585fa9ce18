package txn

import (
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// readOptions are the read options a request's context asks for.
func (m *Manager) readOptions(pb *kvrpcpb.Context, ts uint64) mvcc.ReadOptions {
	return mvcc.ReadOptions{
		TS:          ts,
		Isolation:   pb.GetIsolationLevel(),
		BypassLocks: pb.GetResolvedLocks(),
		AccessLocks: pb.GetCommittedLocks(),
		Known:       m.conc.Known,
		NoFillCache: pb.GetNotFillCache(),
		ReplicaRead: pb.GetReplicaRead(),
	}
}

// snapshotFor takes the snapshot of a read of span at ts, after looking at in-memory locks: of this store, and if it does
// not lead the region, of the one that does. A nil span is for reads that ignore locks.
func (m *Manager) snapshotFor(ctx context.Context, pb *kvrpcpb.Context, ts uint64, span *Span) (storage.Snapshot, error) {
	if pb.GetIsolationLevel() != kvrpcpb.IsolationLevel_SI {
		span = nil
	}
	if err := m.conc.CheckSpan(ts, span, pb.GetResolvedLocks()); err != nil {
		return nil, err
	}
	at, err := ReadRegion(pb, ts, span)
	if err != nil {
		return nil, err
	}
	snap, err := m.store.Snapshot(ctx, at)
	if err != nil {
		return nil, err
	}
	if err := m.conc.CheckSafePoint(ts); err != nil {
		return nil, join(err, snap.Close())
	}
	return snap, nil
}

func (m *Manager) snapshotForKeys(ctx context.Context, pb *kvrpcpb.Context, ts uint64, keys ...[]byte) (storage.Snapshot, error) {
	snap, err := m.snapshotFor(ctx, pb, ts, &Span{Keys: keys})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := inRegion(snap, k, mvcc.EncodeKey(k)); err != nil {
			return nil, join(err, snap.Close())
		}
	}
	return snap, nil
}

// Get serves KvGet.
func (m *Manager) Get(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	resp := &kvrpcpb.GetResponse{}
	snap, err := m.snapshotForKeys(ctx, req.Context, req.Version, req.Key)
	if err == nil {
		var ts uint64
		resp.Value, ts, err = mvcc.Get(snap, req.Key, m.readOptions(req.Context, req.Version))
		err = join(err, snap.Close())
		if req.NeedCommitTs {
			resp.CommitTs = ts
		}
	}
	if resp.Error, err = keyError(err); err != nil {
		return nil, err
	}
	resp.NotFound = resp.Value == nil && resp.Error == nil
	return resp, nil
}

// BatchGet serves KvBatchGet: the pairs that exist, and for locked keys a pair with the error.
func (m *Manager) BatchGet(ctx context.Context, req *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	resp := &kvrpcpb.BatchGetResponse{}
	snap, err := m.snapshotForKeys(ctx, req.Context, req.Version, req.Keys...)
	if err != nil {
		if resp.Error, err = keyError(err); err != nil {
			return nil, err
		}
		resp.Pairs = []*kvrpcpb.KvPair{{Error: resp.Error}}
		return resp, nil
	}
	p := mvcc.NewPointReader(snap, m.readOptions(req.Context, req.Version))
	resp.Pairs, err = batchGet(ctx, p, req.Keys, req.NeedCommitTs, allowance{m.opts.ResponseBytesMax})
	if err := join(err, join(p.Close(), snap.Close())); err != nil {
		if resp.Error, err = keyError(err); err != nil {
			return nil, err
		}
		resp.Pairs = []*kvrpcpb.KvPair{{Error: resp.Error}}
	}
	return resp, nil
}

// allowance is what is left of the bytes that the pairs of a response may have.
type allowance struct{ bytes int }

func (a *allowance) spend(key, value []byte) error {
	const pairBytes = 128 // of a pair, beside key and value
	if a.bytes -= len(key) + len(value) + pairBytes; a.bytes < 0 {
		return &mvcc.AbortError{Reason: "the pairs are too large for one response: ask for fewer"}
	}
	return nil
}

func batchGet(ctx context.Context, p *mvcc.PointReader, keys [][]byte, needTS bool, left allowance) (pairs []*kvrpcpb.KvPair, err error) {
	for n, k := range keys {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		val, ts, err := p.Get(k)
		failed, err := keyError(err)
		if err != nil {
			return nil, err
		}
		if val == nil && failed == nil {
			continue
		}
		if err := left.spend(k, val); err != nil {
			return nil, err
		}
		pair := &kvrpcpb.KvPair{Error: failed, Key: k, Value: val}
		if needTS {
			pair.CommitTs = ts
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// Scan serves KvScan. The key of a reverse scan's upper bound comes first in the request.
func (m *Manager) Scan(ctx context.Context, req *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error) {
	start, end := req.StartKey, req.EndKey
	if req.Reverse {
		start, end = end, start
	}
	resp := &kvrpcpb.ScanResponse{}
	var span *Span
	if req.SampleStep == 0 { // samples ignore locks
		span = &Span{Ranges: []*kvrpcpb.KeyRange{{StartKey: start, EndKey: end}}}
	}
	snap, err := m.snapshotFor(ctx, req.Context, req.Version, span)
	if err != nil {
		if resp.Error, err = keyError(err); err != nil {
			return nil, err
		}
		resp.Pairs = []*kvrpcpb.KvPair{{Error: resp.Error}}
		return resp, nil
	}
	resp.Pairs, err = m.scan(ctx, snap, start, end, req)
	if err := join(err, snap.Close()); err != nil {
		if resp.Error, err = keyError(err); err != nil {
			return nil, err
		}
		resp.Pairs = []*kvrpcpb.KvPair{{Error: resp.Error}}
	}
	return resp, nil
}

// scanCheckEvery is the number of keys after which a scan looks at its context.
const scanCheckEvery = 1024

func (m *Manager) scan(ctx context.Context, snap storage.Snapshot, start, end []byte, req *kvrpcpb.ScanRequest) (pairs []*kvrpcpb.KvPair, err error) {
	left := allowance{m.opts.ResponseBytesMax}
	o := m.readOptions(req.Context, req.Version)
	o.Desc, o.KeyOnly = req.Reverse, req.KeyOnly
	if req.SampleStep > 0 {
		o.Isolation = kvrpcpb.IsolationLevel_RC // samples ignore locks
	}
	s, err := mvcc.NewScanner(snap, start, end, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = join(err, s.Close()) }()
	for n := uint32(0); len(pairs) < int(req.Limit); n++ {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		key, val, ok, err := s.Next()
		failed, err := keyError(err)
		if err != nil || (!ok && failed == nil) {
			return pairs, err
		}
		if req.SampleStep > 0 && n%req.SampleStep != 0 {
			continue
		}
		if err := left.spend(key, val); err != nil {
			return nil, err
		}
		pairs = append(pairs, newPair(key, val, failed))
	}
	return pairs, nil
}

// newPair copies what the scanner lends. A failed pair has the key that failed.
func newPair(key, val []byte, failed *kvrpcpb.KeyError) *kvrpcpb.KvPair {
	if failed != nil {
		key := failed.GetLocked().GetKey()
		if failed.Conflict != nil {
			key = failed.Conflict.Key
		}
		return &kvrpcpb.KvPair{Error: failed, Key: key}
	}
	buf := make([]byte, 0, len(key)+len(val))
	buf = append(append(buf, key...), val...)
	return &kvrpcpb.KvPair{Key: buf[:len(key):len(key)], Value: buf[len(key):]}
}
