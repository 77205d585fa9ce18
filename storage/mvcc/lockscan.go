package mvcc

import (
	"bytes"
	"errors"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
)

// lockScan runs beside a scan of CFWrite and stops at the locks that matter to the reader. Nearly always there are none,
// and the scan learns it from one seek.
type lockScan struct {
	it   storage.Iterator // nil: locks are not looked at
	opts *ReadOptions
	end  []byte // locks from here on are not looked at yet; nil: there is no such bound

	// At a lock that matters: pending is true, encoded is its key, and either blocked is the error or lock is to be read
	// through. encoded and lock alias the iterator.
	pending bool
	encoded []byte
	lock    Lock
	blocked error

	seen    int // locks met, also those ignored
	userKey []byte
}

func newLockScan(snap storage.Snapshot, lower, upper []byte, o *ReadOptions) (lockScan, error) {
	s := lockScan{opts: o}
	if o.Isolation == kvrpcpb.IsolationLevel_RC {
		return s, nil
	}
	it, err := snap.NewIterator(storage.IterOptions{CF: storage.CFLock, Lower: lower, Upper: upper})
	if err != nil {
		return s, err
	}
	s.it = it
	return s, nil
}

// first finds the first lock that matters in scan order.
func (s *lockScan) first() error {
	if s.it == nil {
		return nil
	}
	if s.opts.Desc {
		return s.settle(s.it.Last())
	}
	return s.settle(s.it.First())
}

// next goes on to the next lock that matters.
func (s *lockScan) next() error { return s.settle(s.step()) }

func (s *lockScan) step() bool {
	if s.opts.Desc {
		return s.it.Prev()
	}
	return s.it.Next()
}

// settle moves from the current lock to one that matters.
func (s *lockScan) settle(valid bool) error {
	for s.pending = false; valid && !s.isBehind(); valid = s.step() {
		matters, err := s.look()
		if err != nil {
			return err
		}
		if matters {
			s.pending = true
			return nil
		}
	}
	return s.it.Error()
}

// isBehind tells whether the iterator stands behind the range.
func (s *lockScan) isBehind() bool { return s.end != nil && bytes.Compare(s.it.Key(), s.end) >= 0 }

// nextRange goes on forward to the locks of a range behind the one before. Where none are left, which is nearly always,
// that costs nothing.
func (s *lockScan) nextRange(lower, upper []byte) error {
	if s.it == nil {
		return nil
	}
	s.end = upper
	valid := s.it.Valid()
	if valid && bytes.Compare(s.it.Key(), lower) < 0 {
		valid = s.it.SeekGE(lower)
	}
	return s.settle(valid)
}

func (s *lockScan) look() (matters bool, err error) {
	s.seen++
	s.encoded = s.it.Key()
	if s.userKey, err = DecodeKey(s.userKey[:0], s.encoded); err != nil {
		return false, err
	}
	record := s.it.Value()
	if err := s.it.Error(); err != nil {
		return false, err
	}
	if s.lock, err = ParseLock(record); err != nil {
		return false, err
	}
	accessed, blocked := s.opts.check(&s.lock, s.userKey)
	s.blocked = blocked
	return accessed || blocked != nil, nil
}

func (s *lockScan) close() error {
	if s.it == nil {
		return nil
	}
	return s.it.Close()
}

// CheckLocks returns the *LockedError or *ConflictError of the first lock at a user key of [start, end) that stops o's
// reader and that concerns says matters, nil if there is none. A reader that cannot take back what it has handed out asks
// before it starts; an empty start or end is the region's.
func CheckLocks(snap storage.Snapshot, start, end []byte, concerns func(userKey []byte) bool, o ReadOptions) (err error) {
	var lower, upper []byte
	if len(start) > 0 {
		lower = EncodeKey(start)
	}
	if len(end) > 0 {
		upper = EncodeKey(end)
	}
	o.Desc = false
	s, err := newLockScan(snap, lower, upper, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for err = s.first(); err == nil && s.pending; err = s.next() {
		if s.blocked != nil && concerns(s.userKey) {
			return s.blocked
		}
	}
	return err
}
