package txn

import (
	"context"
	"math"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// A large transaction need not keep all it writes in its client's memory until it commits: it flushes. A flush is a
// prewrite for two phases that can be repeated on a key. Each has a generation, and what a higher one says of a key
// replaces what a lower one said; the order in which they arrive does not matter. The client reads back what it has
// flushed with BufferBatchGet, commits its primary key, and has all other locks resolved by region.

// Flush serves KvFlush. Generations begin at 1. A key that the transaction has flushed before keeps the check of its
// assertion from then, and the longer of both lives; one that has seen a later generation is left alone.
func (m *Manager) Flush(ctx context.Context, req *kvrpcpb.FlushRequest) (*kvrpcpb.FlushResponse, error) {
	if req.Generation == 0 {
		return &kvrpcpb.FlushResponse{Errors: []*kvrpcpb.KeyError{{Abort: "generation should be greater than 0 for Flush requests"}}}, nil
	}
	resp, err := m.prewrite(ctx, &kvrpcpb.PrewriteRequest{
		Context: req.Context, Mutations: req.Mutations, PrimaryLock: req.PrimaryKey, StartVersion: req.StartTs,
		LockTtl: req.LockTtl, AssertionLevel: req.AssertionLevel,
		MinCommitTs: req.StartTs + 1, // not 0: readers may push it
		TxnSize:     math.MaxUint64,  // not known, and not to be resolved key by key
	}, req.Generation)
	if err != nil {
		return nil, err
	}
	return &kvrpcpb.FlushResponse{Errors: resp.Errors}, nil
}

// checkFlushed looks at the lock of an earlier flush. It has kept others from committing since, so that there is nothing to
// check but what the transaction says of its own writes.
func (p *prewrite) checkFlushed(c *command, k *prewriteKey, lock *mvcc.Lock) error {
	switch {
	case lock.Generation >= p.generation, k.Op == kvrpcpb.Op_Lock && lock.Type != mvcc.LockLock:
		k.held = true // by what came after this, or by more than a lock
		return nil
	case k.inserts() && lock.Type == mvcc.LockPut:
		return &mvcc.ExistsError{Key: k.Key}
	}
	k.own, k.flushed = lock, true
	if k.inserts() && lock.Type == mvcc.LockLock {
		return p.checkExistence(c, k)
	}
	return nil
}

// replace drops a long value that the transaction has flushed before, unless another takes its place.
func (p *prewrite) replace(c *command, k *prewriteKey) {
	if k.flushed && !(lockType(k.Op) == mvcc.LockPut && len(k.Value) > mvcc.ShortValueMax) {
		c.dropValue(k.encoded, k.own)
	}
}

// BufferBatchGet serves KvBufferBatchGet: what the transaction that began at version has flushed of the keys. A deleted key
// comes with an empty value. Locks of others do not matter, nor does what is committed.
func (m *Manager) BufferBatchGet(ctx context.Context, req *kvrpcpb.BufferBatchGetRequest) (*kvrpcpb.BufferBatchGetResponse, error) {
	at, err := ReadRegion(req.Context, req.Version, nil)
	if err != nil {
		return nil, err
	}
	snap, err := m.store.Snapshot(ctx, at)
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.BufferBatchGetResponse{}
	resp.Pairs, err = m.flushedPairs(ctx, snap, req)
	if resp.Error, err = keyError(join(err, snap.Close())); err != nil {
		return nil, err
	}
	return resp, nil
}

func (m *Manager) flushedPairs(ctx context.Context, snap storage.Snapshot, req *kvrpcpb.BufferBatchGetRequest) (pairs []*kvrpcpb.KvPair, err error) {
	left := allowance{m.opts.ResponseBytesMax}
	for n, key := range sortedKeys(req.Keys) {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		encoded := mvcc.EncodeKey(key)
		if err := inRegion(snap, key, encoded); err != nil {
			return nil, err
		}
		val, ok, err := mvcc.GetFlushed(snap, encoded, req.Version)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := left.spend(key, val); err != nil {
			return nil, err
		}
		pairs = append(pairs, &kvrpcpb.KvPair{Key: key, Value: val})
	}
	return pairs, nil
}

// Learn takes in what clients tell of their large transactions (BroadcastTxnStatus); see txnStates.
func (m *Manager) Learn(told []*kvrpcpb.TxnStatus) { m.conc.Learn(told) }
