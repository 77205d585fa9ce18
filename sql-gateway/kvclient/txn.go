package kvclient

import (
	"context"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// Txn is a transaction: reads see its snapshot and its own writes, which stay in memory until Commit. One goroutine, except
// that its Snapshot may be read concurrently. A pessimistic transaction (BeginPessimistic) can lock keys before; that of a
// bulk write (BeginBulk) sends what it writes on the way.
type Txn struct {
	c       *Client
	startTS uint64
	began   time.Time
	snap    *Snapshot // what reads see
	first   Snapshot  // what they see first
	buf     buffer
	pess    *pessimism // nil: optimistic
	bulk    *bulk      // nil: all writes are in buf

	fence             Fence
	single, impatient bool
	ended             bool // Commit was called, and may be going on in the background
}

// StartTS identifies the transaction.
func (t *Txn) StartTS() uint64 { return t.startTS }

// ReadTS is the timestamp that reads see: StartTS, or a later one between ReadNewest and ReadSnapshot.
func (t *Txn) ReadTS() uint64 { return t.snap.ts }

// ReadNewest makes reads see what has been committed by now, and Lock accept it. Statements that change or lock rows read
// so in a pessimistic transaction.
func (t *Txn) ReadNewest(ctx context.Context) error {
	ts, err := t.c.TS(ctx)
	if err != nil {
		return err
	}
	t.snap = t.c.Snapshot(ts)
	if t.pess != nil {
		t.pess.forUpdateTS = ts
	}
	return nil
}

// ReadSnapshot makes reads see the transaction's snapshot again.
func (t *Txn) ReadSnapshot() {
	if t.snap.ts != t.startTS {
		t.snap = t.c.Snapshot(t.startTS)
	}
}

// Single says that the transaction began with the one statement that it runs. Its start ts then exceeds the commit ts of
// whatever was finished before the statement came, and Commit needs no other.
func (t *Txn) Single() { t.single = true }

// Impatient makes Commit wait for other transactions' locks but for a moment, and then fail with *LockTimeoutError: for
// transactions that can be run again, with Lock. Two that commit may wait for each other, and would not find out.
func (t *Txn) Impatient() { t.impatient = true }

// Fence says, when a transaction is about to commit, up to which timestamp it may. An error ends the transaction.
type Fence func() (max uint64, err error)

// SetFence has Commit ask f before each request that may commit the transaction.
func (t *Txn) SetFence(f Fence) { t.fence = f }

// impatientMax is how long an impatient transaction waits for a lock.
const impatientMax = 50 * time.Millisecond

// Snapshot reads without the transaction's own writes.
func (t *Txn) Snapshot() *Snapshot { return t.snap }

// Get returns nil if the key does not exist.
func (t *Txn) Get(ctx context.Context, key []byte) ([]byte, error) {
	if e := t.buf.get(key); e != nil {
		if e.exists() {
			return e.val, nil
		}
		return nil, nil
	}
	if t.bulk == nil {
		return t.snap.Get(ctx, key)
	}
	found, err := t.BatchGet(ctx, [][]byte{key})
	return found[string(key)], err
}

// BatchGet returns the existing ones of keys.
func (t *Txn) BatchGet(ctx context.Context, keys [][]byte) (map[string][]byte, error) {
	own := map[string][]byte{}
	var under [][]byte
	for _, k := range keys {
		switch e := t.buf.get(k); {
		case e == nil:
			under = append(under, k)
		case e.exists():
			own[string(k)] = e.val
		}
	}
	if t.bulk != nil {
		var err error
		if under, err = t.bulk.batchGet(ctx, under, own); err != nil {
			return nil, err
		}
	}
	if len(under) == 0 {
		return own, nil
	}
	out, err := t.snap.BatchGet(ctx, under)
	if err != nil {
		return nil, err
	}
	for k, v := range own {
		out[k] = v
	}
	return out, nil
}

// Scan iterates r forward, or backward from its end. The transaction must not write while the iterator is in use. In a bulk
// write it shows the snapshot.
func (t *Txn) Scan(ctx context.Context, r KeyRange, reverse bool) Iterator {
	return t.newMerged(ctx, r, reverse)
}

// Set writes key. Neither slice is copied; the caller leaves them alone.
func (t *Txn) Set(key, val []byte) error {
	if len(val) == 0 {
		return ErrEmptyValue
	}
	op := kvrpcpb.Op_Put
	if e := t.buf.get(key); e != nil && (e.op == kvrpcpb.Op_Insert || e.op == kvrpcpb.Op_CheckNotExists) {
		op = kvrpcpb.Op_Insert // the store still has to see that it was free before
	}
	return t.write(key, val, op)
}

// Insert is Set of a key that must not exist: *KeyExistsError at once if this transaction set it, at Commit if the
// store has it.
func (t *Txn) Insert(key, val []byte) error {
	if len(val) == 0 {
		return ErrEmptyValue
	}
	op := kvrpcpb.Op_Insert
	e := t.buf.get(key)
	if e == nil && t.bulk != nil {
		e = t.bulk.underWay(key)
	}
	if e != nil {
		if e.exists() {
			return &KeyExistsError{Key: key}
		}
		if e.op == kvrpcpb.Op_Del {
			op = kvrpcpb.Op_Put // deleted here: nothing left to check
		}
	}
	return t.write(key, val, op)
}

// Delete removes key.
func (t *Txn) Delete(key []byte) error {
	op := kvrpcpb.Op_Del
	if e := t.buf.get(key); e != nil && (e.op == kvrpcpb.Op_Insert || e.op == kvrpcpb.Op_CheckNotExists) {
		op = kvrpcpb.Op_CheckNotExists
	}
	return t.write(key, nil, op)
}

func (t *Txn) write(key, val []byte, op kvrpcpb.Op) error {
	if size := t.buf.bytes + len(key) + len(val); size > t.c.opts.TxnBytesMax {
		return &TxnTooLargeError{Bytes: size, Max: t.c.opts.TxnBytesMax}
	}
	t.buf.set(key, val, op)
	return nil
}

// HasWrites reports whether the buffer has a write in r: then a scan has to go through Scan, not through a pushed DAG. Never
// in a bulk write, whose scans show the snapshot.
func (t *Txn) HasWrites(r KeyRange) bool {
	if len(t.buf.entries) == 0 || t.bulk != nil {
		return false
	}
	for _, i := range t.buf.within(r) {
		if t.buf.entries[i].op != absent {
			return true
		}
	}
	return false
}

// Savepoint marks the present state of the buffer for RollbackTo.
func (t *Txn) Savepoint() int { return len(t.buf.undo) }

// RollbackTo undoes all writes since the savepoint. Not for a bulk write.
func (t *Txn) RollbackTo(savepoint int) { t.buf.rollbackTo(savepoint) }

// Len is the number of keys written, some perhaps counted twice in a bulk write; Bytes the size of the buffer's, with values.
func (t *Txn) Len() int {
	if t.bulk != nil {
		return len(t.buf.entries) + t.bulk.keys
	}
	return len(t.buf.entries)
}
func (t *Txn) Bytes() int { return t.buf.bytes }

// WrittenSince lists the keys that were written since the savepoint, some perhaps twice.
func (t *Txn) WrittenSince(savepoint int) [][]byte { return t.buf.writtenSince(savepoint) }

// Rollback drops the buffer and releases the locks. After Commit it does nothing.
func (t *Txn) Rollback() {
	if t.ended {
		return
	}
	if t.bulk != nil {
		t.bulk.rollback()
	}
	t.release(t.locked())
	t.stopHeartbeat()
	t.buf = buffer{}
}
