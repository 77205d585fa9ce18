package txn

import (
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// recentWrites answers the question of nearly every prewrite, "has anybody written to this key since I began?", from
// memory: a seek that finds nothing visits all memtables, and would be the dearest part of a small transaction.
//
// It has a row of slots, each with the greatest timestamp of the write records, rollbacks among them, that were put under
// keys of the slot. Keys that share one make each other look newer, which costs a seek and is never wrong. Slots are raised
// before a write is proposed and never lowered: whether the write fails, or is applied long after its command, does
// not matter. Deleting a record only makes a key older.
//
// The table has what commands of this store wrote, in any region. What other leaders of a region wrote lies at or below a
// fresh timestamp taken after this store became its leader; see Concurrency.SetSynced.
//
// A slot is raised and read for a key under the latch of that key.
type recentWrites struct {
	slots []atomic.Uint64
	shift uint
}

// recentBits is chosen so that few of the slots, a mebibyte, are raised while a small transaction lives: 1 in a thousand
// at 100,000 writes a second and a millisecond.
const recentBits = 17

// newRecentWrites returns a table of 2^bits slots.
func newRecentWrites(bits uint) *recentWrites {
	return &recentWrites{slots: make([]atomic.Uint64, 1<<bits), shift: 64 - bits}
}

func (w *recentWrites) slot(key []byte) *atomic.Uint64 { return &w.slots[xxh3.Hash(key)>>w.shift] }

// note tells that a record is going to be put under an encoded key.
func (w *recentWrites) note(key []byte, ts uint64) { raise(w.slot(key), ts) }

// unwritten tells that no record at or above ts is under an encoded key, written by this store. False says nothing.
func (w *recentWrites) unwritten(key []byte, ts uint64) bool { return w.slot(key).Load() < ts }
