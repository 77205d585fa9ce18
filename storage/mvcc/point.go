package mvcc

import (
	"errors"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
)

// PointReader reads single keys of one snapshot under the same options. It belongs to one goroutine.
type PointReader struct {
	snap    storage.Snapshot
	opts    ReadOptions
	it      storage.Iterator // CFWrite
	encoded []byte
	seek    []byte
}

// NewPointReader returns a reader; the snapshot must outlive it.
func NewPointReader(snap storage.Snapshot, o ReadOptions) *PointReader {
	return &PointReader{snap: snap, opts: o}
}

// Get reads one key of a snapshot; see PointReader.Get.
func Get(snap storage.Snapshot, key []byte, o ReadOptions) (val []byte, commitTS uint64, err error) {
	p := NewPointReader(snap, o)
	val, commitTS, err = p.Get(key)
	if closed := p.Close(); err == nil {
		err = closed
	}
	return val, commitTS, err
}

// Get returns the visible value of a user key, nil if there is none, and its commit timestamp, which is 0 if the value was
// read through a lock. The value is the caller's. Errors about the key itself are *LockedError and *ConflictError.
func (p *PointReader) Get(key []byte) (val []byte, commitTS uint64, err error) {
	p.encoded = AppendKey(p.encoded[:0], key)
	val, accessed, err := p.throughLock(key)
	if accessed || err != nil {
		return val, 0, err
	}
	if p.it == nil {
		o := storage.IterOptions{CF: storage.CFWrite, Prefix: true, NoFillCache: p.opts.NoFillCache}
		if p.it, err = p.snap.NewIterator(o); err != nil {
			return nil, 0, err
		}
	}
	return p.newest(key)
}

// Close releases the reader.
func (p *PointReader) Close() error {
	if p.it == nil {
		return nil
	}
	return p.it.Close()
}

// throughLock looks at the key's lock. accessed says that the lock answers the read.
func (p *PointReader) throughLock(key []byte) (val []byte, accessed bool, err error) {
	if p.opts.Isolation == kvrpcpb.IsolationLevel_RC {
		return nil, false, nil
	}
	record, err := p.snap.Get(storage.CFLock, p.encoded)
	if record == nil || err != nil {
		return nil, false, err
	}
	l, err := ParseLock(record)
	if err != nil {
		return nil, false, err
	}
	accessed, err = p.opts.check(&l, key)
	if !accessed || err != nil || l.Type != LockPut {
		return nil, accessed, err
	}
	val, err = p.value(l.ShortValue, l.StartTS)
	return val, true, err
}

// newest walks the versions from the timestamp down, or, where newer ones are an error, from the top.
func (p *PointReader) newest(key []byte) ([]byte, uint64, error) {
	from := p.opts.TS
	if p.opts.checksNewer() {
		from = TSMax
	}
	p.seek = AppendVersion(p.seek[:0], p.encoded, from)
	for valid := p.it.SeekGE(p.seek); valid; valid = p.it.Next() {
		encoded, ts, err := SplitVersion(p.it.Key())
		if err != nil {
			return nil, 0, err
		}
		if string(encoded) != string(p.encoded) {
			break
		}
		w, err := ParseWrite(p.it.Value())
		if err != nil {
			return nil, 0, errors.Join(p.it.Error(), err)
		}
		if ts > p.opts.TS {
			if err := p.opts.newer(&w, ts, key); err != nil {
				return nil, 0, err
			}
			continue
		}
		if w.ChangesData() {
			return p.version(&w, ts)
		}
	}
	return nil, 0, p.it.Error()
}

func (p *PointReader) version(w *Write, ts uint64) ([]byte, uint64, error) {
	if w.Type == WriteDelete || w.collected(p.opts.TS) {
		return nil, 0, nil
	}
	val, err := p.value(w.ShortValue, w.StartTS)
	return val, ts, err
}

// value returns the caller's copy of a short value or loads the long one.
func (p *PointReader) value(short []byte, startTS uint64) ([]byte, error) {
	if short != nil {
		return append([]byte{}, short...), nil
	}
	return loadValue(p.snap, p.encoded, startTS)
}
