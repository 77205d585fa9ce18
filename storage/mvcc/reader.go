package mvcc

import (
	"bytes"
	"errors"

	"github.com/scree-db/scree/storage"
)

// Reader answers what a transaction's command asks about keys: their lock, their versions, and what became of a
// transaction on them. Keys are encoded. It belongs to one goroutine.
//
// A command over many keys asks about them in ascending order. A Reader opened for such a range keeps its iterators at
// the first record behind the last question, so that questions about keys before it cost a comparison: bulk inserts
// behind or between existing keys need no seek per key. A Reader for single keys uses bloom filters instead. Iterators
// are opened with the first question that needs them.
type Reader struct {
	snap          storage.Snapshot
	sorted        bool
	first, upper  []byte // the bounds if sorted
	locks, writes *cursor
	seek          []byte
}

// NewReader returns a reader for single keys. The snapshot must outlive it.
func NewReader(snap storage.Snapshot) *Reader { return &Reader{snap: snap} }

// Init makes a reader what NewReader returns, in the caller's memory.
func (r *Reader) Init(snap storage.Snapshot) { *r = Reader{snap: snap} }

// NewSortedReader returns a reader for keys in [first, last], asked about in ascending order.
func NewSortedReader(snap storage.Snapshot, first, last []byte) *Reader {
	return &Reader{snap: snap, sorted: true, first: first, upper: append(VersionKey(last, 0), 0)}
}

// open sees to the iterator of a family.
func (r *Reader) open(c **cursor, cf storage.CF) (err error) {
	if *c == nil {
		*c, err = newCursor(r.snap, storage.IterOptions{CF: cf, Lower: r.first, Upper: r.upper, Prefix: !r.sorted})
	}
	return err
}

// Close releases the reader.
func (r *Reader) Close() error { return errors.Join(r.locks.close(), r.writes.close()) }

// Lock returns the lock of a key, nil if there is none. The lock is the caller's.
func (r *Reader) Lock(key []byte) (*Lock, error) {
	record, err := r.lockRecord(key)
	if record == nil || err != nil {
		return nil, err
	}
	l, err := ParseLock(record)
	if err != nil {
		return nil, err
	}
	return &l, nil
}

func (r *Reader) lockRecord(key []byte) ([]byte, error) {
	if !r.sorted {
		return r.snap.Get(storage.CFLock, key)
	}
	if err := r.open(&r.locks, storage.CFLock); err != nil {
		return nil, err
	}
	if !r.locks.seek(key) || !bytes.Equal(r.locks.it.Key(), key) {
		return nil, r.locks.it.Error()
	}
	record := bytes.Clone(r.locks.it.Value())
	return record, r.locks.it.Error()
}

// Version is a write record and its place. The record's slices are valid until the reader's next call.
type Version struct {
	Write
	CommitTS uint64
}

// Newest returns the newest write record of a key committed at or below ts, of any type; ok is false if there is none.
func (r *Reader) Newest(key []byte, ts uint64) (v Version, ok bool, err error) {
	if err := r.open(&r.writes, storage.CFWrite); err != nil {
		return v, false, err
	}
	r.seek = AppendVersion(r.seek[:0], key, ts)
	return r.version(key, r.writes.seek(r.seek))
}

// Older returns the record after the one returned last by Newest or Older for the same key.
func (r *Reader) Older(key []byte) (v Version, ok bool, err error) {
	return r.version(key, r.writes.next())
}

func (r *Reader) version(key []byte, valid bool) (v Version, ok bool, err error) {
	if !valid {
		return v, false, r.writes.it.Error()
	}
	encoded, ts, err := SplitVersion(r.writes.it.Key())
	if err != nil || !bytes.Equal(encoded, key) {
		return v, false, err
	}
	record := r.writes.it.Value()
	if err := r.writes.it.Error(); err != nil {
		return v, false, err
	}
	v.CommitTS = ts
	v.Write, err = ParseWrite(record)
	return v, err == nil, err
}

// NewestData returns the newest put or delete at or below ts.
func (r *Reader) NewestData(key []byte, ts uint64) (v Version, ok bool, err error) {
	for v, ok, err = r.Newest(key, ts); ok && !v.ChangesData(); v, ok, err = r.Older(key) {
	}
	return v, ok, err
}

// Value returns the value of a put; the slice is the caller's.
func (r *Reader) Value(key []byte, w *Write) ([]byte, error) {
	if w.ShortValue != nil {
		return append([]byte{}, w.ShortValue...), nil
	}
	return loadValue(r.snap, key, w.StartTS)
}

// Fate is what became of a transaction on one key.
type Fate byte

// The fates.
const (
	FateUnknown    Fate = iota // no trace in CFWrite
	FateCommitted              // the record has the transaction's start_ts
	FateRolledBack             // by a record of its own, or by the Overlapped mark of another's
)

// Outcome is a transaction's trace on a key.
type Outcome struct {
	Fate Fate
	// Record is the transaction's own record for a commit or rollback. With FateUnknown or an overlapped rollback, it is
	// another's record whose commit_ts equals the transaction's start_ts, if InTheWay.
	Record   Version
	InTheWay bool
}

// Outcome looks for the trace of the transaction that began at startTS.
func (r *Reader) Outcome(key []byte, startTS uint64) (o Outcome, err error) {
	v, ok, err := r.Newest(key, TSMax)
	for ; ok && v.CommitTS >= startTS; v, ok, err = r.Older(key) {
		if v.StartTS == startTS {
			o.Record, o.Fate = v, FateCommitted
			if v.Type == WriteRollback {
				o.Fate = FateRolledBack
			}
			return o, nil
		}
		if v.CommitTS == startTS {
			o.Record, o.InTheWay = v, true
			o.Record.ShortValue = bytes.Clone(v.ShortValue)
			if v.Overlapped {
				o.Fate = FateRolledBack
			}
			return o, nil
		}
	}
	return o, err
}

// cursor is an iterator that knows what lies before it.
type cursor struct {
	it storage.Iterator
	// Nothing lies between after and the iterator's position, both exclusive, if known; with the iterator exhausted,
	// nothing lies behind after.
	after []byte
	known bool
	// jumps: the iterator is bound to the prefix of its last seek and must seek each time.
	jumps bool
}

func newCursor(snap storage.Snapshot, o storage.IterOptions) (*cursor, error) {
	it, err := snap.NewIterator(o)
	if err != nil {
		return nil, err
	}
	return &cursor{it: it, jumps: o.Prefix}, nil
}

func (c *cursor) close() error {
	if c == nil {
		return nil
	}
	return c.it.Close()
}

// seek is SeekGE, saved where the position is right already.
func (c *cursor) seek(key []byte) bool {
	if c.jumps {
		return c.it.SeekGE(key)
	}
	if c.known && bytes.Compare(c.after, key) < 0 {
		if !c.it.Valid() {
			return false
		}
		if bytes.Compare(key, c.it.Key()) <= 0 {
			return true
		}
	}
	c.after, c.known = append(c.after[:0], key...), true
	return c.it.SeekGE(key)
}

func (c *cursor) next() bool {
	if !c.jumps {
		c.after, c.known = append(c.after[:0], c.it.Key()...), true
	}
	return c.it.Next()
}
