package raftstore

import (
	"errors"
	"fmt"
	"io"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// A snapshot travels as a raft message, whose data is a raft_serverpb.RaftSnapshotData with the region, and chunks of
// about 1 MiB. A chunk is records, ascending by family and key over all chunks:
//
//	1 family, uvarint length of key, key, uvarint length of value, value

// outboundSnapshot is a view of the store that raft wants sent.
type outboundSnapshot struct {
	view   *engine.Snapshot
	region *metapb.Region
	index  uint64
}

// outboundMax bounds the views that a peer holds.
const outboundMax = 4

// makeSnapshot answers raft: what is applied now. The view is kept until raft sends the message, in the same round.
func (p *peer) makeSnapshot() (raftpb.Snapshot, error) {
	if p.stopped || len(p.outbound) >= outboundMax {
		return raftpb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	view := p.store.data.NewSnapshot()
	snap, err := p.describe(view)
	if err != nil {
		p.store.log.Error("cannot make a snapshot", "region", p.regionID, "err", errors.Join(err, view.Close()))
		return raftpb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	return snap, nil
}

func (p *peer) describe(view *engine.Snapshot) (raftpb.Snapshot, error) {
	region, at, err := loadState(view, p.regionID)
	if err != nil {
		return raftpb.Snapshot{}, err
	}
	if region == nil || at.index < p.log.Truncated() {
		return raftpb.Snapshot{}, fmt.Errorf("the data is at %d, the log begins after %d", at.index, p.log.Truncated())
	}
	head := raft_serverpb.RaftSnapshotData{Region: region}
	data, err := head.Marshal()
	if err != nil {
		return raftpb.Snapshot{}, err
	}
	p.outbound = append(p.outbound, &outboundSnapshot{view, region, at.index})
	return raftpb.Snapshot{Data: data, Metadata: raftpb.SnapshotMetadata{
		Index: at.index, Term: at.term, ConfState: confState(region),
	}}, nil
}

// takeOutbound returns the view made for the snapshot at index.
func (p *peer) takeOutbound(index uint64) *outboundSnapshot {
	for i, o := range p.outbound {
		if o.index == index {
			p.outbound = append(p.outbound[:i:i], p.outbound[i+1:]...)
			return o
		}
	}
	return nil
}

func (l *writeLoop) dropOutbound(p *peer) {
	for _, o := range p.outbound {
		if err := o.view.Close(); err != nil {
			l.store.log.Warn("closing a snapshot", "err", err)
		}
	}
	p.outbound = nil
}

// sendSnapshot has a snapshot streamed, or tells raft that it failed when too many are under way.
func (p *peer) sendSnapshot(m *raftpb.Message, msg *raft_serverpb.RaftMessage) {
	s, to := p.store, m.To
	o := p.takeOutbound(m.Snapshot.Metadata.Index)
	if o == nil {
		p.reportSnapshot(to, false)
		return
	}
	select {
	case s.sending <- struct{}{}:
	default:
		if err := o.view.Close(); err != nil {
			s.log.Warn("closing a snapshot", "err", err)
		}
		p.reportSnapshot(to, false)
		return
	}
	s.transport.SendSnapshot(msg, &snapshotSource{view: o.view, region: o.region}, func(err error) {
		<-s.sending
		if err != nil {
			s.log.Warn("snapshot was not sent", "region", p.regionID, "to", to, "err", err)
		}
		p.reportSnapshot(to, err == nil)
	})
}

// reportSnapshot tells raft, in a later turn, what became of a snapshot.
func (p *peer) reportSnapshot(to uint64, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	p.loop.post(func(l *writeLoop) {
		if !p.stopped {
			p.rn.ReportSnapshot(to, status)
			l.touch(p)
		}
	})
}

// snapshotSource reads a region's data in chunks.
type snapshotSource struct {
	view   *engine.Snapshot
	region *metapb.Region
	family int // the next in dataFamilies to open
	it     storage.Iterator
	chunk  []byte
}

var _ SnapshotSource = (*snapshotSource)(nil)

// Next implements SnapshotSource.
func (s *snapshotSource) Next() ([]byte, error) {
	s.chunk = s.chunk[:0]
	for len(s.chunk) < chunkBytes {
		if s.it != nil && s.it.Valid() {
			s.chunk = append(s.chunk, byte(dataFamilies[s.family-1]))
			s.chunk = appendBytes(s.chunk, s.it.Key())
			s.chunk = appendBytes(s.chunk, s.it.Value())
			s.it.Next()
			continue
		}
		if more, err := s.nextFamily(); err != nil {
			return nil, err
		} else if !more {
			break
		}
	}
	if len(s.chunk) == 0 {
		return nil, io.EOF
	}
	return s.chunk, nil
}

func (s *snapshotSource) nextFamily() (bool, error) {
	if err := s.closeIterator(); err != nil || s.family == len(dataFamilies) {
		return false, err
	}
	it, err := s.view.NewIterator(storage.IterOptions{
		CF: dataFamilies[s.family], Lower: s.region.StartKey, Upper: s.region.EndKey, NoFillCache: true,
	})
	if err != nil {
		return false, err
	}
	s.it = it
	s.family++
	it.First()
	return true, nil
}

func (s *snapshotSource) closeIterator() error {
	if s.it == nil {
		return nil
	}
	err := errors.Join(s.it.Error(), s.it.Close())
	s.it = nil
	return err
}

// Close implements SnapshotSource.
func (s *snapshotSource) Close() error { return errors.Join(s.closeIterator(), s.view.Close()) }
