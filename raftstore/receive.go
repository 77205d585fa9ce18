package raftstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/raft_serverpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
)

// receivedSnapshot is a snapshot whose chunks are in the raft log's engine. Its way:
//
//	received whole -> raft accepts it -> mark and new start of the log, one synced batch -> data replaced, durably and
//	at once -> mark and chunks removed -> published
//
// A crash before the mark loses it, which raft repairs; after it, Open goes on from there.
type receivedSnapshot struct {
	receipt uint64
	at      applied
	region  *metapb.Region
}

// errBadSnapshot is in the chain of errors about snapshots that cannot be read.
var errBadSnapshot = errors.New("malformed snapshot")

// ReceiveSnapshot takes a snapshot from another store: msg, then chunks from next until io.EOF. It returns once all is
// stored; whether raft then has a use for it is seen in the region's progress. It blocks as next does.
func (s *Store) ReceiveSnapshot(msg *raft_serverpb.RaftMessage, next func() ([]byte, error)) error {
	if !s.started.Load() {
		return ErrStopped
	}
	in, err := s.checkSnapshot(msg)
	if err != nil {
		return err
	}
	in.receipt = s.receipts.Add(1)
	if err := s.storeChunks(in, next); err != nil {
		b := s.raftLog.NewBatch()
		b.DropChunks(in.receipt)
		return errors.Join(err, b.Commit(), b.Close())
	}
	s.loopOf(msg.RegionId).post(func(l *writeLoop) { l.onSnapshot(msg, in) })
	return nil
}

func (s *Store) checkSnapshot(msg *raft_serverpb.RaftMessage) (*receivedSnapshot, error) {
	snap := msg.GetMessage().GetSnapshot()
	switch {
	case msg.GetToPeer().GetStoreId() != s.cfg.StoreID:
		return nil, errStoreNotMatch(msg.GetToPeer().GetStoreId(), s.cfg.StoreID)
	case raftpb.MessageType(msg.GetMessage().GetMsgType()) != raftpb.MsgSnap || snap.GetMetadata() == nil || msg.FromPeer == nil:
		return nil, fmt.Errorf("%w: message without snapshot", errBadSnapshot)
	}
	var head raft_serverpb.RaftSnapshotData
	if err := head.Unmarshal(snap.Data); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadSnapshot, err)
	}
	region := head.Region
	if region == nil || region.Id != msg.RegionId || region.RegionEpoch == nil || peerOnStore(region, s.cfg.StoreID) == nil {
		return nil, fmt.Errorf("%w: of region %v", errBadSnapshot, region)
	}
	if s.regions.overlaps(region.StartKey, region.EndKey, region.Id) {
		return nil, fmt.Errorf("the range of region %d is still part of another one here", region.Id)
	}
	return &receivedSnapshot{at: applied{snap.Metadata.Index, snap.Metadata.Term}, region: region}, nil
}

// storeChunks checks the chunks, so that nothing later can fail by them, and stores them.
func (s *Store) storeChunks(in *receivedSnapshot, next func() ([]byte, error)) error {
	var order recordOrder
	for n := uint64(0); ; n++ {
		chunk, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = eachRecord(chunk, func(cf storage.CF, key, _ []byte) error {
			if !contains(in.region, key) {
				return fmt.Errorf("%w: key %x outside of region %d", errBadSnapshot, key, in.region.Id)
			}
			return order.next(cf, key)
		})
		if err != nil {
			return err
		}
		if err := s.raftLog.PutChunk(in.receipt, n, chunk); err != nil {
			return err
		}
	}
}

// recordOrder checks that records ascend.
type recordOrder struct {
	cf  storage.CF
	key []byte
}

func (o *recordOrder) next(cf storage.CF, key []byte) error {
	if cf < o.cf || (cf == o.cf && o.key != nil && bytes.Compare(key, o.key) <= 0) || !isDataFamily(cf) {
		return fmt.Errorf("%w: family %q out of order at key %x", errBadSnapshot, byte(cf), key)
	}
	o.cf, o.key = cf, append(o.key[:0], key...)
	return nil
}

func isDataFamily(cf storage.CF) bool {
	for _, f := range dataFamilies {
		if f == cf {
			return true
		}
	}
	return false
}

// eachRecord calls fn for the records of a chunk. Its slices share the chunk's memory.
func eachRecord(chunk []byte, fn func(cf storage.CF, key, value []byte) error) error {
	for len(chunk) > 0 {
		cf := storage.CF(chunk[0])
		key, rest, err := takeBytes(chunk[1:])
		if err != nil {
			return fmt.Errorf("%w: %w", errBadSnapshot, err)
		}
		value, rest, err := takeBytes(rest)
		if err != nil {
			return fmt.Errorf("%w: %w", errBadSnapshot, err)
		}
		if err := fn(cf, key, value); err != nil {
			return err
		}
		chunk = rest
	}
	return nil
}

// onSnapshot offers a received snapshot to raft.
func (l *writeLoop) onSnapshot(msg *raft_serverpb.RaftMessage, in *receivedSnapshot) {
	p := l.peers[msg.RegionId]
	if p == nil {
		p = l.createFor(msg)
	}
	if p == nil || p.stopped || p.id != msg.ToPeer.Id || p.inbound != nil || p.applying != nil ||
		!l.mayLoseLog(p) || !l.store.regions.reserve(in.region) {
		l.batch.DropChunks(in.receipt)
		return
	}
	p.inbound = in
	p.note(msg.FromPeer)
	p.step(fromWire(msg.Message))
	l.touch(p)
}

// mayLoseLog tells whether the peer's log may be replaced by a snapshot: not while a split in it is still to be applied,
// or applied and not durable, for the regions that it made begin with what only this log can bring back. The snapshot is
// refused then, and will be sent again.
func (l *writeLoop) mayLoseLog(p *peer) bool {
	if p.handed > p.appliedIndex {
		return false
	}
	if p.splitIndex == 0 {
		return true
	}
	raw, err := l.store.data.GetDurable(cfLocal, appliedKey(p.regionID))
	if err == nil && raw != nil {
		var at applied
		if at, err = decodeApplied(raw); err == nil && at.index >= p.splitIndex {
			p.splitIndex = 0
			return true
		}
	}
	if err = errors.Join(err, l.store.data.AsyncFlush()); err != nil {
		l.store.log.Warn("a snapshot has to wait", "region", p.regionID, "err", err)
	}
	return false
}

// dropInbound forgets a snapshot that raft did not accept: the region is as far already.
func (l *writeLoop) dropInbound(p *peer) {
	l.store.regions.release(p.regionID, p.region.Load())
	l.batch.DropChunks(p.inbound.receipt)
	p.inbound = nil
}

// acceptSnapshot makes the log start behind the snapshot, with the mark that the data is to follow.
func (l *writeLoop) acceptSnapshot(p *peer, snap *raftpb.Snapshot) error {
	in := p.inbound
	if in == nil || in.at.index != snap.Metadata.Index {
		return fmt.Errorf("region %d: snapshot at %d was not received", p.regionID, snap.Metadata.Index)
	}
	raw, err := mark{state: markApplying, receipt: in.receipt, at: in.at, region: in.region}.encode()
	if err != nil {
		return err
	}
	p.log.Reset(l.batch, in.at.index, in.at.term)
	l.batch.SetMark(p.regionID, raw)
	finishAll(p.proposals, fmt.Errorf("%w: a snapshot may contain it", storage.ErrUndetermined))
	p.proposals = nil
	p.inbound, p.applying = nil, in.region
	l.accepted = append(l.accepted, applyTask{p: p, snapshot: in})
	l.barrier = true
	return nil
}

// startSnapshot has the data replaced in the background; further tasks of the region wait.
func (l *applyLoop) startSnapshot(a *applier, in *receivedSnapshot) error {
	if err := l.commit(); err != nil {
		return err
	}
	a.paused = true
	p, old := a.p, a.current
	l.store.do(func() {
		if err := l.store.replaceData(in.region, old, in.receipt, in.at); err != nil {
			l.store.fail(err)
			return
		}
		p.loop.post(func(w *writeLoop) { w.finishSnapshot(p, in) })
	})
	return nil
}

// finishSnapshot removes mark and chunks.
func (l *writeLoop) finishSnapshot(p *peer, in *receivedSnapshot) {
	l.batch.DropChunks(in.receipt)
	l.batch.SetMark(p.regionID, nil)
	if err := l.commit(); err != nil {
		l.store.fail(err)
		return
	}
	p.applying = nil
	p.apply.box.put(applyTask{p: p, resume: in})
}

// resume publishes the snapshot and goes on with what has waited for it.
func (l *applyLoop) resume(a *applier, in *receivedSnapshot) error {
	if err := l.commit(); err != nil {
		return err
	}
	a.paused = false
	a.at, a.current = in.at, in.region
	p := a.p
	l.store.regions.publish(shaped{p: p, region: in.region})
	p.applied.Store(in.at.index)
	p.loop.box.put(event{p: p, applied: &appliedEvent{at: in.at, reshaped: true, snapshot: true}})
	backlog := a.backlog
	a.backlog = nil
	for i := range backlog {
		if err := l.do(&backlog[i]); err != nil {
			return err
		}
	}
	return nil
}

// finishApplying is the end of a snapshot's way after a crash.
func (s *Store) finishApplying(id uint64, m mark) error {
	old, _, err := loadState(s.data, id)
	if err != nil {
		return err
	}
	if err := s.replaceData(m.region, old, m.receipt, m.at); err != nil {
		return err
	}
	b := s.raftLog.NewBatch()
	b.SetMark(id, nil)
	b.DropChunks(m.receipt)
	return errors.Join(b.Commit(), b.Close())
}

// replaceData puts the received chunks in place of what the region has now, old if not nil, with its descriptor and
// applied index: durably and all or nothing.
func (s *Store) replaceData(region, old *metapb.Region, receipt uint64, at applied) error {
	s.writes.ObserveReplaced()
	defer s.writes.ObserveReplaced() // also for who begins to look meanwhile
	clear, gone := append(dataRanges(region), localRanges(region.Id)...), allRecords(region)
	if old != nil {
		clear, gone = append(clear, dataRanges(old)...), allRecords(region, old)
	}
	err := s.erasing(gone, func() error {
		return s.data.Ingest(func(put func(cf storage.CF, key, value []byte) error) error {
			return s.putSnapshot(put, region, receipt, at)
		}, clear)
	})
	if err != nil {
		return fmt.Errorf("replace the data of region %d: %w", region.Id, err)
	}
	return nil
}

type putFunc = func(cf storage.CF, key, value []byte) error

// putSnapshot puts the records, and the local state at its place in the order of families.
func (s *Store) putSnapshot(put putFunc, region *metapb.Region, receipt uint64, at applied) error {
	chunks, err := s.raftLog.Chunks(receipt)
	if err != nil {
		return err
	}
	local := false
	for err == nil {
		var chunk []byte
		if chunk, err = chunks.Next(); err != nil {
			break
		}
		err = eachRecord(chunk, func(cf storage.CF, key, value []byte) error {
			if cf > cfLocal && !local {
				local = true
				if err := putLocal(put, region, at); err != nil {
					return err
				}
			}
			return put(cf, key, value)
		})
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && !local {
		err = putLocal(put, region, at)
	}
	return errors.Join(err, chunks.Close())
}

func putLocal(put putFunc, region *metapb.Region, at applied) error {
	raw, err := encodeRegionState(region)
	if err != nil {
		return err
	}
	if err := put(cfLocal, appliedKey(region.Id), encodeApplied(nil, at)); err != nil {
		return err
	}
	return put(cfLocal, regionStateKey(region.Id), raw)
}
