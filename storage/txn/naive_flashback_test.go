package txn

import (
	"slices"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage/mvcc"
)

// PrepareFlashbackToVersion rolls back all locks and locks the first key written since.
func (n *naive) PrepareFlashbackToVersion(req *kvrpcpb.PrepareFlashbackToVersionRequest) *kvrpcpb.PrepareFlashbackToVersionResponse {
	for _, key := range n.lockedKeys(func(l *mvcc.Lock) bool { return l.StartTS != req.StartTs }) {
		if inRange(key, req.StartKey, req.EndKey) {
			n.rollbackKey(key, n.at(key).lock.StartTS, false)
		}
	}
	if first := n.firstSince(req.StartKey, req.EndKey, req.Version); first != nil {
		old := n.at(first).past(req.Version)
		kind := mvcc.LockPut
		if old.kind == mvcc.WriteDelete {
			kind = mvcc.LockDelete
		}
		n.at(first).lock = &mvcc.Lock{Type: kind, Primary: first, StartTS: req.StartTs, ShortValue: old.value, TxnSize: 1}
	}
	return &kvrpcpb.PrepareFlashbackToVersionResponse{}
}

// FlashbackToVersion writes what keys had, where they do not have it, and in any case the first one.
func (n *naive) FlashbackToVersion(req *kvrpcpb.FlashbackToVersionRequest) *kvrpcpb.FlashbackToVersionResponse {
	first := n.firstSince(req.StartKey, req.EndKey, req.Version)
	for name, k := range n.keys {
		if !inRange([]byte(name), req.StartKey, req.EndKey) {
			continue
		}
		now, v, ok := k.newest(mvcc.TSMax, naiveVersion.data)
		old := k.past(req.Version)
		old.start = req.StartTs
		gone := v.kind == mvcc.WriteDelete && old.kind == mvcc.WriteDelete
		if name == string(first) || ok && now > req.Version && !gone {
			k.versions[req.CommitTs] = old
		}
		k.lock = nil
	}
	return &kvrpcpb.FlashbackToVersionResponse{}
}

// past is the data that a key had at a timestamp, as a version.
func (k *naiveKey) past(ts uint64) naiveVersion {
	_, v, ok := k.newest(ts, naiveVersion.data)
	if !ok || v.kind == mvcc.WriteDelete {
		return naiveVersion{kind: mvcc.WriteDelete}
	}
	return naiveVersion{kind: mvcc.WritePut, value: v.value}
}

// firstSince is the first key of a range with a record above a timestamp, nil if there is none.
func (n *naive) firstSince(start, end []byte, ts uint64) []byte {
	var since [][]byte
	for name, k := range n.keys {
		if at, _, ok := k.newest(mvcc.TSMax, anyVersion); ok && at > ts && inRange([]byte(name), start, end) {
			since = append(since, []byte(name))
		}
	}
	if len(since) == 0 {
		return nil
	}
	return slices.MinFunc(since, func(a, b []byte) int { return slices.Compare(a, b) })
}
