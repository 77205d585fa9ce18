package txn

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// A read that a follower serves is unknown to the store of the leader, whose max_ts and in-memory locks keep transactions
// from committing below reads, see Concurrency. So it asks there, on its way through the read index: max_ts is raised and
// in-memory locks are looked at before the index is taken, as a read at the leader does before its snapshot. What was
// published before and is withdrawn by then is applied, and so below the index; what is published later gets a timestamp
// above the read's.

// Span is what a read looks at: single user keys, or ranges of them.
type Span struct {
	Keys   [][]byte
	Ranges []*kvrpcpb.KeyRange
}

// ReadRegion returns the region that a read of span at ts is meant for. A nil span is for reads that ignore locks.
func ReadRegion(pb *kvrpcpb.Context, ts uint64, span *Span) (storage.Region, error) {
	at := RegionOf(pb)
	at.ReadTS = ts
	switch {
	case pb.GetStaleRead():
		at.StaleReadTS = ts
	case pb.GetReplicaRead():
		at.ReplicaRead = true
		var err error
		at.Question, err = question(pb, ts, span)
		return at, err
	}
	return at, nil
}

// questionRangesMax bounds the ranges in a question. Of more, it names what they lie in: a lock between them makes the
// reader wait without need, which is rare and does no harm.
const questionRangesMax = 256

// question is what a follower's read asks: a kvrpcpb.ReadIndexRequest.
func question(pb *kvrpcpb.Context, ts uint64, span *Span) ([]byte, error) {
	req := kvrpcpb.ReadIndexRequest{StartTs: ts}
	if span != nil {
		req.Ranges = append(req.Ranges, span.Ranges...)
		for _, k := range span.Keys {
			req.Ranges = append(req.Ranges, &kvrpcpb.KeyRange{StartKey: k, EndKey: append(k[:len(k):len(k)], 0)})
		}
		if len(req.Ranges) > questionRangesMax {
			req.Ranges = []*kvrpcpb.KeyRange{hull(req.Ranges)}
		}
		if bypass := pb.GetResolvedLocks(); len(bypass) > 0 {
			req.Context = &kvrpcpb.Context{ResolvedLocks: bypass}
		}
	}
	return req.Marshal()
}

// hull is the least range that has all ranges in it.
func hull(ranges []*kvrpcpb.KeyRange) *kvrpcpb.KeyRange {
	all := *ranges[0]
	for _, r := range ranges[1:] {
		if bytes.Compare(r.StartKey, all.StartKey) < 0 {
			all.StartKey = r.StartKey
		}
		if len(r.EndKey) == 0 || len(all.EndKey) > 0 && bytes.Compare(r.EndKey, all.EndKey) > 0 {
			all.EndKey = r.EndKey
		}
	}
	return &all
}

// ReplicaGuard answers, on the store of the leader, what reads of followers ask; see raftstore.ReadGuard.
type ReplicaGuard struct{ locks *Concurrency }

// NewReplicaGuard returns the guard for the transactions of c.
func NewReplicaGuard(c *Concurrency) ReplicaGuard { return ReplicaGuard{c} }

// Ask implements raftstore.ReadGuard: the answer is the lock that is in the way.
func (g ReplicaGuard) Ask(question []byte) (answer []byte, err error) {
	var req kvrpcpb.ReadIndexRequest
	if err := req.Unmarshal(question); err != nil {
		return nil, fmt.Errorf("question of a read: %w", err)
	}
	g.locks.UpdateMaxTS(req.StartTs)
	for _, r := range req.Ranges {
		err := g.locks.ReadCheck(req.StartTs, r.StartKey, r.EndKey, req.Context.GetResolvedLocks())
		var locked *mvcc.LockedError
		switch {
		case errors.As(err, &locked):
			return locked.Info.Marshal()
		case err != nil:
			return nil, err
		}
	}
	return nil, nil
}

// Refusal implements raftstore.ReadGuard.
func (g ReplicaGuard) Refusal(answer []byte) error {
	info := new(kvrpcpb.LockInfo)
	if err := info.Unmarshal(answer); err != nil {
		return fmt.Errorf("refusal of a read: %w", err)
	}
	return &mvcc.LockedError{Info: info}
}

// ReadIndex serves ReadIndex, by which others that keep copies of a region's data ask what a follower's read asks: the
// index of the log that has all they may read at start_ts, or the lock in the way.
func (m *Manager) ReadIndex(ctx context.Context, req *kvrpcpb.ReadIndexRequest) (*kvrpcpb.ReadIndexResponse, error) {
	err := m.conc.CheckSpan(req.StartTs, &Span{Ranges: req.Ranges}, req.Context.GetResolvedLocks())
	var locked *mvcc.LockedError
	switch {
	case errors.As(err, &locked):
		return &kvrpcpb.ReadIndexResponse{Locked: locked.Info}, nil
	case err != nil:
		return nil, err
	}
	snap, err := m.store.Snapshot(ctx, RegionOf(req.Context))
	if err != nil {
		return nil, err
	}
	return &kvrpcpb.ReadIndexResponse{ReadIndex: snap.DataVersion()}, snap.Close()
}
