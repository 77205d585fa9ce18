package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
)

// The families of the log engine; see the package comment.
const (
	cfEntry storage.CF = 'g'
	cfState storage.CF = 'h'
	cfMark  storage.CF = 'p'
	cfChunk storage.CF = 's'
)

// ErrCorrupt is in the chain of errors about records that cannot be read.
var ErrCorrupt = errors.New("corrupt raft log")

// Log is the raft logs of a store. Safe for concurrent use; each Storage belongs to one goroutine at a time.
type Log struct {
	eng   *engine.Engine
	bytes atomic.Int64
}

// New returns the logs kept in eng, which must have a write-ahead log. The caller closes eng after the last use.
func New(eng *engine.Engine) *Log { return &Log{eng: eng} }

// Bytes is the approximate size of all entries that are not truncated, of the regions opened.
func (l *Log) Bytes() int64 { return l.bytes.Load() }

// Pressure tells how far writes of the log are ahead of its engine.
func (l *Log) Pressure() engine.Pressure { return l.eng.Pressure() }

// StartCompactions is that of the engine.
func (l *Log) StartCompactions() { l.eng.StartCompactions() }

// Regions lists the regions with a stored state, in order.
func (l *Log) Regions() ([]uint64, error) {
	var ids []uint64
	err := l.scan(cfState, nil, nil, func(key, _ []byte) error {
		ids = append(ids, binary.BigEndian.Uint64(key))
		return nil
	})
	return ids, err
}

// EachEntry calls fn for the entries of all logs, by region and index. Their data is valid during the call.
func (l *Log) EachEntry(fn func(region uint64, e *raftpb.Entry) error) error {
	return l.scan(cfEntry, nil, nil, func(key, value []byte) error {
		if len(key) != 16 {
			return fmt.Errorf("%w: key %x of an entry", ErrCorrupt, key)
		}
		e, err := decodeEntry(binary.BigEndian.Uint64(key[8:]), value)
		if err != nil {
			return err
		}
		return fn(binary.BigEndian.Uint64(key), &e)
	})
}

// Marks calls fn for each region that has a mark. The slice is valid during the call.
func (l *Log) Marks(fn func(region uint64, mark []byte) error) error {
	return l.scan(cfMark, nil, nil, func(key, value []byte) error {
		return fn(binary.BigEndian.Uint64(key), value)
	})
}

// Mark returns the mark of a region, nil if it has none.
func (l *Log) Mark(region uint64) ([]byte, error) { return l.eng.Get(cfMark, regionKey(region)) }

// PutChunk stores one chunk of a snapshot being received, durably with the next synced batch.
func (l *Log) PutChunk(receipt, number uint64, data []byte) error {
	b := l.eng.NewBatch()
	b.Put(cfChunk, pairKey(receipt, number), data)
	return errors.Join(b.Commit(false), b.Close())
}

// Chunks returns a reader of the chunks of one receipt in order; Next ends with io.EOF.
func (l *Log) Chunks(receipt uint64) (*ChunkReader, error) {
	it, err := l.eng.NewIterator(storage.IterOptions{
		CF: cfChunk, Lower: pairKey(receipt, 0), Upper: pairKey(receipt+1, 0), NoFillCache: true,
	})
	if err != nil {
		return nil, err
	}
	return &ChunkReader{it: it}, nil
}

// DropChunks removes all chunks but those of the receipts to keep, and returns the greatest receipt seen.
func (l *Log) DropChunks(keep map[uint64]bool) (greatest uint64, err error) {
	b := l.eng.NewBatch()
	err = l.scan(cfChunk, nil, nil, func(key, _ []byte) error {
		receipt := binary.BigEndian.Uint64(key)
		greatest = max(greatest, receipt)
		if !keep[receipt] {
			b.Delete(cfChunk, key)
		}
		return nil
	})
	if err == nil && b.Count() > 0 {
		err = b.Commit(false)
	}
	return greatest, errors.Join(err, b.Close())
}

func (l *Log) scan(cf storage.CF, lower, upper []byte, fn func(key, value []byte) error) error {
	it, err := l.eng.NewIterator(storage.IterOptions{CF: cf, Lower: lower, Upper: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) < 8 {
			err = fmt.Errorf("%w: key %x of family %q", ErrCorrupt, it.Key(), byte(cf))
			break
		}
		if err = fn(it.Key(), it.Value()); err != nil {
			break
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// ChunkReader reads the chunks of a received snapshot.
type ChunkReader struct {
	it      storage.Iterator
	started bool
}

// Next returns the next chunk, valid until the following call, or io.EOF.
func (r *ChunkReader) Next() ([]byte, error) {
	ok := false
	if r.started {
		ok = r.it.Next()
	} else {
		ok, r.started = r.it.First(), true
	}
	if !ok {
		return nil, errors.Join(r.it.Error(), errEOFIfNil(r.it.Error()))
	}
	return r.it.Value(), nil
}

// Close releases the reader.
func (r *ChunkReader) Close() error { return r.it.Close() }

func errEOFIfNil(err error) error {
	if err == nil {
		return io.EOF
	}
	return nil
}

// Batch collects changes of several regions. It belongs to one goroutine.
type Batch struct {
	b    *engine.Batch
	sync bool
}

// NewBatch returns an empty batch. The caller closes it.
func (l *Log) NewBatch() *Batch { return &Batch{b: l.eng.NewBatch()} }

// NeedSync tells whether something collected must be durable before anyone hears of it. Commit indexes alone need not.
func (b *Batch) NeedSync() bool { return b.sync }

// Empty tells whether nothing is collected.
func (b *Batch) Empty() bool { return b.b.Count() == 0 }

// Commit writes what is collected, with one sync if NeedSync, and empties the batch.
func (b *Batch) Commit() error {
	if b.Empty() {
		return nil
	}
	if err := b.b.Commit(b.sync); err != nil {
		return fmt.Errorf("raft log: %w", err)
	}
	b.b.Reset()
	b.sync = false
	return nil
}

// Start is Commit, but returns before the changes are durable: Wait is to be called next, by any goroutine. What follows in
// other batches becomes durable after it, and can be started before.
func (b *Batch) Start() error {
	if err := b.b.Start(); err != nil {
		return fmt.Errorf("raft log: %w", err)
	}
	return nil
}

// Wait ends a Start: the changes are durable, and the batch is empty.
func (b *Batch) Wait() error {
	if err := b.b.Wait(); err != nil {
		return fmt.Errorf("raft log: %w", err)
	}
	b.b.Reset()
	b.sync = false
	return nil
}

// Close releases the batch.
func (b *Batch) Close() error { return b.b.Close() }

// SetMark sets the mark of a region, or removes it if nil; the commit will sync.
func (b *Batch) SetMark(region uint64, mark []byte) {
	b.sync = true
	if mark == nil {
		b.b.Delete(cfMark, regionKey(region))
		return
	}
	b.b.Put(cfMark, regionKey(region), mark)
}

// DropChunks removes the chunks of a receipt.
func (b *Batch) DropChunks(receipt uint64) {
	b.b.DeleteRange(cfChunk, pairKey(receipt, 0), pairKey(receipt+1, 0))
}

func regionKey(region uint64) []byte { return binary.BigEndian.AppendUint64(nil, region) }

func pairKey(a, b uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), a), b)
}

// stateBytes is the length of the record of family 'h'.
const (
	stateFormat = 1
	stateBytes  = 1 + 5*8
)

func encodeState(hs raftpb.HardState, truncated position) []byte {
	b := append(make([]byte, 0, stateBytes), stateFormat)
	for _, v := range [...]uint64{hs.Term, hs.Vote, hs.Commit, truncated.index, truncated.term} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func decodeState(b []byte) (hs raftpb.HardState, truncated position, err error) {
	if len(b) != stateBytes || b[0] != stateFormat {
		return hs, truncated, fmt.Errorf("%w: state of %d bytes", ErrCorrupt, len(b))
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	hs = raftpb.HardState{Term: at(0), Vote: at(1), Commit: at(2)}
	return hs, position{at(3), at(4)}, nil
}

// entryHeader is the length of an entry's record before its data.
const entryHeader = 1 + 8

// entryHead is the record of e up to its data.
func entryHead(e *raftpb.Entry) (head [entryHeader]byte) {
	head[0] = byte(e.Type)
	binary.BigEndian.PutUint64(head[1:], e.Term)
	return head
}

func decodeTerm(index uint64, value []byte) (uint64, error) {
	if len(value) < entryHeader || value[0] > byte(raftpb.EntryConfChangeV2) {
		return 0, fmt.Errorf("%w: entry %d of %d bytes", ErrCorrupt, index, len(value))
	}
	return binary.BigEndian.Uint64(value[1:]), nil
}

// decodeEntry copies the data out of value.
func decodeEntry(index uint64, value []byte) (raftpb.Entry, error) {
	term, err := decodeTerm(index, value)
	if err != nil {
		return raftpb.Entry{}, err
	}
	e := raftpb.Entry{Type: raftpb.EntryType(value[0]), Term: term, Index: index}
	if data := value[entryHeader:]; len(data) > 0 {
		e.Data = append([]byte(nil), data...)
	}
	return e, nil
}
