package mvcc

import (
	"bytes"

	"github.com/scree-db/scree/storage"
)

// GetFlushed returns what a transaction that began at startTS has flushed of an encoded key: its value, or an empty one if
// it has deleted the key. ok is false where it has flushed nothing. The value is the caller's.
func GetFlushed(snap storage.Snapshot, encoded []byte, startTS uint64) (val []byte, ok bool, err error) {
	record, err := snap.Get(storage.CFLock, encoded)
	if record == nil || err != nil {
		return nil, false, err
	}
	l, err := ParseLock(record)
	if err != nil || l.StartTS != startTS {
		return nil, false, err
	}
	switch l.Type {
	case LockDelete:
		return []byte{}, true, nil
	case LockPut:
		if l.ShortValue != nil {
			return bytes.Clone(l.ShortValue), true, nil
		}
		val, err = loadValue(snap, encoded, startTS)
		return val, err == nil, err
	default:
		return nil, false, nil
	}
}
