package catalog

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// memStore is a Store in memory: optimistic transactions over one map, conflicts found by the version of each key.
type memStore struct {
	mu       sync.Mutex
	ts       uint64
	data     map[string][]memValue // oldest first
	splits   [][]byte
	deleted  []kvclient.KeyRange
	splitErr error
}

type memValue struct {
	val []byte // nil: deleted
	ts  uint64
}

func newMemStore() *memStore { return &memStore{data: make(map[string][]memValue)} }

func (s *memStore) next() uint64 {
	s.ts++
	return s.ts
}

func (s *memStore) TS(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next(), nil
}

func (s *memStore) Split(_ context.Context, keys [][]byte) error {
	s.splits = append(s.splits, keys...)
	return s.splitErr
}

func (s *memStore) DeleteRange(_ context.Context, r kvclient.KeyRange) error {
	s.deleted = append(s.deleted, r)
	return nil
}

func (s *memStore) Flashback(ctx context.Context, f kvclient.Flashback) error {
	if err := f.Prepared(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ts := s.next()
	for key := range s.data {
		if slices.ContainsFunc(f.Ranges, func(r kvclient.KeyRange) bool { return key >= string(r.Start) && key < string(r.End) }) {
			s.data[key] = append(s.data[key], memValue{s.at(key, f.Version).val, ts})
		}
	}
	return nil
}

func (s *memStore) Begin(context.Context) (Txn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memTxn{s: s, start: s.next(), writes: make(map[string][]byte)}, nil
}

func (s *memStore) BeginAt(ts uint64) Txn { return &memTxn{s: s, start: ts} }

// at is the newest version of a key at or below ts. s.mu is held.
func (s *memStore) at(key string, ts uint64) (v memValue) {
	for _, version := range s.data[key] {
		if version.ts <= ts {
			v = version
		}
	}
	return v
}

type memTxn struct {
	s      *memStore
	start  uint64
	writes map[string][]byte
	fence  kvclient.Fence
}

func (t *memTxn) SetFence(f kvclient.Fence) { t.fence = f }

func (t *memTxn) Get(_ context.Context, key []byte) ([]byte, error) {
	if v, ok := t.writes[string(key)]; ok {
		return v, nil
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	return t.s.at(string(key), t.start).val, nil
}

func (t *memTxn) Scan(_ context.Context, r kvclient.KeyRange, _ bool) kvclient.Iterator {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	it := &memIterator{}
	for k := range t.s.data {
		v := t.s.at(k, t.start)
		if v.val != nil && bytes.Compare([]byte(k), r.Start) >= 0 && bytes.Compare([]byte(k), r.End) < 0 {
			it.pairs = append(it.pairs, memPair{Key: []byte(k), Value: v.val})
		}
	}
	slices.SortFunc(it.pairs, func(a, b memPair) int { return bytes.Compare(a.Key, b.Key) })
	return it
}

func (t *memTxn) Set(key, val []byte) error { t.writes[string(key)] = val; return nil }
func (t *memTxn) Delete(key []byte) error   { t.writes[string(key)] = nil; return nil }
func (t *memTxn) Rollback()                 { t.writes = nil }

func (t *memTxn) Commit(context.Context) error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for k := range t.writes {
		if t.s.at(k, math.MaxUint64).ts > t.start {
			return &kvclient.WriteConflictError{Conflict: &kvrpcpb.WriteConflict{StartTs: t.start, Key: []byte(k)}}
		}
	}
	ts := t.s.next()
	if t.fence != nil {
		if last, err := t.fence(); err != nil || ts > last {
			return errors.Join(err, kvclient.ErrFenced)
		}
	}
	for k, v := range t.writes {
		t.s.data[k] = append(t.s.data[k], memValue{v, ts})
	}
	return nil
}

type memPair struct{ Key, Value []byte }

type memIterator struct{ pairs []memPair }

func (it *memIterator) Next() (key, val []byte, ok bool, err error) {
	if len(it.pairs) == 0 {
		return nil, nil, false, nil
	}
	p := it.pairs[0]
	it.pairs = it.pairs[1:]
	return p.Key, p.Value, true, nil
}

func (it *memIterator) Close() {}
