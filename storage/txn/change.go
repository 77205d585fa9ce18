package txn

import (
	"bytes"
	"slices"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// The changes of a command. Keys are encoded and must not change until the write is done. Other bytes are collected in one arena that grows: slices handed out before stay
// where they are.

func (c *command) reserve(changes, size int) {
	c.mods = slices.Grow(c.modRoom[:0], changes)
	c.arena = make([]byte, 0, size)
}

// since returns what was appended to the arena from position start on.
func (c *command) since(start int) []byte { return c.arena[start:len(c.arena):len(c.arena)] }

func (c *command) versionKey(key []byte, ts uint64) []byte {
	start := len(c.arena)
	c.arena = mvcc.AppendVersion(c.arena, key, ts)
	return c.since(start)
}

func (c *command) put(cf storage.CF, key, val []byte) {
	c.mods = append(c.mods, storage.Modify{Op: storage.OpPut, CF: cf, Key: key, Value: val})
}

func (c *command) delete(cf storage.CF, key []byte) {
	c.mods = append(c.mods, storage.Modify{Op: storage.OpDelete, CF: cf, Key: key})
}

// lock returns the lock of an encoded key, in memory or stored, nil if there is none. It is the caller's.
func (c *command) lock(key []byte) (*mvcc.Lock, error) {
	switch l, stale := c.m.memory.get(c.leads, key); {
	case stale:
		return nil, staleCommand(c.at.ID)
	case l != nil:
		return l, nil
	case c.snap.Absent(storage.CFLock, key):
		return nil, nil
	}
	return c.reader.Lock(key)
}

// unwritten tells that no write record at or above ts is under an encoded key: nobody has written there since. False
// says nothing.
func (c *command) unwritten(key []byte, ts uint64) bool {
	return c.synced && ts > c.syncedTS && c.m.recent.unwritten(key, ts)
}

// outcome looks for the trace of the transaction that began at startTS. What it left is at or above that.
func (c *command) outcome(key []byte, startTS uint64) (mvcc.Outcome, error) {
	if c.unwritten(key, startTS) {
		return mvcc.Outcome{}, nil
	}
	return c.reader.Outcome(key, startTS)
}

// takeLock locks a free key for a pessimistic transaction.
func (c *command) takeLock(key []byte, l *mvcc.Lock) {
	if c.m.memory.hasRoom(c.leads) {
		c.keepLock(key, l)
		return
	}
	c.storeLock(key, l)
}

// keepLock keeps a lock in memory. It shares nothing with the request.
func (c *command) keepLock(key []byte, l *mvcc.Lock) {
	kept := *l
	kept.Primary = bytes.Clone(l.Primary)
	c.changes = append(c.changes, memoryChange{key, &kept})
}

// putLock writes a lock, in place of the transaction's own that may be there. A pessimistic one stays where it is.
func (c *command) putLock(key []byte, l *mvcc.Lock) {
	inMemory := c.m.memory.holds(c.leads, key)
	switch {
	case inMemory && l.Type == mvcc.LockPessimistic:
		c.keepLock(key, l)
		return
	case inMemory:
		c.changes = append(c.changes, memoryChange{key: key})
	}
	c.storeLock(key, l)
}

func (c *command) storeLock(key []byte, l *mvcc.Lock) {
	start := len(c.arena)
	c.arena = l.Append(c.arena)
	c.put(storage.CFLock, key, c.since(start))
}

func (c *command) deleteLock(key []byte) {
	if c.m.memory.holds(c.leads, key) {
		c.changes = append(c.changes, memoryChange{key: key})
		return
	}
	c.delete(storage.CFLock, key)
}

func (c *command) putWrite(key []byte, commitTS uint64, w *mvcc.Write) {
	c.m.recent.note(key, commitTS)
	start := len(c.arena)
	c.arena = w.Append(c.arena)
	record := c.since(start)
	c.put(storage.CFWrite, c.versionKey(key, commitTS), record)
}

func (c *command) deleteWrite(key []byte, commitTS uint64) {
	c.delete(storage.CFWrite, c.versionKey(key, commitTS))
}

func (c *command) putValue(key []byte, startTS uint64, val []byte) {
	c.put(storage.CFDefault, c.versionKey(key, startTS), val)
}

// dropValue deletes the long value that a lock stands for.
func (c *command) dropValue(key []byte, l *mvcc.Lock) {
	if l.Type == mvcc.LockPut && l.ShortValue == nil {
		c.delete(storage.CFDefault, c.versionKey(key, l.StartTS))
	}
}

// commitLock turns a lock of the transaction into its write record.
func (c *command) commitLock(key []byte, l *mvcc.Lock, commitTS uint64) {
	c.deleteLock(key)
	if t, ok := l.Type.WriteType(); ok {
		c.putWrite(key, commitTS, &mvcc.Write{
			Type: t, StartTS: l.StartTS, ShortValue: l.ShortValue, TxnSource: l.TxnSource,
			Overlapped: slices.Contains(l.RollbackTS, commitTS),
		})
	}
}

// rollbackLock removes a lock of the transaction and leaves a rollback record. A pessimistic lock may be what a late
// request took after the transaction had ended: then it goes without a trace, and committed is the timestamp of a commit.
//
// The record of a flushed lock is protected: another flush may come, and what it finds must not depend on who has written
// since.
func (c *command) rollbackLock(key []byte, l *mvcc.Lock, protected bool) (committed uint64, err error) {
	o, err := c.outcome(key, l.StartTS)
	if err != nil {
		return 0, err
	}
	c.dropValue(key, l)
	c.deleteLock(key)
	switch o.Fate {
	case mvcc.FateCommitted:
		return o.Record.CommitTS, nil
	case mvcc.FateRolledBack:
		return 0, nil
	default:
		return 0, c.markRolledBack(key, l.StartTS, protected || l.Generation > 0, o, nil)
	}
}

// markRolledBack leaves the trace of a rollback, which keeps a late prewrite from succeeding. holder is the lock of
// another transaction on the key, if any.
//
// The record has the place of a commit with commit_ts = start_ts. If another transaction has committed there, its
// record is marked instead. Commit timestamps of the oracle are nobody's start_ts; one that is chosen here lies above
// max_ts, which is raised now; but an async-commit lock may have chosen it already, and takes note. Of a row of rollbacks
// only the last is kept, unless protected: prewrite refuses to write below any record.
func (c *command) markRolledBack(key []byte, startTS uint64, protected bool, o mvcc.Outcome, holder *mvcc.Lock) error {
	c.m.conc.UpdateMaxTS(startTS)
	if holder != nil && holder.AsyncCommit && holder.MinCommitTS <= startTS && !slices.Contains(holder.RollbackTS, startTS) {
		noted := *holder
		noted.RollbackTS = append(slices.Clone(holder.RollbackTS), startTS)
		c.putLock(key, &noted)
	}
	if o.InTheWay {
		w := o.Record.Write
		w.Overlapped = true
		c.putWrite(key, startTS, &w)
		return nil
	}
	if !protected {
		if err := c.collapseRollback(key, startTS); err != nil {
			return err
		}
	}
	w := mvcc.NewRollback(startTS, protected)
	c.putWrite(key, startTS, &w)
	return nil
}

// collapseRollback deletes the record below startTS if it is an unprotected rollback.
func (c *command) collapseRollback(key []byte, startTS uint64) error {
	v, ok, err := c.reader.Newest(key, startTS)
	if ok && v.Type == mvcc.WriteRollback && !v.Protected() {
		c.deleteWrite(key, v.CommitTS)
	}
	return err
}
