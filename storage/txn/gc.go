package txn

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// gcBatch is the number of keys cleaned by one write.
const gcBatch = 256

// GCStats counts what a collection did.
type GCStats struct {
	Keys     int // keys with something to collect
	Versions int // write records deleted
}

// GC deletes the versions of a region that no read at or above safePoint can see: all but the newest put at or below it, that
// is older versions, delete markers, and the records of rollbacks and locks. The caller has seen to it that no lock of
// a transaction that began at or below the safe point is left, and that nobody reads below it.
//
// Keys are found on snapshots and cleaned under their latches: a rollback may be about to rewrite an old record to leave
// its mark in it, and must not bring it back.
func (m *Manager) GC(ctx context.Context, pb *kvrpcpb.Context, safePoint uint64) (stats GCStats, err error) {
	var next []byte
	for {
		keys, rest, err := m.findGarbage(ctx, pb, next, safePoint)
		if err != nil {
			return stats, err
		}
		if err := m.collect(ctx, pb, keys, safePoint, &stats); err != nil {
			return stats, err
		}
		if rest == nil {
			return stats, nil
		}
		next = rest
	}
}

// findGarbage returns up to gcBatch user keys from an encoded key on that have something to collect, and the encoded key
// to go on from, nil at the end.
func (m *Manager) findGarbage(ctx context.Context, pb *kvrpcpb.Context, from []byte, safePoint uint64) (keys [][]byte, rest []byte, err error) {
	snap, err := m.store.Snapshot(ctx, RegionOf(pb))
	if err != nil {
		return nil, nil, err
	}
	var current []byte // the encoded key being looked at
	kept, found := false, false
	err = walk(ctx, snap, storage.IterOptions{CF: storage.CFWrite, Lower: from, NoFillCache: true}, func(key, val []byte) (bool, error) {
		encoded, ts, err := mvcc.SplitVersion(key)
		if err != nil {
			return true, err
		}
		if !bytes.Equal(encoded, current) {
			if len(keys) == gcBatch {
				rest = bytes.Clone(encoded)
				return true, nil
			}
			current, kept, found = append(current[:0], encoded...), false, false
		}
		if ts > safePoint || found {
			return false, nil
		}
		w, err := mvcc.ParseWrite(val)
		if err != nil {
			return true, err
		}
		if !kept && w.Type == mvcc.WritePut {
			kept = true
			return false, nil
		}
		found = true
		user, err := mvcc.DecodeKey(nil, encoded)
		keys = append(keys, user)
		return false, err
	})
	return keys, rest, join(err, snap.Close())
}

func (m *Manager) collect(ctx context.Context, pb *kvrpcpb.Context, keys [][]byte, safePoint uint64, stats *GCStats) error {
	return m.writeKeys(ctx, pb, keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			if err := c.collectKey(k.encoded, safePoint); err != nil {
				return err
			}
		}
		stats.Keys += len(keys)
		for i := range c.mods {
			if c.mods[i].CF == storage.CFWrite {
				stats.Versions++
			}
		}
		return nil
	})
}

// collectKey deletes the versions at or below the safe point but for the one that is visible there.
func (c *command) collectKey(key []byte, safePoint uint64) error {
	decided := false // the visible version, or its deletion, has been passed
	v, ok, err := c.reader.Newest(key, safePoint)
	for ; ok; v, ok, err = c.reader.Older(key) {
		if !decided && v.Type == mvcc.WritePut {
			decided = true
			continue
		}
		decided = decided || v.Type == mvcc.WriteDelete
		c.deleteWrite(key, v.CommitTS)
		if v.Type == mvcc.WritePut && v.ShortValue == nil {
			c.delete(storage.CFDefault, c.versionKey(key, v.StartTS))
		}
	}
	return err
}
