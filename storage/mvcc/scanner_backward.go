package mvcc

import "encoding/binary"

// nextBackward stands at the oldest version of a key not looked at yet.
func (s *Scanner) nextBackward() (val []byte, ok bool, err error) {
	for !ok && err == nil {
		valid := s.it.Valid()
		switch {
		case s.locks.pending && s.lockIsNext(valid):
			if s.enterLock(valid) {
				s.it.SeekLT(s.encoded)
			}
			val, ok, err = s.takeLock()
		case valid:
			val, ok, err = s.visibleBackward()
		default:
			return nil, false, s.it.Error()
		}
	}
	return val, ok, err
}

// visibleBackward takes the key whose oldest version the iterator stands at, and leaves it for the key before.
func (s *Scanner) visibleBackward() (val []byte, ok bool, err error) {
	k := s.it.Key()
	n := len(k) - tsSize
	if n <= 0 {
		_, _, err := SplitVersion(k)
		return nil, false, err
	}
	s.encoded = append(s.encoded[:0], k[:n]...)
	s.ts = ^binary.BigEndian.Uint64(k[n:])
	val, newest, ts, err := s.newestBackward()
	s.ts = ts
	return val, newest == versionPut && err == nil, err
}

// newestBackward climbs the versions of the current key up to the timestamp, remembers the last that counts, and leaves
// the key.
func (s *Scanner) newestBackward() (val []byte, newest version, ts uint64, err error) {
	for step := 0; ; step++ {
		s.stats.TotalKeys++
		if s.ts > s.opts.TS {
			return val, newest, ts, s.leaveNewer()
		}
		if step == nearSteps && !s.opts.checksNewer() {
			val, newest, ts, err = s.seekNewest()
			s.it.SeekLT(s.encoded)
			return val, newest, ts, err
		}
		v, found, err := s.resolve(s.it.Value())
		if err != nil {
			return nil, versionNone, 0, err
		}
		if found != versionNone {
			val, newest, ts = s.keep(v), found, s.ts
		}
		if !s.it.Prev() || !s.sameKey() {
			return val, newest, ts, s.it.Error()
		}
	}
}

// leaveNewer leaves a key at whose versions above the timestamp the iterator stands.
func (s *Scanner) leaveNewer() error {
	s.stats.MetNewer = true
	if !s.opts.checksNewer() {
		s.it.SeekLT(s.encoded)
		return s.it.Error()
	}
	for {
		if err := s.judgeNewer(); err != nil {
			s.it.SeekLT(s.encoded)
			return err
		}
		if !s.it.Prev() || !s.sameKey() {
			return s.it.Error()
		}
	}
}

// seekNewest finds the newest version that counts from above, for keys with many versions.
func (s *Scanner) seekNewest() (val []byte, newest version, ts uint64, err error) {
	if !s.it.SeekGE(s.encoded) || !s.sameKey() {
		return nil, versionNone, 0, s.it.Error()
	}
	valid := true
	if s.ts > s.opts.TS {
		s.stats.MetNewer = true
		s.seek = AppendVersion(s.seek[:0], s.encoded, s.opts.TS)
		valid = s.it.SeekGE(s.seek)
	}
	for ; valid && s.sameKey(); valid = s.it.Next() {
		v, found, err := s.resolve(s.it.Value())
		if err != nil || found != versionNone {
			return s.keep(v), found, s.ts, err
		}
	}
	return nil, versionNone, 0, s.it.Error()
}
