package engine

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/scree-db/scree/storage"
)

// Batch collects changes to commit them as one. Errors of a collecting call are kept and returned by Commit. A Batch
// belongs to one goroutine. Slices passed in may be reused afterwards.
type Batch struct {
	e       *Engine
	b       *pebble.Batch
	sampled batchSamples
	locks   presenceChanges
	err     error
}

// batchRetained is up to how much memory an emptied batch keeps for its next use.
const batchRetained = 8 << 20

// NewBatch returns an empty batch. The caller closes it.
func (e *Engine) NewBatch() *Batch {
	return &Batch{e: e, b: e.db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchRetained))}
}

// Put sets key.
func (b *Batch) Put(cf storage.CF, key, value []byte) {
	op := b.b.SetDeferred(1+len(key), len(value))
	op.Key[0] = byte(cf)
	copy(op.Key[1:], key)
	copy(op.Value, value)
	b.keep(op.Finish())
	b.sampled.put(cf, key, len(key)+len(value))
	b.noteLock(storage.OpPut, cf, key, nil)
}

// noteLock notes a change for what the engine knows of storage.CFLock.
func (b *Batch) noteLock(op storage.Op, cf storage.CF, key, end []byte) {
	if cf == storage.CFLock {
		b.e.presence.collect(&b.locks, op, key, end)
	}
}

// PutJoined sets key to head and tail, one behind the other.
func (b *Batch) PutJoined(cf storage.CF, key, head, tail []byte) {
	op := b.b.SetDeferred(1+len(key), len(head)+len(tail))
	op.Key[0] = byte(cf)
	copy(op.Key[1:], key)
	copy(op.Value[copy(op.Value, head):], tail)
	b.keep(op.Finish())
	b.sampled.put(cf, key, len(key)+len(head)+len(tail))
}

// Delete removes key.
func (b *Batch) Delete(cf storage.CF, key []byte) {
	op := b.b.DeleteDeferred(1 + len(key))
	op.Key[0] = byte(cf)
	copy(op.Key[1:], key)
	b.keep(op.Finish())
	b.sampled.delete(cf, key)
	b.noteLock(storage.OpDelete, cf, key, nil)
}

// DeleteRange removes the keys in [start, end); nil bounds are the family's ends.
func (b *Batch) DeleteRange(cf storage.CF, start, end []byte) {
	lower, upper := familyBounds(cf, start, end)
	b.keep(b.b.DeleteRange(lower, upper, nil))
	b.sampled.ranges++
	b.noteLock(storage.OpDeleteRange, cf, start, end)
}

// Apply adds the changes in order.
func (b *Batch) Apply(mods []storage.Modify) {
	for i := range mods {
		switch m := &mods[i]; m.Op {
		case storage.OpPut:
			b.Put(m.CF, m.Key, m.Value)
		case storage.OpDelete:
			b.Delete(m.CF, m.Key)
		case storage.OpDeleteRange:
			b.DeleteRange(m.CF, m.Key, m.EndKey)
		default:
			b.keep(fmt.Errorf("unknown operation %d", m.Op))
		}
	}
}

// Len is the size of the batch in bytes.
func (b *Batch) Len() int { return b.b.Len() }

// Count is the number of changes in the batch.
func (b *Batch) Count() int { return int(b.b.Count()) }

// Reset empties the batch, keeping some of its memory.
func (b *Batch) Reset() {
	b.b.Reset()
	b.sampled.reset()
	b.locks.reset()
	b.err = nil
}

// Commit makes the changes visible, all or none. With sync it returns once they are durable, too; without a write-ahead
// log there is nothing to sync. After an error the batch was not applied.
func (b *Batch) Commit(sync bool) error {
	o := pebble.NoSync
	if sync && !b.e.disableWAL {
		o = pebble.Sync
	}
	return b.apply(func() error { return b.b.Commit(o) })
}

// Start makes the changes visible, and returns before they are durable: Wait has to be called next. Batches become durable in
// the order in which they are committed. The engine must have a write-ahead log.
func (b *Batch) Start() error {
	return b.apply(func() error { return b.e.db.ApplyNoSyncWait(b.b, pebble.Sync) })
}

// Wait returns once the changes of a started batch are durable. It may be called by another goroutine than Start was.
func (b *Batch) Wait() error {
	if err := b.b.SyncWait(); err != nil {
		return fmt.Errorf("sync batch: %w", err)
	}
	return nil
}

func (b *Batch) apply(commit func() error) error {
	if b.err != nil {
		return fmt.Errorf("batch: %w", b.err)
	}
	if err := commit(); err != nil {
		return fmt.Errorf("commit batch: %w", err)
	}
	b.e.unflushed.add(&b.sampled)
	b.e.presence.settle(&b.locks)
	return b.e.views.committed()
}

// Close releases the batch.
func (b *Batch) Close() error { return b.b.Close() }

func (b *Batch) keep(err error) {
	if b.err == nil {
		b.err = err
	}
}
