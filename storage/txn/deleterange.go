package txn

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// DeleteRange serves KvDeleteRange: it deletes all versions and locks in a range, without regard to transactions.
func (m *Manager) DeleteRange(ctx context.Context, req *kvrpcpb.DeleteRangeRequest) (*kvrpcpb.DeleteRangeResponse, error) {
	if req.NotifyOnly {
		return &kvrpcpb.DeleteRangeResponse{}, nil
	}
	at := RegionOf(req.Context)
	snap, err := m.store.Snapshot(ctx, at)
	if err != nil {
		return nil, err
	}
	region, leads := snap.Region(), leadershipOf(snap)
	at.Term, at.Epoch = snap.Term(), region.GetRegionEpoch()
	start, end := clip(region.StartKey, region.EndKey, req.StartKey, req.EndKey)
	if err := snap.Close(); err != nil {
		return nil, err
	}
	if len(end) > 0 && bytes.Compare(start, end) >= 0 {
		return &kvrpcpb.DeleteRangeResponse{}, nil
	}
	var mods []storage.Modify
	for _, cf := range []storage.CF{storage.CFLock, storage.CFWrite, storage.CFDefault} {
		mods = append(mods, storage.Modify{Op: storage.OpDeleteRange, CF: cf, Key: start, EndKey: end})
	}
	if err := m.store.Write(ctx, at, mods); err != nil {
		return nil, err
	}
	gone, _ := m.memory.between(at.ID, start, end)
	for _, l := range gone {
		m.memory.apply(leads, []memoryChange{{key: l.key}})
	}
	return &kvrpcpb.DeleteRangeResponse{}, nil
}

// clip encodes a range of user keys, empty bounds being open, and cuts it to a region. An open end stays nil.
func clip(regionStart, regionEnd, start, end []byte) (encodedStart, encodedEnd []byte) {
	encodedStart, encodedEnd = regionStart, regionEnd
	if len(start) > 0 {
		encodedStart = maxKey(regionStart, mvcc.EncodeKey(start))
	}
	if len(end) > 0 {
		encodedEnd = mvcc.EncodeKey(end)
		if len(regionEnd) > 0 && bytes.Compare(regionEnd, encodedEnd) < 0 {
			encodedEnd = regionEnd
		}
	}
	return encodedStart, encodedEnd
}

func maxKey(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}
