package txn

import (
	"bytes"
	"context"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/engine"
	"github.com/scree-db/scree/storage/mvcc"
)

// Bounds of one step of a collection: it looks at that many records, or finds that many keys, and its write has that
// many changes, or a few more.
const (
	gcRecordsMax = 16 << 10
	gcKeysMax    = 2048
	gcChangesMax = 4096
)

// GCOptions say what to collect, and how gently.
type GCOptions struct {
	// SafePoint is the timestamp below which nobody reads any more. The caller has seen to it: no lock of a transaction that
	// began at or below it is left, and Concurrency refuses reads below it.
	SafePoint uint64
	// Pause, if set, is called after each step with the number of records looked at. Its error ends the collection.
	Pause func(ctx context.Context, records int) error
}

// GCStats tell what a collection found.
type GCStats struct {
	Records  int // write records looked at
	Keys     int // keys with something to collect
	Versions int // write records deleted
	// NextTS is the least safe point at which something that was left becomes garbage, mvcc.TSMax if nothing will without
	// new writes.
	NextTS uint64
}

// GC deletes the versions of a region that no read at or above the safe point can see: all but the newest put at or below
// it, that is older versions, delete marks, and the records of rollbacks and locks.
//
// Keys are found on snapshots and cleaned under their latches: a rollback may be about to rewrite an old record to leave
// its mark in it, and must not bring it back. A protected rollback goes like the others: it keeps a late prewrite of its
// transaction out, and a transaction that old has no client left.
//
// Deletions are replicated like any other write, so that replicas stay the same, byte for byte. A *storage.RegionError ends the
// collection where the region has changed; what was done until then is not in vain.
func (m *Manager) GC(ctx context.Context, pb *kvrpcpb.Context, o GCOptions) (GCStats, error) {
	g := &collection{m: m, pb: pb, opts: o, stats: GCStats{NextTS: mvcc.TSMax}}
	for {
		looked := g.stats.Records
		more, err := g.step(ctx)
		if err == nil && o.Pause != nil {
			err = o.Pause(ctx, g.stats.Records-looked)
		}
		if err != nil || !more {
			return g.stats, err
		}
	}
}

// collection is one run of GC over a region.
type collection struct {
	m     *Manager
	pb    *kvrpcpb.Context
	opts  GCOptions
	stats GCStats
	next  []byte // the encoded key to go on from
}

// step finds some keys and cleans them.
func (g *collection) step(ctx context.Context) (more bool, err error) {
	f := finder{safePoint: g.opts.SafePoint, nextTS: mvcc.TSMax}
	if err := f.find(ctx, g.m.store, RegionOf(g.pb), g.next); err != nil {
		return false, err
	}
	g.stats.Records += f.records
	g.stats.NextTS = min(g.stats.NextTS, f.nextTS)
	unfinished, err := g.clean(ctx, f.keys)
	if err != nil {
		return false, err
	}
	g.next = f.rest
	if unfinished != nil {
		g.next = unfinished
	}
	return g.next != nil, nil
}

// finder looks for keys with garbage.
type finder struct {
	safePoint uint64
	keys      [][]byte // user keys
	records   int
	nextTS    uint64
	rest      []byte // the encoded key to go on from, nil at the end of the region

	current []byte // the encoded key being looked at
	kept    bool   // its visible version has been passed
	found   bool   // it is in keys
	newer   uint64 // its data version above the safe point that was passed last
}

func (f *finder) find(ctx context.Context, store storage.Store, at storage.Region, from []byte) error {
	snap, err := store.Snapshot(ctx, at)
	if err != nil {
		return err
	}
	err = walk(ctx, snap, storage.IterOptions{CF: storage.CFWrite, Lower: from, NoFillCache: true}, f.look)
	return join(err, snap.Close())
}

// look takes one record in; done says that the step is long enough.
func (f *finder) look(key, val []byte) (done bool, err error) {
	encoded, ts, err := mvcc.SplitVersion(key)
	if err != nil {
		return true, err
	}
	if !bytes.Equal(encoded, f.current) {
		if len(f.keys) >= gcKeysMax || f.records >= gcRecordsMax {
			f.rest = bytes.Clone(encoded)
			return true, nil
		}
		f.current, f.kept, f.found, f.newer = append(f.current[:0], encoded...), false, false, 0
	}
	f.records++
	if f.newer != 0 {
		f.nextTS = min(f.nextTS, f.newer) // then this record is an old version
	}
	if f.found {
		return false, nil
	}
	w, err := mvcc.ParseWrite(val)
	if err != nil {
		return true, err
	}
	switch {
	case ts > f.safePoint:
		f.ahead(&w, ts)
	case w.Type == mvcc.WritePut && !f.kept:
		f.kept = true
	default:
		f.found = true
		user, err := mvcc.DecodeKey(nil, encoded)
		f.keys = append(f.keys, user)
		return false, err
	}
	return false, nil
}

// ahead notes when a record above the safe point, or what it hides, will be garbage.
func (f *finder) ahead(w *mvcc.Write, ts uint64) {
	if w.Type != mvcc.WritePut {
		f.nextTS = min(f.nextTS, ts)
	}
	if w.ChangesData() {
		f.newer = ts
	}
}

// clean deletes the garbage of keys, or of the first ones. It returns the encoded key to go on from if some is left.
func (g *collection) clean(ctx context.Context, keys [][]byte) (unfinished []byte, err error) {
	err = g.m.writeKeys(ctx, g.pb, keys, func(c *command, keys []txnKey) error {
		for _, k := range keys {
			n, done, err := c.collectKey(k.encoded, g.opts.SafePoint)
			if err != nil {
				return err
			}
			g.stats.Versions += n
			if !done {
				unfinished = k.encoded
				return nil
			}
			g.stats.Keys++
		}
		return nil
	})
	return unfinished, err
}

// collectKey deletes the versions at or below the safe point but for the one that is visible there, and returns how many.
// done is false if the command has become large enough before that.
//
// A delete mark goes only with or after all that it hides: a part of the work, done alone, must not let an older version
// come to light.
func (c *command) collectKey(key []byte, safePoint uint64) (n int, done bool, err error) {
	var mark uint64  // a delete mark that is the visible version
	decided := false // the visible version has been passed
	g := garbage{c: c, key: key}
	v, ok, err := c.reader.Newest(key, safePoint)
	for ; ok; v, ok, err = c.reader.Older(key) {
		switch {
		case decided || !v.ChangesData():
			if !g.add(&v) {
				return g.n, false, nil
			}
		case v.Type == mvcc.WriteDelete:
			decided, mark = true, v.CommitTS
			g.flush()
		default:
			decided = true
			g.flush()
		}
	}
	if err != nil {
		return 0, false, err
	}
	g.flush()
	if mark != 0 {
		c.deleteWrite(key, mark)
		g.n++
	}
	return g.n, true, nil
}

// gcRunMax bounds the versions of a key that one command looks at.
const gcRunMax = 64 << 10

// garbage deletes versions of one key, neighbours together.
type garbage struct {
	c           *command
	key         []byte
	n           int
	run         []uint64 // up to engine.RangeWorth commit timestamps of a row of neighbours
	length      int
	first, last uint64 // commit timestamps of the row's ends
}

// add takes one version; false means that there have been enough, and everything taken is deleted.
func (g *garbage) add(v *mvcc.Version) bool {
	if len(g.c.mods) >= gcChangesMax || g.n >= gcRunMax {
		g.flush()
		return false
	}
	if g.length == 0 {
		g.first = v.CommitTS
	}
	if g.length < engine.RangeWorth {
		g.run = append(g.run, v.CommitTS)
	}
	g.last = v.CommitTS
	g.length++
	g.n++
	if v.Type == mvcc.WritePut && v.ShortValue == nil {
		g.c.delete(storage.CFDefault, g.c.versionKey(g.key, v.StartTS))
	}
	return true
}

// flush deletes the row of neighbours.
func (g *garbage) flush() {
	if g.length >= engine.RangeWorth {
		g.c.mods = append(g.c.mods, storage.Modify{
			Op: storage.OpDeleteRange, CF: storage.CFWrite,
			Key: g.c.versionKey(g.key, g.first), EndKey: append(g.c.versionKey(g.key, g.last), 0),
		})
	} else {
		for _, ts := range g.run {
			g.c.deleteWrite(g.key, ts)
		}
	}
	g.run, g.length = g.run[:0], 0
}
