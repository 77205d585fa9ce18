package txn

import (
	"bytes"
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// A flashback gives each key of a range the value again that it had at a version, as a transaction of its own, in two phases
// that the client drives through all regions, one after the other:
//
//	prepare  The region refuses everybody else from now on, see storage.Store. All locks are rolled back. The first key that
//	         has been written since the version is locked: it keeps the region's resolved timestamp from passing the commit.
//	flash    The other keys written since are written again, a batch at a time, at the commit timestamp, which is taken when all
//	         regions are prepared. The first key's lock is committed last, and with it the region; then it serves again.
//
// Both may be repeated, also with new timestamps. History stays: the flashback itself can be undone by another one.

// Bounds of one write of a flashback.
const (
	flashbackKeysMax  = 256
	flashbackBytesMax = 256 << 10
)

// flashback is one request about one region.
type flashback struct {
	m                          *Manager
	at                         storage.Region
	from, to                   []byte // bounds of the user keys
	version, startTS, commitTS uint64
}

// PrepareFlashbackToVersion serves KvPrepareFlashbackToVersion.
func (m *Manager) PrepareFlashbackToVersion(ctx context.Context, req *kvrpcpb.PrepareFlashbackToVersionRequest) (*kvrpcpb.PrepareFlashbackToVersionResponse, error) {
	f := flashback{m: m, at: RegionOf(req.Context), from: req.StartKey, to: req.EndKey, version: req.Version, startTS: req.StartTs}
	text, err := flashbackError(f.prepare(ctx))
	if err != nil {
		return nil, err
	}
	return &kvrpcpb.PrepareFlashbackToVersionResponse{Error: text}, nil
}

// FlashbackToVersion serves KvFlashbackToVersion.
func (m *Manager) FlashbackToVersion(ctx context.Context, req *kvrpcpb.FlashbackToVersionRequest) (*kvrpcpb.FlashbackToVersionResponse, error) {
	f := flashback{
		m: m, at: RegionOf(req.Context), from: req.StartKey, to: req.EndKey,
		version: req.Version, startTS: req.StartTs, commitTS: req.CommitTs,
	}
	text, err := flashbackError(f.finish(ctx))
	if err != nil {
		return nil, err
	}
	return &kvrpcpb.FlashbackToVersionResponse{Error: text}, nil
}

// flashbackError splits an error into the text that a response carries and what the method returns.
func flashbackError(err error) (text string, rest error) {
	if _, ok := mvcc.KeyError(err); ok {
		return err.Error(), nil
	}
	return "", err
}

// prepare is the first phase. That garbage collection has not passed the version is asked once the region is closed to it.
func (f *flashback) prepare(ctx context.Context) error {
	if f.version == 0 || f.version >= f.startTS {
		return &mvcc.AbortError{Reason: fmt.Sprintf("flashback to %d does not go with start_ts %d", f.version, f.startTS)}
	}
	if err := f.m.conc.CheckSafePoint(f.version); err != nil {
		return err
	}
	if err := f.m.store.PrepareFlashback(ctx, f.at, f.startTS); err != nil {
		return err
	}
	f.at.Flashback = true
	if err := f.closeMemory(ctx); err != nil {
		return err
	}
	if err := f.m.conc.CheckSafePoint(f.version); err != nil {
		return join(err, f.m.store.FinishFlashback(ctx, f.at))
	}
	if err := f.rollBackLocks(ctx); err != nil {
		return err
	}
	first, err := f.firstKey(ctx)
	if first == nil || err != nil {
		return err
	}
	return f.write(ctx, [][]byte{first}, func(c *command, keys []txnKey) error { return f.lockFirst(c, keys[0]) })
}

// finish is the second phase.
func (f *flashback) finish(ctx context.Context) error {
	if f.commitTS <= f.startTS || f.version >= f.startTS {
		return &mvcc.AbortError{Reason: fmt.Sprintf("flashback to %d does not go with start_ts %d and commit_ts %d", f.version, f.startTS, f.commitTS)}
	}
	f.at.Flashback = true
	if err := f.rewrite(ctx); err != nil {
		return err
	}
	if err := f.m.store.FinishFlashback(ctx, f.at); err != nil {
		return err
	}
	f.m.memory.unseal(f.at.ID, f.at.Term)
	return nil
}

// closeMemory lets no lock into memory any more that a command has on its way there: it may have looked at the region before
// it was closed.
func (f *flashback) closeMemory(ctx context.Context) error {
	snap, err := f.snapshot(ctx)
	if err != nil {
		return err
	}
	f.m.memory.seal(f.at.ID, f.at.Term, f.at.Epoch.GetVersion())
	return snap.Close()
}

// snapshot takes a view of the region. What follows is for the same leader and the same bounds.
func (f *flashback) snapshot(ctx context.Context) (storage.Snapshot, error) {
	snap, err := f.m.store.Snapshot(ctx, f.at)
	if err != nil {
		return nil, err
	}
	r := snap.Region()
	f.at.Term, f.at.Epoch = snap.Term(), r.GetRegionEpoch()
	if r.FlashbackStartTs != f.startTS {
		return nil, join(notPrepared(r.Id, "for this flashback"), snap.Close())
	}
	return snap, nil
}

func notPrepared(region uint64, detail string) error {
	return &storage.RegionError{Pb: &errorpb.Error{
		Message:              fmt.Sprintf("region %d is not prepared %s", region, detail),
		FlashbackNotPrepared: &errorpb.FlashbackNotPrepared{RegionId: region},
	}}
}

// rollBackLocks rolls back all locks but that of this flashback, whose prepare may be repeated.
func (f *flashback) rollBackLocks(ctx context.Context) error {
	q := lockQuery{start: f.from, end: f.to, limit: flashbackKeysMax, want: f.isForeign}
	for {
		found, rest, err := f.m.findLocks(ctx, f.at, q)
		if err != nil {
			return err
		}
		keys := make([][]byte, len(found))
		for i, l := range found {
			keys[i] = l.Key
		}
		if err := f.write(ctx, keys, f.rollBack); err != nil {
			return err
		}
		f.m.wake(keys)
		if rest == nil {
			return nil
		}
		q.start = rest
	}
}

func (f *flashback) isForeign(l *mvcc.Lock) bool { return l.StartTS != f.startTS }

func (f *flashback) rollBack(c *command, keys []txnKey) error {
	for _, k := range keys {
		l, err := c.lock(k.encoded)
		if err == nil && l != nil && f.isForeign(l) {
			_, err = c.rollbackLock(k.encoded, l, bytes.Equal(l.Primary, k.user))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write is writeKeys for the region in flashback.
func (f *flashback) write(ctx context.Context, keys [][]byte, build func(c *command, keys []txnKey) error) error {
	if len(keys) == 0 {
		return nil
	}
	return f.m.writeAt(ctx, f.at, keys, func(c *command) error { return build(c, encodeKeys(keys)) })
}

// firstKey is the first user key that has been written since the version, nil if there is none.
func (f *flashback) firstKey(ctx context.Context) ([]byte, error) {
	keys, err := f.writtenSince(ctx, f.from, 1)
	if len(keys) == 0 || err != nil {
		return nil, err
	}
	return keys[0], nil
}

// writtenSince lists the first user keys from one on that have records above the version.
func (f *flashback) writtenSince(ctx context.Context, from []byte, limit int) (keys [][]byte, err error) {
	snap, err := f.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = join(err, snap.Close()) }()
	o := storage.IterOptions{CF: storage.CFWrite, MinTS: f.version + 1, NoFillCache: true}
	if len(from) > 0 {
		o.Lower = mvcc.EncodeKey(from)
	}
	if len(f.to) > 0 {
		o.Upper = mvcc.EncodeKey(f.to)
	}
	var last []byte // encoded
	err = walk(ctx, snap, o, func(key, _ []byte) (done bool, err error) {
		encoded, ts, err := mvcc.SplitVersion(key)
		if err != nil || ts <= f.version || bytes.Equal(encoded, last) {
			return false, err
		}
		last = append(last[:0], encoded...)
		user, err := mvcc.DecodeKey(nil, encoded)
		keys = append(keys, user)
		return len(keys) == limit, err
	})
	return keys, err
}

// lockFirst locks the first key with the value that it will have.
func (f *flashback) lockFirst(c *command, k txnKey) error {
	l, err := c.lock(k.encoded)
	if l != nil || err != nil {
		return err
	}
	old, value, err := f.old(c, k.encoded)
	if err != nil {
		return err
	}
	lock := mvcc.Lock{Type: mvcc.LockPut, Primary: k.user, StartTS: f.startTS, ShortValue: old.ShortValue, TxnSize: 1}
	switch {
	case old.Type == mvcc.WriteDelete:
		lock.Type = mvcc.LockDelete
	case value != nil:
		c.putValue(k.encoded, f.startTS, value)
	}
	c.storeLock(k.encoded, &lock)
	return nil
}

// old is the record that gives a key what it had at the version, and its value if that is long.
func (f *flashback) old(c *command, key []byte) (w mvcc.Write, long []byte, err error) {
	v, ok, err := c.reader.NewestData(key, f.version)
	switch {
	case err != nil:
		return w, nil, err
	case !ok || v.Type == mvcc.WriteDelete:
		return mvcc.Write{Type: mvcc.WriteDelete, StartTS: f.startTS}, nil, nil
	case v.ShortValue == nil:
		long, err = c.reader.Value(key, &v.Write)
	}
	return mvcc.Write{Type: mvcc.WritePut, StartTS: f.startTS, ShortValue: bytes.Clone(v.ShortValue)}, long, err
}

// rewrite gives all keys their old values, unless a former try has done it.
func (f *flashback) rewrite(ctx context.Context) error {
	first, err := f.firstKey(ctx)
	if first == nil || err != nil {
		return err
	}
	if done, err := f.committed(ctx, first); done || err != nil {
		return err
	}
	for from := append(bytes.Clone(first), 0); from != nil; {
		if from, err = f.rewriteSome(ctx, from); err != nil {
			return err
		}
	}
	return f.write(ctx, [][]byte{first}, func(c *command, keys []txnKey) error {
		return c.commitKey(keys[0], f.startTS, f.commitTS)
	})
}

// committed tells whether this flashback has committed the first key; if it has not locked it either, the region is not
// prepared for it.
func (f *flashback) committed(ctx context.Context, first []byte) (done bool, err error) {
	err = f.write(ctx, [][]byte{first}, func(c *command, keys []txnKey) error {
		key := keys[0].encoded
		l, err := c.lock(key)
		if err != nil || l != nil && !f.isForeign(l) {
			return err
		}
		v, ok, err := c.reader.Newest(key, f.commitTS)
		if done = ok && v.CommitTS == f.commitTS && v.StartTS == f.startTS; done || err != nil {
			return err
		}
		return notPrepared(f.at.ID, fmt.Sprintf("at key %x", first))
	})
	return done, err
}

// rewriteSome rewrites the first keys from one on, and returns the key to go on from, nil at the end.
func (f *flashback) rewriteSome(ctx context.Context, from []byte) (next []byte, err error) {
	keys, err := f.writtenSince(ctx, from, flashbackKeysMax)
	if len(keys) == 0 || err != nil {
		return nil, err
	}
	if len(keys) == flashbackKeysMax {
		next = append(bytes.Clone(keys[len(keys)-1]), 0)
	}
	err = f.write(ctx, keys, func(c *command, keys []txnKey) error {
		size := 0
		for _, k := range keys {
			if size > flashbackBytesMax {
				next = k.user
				return nil
			}
			n, err := f.rewriteKey(c, k)
			if err != nil {
				return err
			}
			size += n
		}
		return nil
	})
	return next, err
}

// rewriteKey writes a key again, unless its data has not changed since the version, and returns the bytes written.
func (f *flashback) rewriteKey(c *command, k txnKey) (size int, err error) {
	now, ok, err := c.reader.NewestData(k.encoded, mvcc.TSMax)
	switch {
	case err != nil || !ok || now.CommitTS <= f.version || now.CommitTS == f.commitTS:
		return 0, err
	case now.CommitTS > f.commitTS:
		return 0, &mvcc.AbortError{Reason: fmt.Sprintf("commit_ts %d lies below a version of key %x, at %d", f.commitTS, k.user, now.CommitTS)}
	}
	old, long, err := f.old(c, k.encoded)
	if err != nil || now.Type == mvcc.WriteDelete && old.Type == mvcc.WriteDelete {
		return 0, err
	}
	if long != nil {
		c.putValue(k.encoded, f.startTS, long)
	}
	c.putWrite(k.encoded, f.commitTS, &old)
	return len(k.encoded) + len(old.ShortValue) + len(long), nil
}
