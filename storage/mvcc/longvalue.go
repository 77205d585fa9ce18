package mvcc

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/scree-db/scree/storage"
)

// longValues loads values from CFDefault. The iterator opens with the first one and stays: a scan asks in key order,
// where seeks are short.
type longValues struct {
	snap storage.Snapshot
	opts storage.IterOptions // bounds
	it   storage.Iterator
	key  []byte
}

// load returns the value written at startTS, valid until the next call.
func (l *longValues) load(encoded []byte, startTS uint64) ([]byte, error) {
	if l.it == nil {
		l.opts.CF = storage.CFDefault
		it, err := l.snap.NewIterator(l.opts)
		if err != nil {
			return nil, err
		}
		l.it = it
	}
	l.key = AppendVersion(l.key[:0], encoded, startTS)
	if !l.it.SeekGE(l.key) || !bytes.Equal(l.it.Key(), l.key) {
		return nil, errors.Join(l.it.Error(), fmt.Errorf("%w: key %x has no value of transaction %d", ErrCorrupt, encoded, startTS))
	}
	v := l.it.Value()
	return v, l.it.Error()
}

func (l *longValues) close() error {
	if l.it == nil {
		return nil
	}
	return l.it.Close()
}

// loadValue reads one long value; the slice is the caller's.
func loadValue(snap storage.Snapshot, encoded []byte, startTS uint64) ([]byte, error) {
	v, err := snap.Get(storage.CFDefault, VersionKey(encoded, startTS))
	if err == nil && v == nil {
		err = fmt.Errorf("%w: key %x has no value of transaction %d", ErrCorrupt, encoded, startTS)
	}
	return v, err
}
