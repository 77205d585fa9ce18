package kvclient

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// bulk is what a transaction has whose writes do not fit in memory. It flushes: when the buffer is full, it becomes a
// generation that goes to the stores as locks, in the background, while the next buffer is filled. Of a key that is
// flushed several times the last generation counts. Commit flushes the rest, commits the primary key, and has all locks
// in between the least and the greatest key resolved in the background.
//
// Memory: the buffer and the generation under way, Options.FlushBytes each and some 100 bytes a key beside them, and the
// requests of the latter.
//
// Reads of the snapshot do not meet the transaction's own locks: those say that it will commit above its start ts, at which
// it reads. So a scan never shows what the transaction has written, and Get and BatchGet look for it: in the buffer, in the
// generation under way, and in the stores.
type bulk struct {
	t          *Txn
	generation uint64             // of the last flush that began; 0: none did
	flushing   *buffer            // that generation, while it is under way, and if it failed
	done       chan error         // of capacity 1: gets the outcome; nil: no flush is under way
	cancel     context.CancelFunc // ends the flush under way
	err        error              // why a flush failed: the transaction cannot go on

	keys     int      // in all generations
	span     KeyRange // from the least to the greatest key of all generations
	primary  []byte   // nil: no lock was asked for yet
	stopBeat func()   // ends the heartbeat; nil while the primary's lock is not there
}

// BeginBulk starts an optimistic transaction that writes more than fits in memory: its owner calls Relieve now and then. It
// cannot be undone in part. Scans show its snapshot and not what it writes. A conflict that a flush meets fails the
// transaction.
func (c *Client) BeginBulk(ctx context.Context) (*Txn, error) {
	t, err := c.Begin(ctx)
	if err == nil {
		t.bulk = &bulk{t: t}
	}
	return t, err
}

// Bulk reports whether the transaction is a bulk write.
func (t *Txn) Bulk() bool { return t.bulk != nil }

// Flushed reports whether something was flushed, or was about to be.
func (t *Txn) Flushed() bool { return t.bulk != nil && t.bulk.generation > 0 }

// Relieve flushes a bulk write's buffer if it is full; for others it does nothing. See Flush.
func (t *Txn) Relieve(ctx context.Context) error {
	const entryBytes = 100 // of a key, beside it and its value
	if t.bulk == nil || t.buf.bytes+entryBytes*len(t.buf.entries) < t.c.opts.FlushBytes {
		return nil
	}
	return t.Flush(ctx)
}

// Flush begins to send what a bulk write has in its buffer, under ctx, once the flush before has ended. It returns the error
// of that one: what Commit may return, but that nothing is committed for sure. The transaction is to be rolled back then.
func (t *Txn) Flush(ctx context.Context) error {
	b := t.bulk
	if b == nil {
		return nil
	}
	if err := b.await(); err != nil {
		return err
	}
	f := b.newFlush()
	if len(f.items) == 0 {
		return nil
	}
	ctx, b.cancel = context.WithCancel(ctx)
	b.done = make(chan error, 1)
	go func(done chan<- error) { done <- f.run(ctx) }(b.done)
	return nil
}

// await waits for the flush under way.
func (b *bulk) await() error {
	if b.done == nil {
		return b.err
	}
	b.err = <-b.done
	b.cancel()
	b.done = nil
	if b.err == nil {
		b.flushing = nil
	}
	return b.err
}

// underWay returns the entry of a key in the generation under way, nil if there is none.
func (b *bulk) underWay(key []byte) *entry {
	if b.flushing == nil {
		return nil
	}
	return b.flushing.get(key)
}

// batchGet puts what has been flushed of keys into found, and returns those of which nothing has.
func (b *bulk) batchGet(ctx context.Context, keys [][]byte, found map[string][]byte) (rest [][]byte, err error) {
	var ask [][]byte
	earlier := b.generation > 1 || b.generation == 1 && b.flushing == nil
	for _, k := range keys {
		switch e := b.underWay(k); {
		case e != nil && e.exists():
			found[string(k)] = e.val
		case e != nil: // deleted
		case earlier && b.span.contains(k):
			ask = append(ask, k)
		default:
			rest = append(rest, k)
		}
	}
	if len(ask) == 0 {
		return rest, nil
	}
	flushed, err := b.t.snap.flushed(ctx, ask)
	if err != nil {
		return nil, err
	}
	for _, k := range ask {
		switch val, ok := flushed[string(k)]; {
		case !ok:
			rest = append(rest, k)
		case len(val) > 0:
			found[string(k)] = val
		}
	}
	return rest, nil
}

// commit sends what is left and makes the commit point.
func (b *bulk) commit(ctx context.Context) error {
	t := b.t
	err := t.Flush(ctx)
	if err == nil {
		err = b.await()
	}
	if err != nil {
		b.rollback()
		return err
	}
	if b.primary == nil {
		return nil // there was nothing but to check
	}
	cm := &committer{c: t.c, startTS: t.startTS, fence: t.fence, primary: b.primary}
	commitTS, err := cm.commitPrimary(ctx, t.c.newBackoff(t.c.opts.WriteBudget))
	switch {
	case err == nil:
		b.stop()
		b.resolveLater(commitTS)
	case cm.open && !refused(err):
		b.stop()
		err = &UndeterminedError{Cause: err}
	default:
		b.rollback()
	}
	return err
}

// stop ends the heartbeat.
func (b *bulk) stop() {
	if b.stopBeat != nil {
		b.stopBeat()
		b.stopBeat = nil
	}
}

// rollback ends the flush under way and has the locks removed in the background.
func (b *bulk) rollback() {
	if b.done != nil {
		b.cancel()
		_ = b.await() // what has come of it does not matter any more
	}
	b.stop()
	if b.primary != nil {
		b.resolveLater(0)
	}
}

// resolveLater commits the locks in the background, or rolls them back if commitTS is 0. Whatever fails is left to those
// who meet the locks.
func (b *bulk) resolveLater(commitTS uint64) {
	c, startTS, primary, span := b.t.c, b.t.startTS, b.primary, b.span
	c.spawn(func(ctx context.Context) {
		var err error
		if commitTS == 0 {
			err = c.rollbackPrimary(ctx, startTS, primary)
		}
		if err == nil {
			err = c.resolveSpan(ctx, startTS, commitTS, span)
		}
		if err != nil {
			c.opts.Logger.Warn("locks of a bulk write are left to those who meet them", "start_ts", startTS, "commit_ts", commitTS, "err", err)
		}
	})
}

// flush is one generation on its way.
type flush struct {
	b          *bulk
	generation uint64
	buf        *buffer
	items      []int32 // by key
	primary    []byte
	// head is the item of the primary, where its lock is not there yet: it goes first, with what lies around it, as locks
	// without a primary look like those of a dead client. -1: it is there, or no lock is asked for.
	head int32
	age  time.Duration
}

// newFlush makes the buffer a generation, and a new buffer. Without items there is nothing to flush.
func (b *bulk) newFlush() *flush {
	t := b.t
	buf := new(buffer)
	*buf, t.buf = t.buf, buffer{}
	f := &flush{b: b, buf: buf, head: -1, age: t.c.opts.Now().Sub(t.began)}
	for _, i := range buf.order() {
		switch buf.entries[i].mutation() {
		case absent:
			continue
		case kvrpcpb.Op_CheckNotExists:
		default:
			if b.primary == nil {
				b.primary, f.head = bytes.Clone(buf.entries[i].key), i // apart from the memory of the buffer
			}
		}
		f.items = append(f.items, i)
	}
	if len(f.items) == 0 {
		return f
	}
	b.generation++
	b.flushing = buf
	b.keys += len(f.items)
	first, last := buf.entries[f.items[0]].key, buf.entries[f.items[len(f.items)-1]].key
	b.span.extend(first, last)
	f.generation, f.primary = b.generation, b.primary
	if f.primary == nil {
		f.primary = first
	}
	return f
}

// extend makes a range reach from first to last, and further where it did.
func (r *KeyRange) extend(first, last []byte) {
	if r.End == nil || bytes.Compare(first, r.Start) < 0 {
		r.Start = bytes.Clone(first)
	}
	if bytes.Compare(last, r.End) >= 0 {
		r.End = append(bytes.Clone(last), 0)
	}
}

func (f *flush) run(ctx context.Context) error {
	c := f.b.t.c
	bo := c.newBackoff(c.opts.WriteBudget)
	batches, err := c.cut(ctx, bo, f.buf, f.items)
	if err != nil {
		return err
	}
	if f.head >= 0 {
		i := slices.IndexFunc(batches, func(b itemBatch) bool { return slices.Contains(b.items, f.head) })
		if err := f.batch(ctx, bo, batches[i]); err != nil {
			return err
		}
		f.b.stopBeat = c.keepAlive(f.b.t.startTS, f.primary, f.age, lockTTLMax, bulkLifeMax)
		if batches = slices.Delete(batches, i, i+1); len(batches) == 0 {
			return nil
		}
	}
	return c.sendBatches(ctx, bo, batches, f.batch)
}

// batch sends one batch until its locks are there.
func (f *flush) batch(ctx context.Context, bo *Backoff, b itemBatch) error {
	c := f.b.t.c
	req := &kvrpcpb.FlushRequest{
		PrimaryKey: f.primary, StartTs: f.b.t.startTS, MinCommitTs: f.b.t.startTS + 1, Generation: f.generation,
		LockTtl: uint64((f.age + lockTTLMax) / time.Millisecond), Mutations: f.buf.mutations(b.items),
	}
	through, err := c.takeLocks(ctx, bo, b.region, req.Mutations[0].Key, c.opts.WriteBudget,
		func(st Store, r *Region) (*errorpb.Error, []*kvrpcpb.KeyError, error) {
			req.Context = r.Context()
			resp, err := st.KvFlush(ctx, req)
			return resp.GetRegionError(), resp.GetErrors(), err
		})
	if err != nil || through {
		return err
	}
	batches, err := c.cut(ctx, bo, f.buf, b.items)
	if err != nil {
		return err
	}
	return c.sendBatches(ctx, bo, batches, f.batch)
}
