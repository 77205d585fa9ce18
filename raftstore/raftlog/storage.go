package raftlog

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
)

// position names a log entry.
type position struct{ index, term uint64 }

// Storage is the log of one region. It holds the entries (truncated, last]; those from cacheFirst on are in memory:
//
//	truncated | first ............ cacheFirst ........ last
//	          '--- engine only ---''-- memory, engine -'
//
// It belongs to the goroutine that owns the region's raft node.
type Storage struct {
	log       *Log
	region    uint64
	hard      raftpb.HardState
	truncated position
	last      position
	cache     []raftpb.Entry // ends at last; empty: nothing cached
	bytes     int64          // of the entries, approximately

	// Conf is the membership that raft starts from. The owner sets it before it creates the raft node.
	Conf raftpb.ConfState
	// MakeSnapshot answers raft's wish for a snapshot; see raft.Storage.
	MakeSnapshot func() (raftpb.Snapshot, error)
}

var _ raft.Storage = (*Storage)(nil)

// Open loads the log of a region, empty if there is none.
func (l *Log) Open(region uint64) (*Storage, error) {
	s := &Storage{log: l, region: region}
	state, err := l.eng.Get(cfState, regionKey(region))
	if err != nil || state == nil {
		return s, err
	}
	if s.hard, s.truncated, err = decodeState(state); err != nil {
		return nil, fmt.Errorf("region %d: %w", region, err)
	}
	s.last = s.truncated
	if err := s.loadEntries(); err != nil {
		return nil, fmt.Errorf("region %d: %w", region, err)
	}
	l.bytes.Add(s.bytes)
	return s, nil
}

// loadEntries finds the last entry and the size, and checks that no entry is missing.
func (s *Storage) loadEntries() error {
	return s.log.scan(cfEntry, pairKey(s.region, s.truncated.index+1), pairKey(s.region+1, 0), func(key, value []byte) error {
		if len(key) != 16 || len(value) < entryHeader {
			return fmt.Errorf("%w: record of an entry", ErrCorrupt)
		}
		index := binary.BigEndian.Uint64(key[8:])
		if index != s.last.index+1 {
			return fmt.Errorf("%w: entry %d follows %d", ErrCorrupt, index, s.last.index)
		}
		s.last = position{index, binary.BigEndian.Uint64(value[1:])}
		s.bytes += int64(len(value))
		return nil
	})
}

// InitialState implements raft.Storage.
func (s *Storage) InitialState() (raftpb.HardState, raftpb.ConfState, error) {
	return s.hard, s.Conf, nil
}

// HardState is the last one set.
func (s *Storage) HardState() raftpb.HardState { return s.hard }

// FirstIndex implements raft.Storage.
func (s *Storage) FirstIndex() (uint64, error) { return s.truncated.index + 1, nil }

// LastIndex implements raft.Storage.
func (s *Storage) LastIndex() (uint64, error) { return s.last.index, nil }

// Truncated is the index of the last entry that is gone.
func (s *Storage) Truncated() uint64 { return s.truncated.index }

// Bytes is the approximate size of the entries.
func (s *Storage) Bytes() int64 { return s.bytes }

// Snapshot implements raft.Storage.
func (s *Storage) Snapshot() (raftpb.Snapshot, error) {
	if s.MakeSnapshot == nil {
		return raftpb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	return s.MakeSnapshot()
}

// Term implements raft.Storage.
func (s *Storage) Term(index uint64) (uint64, error) {
	switch {
	case index < s.truncated.index:
		return 0, raft.ErrCompacted
	case index == s.truncated.index:
		return s.truncated.term, nil
	case index > s.last.index:
		return 0, raft.ErrUnavailable
	case index == s.last.index:
		return s.last.term, nil
	case index >= s.cacheFirst():
		return s.cache[index-s.cacheFirst()].Term, nil
	}
	value, err := s.log.eng.Get(cfEntry, pairKey(s.region, index))
	if err != nil {
		return 0, err
	}
	return decodeTerm(index, value)
}

// Entries implements raft.Storage.
func (s *Storage) Entries(lo, hi, maxSize uint64) ([]raftpb.Entry, error) {
	if lo <= s.truncated.index {
		return nil, raft.ErrCompacted
	}
	if hi > s.last.index+1 {
		return nil, raft.ErrUnavailable
	}
	var entries []raftpb.Entry
	var size uint64
	full := false
	if first := s.cacheFirst(); lo < first {
		var err error
		if entries, size, full, err = s.readEntries(lo, min(hi, first), maxSize); err != nil || full {
			return entries, err
		}
		lo = min(hi, first)
	}
	if lo == hi {
		return entries, nil
	}
	cached := s.cache[lo-s.cacheFirst() : hi-s.cacheFirst()]
	n := 0
	for ; n < len(cached); n++ {
		size += uint64(cached[n].Size())
		if size > maxSize && len(entries)+n > 0 {
			break
		}
	}
	if entries == nil {
		return cached[:n:n], nil
	}
	return append(entries, cached[:n]...), nil
}

// readEntries reads [lo, hi) from the engine until maxSize is reached, but at least one.
func (s *Storage) readEntries(lo, hi, maxSize uint64) (entries []raftpb.Entry, size uint64, full bool, err error) {
	it, err := s.log.eng.NewIterator(storage.IterOptions{
		CF: cfEntry, Lower: pairKey(s.region, lo), Upper: pairKey(s.region, hi),
	})
	if err != nil {
		return nil, 0, false, err
	}
	next := lo
	for ok := it.First(); ok && err == nil && !full; ok = it.Next() {
		var e raftpb.Entry
		if e, err = decodeEntry(binary.BigEndian.Uint64(it.Key()[8:]), it.Value()); err != nil {
			break
		}
		size += uint64(e.Size())
		if full = size > maxSize && len(entries) > 0; !full {
			entries = append(entries, e)
			next++
		}
	}
	if e := it.Error(); err == nil {
		err = e
	}
	if e := it.Close(); err == nil {
		err = e
	}
	if err == nil && !full && next != hi {
		err = fmt.Errorf("%w: region %d lacks entry %d", ErrCorrupt, s.region, next)
	}
	return entries, size, full, err
}

// Append adds entries, replacing those of the same and higher indexes. Their data must stay unchanged; it is referred to
// while cached.
func (s *Storage) Append(b *Batch, entries []raftpb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	first, end := entries[0].Index, entries[len(entries)-1].Index
	if first <= s.truncated.index || first > s.last.index+1 {
		return fmt.Errorf("raft log of region %d: append at %d, have (%d, %d]", s.region, first, s.truncated.index, s.last.index)
	}
	b.sync = true
	var size int64
	for i := range entries {
		e := &entries[i]
		head := entryHead(e)
		b.b.PutJoined(cfEntry, pairKey(s.region, e.Index), head[:], e.Data)
		size += int64(len(head) + len(e.Data))
	}
	for i := end + 1; i <= s.last.index; i++ {
		b.b.Delete(cfEntry, pairKey(s.region, i))
	}
	s.extendCache(entries)
	s.last = position{end, entries[len(entries)-1].Term}
	s.addBytes(size)
	return nil
}

func (s *Storage) extendCache(entries []raftpb.Entry) {
	first := entries[0].Index
	switch cached := s.cacheFirst(); {
	case first < cached:
		s.cache = append([]raftpb.Entry(nil), entries...)
	case first == s.last.index+1:
		s.cache = append(s.cache, entries...)
	default: // readers may hold what is replaced: copy
		s.cache = append(s.cache[:first-cached:first-cached], entries...)
	}
}

// cacheFirst is the index of the first cached entry, last+1 if there is none.
func (s *Storage) cacheFirst() uint64 { return s.last.index + 1 - uint64(len(s.cache)) }

// TrimCache forgets cached entries up to index, but keeps the newest while they are within keepBytes. They must be in
// the engine: committed with a batch.
func (s *Storage) TrimCache(index uint64, keepBytes int) {
	first := s.cacheFirst()
	if index < first || len(s.cache) == 0 {
		return
	}
	n := int(min(index, s.last.index) + 1 - first)
	for i := len(s.cache) - 1; i >= 0 && keepBytes > 0; i-- {
		keepBytes -= len(s.cache[i].Data)
		if keepBytes > 0 {
			n = min(n, i)
		}
	}
	if n == 0 {
		return
	}
	if n > len(s.cache)/2 { // let go of the array, which readers may hold
		s.cache = append([]raftpb.Entry(nil), s.cache[n:]...)
		return
	}
	s.cache = s.cache[n:]
}

// SetHardState stores hs. The commit of the batch syncs if term or vote changed.
func (s *Storage) SetHardState(b *Batch, hs raftpb.HardState) {
	if hs.Term != s.hard.Term || hs.Vote != s.hard.Vote {
		b.sync = true
	}
	s.hard = hs
	s.putState(b)
}

// RequireSync has the hard state, commit index and all, synced with the batch.
func (s *Storage) RequireSync(b *Batch) {
	b.sync = true
	s.putState(b)
}

func (s *Storage) putState(b *Batch) {
	b.b.Put(cfState, regionKey(s.region), encodeState(s.hard, s.truncated))
}

// Compact removes the entries up to index, which the data has durably applied.
func (s *Storage) Compact(b *Batch, index uint64) error {
	if index <= s.truncated.index {
		return nil
	}
	term, err := s.Term(index)
	if err != nil {
		return fmt.Errorf("raft log of region %d: truncate at %d: %w", s.region, index, err)
	}
	s.TrimCache(index, 0)
	removed := s.bytes * int64(index-s.truncated.index) / int64(s.last.index-s.truncated.index)
	s.deleteEntries(b, s.truncated.index+1, index+1, removed)
	s.truncated = position{index, term}
	s.putState(b)
	s.addBytes(-removed)
	return nil
}

// Up to so many entries and bytes are deleted one by one: range deletions in great number slow readers down, but they let
// go of whole tables without a look into them.
const (
	pointDeletesMax     = 64
	pointDeleteBytesMax = 1 << 20
)

// deleteEntries removes [lo, hi) from the engine, some bytes in all.
func (s *Storage) deleteEntries(b *Batch, lo, hi uint64, bytes int64) {
	if hi > lo+pointDeletesMax || bytes > pointDeleteBytesMax && hi > lo {
		b.b.DeleteRange(cfEntry, pairKey(s.region, lo), pairKey(s.region, hi))
		return
	}
	for ; lo < hi; lo++ {
		b.b.Delete(cfEntry, pairKey(s.region, lo))
	}
}

// Reset makes the log empty at a position that is committed and in the data already: a new region's start, or a snapshot.
// The vote stays. The commit syncs.
func (s *Storage) Reset(b *Batch, index, term uint64) {
	b.sync = true
	s.deleteEntries(b, s.truncated.index+1, s.last.index+1, s.bytes)
	s.addBytes(-s.bytes)
	s.cache = nil
	s.truncated, s.last = position{index, term}, position{index, term}
	s.hard.Term = max(s.hard.Term, term)
	s.hard.Commit = max(s.hard.Commit, index)
	s.putState(b)
}

// RaiseCommit lifts the commit index of a loaded log to what is known to be applied: the stored one may lag.
func (s *Storage) RaiseCommit(index uint64) { s.hard.Commit = max(s.hard.Commit, index) }

// Destroy removes everything of the region but its mark. The Storage must not be used afterwards.
func (s *Storage) Destroy(b *Batch) {
	b.sync = true
	s.deleteEntries(b, s.truncated.index+1, s.last.index+1, s.bytes)
	b.b.Delete(cfState, regionKey(s.region))
	s.addBytes(-s.bytes)
	s.cache = nil
}

// addBytes keeps the sizes, never below zero.
func (s *Storage) addBytes(n int64) {
	n = max(n, -s.bytes)
	s.bytes += n
	s.log.bytes.Add(n)
}
