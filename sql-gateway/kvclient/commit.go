package kvclient

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// committer runs the commit protocol of one transaction. Keys are prewritten by region, concurrently; what the prewrites
// ask of the stores, and what these answer, decides how it goes on:
//
//	one phase     all keys went in one request, and the store chose a commit ts and wrote them: done
//	async commit  few keys: each store chose the least commit ts that its reads allow, and the primary's lock lists the
//	              other keys. With the last lock in place the transaction is committed, at the greatest of those
//	              timestamps; turning locks into commits follows in the background
//	two phases    take a commit ts and commit the primary key: the commit point; the other keys follow in the background
//
// Whoever meets a lock meanwhile learns the outcome from the primary. Until the commit point a failure rolls back. Where
// the answer to a request that may have made the commit point is missing, the outcome is open: *UndeterminedError.
//
// Memory: beside the transaction's buffer, four bytes a key, and the requests under way, Options.Concurrency times
// PrewriteBytesMax.
type committer struct {
	c       *Client
	startTS uint64
	buf     *buffer
	items   []int32  // entries to send, by key
	item    [1]int32 // room for one
	locks   int      // of the items; the others are checked only
	primary []byte
	age     time.Duration // since the transaction began
	life    time.Duration // of the locks, from now
	// forUpdateTS is the newest ts that the transaction holds pessimistic locks at; 0: it is optimistic.
	forUpdateTS uint64
	fence       Fence // nil: none
	// floor is what the commit ts has to exceed where stores choose it.
	floor uint64
	// blockedMax is how long a prewrite waits for others' locks.
	blockedMax time.Duration

	mu    sync.Mutex
	onePC bool // all keys may go in one request, which commits
	async bool
	// open: the answer to a request that may have made the commit point did not come back.
	open        bool
	lost        bool // some answer did not come back
	minCommitTS uint64
	onePCTS     uint64
	beating     bool
	stopBeat    func() // ends the heartbeat
}

const (
	// PrewriteBytesMax bounds the keys and values of one request, and so of one raft entry. A transaction of one region
	// commits in one phase if it has no more.
	PrewriteBytesMax = 4 << 20
	// commitKeysMax bounds the keys of one commit or rollback request.
	commitKeysMax = 8192
	// asyncKeysMax and asyncBytesMax bound the keys of an async commit: the primary's lock holds them.
	asyncKeysMax  = 256
	asyncBytesMax = 4 << 10

	lockTTLMin = 3 * time.Second
	lockTTLMax = 20 * time.Second
)

// Commit writes the buffer. After an error nothing is written, unless it is *UndeterminedError. Pessimistic locks are
// gone afterwards whatever comes of it, soon if not at once. The transaction is not to be used any more.
func (t *Txn) Commit(ctx context.Context) error {
	defer t.stopHeartbeat()
	t.ended = true
	if t.Flushed() {
		return t.bulk.commit(ctx)
	}
	if !t.buf.writes() {
		return t.endLocks(ctx)
	}
	defer t.c.took(t.c.metrics.commits, t.c.opts.Now())
	cm := t.newCommitter()
	defer func() { cm.stopBeat() }()
	return cm.run(ctx)
}

func (t *Txn) newCommitter() *committer {
	cm := &committer{c: t.c, startTS: t.startTS, fence: t.fence, buf: &t.buf, onePC: true, async: true, blockedMax: t.c.opts.WriteBudget}
	cm.age, cm.life, cm.stopBeat = t.c.opts.Now().Sub(t.began), lockTTL(t.buf.bytes), func() {}
	if t.single {
		cm.floor = t.startTS
	}
	if t.impatient {
		cm.blockedMax = impatientMax
	}
	if p := t.pess; p != nil {
		cm.forUpdateTS, cm.primary = p.forUpdateTS, p.primary
	}
	keyBytes := 0
	cm.items = cm.item[:0]
	for _, i := range t.buf.order() {
		e := &t.buf.entries[i]
		op := e.mutation()
		if op == absent {
			continue
		}
		cm.items = append(cm.items, i)
		keyBytes += len(e.key)
		if op == kvrpcpb.Op_CheckNotExists {
			continue
		}
		if cm.locks++; cm.primary == nil {
			cm.primary = e.key // the first key that will hold a lock
		}
	}
	if cm.primary == nil {
		cm.primary = t.buf.entries[cm.items[0]].key
	}
	cm.async = len(cm.items) <= asyncKeysMax && keyBytes <= asyncBytesMax
	return cm
}

// lockTTL gives larger transactions more time before others may think their client dead.
func lockTTL(size int) time.Duration {
	ttl := time.Duration(math.Sqrt(float64(size)/(1<<20)) * float64(6*time.Second))
	return min(max(ttl, lockTTLMin), lockTTLMax)
}

func (cm *committer) run(ctx context.Context) error {
	if cm.floor == 0 {
		// The commit ts has to exceed every ts handed out before Commit was called: a transaction that another one was
		// seen to precede is not to commit below it.
		ts, err := cm.c.TS(ctx)
		if err != nil {
			return cm.failed(err)
		}
		cm.floor = ts
	}
	bo := cm.c.newBackoff(cm.c.opts.WriteBudget)
	if err := cm.prewriteAll(ctx, bo, cm.items); err != nil {
		return cm.failed(err)
	}
	switch {
	case cm.onePCTS != 0, cm.locks == 0:
		return nil
	case cm.async && cm.minCommitTS != 0:
		cm.commitLater(cm.minCommitTS, true)
		return nil
	}
	commitTS, err := cm.commitPrimary(ctx, bo)
	if err != nil {
		return cm.failed(err)
	}
	cm.commitLater(commitTS, false)
	return nil
}

// newCommitTS takes a commit ts that the fence lets pass.
func (cm *committer) newCommitTS(ctx context.Context) (uint64, error) {
	ts, err := cm.c.TS(ctx)
	if err != nil || cm.fence == nil {
		return ts, err
	}
	last, err := cm.fence()
	if err == nil && ts > last {
		err = ErrFenced
	}
	return ts, err
}

// maxCommitTS is the fence for stores that choose the commit ts; 0: there is none.
func (cm *committer) maxCommitTS() (uint64, error) {
	if cm.fence == nil {
		return 0, nil
	}
	last, err := cm.fence()
	if err != nil {
		return 0, permanent{err}
	}
	return last, nil
}

// failed rolls back, unless the transaction may have been committed.
func (cm *committer) failed(err error) error {
	if cm.open && !refused(err) {
		return &UndeterminedError{Cause: err}
	}
	cm.rollbackLater()
	return err
}

// refused reports whether a store decided against the transaction, which it does after it looked for its commit.
func refused(err error) bool {
	var conflict *WriteConflictError
	var exists *KeyExistsError
	return errors.As(err, &conflict) || errors.As(err, &exists) || errors.Is(err, ErrRolledBack)
}

// commitPrimary makes the commit point of two phases.
func (cm *committer) commitPrimary(ctx context.Context, bo *Backoff) (commitTS uint64, err error) {
	for {
		// A reader may have pushed min_commit_ts beyond the last one: a later one will do.
		if commitTS, err = cm.newCommitTS(ctx); err != nil {
			return 0, err
		}
		var resp *kvrpcpb.CommitResponse
		err := cm.c.send(ctx, bo, cm.primary, func(st Store, r *Region) (*errorpb.Error, error) {
			var err error
			resp, err = st.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: r.Context(), StartVersion: cm.startTS,
				Keys: [][]byte{cm.primary}, CommitVersion: commitTS})
			cm.open = cm.open || err != nil
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return 0, err
		case resp.Error == nil:
			return commitTS, nil
		case resp.Error.CommitTsExpired == nil:
			return 0, keyError(resp.Error)
		}
	}
}

// commitLater turns locks into commits in the background, the primary's where that is still to be done. Whatever fails is
// left to the readers who meet the locks.
func (cm *committer) commitLater(commitTS uint64, primary bool) {
	if cm.locks == 1 && !primary {
		return
	}
	cm.c.spawn(func(ctx context.Context) {
		err := cm.eachLock(ctx, func(key []byte) bool { return primary || !bytes.Equal(key, cm.primary) },
			func(ctx context.Context, st Store, r *Region, keys [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error) {
				resp, err := st.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: r.Context(), StartVersion: cm.startTS, Keys: keys, CommitVersion: commitTS})
				return resp.GetRegionError(), resp.GetError(), err
			})
		if err != nil {
			cm.c.opts.Logger.Warn("keys are left to be committed by readers", "start_ts", cm.startTS, "err", err)
		}
	})
}

// rollbackLater removes the locks of a failed transaction in the background.
func (cm *committer) rollbackLater() {
	cm.c.spawn(func(ctx context.Context) {
		err := cm.eachLock(ctx, func([]byte) bool { return true },
			func(ctx context.Context, st Store, r *Region, keys [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error) {
				resp, err := st.KvBatchRollback(ctx, &kvrpcpb.BatchRollbackRequest{Context: r.Context(), StartVersion: cm.startTS, Keys: keys})
				return resp.GetRegionError(), resp.GetError(), err
			})
		if err != nil {
			cm.c.opts.Logger.Warn("locks are left to expire", "start_ts", cm.startTS, "err", err)
		}
	})
}

// eachLock runs do, by region, on the keys that hold locks and that keep accepts.
func (cm *committer) eachLock(ctx context.Context, keep func([]byte) bool, do sendKeys) error {
	const most = 16 * commitKeysMax // at a time, so that memory stays bounded
	for rest := cm.items; len(rest) > 0; {
		n := min(len(rest), most)
		keys := make([][]byte, 0, n)
		for _, i := range rest[:n] {
			if e := &cm.buf.entries[i]; e.mutation() != kvrpcpb.Op_CheckNotExists && keep(e.key) {
				keys = append(keys, e.key)
			}
		}
		rest = rest[n:]
		if err := cm.c.sendKeys(ctx, keys, do); err != nil {
			return err
		}
	}
	return nil
}

// sendKeys is one request about keys of a region.
type sendKeys func(context.Context, Store, *Region, [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error)

// sendKeys runs do for ascending keys by region until each got through.
func (c *Client) sendKeys(ctx context.Context, keys [][]byte, do sendKeys) error {
	var each func(context.Context, *Backoff, batch) error
	each = func(ctx context.Context, bo *Backoff, b batch) error {
		var refused *kvrpcpb.KeyError
		done, err := c.sendTo(ctx, bo, b.region, func(st Store, r *Region) (regionErr *errorpb.Error, err error) {
			regionErr, refused, err = do(ctx, st, r, b.keys)
			return regionErr, err
		})
		switch {
		case err != nil:
			return err
		case !done:
			return c.eachRegion(ctx, bo, b.keys, commitKeysMax, each)
		case refused != nil:
			return keyError(refused)
		}
		return nil
	}
	if len(keys) == 0 {
		return nil
	}
	return c.eachRegion(ctx, c.newBackoff(c.opts.WriteBudget), keys, commitKeysMax, each)
}
