package txn

import (
	"bytes"
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// get reads one key as a request's context asks. Scans backward name the first newer version instead of the last.
func (n *naive) get(pb *kvrpcpb.Context, key []byte, ts uint64, backward bool) (value []byte, commitTS uint64, e *kvrpcpb.KeyError) {
	n.read(ts)
	k := n.at(key)
	l := k.lock
	changes := l != nil && (l.Type == mvcc.LockPut || l.Type == mvcc.LockDelete)
	bypassed := l != nil && slices.Contains(pb.ResolvedLocks, l.StartTS)
	switch {
	case !changes || bypassed || pb.IsolationLevel == kvrpcpb.IsolationLevel_RC:
	case pb.IsolationLevel == kvrpcpb.IsolationLevel_RCCheckTS:
		return nil, 0, rcConflict(ts, key, l.Primary, 0, l.StartTS)
	case l.StartTS > ts || l.MinCommitTS > ts:
	case slices.Contains(pb.CommittedLocks, l.StartTS):
		return l.ShortValue, 0, nil
	case ts == mvcc.TSMax && !l.AsyncCommit && bytes.Equal(l.Primary, key):
	default:
		return nil, 0, locked(key, l)
	}
	if pb.IsolationLevel == kvrpcpb.IsolationLevel_RCCheckTS {
		order := k.order()
		if backward {
			slices.Reverse(order)
		}
		for _, at := range order {
			if v := k.versions[at]; at > ts && v.data() {
				return nil, 0, rcConflict(ts, key, nil, at, v.start)
			}
		}
	}
	at, v, ok := k.newest(ts, naiveVersion.data)
	if !ok || v.kind == mvcc.WriteDelete {
		return nil, 0, nil
	}
	return v.value, at, nil
}

func rcConflict(ts uint64, key, primary []byte, at, start uint64) *kvrpcpb.KeyError {
	return conflict(ts, key, primary, at, naiveVersion{start: start}, kvrpcpb.WriteConflict_RcCheckTs)
}

func (n *naive) Get(req *kvrpcpb.GetRequest) *kvrpcpb.GetResponse {
	resp := &kvrpcpb.GetResponse{}
	resp.Value, resp.CommitTs, resp.Error = n.get(req.Context, req.Key, req.Version, false)
	resp.NotFound = resp.Value == nil && resp.Error == nil
	return resp
}

func (n *naive) BatchGet(req *kvrpcpb.BatchGetRequest) *kvrpcpb.BatchGetResponse {
	resp := &kvrpcpb.BatchGetResponse{}
	for _, key := range req.Keys {
		value, ts, e := n.get(req.Context, key, req.Version, false)
		if value != nil || e != nil {
			resp.Pairs = append(resp.Pairs, &kvrpcpb.KvPair{Key: key, Value: value, Error: e, CommitTs: ts})
		}
	}
	return resp
}

func (n *naive) Scan(req *kvrpcpb.ScanRequest) *kvrpcpb.ScanResponse {
	n.read(req.Version)
	start, end := req.StartKey, req.EndKey
	if req.Reverse {
		start, end = end, start
	}
	pb := *req.Context
	if req.SampleStep > 0 {
		pb.IsolationLevel = kvrpcpb.IsolationLevel_RC
	}
	var keys [][]byte
	for key := range n.keys {
		if inRange([]byte(key), start, end) {
			keys = append(keys, []byte(key))
		}
	}
	keys = sortedKeys(keys)
	if req.Reverse {
		slices.Reverse(keys)
	}
	resp := &kvrpcpb.ScanResponse{}
	seen := 0
	for _, key := range keys {
		value, _, e := n.get(&pb, key, req.Version, req.Reverse)
		if value == nil && e == nil {
			continue
		}
		if req.KeyOnly {
			value = nil
		}
		if (req.SampleStep == 0 || seen%int(req.SampleStep) == 0) && len(resp.Pairs) < int(req.Limit) {
			resp.Pairs = append(resp.Pairs, &kvrpcpb.KvPair{Key: key, Value: value, Error: e})
		}
		seen++
	}
	return resp
}
