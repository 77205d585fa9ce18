package kvclient

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// pessimism is what a pessimistic transaction has beside its buffer. Its locks are marked there.
//
// The first key locked is the primary, whose lock a heartbeat keeps alive and which all other locks name. It stays the
// primary at Commit.
type pessimism struct {
	// forUpdateTS: Lock accepts what was committed up to here, and reports what is newer as a conflict.
	forUpdateTS uint64
	primary     []byte
	stop        func() // ends the heartbeat; nil while there is no lock
}

// NoWait makes Lock fail at once where another transaction holds a lock.
const NoWait time.Duration = -1

// lockKeysMax bounds the keys of one lock request.
const lockKeysMax = 1024

// Lock takes the locks of keys until the transaction ends, waiting for other transactions up to wait for each region. Keys
// that exist, but must not by what was written to them (Insert), fail with *KeyExistsError. A version newer than what
// ReadNewest has shown, or the snapshot where that was not called, fails with *WriteConflictError: the caller reads again,
// and decides again what to lock. Other outcomes to expect are *LockTimeoutError, ErrLockNoWait and *DeadlockError. A call
// that fails holds none of the locks that it did not find held.
//
// In an optimistic transaction nothing is sent: that nobody else has written the keys is checked by Commit.
func (t *Txn) Lock(ctx context.Context, keys [][]byte, wait time.Duration) error {
	keys = sortedSet(keys)
	if t.pess == nil {
		for _, k := range keys {
			t.buf.lock(k)
		}
		return nil
	}
	fresh := slices.DeleteFunc(slices.Clone(keys), t.buf.isLocked)
	if err := t.checkInserts(ctx, keys, len(fresh)); err != nil || len(fresh) == 0 {
		return err
	}
	l := &lockCall{t: t, wait: wait, until: t.c.opts.Now().Add(wait)}
	if err := l.run(ctx, fresh); err != nil {
		if l.partly {
			t.release(fresh)
		}
		return err
	}
	for _, k := range fresh {
		t.buf.lock(k)
		t.buf.checked(k)
	}
	return nil
}

// TryLock takes the locks of those keys that no other transaction holds, and returns the others. Errors are those of Lock but for
// ErrLockNoWait; what had been locked by then stays locked.
func (t *Txn) TryLock(ctx context.Context, keys [][]byte) (held [][]byte, err error) {
	for keys = sortedSet(keys); len(keys) > 0; {
		err := t.Lock(ctx, keys, NoWait)
		var taken *lockHeldError
		if !errors.As(err, &taken) {
			return held, err
		}
		at, found := slices.BinarySearchFunc(keys, taken.key, bytes.Compare)
		if !found {
			return held, err
		}
		before, err := t.TryLock(ctx, keys[:at]) // a call that fails has locked nothing
		held = append(append(held, before...), keys[at])
		if err != nil {
			return held, err
		}
		keys = keys[at+1:]
	}
	return held, nil
}

func sortedSet(keys [][]byte) [][]byte {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}

// checkInserts looks at those keys that are to be inserted and were locked before: nobody else can have changed them since.
func (t *Txn) checkInserts(ctx context.Context, keys [][]byte, fresh int) error {
	if fresh == len(keys) {
		return nil
	}
	held := slices.DeleteFunc(slices.Clone(keys), func(k []byte) bool { return !t.buf.isLocked(k) || !t.buf.mustNotExist(k) })
	if len(held) == 0 {
		return nil
	}
	found, err := t.snap.BatchGet(ctx, held)
	if err != nil {
		return err
	}
	for _, k := range held {
		if found[string(k)] != nil {
			return &KeyExistsError{Key: k}
		}
	}
	for _, k := range held {
		t.buf.checked(k)
	}
	return nil
}

// lockCall is one call of Txn.Lock.
type lockCall struct {
	t     *Txn
	wait  time.Duration
	until time.Time
	// partly: some locks may have been taken though the call failed. A request by itself takes all of its locks or none.
	partly bool
}

// run locks the keys of the primary's region before all others: a lock without a primary looks like one of a dead client.
func (l *lockCall) run(ctx context.Context, keys [][]byte) error {
	t, bo := l.t, l.t.c.newBackoff(l.t.c.opts.WriteBudget)
	if t.pess.stop == nil {
		r, err := t.c.regions.locate(ctx, bo, keys[0])
		if err != nil {
			return err
		}
		t.pess.primary = keys[0]
		first := keys[:min(r.prefix(keys), lockKeysMax)]
		if err := l.batch(ctx, bo, batch{r, first}); err != nil {
			return err
		}
		t.pess.stop = t.c.keepAlive(t.startTS, t.pess.primary, t.c.opts.Now().Sub(t.began), lockTTLMax, txnLifeMax)
		keys, l.partly = keys[len(first):], true
	}
	return l.all(ctx, bo, keys)
}

// all locks keys of several regions concurrently.
func (l *lockCall) all(ctx context.Context, bo *Backoff, keys [][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	l.partly = true
	return l.t.c.eachRegion(ctx, bo, keys, lockKeysMax, l.batch)
}

// batch locks the keys of one region.
func (l *lockCall) batch(ctx context.Context, bo *Backoff, b batch) error {
	c := l.t.c
	req := l.request(b.keys)
	for {
		var resp *kvrpcpb.PessimisticLockResponse
		done, err := c.sendTo(ctx, bo, b.region, func(st Store, r *Region) (*errorpb.Error, error) {
			req.Context, req.WaitTimeout = r.Context(), l.timeout()
			var err error
			resp, err = st.KvPessimisticLock(ctx, req)
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return unavailable(b.keys[0], err)
		case !done:
			return l.all(ctx, bo, b.keys)
		}
		locks, err := splitLocks(resp.Errors)
		if err != nil || len(locks) == 0 {
			return err
		}
		if err := l.blocked(ctx, bo, locks); err != nil {
			return err
		}
	}
}

func (l *lockCall) request(keys [][]byte) *kvrpcpb.PessimisticLockRequest {
	t := l.t
	req := &kvrpcpb.PessimisticLockRequest{
		PrimaryLock: t.pess.primary, StartVersion: t.startTS, ForUpdateTs: t.pess.forUpdateTS, MinCommitTs: t.pess.forUpdateTS + 1,
		LockTtl:     uint64((t.c.opts.Now().Sub(t.began) + lockTTLMax) / time.Millisecond),
		IsFirstLock: t.pess.stop == nil, Mutations: make([]*kvrpcpb.Mutation, len(keys)),
	}
	all := make([]kvrpcpb.Mutation, len(keys))
	for i, k := range keys {
		all[i] = kvrpcpb.Mutation{Op: kvrpcpb.Op_PessimisticLock, Key: k}
		if t.buf.mustNotExist(k) {
			all[i].Assertion = kvrpcpb.Assertion_NotExist
		}
		req.Mutations[i] = &all[i]
	}
	return req
}

// timeout is what is left to wait, in the protocol's terms: ms, negative for not at all.
func (l *lockCall) timeout() int64 {
	if l.wait < 0 {
		return -1
	}
	return max(1, l.until.Sub(l.t.c.opts.Now()).Milliseconds())
}

// blocked deals with locks that the store waited for in vain, or met while told not to wait.
func (l *lockCall) blocked(ctx context.Context, bo *Backoff, locks []*kvrpcpb.LockInfo) error {
	c := l.t.c
	_, alive, err := c.resolver.resolve(ctx, bo, 0, locks, true)
	switch {
	case err != nil || !alive:
		return err
	case l.wait < 0:
		return &lockHeldError{locks[0].Key}
	case !c.opts.Now().Before(l.until):
		return &LockTimeoutError{Lock: locks[0]}
	case locks[0].DurationToLastUpdateMs == 0: // the store did not wait
		return c.opts.Sleep(ctx, backoffLock.first)
	}
	return nil
}

// endLocks is Commit without writes. What was read under the locks is as good as a snapshot only if they were held all the time:
// the primary's is the first to go, for whoever finds the transaction dead.
func (t *Txn) endLocks(ctx context.Context) error {
	keys := t.locked()
	if len(keys) == 0 {
		return nil
	}
	alive, err := t.c.beat(ctx, t.startTS, t.pess.primary, 0)
	t.release(keys)
	if err == nil && !alive {
		err = ErrRolledBack
	}
	return err
}

// locked lists the keys whose locks the transaction holds.
func (t *Txn) locked() (keys [][]byte) {
	if t.pess == nil || t.pess.stop == nil {
		return nil
	}
	for _, i := range t.buf.order() {
		if e := &t.buf.entries[i]; e.locked {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// release gives up pessimistic locks at or below the present forUpdateTS, whether they were obtained or not. Others may
// wait for them, so it is done when release returns, as far as it can be done.
func (t *Txn) release(keys [][]byte) {
	if t.pess == nil || len(keys) == 0 {
		return
	}
	if bytes.Equal(keys[0], t.pess.primary) {
		t.stopHeartbeat() // the next lock is the first one, and chooses the primary
	}
	err := t.c.sendKeys(t.c.ctx, keys, func(ctx context.Context, st Store, r *Region, keys [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error) {
		resp, err := st.KVPessimisticRollback(ctx, &kvrpcpb.PessimisticRollbackRequest{Context: r.Context(), StartVersion: t.startTS,
			ForUpdateTs: t.pess.forUpdateTS, Keys: keys})
		var refused *kvrpcpb.KeyError
		if errs := resp.GetErrors(); len(errs) > 0 {
			refused = errs[0]
		}
		return resp.GetRegionError(), refused, err
	})
	if err != nil {
		t.c.opts.Logger.Warn("pessimistic locks are left to expire", "start_ts", t.startTS, "err", err)
	}
}

func (t *Txn) stopHeartbeat() {
	if t.pess != nil && t.pess.stop != nil {
		t.pess.stop()
		t.pess.stop = nil
	}
}
