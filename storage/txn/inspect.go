package txn

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// MvccGetByKey serves MvccGetByKey: all that is stored of a key.
func (m *Manager) MvccGetByKey(ctx context.Context, req *kvrpcpb.MvccGetByKeyRequest) (*kvrpcpb.MvccGetByKeyResponse, error) {
	snap, err := m.store.Snapshot(ctx, RegionOf(req.Context))
	if err != nil {
		return nil, err
	}
	encoded := mvcc.EncodeKey(req.Key)
	if err := inRegion(snap, req.Key, encoded); err != nil {
		return nil, join(err, snap.Close())
	}
	info, err := m.inspect(snap, encoded)
	if err := join(err, snap.Close()); err != nil {
		return nil, err
	}
	return &kvrpcpb.MvccGetByKeyResponse{Info: info}, nil
}

// MvccGetByStartTs serves MvccGetByStartTs: the first key of the region that a transaction has a lock or a record on, and
// all that is stored of it. It reads the whole region.
func (m *Manager) MvccGetByStartTs(ctx context.Context, req *kvrpcpb.MvccGetByStartTsRequest) (*kvrpcpb.MvccGetByStartTsResponse, error) {
	snap, err := m.store.Snapshot(ctx, RegionOf(req.Context))
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.MvccGetByStartTsResponse{}
	encoded, err := m.findTxn(ctx, snap, req.StartTs)
	if err == nil && encoded != nil {
		if resp.Key, err = mvcc.DecodeKey(nil, encoded); err == nil {
			resp.Info, err = m.inspect(snap, encoded)
		}
	}
	if err := join(err, snap.Close()); err != nil {
		return nil, err
	}
	return resp, nil
}

// findTxn returns the first encoded key with a trace of the transaction, locks before records.
func (m *Manager) findTxn(ctx context.Context, snap storage.Snapshot, startTS uint64) (encoded []byte, err error) {
	err = walk(ctx, snap, storage.IterOptions{CF: storage.CFLock}, func(key, val []byte) (bool, error) {
		l, err := mvcc.ParseLock(val)
		if err == nil && l.StartTS == startTS {
			encoded = bytes.Clone(key)
		}
		return encoded != nil, err
	})
	if err != nil || encoded != nil {
		return encoded, err
	}
	inMemory, _ := m.memory.between(snap.Region().GetId(), nil, nil)
	for _, l := range inMemory {
		if l.lock.StartTS == startTS && m.memory.holds(leadershipOf(snap), l.key) {
			return l.key, nil
		}
	}
	err = walk(ctx, snap, storage.IterOptions{CF: storage.CFWrite}, func(key, val []byte) (bool, error) {
		w, err := mvcc.ParseWrite(val)
		if err == nil && w.StartTS == startTS {
			key, _, err = mvcc.SplitVersion(key)
			encoded = bytes.Clone(key)
		}
		return encoded != nil, err
	})
	return encoded, err
}

// walk calls visit for each record in order until it is done or fails. Slices are valid during the call.
func walk(ctx context.Context, snap storage.Snapshot, o storage.IterOptions, visit func(key, val []byte) (done bool, err error)) (err error) {
	it, err := snap.NewIterator(o)
	if err != nil {
		return err
	}
	defer func() { err = join(err, it.Close()) }()
	for valid, n := it.First(), 0; valid; valid, n = it.Next(), n+1 {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		val := it.Value()
		if err := it.Error(); err != nil {
			return err
		}
		if done, err := visit(it.Key(), val); done || err != nil {
			return err
		}
	}
	return it.Error()
}

// inspect collects all that is stored of a key.
func (m *Manager) inspect(snap storage.Snapshot, encoded []byte) (*kvrpcpb.MvccInfo, error) {
	info := &kvrpcpb.MvccInfo{}
	record, err := snap.Get(storage.CFLock, encoded)
	if err != nil {
		return nil, err
	}
	if record != nil {
		l, err := mvcc.ParseLock(record)
		if err != nil {
			return nil, err
		}
		info.Lock = lockInfo(&l)
	} else if l, _ := m.memory.get(leadershipOf(snap), encoded); l != nil {
		info.Lock = lockInfo(l)
	}
	if info.Writes, err = inspectWrites(snap, encoded); err != nil {
		return nil, err
	}
	info.Values, err = inspectValues(snap, encoded)
	return info, err
}

// versions are the bounds of a key's versions.
func versions(cf storage.CF, encoded []byte) storage.IterOptions {
	return storage.IterOptions{CF: cf, Lower: encoded, Upper: append(mvcc.VersionKey(encoded, 0), 0)}
}

func inspectWrites(snap storage.Snapshot, encoded []byte) (writes []*kvrpcpb.MvccWrite, err error) {
	err = walk(context.Background(), snap, versions(storage.CFWrite, encoded), func(key, val []byte) (bool, error) {
		_, ts, err := mvcc.SplitVersion(key)
		if err != nil {
			return true, err
		}
		w, err := mvcc.ParseWrite(val)
		writes = append(writes, &kvrpcpb.MvccWrite{
			Type: w.Type.Op(), StartTs: w.StartTS, CommitTs: ts, ShortValue: bytes.Clone(w.ShortValue),
			HasOverlappedRollback: w.Overlapped, HasGcFence: w.HasGCFence, GcFence: w.GCFence,
			LastChangeTs: w.LastChangeTS, VersionsToLastChange: w.LastChangeVersions,
		})
		return false, err
	})
	return writes, err
}

func inspectValues(snap storage.Snapshot, encoded []byte) (values []*kvrpcpb.MvccValue, err error) {
	err = walk(context.Background(), snap, versions(storage.CFDefault, encoded), func(key, val []byte) (bool, error) {
		_, ts, err := mvcc.SplitVersion(key)
		values = append(values, &kvrpcpb.MvccValue{StartTs: ts, Value: bytes.Clone(val)})
		return false, err
	})
	return values, err
}

func lockInfo(l *mvcc.Lock) *kvrpcpb.MvccLock {
	return &kvrpcpb.MvccLock{
		Type: l.Type.Op(), StartTs: l.StartTS, Primary: l.Primary, ShortValue: l.ShortValue, Ttl: l.TTL,
		ForUpdateTs: l.ForUpdateTS, TxnSize: l.TxnSize, UseAsyncCommit: l.AsyncCommit, Secondaries: l.Secondaries,
		RollbackTs: l.RollbackTS, LastChangeTs: l.LastChangeTS, VersionsToLastChange: l.LastChangeVersions,
	}
}
