package columnar

import (
	"errors"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// changes finds the blocks of segments in whose spans something was committed between the segment's timestamp and ts, or a
// lock is. The first find in a block is enough: the search goes on behind it.
type changes struct {
	snap storage.Snapshot
	ts   uint64
	// left is how many more changed blocks there may be. Below 0 the search ends: it is not worth going on.
	left  int
	newer bool // a version above ts or a lock was met

	above int // versions above ts met in a row
	seek  []byte
}

// find marks the changed blocks of v.
func (c *changes) find(v *view) error {
	lower, upper := v.spanStart(v.from), v.spanEnd()
	if err := c.findLocks(v, lower, upper); err != nil || c.left < 0 {
		return err
	}
	it, err := c.snap.NewIterator(storage.IterOptions{
		CF: storage.CFWrite, Lower: lower, Upper: upper, MinTS: v.ts + 1, NoFillCache: true,
	})
	if err != nil {
		return err
	}
	err = c.findRecords(v, it)
	return errors.Join(err, it.Error(), it.Close())
}

// findLocks marks the blocks with locks, whatever these mean to the reader: the row scanner knows.
func (c *changes) findLocks(v *view, lower, upper []byte) error {
	it, err := c.snap.NewIterator(storage.IterOptions{CF: storage.CFLock, Lower: lower, Upper: upper})
	if err != nil {
		return err
	}
	for valid := it.First(); valid && c.left >= 0; {
		c.newer = true
		valid = c.pass(v, it, it.Key())
	}
	return errors.Join(it.Error(), it.Close())
}

// findRecords looks at the records of CFWrite that the block property does not tell to be old. Most of them are old, too.
func (c *changes) findRecords(v *view, it storage.Iterator) error {
	for valid := it.First(); valid && c.left >= 0; {
		key, ts, err := mvcc.SplitVersion(it.Key())
		switch {
		case err != nil:
			return err
		case ts > c.ts:
			valid = c.passNewer(it, key)
		case ts <= v.ts:
			valid = it.Next()
		default:
			if valid, err = c.judge(v, it, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearSteps is how many versions above the timestamp are stepped over before a seek.
const nearSteps = 8

// passNewer leaves a version above the timestamp. Of many in a row, it leaves those of the same key.
func (c *changes) passNewer(it storage.Iterator, key []byte) (valid bool) {
	c.newer = true
	if c.above++; c.above <= nearSteps {
		return it.Next()
	}
	c.above, c.seek = 0, mvcc.AppendVersion(c.seek[:0], key, c.ts)
	return it.SeekGE(c.seek)
}

// judge looks at a record of the time in question.
func (c *changes) judge(v *view, it storage.Iterator, key []byte) (valid bool, err error) {
	c.above = 0
	w, err := mvcc.ParseWrite(it.Value())
	if err != nil {
		return false, errors.Join(it.Error(), err)
	}
	if !w.ChangesData() {
		return it.Next(), nil
	}
	return c.pass(v, it, key), nil
}

// pass marks the block of an encoded key, and moves it behind the block.
func (c *changes) pass(v *view, it storage.Iterator, key []byte) (valid bool) {
	block := v.g.rows.of(key)
	if v.mark(block) {
		c.left--
	}
	if block+1 >= v.to {
		return false
	}
	c.seek = append(c.seek[:0], v.g.spanEnd(block)...)
	return it.SeekGE(c.seek)
}
