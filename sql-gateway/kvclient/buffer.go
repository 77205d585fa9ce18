package kvclient

import (
	"bytes"
	"context"
	"slices"
	"sort"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// buffer holds the writes of a transaction: entries in the order of first use of their key, a way to find them, and a log
// of what they replaced so that later writes can be undone. The key order is made when somebody asks for it.
//
// As long as new keys come in ascending order, as those of bulk loads do, a binary search finds entries. The first key
// out of order has a map made of all.
type buffer struct {
	entries  []entry
	index    map[string]int32 // nil: entries are in the order of their keys
	undo     []int32          // entry numbers; ^n: write n of replaced
	replaced []replaced
	bytes    int
	sorted   []int32 // entry numbers by key; stale when shorter than entries
}

type entry struct {
	key, val []byte
	op       kvrpcpb.Op // Put, Del, Insert, CheckNotExists; absent: not written
	// locked: a pessimistic transaction holds the key's lock, an optimistic one is to take it at Commit even if it does not
	// write the key. Undoing writes leaves locks.
	locked bool
}

// replaced is what an entry was before a write.
type replaced struct {
	entry int32
	val   []byte
	op    kvrpcpb.Op
}

// absent marks an entry that was undone, or never set.
const absent kvrpcpb.Op = -1

// exists reports whether a reader sees a value.
func (e *entry) exists() bool { return e.op == kvrpcpb.Op_Put || e.op == kvrpcpb.Op_Insert }

// mutation is what a store is asked to do with an entry; absent: nothing.
func (e *entry) mutation() kvrpcpb.Op {
	if e.op == absent && e.locked {
		return kvrpcpb.Op_Lock
	}
	return e.op
}

func (b *buffer) get(key []byte) *entry {
	i, ok := b.find(key)
	if !ok || b.entries[i].op == absent {
		return nil
	}
	return &b.entries[i]
}

// find returns the number of key's entry; without one, the number that it would have in order if there is no index yet.
func (b *buffer) find(key []byte) (int32, bool) {
	if b.index != nil {
		i, ok := b.index[string(key)]
		return i, ok
	}
	n := len(b.entries)
	if n == 0 || bytes.Compare(b.entries[n-1].key, key) < 0 {
		return int32(n), false
	}
	i := sort.Search(n, func(i int) bool { return bytes.Compare(b.entries[i].key, key) >= 0 })
	return int32(i), bytes.Equal(b.entries[i].key, key)
}

func (b *buffer) set(key, val []byte, op kvrpcpb.Op) {
	i, ok := b.find(key)
	if !ok {
		b.add(key, val, op, i)
		return
	}
	e := &b.entries[i]
	b.undo = append(b.undo, ^int32(len(b.replaced)))
	b.replaced = append(b.replaced, replaced{i, e.val, e.op})
	b.bytes += len(val) - len(e.val)
	e.val, e.op = val, op
}

// smallBuffer is what a transaction with a write or two needs, in one piece.
type smallBuffer struct {
	entries      [2]entry
	undo, sorted [2]int32
}

// add makes an entry for a key that has none. at is where its place in key order is, as find says.
func (b *buffer) add(key, val []byte, op kvrpcpb.Op, at int32) {
	n := int32(len(b.entries))
	if b.index == nil && at < n {
		b.index = make(map[string]int32, 2*n)
		for i := range b.entries {
			b.index[string(b.entries[i].key)] = int32(i)
		}
	}
	if b.index != nil {
		b.index[string(key)] = n
	}
	if b.entries == nil {
		room := new(smallBuffer)
		b.entries, b.undo, b.sorted = room.entries[:0], room.undo[:0], room.sorted[:0]
	}
	b.entries = append(b.entries, entry{key: key, val: val, op: op})
	b.undo = append(b.undo, n)
	b.bytes += len(key) + len(val)
}

// rollbackTo undoes all writes since the undo log had length sp.
func (b *buffer) rollbackTo(sp int) {
	for ; len(b.undo) > sp; b.undo = b.undo[:len(b.undo)-1] {
		was := replaced{entry: b.undo[len(b.undo)-1], op: absent}
		if n := ^was.entry; n >= 0 {
			was, b.replaced = b.replaced[n], b.replaced[:n]
		}
		e := &b.entries[was.entry]
		b.bytes += len(was.val) - len(e.val)
		e.val, e.op = was.val, was.op
	}
}

// order returns the entry numbers by key.
func (b *buffer) order() []int32 {
	if len(b.sorted) == len(b.entries) {
		return b.sorted
	}
	for i := len(b.sorted); i < len(b.entries); i++ {
		b.sorted = append(b.sorted, int32(i))
	}
	if b.index == nil {
		return b.sorted
	}
	slices.SortFunc(b.sorted, func(x, y int32) int { return bytes.Compare(b.entries[x].key, b.entries[y].key) })
	return b.sorted
}

// within returns the entries in r by key.
func (b *buffer) within(r KeyRange) []int32 {
	o := b.order()
	from := sort.Search(len(o), func(i int) bool { return bytes.Compare(b.entries[o[i]].key, r.Start) >= 0 })
	to := len(o)
	if len(r.End) > 0 {
		to = sort.Search(len(o), func(i int) bool { return bytes.Compare(b.entries[o[i]].key, r.End) >= 0 })
	}
	return o[from:max(from, to)]
}

// lock marks a key as locked. What its entry was to check has been checked under the lock.
func (b *buffer) lock(key []byte) {
	i, ok := b.find(key)
	if !ok {
		b.add(key, nil, absent, i)
		i = int32(len(b.entries) - 1)
	}
	b.entries[i].locked = true
}

// checked notes that a key is locked and known not to exist: an insert is a put then.
func (b *buffer) checked(key []byte) {
	switch e := b.get(key); {
	case e == nil:
	case e.op == kvrpcpb.Op_Insert:
		e.op = kvrpcpb.Op_Put
	case e.op == kvrpcpb.Op_CheckNotExists:
		e.op = kvrpcpb.Op_Del
	}
}

// isLocked reports whether a key is marked.
func (b *buffer) isLocked(key []byte) bool {
	i, ok := b.find(key)
	return ok && b.entries[i].locked
}

// mustNotExist reports whether a write wants the store to check that the key was free.
func (b *buffer) mustNotExist(key []byte) bool {
	e := b.get(key)
	return e != nil && (e.op == kvrpcpb.Op_Insert || e.op == kvrpcpb.Op_CheckNotExists)
}

// writes reports whether there is something to commit.
func (b *buffer) writes() bool {
	return slices.ContainsFunc(b.entries, func(e entry) bool { return e.op != absent })
}

func (b *buffer) writtenSince(savepoint int) [][]byte {
	keys := make([][]byte, 0, len(b.undo)-savepoint)
	for _, n := range b.undo[savepoint:] {
		if n < 0 {
			n = b.replaced[^n].entry
		}
		if e := &b.entries[n]; e.op != absent {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// merged walks a snapshot's pairs with the buffer's entries laid over them. The buffer must not change meanwhile.
type merged struct {
	b       *buffer
	own     []int32 // in walking order
	under   Iterator
	reverse bool

	key, val []byte // the snapshot's next pair
	have     bool
	loaded   bool
}

func (t *Txn) newMerged(ctx context.Context, r KeyRange, reverse bool) Iterator {
	under := t.snap.Scan(ctx, r, reverse)
	if t.bulk != nil {
		return under
	}
	own := slices.Clone(t.buf.within(r))
	if len(own) == 0 {
		return under
	}
	if reverse {
		slices.Reverse(own)
	}
	return &merged{b: &t.buf, own: own, under: under, reverse: reverse}
}

func (m *merged) Close() { m.under.Close() }

func (m *merged) Next() (key, val []byte, ok bool, err error) {
	for {
		if !m.loaded {
			if m.key, m.val, m.have, err = m.under.Next(); err != nil {
				return nil, nil, false, err
			}
			m.loaded = true
		}
		if len(m.own) == 0 {
			m.loaded = false
			return m.key, m.val, m.have, nil
		}
		e := &m.b.entries[m.own[0]]
		if m.have {
			c := bytes.Compare(m.key, e.key)
			if m.reverse {
				c = -c
			}
			if c < 0 {
				m.loaded = false
				return m.key, m.val, true, nil
			}
			if c == 0 && e.op != absent {
				m.loaded = false // overwritten
			}
		}
		m.own = m.own[1:]
		if e.exists() {
			return e.key, e.val, true, nil
		}
	}
}
