package mvcc

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/scree-db/scree/storage"
)

// nearSteps is how many versions a scan steps over before it seeks instead. Stepping is some ten times cheaper.
const nearSteps = 8

// Scanner walks the keys of a range that are visible under its options, in key order or against it.
//
// A scan is one walk over CFWrite. At each key it passes versions above the timestamp, takes the newest one at or below
// it that is a put or delete, and passes the older ones; runs of versions are jumped over by a seek. Short values lie in
// the record itself, so a row costs one step of the iterator, a comparison with the previous key, and the decoding of
// the key; nothing is allocated. Beside it a lockScan stands at the next lock that matters, usually at none, and is merged in
// by key: a blocking lock becomes an error in its place in the order, also where it has no version yet.
//
// Backward, versions come oldest first, and a value must be copied before the walk can tell that it was the newest.
//
// A *LockedError or *ConflictError from Next concerns one key, and the next call goes on behind it; any other error
// ends the scan.
type Scanner struct {
	opts  ReadOptions
	it    storage.Iterator // CFWrite
	locks lockScan
	long  longValues
	stats ScanStats

	started bool
	failed  error
	behind  bool   // forward: the iterator still stands at a version of encoded, which is done
	encoded []byte // the key being looked at
	key     []byte // the same, decoded
	value   []byte // scratch of backward scans
	seek    []byte
	lower   []byte // bounds, where they have changed
	upper   []byte
	ts      uint64 // of the version emitted last
}

// ScanStats counts what a scan met.
type ScanStats struct {
	ProcessedKeys int  // keys returned
	TotalKeys     int  // versions met, as far as they were not jumped over
	MetNewer      bool // a version above the timestamp, or any lock: the result is not good for later timestamps
}

// NewScanner opens a scan of the user keys in [start, end); an empty start or end is the region's. The snapshot must
// outlive the scanner.
func NewScanner(snap storage.Snapshot, start, end []byte, o ReadOptions) (*Scanner, error) {
	return NewSpanScanner(snap, start, end, end, o)
}

// NewSpanScanner opens a scan of [start, end) that may then go on to ranges behind that one, up to spanEnd; see NextRange.
func NewSpanScanner(snap storage.Snapshot, start, end, spanEnd []byte, o ReadOptions) (*Scanner, error) {
	s := &Scanner{opts: o}
	iter := storage.IterOptions{CF: storage.CFWrite, NoFillCache: o.NoFillCache, Lower: encodeBound(start), Upper: encodeBound(end)}
	span := iter
	span.Upper = encodeBound(spanEnd)
	s.long = longValues{snap: snap, opts: span}
	var err error
	if s.locks, err = newLockScan(snap, span.Lower, span.Upper, &s.opts); err != nil {
		return nil, err
	}
	s.locks.end = iter.Upper
	if s.it, err = snap.NewIterator(iter); err != nil {
		return nil, errors.Join(err, s.locks.close())
	}
	return s, nil
}

// encodeBound is EncodeKey, but keeps the empty key, which stands for the region's bound.
func encodeBound(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return EncodeKey(key)
}

// NextRange turns a forward scan to the user keys in [start, end), neither of them empty, inside the region and behind the
// range before. It costs a fraction of another scanner.
func (s *Scanner) NextRange(start, end []byte) error {
	s.lower, s.upper = AppendKey(s.lower[:0], start), AppendKey(s.upper[:0], end)
	s.it.SetBounds(s.lower, s.upper)
	s.it.SeekGE(s.lower)
	s.started, s.behind = true, false
	err := errors.Join(s.it.Error(), s.locks.nextRange(s.lower, s.upper))
	if err != nil {
		s.failed = err
	}
	return err
}

// Next returns the next visible key. key and val are valid until the next call; val of an empty value is not nil,
// except with KeyOnly. ok false without an error is the end.
func (s *Scanner) Next() (key, val []byte, ok bool, err error) {
	if s.failed != nil {
		return nil, nil, false, s.failed
	}
	if !s.started {
		if err := s.start(); err != nil {
			return nil, nil, false, s.fail(err)
		}
	}
	if s.opts.Desc {
		val, ok, err = s.nextBackward()
	} else {
		val, ok, err = s.nextForward()
	}
	if err != nil {
		return nil, nil, false, s.fail(err)
	}
	if !ok {
		return nil, nil, false, nil
	}
	if s.key, err = DecodeKey(s.key[:0], s.encoded); err != nil {
		return nil, nil, false, s.fail(err)
	}
	s.stats.ProcessedKeys++
	return s.key, val, true, nil
}

// CommitTS is the commit timestamp of the version returned last; 0 if it was read through a lock.
func (s *Scanner) CommitTS() uint64 { return s.ts }

// Stats returns the counts so far.
func (s *Scanner) Stats() ScanStats {
	st := s.stats
	st.MetNewer = st.MetNewer || s.locks.seen > 0
	return st
}

// Close releases the scanner.
func (s *Scanner) Close() error {
	return errors.Join(s.it.Close(), s.locks.close(), s.long.close())
}

func (s *Scanner) start() error {
	s.started = true
	if s.opts.Desc {
		s.it.Last()
	} else {
		s.it.First()
	}
	return errors.Join(s.it.Error(), s.locks.first())
}

// fail makes errors final that do not concern a single key.
func (s *Scanner) fail(err error) error {
	if _, single := KeyError(err); !single {
		s.failed = err
	}
	return err
}

// nextForward stands at the first version of a key not looked at yet, or behind is set.
func (s *Scanner) nextForward() (val []byte, ok bool, err error) {
	for !ok && err == nil {
		valid := s.it.Valid()
		if s.behind && valid {
			valid = s.passKey()
		}
		s.behind = false
		switch {
		case s.locks.pending && s.lockIsNext(valid):
			s.behind = s.enterLock(valid)
			val, ok, err = s.takeLock()
		case valid:
			val, ok, err = s.visibleForward()
		default:
			return nil, false, s.it.Error()
		}
	}
	return val, ok, err
}

// visibleForward takes the key the iterator stands at. It leaves the iterator at a version of this key, with behind set, or,
// without a visible value, possibly at the next key.
func (s *Scanner) visibleForward() (val []byte, ok bool, err error) {
	k := s.it.Key()
	n := len(k) - tsSize
	if n <= 0 {
		_, _, err := SplitVersion(k)
		return nil, false, err
	}
	s.stats.TotalKeys++
	s.encoded = append(s.encoded[:0], k[:n]...)
	s.ts = ^binary.BigEndian.Uint64(k[n:])
	if s.ts > s.opts.TS {
		if same, err := s.passNewer(); err != nil || !same {
			return nil, false, err
		}
	}
	for {
		record := s.it.Value()
		if val, ok := plainPut(record); ok {
			s.behind = true
			return s.emit(val), true, nil
		}
		val, verdict, err := s.resolve(record)
		if err != nil || verdict == versionPut {
			s.behind = true
			return val, err == nil, err
		}
		if verdict == versionDelete {
			s.behind = true
			return nil, false, nil
		}
		if !s.it.Next() || !s.sameKey() {
			return nil, false, s.it.Error()
		}
		s.stats.TotalKeys++
	}
}

func (s *Scanner) emit(val []byte) []byte {
	if s.opts.KeyOnly {
		return nil
	}
	return val
}

// sameKey tells whether the iterator, which must be valid, stands at a version of the current key, and keeps its ts.
func (s *Scanner) sameKey() bool {
	k := s.it.Key()
	n := len(s.encoded)
	if len(k) != n+tsSize || !bytes.Equal(k[:n], s.encoded) {
		return false
	}
	s.ts = ^binary.BigEndian.Uint64(k[n:])
	return true
}

// passKey leaves the versions of the current key.
func (s *Scanner) passKey() (valid bool) {
	for range nearSteps {
		if !s.it.Next() {
			return false
		}
		if !s.sameKey() {
			return true
		}
		s.stats.TotalKeys++
	}
	s.seek = AppendVersion(s.seek[:0], s.encoded, 0)
	return s.it.SeekGE(append(s.seek, 0)) // behind the oldest version there can be
}

// passNewer leaves the versions of the current key above the timestamp. same is false if there are no others.
func (s *Scanner) passNewer() (same bool, err error) {
	s.stats.MetNewer = true
	for range nearSteps {
		if err := s.judgeNewer(); err != nil {
			s.behind = true
			return false, err
		}
		if !s.it.Next() || !s.sameKey() {
			return false, s.it.Error()
		}
		s.stats.TotalKeys++
		if s.ts <= s.opts.TS {
			return true, nil
		}
	}
	s.seek = AppendVersion(s.seek[:0], s.encoded, s.opts.TS)
	if !s.it.SeekGE(s.seek) || !s.sameKey() {
		return false, s.it.Error()
	}
	return true, nil
}

// judgeNewer looks at a version above the timestamp on behalf of RC-check-ts.
func (s *Scanner) judgeNewer() (err error) {
	if !s.opts.checksNewer() {
		return nil
	}
	w, err := ParseWrite(s.it.Value())
	if err != nil {
		return errors.Join(s.it.Error(), err)
	}
	if s.key, err = DecodeKey(s.key[:0], s.encoded); err != nil {
		return err
	}
	return s.opts.newer(&w, s.ts, s.key)
}

type version byte

const (
	versionNone version = iota // a lock or rollback record: an older version counts
	versionPut
	versionDelete
)

// resolve reads a record that is not a plain put.
func (s *Scanner) resolve(record []byte) (val []byte, v version, err error) {
	if err := s.it.Error(); err != nil {
		return nil, versionNone, err
	}
	w, err := ParseWrite(record)
	if err != nil {
		return nil, versionNone, err
	}
	switch {
	case !w.ChangesData():
		return nil, versionNone, nil
	case w.Type == WriteDelete || w.collected(s.opts.TS):
		return nil, versionDelete, nil
	case s.opts.KeyOnly:
		return nil, versionPut, nil
	case w.ShortValue == nil:
		val, err = s.long.load(s.encoded, w.StartTS)
		return val, versionPut, err
	default:
		return w.ShortValue, versionPut, nil
	}
}
