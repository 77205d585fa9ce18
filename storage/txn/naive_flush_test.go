package txn

import (
	"math"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

func (n *naive) Flush(req *kvrpcpb.FlushRequest) *kvrpcpb.FlushResponse {
	if req.Generation == 0 {
		return &kvrpcpb.FlushResponse{Errors: []*kvrpcpb.KeyError{abort()}}
	}
	resp := n.prewrite(&kvrpcpb.PrewriteRequest{
		Mutations: req.Mutations, PrimaryLock: req.PrimaryKey, StartVersion: req.StartTs, LockTtl: req.LockTtl,
		AssertionLevel: req.AssertionLevel, MinCommitTs: req.StartTs + 1, TxnSize: math.MaxUint64,
	}, req.Generation)
	return &kvrpcpb.FlushResponse{Errors: resp.Errors}
}

// checkFlushed judges a key that the transaction has flushed.
func (p *naivePrewrite) checkFlushed(k *naiveKey, mu *kvrpcpb.Mutation) *kvrpcpb.KeyError {
	if k.lock.Generation >= p.generation || mu.Op == kvrpcpb.Op_Lock && k.lock.Type != mvcc.LockLock {
		p.held[string(mu.Key)] = true
		return nil
	}
	if mu.Op != kvrpcpb.Op_Insert && mu.Op != kvrpcpb.Op_CheckNotExists {
		return nil
	}
	_, v, ok := k.newest(mvcc.TSMax, naiveVersion.data)
	exists := ok && v.kind == mvcc.WritePut
	switch k.lock.Type {
	case mvcc.LockPut:
		exists = true
	case mvcc.LockDelete:
		exists = false
	}
	if exists {
		return &kvrpcpb.KeyError{AlreadyExist: &kvrpcpb.AlreadyExist{Key: mu.Key}}
	}
	return nil
}

func (n *naive) BufferBatchGet(req *kvrpcpb.BufferBatchGetRequest) *kvrpcpb.BufferBatchGetResponse {
	resp := &kvrpcpb.BufferBatchGetResponse{}
	for _, key := range twinKeys {
		l := n.at(key).lock
		if l == nil || l.StartTS != req.Version || !hasKey(req.Keys, key) || l.Type != mvcc.LockPut && l.Type != mvcc.LockDelete {
			continue
		}
		resp.Pairs = append(resp.Pairs, &kvrpcpb.KvPair{Key: key, Value: append([]byte{}, l.ShortValue...)})
	}
	return resp
}

func hasKey(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if string(k) == string(key) {
			return true
		}
	}
	return false
}
