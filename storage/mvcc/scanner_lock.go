package mvcc

import "bytes"

// lockIsNext tells whether the pending lock's key comes before, or is, the key the iterator stands at.
func (s *Scanner) lockIsNext(valid bool) bool {
	if !valid {
		return true
	}
	c := bytes.Compare(s.locks.encoded, s.it.Key())
	if s.opts.Desc {
		return c > 0 || s.atLockedKey() // a key sorts before its versions
	}
	return c < 0
}

// atLockedKey tells whether the iterator stands at a version of the locked key.
func (s *Scanner) atLockedKey() bool {
	k := s.it.Key()
	n := len(s.locks.encoded)
	return len(k) == n+tsSize && bytes.Equal(k[:n], s.locks.encoded)
}

// enterLock makes the locked key the current one. same tells whether the iterator stands at one of its versions.
func (s *Scanner) enterLock(valid bool) (same bool) {
	s.encoded = append(s.encoded[:0], s.locks.encoded...)
	return valid && s.atLockedKey()
}

// takeLock consumes the pending lock and returns its error, its value, or nothing if it deletes the key.
func (s *Scanner) takeLock() (val []byte, ok bool, err error) {
	s.ts = 0
	l, blocked := s.locks.lock, s.locks.blocked
	if blocked == nil && l.Type == LockPut {
		if val, err = s.lockValue(&l); err != nil {
			return nil, false, err
		}
		val, ok = s.keep(val), true // the iterator of the locks moves on
	}
	if err := s.locks.next(); err != nil {
		return nil, false, err
	}
	return val, ok, blocked
}

func (s *Scanner) lockValue(l *Lock) ([]byte, error) {
	if l.ShortValue != nil || s.opts.KeyOnly {
		return l.ShortValue, nil
	}
	return s.long.load(s.encoded, l.StartTS)
}

// keep copies a value into scratch space; it stays nil only with KeyOnly.
func (s *Scanner) keep(val []byte) []byte {
	if s.opts.KeyOnly {
		return nil
	}
	if s.value == nil {
		s.value = make([]byte, 0, ShortValueMax)
	}
	s.value = append(s.value[:0], val...)
	return s.value
}
