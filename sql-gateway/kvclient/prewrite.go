package kvclient

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"golang.org/x/sync/errgroup"
)

// itemBatch is the part of a transaction that goes to one region in one request.
type itemBatch struct {
	region *Region
	items  []int32
}

// cut groups items of a buffer by region and by size.
func (c *Client) cut(ctx context.Context, bo *Backoff, buf *buffer, items []int32) ([]itemBatch, error) {
	var out []itemBatch
	for len(items) > 0 {
		span := KeyRange{buf.entries[items[0]].key, buf.entries[items[len(items)-1]].key}
		r, err := c.regions.locateFirst(ctx, bo, span)
		if err != nil {
			return nil, err
		}
		n, size := 0, 0
		for ; n < len(items) && size < PrewriteBytesMax; n++ {
			e := &buf.entries[items[n]]
			if !r.Range.contains(e.key) {
				break
			}
			size += len(e.key) + len(e.val)
		}
		out = append(out, itemBatch{r, items[:n]})
		items = items[n:]
	}
	return out, nil
}

// sendBatches runs do on batches, concurrently if there are several.
func (c *Client) sendBatches(ctx context.Context, bo *Backoff, batches []itemBatch, do func(context.Context, *Backoff, itemBatch) error) error {
	if len(batches) == 1 {
		return do(ctx, bo, batches[0])
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Concurrency)
	for _, b := range batches {
		g.Go(func() error { return do(ctx, bo.Fork(), b) })
	}
	return g.Wait()
}

// lockCarrier sends the request that is to take the locks of a batch.
type lockCarrier func(Store, *Region) (*errorpb.Error, []*kvrpcpb.KeyError, error)

// takeLocks sends a batch whose first key is first until its locks are there. Locks in the way are resolved, or waited for up
// to blockedMax. It returns false if the keys have to be cut by region again.
func (c *Client) takeLocks(ctx context.Context, bo *Backoff, r *Region, first []byte, blockedMax time.Duration, send lockCarrier) (through bool, err error) {
	var blocked time.Time
	for {
		var refused []*kvrpcpb.KeyError
		through, err := c.sendTo(ctx, bo, r, func(st Store, r *Region) (regionErr *errorpb.Error, err error) {
			regionErr, refused, err = send(st, r)
			return regionErr, err
		})
		if err != nil || !through {
			return false, unavailable(first, err)
		}
		locks, err := splitLocks(refused)
		if err != nil || len(locks) == 0 {
			return err == nil, err
		}
		if blocked.IsZero() {
			blocked = c.opts.Now()
		}
		if err := c.resolveForWrite(ctx, bo, locks, blocked, blockedMax); err != nil {
			return false, err
		}
	}
}

// prewriteAll prewrites items by region, concurrently, until every lock is there or, in one phase, everything is committed.
func (cm *committer) prewriteAll(ctx context.Context, bo *Backoff, items []int32) error {
	batches, err := cm.c.cut(ctx, bo, cm.buf, items)
	if err != nil {
		return err
	}
	if len(batches) > 1 {
		cm.severalRequests()
	}
	return cm.c.sendBatches(ctx, bo, batches, cm.prewrite)
}

// severalRequests rules one phase out, and keeps alive the locks that will be there before the last request is through.
func (cm *committer) severalRequests() {
	cm.mu.Lock()
	defer cm.mu.Unlock()
	cm.onePC = false
	if !cm.beating && cm.forUpdateTS == 0 {
		cm.beating = true
		cm.stopBeat = cm.c.keepAlive(cm.startTS, cm.primary, cm.age, cm.life, txnLifeMax)
	}
}

// prewrite sends one batch until its locks are there.
func (cm *committer) prewrite(ctx context.Context, bo *Backoff, b itemBatch) error {
	req := cm.request(b.items)
	var resp *kvrpcpb.PrewriteResponse
	through, err := cm.c.takeLocks(ctx, bo, b.region, req.Mutations[0].Key, cm.blockedMax,
		func(st Store, r *Region) (_ *errorpb.Error, _ []*kvrpcpb.KeyError, err error) {
			if req.MaxCommitTs, err = cm.maxCommitTS(); err != nil {
				return nil, nil, err
			}
			req.Context = r.Context()
			cm.mark(req)
			if resp, err = st.KvPrewrite(ctx, req); err != nil {
				cm.noteLost(req)
			}
			return resp.GetRegionError(), resp.GetErrors(), err
		})
	switch {
	case err != nil:
		return err
	case !through:
		return cm.prewriteAll(ctx, bo, b.items)
	}
	cm.accept(req, resp)
	return nil
}

// request makes the request of a batch, but for what changes from one try to the next.
func (cm *committer) request(items []int32) *kvrpcpb.PrewriteRequest {
	req := &kvrpcpb.PrewriteRequest{
		PrimaryLock: cm.primary, StartVersion: cm.startTS, LockTtl: uint64((cm.age + cm.life) / time.Millisecond), TxnSize: uint64(len(cm.items)),
		ForUpdateTs: cm.forUpdateTS, Mutations: cm.buf.mutations(items),
	}
	if cm.forUpdateTS != 0 {
		req.PessimisticActions = make([]kvrpcpb.PrewriteRequest_PessimisticAction, len(items))
		for i, at := range items {
			req.PessimisticActions[i] = pessimisticAction(&cm.buf.entries[at])
		}
	}
	return req
}

// mutations is what a request says of items.
func (b *buffer) mutations(items []int32) []*kvrpcpb.Mutation {
	if len(items) == 1 {
		one := new(struct {
			mutation kvrpcpb.Mutation
			list     [1]*kvrpcpb.Mutation
		})
		one.mutation = b.mutation(items[0])
		one.list[0] = &one.mutation
		return one.list[:]
	}
	all, list := make([]kvrpcpb.Mutation, len(items)), make([]*kvrpcpb.Mutation, len(items))
	for i, at := range items {
		all[i] = b.mutation(at)
		list[i] = &all[i]
	}
	return list
}

func (b *buffer) mutation(item int32) kvrpcpb.Mutation {
	e := &b.entries[item]
	return kvrpcpb.Mutation{Op: e.mutation(), Key: e.key, Value: e.val}
}

// pessimisticAction: keys that are locked must still be; of others, such as entries of indexes that are not unique, only
// those that must not exist are checked.
func pessimisticAction(e *entry) kvrpcpb.PrewriteRequest_PessimisticAction {
	switch {
	case e.locked:
		return kvrpcpb.PrewriteRequest_DO_PESSIMISTIC_CHECK
	case e.op == kvrpcpb.Op_Insert || e.op == kvrpcpb.Op_CheckNotExists:
		return kvrpcpb.PrewriteRequest_DO_CONSTRAINT_CHECK
	default:
		return kvrpcpb.PrewriteRequest_SKIP_PESSIMISTIC_CHECK
	}
}

// mark says in a request how the transaction is going to commit, as far as that is known by now.
func (cm *committer) mark(req *kvrpcpb.PrewriteRequest) {
	cm.mu.Lock()
	defer cm.mu.Unlock()
	req.Context.IsRetryRequest = cm.lost
	req.TryOnePc, req.UseAsyncCommit, req.Secondaries = cm.onePC, cm.async, nil
	req.MinCommitTs = cm.startTS + 1
	if cm.onePC || cm.async {
		req.MinCommitTs = cm.floor + 1
	}
	if cm.forUpdateTS != 0 {
		req.MinCommitTs = max(req.MinCommitTs, cm.forUpdateTS+1)
	}
	if !cm.async || cm.locks == 1 || !hasKey(req.Mutations, cm.primary) {
		return
	}
	req.Secondaries = make([][]byte, 0, cm.locks-1)
	for _, i := range cm.items {
		if e := &cm.buf.entries[i]; e.mutation() != kvrpcpb.Op_CheckNotExists && !bytes.Equal(e.key, cm.primary) {
			req.Secondaries = append(req.Secondaries, e.key)
		}
	}
}

func hasKey(muts []*kvrpcpb.Mutation, key []byte) bool {
	for _, m := range muts {
		if bytes.Equal(m.Key, key) {
			return true
		}
	}
	return false
}

// noteLost: no answer came, though the request may have been carried out.
func (cm *committer) noteLost(req *kvrpcpb.PrewriteRequest) {
	cm.mu.Lock()
	defer cm.mu.Unlock()
	cm.lost = true
	cm.open = cm.open || req.TryOnePc || req.UseAsyncCommit
}

// accept takes over what a store answered: one that does not choose a commit ts makes it two phases.
func (cm *committer) accept(req *kvrpcpb.PrewriteRequest, resp *kvrpcpb.PrewriteResponse) {
	cm.mu.Lock()
	defer cm.mu.Unlock()
	cm.onePCTS = resp.OnePcCommitTs
	cm.minCommitTS = max(cm.minCommitTS, resp.MinCommitTs)
	checksOnly := true
	for _, m := range req.Mutations {
		checksOnly = checksOnly && m.Op == kvrpcpb.Op_CheckNotExists
	}
	if resp.MinCommitTs == 0 && resp.OnePcCommitTs == 0 && !checksOnly {
		cm.async = false
	}
}

// splitLocks separates locks, which can be waited for, from errors that end the transaction.
func splitLocks(errs []*kvrpcpb.KeyError) (locks []*kvrpcpb.LockInfo, err error) {
	for _, e := range errs {
		if e.Locked == nil {
			return nil, keyError(e)
		}
		locks = append(locks, e.Locked)
	}
	return locks, nil
}

// resolveForWrite deals with locks in the way of a request that has been blocked since then, and may be so up to most.
func (c *Client) resolveForWrite(ctx context.Context, bo *Backoff, locks []*kvrpcpb.LockInfo, since time.Time, most time.Duration) error {
	_, wait, err := c.resolver.resolve(ctx, bo, 0, locks, true)
	if err != nil || !wait {
		return err
	}
	timeout := &LockTimeoutError{Lock: locks[0]}
	if c.opts.Now().Sub(since) >= most {
		return timeout
	}
	return lockTimeout(bo.wait(ctx, backoffLock, timeout))
}

// lockTimeout strips the budget's wrapping from a lock's timeout.
func lockTimeout(err error) error {
	var timeout *LockTimeoutError
	if errors.As(err, &timeout) {
		return timeout
	}
	return err
}
