package kvclient

import (
	"bytes"
	"context"
	"math"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
)

// gcLocksMax is the number of locks that one request of ResolveBelow asks for.
const gcLocksMax = 1024

// ResolveBelow finishes all transactions that began at or below ts and still have locks: those whose primary key is
// committed are committed, all others rolled back, whether their clients are alive or not. It returns the number of locks.
func (c *Client) ResolveBelow(ctx context.Context, ts uint64) (locks int, err error) {
	var rest KeyRange
	for {
		bo := c.newBackoff(c.opts.WriteBudget)
		found, part, err := c.scanLocks(ctx, bo, ts, rest)
		if err == nil && len(found) > 0 {
			locks += len(found)
			err = c.resolver.force(ctx, bo, found)
		}
		switch {
		case err != nil:
			return locks, err
		case len(found) > 0: // there may be more, also because the region has split meanwhile
		case len(part.End) == 0:
			return locks, nil
		default:
			rest.Start = part.End
		}
	}
}

// Locks lists up to limit locks in r of transactions that began at or below ts.
func (c *Client) Locks(ctx context.Context, r KeyRange, ts uint64, limit int) (locks []*kvrpcpb.LockInfo, err error) {
	bo := c.newBackoff(c.opts.ReadBudget)
	for len(locks) < limit {
		found, part, err := c.scanLocks(ctx, bo, ts, r)
		if err != nil {
			return nil, err
		}
		locks = append(locks, found[:min(len(found), limit-len(locks))]...)
		switch {
		case len(found) == gcLocksMax:
			r.Start = append(bytes.Clone(found[len(found)-1].Key), 0)
		case len(part.End) == 0 || bytes.Equal(part.End, r.End):
			return locks, nil
		default:
			r.Start = part.End
		}
	}
	return locks, nil
}

// scanLocks asks the region at the front of rest for locks; part is what of rest lies in it.
func (c *Client) scanLocks(ctx context.Context, bo *Backoff, ts uint64, rest KeyRange) (found []*kvrpcpb.LockInfo, part KeyRange, err error) {
	for {
		var resp *kvrpcpb.ScanLockResponse
		err := c.send(ctx, bo, rest.Start, func(st Store, r *Region) (*errorpb.Error, error) {
			part = rest.intersect(r.Range)
			var err error
			resp, err = st.KvScanLock(ctx, &kvrpcpb.ScanLockRequest{
				Context: r.Context(), MaxVersion: ts, StartKey: part.Start, EndKey: part.End, Limit: gcLocksMax,
			})
			return resp.GetRegionError(), err
		})
		switch {
		case err != nil:
			return nil, part, err
		case resp.Error.GetLocked() != nil: // in memory, to be written or gone in a moment
			err = bo.wait(ctx, backoffLock, &LockTimeoutError{Lock: resp.Error.Locked})
		case resp.Error != nil:
			err = keyError(resp.Error)
		default:
			return resp.Locks, part, nil
		}
		if err != nil {
			return nil, part, err
		}
	}
}

// force finishes the transactions of locks found in one region, without waiting for their time to live: there all their
// locks, elsewhere their primary's. Pessimistic locks say little of their transaction and are released each for itself.
func (r *resolver) force(ctx context.Context, bo *Backoff, locks []*kvrpcpb.LockInfo) error {
	decided := make(map[uint64]uint64)
	for _, l := range locks {
		pessimistic := l.LockType == kvrpcpb.Op_PessimisticLock
		if _, ok := decided[l.LockVersion]; ok && !pessimistic {
			continue
		}
		commitTS, err := r.forced(ctx, bo, l)
		if err == nil && pessimistic {
			err = r.finish(ctx, bo, l, commitTS)
		}
		if err != nil {
			return err
		}
		if !pessimistic {
			decided[l.LockVersion] = commitTS
		}
	}
	if len(decided) == 0 {
		return nil
	}
	req := new(kvrpcpb.ResolveLockRequest)
	for startTS, commitTS := range decided {
		req.TxnInfos = append(req.TxnInfos, &kvrpcpb.TxnInfo{Txn: startTS, Status: commitTS})
	}
	return r.resolveLock(ctx, bo, locks[0].Key, req)
}

// forced returns the commit timestamp of a lock's transaction, 0 if it is rolled back, by now at the latest.
func (r *resolver) forced(ctx context.Context, bo *Backoff, l *kvrpcpb.LockInfo) (commitTS uint64, err error) {
	if commitTS, known := r.outcome(l.LockVersion); known {
		return commitTS, nil
	}
	st, err := r.statusAt(ctx, bo, 0, math.MaxUint64, l)
	if err == nil && st.alive {
		err = &LockTimeoutError{Lock: l}
	}
	return st.commitTS, err
}
