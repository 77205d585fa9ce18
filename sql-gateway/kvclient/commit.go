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
	"golang.org/x/sync/errgroup"
)

// committer runs the commit protocol of one transaction.
//
//	one phase    all keys in one region and few enough: the store checks, chooses a commit ts and writes, in one request
//	two phases   prewrite all regions concurrently; once every lock is there, take a commit ts and commit the primary
//	             key: the commit point; the other keys follow in the background, and whoever meets one of their locks
//	             before learns the outcome from the primary
//
// Until the commit point any failure rolls back. A failure of the very request that makes the commit point leaves the
// outcome open: *UndeterminedError.
type committer struct {
	c       *Client
	startTS uint64
	muts    []*kvrpcpb.Mutation // by key
	primary []byte
	size    int
	ttl     uint64 // of the locks, ms
}

const (
	// prewriteBytesMax bounds the keys and values of one request, and so of one raft entry.
	prewriteBytesMax = 4 << 20
	// commitKeysMax bounds the keys of one commit or rollback request.
	commitKeysMax = 8192

	lockTTLMin = 3 * time.Second
	lockTTLMax = 20 * time.Second
)

// Commit writes the buffer. After an error nothing is written, unless it is *UndeterminedError.
func (t *Txn) Commit(ctx context.Context) error {
	muts := t.buf.mutations()
	if len(muts) == 0 {
		return nil
	}
	cm := &committer{c: t.c, startTS: t.snap.ts, muts: muts, size: t.buf.bytes, primary: primaryOf(muts)}
	cm.ttl = uint64(lockTTL(cm.size) / time.Millisecond)
	return cm.run(ctx)
}

// primaryOf picks the first key that will hold a lock.
func primaryOf(muts []*kvrpcpb.Mutation) []byte {
	for _, m := range muts {
		if m.Op != kvrpcpb.Op_CheckNotExists {
			return m.Key
		}
	}
	return muts[0].Key
}

// lockTTL gives larger transactions more time before others may think their client dead.
func lockTTL(size int) time.Duration {
	ttl := time.Duration(math.Sqrt(float64(size)/(1<<20)) * float64(6*time.Second))
	return min(max(ttl, lockTTLMin), lockTTLMax)
}

func (cm *committer) run(ctx context.Context) error {
	bo := newBackoff(&cm.c.opts, cm.c.opts.WriteBudget)
	batches, err := cm.cut(ctx, bo, cm.muts)
	if err != nil {
		return err
	}
	if len(batches) > 1 {
		return cm.twoPhase(ctx, bo, false)
	}
	done, lost, err := cm.onePhase(ctx, bo)
	switch {
	case err != nil:
		return cm.undetermined(lost, err)
	case done:
		return nil
	}
	if err = cm.twoPhase(ctx, bo, lost); err != nil {
		return cm.undetermined(lost, err)
	}
	return nil
}

// mutBatch is the part of the mutations that goes to one region in one request.
type mutBatch struct {
	region *Region
	muts   []*kvrpcpb.Mutation
}

// cut groups mutations by region and by size.
func (cm *committer) cut(ctx context.Context, bo *Backoff, muts []*kvrpcpb.Mutation) ([]mutBatch, error) {
	var out []mutBatch
	for len(muts) > 0 {
		r, err := cm.c.regions.locate(ctx, bo, muts[0].Key)
		if err != nil {
			return nil, err
		}
		n, size := 0, 0
		for n < len(muts) && size < prewriteBytesMax && r.Range.contains(muts[n].Key) {
			size += len(muts[n].Key) + len(muts[n].Value)
			n++
		}
		out = append(out, mutBatch{r, muts[:n]})
		muts = muts[n:]
	}
	return out, nil
}

// onePhase tries to commit everything in one request. It is not done, without an error, if the store wants two phases
// or the keys are no longer in one region. lost tells that an answer did not come back: what follows may find the
// transaction committed.
func (cm *committer) onePhase(ctx context.Context, bo *Backoff) (done, lost bool, err error) {
	// The commit ts must exceed every ts handed out before Commit returns: readers that start later must see the write.
	floor, err := cm.c.TS(ctx)
	if err != nil {
		return false, false, err
	}
	for {
		batches, err := cm.cut(ctx, bo, cm.muts)
		if err != nil || len(batches) > 1 {
			return false, lost, err
		}
		resp, through, err := cm.prewrite(ctx, bo, batches[0], floor+1, true, &lost)
		if err != nil || through {
			return resp.GetOnePcCommitTs() != 0, lost, err
		}
	}
}

// undetermined wraps err if a request that may have been carried out was sent before.
func (cm *committer) undetermined(lost bool, err error) error {
	if !lost {
		return err
	}
	return &UndeterminedError{Cause: err}
}

// prewrite sends one batch. through is false when a region error or a lost answer asks for cutting again; lost is set
// when an answer did not come back although the request may have been carried out.
func (cm *committer) prewrite(ctx context.Context, bo *Backoff, b mutBatch, minCommitTS uint64, onePC bool, lost *bool) (resp *kvrpcpb.PrewriteResponse, through bool, err error) {
	req := &kvrpcpb.PrewriteRequest{
		Mutations: b.muts, PrimaryLock: cm.primary, StartVersion: cm.startTS, LockTtl: cm.ttl,
		TxnSize: uint64(len(cm.muts)), MinCommitTs: minCommitTS, TryOnePc: onePC,
	}
	for {
		through, err = cm.c.sendTo(ctx, bo, b.region, func(st Store, r *Region) (*errorpb.Error, error) {
			req.Context = r.Context()
			req.Context.IsRetryRequest = *lost
			var err error
			if resp, err = st.KvPrewrite(ctx, req); err != nil {
				*lost = true
			}
			return resp.GetRegionError(), err
		})
		if !through || err != nil {
			return nil, false, unavailable(b.muts[0].Key, err)
		}
		locks, err := cm.conflicts(resp.Errors)
		if err != nil {
			return nil, false, err
		}
		if len(locks) == 0 {
			return resp, true, nil
		}
		if err := cm.resolveForWrite(ctx, bo, locks); err != nil {
			return nil, false, err
		}
	}
}

// conflicts separates locks, which can be waited for, from errors that end the transaction.
func (cm *committer) conflicts(errs []*kvrpcpb.KeyError) (locks []*kvrpcpb.LockInfo, err error) {
	for _, e := range errs {
		if e.Locked == nil {
			return nil, keyError(e)
		}
		locks = append(locks, e.Locked)
	}
	return locks, nil
}

func (cm *committer) resolveForWrite(ctx context.Context, bo *Backoff, locks []*kvrpcpb.LockInfo) error {
	_, wait, err := cm.c.resolver.resolve(ctx, bo, 0, locks, true)
	if err != nil || !wait {
		return err
	}
	return lockTimeout(bo.wait(ctx, backoffLock, &LockTimeoutError{Lock: locks[0]}))
}

// lockTimeout strips the budget's wrapping from a lock's timeout.
func lockTimeout(err error) error {
	var timeout *LockTimeoutError
	if errors.As(err, &timeout) {
		return timeout
	}
	return err
}

// twoPhase prewrites and commits. lost says that a request of one phase may have been carried out.
func (cm *committer) twoPhase(ctx context.Context, bo *Backoff, lost bool) error {
	stop := cm.heartbeat()
	defer stop()
	if err := cm.prewriteAll(ctx, bo, cm.muts, lost); err != nil {
		cm.rollbackLater()
		return err
	}
	commitTS, err := cm.c.TS(ctx)
	if err == nil {
		err = cm.commitPrimary(ctx, bo, commitTS)
	}
	var open *UndeterminedError
	if err != nil && !errors.As(err, &open) {
		cm.rollbackLater()
	}
	return err
}

// prewriteAll prewrites muts region by region, concurrently, until every lock is there.
func (cm *committer) prewriteAll(ctx context.Context, bo *Backoff, muts []*kvrpcpb.Mutation, lost bool) error {
	batches, err := cm.cut(ctx, bo, muts)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cm.c.opts.Concurrency)
	for _, b := range batches {
		g.Go(func() error {
			bo, lost := bo.Fork(), lost
			_, through, err := cm.prewrite(ctx, bo, b, cm.startTS+1, false, &lost)
			if err != nil || through {
				return err
			}
			return cm.prewriteAll(ctx, bo, b.muts, lost)
		})
	}
	return g.Wait()
}

// commitPrimary makes the commit point, then commits the other keys in the background.
func (cm *committer) commitPrimary(ctx context.Context, bo *Backoff, commitTS uint64) error {
	sent := false
	for {
		var resp *kvrpcpb.CommitResponse
		err := cm.c.send(ctx, bo, cm.primary, func(st Store, r *Region) (*errorpb.Error, error) {
			var err error
			resp, err = st.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: r.Context(), StartVersion: cm.startTS,
				Keys: [][]byte{cm.primary}, CommitVersion: commitTS})
			sent = sent || err != nil
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return cm.undetermined(sent, err)
		case resp.Error.GetCommitTsExpired() != nil:
			// A reader pushed min_commit_ts beyond this ts: a later one will do.
			if commitTS, err = cm.c.TS(ctx); err != nil {
				return err
			}
			continue
		case resp.Error != nil:
			return keyError(resp.Error)
		}
		break
	}
	cm.commitSecondaries(commitTS)
	return nil
}

// commitSecondaries turns the other locks into commits. Whatever fails is left to the readers who meet the locks.
func (cm *committer) commitSecondaries(commitTS uint64) {
	keys := cm.keys(func(k []byte) bool { return !bytes.Equal(k, cm.primary) })
	if len(keys) == 0 {
		return
	}
	cm.c.spawn(func(ctx context.Context) {
		err := cm.sendKeys(ctx, keys, func(ctx context.Context, st Store, r *Region, keys [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error) {
			resp, err := st.KvCommit(ctx, &kvrpcpb.CommitRequest{Context: r.Context(), StartVersion: cm.startTS, Keys: keys, CommitVersion: commitTS})
			return resp.GetRegionError(), resp.GetError(), err
		})
		if err != nil {
			cm.c.opts.Logger.Warn("secondary keys are left to be committed by readers", "start_ts", cm.startTS, "err", err)
		}
	})
}

// rollbackLater removes the locks of a failed transaction in the background.
func (cm *committer) rollbackLater() {
	keys := cm.keys(func([]byte) bool { return true })
	cm.c.spawn(func(ctx context.Context) {
		err := cm.sendKeys(ctx, keys, func(ctx context.Context, st Store, r *Region, keys [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error) {
			resp, err := st.KvBatchRollback(ctx, &kvrpcpb.BatchRollbackRequest{Context: r.Context(), StartVersion: cm.startTS, Keys: keys})
			return resp.GetRegionError(), resp.GetError(), err
		})
		if err != nil {
			cm.c.opts.Logger.Warn("locks are left to expire", "start_ts", cm.startTS, "err", err)
		}
	})
}

// keys are the mutations' keys that hold locks and that keep accepts.
func (cm *committer) keys(keep func([]byte) bool) [][]byte {
	keys := make([][]byte, 0, len(cm.muts))
	for _, m := range cm.muts {
		if m.Op != kvrpcpb.Op_CheckNotExists && keep(m.Key) {
			keys = append(keys, m.Key)
		}
	}
	return keys
}

// sendKeys runs do for all keys by region until each got through.
func (cm *committer) sendKeys(ctx context.Context, keys [][]byte,
	do func(context.Context, Store, *Region, [][]byte) (*errorpb.Error, *kvrpcpb.KeyError, error)) error {
	var each func(context.Context, *Backoff, batch) error
	each = func(ctx context.Context, bo *Backoff, b batch) error {
		var refused *kvrpcpb.KeyError
		done, err := cm.c.sendTo(ctx, bo, b.region, func(st Store, r *Region) (regionErr *errorpb.Error, err error) {
			regionErr, refused, err = do(ctx, st, r, b.keys)
			return regionErr, err
		})
		switch {
		case err != nil:
			return err
		case !done:
			return cm.c.eachRegion(ctx, bo, b.keys, commitKeysMax, each)
		case refused != nil:
			return keyError(refused)
		}
		return nil
	}
	return cm.c.eachRegion(ctx, newBackoff(&cm.c.opts, cm.c.opts.WriteBudget), keys, commitKeysMax, each)
}

// heartbeat keeps the primary lock alive while a long commit is under way. The returned function stops it.
func (cm *committer) heartbeat() (stop func()) {
	ctx, cancel := context.WithCancel(cm.c.ctx)
	var once sync.Once
	cm.c.spawn(func(context.Context) {
		every := time.Duration(cm.ttl) * time.Millisecond / 2
		advise := cm.ttl
		for cm.c.opts.Sleep(ctx, every) == nil {
			advise += uint64(every / time.Millisecond)
			if err := cm.beat(ctx, advise); err != nil {
				return
			}
		}
	})
	return func() { once.Do(cancel) }
}

func (cm *committer) beat(ctx context.Context, ttl uint64) error {
	return cm.c.send(ctx, newBackoff(&cm.c.opts, lockTTLMin), cm.primary, func(st Store, r *Region) (*errorpb.Error, error) {
		resp, err := st.KvTxnHeartBeat(ctx, &kvrpcpb.TxnHeartBeatRequest{Context: r.Context(), PrimaryLock: cm.primary,
			StartVersion: cm.startTS, AdviseLockTtl: ttl + uint64(lockTTLMin/time.Millisecond)})
		if err == nil && resp.Error != nil && resp.Error.GetTxnNotFound() == nil {
			return nil, permanent{keyError(resp.Error)}
		}
		return resp.GetRegionError(), err
	})
}
