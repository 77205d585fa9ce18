package txn

import (
	"context"
	"math"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/mvcc"
)

// A timestamp is resolved in a region when nothing more will be committed there at or below it. With one that was just
// handed out as the upper bound:
//
//   - Transactions in two phases commit at timestamps handed out after their locks were applied. Those whose locks are not
//     in a snapshot taken now commit above the bound, those whose locks are commit above the start of the lock.
//   - Transactions that choose their own timestamps have in-memory locks while they do, see Concurrency: Bound raises
//     max_ts, so that later ones choose above, and goes below those that it finds. Their writes are in a snapshot taken
//     after it.
//
// A lock that stays, of a client that died, would hold a whole region back. It need not: who has applied what is in the
// snapshot has the lock too, and a read that meets it waits for its transaction like any other. So locks count only while
// they are young, to spare readers the wait.

// Bound announces reads at ts, and returns the highest timestamp up to ts that no command under way in this store will
// commit at or below.
func (c *Concurrency) Bound(ts uint64) uint64 {
	c.UpdateMaxTS(ts)
	if c.guards.Load() == 0 {
		return ts
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for g := range c.table {
		ts = min(ts, g.lock.MinCommitTS-1)
	}
	return ts
}

// LockBound returns the highest timestamp that no transaction with a lock in snap will commit at or below, MaxUint64
// if there are none. Transactions that began before oldest do not count, nor do locks that change nothing.
func LockBound(ctx context.Context, snap storage.Snapshot, oldest uint64) (bound uint64, err error) {
	it, err := snap.NewIterator(storage.IterOptions{CF: storage.CFLock, NoFillCache: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = join(err, it.Close()) }()
	bound = math.MaxUint64
	for valid, n := it.First(), 0; valid; valid, n = it.Next(), n+1 {
		if n%scanCheckEvery == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		lock, err := mvcc.ParseLock(it.Value())
		if err != nil {
			return 0, err
		}
		if lock.StartTS >= oldest && (lock.Type == mvcc.LockPut || lock.Type == mvcc.LockDelete) {
			bound = min(bound, max(lock.StartTS, lock.MinCommitTS)-1)
		}
	}
	return bound, it.Error()
}
